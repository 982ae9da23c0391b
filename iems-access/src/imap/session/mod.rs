//! What one peer is shown: commands in, words out, over the mailboxes of the store. No sockets, no TLS, no timers; time is an
//! argument.
//!
//! ```text
//! Unknown ──LOGIN, AUTHENTICATE──► Proving ──► User ──SELECT──► User with a selected mailbox
//!    │ ▲ ▲      STARTTLS: a new session │         ▲ │ ◄──CLOSE, UNSELECT───┘
//!    │ │ └─── failure, UNAUTHENTICATE ──┘         └─┘ IDLE … DONE
//!    └─┴──LOGOUT, too many failures──► Over
//! ```
//!
//! Sessions on one mailbox learn of each other's doings from the mailbox's log, in its order: what a session believes is in
//! `view`, and `sync` is the one place where it learns, and tells. `EXPUNGE` is told only there, and only where numbers
//! may change.

mod acl;
mod ahead;
mod append;
mod binary;
mod body;
mod capability;
mod carry;
mod compress;
mod effort;
mod fetch;
mod flags;
mod folders;
mod info;
mod list;
mod login;
mod messages;
mod metadata;
mod notify;
mod output;
mod pattern;
mod place;
mod quota;
mod reading;
mod search;
mod select;
mod sets;
mod sync;
mod telling;
#[cfg(test)]
mod tests;
mod trouble;
mod uidonly;
mod url;
mod user;
mod uses;
mod view;
mod views;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use iems_core::seam::Timestamp;
use iems_core::seam::sasl::Beneath;

use super::codec::Refusal;
use super::recent::Witness;
use super::types::{Code, Command, CommandBody, Condition, Status};
use super::{Accounts, ServerOptions};
use crate::net::{Budget, Link, Loan, Nonce, Question};
use login::Proving;
use trouble::{Outcome, Trouble};
use user::User;

pub use append::Literal;
pub use notify::Waiting;
pub use output::{Output, Sink};
pub(in crate::imap) use trouble::spent;
pub(in crate::imap) use views::Views;

/// What the caller does next.
#[derive(Debug)]
pub enum Then {
    /// Reads the next command.
    Read,
    /// Reads a line, and gives it to [`Session::line`]; meanwhile, news come from [`Session::news`].
    ReadLine,
    /// Asks the directory, and gives the answer to [`Session::answered`].
    Ask(Question),
    /// Sends what was said, drops what was read, shakes hands, then [`Session::secured`].
    StartTls,
    /// Sends what was said; from then on, both sides pack what they send.
    Compress,
    /// Reads the next command, of somebody who is not known (RFC 8437).
    Forget,
    /// Sends what was said, and closes. Nothing follows.
    Close,
}

/// What was enabled (RFC 9051 section 6.3.1).
#[derive(Debug, Clone, Copy, Default)]
struct Enabled {
    condstore: bool,
    qresync: bool,
    rev2: bool,
    utf8: bool,
    uid_only: bool,
    compressed: bool,
}

impl Enabled {
    /// Whether each `FETCH` that tells what changed has the UID (RFC 7162 section 3.2.4), where it does not name the message
    /// by it.
    const fn tells_uids(self) -> bool {
        !self.uid_only && (self.condstore || self.rev2)
    }
}

enum Stage {
    Unknown,
    Proving(Box<Proving>),
    User(Box<User>),
    Over,
}

/// One peer.
pub struct Session {
    options: Arc<ServerOptions>,
    accounts: Arc<Accounts>,
    nonce: Nonce,
    link: Link,
    beneath: Arc<Beneath>,
    enabled: Enabled,
    stage: Stage,
    failures: u32,
    delay: Option<Duration>,
    /// What was shown in mailboxes that were left, and is yet to be written down.
    parting: Vec<Witness>,
}

impl Session {
    /// A session that nothing was said in yet. `nonce` makes unguessable octets.
    pub fn new(options: Arc<ServerOptions>, accounts: Arc<Accounts>, link: Link, nonce: Nonce) -> Self {
        let (beneath, enabled, stage) = (Arc::default(), Enabled::default(), Stage::Unknown);
        let parting = Vec::new();
        Self { options, accounts, nonce, link, beneath, enabled, stage, failures: 0, delay: None, parting }
    }

    /// What the channel gives to exchanges, until TLS begins.
    pub fn over(&mut self, beneath: Arc<Beneath>) {
        self.beneath = beneath;
    }

