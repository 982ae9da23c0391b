//! A client's side of a POP3 session (RFC 1939, RFC 2449, RFC 2595, RFC 5034): what is said, and what the answers mean. No I/O.
//!
//! One command at a time. What follows `+OK` to `CAPA`, `UIDL` and `RETR` ends with CRLF `.` CRLF and nothing else, as the text of a
//! message by SMTP does, and comes out without the dots that were put in front.

use bytes::{Buf, Bytes, BytesMut};

use iems_core::seam::sasl::client::Secret;

use crate::proto::{DataDecoder, Piece};

/// The longest status line, in octets; RFC 1939 allows 512.
const STATUS: usize = 2048;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// What it can do.
    Capa,
    /// TLS, please.
    Stls,
    /// A login by another way than a name and a password, or an answer within it: a line without its end.
    Auth(Secret),
    /// The login.
    User(String),
    /// Its password.
    Pass(String),
    /// The unique names of all messages.
    Uidl,
    /// A message.
    Retr(u32),
    /// Marks a message; it goes at `QUIT`.
    Dele(u32),
    /// The end: what is marked goes.
    Quit,
}

impl Ask {
    fn line(&self) -> Vec<u8> {
        let line = match self {
            Self::Auth(line) => return [line.as_ref(), b"\r\n"].concat(),
            Self::Capa => "CAPA\r\n".into(),
            Self::Stls => "STLS\r\n".into(),
            Self::User(user) => format!("USER {user}\r\n"),
            Self::Pass(password) => format!("PASS {password}\r\n"),
            Self::Uidl => "UIDL\r\n".into(),
            Self::Retr(number) => format!("RETR {number}\r\n"),
            Self::Dele(number) => format!("DELE {number}\r\n"),
            Self::Quit => "QUIT\r\n".into(),
        };
        line.into_bytes()
    }

    const fn follows(&self) -> Follows {
        match self {
            Self::Capa | Self::Uidl | Self::Retr(_) => Follows::More,
            Self::Auth(_) => Follows::Challenge,
            _ => Follows::Nothing,
        }
    }
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// `+OK`; more follows if the command has more.
    Ok(String),
    /// `-ERR`, with what it says.
    No(String),
    /// `+` and what is to be answered, in base 64.
    Challenge(String),
    /// More.
    Octets(Bytes),
    /// The end of it. `broken`: a bare CR or LF was in it, and not all of it came out.
    End {
        /// See there.
        broken: bool,
    },
}

/// The server does not speak POP3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server does not speak POP3")]
pub(super) struct NoPop3;

/// What may come instead of, or behind, the line of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Nothing,
    More,
    Challenge,
}

/// Where a session is.
#[derive(Debug)]
enum State {
    Status(Follows),
    More(DataDecoder),
    Idle,
}

/// A session.
#[derive(Debug)]
pub(super) struct Talk {
    state: State,
}

impl Talk {
    /// At its greeting.
    pub(super) const fn new() -> Self {
        Self { state: State::Status(Follows::Nothing) }
    }

    /// The octets of a command. Only after the answer to the one before.
    pub(super) fn ask(&mut self, ask: &Ask) -> Vec<u8> {
        self.state = State::Status(ask.follows());
        ask.line()
    }

    /// What the server says next, or `None` if more octets are needed, or nothing is asked.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Said>, NoPop3> {
        match &mut self.state {
            State::Idle => Ok(None),
            State::Status(follows) => {
                let follows = *follows;
                let Some(end) = memchr::memchr(b'\n', input) else {
                    return if input.len() > STATUS { Err(NoPop3) } else { Ok(None) };
                };
                let line = input.split_to(end);
                input.advance(1);
                if line.len() > STATUS {
                    return Err(NoPop3);
                }
                let text = String::from_utf8_lossy(&line).trim_end().replace(char::is_control, " ");
                let rest = |word: &str| text.strip_prefix(word).map(|rest| rest.trim().to_owned());
                self.state = State::Idle;
                match (rest("+OK"), rest("-ERR"), rest("+")) {
                    (Some(text), ..) => {
                        if follows == Follows::More {
                            self.state = State::More(DataDecoder::default());
                        }
                        Ok(Some(Said::Ok(text)))
                    }
                    (_, Some(text), _) => Ok(Some(Said::No(text))),
                    (.., Some(text)) if follows == Follows::Challenge => Ok(Some(Said::Challenge(text))),
                    _ => Err(NoPop3),
                }
            }
            State::More(decoder) => match decoder.next(input) {
                None => Ok(None),
                Some(Piece::Octets(octets)) => Ok(Some(Said::Octets(octets))),
                Some(Piece::End) => {
                    let broken = decoder.is_broken();
                    self.state = State::Idle;
                    Ok(Some(Said::End { broken }))
                }
            },
        }
    }
}

