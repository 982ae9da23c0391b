//! Who somebody is: `LOGIN`, `AUTHENTICATE` (RFC 9051 section 6.2), `STARTTLS`.
//!
//! `LOGIN` goes the way of `PLAIN`, so that there is one way to check a password.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use iems_core::seam::Account;
use iems_core::seam::sasl::{Exchange, Failure, Mechanism, Password, Step};

use super::user::User;
use super::{Enabled, Output, Session, Sink, Stage, Then};
use crate::imap::types::{Code, Response, Status};
use crate::net::{Answer, Question, Unoffered};

/// For what peers log in, in the words of credentials.
const SERVICE: &str = "imap";

/// An exchange that goes on.
pub(super) struct Proving {
    tag: String,
    exchange: Exchange,
}

impl Session {
    pub(super) async fn login<S: Sink>(
        &mut self,
        tag: String,
        login: &str,
        password: &Password,
        out: &mut Output<'_, S>,
    ) -> io::Result<Then> {
        if let Some(refusal) = self.no_login() {
            out.say(&refusal.tagged(tag));
            return Ok(Then::Read);
        }
        if !self.options.auth.passwords_may_pass(self.link) {
            let refusal =
                Status::no("Passwords need TLS here; say STARTTLS first").with(Code::PrivacyRequired);
            out.say(&refusal.tagged(tag));
            return Ok(Then::Read);
        }
        let message = format!("\0{login}\0{}", password.as_str());
        self.start(tag, Mechanism::Plain, Some(message.as_bytes()), out).await
    }

    pub(super) async fn authenticate<S: Sink>(
        &mut self,
        tag: String,
        mechanism: &str,
        initial: Option<&str>,
        out: &mut Output<'_, S>,
    ) -> io::Result<Then> {
        let mut refuse = |status: Status| {
            out.say(&status.tagged(tag.clone()));
            Ok(Then::Read)
        };
        if let Some(refusal) = self.no_login() {
            return refuse(refusal);
        }
        let mechanism = match self.options.auth.choose(mechanism, self.link, &self.beneath) {
            Ok(mechanism) => mechanism,
            Err(Unoffered::Unknown) => {
                return refuse(
                    Status::no("Unknown mechanism; CAPABILITY lists what is known").with(Code::Cannot),
                );
            }
            Err(Unoffered::NeedsTls) => {
                return refuse(
                    Status::no("This mechanism needs TLS here; say STARTTLS first")
                        .with(Code::PrivacyRequired),
                );
            }
        };
        let initial = match initial.map(decode) {
            None => None,
            Some(Ok(initial)) => Some(initial),
            Some(Err(())) => return refuse(Status::bad("Not base 64")),
        };
        self.start(tag, mechanism, initial.as_deref(), out).await
    }

    fn no_login(&self) -> Option<Status> {
        self.is_known().then(|| Status::bad("You are logged in already"))
    }

    async fn start<S: Sink>(
        &mut self,
        tag: String,
        mechanism: Mechanism,
        initial: Option<&[u8]>,
        out: &mut Output<'_, S>,
    ) -> io::Result<Then> {
        let Some(entropy) = self.options.auth.entropy(&self.nonce, &self.beneath, SERVICE) else {
            out.say(&later().tagged(tag));
            return Ok(Then::Read);
        };
        let (exchange, step) = Exchange::start(mechanism, initial, entropy);
        self.step(Box::new(Proving { tag, exchange }), step, out).await
    }

    /// A line within an exchange, or the end of `IDLE`; `None` if it is too long.
    ///
    /// # Errors
    /// Those of the sink.
    pub async fn line<S: Sink>(&mut self, line: Option<&[u8]>, out: &mut Output<'_, S>) -> io::Result<Then> {
        self.prepare(out);
        let mut proving = match std::mem::replace(&mut self.stage, Stage::Unknown) {
            Stage::Proving(proving) => proving,
            stage => {
                self.stage = stage;
                return self.done(line, out).await;
            }
        };
        let response = match line {
            Some(b"*") => Err("Authentication cancelled"),
            Some(line) => BASE64.decode(line).map_err(|_| "Not base 64"),
            None => Err("The line is too long"),
        };
        match response {
            Ok(response) => {
                let step = proving.exchange.respond(&response);
                self.step(proving, step, out).await
            }
            Err(why) => {
                out.say(&Status::bad(why).tagged(proving.tag));
                Ok(Then::Read)
            }
        }
    }

    /// The answer to [`Then::Ask`].
    ///
    /// # Errors
    /// Those of the sink.
    pub async fn answered<S: Sink>(&mut self, answer: Answer, out: &mut Output<'_, S>) -> io::Result<Then> {
        let mut proving = match std::mem::replace(&mut self.stage, Stage::Unknown) {
            Stage::Proving(proving) => proving,
            stage => {
                self.stage = stage;
                return Ok(Then::Read);
            }
        };
        match answer.tell(&mut proving.exchange) {
            Some(step) => self.step(proving, step, out).await,
            None => {
                out.say(&later().tagged(proving.tag));
                Ok(Then::Read)
            }
        }
    }

