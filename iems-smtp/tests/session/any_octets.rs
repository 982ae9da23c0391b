//! Whatever a peer sends, in whatever pieces: no panic, bounded memory, and one outcome.

use crate::support::{self, Desk};
use iems_smtp::server::Mode;
use iems_smtp::server::session::Link;
use proptest::prelude::*;

/// What dialogues are made of, with what breaks them.
const WORDS: &[&str] = &[
    "EHLO a\r\n",
    "HELO a\r\n",
    "LHLO a\r\n",
    "MAIL FROM:<a@b>\r\n",
    "MAIL FROM:<refused@b>\r\n",
    "RCPT TO:<b@c>\r\n",
    "RCPT TO:<nobody@c>\r\n",
    "RCPT TO:<full@c>\r\n",
    "DATA\r\n",
    "BDAT 4\r\n",
    "BDAT 5 LAST\r\n",
    "BDAT 0 LAST\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "AUTH PLAIN\r\n",
    "AUTH LOGIN dXNlcg==\r\n",
    "AHVzZXIAcGVuY2ls\r\n",
    "*\r\n",
    ".\r\n",
    "\r\n.\r\n",
    "\n.\n",
    "\r\n.\n",
    "\r.\r",
    "\r",
    "\n",
    "\r\n",
    ".",
    "text",
    "\0",
    "\u{fc}",
    "QUIT\r\n",
];

/// Under which the log has the connection.
const NAME: &str = "7F3K9QZX";

/// What came of it: what was said, what was accepted, what happened.
fn outcome(mode: Mode, octets: &[u8], cuts: &[usize]) -> (String, Vec<Vec<u8>>, Vec<&'static str>) {
    let mut options = support::options(mode);
    options.limits.hard_errors = 1000;
    options.auth.max_failures = 1000;
    options.auth.enabled = true;
    let link = Link { tls: false, tls_available: false, local: true };
    let mut desk = Desk::named(options, link, Some(NAME));
    let mut rest = octets;
    let mut cuts = cuts.iter().copied().chain(std::iter::repeat(usize::MAX));
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(cuts.next().unwrap_or(1)));
        rest = later;
        desk.feed(now);
        assert!(desk.closed || desk.buffered() <= 12_288, "bounded");
    }
    (String::from_utf8_lossy(&desk.output).into_owned(), desk.messages, desk.events)
}

fn modes() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Relay, Mode::Submission, Mode::Lmtp])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_change_nothing(
        mode in modes(),
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..40),
        cuts in prop::collection::vec(1usize..12, 0..40),
    ) {
        let hello = if mode == Mode::Lmtp { "LHLO a\r\n" } else { "EHLO a\r\n" };
        let octets = [hello, &words.concat()].concat().into_bytes();
        let whole = outcome(mode, &octets, &[]);
        prop_assert_eq!(&outcome(mode, &octets, &cuts), &whole);
        prop_assert_eq!(&outcome(mode, &octets, &vec![1; octets.len()]), &whole);
    }

    #[test]
    fn every_message_has_its_end_and_every_line_its_reply(
        mode in modes(),
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..60),
    ) {
        let (said, messages, events) = outcome(mode, words.concat().as_bytes(), &[]);
        prop_assert_eq!(events.iter().filter(|e| **e == "end").count(), messages.len());
        for line in said.split_terminator("\r\n") {
            let code = line.get(..3).and_then(|c| c.parse::<u16>().ok());
            prop_assert!(code.is_some_and(|c| (200..600).contains(&c)), "{line:?}");
            let enhanced = line.get(4..).and_then(|t| t.split(' ').next()).and_then(|word| {
                word.parse::<iems_core::message::EnhancedStatus>().ok()
            });
            if matches!(line.as_bytes()[0], b'4' | b'5') {
                let class = enhanced.map(|status| u16::from(status.class()));
                prop_assert_eq!(class, code.map(|code| code / 100), "{:?}", line);
                let last = line.as_bytes()[3] == b' ';
                prop_assert!(!last || line.ends_with(&format!(" [{NAME}]")), "{:?}", line);
            }
        }
        for message in messages {
            let mut ends = iems_smtp::proto::data::LineEnds::default();
            ends.feed(&message);
            prop_assert!(!ends.is_broken(true));
        }
    }

    #[test]
    fn no_octets_panic(mode in modes(), octets in prop::collection::vec(any::<u8>(), 0..300)) {
        outcome(mode, &octets, &[3, 1]);
    }
}
