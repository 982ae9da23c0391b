//! `APPEND` (RFC 9051 section 6.3.12), several messages at once (RFC 3502), and `REPLACE` (RFC 8508). A message goes into a blob
//! as it arrives.

use std::io;

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::BlobWriter;
use iems_store::directory::AccountInfo;
use iems_store::mailbox::{
    Flags, KeywordSet, MAX_APPENDED, MailboxError, MessageIds, NewMessage, Rights, Uid,
};
use iems_store::structure::{Limits, Parser, Row};

use super::effort::Effort;
use super::flags::permitted;
use super::place::{Place, permits};
use super::{News, Outcome, Output, Session, Sink, Stage, Then, Trouble};
use super::{body, url};
use crate::imap::types::{AppendPart, Code, DateTime, LiteralInfo, NumberSet, Status};
use crate::net::{Loan, Spent};

/// How much of a header is searched for what a message answers, in octets.
const HEADER: usize = 64 * 1024;

/// Octets of rows of the messages of one command: what one commit takes, and a session holds.
const ROWS: usize = 12 << 20;
/// Octets of the rows of a message besides its structure, at most about.
const ROW: usize = 2048;

/// What becomes of a literal that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literal {
    /// Nothing is to be said of one.
    None,
    /// It is taken: `Decoder::accept`.
    Accept,
    /// It is not, and the command was answered: `Decoder::refuse`.
    Refuse,
}

/// An `APPEND` that goes on.
pub(super) struct Appending {
    tag: String,
    /// To where; or why not.
    mailbox: Result<Place, Status>,
    /// The message that goes.
    replaced: Option<Replaced>,
    messages: Vec<NewMessage>,
    octets: u64,
    current: Option<Box<Arriving>>,
    effort: Effort,
    /// Octets of the rows of `messages`.
    rows: usize,
    /// Memory for them, and for the message that arrives.
    loan: Loan,
}

/// The message that a `REPLACE` takes away.
#[derive(Clone, Copy)]
struct Replaced {
    uid: u32,
    /// Its octets, if whoever owns it gets the other one, too: only the difference counts (RFC 8508 section 3.4).
    freed: Option<u64>,
}

/// A message that arrives.
struct Arriving {
    flags: Flags,
    keywords: Vec<String>,
    date: Option<DateTime>,
    writer: Option<Box<dyn BlobWriter>>,
    parser: Parser,
    header: Vec<u8>,
    size: u64,
}

impl Appending {
    /// What it takes, in octets, once so many have come of the message that arrives: rows of messages twice, here and in
    /// their commit.
    fn held(&self, more: usize) -> usize {
        let arriving = self.current.as_ref().map_or(0, |current| current.held(more));
        2 * self.rows + arriving
    }

    /// Sees to it that what it takes is counted.
    fn weigh(&mut self) -> Result<(), Spent> {
        let held = self.held(0).max(self.loan.octets());
        self.loan.resize(held)
    }
}

impl Arriving {
    /// What it takes, in octets, with so many more: the beginning of its header, a piece that waits to be written, and what is
    /// known of its structure.
    fn held(&self, more: usize) -> usize {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX).saturating_add(more);
        3 * size.min(HEADER) + self.parser.held()
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), Trouble> {
        self.parser.feed(&piece);
        let end = self.parser.header_end().and_then(|end| usize::try_from(end).ok());
        let end = end.map_or(HEADER, |end| end.min(HEADER));
        let room = end.saturating_sub(self.header.len()).min(piece.len());
        self.header.extend_from_slice(piece.get(..room).unwrap_or_default());
        self.size += piece.len() as u64;
        if let Some(writer) = &mut self.writer {
            writer.write(piece).await?;
        }
        Ok(())
    }
}

impl Session {
    /// The UID of the message that `REPLACE` names.
    pub(super) fn replaced(&self, uid: bool, message: Option<u32>) -> Result<u32, Trouble> {
        if self.enabled.uid_only && !uid {
            return Err(super::uidonly::refusal().into());
        }
        let selected = self.writable()?;
        permits(selected.rights, Rights::DELETE_MESSAGES | Rights::EXPUNGE)?;
        let number = match (uid, message) {
            (_, None) => Some(selected.view.count()),
            (true, Some(uid)) => selected.view.number_of(uid),
            (false, Some(number)) => Some(number),
        };
        let seen = number.and_then(|number| selected.view.get(number)).filter(|seen| !seen.gone);
        seen.map(|seen| seen.uid).ok_or_else(|| missing().into())
    }

