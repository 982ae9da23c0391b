//! IMAP sessions on one account: whatever clients say, nobody breaks off in a panic, every answer is well formed, and what a
//! client can reckon from the answers is what the store holds.
//!
//! Some octets are no client's: 1 to 3 say whose turn it is (the third is not logged in), 4 lets news be told, 5 brings a
//! message from outside, 6 has others rename what is selected, 7 has them delete it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use iems_access::imap::codec::{Decoder, Event, Limits, Refusal};
use iems_access::imap::session::{Literal, Output, Session, Sink, Then};
use iems_access::imap::types::{
    Bound, Command, CommandBody, EventGroup, Fetch, FetchAttribute, MailboxFilter, Notify, NotifyEvent,
    Response, SequenceRange, SequenceSet,
};
use iems_access::imap::{Accounts, ServerOptions};
use iems_access::net::{Answer, Link, Question};
use iems_core::message::Body;
use iems_core::seam::{Account, SystemClock, Timestamp};
use iems_core::storage::{Batch, MemoryStorage, Storage};
use iems_store::directory::{DirectoryOptions, NewAccount, Password, StoreDirectory};
use iems_store::mailbox::{AccountId, Flags, MailboxId, Mailboxes, NewMessage, Uid};

use crate::pieces;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"a SELECT INBOX\r\nb FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE BODY[TEXT])\r\nc STORE 1 +FLAGS (\\Deleted x)\r\nd EXPUNGE\r\n",
    b"a SELECT INBOX\r\n\x02a SELECT INBOX\r\nb STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\nc UID EXPUNGE 1\r\n\x01b FETCH 1:3 FLAGS\r\nc NOOP\r\n",
    b"a SELECT INBOX\r\nb IDLE\r\n\x05\x04\x02a SELECT INBOX\r\nb MOVE 1 Trash\r\n\x01\x04DONE\r\nc SEARCH RETURN (SAVE PARTIAL 1:2) ALL\r\n",
    b"a CREATE Trash\r\nb SELECT Trash\r\nc APPEND Trash (\\Seen) {4+}\r\nA: b\r\nd APPEND INBOX ~{3+}\r\n\0\r\n\r\ne COPY 1 INBOX\r\n\x02x DELETE Trash\r\n\x01f NOOP\r\n",
    b"a ENABLE QRESYNC\r\nb SELECT INBOX (QRESYNC (1790000000 1 1:9 (1 1)))\r\nc UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)\r\nd MOVE 1 INBOX\r\n",
    b"a ENABLE UIDONLY\r\nb SELECT INBOX\r\nc UID FETCH 1:* FLAGS (PARTIAL -1:-2)\r\nd UID STORE 2 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\nf FETCH 1 UID\r\n",
    b"a SELECT INBOX\r\nb NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge FlagChange)) (personal (MailboxName MessageNew MessageExpunge))\r\n\x05\x04\x02a CREATE y\r\n\x01\x04c NOTIFY NONE\r\n\x05d NOOP\r\n",
    b"a SELECT INBOX\r\nb REPLACE 1 INBOX {3+}\r\nx\r\n\r\nc APPEND INBOX CATENATE (URL \"/INBOX/;UID=2\" TEXT {2+}\r\n\r\n)\r\nd UNSELECT\r\ne SELECT INBOX\r\n",
    b"\x03a CAPABILITY\r\nb LOGIN ann@example.org secret\r\nc SELECT INBOX\r\nd UNAUTHENTICATE\r\ne AUTHENTICATE PLAIN\r\n*\r\nf NOOP\r\n",
    b"a SELECT INBOX\r\nb THREAD REFERENCES UTF-8 ALL\r\nc SORT (REVERSE SUBJECT) UTF-8 NOT 1\r\nd SETMETADATA INBOX (/private/a \"b\")\r\ne SETACL INBOX bob@example.org lrs\r\nf LIST \"\" * RETURN (STATUS (MESSAGES) MYRIGHTS)\r\n",
    b"a SELECT INBOX\r\n\x02a RENAME INBOX x\r\n\x01b NOOP\r\n\x06\x07c CLOSE\r\nd EXAMINE x\r\ne FETCH 1:* (BINARY[1] BINARY.SIZE[] PREVIEW RFC822.SIZE MODSEQ)\r\n",
];

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Messages are not larger.
const MESSAGE: u64 = 2000;
/// All that one client hears.
const HEARD: usize = 64 << 20;

