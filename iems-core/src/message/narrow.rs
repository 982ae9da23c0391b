//! Rewriting a message for whoever takes less than it holds: seven bits instead of eight (RFC 6152 section 3), lines instead
//! of any octets (RFC 3030 section 3); by RFC 2045 section 6.
//!
//! Each part that does not fit is encoded: text as quoted-printable, anything else as base 64; the parts around it then
//! declare what is left. What fits stays octet for octet as it was. Signatures over the body do not survive; a signed or
//! encrypted part that would have to change is therefore an error, and so is a header that does not fit. Input is hostile:
//! depth is bounded, and the work is linear for each level.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::LineEnds;

/// The deepest nesting of parts.
const DEPTH: usize = 24;
/// Length of an encoded line in characters (RFC 2045 sections 6.7 and 6.8).
const LINE: usize = 76;
/// The longest line that is no binary data, without its CRLF (RFC 2045 section 2.7).
const LONGEST: usize = 998;

/// Why a message cannot be rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unconvertible {
    /// A field does not fit, and fields cannot be encoded here.
    #[error("its header does not fit")]
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

/// What fits where the message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// Octets above 127 may stay.
    pub eight: bool,
    /// The message may hold anything, and is to become lines of at most 998 octets that end in CRLF, without NUL. Otherwise its
    /// lines are left alone.
    pub lines: bool,
}

impl Fit {
    fn holds(self, octets: &[u8]) -> bool {
        (self.eight || octets.is_ascii()) && (!self.lines || is_lines(octets))
    }

    /// Long lines are no reason to give a header up.
    fn holds_field(self, field: &[u8]) -> bool {
        let mut ends = LineEnds::default();
        ends.feed(field);
        let is_text = !self.lines || (!ends.is_broken(true) && memchr::memchr(0, field).is_none());
        is_text && (self.eight || field.is_ascii())
    }

    /// What the parts around others declare.
    fn label(self) -> &'static str {
        if self.eight { "8bit" } else { "7bit" }
    }

    /// The first line with its end. In what may hold any octets only CRLF ends lines: whoever took a bare LF for an end
    /// would find other parts than others do.
    fn line(self, input: &[u8]) -> &[u8] {
        let end = match self.lines {
            true => memchr::memmem::find(input, b"\r\n").map(|at| at + 2),
            false => memchr::memchr(b'\n', input).map(|at| at + 1),
        };
        &input[..end.unwrap_or(input.len())]
    }
}

/// Lines of at most 998 octets without NUL; the last one may be open.
fn is_lines(octets: &[u8]) -> bool {
    let mut ends = LineEnds::default();
    ends.feed(octets);
    !ends.is_broken(true)
        && memchr::memchr(0, octets).is_none()
        && octets.split(|octet| *octet == b'\n').all(|line| line.len() <= LONGEST + 1)
}

/// The same message so that it fits.
///
/// # Errors
/// It cannot be done without breaking what it says.
pub fn narrow(message: &[u8], fit: Fit) -> Result<Vec<u8>, Unconvertible> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 4);
    match entity(message, (0, true), fit, &mut out) {
        Err(_) if fit.holds(message) => {
            out.clear();
            out.extend_from_slice(message);
        }
        done => done?,
    }
    if fit.lines && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    Ok(out)
}

/// Header and body of a message or part.
struct Entity<'a> {
    fields: Vec<&'a [u8]>,
    body: &'a [u8],
}

