//! Commands and their lines (RFC 1939 section 3, RFC 2449 section 4).

use std::fmt;

use bytes::BytesMut;

/// A command as the peer gave it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `USER name`.
    User(String),
    /// `PASS string`; spaces belong to it.
    Pass(String),
    /// `AUTH mechanism [initial-response]` (RFC 5034 section 4), still in base 64.
    Auth {
        /// The mechanism's name.
        mechanism: String,
        /// The initial response; `=` stands for an empty one.
        initial: Option<String>,
    },
    /// `STLS` (RFC 2595 section 4).
    Stls,
    /// `CAPA` (RFC 2449 section 5).
    Capa,
    /// `STAT`.
    Stat,
    /// `LIST [msg]`.
    List(Option<u32>),
    /// `UIDL [msg]`.
    Uidl(Option<u32>),
    /// `RETR msg`.
    Retr(u32),
    /// `TOP msg n`.
    Top(u32, u32),
    /// `DELE msg`.
    Dele(u32),
    /// `RSET`.
    Rset,
    /// `NOOP`.
    Noop,
    /// `QUIT`.
    Quit,
}

impl fmt::Debug for Command {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "USER {name:?}"),
            Self::Pass(_) => f.write_str("PASS"),
            Self::Auth { mechanism, .. } => write!(f, "AUTH {mechanism:?}"),
            Self::Stls => f.write_str("STLS"),
            Self::Capa => f.write_str("CAPA"),
            Self::Stat => f.write_str("STAT"),
            Self::List(number) => write!(f, "LIST {number:?}"),
            Self::Uidl(number) => write!(f, "UIDL {number:?}"),
            Self::Retr(number) => write!(f, "RETR {number}"),
            Self::Top(number, lines) => write!(f, "TOP {number} {lines}"),
            Self::Dele(number) => write!(f, "DELE {number}"),
            Self::Rset => f.write_str("RSET"),
            Self::Noop => f.write_str("NOOP"),
            Self::Quit => f.write_str("QUIT"),
        }
    }
}

/// Why a line is not a command. The text is for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The word is none of ours.
    #[error("Unknown command; CAPA lists what is known")]
    Unknown,
    /// The arguments are not those of the command.
    #[error("The arguments are not those of this command")]
    Arguments,
    /// The line does not end in time.
    #[error("The line is too long")]
    TooLong,
}

impl Command {
    /// The command of a line, without its end.
    ///
    /// # Errors
    /// [`CommandError::Unknown`], [`CommandError::Arguments`].
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let end = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        let rest = rest.strip_prefix(b" ");
        let word = word.to_ascii_uppercase();
        match &word[..] {
            b"USER" => text(rest.map(<[u8]>::trim_ascii)).map(Self::User),
            b"PASS" => text(rest).map(Self::Pass),
            b"AUTH" => auth(rest),
            b"LIST" => Ok(Self::List(optional(rest)?)),
            b"UIDL" => Ok(Self::Uidl(optional(rest)?)),
            b"RETR" => Ok(Self::Retr(one(rest)?)),
            b"DELE" => Ok(Self::Dele(one(rest)?)),
            b"TOP" => top(rest),
            b"STLS" => bare(rest, Self::Stls),
            b"CAPA" => bare(rest, Self::Capa),
            b"STAT" => bare(rest, Self::Stat),
            b"RSET" => bare(rest, Self::Rset),
            b"NOOP" => bare(rest, Self::Noop),
            b"QUIT" => bare(rest, Self::Quit),
            _ => Err(CommandError::Unknown),
        }
    }
}

type Rest<'a> = Option<&'a [u8]>;

fn bare(rest: Rest<'_>, command: Command) -> Result<Command, CommandError> {
    match rest.unwrap_or_default().trim_ascii() {
        b"" => Ok(command),
        _ => Err(CommandError::Arguments),
    }
}

fn text(rest: Rest<'_>) -> Result<String, CommandError> {
    let text = rest.filter(|text| !text.is_empty()).and_then(|text| std::str::from_utf8(text).ok());
    text.map(String::from).ok_or(CommandError::Arguments)
}

fn words(rest: Rest<'_>) -> impl Iterator<Item = &[u8]> {
    rest.unwrap_or_default().split(|octet| *octet == b' ').filter(|word| !word.is_empty())
}

fn number(word: Rest<'_>) -> Result<u32, CommandError> {
    let digits = word.filter(|word| !word.is_empty() && word.iter().all(u8::is_ascii_digit));
    let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    text.and_then(|text| text.parse().ok()).ok_or(CommandError::Arguments)
}

