//! Dialogues from `dialogues/`, and what must hold for any octets.

use std::collections::VecDeque;
use std::path::Path;

use iems_core::seam::Account;
use iems_store::mailbox::Uid;
use proptest::prelude::*;

use super::*;
use crate::net::{Answer, Question};
use crate::pop3::Retrieval;

/// A UID whose message is gone when it is asked for.
const GONE: u32 = 13;

fn text(uid: Uid) -> String {
    format!("Subject: {0}\r\n\r\n.line {0}\r\n", uid.0)
}

fn options() -> Arc<ServerOptions> {
    let mut options = ServerOptions::new("mx.example.org");
    options.auth.secret = Some([1; 32]);
    Arc::new(options)
}

/// A session with the world around it.
struct Player {
    session: Option<Session>,
    input: BytesMut,
    sent: Vec<u8>,
    mail: Vec<Uid>,
    removed: Option<Vec<Uid>>,
    seen: Option<Vec<Uid>>,
    handshakes: usize,
    delayed: bool,
    closed: bool,
}

impl Player {
    fn new(link: Link, mail: Vec<Uid>) -> Self {
        let session = Some(Session::new(options(), link, Arc::new(|| Some([2; 18]))));
        let (input, sent) = (BytesMut::new(), Vec::new());
        let mut player = Self {
            session,
            input,
            sent,
            mail,
            removed: None,
            seen: None,
            handshakes: 0,
            delayed: false,
            closed: false,
        };
        player.feed(b"");
        player
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().unwrap()
    }

    fn feed(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        loop {
            let mut input = std::mem::take(&mut self.input);
            let mut event = self.session().next(&mut input);
            self.input = input;
            if event.is_none() {
                return self.flush();
            }
            while let Some(next) = event {
                event = self.answer(next);
            }
            if self.closed {
                return;
            }
        }
    }

    fn flush(&mut self) {
        self.delayed |= self.session().take_delay().is_some();
        let output = self.session().output().split();
        self.sent.extend_from_slice(&output);
    }

    fn answer(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Flush => self.flush(),
            Event::Close => {
                self.flush();
                self.closed = true;
            }
            Event::StartTls => {
                self.flush();
                self.handshakes += 1;
                self.input.clear();
                self.session = self.session.take().map(Session::secured);
            }
            Event::Ask(Question::Password { login, password }) => {
                let known =
                    matches!(login.as_str(), "ann" | "bob" | "eve" | "dis") && password.as_str() == "secret";
                let mailbox = format!("{}@example.org", if known { &login } else { "x" });
                let account = Account::new(mailbox.parse().unwrap());
                return self.session().answered(Answer::Account(known.then_some(account)));
            }
            Event::Ask(Question::Verifier { .. }) => return self.session().answered(Answer::Verifier(None)),
            Event::Ask(_) => return self.session().answered(Answer::Account(None)),
            Event::Open(account) => {
                let mail = self.mail.iter().map(|uid| (*uid, text(*uid).len() as u64));
                let maildrop = match account.mailbox.local().as_str() {
                    "bob" => Err(Unopened::InUse),
                    "eve" => Err(Unopened::Unavailable),
                    "dis" => Err(Unopened::Disabled),
                    _ => Ok(Maildrop::new("box", mail)),
                };
                self.session().opened(maildrop);
            }
            Event::Retrieve { uid, part } => self.retrieve(uid, part),
            Event::Update { seen, removed } => {
                self.flush();
                self.removed = Some(removed).filter(|uids| !uids.is_empty());
                self.seen = Some(seen).filter(|uids| !uids.is_empty());
                self.session().updated(Ok(()));
            }
        }
        None
    }

    fn retrieve(&mut self, uid: Uid, part: crate::pop3::Part) {
        if uid.0 == GONE {
            return self.session().found(Err(NotFound::Gone));
        }
        let text = text(uid);
        self.session().found(Ok(text.len() as u64));
        self.flush();
        let mut retrieval = Retrieval::new(part);
        retrieval.feed(text.as_bytes(), &mut self.sent);
        retrieval.finish(&mut self.sent);
    }
}

fn link(word: &str) -> Link {
    Link { tls: word == "tls", tls_available: word != "bare", local: word == "local" }
}

fn uids(text: &str) -> Vec<Uid> {
    text.split_whitespace().map(|uid| Uid(uid.parse().unwrap())).collect()
}

