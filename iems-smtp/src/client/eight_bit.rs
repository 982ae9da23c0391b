//! Rewriting a message of eight bits for a server that takes seven (RFC 6152 section 3, RFC 2045 section 6).
//!
//! Each part that holds octets above 127 is encoded: text as quoted-printable, anything else as base 64; the
//! parts around it then declare seven bits. What was ASCII stays octet for octet as it was. Signatures over the body
//! do not survive; a signed or encrypted part that would have to change is therefore an error, and so is a
//! header with raw octets above 127. Input is hostile: depth is bounded, and the work is linear for each level.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The deepest nesting of parts.
const DEPTH: usize = 24;
/// Length of an encoded line in characters (RFC 2045 sections 6.7 and 6.8).
const LINE: usize = 76;

/// Why a message cannot be rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unconvertible {
    /// A field holds octets above 127.
    #[error("its header holds octets above 127")]
    Header,
    /// A signed or encrypted part would change.
    #[error("it is signed or encrypted")]
    Signed,
    /// Parts within parts within parts.
    #[error("its parts are nested too deeply")]
    Depth,
    /// The structure contradicts itself.
    #[error("its MIME structure is broken")]
    Structure,
}

/// The same message in seven bits.
pub(super) fn to_seven(message: &[u8]) -> Result<Vec<u8>, Unconvertible> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 4);
    entity(message, 0, true, &mut out)?;
    Ok(out)
}

/// Header and body of a message or part.
struct Entity<'a> {
    fields: Vec<&'a [u8]>,
    body: &'a [u8],
}

impl<'a> Entity<'a> {
    fn split(input: &'a [u8]) -> Self {
        let (mut fields, mut rest, mut start) = (Vec::new(), input, 0);
        let mut at = 0;
        loop {
            let line = &rest[..line_end(rest)];
            let continues = matches!(line.first(), Some(b' ' | b'\t'));
            if !continues && at > start {
                fields.push(&input[start..at]);
                start = at;
            }
            if line.is_empty() || line == b"\r\n" || line == b"\n" {
                return Self { fields, body: &rest[line.len()..] };
            }
            at += line.len();
            rest = &rest[line.len()..];
        }
    }

    /// The value of a field, on one line.
    fn value(&self, name: &str) -> Option<String> {
        let field = self.fields.iter().find(|field| is_field(field, name))?;
        let value = &field[name.len() + 1..];
        Some(String::from_utf8_lossy(value).replace(['\r', '\n'], "").trim().to_owned())
    }
}

fn is_field(field: &[u8], name: &str) -> bool {
    field.len() > name.len()
        && field[name.len()] == b':'
        && field[..name.len()].eq_ignore_ascii_case(name.as_bytes())
}

/// Where the first line ends, with its LF.
fn line_end(input: &[u8]) -> usize {
    memchr::memchr(b'\n', input).map_or(input.len(), |at| at + 1)
}

const ENCODING: &str = "Content-Transfer-Encoding";

fn entity(input: &[u8], depth: usize, outermost: bool, out: &mut Vec<u8>) -> Result<(), Unconvertible> {
    if input.is_ascii() {
        out.extend_from_slice(input);
        return Ok(());
    }
    if depth > DEPTH {
        return Err(Unconvertible::Depth);
    }
    let entity = Entity::split(input);
    if !entity.fields.iter().all(|field| field.is_ascii()) {
        return Err(Unconvertible::Header);
    }
    let encoding = entity.value(ENCODING).unwrap_or_default().to_ascii_lowercase();
    if !matches!(encoding.as_str(), "" | "7bit" | "8bit" | "binary") {
        return Err(Unconvertible::Structure);
    }
    let kind = entity.value("Content-Type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split('/').next().unwrap_or_default() {
        "multipart" if matches!(essence.as_str(), "multipart/signed" | "multipart/encrypted") => {
            Err(Unconvertible::Signed)
        }
        "multipart" => {
            let boundary = parameter(&kind, "boundary").ok_or(Unconvertible::Structure)?;
            header(&entity, "7bit", outermost, out);
            parts(entity.body, boundary.as_bytes(), depth, out)
        }
        "message" if matches!(essence.as_str(), "message/rfc822" | "message/global") => {
            header(&entity, "7bit", outermost, out);
            self::entity(entity.body, depth + 1, false, out)
        }
        "message" => Err(Unconvertible::Structure),
        "" | "text" => {
            header(&entity, "quoted-printable", outermost, out);
            quoted_printable(entity.body, out);
            Ok(())
        }
        _ => {
            header(&entity, "base64", outermost, out);
            base64_lines(entity.body, out);
            Ok(())
        }
    }
}

