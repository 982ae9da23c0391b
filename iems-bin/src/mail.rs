//! A message on standard input: line ends made CRLF, recipients taken from its header section.
//!
//! Used by `iems sendmail` alone. Memory is bounded: pieces of 64 KiB, and the header section.

use std::io::{BufRead, BufReader, Read};

use bytes::Bytes;
use iems_core::message::{Domain, Mailbox, ReversePath};
use iems_core::seam::{Clock, Random, SeededRandom, SystemClock};
use mail_parser::{HeaderName, MessageParser};

use crate::exit::Failure;

/// How much is passed on at a time, in octets.
const PIECE: usize = 64 * 1024;
/// The largest header section, in octets.
const LARGEST_HEADER: usize = 1 << 20;

/// Lines from a reader, with CRLF at their ends whatever they had; an iterator of pieces.
pub(crate) struct Input<R> {
    reader: BufReader<R>,
    dot_ends: bool,
    line_start: bool,
    after_cr: bool,
    ended: bool,
}

impl<R: Read> Input<R> {
    /// With `dot_ends`, a line with a single dot ends the message.
    pub(crate) fn new(reader: R, dot_ends: bool) -> Self {
        let reader = BufReader::with_capacity(PIECE, reader);
        Self { reader, dot_ends, line_start: true, after_cr: false, ended: false }
    }

    /// The next line, or a part of a very long one.
    fn line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let mut raw = Vec::new();
        let mut limited = (&mut self.reader).take(PIECE as u64);
        limited
            .read_until(b'\n', &mut raw)
            .map_err(|e| Failure::io(format!("cannot read the message: {e}")))?;
        let dot = self.dot_ends && self.line_start && matches!(raw.as_slice(), b".\n" | b".\r\n" | b".");
        if raw.is_empty() || dot {
            self.ended = true;
            let last = if self.after_cr { Some(b"\r\n".to_vec()) } else { None };
            self.after_cr = false;
            return Ok(last);
        }
        self.line_start = raw.ends_with(b"\n");
        Ok(Some(self.with_crlf(&raw)))
    }

    /// CR, LF and CRLF become CRLF. A CR at the end of a part waits for what follows.
    fn with_crlf(&mut self, raw: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(raw.len() + 2);
        for &octet in raw {
            let after_cr = std::mem::replace(&mut self.after_cr, octet == b'\r');
            match octet {
                b'\n' => out.extend_from_slice(b"\r\n"),
                _ if after_cr => {
                    out.extend_from_slice(b"\r\n");
                    if octet != b'\r' {
                        out.push(octet);
                    }
                }
                b'\r' => {}
                octet => out.push(octet),
            }
        }
        out
    }
}

impl<R: Read> Iterator for Input<R> {
    type Item = Result<Bytes, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = Vec::with_capacity(PIECE);
        while piece.len() < PIECE {
            match self.line() {
                Ok(Some(line)) => piece.extend_from_slice(&line),
                Ok(None) => break,
                Err(failure) => return Some(Err(failure)),
            }
        }
        if piece.is_empty() { None } else { Some(Ok(piece.into())) }
    }
}

/// A header section, and how it ends: the empty line is not part of it.
#[derive(Debug)]
pub(crate) struct Header {
    fields: Vec<u8>,
    /// What stood behind the last field: an empty line, or the first line of a body without one.
    rest: Vec<u8>,
}

impl Header {
    /// Reads up to the first line that is not part of a field.
    pub(crate) fn read<R: Read>(input: &mut Input<R>) -> Result<Self, Failure> {
        let mut fields = Vec::new();
        while let Some(line) = input.line()? {
            let folded = !fields.is_empty() && matches!(line.first(), Some(b' ' | b'\t')) && line != b"\r\n";
            if line == b"\r\n" {
                return Ok(Self { fields, rest: Vec::new() });
            }
            if !folded && !is_field(&line) {
                return Ok(Self { fields, rest: line });
            }
            fields.extend_from_slice(&line);
            if fields.len() > LARGEST_HEADER {
                return Err(Failure::data(format!("the header section is over {LARGEST_HEADER} octets")));
            }
        }
        Ok(Self { fields, rest: Vec::new() })
    }