pub(crate) fn run(octets: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::new().await;
        for piece in pieces(octets) {
            for part in piece.chunk_by(|one, other| *one > 7 && *other > 7) {
                world.take(part).await;
            }
        }
        world.check().await;
    });
}

struct World {
    storage: Storage,
    mailboxes: Mailboxes,
    account: AccountId,
    talkers: Vec<Talker>,
    turn: usize,
    renamed: u32,
}

impl World {
    async fn new() -> Self {
        let storage = MemoryStorage::new().storage();
        let options = DirectoryOptions::default();
        let directory = StoreDirectory::new(storage.clone(), Arc::new(SystemClock), options);
        directory
            .add_domain(&"example.org".parse().expect("a domain"), Default::default())
            .await
            .expect("memory");
        for name in ["ann@example.org", "bob@example.org"] {
            let mut account = NewAccount::new(name.parse().expect("an address"));
            account.password = Password::None;
            directory.add_account(account).await.expect("memory");
        }
        let ann = directory.account(&"ann@example.org".parse().expect("an address")).await;
        let account = ann.expect("memory").expect("ann").id;
        let accounts = Accounts::new(Arc::new(directory));
        let mut options = ServerOptions::new("mx.example.org");
        options.auth.secret = Some([1; 32]);
        options.limits.message_size = MESSAGE;
        options.unauthenticate = true;
        let options = Arc::new(options);
        let talkers = (0..3).map(|_| Talker::new(&options, &accounts)).collect();
        let mailboxes = Mailboxes::new(storage.clone());
        let mut world = Self { storage, mailboxes, account, talkers, turn: 0, renamed: 0 };
        for _ in 0..3 {
            world.deliver().await;
        }
        for talker in world.talkers.iter_mut().take(2) {
            talker.hear(b"l LOGIN ann@example.org secret\r\n").await;
            assert!(talker.session.is_known());
        }
        world
    }

    async fn take(&mut self, part: &[u8]) {
        match part {
            [turn @ 1..=3] => self.turn = usize::from(*turn) - 1,
            [4] => self.talkers[self.turn].news().await,
            [5] => self.deliver().await,
            [6] => {
                self.renamed += 1;
                let to = format!("r{}", self.renamed);
                if let Some(path) = self.selected().await {
                    let _ = self.mailboxes.rename(self.account, &path, &to, NOW).await;
                }
            }
            [7] => {
                if let Some(path) = self.selected().await {
                    let _ = self.mailboxes.delete(self.account, &path).await;
                }
            }
            part => self.talkers[self.turn].hear(part).await,
        }
    }

    /// The name of what is selected by whose turn it is.
    async fn selected(&self) -> Option<String> {
        let (account, mailbox) = self.talkers[self.turn].client.mailbox?;
        self.mailboxes.path(account, mailbox).await.expect("memory")
    }

    async fn deliver(&mut self) {
        let text = b"From: a@example.net\r\nSubject: =?utf-8?q?x?=\r\n\r\nHello\r\n";
        let mut writer = self.storage.blobs.create().await.expect("memory");
        writer.write(Bytes::from_static(text)).await.expect("memory");
        let blob = writer.finish().await.expect("memory");
        let body = Body { prefix: Bytes::new(), blob, blob_size: text.len() as u64, header_size: 46 };
        let inbox = self.mailboxes.find(self.account, "INBOX").await.expect("memory").expect("an INBOX");
        let mut batch = Batch::new();
        Mailboxes::append(&mut batch, self.account, inbox, &NewMessage::new(NOW, body)).expect("a message");
        self.storage.store.commit(batch).await.expect("memory");
    }

    /// All clients are told everything: what they reckon is what is there.
    async fn check(&mut self) {
        for talker in &mut self.talkers {
            let Some((account, mailbox)) = talker.everything().await else { continue };
            let states = self.mailboxes.view(account, mailbox, Uid(0), usize::MAX).await.expect("memory");
            let keywords = self.mailboxes.keywords(account).await.expect("memory");
            let there: Vec<_> = states
                .iter()
                .map(|state| {
                    let mut flags: BTreeSet<String> = SYSTEM
                        .iter()
                        .filter(|(flag, _)| state.flags.contains(*flag))
                        .map(|(_, name)| (*name).to_owned())
                        .collect();
                    let names = state.keywords.iter().filter_map(|keyword| keywords.name(keyword));
                    flags.extend(names.map(str::to_owned));
                    (state.uid.0, flags)
                })
                .collect();
            assert_eq!(talker.client.listed, there, "the session does not show what is there");
            assert_eq!(talker.client.count, there.len(), "the client reckons another number of messages");
        }
        let checked = self.mailboxes.check(self.account, false, true, &mut |_| ()).await.expect("memory");
        assert_eq!(checked.findings, [], "the store is wrong");
    }
}

