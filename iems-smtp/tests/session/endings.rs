//! Every spelling of an end of data in `tests/endings.txt` through every way in, cut everywhere: never more than one message.

use iems_smtp::server::Mode;
use iems_smtp::server::session::Link;

use crate::dialogues::unescape;
use crate::support::{self, Desk};

/// What would be the second message.
const HIDDEN: &[u8] =
    b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<hidden@c>\r\nDATA\r\nSubject: hidden\r\n\r\nhidden\r\n";

/// The spellings, with how they stand in the file.
fn spellings() -> Vec<(String, Vec<u8>)> {
    let lines = include_str!("../endings.txt").lines().filter(|line| !line.starts_with('#'));
    let all: Vec<_> = lines.map(|line| (line.to_owned(), unescape(line))).collect();
    assert!(all.len() >= 70, "{}", all.len());
    all
}

fn desk(mode: Mode) -> Desk {
    let mut options = support::options(mode);
    options.max_size = 10_000;
    // A connection that is closed early proves nothing.
    options.limits.hard_errors = 10_000;
    options.limits.idle_commands = 10_000;
    let mut desk = Desk::new(options, Link { tls: false, tls_available: false, local: true });
    let hello = if mode == Mode::Lmtp { "LHLO" } else { "EHLO" };
    desk.feed(format!("{hello} a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\n").as_bytes());
    desk
}

fn text(spelling: &[u8]) -> Vec<u8> {
    [b"Subject: outer\r\n\r\nbody", spelling, HIDDEN].concat()
}

/// At most one message, which holds all that was sent; no second transaction.
fn one_at_most(desk: &Desk, sent: &[u8], how: &str) {
    assert!(desk.messages.len() <= 1, "{how}: {} messages", desk.messages.len());
    let begun = desk.events.iter().filter(|event| **event == "mail").count();
    assert_eq!(begun, 1, "{how}: a second transaction");
    if let Some(message) = desk.messages.first() {
        assert_eq!(message.escape_ascii().to_string(), sent.escape_ascii().to_string(), "{how}");
    }
}

/// A message as DATA carries it in: without the dots that would be stuffing.
fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, octet) in wire.iter().enumerate() {
        if !(*octet == b'.' && wire[..at].ends_with(b"\r\n")) {
            out.push(*octet);
        }
    }
    out
}

#[test]
fn by_data_cut_everywhere() {
    for (shown, spelling) in spellings() {
        let inner = text(&spelling);
        let wire = [&inner, &b".\r\nNOOP\r\n"[..]].concat();
        let (kept, whole) = (unstuffed(&inner), wire.len());
        for mode in [Mode::Relay, Mode::Submission, Mode::Lmtp] {
            for at in 0..=whole {
                let mut desk = match mode {
                    Mode::Submission => logged_in(),
                    mode => desk(mode),
                };
                desk.feed(b"DATA\r\n");
                if at == 0 {
                    wire.chunks(1).for_each(|octet| desk.feed(octet));
                } else {
                    desk.feed(&wire[..at]);
                    desk.feed(&wire[at..]);
                }
                one_at_most(&desk, &kept, &format!("{shown} by {mode:?}, cut at {at}"));
                assert!(desk.output.ends_with(b"250 2.0.0 ok\r\n"), "{shown}: NOOP is a command again");
            }
        }
    }
}

fn logged_in() -> Desk {
    let mut options = support::options(Mode::Submission);
    options.max_size = 10_000;
    options.limits.hard_errors = 10_000;
    let mut desk = Desk::new(options, Link { tls: false, tls_available: false, local: true });
    desk.feed(b"EHLO a\r\nAUTH PLAIN AHVzZXIAcGVuY2ls\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\n");
    desk
}

#[test]
fn by_bdat_in_chunks_cut_everywhere() {
    for (shown, spelling) in spellings() {
        // The real end of DATA is none here, either.
        let message = [&text(&spelling), &b".\r\nNOOP\r\n"[..]].concat();
        for mode in [Mode::Relay, Mode::Lmtp] {
            for at in 0..=message.len() {
                let mut desk = desk(mode);
                let (first, second) = message.split_at(at);
                desk.feed(format!("BDAT {at}\r\n").as_bytes());
                desk.feed(first);
                desk.feed(&[format!("BDAT {} LAST\r\n", second.len()).as_bytes(), second].concat());
                one_at_most(&desk, &message, &format!("{shown} by {mode:?} in chunks cut at {at}"));
            }
            let mut desk = desk(mode);
            message.iter().for_each(|octet| desk.feed(&[b"BDAT 1\r\n", &[*octet][..]].concat()));
            desk.feed(b"BDAT 0 LAST\r\n");
            one_at_most(&desk, &message, &format!("{shown} by {mode:?} octet by octet"));
            assert_eq!(desk.events.iter().filter(|e| matches!(**e, "end" | "reset")).count(), 1);
        }
    }
}

#[test]
fn a_chunk_that_ends_within_the_spelling_gives_its_rest_no_meaning() {
    for (shown, spelling) in spellings() {
        for cut in 0..=spelling.len() {
            let (inside, outside) = spelling.split_at(cut);
            let chunk = [b"Subject: outer\r\n\r\nbody", inside].concat();
            for last in ["", " LAST"] {
                let mut desk = desk(Mode::Relay);
                let wire = [
                    format!("BDAT {}{last}\r\n", chunk.len()).as_bytes(),
                    &chunk,
                    outside,
                    // What would be a second message were it one octet further; no transaction may come of its line.
                    b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<hidden@c>\r\n.\r\n",
                ]
                .concat();
                desk.feed(&wire);
                let begun = desk.events.iter().filter(|event| **event == "mail").count();
                // After LAST, and where nothing of the spelling is left, commands are commands.
                let rightful =
                    usize::from(last == " LAST" && (outside.is_empty() || outside.ends_with(b"\r\n")));
                assert!(begun <= 1 + rightful, "{shown} cut at {cut}{last}: {:?}", desk.events);
                assert!(desk.messages.len() <= 1, "{shown} cut at {cut}{last}");
            }
        }
    }
}