    /// To where a message goes, and which one leaves for it.
    async fn exchange(
        &self,
        path: &str,
        replaced: Option<Result<u32, Trouble>>,
    ) -> Result<(Place, Option<Replaced>), Trouble> {
        let uid = replaced.transpose()?;
        let place = self.target(path).await?;
        let Some(uid) = uid else { return Ok((place, None)) };
        let (owner, selected) = (place.owner.id, self.selected()?);
        if selected.account != owner {
            return Ok((place, Some(Replaced { uid, freed: None })));
        }
        let states = self.accounts.mailboxes().states(owner, selected.mailbox, &[Uid(uid)]).await?;
        let freed = states.first().map(|state| state.size);
        Ok((place, Some(Replaced { uid, freed })))
    }

    /// What is wrong is told where the client can hear it: with the first literal.
    pub(super) async fn begin_append(
        &mut self,
        tag: String,
        path: &str,
        replaced: Option<Result<u32, Trouble>>,
    ) -> io::Result<Then> {
        let (mailbox, replaced) = match self.exchange(path, replaced).await {
            Ok((place, replaced)) => (Ok(place), replaced),
            Err(Trouble::Said(status)) => (Err(status), None),
            Err(Trouble::Io(error)) => return Err(error),
        };
        let loan = self.budget().loan();
        let appending = Appending {
            tag,
            mailbox,
            replaced,
            messages: Vec::new(),
            octets: 0,
            current: None,
            effort: Effort::default(),
            rows: 0,
            loan,
        };
        if let Stage::User(user) = &mut self.stage {
            user.appending = Some(Box::new(appending));
        }
        Ok(Then::Read)
    }

    async fn target(&self, path: &str) -> Result<Place, Trouble> {
        let missing = || Status::no("There is no such mailbox; CREATE it first").with(Code::TryCreate);
        let place = self.place(path).await?.ok_or_else(missing)?;
        place.permits(Rights::INSERT)?;
        Ok(place)
    }

    /// Takes what follows an `APPEND`.
    ///
    /// # Errors
    /// Those of the sink.
    pub async fn append<S: Sink>(
        &mut self,
        part: AppendPart,
        now: Timestamp,
        out: &mut Output<'_, S>,
    ) -> io::Result<Literal> {
        self.prepare(out);
        let Stage::User(user) = &mut self.stage else { return Ok(Literal::Refuse) };
        let Some(mut appending) = user.appending.take() else { return Ok(Literal::Refuse) };
        let result = match part {
            AppendPart::End => {
                let (tag, outcome) = (appending.tag.clone(), self.appended(*appending, out).await);
                self.finish(tag, outcome, News::All, out).await?;
                return Ok(Literal::None);
            }
            part => self.part(&mut appending, part, now).await,
        };
        match result {
            Ok(literal) => {
                if let Stage::User(user) = &mut self.stage {
                    user.appending = Some(appending);
                }
                Ok(literal)
            }
            Err(Trouble::Io(error)) => Err(error),
            Err(Trouble::Said(status)) => {
                out.say(&status.tagged(appending.tag));
                Ok(Literal::Refuse)
            }
        }
    }