const SYSTEM: [(Flags, &str); 5] = [
    (Flags::ANSWERED, "\\Answered"),
    (Flags::FLAGGED, "\\Flagged"),
    (Flags::DELETED, "\\Deleted"),
    (Flags::SEEN, "\\Seen"),
    (Flags::DRAFT, "\\Draft"),
];

/// A connection: what `imap::connection` does, without a socket.
struct Talker {
    session: Session,
    decoder: Decoder,
    input: BytesMut,
    buffer: BytesMut,
    client: Client,
    over: bool,
}

impl Talker {
    fn new(options: &Arc<ServerOptions>, accounts: &Arc<Accounts>) -> Self {
        let link = Link { tls: true, tls_available: true, local: false };
        let session = Session::new(options.clone(), accounts.clone(), link, Arc::new(|| Some([2; 18])));
        let decoder = Decoder::new(Limits::before_login());
        let (input, buffer) = (BytesMut::new(), BytesMut::new());
        Self { session, decoder, input, buffer, client: Client::default(), over: false }
    }

    async fn hear(&mut self, octets: &[u8]) {
        if self.over {
            return;
        }
        self.input.extend_from_slice(octets);
        while let Some(event) = self.decoder.next(&mut self.input) {
            self.event(event).await;
            if self.over {
                return;
            }
        }
        assert!(self.input.len() <= 64 << 10, "more is kept than a command may have");
        self.flush().await;
    }

    async fn event(&mut self, event: Event) {
        let mut out = Output::new(&mut self.client, &mut self.buffer);
        let then = match event {
            Event::Command(command) => return self.carry_out(command).await,
            Event::Line(line) => self.session.line(Some(&line), &mut out).await.expect("a client"),
            Event::Append(part) => {
                match self.session.append(part, NOW, &mut out).await.expect("a client") {
                    Literal::None => {}
                    Literal::Accept => self.decoder.accept(),
                    Literal::Refuse => self.decoder.refuse(),
                }
                return;
            }
            Event::Continue => return self.say(&Response::Continue("Go on".into())),
            Event::Refused(refusal) => {
                self.session.refused(&refusal);
                if !self.session.awaits_line() {
                    return self.say(&refusal.into());
                }
                self.session.line(None, &mut out).await.expect("a client")
            }
            Event::Fatal(status) => {
                self.say(&Response::Status(status));
                Then::Close
            }
        };
        self.follow(then).await;
    }

    async fn carry_out(&mut self, command: Command) {
        use CommandBody as C;
        match &command.body {
            C::Select { parameters, .. } | C::Examine { parameters, .. } => {
                let resync = parameters.qresync.as_ref();
                // Those are refused as none, and leave selected what is.
                let none = resync.is_some() && !self.client.enabled.contains("QRESYNC")
                    || resync.is_some_and(|resync| resync.matching.is_some())
                        && self.client.enabled.contains("UIDONLY");
                if !none {
                    self.client.leave();
                }
            }
            C::Close | C::Unselect | C::Logout => self.client.leave(),
            C::Unauthenticate => {
                self.client.leave();
                self.client.enabled.clear();
            }
            _ => {}
        }
        let mut out = Output::new(&mut self.client, &mut self.buffer);
        let then = self.session.command(command, NOW, &mut out).await.expect("a client");
        self.follow(then).await;
    }

    fn say(&mut self, response: &Response) {
        let encoder = iems_access::imap::codec::Encoder { utf8: self.session.utf8() };
        encoder.response(response, &mut self.buffer);
    }