/// Number and unique name of each message, as `UIDL` lists them. Names of another form than RFC 1939 section 7 allows are left out.
pub(super) fn listed(text: &[u8]) -> Vec<(u32, String)> {
    let text = String::from_utf8_lossy(text);
    let one = |line: &str| {
        let (number, name) = line.trim().split_once(' ')?;
        let fits = (1..=128).contains(&name.len()) && name.bytes().all(|b| (0x21..=0x7e).contains(&b));
        fits.then(|| number.parse().ok().map(|number| (number, name.to_owned())))?
    };
    text.lines().filter_map(one).collect()
}

/// The mechanisms that `CAPA` lists (RFC 5034 section 3).
pub(super) fn mechanisms(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text).to_ascii_uppercase();
    let lines = text.lines().filter_map(|line| line.strip_prefix("SASL "));
    lines.flat_map(str::split_whitespace).take(64).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(talk: &mut Talk, said: &[u8], by: usize) -> Result<Vec<Said>, NoPop3> {
        let (mut input, mut found) = (BytesMut::new(), Vec::new());
        for piece in said.chunks(by) {
            input.extend_from_slice(piece);
            while let Some(one) = talk.next(&mut input)? {
                match (one, found.last_mut()) {
                    (Said::Octets(more), Some(Said::Octets(before))) => {
                        *before = [&before[..], &more[..]].concat().into();
                    }
                    (one, _) => found.push(one),
                }
            }
        }
        Ok(found)
    }

    #[test]
    fn answers_are_understood_however_they_are_cut() {
        for by in 1..40 {
            let mut talk = Talk::new();
            assert_eq!(all(&mut talk, b"+OK hello\r\n", by), Ok(vec![Said::Ok("hello".into())]));
            assert_eq!(talk.ask(&Ask::Retr(3)), b"RETR 3\r\n");
            let text = b"+OK 12 octets\r\nSubject: x\r\n\r\n..dot\r\n.\r\n";
            let octets = Said::Octets("Subject: x\r\n\r\n.dot\r\n".into());
            assert_eq!(
                all(&mut talk, text, by),
                Ok(vec![Said::Ok("12 octets".into()), octets, Said::End { broken: false }])
            );
            talk.ask(&Ask::Retr(4));
            assert_eq!(all(&mut talk, b"-ERR no such\r\n", by), Ok(vec![Said::No("no such".into())]));
            talk.ask(&Ask::Retr(5));
            let said = all(&mut talk, b"+OK\r\na\n.\nb\r\n.\r\n", by).unwrap();
            assert_eq!(said.last(), Some(&Said::End { broken: true }), "one message, and refused");
        }
        assert_eq!(all(&mut Talk::new(), b"220 smtp.example\r\n", 5), Err(NoPop3));
        assert_eq!(all(&mut Talk::new(), &[b'x'; 5000], 512), Err(NoPop3));
    }

    #[test]
    fn challenges_come_only_where_they_are_asked_for() {
        let mut talk = Talk::new();
        assert_eq!(talk.ask(&Ask::Auth(b"AUTH PLAIN".to_vec().into())), b"AUTH PLAIN\r\n");
        assert_eq!(all(&mut talk, b"+ eHg=\r\n", 3), Ok(vec![Said::Challenge("eHg=".into())]));
        talk.ask(&Ask::Auth(Vec::new().into()));
        assert_eq!(all(&mut talk, b"+\r\n", 3), Ok(vec![Said::Challenge(String::new())]));
        talk.ask(&Ask::Auth(Vec::new().into()));
        assert_eq!(all(&mut talk, b"+OK in\r\n", 3), Ok(vec![Said::Ok("in".into())]));
        talk.ask(&Ask::User("u".into()));
        assert_eq!(all(&mut talk, b"+ eHg=\r\n", 3), Err(NoPop3));
    }

    #[test]
    fn lists_are_read() {
        let capabilities = b"TOP\r\nUIDL\r\nsasl plain SCRAM-SHA-256\r\nSASLX y\r\n";
        assert_eq!(mechanisms(capabilities), ["PLAIN", "SCRAM-SHA-256"]);
        let text = b"1 a\r\n2 b c\r\nx d\r\n3 \r\n4 e\r\n99999999999 f\r\n";
        assert_eq!(listed(text), [(1, "a".to_owned()), (4, "e".to_owned())]);
    }
}
