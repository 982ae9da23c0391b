//! Plays `dialogues/*.smtp` over a session: each as it stands, with all that may be pipelined joined, and octet by octet.
//!
//! A file begins with `mode:` (relay, submission, lmtp, collection), `link:` (clear, local, tls-available, tls), and, if more errors
//! than five are to be borne, `errors:`. Then
//! `C:` a line of the peer, sent with CRLF; `C~` the same without, with `\r \n \0 \t \\` replaced;
//! `S:` a line of ours, to its end or up to `*`; `M:` the next message that was accepted, with replacements;
//! `T:` the handshake is done; `X:` the session has closed. `# joined` says that it must be played joined only.

use crate::support::{self, Desk};
use iems_smtp::server::Mode;
use iems_smtp::server::session::Link;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Lines,
    Joined,
    Octets,
}

struct Player<'a> {
    name: &'a str,
    way: Way,
    desk: Desk,
    said: usize,
    messages: usize,
    held: Vec<u8>,
}

#[test]
fn dialogues_run_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let ways: &[Way] = match text.contains("# joined") {
            true => &[Way::Joined],
            false => &[Way::Lines, Way::Joined, Way::Octets],
        };
        ways.iter().for_each(|way| play(&name, &text, *way));
        played += 1;
    }
    assert!(played >= 10, "{played} dialogues");
}

fn play(name: &str, text: &str, way: Way) {
    let head = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).map(str::trim).unwrap_or_default();
    let mode = match head("mode:") {
        "submission" => Mode::Submission,
        "lmtp" => Mode::Lmtp,
        "collection" => Mode::Collection,
        _ => Mode::Relay,
    };
    let link = Link {
        tls: head("link:") == "tls",
        tls_available: head("link:").starts_with("tls"),
        local: head("link:") == "local",
    };
    let mut options = support::options(mode);
    options.limits.hard_errors = head("errors:").parse().unwrap_or(options.limits.hard_errors);
    let desk = Desk::new(options, link);
    let mut player = Player { name, way, desk, said: 0, messages: 0, held: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        player.step(number + 1, line);
    }
    player.flush();
    let rest = String::from_utf8_lossy(&player.desk.output[player.said..]).into_owned();
    assert_eq!(rest, "", "{name} {way:?}: said more than written");
    assert_eq!(player.desk.messages.len(), player.messages, "{name} {way:?}: accepted more than written");
}

impl Player<'_> {
    fn step(&mut self, number: usize, line: &str) {
        let (kind, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let place = format!("{}:{number} {:?}", self.name, self.way);
        match kind {
            "C:" => self.send(&[rest.as_bytes(), b"\r\n"].concat()),
            "C~" => self.send(&unescape(rest)),
            "S:" => self.expect(rest, &place),
            "M:" => {
                self.flush();
                let message =
                    self.desk.messages.get(self.messages).unwrap_or_else(|| panic!("{place}: no message"));
                assert_eq!(
                    message.escape_ascii().to_string(),
                    unescape(rest).escape_ascii().to_string(),
                    "{place}"
                );
                self.messages += 1;
            }
            "T:" => {
                self.flush();
                assert!(self.desk.handshake, "{place}: no handshake is waited for");
                self.desk.secure();
            }
            "X:" => {
                self.flush();
                assert!(self.desk.closed, "{place}: still open");
            }
            _ => {}
        }
    }

    fn send(&mut self, octets: &[u8]) {
        match self.way {
            Way::Lines => self.desk.feed(octets),
            Way::Joined => self.held.extend_from_slice(octets),
            Way::Octets => octets.iter().for_each(|octet| self.desk.feed(&[*octet])),
        }
    }

    fn flush(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.desk.feed(&held);
    }

    fn expect(&mut self, wanted: &str, place: &str) {
        self.flush();
        let rest = &self.desk.output[self.said..];
        let end = rest.windows(2).position(|w| w == b"\r\n");
        let Some(end) = end else { panic!("{place}: nothing said, wanted {wanted}") };
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.said += end + 2;
        match wanted.strip_suffix('*') {
            Some(start) => assert!(line.starts_with(start), "{place}: said {line:?}, wanted {wanted:?}"),
            None => assert_eq!(line, wanted, "{place}"),
        }
    }
}

/// Octets from text, with `\r \n \t \0 \\ \xNN` replaced.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        out.push(match octet {
            b'\\' => match octets.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'0') => 0,
                Some(b'x') => {
                    let digits: String = octets.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
                }
                other => other.unwrap_or(b'\\'),
            },
            other => other,
        });
    }
    out
}