    /// The handshake that followed [`Then::StartTls`] succeeded. Everything the peer said before is forgotten (RFC 9051
    /// section 6.2.1); the caller gives up its decoder and its input.
    #[must_use]
    pub fn secured(self) -> Self {
        let link = Link { tls: true, ..self.link };
        Self { failures: self.failures, ..Self::new(self.options, self.accounts, link, self.nonce) }
    }

    /// The greeting (RFC 9051 section 7.1.5).
    pub fn greet<S: Sink>(&self, out: &mut Output<'_, S>) {
        let text = format!("{} IMAP4 IEMS", self.options.hostname);
        out.status(Status::ok(text).with(Code::Capability(self.capabilities())));
    }

    /// Says why, and ends it: for a server that shuts down, or a peer that is to go.
    pub fn bid<S: Sink>(&mut self, why: &str, out: &mut Output<'_, S>) {
        if !matches!(self.stage, Stage::Over) {
            out.status(Status::bye(why));
            self.be_over();
        }
    }

    /// Ends it with a status that is a `BYE`.
    pub(super) fn depart<S: Sink>(&mut self, bye: Status, out: &mut Output<'_, S>) {
        out.status(bye);
        self.be_over();
    }

    /// Whether it has ended, and nothing more is read or said.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Nothing follows. What is to be written down waits for [`Self::end`], and no answer waits for that.
    fn be_over(&mut self) {
        self.leave_mailbox();
        self.stage = Stage::Over;
    }

    /// To be called when an answer is on its way, before the peer is listened to again: writes down what was shown in a
    /// mailbox that was left, for which no answer has to wait.
    pub async fn settle(&mut self) {
        for witness in std::mem::take(&mut self.parting) {
            witness.leave().await;
        }
    }

    /// To be called at the end, when nothing more is said: what is to be remembered is written down.
    pub async fn end(&mut self) {
        self.be_over();
        self.settle().await;
    }

    /// Logins that failed so far.
    pub fn failed_logins(&self) -> u32 {
        self.failures
    }

    /// How late the output is to be sent. Said once.
    pub fn take_delay(&mut self) -> Option<Duration> {
        self.delay.take()
    }

    /// Whether somebody is logged in.
    pub fn is_known(&self) -> bool {
        matches!(self.stage, Stage::User(_))
    }

    /// Whether mailbox names are UTF-8 from now on.
    pub fn utf8(&self) -> bool {
        self.enabled.utf8 || self.enabled.rev2
    }

    fn prepare<S: Sink>(&self, out: &mut Output<'_, S>) {
        out.encoder.utf8 = self.utf8();
    }

    /// Carries out a command. Of `APPEND` and `REPLACE`, the beginning: [`Session::append`] has the rest.
    ///
    /// # Errors
    /// Those of the sink.
    pub async fn command<S: Sink>(
        &mut self,
        command: Command,
        now: Timestamp,
        out: &mut Output<'_, S>,
    ) -> io::Result<Then> {
        self.prepare(out);
        let Command { tag, body, composed } = command;
        if self.enabled.uid_only && uidonly::has_numbers(&body) {
            out.say(&uidonly::refusal().tagged(tag));
            return Ok(Then::Read);
        }
        let body = match body {
            CommandBody::Append { mailbox } if self.is_known() => {
                return self.begin_append(tag, &mailbox, None).await;
            }
            CommandBody::Replace { uid, message, mailbox } if self.is_known() => {
                let replaced = match self.heed_rights(out).await {
                    Ok(()) => self.replaced(uid, message),
                    Err(trouble) => Err(trouble),
                };
                return self.begin_append(tag, &mailbox, Some(replaced)).await;
            }
            CommandBody::Logout => {
                out.status(Status::bye("Bye"));
                out.say(&Status::ok("Logged out").tagged(tag));
                self.be_over();
                return Ok(Then::Close);
            }
            CommandBody::StartTls => return Ok(self.start_tls(tag, out)),
            CommandBody::Login { login, password } => return self.login(tag, &login, &password, out).await,
            CommandBody::Authenticate { mechanism, initial } => {
                return self.authenticate(tag, &mechanism, initial.as_deref(), out).await;
            }
            CommandBody::Unauthenticate => return Ok(self.unauthenticate(tag, out)),
            CommandBody::Compress(mechanism) => return Ok(self.compress(tag, &mechanism, out)),
            CommandBody::Idle => return self.idle(tag, out).await,
            body => body,
        };
        let composed = composed.filter(|_| !matches!(body, CommandBody::Delete(_)));
        let news = News::with(&body);
        let outcome = self.execute(&tag, body, now, out).await;
        self.tell_composed(composed, &outcome, out);
        self.finish(tag, outcome, news, out).await
    }