    async fn part(
        &mut self,
        appending: &mut Appending,
        part: AppendPart,
        now: Timestamp,
    ) -> Result<Literal, Trouble> {
        match part {
            AppendPart::Message { flags, date, .. } => {
                if appending.messages.len() >= MAX_APPENDED {
                    return Err(Status::no("Too many messages at once").with(Code::Limit).into());
                }
                let (flags, keywords) = super::flags::split(&flags)?;
                let (parser, header) = (Parser::new(Limits::default()), Vec::new());
                let arriving = Arriving { flags, keywords, date, writer: None, parser, header, size: 0 };
                appending.current = Some(Box::new(arriving));
            }
            AppendPart::Literal(info) => return self.announced(appending, info).await,
            AppendPart::Piece(piece) => {
                if let Some(current) = &mut appending.current {
                    current.write(piece).await?;
                }
                appending.weigh()?;
            }
            AppendPart::LiteralEnd | AppendPart::End => {}
            AppendPart::Url(url) => {
                self.quote(appending, &url).await?;
            }
            AppendPart::MessageEnd => {
                if let Some(current) = appending.current.take() {
                    let place = appending.mailbox.as_ref().map_err(Status::clone)?;
                    let message = self.arrived(place, *current, now).await?;
                    // All of them are one commit.
                    appending.rows += ROW + message.structure.as_ref().map_or(0, Bytes::len);
                    if appending.rows > ROWS && !appending.messages.is_empty() {
                        return Err(Status::no("Too many messages at once").with(Code::Limit).into());
                    }
                    appending.messages.push(message);
                    appending.weigh()?;
                }
            }
        }
        Ok(Literal::None)
    }

    /// Before it is sent, it is known whether a message can be taken.
    async fn announced(&self, appending: &mut Appending, info: LiteralInfo) -> Result<Literal, Trouble> {
        let place = appending.mailbox.as_ref().map_err(Status::clone)?;
        let place = place.owner.clone();
        self.make_room(&place, appending, info.octets).await?;
        Ok(Literal::Accept)
    }

    /// Sees to it that so many octets more can come, and that there is something to write them to.
    async fn make_room(
        &self,
        owner: &AccountInfo,
        appending: &mut Appending,
        octets: u64,
    ) -> Result<(), Trouble> {
        appending.octets = appending.octets.saturating_add(octets);
        let freed = appending.replaced.and_then(|replaced| replaced.freed);
        let messages = appending.messages.len() as u64 + u64::from(freed.is_none());
        let more = appending.octets.saturating_sub(freed.unwrap_or_default());
        let Some(current) = &mut appending.current else { return Ok(()) };
        if current.size.saturating_add(octets) > self.options.limits.message_size {
            return Err(Status::no("The message is too large").with(Code::TooBig).into());
        }
        if messages > 0 || more > 0 {
            self.room_for(owner, messages, more).await?;
        }
        let more = usize::try_from(octets).unwrap_or(usize::MAX);
        appending.loan.resize(appending.held(more))?;
        let Some(current) = &mut appending.current else { return Ok(()) };
        if current.writer.is_none() {
            current.writer = Some(self.accounts.mailboxes().blobs().create().await?);
        }
        Ok(())
    }