fn play(path: &Path) {
    let script = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    let mut lines: VecDeque<&str> =
        script.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let mut take = |word: &str| {
        let rest = lines.front()?.strip_prefix(word)?;
        lines.pop_front();
        Some(rest)
    };
    let link = link(take("link ").unwrap_or("tls"));
    let mut player = Player::new(link, take("mail ").map(uids).unwrap_or_default());
    let mut said = VecDeque::new();
    for line in lines {
        if let Some(text) = line.strip_prefix("C: ").or((line == "C:").then_some("")) {
            said.push_back(text);
            continue;
        }
        if !said.is_empty() {
            assert!(player.sent.is_empty(), "{name}: before {said:?}: {}", player.sent.escape_ascii());
            player.delayed = false;
            let piece: String = said.drain(..).map(|line| format!("{line}\r\n")).collect();
            player.feed(piece.as_bytes());
        }
        expect(&mut player, line, &name);
    }
    assert!(said.is_empty() && player.sent.is_empty(), "{name}: {}", player.sent.escape_ascii());
}

fn expect(player: &mut Player, line: &str, name: &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "S:" => {
            let at = memchr::memchr(b'\n', &player.sent);
            let at = at.unwrap_or_else(|| panic!("{name}: nothing came for {line:?}"));
            let sent: Vec<u8> = player.sent.drain(..=at).collect();
            let sent = String::from_utf8(sent).unwrap();
            let matches = match rest.strip_suffix('*') {
                Some(beginning) => sent.starts_with(beginning) && sent.ends_with("\r\n"),
                None => sent == format!("{rest}\r\n"),
            };
            assert!(matches, "{name}: {line:?}, but came {sent:?}");
        }
        "removed" => assert_eq!(player.removed.take(), Some(uids(rest)), "{name}"),
        "seen" => assert_eq!(player.seen.take(), Some(uids(rest)), "{name}"),
        "handshake" => assert_eq!(player.handshakes, 1, "{name}"),
        "delayed" => assert!(player.delayed, "{name}"),
        "closed" => assert!(player.closed && player.removed.is_none() && player.seen.is_none(), "{name}"),
        other => panic!("{name}: {other:?} is no word of dialogues"),
    }
}

#[test]
fn dialogues() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pop3") {
            play(&path);
            played += 1;
        }
    }
    assert!(played >= 15, "only {played} dialogues were found");
}

#[test]
fn a_long_listing_comes_in_pieces() {
    let all: Vec<_> = (1..=5000).map(Uid).collect();
    let mut player = Player::new(link("tls"), all);
    let mut input = BytesMut::from(&b"USER ann\r\nPASS secret\r\n"[..]);
    player.feed(&input.split());
    input.extend_from_slice(b"UIDL\r\n");
    let mut most = 0;
    let mut pieces = 0;
    while let Some(event) = player.session().next(&mut input) {
        assert!(matches!(event, Event::Flush), "{event:?}");
        most = most.max(player.session().output().len());
        player.flush();
        pieces += 1;
    }
    player.flush();
    assert!(most < 17 * 1024 && pieces > 2, "{most} octets, {pieces} pieces");
    assert!(player.sent.ends_with(b"5000 box.1388\r\n.\r\n"));
}

#[test]
fn a_shutdown_removes_nothing() {
    let mut player = Player::new(link("tls"), vec![Uid(1)]);
    player.feed(b"USER ann\r\nPASS secret\r\nDELE 1\r\n");
    player.sent.clear();
    player.session().abandon();
    player.feed(b"QUIT\r\n");
    assert_eq!(player.sent, b"-ERR [SYS/TEMP] The server shuts down\r\n");
    assert!(player.closed && player.removed.is_none());
}

proptest! {
    #[test]
    fn no_octets_break_the_dialogue(
        words in proptest::collection::vec(prop_oneof![
            Just("USER ann\r\n".to_owned()), Just("PASS secret\r\n".to_owned()), Just("STLS\r\n".to_owned()),
            Just("LIST\r\n".to_owned()), Just("RETR 1\r\n".to_owned()), Just("DELE 2\r\n".to_owned()),
            Just("AUTH PLAIN\r\n".to_owned()), Just("AUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==\r\n".to_owned()),
            Just("AGFubgBzZWNyZXQ=\r\n".to_owned()), Just("CAPA\r\n".to_owned()), "[ -~\r\n]{0,20}",
        ], 0..25),
        piece in 1..64usize,
        word in prop_oneof![Just("tls"), Just("plain"), Just("local")],
    ) {
        let octets = words.concat();
        let mut player = Player::new(link(word), vec![Uid(1), Uid(2)]);
        for piece in octets.as_bytes().chunks(piece) {
            if player.closed {
                break;
            }
            player.feed(piece);
            prop_assert!(player.input.len() <= RESPONSE + 64);
        }
        // Every reply is whole lines.
        prop_assert!(player.sent.ends_with(b"\r\n"));
    }
}