    async fn follow(&mut self, mut then: Then) {
        while let Then::Ask(question) = then {
            let answer = match &question {
                Question::Password { login, password } if password.as_str() == "secret" => {
                    Answer::Account(login.parse().ok().map(Account::new))
                }
                Question::Verifier { .. } => Answer::Verifier(None),
                _ => Answer::Account(None),
            };
            let mut out = Output::new(&mut self.client, &mut self.buffer);
            then = self.session.answered(answer, &mut out).await.expect("a client");
        }
        if self.session.is_known() {
            self.decoder.set_limits(Limits::after_login(MESSAGE));
        }
        self.decoder.set_utf8(self.session.utf8());
        match then {
            Then::ReadLine => self.decoder.expect_line(),
            Then::Forget => self.decoder.set_limits(Limits::before_login()),
            // Nothing that this client could say to it.
            Then::Close | Then::Compress | Then::StartTls => self.over = true,
            Then::Read | Then::Ask(_) => {}
        }
        self.session.take_delay();
        self.flush().await;
    }

    async fn flush(&mut self) {
        Output::new(&mut self.client, &mut self.buffer).flush().await.expect("a client");
        assert!(self.client.pending.is_empty(), "half an answer: {}", self.client.pending.escape_ascii());
    }

    async fn news(&mut self) {
        let within = self.decoder.is_within(&self.input);
        if !self.over && self.session.waiting(within).is_some() {
            let mut out = Output::new(&mut self.client, &mut self.buffer);
            self.session.news(&mut out).await.expect("a client");
            self.flush().await;
        }
    }

    async fn command(&mut self, body: CommandBody) {
        let command = Command::new("z", body);
        let mut out = Output::new(&mut self.client, &mut self.buffer);
        self.session.command(command, NOW, &mut out).await.expect("a client");
        self.flush().await;
    }

    /// Everything is told to it, if it has selected a mailbox: which one.
    async fn everything(&mut self) -> Option<(AccountId, MailboxId)> {
        if self.over || !self.session.is_known() {
            return None;
        }
        // No message that has begun comes to its end.
        self.session.refused(&Refusal {
            tag: None,
            status: iems_access::imap::types::Status::bad("It is over"),
            forgets: false,
        });
        if self.session.is_idle() {
            let mut out = Output::new(&mut self.client, &mut self.buffer);
            self.session.line(Some(b"DONE"), &mut out).await.expect("a client");
            self.flush().await;
        }
        let events =
            vec![NotifyEvent::MessageNew(Vec::new()), NotifyEvent::MessageExpunge, NotifyEvent::FlagChange];
        let groups = vec![EventGroup { mailboxes: MailboxFilter::Selected, events }];
        self.command(CommandBody::Notify(Notify::Set { status: false, groups })).await;
        let mailbox = self.client.mailbox?;
        self.client.listed.clear();
        let messages = SequenceSet::Ranges(vec![SequenceRange { start: Bound::Number(1), end: Bound::Last }]);
        let attributes = vec![FetchAttribute::Uid, FetchAttribute::Flags];
        let fetch = Fetch { messages, attributes, changed_since: None, vanished: false, partial: None };
        self.command(CommandBody::Fetch { uid: true, fetch }).await;
        Some(mailbox)
    }
}

/// What a client reckons from what it hears.
#[derive(Default)]
struct Client {
    pending: Vec<u8>,
    heard: usize,
    /// The mailbox that is selected.
    mailbox: Option<(AccountId, MailboxId)>,
    count: usize,
    /// UIDs by number, where they were told; `None` once messages left that it had no number of.
    uids: Option<Vec<Option<u32>>>,
    /// UIDs and flags of the last answers that begin with them.
    listed: Vec<(u32, BTreeSet<String>)>,
    /// What it enabled.
    enabled: BTreeSet<String>,
}

impl Sink for Client {
    async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        assert!(octets.len() <= 1 << 20, "a large answer is not sent in pieces");
        self.heard += octets.len();
        assert!(self.heard <= HEARD, "a client is told too much");
        self.pending.extend_from_slice(octets);
        while let Some(end) = whole(&self.pending) {
            let response: Vec<u8> = self.pending.drain(..end).collect();
            self.hear(&response);
        }
        Ok(())
    }
}

/// Where the first response ends, literals included.
fn whole(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = octets.get(at..)?;
        let end = line.windows(2).position(|end| end == b"\r\n")?;
        let text = &line[..end];
        assert!(!text.iter().any(u8::is_ascii_control), "control octets in {}", text.escape_ascii());
        at += end + 2;
        match literal(text) {
            Some(length) => at = at.checked_add(length).filter(|at| *at <= octets.len())?,
            None => return Some(at),
        }
    }
}