    /// The recipients in To, Cc and Bcc; Bcc goes. In a message that is sent again, those of the Resent- fields and no
    /// others (RFC 5322 section 3.6.6): the old ones have it already.
    pub(crate) fn take_recipients(&mut self, site: &Domain) -> Result<Vec<Mailbox>, Failure> {
        let resent = self.is_resent();
        let mut found = Vec::new();
        if let Some(message) = MessageParser::default().parse_headers(&self.fields[..]) {
            for header in message.headers() {
                let counts = match header.name {
                    HeaderName::To | HeaderName::Cc | HeaderName::Bcc => !resent,
                    HeaderName::ResentTo | HeaderName::ResentCc | HeaderName::ResentBcc => resent,
                    _ => false,
                };
                if counts {
                    let addresses = header.value.as_address().into_iter().flat_map(|list| list.iter());
                    // `To: root`, as cron writes it, is read as a name without an address.
                    let word = |name: &&str| !name.contains(char::is_whitespace);
                    let of = |a: &mail_parser::Addr<'_>| {
                        a.address.as_deref().or(a.name.as_deref().filter(word)).map(str::to_owned)
                    };
                    found.extend(addresses.filter_map(of));
                }
            }
        }
        self.remove("bcc");
        self.remove("resent-bcc");
        recipients(&found, site)
    }

    fn is_resent(&self) -> bool {
        ["resent-to", "resent-cc", "resent-bcc"].iter().any(|name| self.has(name))
    }

    /// The fields, for a notice about the message.
    pub(crate) fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// Adds From, Date and Message-ID where they are missing (RFC 5322 section 3.6).
    pub(crate) fn complete(&mut self, sender: &ReversePath, full_name: Option<&str>, site: &Domain) {
        let prefix = if self.is_resent() { "Resent-" } else { "" };
        let missing = |name: &str| !self.has(&format!("{prefix}{name}"));
        let (id, date, from_field) = (missing("Message-ID"), missing("Date"), missing("From"));
        if id {
            let (now, noise) = (SystemClock.now(), SeededRandom::unpredictable().next_u64());
            let id = format!("{:x}.{noise:016x}@{site}", now.as_millis());
            self.put_in_front(format!("{prefix}Message-ID: <{id}>\r\n"));
        }
        if date {
            self.put_in_front(format!("{prefix}Date: {}\r\n", SystemClock.now().to_rfc5322()));
        }
        if from_field {
            self.put_in_front(format!("{prefix}{}", from(sender, full_name, site)));
        }
    }

    fn put_in_front(&mut self, field: String) {
        self.fields.splice(0..0, field.into_bytes());
    }

    /// The section with its empty line, and what was read beyond it.
    pub(crate) fn into_bytes(self) -> Bytes {
        [&self.fields[..], b"\r\n", &self.rest].concat().into()
    }

    fn has(&self, name: &str) -> bool {
        fields(&self.fields).any(|field| is_named(field, name))
    }

    fn remove(&mut self, name: &str) {
        let kept: Vec<&[u8]> = fields(&self.fields).filter(|field| !is_named(field, name)).collect();
        self.fields = kept.concat();
    }
}

fn from(sender: &ReversePath, full_name: Option<&str>, site: &Domain) -> String {
    let address = sender.mailbox().map_or_else(|| format!("MAILER-DAEMON@{site}"), ToString::to_string);
    match full_name {
        Some(name) => format!("From: {} <{address}>\r\n", phrase(name)),
        None => format!("From: {address}\r\n"),
    }
}