impl<'a> Entity<'a> {
    fn split(input: &'a [u8], fit: Fit) -> Self {
        let (mut fields, mut rest, mut start) = (Vec::new(), input, 0);
        let mut at = 0;
        loop {
            let line = fit.line(rest);
            let continues = matches!(line.first(), Some(b' ' | b'\t'));
            if !continues && at > start {
                fields.push(&input[start..at]);
                start = at;
            }
            if line.is_empty() || line == b"\r\n" || (line == b"\n" && !fit.lines) {
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

const ENCODING: &str = "Content-Transfer-Encoding";

fn entity(
    input: &[u8],
    (depth, outermost): (usize, bool),
    fit: Fit,
    out: &mut Vec<u8>,
) -> Result<(), Unconvertible> {
    // What says of itself that it is binary is to say so no more, even if it fits.
    if !fit.lines && fit.holds(input) {
        out.extend_from_slice(input);
        return Ok(());
    }
    if depth > DEPTH {
        return Err(Unconvertible::Depth);
    }
    let entity = Entity::split(input, fit);
    if !entity.fields.iter().all(|field| fit.holds_field(field)) {
        return Err(Unconvertible::Header);
    }
    let encoding = entity.value(ENCODING).unwrap_or_default().to_ascii_lowercase();
    if !matches!(encoding.as_str(), "" | "7bit" | "8bit" | "binary") {
        return as_it_is(input, fit, out).then_some(()).ok_or(Unconvertible::Structure);
    }
    let kind = entity.value("Content-Type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split('/').next().unwrap_or_default() {
        "multipart" if matches!(essence.as_str(), "multipart/signed" | "multipart/encrypted") => {
            as_it_is(input, fit, out).then_some(()).ok_or(Unconvertible::Signed)
        }
        "multipart" => {
            let boundary = parameter(&kind, "boundary").ok_or(Unconvertible::Structure)?;
            header_around(&entity, &encoding, outermost, fit, out);
            parts(entity.body, boundary.as_bytes(), depth, fit, out)
        }
        "message" if matches!(essence.as_str(), "message/rfc822" | "message/global") => {
            header_around(&entity, &encoding, outermost, fit, out);
            self::entity(entity.body, (depth + 1, false), fit, out)
        }
        _ if fit.lines && fit.holds(entity.body) && !(outermost && is_open(entity.body)) => {
            match encoding.as_str() {
                "binary" => {
                    let label = if entity.body.is_ascii() { "7bit" } else { "8bit" };
                    header(&entity, label, outermost, out);
                    out.extend_from_slice(entity.body);
                }
                _ => out.extend_from_slice(input),
            }
            Ok(())
        }
        "message" => Err(Unconvertible::Structure),
        "" | "text" => {
            header(&entity, "quoted-printable", outermost, out);
            quoted_printable(entity.body, out);
            if outermost && is_open(entity.body) {
                out.extend_from_slice(b"=\r\n");
            }
            Ok(())
        }
        _ => {
            header(&entity, "base64", outermost, out);
            base64_lines(entity.body, out);
            Ok(())
        }
    }
}

/// Whether the last line has no end.
fn is_open(octets: &[u8]) -> bool {
    !octets.is_empty() && !octets.ends_with(b"\r\n")
}

/// Copies what must not change, if it fits.
fn as_it_is(input: &[u8], fit: Fit, out: &mut Vec<u8>) -> bool {
    let fits = fit.holds(input);
    if fits {
        out.extend_from_slice(input);
    }
    fits
}

/// The header of what holds other parts. Where lines are made, it may well be that none of them changes.
fn header_around(entity: &Entity<'_>, encoding: &str, outermost: bool, fit: Fit, out: &mut Vec<u8>) {
    match !fit.lines || encoding == "binary" || (encoding == "8bit" && !fit.eight) {
        true => header(entity, fit.label(), outermost, out),
        false => {
            entity.fields.iter().for_each(|field| out.extend_from_slice(field));
            out.extend_from_slice(b"\r\n");
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
fn parts(
    body: &[u8],
    boundary: &[u8],
    depth: usize,
    fit: Fit,
    out: &mut Vec<u8>,
) -> Result<(), Unconvertible> {
    let (mut start, mut at, mut inside) = (0, 0, false);
    while at < body.len() {
        let line = fit.line(&body[at..]);
        if let Some(closes) = delimiter(line, boundary) {
            // The line end before a delimiter belongs to the delimiter.
            let end = at - line_break_before(&body[start..at]);
            part(&body[start..end], inside, depth, fit, out)?;
            out.extend_from_slice(&body[end..at + line.len()]);
            start = at + line.len();
            inside = !closes;
            if closes {
                break;
            }
        }
        at += line.len();
    }
    part(&body[start..], inside, depth, fit, out)
}

/// A part, or what stands before the first and behind the last.
fn part(octets: &[u8], inside: bool, depth: usize, fit: Fit, out: &mut Vec<u8>) -> Result<(), Unconvertible> {
    match inside {
        true => entity(octets, (depth + 1, false), fit, out),
        false if fit.holds(octets) => {
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
#[path = "narrow_tests.rs"]
mod tests;