/// The literal that a line announces.
fn literal(line: &[u8]) -> Option<usize> {
    let digits = line.strip_suffix(b"}")?;
    let at = digits.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&digits[at + 1..]).ok()?.parse().ok()
}

impl Client {
    fn hear(&mut self, response: &[u8]) {
        let text = String::from_utf8_lossy(response);
        let Some(rest) = text.strip_prefix("* ") else { return self.ends(&text) };
        if let Some(rest) = rest.strip_prefix("OK [MAILBOXID (F") {
            let (account, mailbox) = rest.split(')').next().and_then(|id| id.split_once('-')).expect("an id");
            let account = AccountId(u64::from_str_radix(account, 16).expect("a number"));
            self.mailbox = Some((account, MailboxId(u32::from_str_radix(mailbox, 16).expect("a number"))));
        }
        if let Some(names) = rest.strip_prefix("ENABLED") {
            return self.enabled.extend(names.split_ascii_whitespace().map(str::to_owned));
        }
        if let Some(set) = rest.strip_prefix("VANISHED ").filter(|set| !set.starts_with('(')) {
            return self.vanish(set.trim_end());
        }
        let Some((number, rest)) = rest.split_once(' ') else { return };
        let Ok(number) = number.parse::<u32>() else { return };
        let at = number as usize;
        match rest.trim_end() {
            "EXISTS" => {
                assert!(at >= self.count, "messages vanish without a word");
                self.count = at;
                if let Some(uids) = &mut self.uids {
                    uids.resize(at, None);
                }
            }
            "EXPUNGE" => {
                assert!((1..=self.count).contains(&at), "EXPUNGE of what is not there");
                self.count -= 1;
                if let Some(uids) = &mut self.uids {
                    uids.remove(at - 1);
                }
            }
            rest if rest.starts_with("FETCH (") => {
                assert!((1..=self.count).contains(&at), "FETCH of what is not there");
                self.fetched(at, &rest[7..]);
            }
            rest if rest.starts_with("UIDFETCH (UID ") => drop(self.list(&rest[10..])),
            _ => {}
        }
    }

    /// The end of a command; its tag is the client's.
    fn ends(&mut self, text: &str) {
        if text.starts_with("+ ") {
            return;
        }
        let end = text.split_once(' ').map(|(_, end)| end).unwrap_or_default();
        assert!(["OK ", "NO ", "BAD "].iter().any(|word| end.starts_with(word)), "{text:?} is no answer");
    }

    /// A message whose UID is told first keeps it.
    fn fetched(&mut self, at: usize, items: &str) {
        let Some(uid) = self.list(items) else { return };
        if let Some(known) = self.uids.as_mut().and_then(|uids| uids.get_mut(at - 1)) {
            assert!(known.is_none_or(|known| known == uid), "message {at} was {known:?} and is {uid}");
            *known = Some(uid);
        }
    }

    fn list(&mut self, items: &str) -> Option<u32> {
        let rest = items.strip_prefix("UID ")?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let uid = rest[..digits].parse().ok()?;
        let flags = rest[digits..].strip_prefix(" FLAGS (").and_then(|flags| flags.split(')').next());
        if let Some(flags) = flags {
            let flags = flags
                .split(' ')
                .filter(|flag| !flag.is_empty() && *flag != "\\Recent")
                .map(str::to_owned)
                .collect();
            self.listed.push((uid, flags));
        }
        Some(uid)
    }

    fn vanish(&mut self, set: &str) {
        for range in set.split(',') {
            let (first, last) = range.split_once(':').unwrap_or((range, range));
            let (first, last) = (first.parse::<u32>().expect("a UID"), last.parse::<u32>().expect("a UID"));
            for uid in first..=last {
                self.count = self.count.checked_sub(1).expect("no more leave than were there");
                let known =
                    self.uids.as_ref().and_then(|uids| uids.iter().position(|known| *known == Some(uid)));
                match (known, &mut self.uids) {
                    (Some(at), Some(uids)) => drop(uids.remove(at)),
                    _ => self.uids = None,
                }
            }
        }
    }

    /// It is about to select another mailbox, or none.
    fn leave(&mut self) {
        (self.mailbox, self.count, self.uids) = (None, 0, Some(Vec::new()));
    }
}