    /// To be called with what was no command, which the caller answers: it ends an `APPEND` that had begun.
    pub fn refused(&mut self, refusal: &Refusal) {
        let Stage::User(user) = &mut self.stage else { return };
        user.appending = None;
        if let Some(selected) = user.selected.as_deref_mut().filter(|_| refusal.forgets) {
            selected.forget_saved();
        }
    }

    /// Tells what happened meanwhile, and how the command ended.
    async fn finish<S: Sink>(
        &mut self,
        tag: String,
        outcome: Outcome,
        news: News,
        out: &mut Output<'_, S>,
    ) -> io::Result<Then> {
        let mut status = match outcome {
            Ok(status) | Err(Trouble::Said(status)) => status,
            Err(Trouble::Io(error)) => return Err(error),
        };
        if let Ok(selected) = self.selected_mut() {
            // What a command did not need of what was set aside for it.
            selected.view.settle();
        }
        if news != News::Later {
            match self.sync(news == News::All, out).await {
                Ok(()) => {}
                Err(Trouble::Io(error)) => return Err(error),
                Err(Trouble::Said(trouble)) => status = trouble,
            }
        }
        match Box::pin(self.elsewhere(out)).await {
            Err(Trouble::Io(error)) => return Err(error),
            // It is told the next time.
            Ok(()) | Err(Trouble::Said(_)) => {}
        }
        if news == News::NumbersStay
            && (status.condition, &status.code) == (Condition::Ok, &None)
            && self.selected().is_ok_and(|selected| selected.view.is_missing_some())
        {
            // What was found, say, is not of all that the peer believes to be there (RFC 5530 section 3).
            status = status.with(Code::ExpungeIssued);
        }
        if status.condition == Condition::Bye {
            self.depart(status, out);
            return Ok(Then::Close);
        }
        let status = self.tell_advance(status, out);
        out.say(&status.tagged(tag));
        Ok(Then::Read)
    }

    /// What any other command does; its data are told, its end is not.
    async fn execute<S: Sink>(
        &mut self,
        tag: &str,
        body: CommandBody,
        now: Timestamp,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        use CommandBody as C;
        self.heed_rights(out).await?;
        match body {
            C::Capability => self.tell_capabilities(out),
            C::Noop => Ok(Status::ok("Here I am")),
            C::Id(fields) => self.id(fields, out),
            _ if !self.is_known() => Err(Status::bad("Log in first").into()),
            C::Enable(names) => self.enable(&names, out).await,
            C::Select { mailbox, parameters } => self.select(&mailbox, &parameters, false, out).await,
            C::Examine { mailbox, parameters } => self.select(&mailbox, &parameters, true, out).await,
            C::Create { mailbox, special_use } => self.create(&mailbox, &special_use, now).await,
            C::Delete(mailbox) => self.delete(&mailbox, out).await,
            C::Rename { from, to } => self.rename(&from, &to, now, out).await,
            C::Subscribe(mailbox) => self.subscribe(&mailbox, true).await,
            C::Unsubscribe(mailbox) => self.subscribe(&mailbox, false).await,
            C::List(list) => self.list(list, out).await,
            C::Lsub { reference, pattern } => self.lsub(&reference, &pattern, out).await,
            C::Namespace => self.namespace(out),
            C::Status { mailbox, items } => self.status(&mailbox, &items, out).await,
            C::GetQuota(root) => self.get_quota(&root, out).await,
            C::GetQuotaRoot(mailbox) => self.get_quota_root(&mailbox, out).await,
            C::GetAcl(mailbox) => self.get_acl(&mailbox, out).await,
            C::SetAcl { mailbox, identifier, change, rights } => {
                self.set_acl(&mailbox, &identifier, change, &rights).await
            }
            C::DeleteAcl { mailbox, identifier } => self.delete_acl(&mailbox, &identifier).await,
            C::ListRights { mailbox, identifier } => self.list_rights(&mailbox, &identifier, out).await,
            C::MyRights(mailbox) => self.my_rights(&mailbox, out).await,
            C::GetMetadata { mailbox, options, entries } => {
                self.get_metadata(&mailbox, options, entries, out).await
            }
            C::SetMetadata { mailbox, entries } => self.set_metadata(&mailbox, entries).await,
            C::Notify(notify) => self.notify(notify, out).await,
            C::SetQuota { .. } => {
                Err(Status::no("Only the administrator sets quota").with(Code::NoPerm).into())
            }
            C::Check
            | C::Close
            | C::Unselect
            | C::Expunge { .. }
            | C::Search { .. }
            | C::Sort { .. }
            | C::Thread { .. }
            | C::Fetch { .. }
            | C::Store { .. }
            | C::Copy { .. }
            | C::Move { .. }
                if self.user()?.selected.is_none() =>
            {
                Err(Status::bad("Select a mailbox first").into())
            }
            C::Check => Ok(Status::ok("Everything is on disk")),
            C::Close => self.close(out).await,
            C::Unselect => self.unselect(),
            C::Expunge { uids } => self.expunge(uids.as_ref(), out).await,
            C::Search { uid, search } => self.search(tag, uid, search, now, out).await,
            C::Sort { uid, sort } => self.sort(tag, uid, sort, now, out).await,
            C::Thread { uid, thread } => self.thread(uid, thread, now, out).await,
            C::Fetch { uid, fetch } => self.fetch(uid, fetch, out).await,
            C::Store { uid, store } => self.store(uid, store, out).await,
            C::Copy { uid, messages, mailbox } => self.carry(uid, &messages, &mailbox, false, now, out).await,
            C::Move { uid, messages, mailbox } => self.carry(uid, &messages, &mailbox, true, now, out).await,
            _ => Err(Status::bad("This is not done here; CAPABILITY lists what is").into()),
        }
    }