    async fn step<S: Sink>(
        &mut self,
        proving: Box<Proving>,
        step: Step,
        out: &mut Output<'_, S>,
    ) -> io::Result<Then> {
        let step = match Question::of(step) {
            Ok(question) => {
                self.stage = Stage::Proving(proving);
                return Ok(Then::Ask(question));
            }
            Err(step) => step,
        };
        match step {
            Step::Challenge(octets) => {
                out.say(&Response::Challenge(octets));
                self.stage = Stage::Proving(proving);
                Ok(Then::ReadLine)
            }
            Step::Done(account) => {
                let credential = account.credential.name.as_deref();
                let mechanism = proving.exchange.mechanism();
                tracing::info!(account = %account.mailbox, %mechanism, credential, "logged in");
                let status = self.enter(&account).await;
                out.say(&status.tagged(proving.tag));
                Ok(Then::Read)
            }
            Step::Fail(failure) => Ok(self.failed(proving.tag, failure, out)),
            // Those were questions.
            Step::CheckPassword { .. }
            | Step::NeedScram { .. }
            | Step::NeedSecret { .. }
            | Step::CheckCertificate { .. }
            | Step::CheckToken { .. } => Ok(Then::Read),
        }
    }

    /// Somebody has proved to be this account.
    async fn enter(&mut self, account: &Account) -> Status {
        let directory = self.accounts.directory();
        if let Err(error) = self.options.auth.asked(directory).used(account, SERVICE).await {
            tracing::warn!(%error, "the use of a credential is not written down");
        }
        let info = match directory.account(&account.mailbox).await {
            Ok(Some(info)) if info.settings.enabled => info,
            Ok(Some(_)) => {
                return Status::no("This account is disabled").with(Code::AuthorizationFailed);
            }
            Ok(None) => {
                tracing::warn!(account = %account.mailbox, "it was proved, and has no mailboxes here");
                return later();
            }
            Err(error) => {
                tracing::warn!(account = %account.mailbox, %error, "an account cannot be read");
                return later();
            }
        };
        let Some(seat) = self.accounts.seat(&info, self.options.limits.per_account) else {
            return Status::no("This account has too many connections; close some").with(Code::Limit);
        };
        let provided = self.accounts.mailboxes().provide(info.id, &self.options.usual, directory.now()).await;
        if let Err(error) = provided {
            // Whoever wants to read mail can do without.
            tracing::warn!(account = %info.mailbox, %error, "the usual mailboxes cannot be made");
        }
        let budget = self.accounts.budget(info.id);
        self.stage = Stage::User(Box::new(User::new(info, seat, budget)));
        Status::ok("Logged in").with(Code::Capability(self.capabilities()))
    }

    fn failed<S: Sink>(&mut self, tag: String, failure: Failure, out: &mut Output<'_, S>) -> Then {
        self.delay = Some(self.options.auth.delay(self.failures));
        self.failures += 1;
        let status = match failure {
            Failure::Malformed => Status::bad("The response does not follow the mechanism"),
            Failure::Credentials => Status::no("Wrong login or password").with(Code::AuthenticationFailed),
            Failure::NotHere => Status::no("This app password is not for IMAP; make one with the scope imap")
                .with(Code::AuthorizationFailed),
            Failure::Unsupported => {
                Status::no("Not supported; use another mechanism or channel binding").with(Code::Cannot)
            }
            Failure::NotBound => Status::no("Your TLS channel is not ours; check who stands between")
                .with(Code::AuthenticationFailed),
        };
        out.say(&status.tagged(tag));
        if self.failures < self.options.auth.max_failures {
            return Then::Read;
        }
        self.bid("Too many failed logins", out);
        Then::Close
    }

    /// `UNAUTHENTICATE` (RFC 8437): everything but TLS, and the failures so far, is as it was before the login. Not once
    /// the dialogue is compressed: where a peer's compression ends cannot be seen from what it sends.
    pub(super) fn unauthenticate<S: Sink>(&mut self, tag: String, out: &mut Output<'_, S>) -> Then {
        let refusal = match () {
            () if !self.is_known() => Status::bad("Log in first"),
            () if !self.options.unauthenticate => Status::bad("This is not done here; connect again"),
            () if !self.may_unauthenticate() => {
                Status::bad("Compression lasts as long as the connection; connect again")
            }
            () => {
                self.leave_mailbox();
                self.stage = Stage::Unknown;
                self.enabled = Enabled::default();
                out.say(&Status::ok("Who are you").with(Code::Capability(self.capabilities())).tagged(tag));
                return Then::Forget;
            }
        };
        out.say(&refusal.tagged(tag));
        Then::Read
    }

    /// Whether somebody else may log in later.
    pub(super) fn may_unauthenticate(&self) -> bool {
        self.options.unauthenticate && !self.enabled.compressed
    }

    pub(super) fn start_tls<S: Sink>(&mut self, tag: String, out: &mut Output<'_, S>) -> Then {
        let refusal = match (self.link.tls, self.link.tls_available) {
            (true, _) => Status::bad("TLS is in force already"),
            (false, false) => Status::bad("There is no TLS here"),
            (false, true) if self.is_known() => Status::bad("TLS begins before the login"),
            (false, true) => {
                out.say(&Status::ok("Begin TLS").tagged(tag));
                return Then::StartTls;
            }
        };
        out.say(&refusal.tagged(tag));
        Then::Read
    }
}

fn later() -> Status {
    Status::no("Credentials cannot be checked now; try again later").with(Code::Unavailable)
}

/// An initial response: `=` stands for an empty one.
fn decode(text: &str) -> Result<Vec<u8>, ()> {
    if text == "=" { Ok(Vec::new()) } else { BASE64.decode(text).map_err(|_| ()) }
}