    /// `URL` of `CATENATE`: what it names is written where it stands (RFC 4469 section 3).
    async fn quote(&self, appending: &mut Appending, url: &str) -> Result<(), Trouble> {
        let owner = appending.mailbox.as_ref().map_err(Status::clone)?.owner.clone();
        let bad = || Status::no("This URL names nothing here").with(Code::BadUrl(url.to_owned()));
        let named = url::parse(url, &self.options.hostname).ok_or_else(bad)?;
        let (account, mailbox) = match &named.mailbox {
            Some(path) => {
                let place = self.place(path).await?.ok_or_else(bad)?;
                place.permits(Rights::READ)?;
                (place.owner.id, place.mailbox)
            }
            None => {
                let selected = self.selected().map_err(|_| bad())?;
                let (account, mailbox) = (selected.account, selected.mailbox);
                // What was given when it was selected may have been taken since.
                let rights = self.accounts.mailboxes().rights(account, mailbox, self.user()?.info.id).await?;
                permits(rights, Rights::READ)?;
                (account, mailbox)
            }
        };
        if named.uid_validity.is_some_and(|validity| validity != mailbox.0) {
            return Err(bad().into());
        }
        let mailboxes = self.accounts.mailboxes();
        let infos = mailboxes.infos(account, mailbox, &[Uid(named.uid)]).await?;
        let info = infos.first().ok_or_else(bad)?;
        let row = body::row(mailboxes, (account, mailbox), info).await?;
        let structure = Row::of(&row)?.structure()?;
        let pieces = || body::Pieces::new(&info.body, mailboxes.blobs(), None);
        appending.effort.check()?;
        let source = body::find(&named.section, Some(&structure), Some(pieces()), &appending.effort).await?;
        let source = source.cut(named.partial);
        match source {
            body::Source::Missing => return Err(bad().into()),
            body::Source::Octets(octets) => {
                self.make_room(&owner, appending, octets.len() as u64).await?;
                if let Some(current) = &mut appending.current {
                    current.write(octets).await?;
                }
            }
            body::Source::Range(range) => {
                self.make_room(&owner, appending, range.end.saturating_sub(range.start)).await?;
                let mut pieces = pieces().within(range);
                while let Some(piece) = pieces.next().await? {
                    if let Some(current) = &mut appending.current {
                        current.write(piece).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A message is whole.
    async fn arrived(
        &self,
        place: &Place,
        arriving: Arriving,
        now: Timestamp,
    ) -> Result<NewMessage, Trouble> {
        let Arriving { flags, keywords, date, writer, parser, header, size } = arriving;
        let Some(writer) = writer.filter(|_| size > 0) else {
            return Err(Status::no("A message without octets is none").with(Code::Cannot).into());
        };
        let blob = writer.finish().await?;
        let structure = parser.finish();
        let header_size = structure.parts.first().map_or(0, |part| part.header.length);
        // Flags that the user may not set are left out (RFC 4314 section 4).
        let flags = flags & permitted(place.rights);
        let keywords = if place.rights.contains(Rights::WRITE) { keywords } else { Vec::new() };
        let account = place.owner.id;
        let mailboxes = self.accounts.mailboxes();
        let body = Body { prefix: Bytes::new(), blob, blob_size: size, header_size };
        let end = usize::try_from(header_size).unwrap_or(usize::MAX).min(header.len());
        let ids = MessageIds::of(header.get(..end).unwrap_or_default());
        let thread = mailboxes.thread_of(account, &ids).await?;
        let received = date.map_or(now, DateTime::timestamp);
        let mut message = NewMessage::new(received, body).with_flags(flags).in_thread(&ids, thread);
        message.saved = now;
        message.structure = structure.encode().ok().map(Bytes::from);
        let names: Vec<&str> = keywords.iter().map(String::as_str).collect();
        if !names.is_empty() {
            message.keywords = KeywordSet::from_iter(mailboxes.keywords_named(account, &names).await?);
        }
        Ok(message)
    }

    async fn appended<S: Sink>(&mut self, appending: Appending, out: &mut Output<'_, S>) -> Outcome {
        let Appending { mailbox, replaced, messages, .. } = appending;
        let Place { owner, mailbox, .. } = mailbox?;
        let account = owner.id;
        let mailboxes = self.accounts.mailboxes();
        let selected = self.selected().ok().map(|selected| (selected.account, selected.mailbox));
        let replaced = replaced.zip(selected).map(|(gone, (owner, from))| (owner, from, Uid(gone.uid)));
        let appended = match (replaced, messages.as_slice()) {
            // In one account, both happen at once.
            (Some((owner, from, uid)), [message]) if owner == account => mailboxes
                .replace(account, (from, uid), mailbox, message)
                .await
                .map(|appended| appended.ok_or_else(missing)),
            _ => mailboxes.append_all(account, mailbox, &messages).await.map(Ok),
        };
        let appended = match appended {
            Err(MailboxError::NoMailbox) => {
                return Err(Status::no("The mailbox is gone; CREATE it first").with(Code::TryCreate).into());
            }
            Err(error) => return Err(error.into()),
            Ok(appended) => appended?,
        };
        let first = appended.first.0;
        let last = first.saturating_add(appended.messages.saturating_sub(1));
        let code = Code::AppendUid(mailbox.0, NumberSet::from_ranges([(first, last)]));
        self.put(account, mailbox, [Uid(first), Uid(last)].into_iter());
        let Some((owner, from, uid)) = replaced else { return Ok(Status::ok("It is there").with(code)) };
        // The new one is told before the old one goes (RFC 8508 section 3.2).
        out.status(Status::ok("The new one is there").with(code));
        if owner != account {
            self.accounts.mailboxes().expunge(owner, from, &[uid]).await?;
        }
        self.selected_mut()?.view.leave(&[uid]);
        Ok(Status::ok("Replaced"))
    }
}

/// Of what is to be replaced.
fn missing() -> Status {
    Status::no("There is no such message").with(Code::NonExistent)
}
