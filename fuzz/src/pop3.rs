//! POP3: a dialogue is the same in any pieces, and a message arrives as it is stored.

use std::sync::Arc;

use bytes::BytesMut;
use iems_access::net::{Answer, Link, Question};
use iems_access::pop3::session::{Event, Maildrop, Session};
use iems_access::pop3::{Part, Retrieval, ServerOptions};
use iems_core::seam::Account;
use iems_store::mailbox::Uid;

use crate::pieces;

pub(crate) const DIALOGUES: &[&[u8]] = &[
    b"USER ann\r\nPASS secret\r\nSTAT\r\nLIST\r\nUIDL 2\r\nDELE 1\r\nRSET\r\nDELE 3\r\nQUIT\r\n",
    b"CAPA\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\nRETR 1\r\nTOP 2 1\r\nNOOP\r\nUIDL\r\nQUIT\r\n",
    b"AUTH LOGIN\r\nYW5u\r\nc2VjcmV0\r\nLIST 1\r\n",
    b"AUTH SCRAM-SHA-256 biwsbj1hbm4scj1hYmM=\r\n*\r\nAPOP x y\r\nUSER\r\nPASS a b c\r\n",
];

pub(crate) const MESSAGES: &[&[u8]] =
    &[b"A: b\r\n\r\n.\r\n..\r\nx", b"\n.\n.\r\r\n", b"A: b\r\n c\r\n\r\none\r\n", b""];

/// A peer that says anything, under TLS.
pub(crate) fn dialogue(octets: &[u8]) {
    let whole = talk(std::iter::once(octets));
    assert_eq!(whole, talk(pieces(octets)), "pieces make a difference");
    let text = String::from_utf8(whole).expect("replies are text");
    for line in text.split_inclusive('\n') {
        assert!(line.ends_with("\r\n") && !line[..line.len() - 2].contains(['\r', '\n']), "{line:?}");
    }
}

fn talk<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut options = ServerOptions::new("mx.example.org");
    options.auth.secret = Some([1; 32]);
    let link = Link { tls: true, tls_available: true, local: false };
    let mut session = Session::new(Arc::new(options), link, Arc::new(|| Some([2; 18])));
    let (mut input, mut sent) = (BytesMut::new(), Vec::new());
    for piece in std::iter::once(&b""[..]).chain(pieces) {
        input.extend_from_slice(piece);
        while let Some(event) = session.next(&mut input) {
            if !answer(&mut session, event) {
                sent.extend_from_slice(&session.output().split());
                return sent;
            }
            session.take_delay();
            sent.extend_from_slice(&session.output().split());
        }
        session.take_delay();
        sent.extend_from_slice(&session.output().split());
    }
    sent
}

/// Answers; `false` at the end.
fn answer(session: &mut Session, event: Event) -> bool {
    let mut next = Some(event);
    while let Some(event) = next.take() {
        match event {
            Event::Flush => {}
            Event::Close => return false,
            Event::StartTls => panic!("TLS is in force"),
            Event::Ask(Question::Password { login, password }) => {
                let known = login == "ann" && password.as_str() == "secret";
                let mailbox = "ann@example.org".parse().expect("an address");
                next = session.answered(Answer::Account(known.then_some(Account::new(mailbox))));
            }
            Event::Ask(Question::Verifier { .. }) => next = session.answered(Answer::Verifier(None)),
            Event::Ask(_) => next = session.answered(Answer::Account(None)),
            Event::Open(_) => session.opened(Ok(Maildrop::new("box", (1..9).map(|uid| (Uid(uid), 10))))),
            Event::Retrieve { uid, .. } => {
                assert!((1..9).contains(&uid.0));
                session.found(Ok(10));
            }
            Event::Update { seen, removed: uids } => {
                assert!(seen.len() + uids.len() > 0 && seen.len() + uids.len() < 9);
                session.updated(Ok(()));
            }
        }
    }
    true
}

/// A message that holds anything: the client finds its end where it is, and before it what was stored, with whole line ends.
pub(crate) fn message(octets: &[u8]) {
    let sent = retrieve(octets, Part::All);
    let end = ends(&sent);
    assert_eq!(end, vec![sent.len()], "the end mark is elsewhere");
    let mut received = Vec::new();
    for line in sent[..sent.len() - 3].split_inclusive(|octet| *octet == b'\n') {
        received.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    let whole = whole_lines(octets);
    assert!(received.starts_with(&whole) && received.len() <= whole.len() + 2, "the message changed");
    for lines in 0..3 {
        let top = retrieve(octets, Part::Top(lines));
        assert_eq!(ends(&top), vec![top.len()]);
        assert!(octets.is_empty() || sent.starts_with(&top[..top.len() - 3]), "TOP is no beginning");
    }
}

/// The same with CRLF where LF stands alone.
fn whole_lines(octets: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(octets.len());
    for octet in octets {
        if *octet == b'\n' && !whole.ends_with(b"\r") {
            whole.push(b'\r');
        }
        whole.push(*octet);
    }
    whole
}

fn retrieve(octets: &[u8], part: Part) -> Vec<u8> {
    let (mut retrieval, mut sent) = (Retrieval::new(part), Vec::new());
    pieces(octets).for_each(|piece| retrieval.feed(piece, &mut sent));
    retrieval.finish(&mut sent);
    sent
}

/// Where even a lenient client, which takes LF alone for a line end, could see the end of the message.
fn ends(sent: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let lines = sent.split_inclusive(|octet| *octet == b'\n').map(|line| {
        at += line.len();
        (at, line)
    });
    lines.filter(|(_, line)| matches!(*line, b".\r\n" | b".\n")).map(|(at, _)| at).collect()
}