fn one(rest: Rest<'_>) -> Result<u32, CommandError> {
    optional(rest)?.ok_or(CommandError::Arguments)
}

fn optional(rest: Rest<'_>) -> Result<Option<u32>, CommandError> {
    let mut words = words(rest);
    let first = words.next();
    match words.next() {
        Some(_) => Err(CommandError::Arguments),
        None => first.map(|word| number(Some(word))).transpose(),
    }
}

fn top(rest: Rest<'_>) -> Result<Command, CommandError> {
    let mut words = words(rest);
    let command = Command::Top(number(words.next())?, number(words.next())?);
    words.next().map_or(Ok(command), |_| Err(CommandError::Arguments))
}

fn auth(rest: Rest<'_>) -> Result<Command, CommandError> {
    let mut words = words(rest);
    let mechanism = text(words.next())?;
    let initial = words.next().map(|word| text(Some(word))).transpose()?;
    words.next().map_or(Ok(Command::Auth { mechanism, initial }), |_| Err(CommandError::Arguments))
}

/// Takes lines out of what was read. A line that is too long is dropped to its end, and told once.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    searched: usize,
    skipping: bool,
}

impl LineReader {
    /// The next line without its end (CRLF, or LF alone), if it is there whole; `longest` octets at most.
    pub(super) fn next(
        &mut self,
        input: &mut BytesMut,
        longest: usize,
    ) -> Option<Result<BytesMut, CommandError>> {
        let Some(at) = memchr::memchr(b'\n', input.get(self.searched..).unwrap_or_default()) else {
            self.searched = input.len();
            if self.skipping || input.len() > longest {
                self.skipping = true;
                input.clear();
                self.searched = 0;
            }
            return None;
        };
        let mut line = input.split_to(self.searched + at + 1);
        self.searched = 0;
        let end = line.len() - if line.ends_with(b"\r\n") { 2 } else { 1 };
        line.truncate(end);
        match std::mem::take(&mut self.skipping) || line.len() > longest {
            true => Some(Err(CommandError::TooLong)),
            false => Some(Ok(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_in_any_case() {
        use Command::*;
        for (line, command) in [
            ("user  ann@example.org ", User("ann@example.org".into())),
            ("PASS  two  words ", Pass(" two  words ".into())),
            ("auth PLAIN", Auth { mechanism: "PLAIN".into(), initial: None }),
            ("AUTH PLAIN =", Auth { mechanism: "PLAIN".into(), initial: Some("=".into()) }),
            ("LIST", List(None)),
            ("list 12 ", List(Some(12))),
            ("Top 1 0", Top(1, 0)),
            ("noop", Noop),
            ("QUIT ", Quit),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
        for line in ["USER", "USER ", "PASS", "AUTH", "AUTH A B C", "RETR", "RETR x", "RETR -1", "RETR +1"] {
            assert_eq!(Command::parse(line.as_bytes()), Err(CommandError::Arguments), "{line}");
        }
        for line in ["RETR 99999999999", "TOP 1", "TOP 1 2 3", "STAT 1", "LIST 1 2", "PASS \u{80}"] {
            let octets: Vec<u8> = line.chars().map(|c| c as u8).collect();
            assert_eq!(Command::parse(&octets), Err(CommandError::Arguments), "{line}");
        }
        for line in ["", " ", "APOP a b", "XTND", "USER\tx"] {
            assert_eq!(Command::parse(line.as_bytes()), Err(CommandError::Unknown), "{line}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = |line: &str| format!("{:?}", Command::parse(line.as_bytes()).unwrap());
        assert!(!secret("PASS hidden").contains("hidden"));
        assert!(!secret("AUTH PLAIN aGlkZGVu").contains("aGlkZGVu"));
    }

    #[test]
    fn lines_come_whole_and_long_ones_are_told_once() {
        let mut reader = LineReader::default();
        let mut input = BytesMut::new();
        let mut told = Vec::new();
        let sent = [&b"NOOP\r\nST"[..], b"AT\n", &[b'x'; 30], &[b'y'; 30], b"z\r\nQUIT\r", b"\n"];
        for piece in sent {
            input.extend_from_slice(piece);
            while let Some(line) = reader.next(&mut input, 20) {
                told.push(line.map(|line| String::from_utf8(line.to_vec()).unwrap()));
            }
            assert!(input.len() <= 20);
        }
        assert_eq!(
            told,
            [Ok("NOOP".into()), Ok("STAT".into()), Err(CommandError::TooLong), Ok("QUIT".into())]
        );
    }
}