/// Writes the header with another encoding. A message that knows nothing of MIME gets what RFC 1428 section 3 says.
fn header(entity: &Entity<'_>, encoding: &str, outermost: bool, out: &mut Vec<u8>) {
    entity.fields.iter().filter(|field| !is_field(field, ENCODING)).for_each(|field| {
        out.extend_from_slice(field);
    });
    if outermost && entity.value("MIME-Version").is_none() {
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    if outermost && entity.value("Content-Type").is_none() {
        out.extend_from_slice(b"Content-Type: text/plain; charset=unknown-8bit\r\n");
    }
    out.extend_from_slice(format!("{ENCODING}: {encoding}\r\n\r\n").as_bytes());
}

/// A parameter of a structured field, unquoted.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (key, tail) = rest.split_once('=')?;
        let (text, tail) = parameter_value(tail.trim_start());
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(text).filter(|text| !text.is_empty() && text.len() <= 70);
        }
        rest = tail;
    }
}

/// The value at the start of `text`, and what stands behind it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, quoted[at + 1..].trim_start_matches(|c| c != ';')),
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

/// The parts of a multipart body (RFC 2046 section 5.1.1), with the lines around them as they are.
fn parts(body: &[u8], boundary: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Unconvertible> {
    let (mut start, mut at, mut inside) = (0, 0, false);
    while at < body.len() {
        let line = &body[at..at + line_end(&body[at..])];
        if let Some(closes) = delimiter(line, boundary) {
            // The line end before a delimiter belongs to the delimiter.
            let end = at - line_break_before(&body[start..at]);
            part(&body[start..end], inside, depth, out)?;
            out.extend_from_slice(&body[end..at + line.len()]);
            start = at + line.len();
            inside = !closes;
            if closes {
                break;
            }
        }
        at += line.len();
    }
    part(&body[start..], inside, depth, out)
}

/// A part, or what stands before the first and behind the last.
fn part(octets: &[u8], inside: bool, depth: usize, out: &mut Vec<u8>) -> Result<(), Unconvertible> {
    match inside {
        true => entity(octets, depth + 1, false, out),
        false if octets.is_ascii() => {
            out.extend_from_slice(octets);
            Ok(())
        }
        false => Err(Unconvertible::Structure),
    }
}

/// Whether a line delimits parts, and if so, whether it is the last one.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (closes, rest) = match rest.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    rest.iter().all(u8::is_ascii_whitespace).then_some(closes)
}

fn line_break_before(octets: &[u8]) -> usize {
    match octets {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    }
}

/// RFC 2045 section 6.7. Line ends stay; a bare CR or LF is data.
fn quoted_printable(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\r\n");
        quoted_line(&rest[..end.unwrap_or(rest.len())], out);
        match end {
            Some(end) => {
                out.extend_from_slice(b"\r\n");
                rest = &rest[end + 2..];
            }
            None => return,
        }
    }
}

fn quoted_line(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (at, octet) in line.iter().enumerate() {
        let last = at + 1 == line.len();
        let plain = matches!(octet, 33..=60 | 62..=126) || (matches!(octet, b' ' | b'\t') && !last);
        let width = if plain { 1 } else { 3 };
        if column + width > LINE - usize::from(!last) {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        match plain {
            true => out.push(*octet),
            false => out.extend_from_slice(format!("={octet:02X}").as_bytes()),
        }
        column += width;
    }
}

fn base64_lines(octets: &[u8], out: &mut Vec<u8>) {
    let mut lines = octets.chunks(LINE / 4 * 3).peekable();
    while let Some(line) = lines.next() {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        if lines.peek().is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
#[path = "eight_bit_tests.rs"]
mod tests;