/// The fields of a section, each with its folded lines.
fn fields(section: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = section;
    std::iter::from_fn(move || {
        let mut end = 0;
        while end < rest.len() {
            end += rest[end..].iter().position(|&b| b == b'\n').map_or(rest.len() - end, |at| at + 1);
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (field, behind) = rest.split_at(end);
        rest = behind;
        (!field.is_empty()).then_some(field)
    })
}

fn is_named(field: &[u8], name: &str) -> bool {
    let found = field.split(|&b| b == b':').next().unwrap_or_default();
    found.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
}

/// RFC 5322 `field-name ":"`, with the blanks before the colon that RFC 822 allowed.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&b| b == b':') else { return false };
    let name = line[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().all(|b| (33..=126).contains(b))
}

/// A display name (RFC 5322 section 3.2.5): quoted, without what would break out of the quotes.
fn phrase(name: &str) -> String {
    let kept = name.chars().filter(|c| !c.is_control());
    let escaped: String =
        kept.flat_map(|c| (matches!(c, '"' | '\\').then_some('\\')).into_iter().chain([c])).collect();
    format!("\"{escaped}\"")
}

/// Recipients from words; one without a domain gets ours.
pub(crate) fn recipients(words: &[String], site: &Domain) -> Result<Vec<Mailbox>, Failure> {
    let split = words.iter().flat_map(|word| word.split(','));
    split.map(str::trim).filter(|word| !word.is_empty()).map(|word| mailbox(word, site)).collect()
}

fn mailbox(word: &str, site: &Domain) -> Result<Mailbox, Failure> {
    let bare = word.strip_prefix('<').and_then(|w| w.strip_suffix('>')).unwrap_or(word);
    let full = if bare.contains('@') { bare.to_owned() } else { format!("{bare}@{site}") };
    full.parse().map_err(|e| Failure::data(format!("{word:?} is not an address: {e}")))
}

/// The envelope sender: as given, else the user who runs the program, at our name.
pub(crate) fn sender(given: Option<&str>, site: &Domain) -> Result<ReversePath, Failure> {
    match given.map(str::trim) {
        Some("" | "<>") => Ok(ReversePath::Null),
        Some(address) => mailbox(address, site).map(ReversePath::Mailbox),
        None => {
            let name = ["LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
            let name =
                name.filter(|name| !name.is_empty()).or_else(login_name).unwrap_or_else(|| "nobody".into());
            mailbox(&name, site).map(ReversePath::Mailbox)
        }
    }
}

/// The name of the user who runs the program: cron gives no environment.
#[cfg(unix)]
fn login_name() -> Option<String> {
    login_of(rustix::process::getuid().as_raw())
}

/// Unknown.
#[cfg(not(unix))]
fn login_name() -> Option<String> {
    None
}

/// The name of the user with this number, from `/etc/passwd`.
pub(crate) fn login_of(uid: u32) -> Option<String> {
    let id = uid.to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields
        .find(|user| user.get(2) == Some(&id.as_str()))
        .and_then(|user| user.first().map(|name| (*name).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &[u8], dots: bool) -> Vec<u8> {
        Input::new(text, dots).map(Result::unwrap).flat_map(|piece| piece.to_vec()).collect()
    }

    #[test]
    fn every_line_end_becomes_crlf() {
        assert_eq!(through(b"a\nb\r\nc\rd\r\re\n\n", false), b"a\r\nb\r\nc\r\nd\r\n\r\ne\r\n\r\n");
        assert_eq!(through(b"end\r", false), b"end\r\n");
        assert_eq!(through(b"a\n.\nb\n", true), b"a\r\n");
        assert_eq!(through(b"a\n.\nb\n", false), b"a\r\n.\r\nb\r\n");
        let long = [vec![b'x'; 3 * PIECE], b"\n".to_vec()].concat();
        assert_eq!(through(&long, true).len(), 3 * PIECE + 2);
    }

    #[test]
    fn recipients_come_from_the_header_and_bcc_goes() {
        let text = b"Date: d\nMessage-ID: <i@x>\nTo: A <a@x.example>,\n b@x.example\nBCC: hidden\n  <c@x.example>\nSubject: s\n\nBcc: body\n";
        let mut input = Input::new(&text[..], false);
        let mut header = Header::read(&mut input).unwrap();
        let to = header.take_recipients(&"site.example".parse().unwrap()).unwrap();
        let shown: Vec<String> = to.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a@x.example", "b@x.example", "c@x.example"]);
        header.complete(&ReversePath::Null, Some("A \"B\"\n"), &"site.example".parse().unwrap());
        let whole = [header.into_bytes().to_vec(), input.next().unwrap().unwrap().to_vec()].concat();
        let expected = "From: \"A \\\"B\\\"\" <MAILER-DAEMON@site.example>\r\n\
                        Date: d\r\nMessage-ID: <i@x>\r\nTo: A <a@x.example>,\r\n b@x.example\r\nSubject: s\r\n\r\nBcc: body\r\n";
        assert_eq!(String::from_utf8(whole).unwrap(), expected);
    }

    #[test]
    fn only_the_new_recipients_of_a_message_sent_again_count() {
        let text = b"From: a@x.example\nDate: d\nMessage-ID: <i@x>\nTo: old@x.example\nResent-To: Team: n (new) <n@x.example>, m@x.example;\nResent-Bcc: h@x.example\n\nb\n";
        let mut header = Header::read(&mut Input::new(&text[..], false)).unwrap();
        let site = "site.example".parse().unwrap();
        let to: Vec<String> =
            header.take_recipients(&site).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(to, ["n@x.example", "m@x.example", "h@x.example"]);
        header.complete(&ReversePath::Mailbox("b@x.example".parse().unwrap()), None, &site);
        let text = String::from_utf8(header.into_bytes().to_vec()).unwrap();
        assert!(text.starts_with("Resent-From: b@x.example\r\nResent-Date: "), "{text}");
        assert!(text.contains("Resent-Message-ID: <") && !text.contains("h@x.example"), "{text}");
    }

    #[test]
    fn a_body_without_header_gets_an_empty_line() {
        let mut input = Input::new(&b"just text\nmore: text\n"[..], false);
        let header = Header::read(&mut input).unwrap();
        assert_eq!(&header.into_bytes()[..], b"\r\njust text\r\n");
    }

    #[test]
    fn missing_fields_are_added() {
        let mut header = Header::read(&mut Input::new(&b"Subject: s\n\nbody\n"[..], false)).unwrap();
        let sender = ReversePath::Mailbox("ann@x.example".parse().unwrap());
        header.complete(&sender, None, &"site.example".parse().unwrap());
        let text = String::from_utf8(header.into_bytes().to_vec()).unwrap();
        assert!(text.starts_with("From: ann@x.example\r\nDate: "), "{text}");
        assert!(text.contains("\r\nMessage-ID: <") && text.contains("@site.example>\r\nSubject: s\r\n\r\n"));
    }
}