    fn user(&self) -> Result<&User, Trouble> {
        match &self.stage {
            Stage::User(user) => Ok(user),
            _ => Err(Status::bad("Log in first").into()),
        }
    }

    fn user_mut(&mut self) -> Result<&mut User, Trouble> {
        match &mut self.stage {
            Stage::User(user) => Ok(user),
            _ => Err(Status::bad("Log in first").into()),
        }
    }

    /// The selected mailbox.
    fn selected(&self) -> Result<&user::Selected, Trouble> {
        self.user()?.selected.as_deref().ok_or_else(|| Status::bad("Select a mailbox first").into())
    }

    fn selected_mut(&mut self) -> Result<&mut user::Selected, Trouble> {
        self.user_mut()?.selected.as_deref_mut().ok_or_else(|| Status::bad("Select a mailbox first").into())
    }

    /// Memory for what the session is about to do.
    fn lend(&self, octets: usize) -> Result<Loan, Trouble> {
        Ok(self.user()?.budget.take(octets)?)
    }

    /// What all sessions of the account may hold together; without end before the login.
    pub fn budget(&self) -> Budget {
        self.user().map(|user| user.budget.clone()).unwrap_or_default()
    }

    /// Whether there was no memory to learn of what happened: it is to be tried again soon.
    pub fn is_behind(&self) -> bool {
        self.selected().is_ok_and(|selected| selected.behind)
    }

    /// The selected mailbox, which may be changed.
    fn writable(&self) -> Result<&user::Selected, Trouble> {
        let selected = self.selected()?;
        if selected.examined {
            let why = "The mailbox was opened by EXAMINE; SELECT it to change it";
            return Err(Status::no(why).with(Code::ReadOnly).into());
        }
        match selected.read_only {
            true => Err(Status::no("Its owner does not let you").with(Code::NoPerm).into()),
            false => Ok(selected),
        }
    }
}

/// Which news the answer to a command tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    All,
    /// None that would change sequence numbers (RFC 9051 section 7.5.1).
    NumbersStay,
    /// What a mailbox is when it is opened is told as of one moment; what happens meanwhile comes with the next command.
    Later,
}

impl News {
    fn with(body: &CommandBody) -> Self {
        match body {
            CommandBody::Fetch { uid: false, .. } | CommandBody::Store { uid: false, .. } => {
                Self::NumbersStay
            }
            // Also those by UID that are for numbers (RFC 7162 section 3.2.10.2).
            CommandBody::Search { .. } | CommandBody::Sort { .. } | CommandBody::Thread { .. }
                if uidonly::has_numbers(body) =>
            {
                Self::NumbersStay
            }
            CommandBody::Select { .. } | CommandBody::Examine { .. } => Self::Later,
            _ => Self::All,
        }
    }
}
