//! False ends of data, and what a server makes of them: how often it reads one message where one was meant.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dialogue::octets;
use crate::smtp::{Reply, Smtp};
use crate::wait::{secs, wait_for};

/// The envelope and text of what would be a second message, behind the false end of the first.
pub const HIDDEN: &[&str] = &[
    "MAIL FROM:<evil@example.com>\r\n",
    "RCPT TO:<user1@example.org>\r\n",
    "DATA\r\n",
    "Subject: hidden\r\n\r\nhidden\r\n",
];

/// A spelling, as it stands in the list and in octets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spelling {
    /// As text.
    pub shown: String,
    /// As octets.
    pub octets: Vec<u8>,
}

/// All of them: those of `iems-smtp/tests/endings.txt`.
pub fn spellings() -> Vec<Spelling> {
    let list = include_str!("../../iems-smtp/tests/endings.txt");
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| Spelling { shown: line.to_owned(), octets: octets(line) }).collect()
}

/// How the octets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All in one write.
    Stream,
    /// A rest behind the false end, and behind each line after it, for servers that want to be waited for.
    Paced,
    /// All in one write, by `BDAT` in one chunk.
    Chunk,
}

/// What came of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The reply to the first end of data; 0 if there was none.
    pub first: u16,
    /// The reply to the end of a second message, if one began.
    pub second: Option<u16>,
}

impl Reading {
    /// Whether a second message was taken.
    pub fn is_smuggled(self) -> bool {
        self.second.is_some_and(|code| code / 100 == 2)
    }
}

/// Sends a message to `to` with a false end in it, and what follows.
///
/// # Panics
/// If the server does not take the envelope.
#[track_caller]
pub fn attempt(at: SocketAddrV4, hello: &str, to: &str, spelling: &[u8], pace: Pace) -> Reading {
    let mut smtp = Smtp::connect(at);
    smtp.must(hello, 250);
    smtp.must("MAIL FROM:<c@example.com>", 250);
    smtp.must(&format!("RCPT TO:<{to}>"), 250);
    let start = [b"Subject: outer\r\n\r\nbody", spelling].concat();
    let hidden = HIDDEN.concat();
    // A server that has seen enough may close at any moment.
    match pace {
        Pace::Chunk => {
            let message = [&start[..], hidden.as_bytes()].concat();
            let command = format!("BDAT {} LAST\r\n", message.len());
            let _ = smtp.wire.send(&[command.as_bytes(), &message].concat());
        }
        Pace::Stream => {
            smtp.must("DATA", 354);
            let _ = smtp.wire.send(&[&start[..], hidden.as_bytes(), b".\r\n"].concat());
        }
        Pace::Paced => {
            smtp.must("DATA", 354);
            let _ = smtp.wire.send(&start);
            for line in HIDDEN.iter().copied().chain([".\r\n"]) {
                std::thread::sleep(Duration::from_millis(60));
                let _ = smtp.wire.send(line.as_bytes());
            }
        }
    }
    reading(&replies(&mut smtp))
}

/// Lays a batch for each spelling into `folder`, and reads its answers: the message with the false end in it, and what follows.
///
/// # Panics
/// If the answers do not come.
pub fn batches(folder: &Path, to: &str, spellings: &[Spelling]) -> Vec<Reading> {
    std::fs::create_dir_all(folder).expect("the folder");
    let start = format!(
        "EHLO x\r\nMAIL FROM:<c@example.com>\r\nRCPT TO:<{to}>\r\nDATA\r\nSubject: outer\r\n\r\nbody"
    );
    for (n, spelling) in spellings.iter().enumerate() {
        let batch = [start.as_bytes(), &spelling.octets, HIDDEN.concat().as_bytes(), b".\r\n"].concat();
        let draft = folder.join(format!(".{n:04}"));
        std::fs::write(&draft, batch).expect("a batch");
        std::fs::rename(draft, folder.join(format!("{n:04}.bsmtp"))).expect("its name");
    }
    let answered = |n: usize| {
        let ending = format!("-{n:04}.bsmtp.answers");
        let folders = ["done", "failed"].map(|name| std::fs::read_dir(folder.join(name)));
        let files = folders.into_iter().flatten().flatten().map(|entry| entry.expect("an entry").path());
        let is_it = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.ends_with(&ending) && !name.starts_with('.')
        };
        files.into_iter().find(is_it).map(|path| std::fs::read_to_string(path).expect("answers"))
    };
    let read = |n: usize| {
        let text = wait_for(&format!("the answers to batch {n}"), secs(60), || answered(n));
        let code = |line: &str| line.split_once(": ").and_then(|(_, reply)| reply.get(..3)?.parse().ok());
        let codes: Vec<u16> =
            text.lines().filter(|line| line.starts_with("line ")).filter_map(code).collect();
        // After MAIL and RCPT comes what became of the message; anything more is a second one.
        Reading {
            first: codes.get(2).copied().unwrap_or_default(),
            second: codes.get(3).map(|_| codes[codes.len() - 1]),
        }
    };
    (0..spellings.len()).map(read).collect()
}

fn replies(smtp: &mut Smtp) -> Vec<Reply> {
    smtp.wire.patience(Duration::from_secs(5));
    let mut replies: Vec<Reply> = smtp.reply().into_iter().collect();
    // After the first, all that comes by itself; nothing is asked that a server could take for part of the data.
    smtp.wire.patience(Duration::from_millis(400));
    replies.extend(std::iter::from_fn(|| smtp.reply().ok()));
    replies
}

fn reading(replies: &[Reply]) -> Reading {
    let first = replies.first().map_or(0, |reply| reply.code);
    let begun = replies.iter().skip(1).position(|reply| reply.code == 354).map(|at| at + 2);
    Reading { first, second: begun.map(|at| replies.get(at).map_or(0, |reply| reply.code)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_message_shows_in_the_replies() {
        let replies = |codes: &[u16]| -> Vec<Reply> {
            codes.iter().map(|code| Reply { code: *code, lines: Vec::new() }).collect()
        };
        for (codes, first, second) in [
            (&[250, 221][..], 250, None),
            (&[550, 221], 550, None),
            (&[250, 250, 250, 354, 250, 221], 250, Some(250)),
            (&[250, 250, 250, 354], 250, Some(0)),
            (&[], 0, None),
        ] {
            assert_eq!(reading(&replies(codes)), Reading { first, second });
        }
    }
}
