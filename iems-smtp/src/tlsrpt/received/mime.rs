//! Where in a message the report is: the first part of its type (RFC 8460 section 5.3), however deep. Pure; work is linear, depth and parts are bounded.

use memchr::memmem::Finder;

use crate::batch::{Encoding, fields, parameters};

/// How deep parts may be in others.
const DEPTH: usize = 4;
/// How many parts are looked at.
const PARTS: usize = 64;
/// The longest header section of a part that is read, in octets.
const HEADER: usize = 64 * 1024;

/// A part that holds a report.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// How it is encoded; `None` if that is not known here.
    pub(super) encoding: Option<Encoding>,
    /// Its octets.
    pub(super) octets: &'a [u8],
}

/// The report in a message with CRLF line ends.
pub(super) fn find(message: &[u8]) -> Option<Found<'_>> {
    let mut left = PARTS;
    search(message, 0, &mut left)
}

fn search<'a>(entity: &'a [u8], depth: usize, left: &mut usize) -> Option<Found<'a>> {
    *left = left.checked_sub(1)?;
    let (header, body) = split(entity)?;
    let fields = fields(header);
    let value =
        |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str());
    let (kind, attributes) = parameters(value("content-type"));
    let kind = kind.to_ascii_lowercase();
    if kind.starts_with("multipart/") {
        let boundary = attribute(&attributes, "boundary").filter(|_| depth < DEPTH)?;
        return parts(body, boundary).take(PARTS).find_map(|part| search(part, depth + 1, left));
    }
    let disposition = parameters(value("content-disposition")).1;
    let file = attribute(&disposition, "filename").or_else(|| attribute(&attributes, "name"));
    is_report(&kind, file.unwrap_or_default())
        .then(|| Found { encoding: Encoding::named(value("content-transfer-encoding").trim()), octets: body })
}

/// By the type or, as some senders have it, by the name of the file.
fn is_report(kind: &str, file: &str) -> bool {
    let file = file.to_ascii_lowercase();
    let named = |ending: &str| file.ends_with(ending);
    match kind {
        "application/tlsrpt+gzip" | "application/tlsrpt+json" => true,
        "application/gzip" | "application/x-gzip" | "application/octet-stream" => named(".json.gz"),
        "application/json" => named(".json"),
        _ => false,
    }
}

fn attribute<'a>(all: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    all.iter().find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value.as_str())
}

/// Header section and body; nothing if the header section is too long.
fn split(entity: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(body) = entity.strip_prefix(b"\r\n") {
        return Some((b"", body));
    }
    let head = entity.get(..HEADER).unwrap_or(entity);
    match memchr::memmem::find(head, b"\r\n\r\n") {
        Some(end) => Some((entity.get(..end + 2)?, entity.get(end + 4..)?)),
        None if head.len() == entity.len() => Some((entity, b"")),
        None => None,
    }
}

/// The parts between the lines of a boundary (RFC 2046 section 5.1.1); one that is not closed goes to the end.
fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = &'a [u8]> {
    let mark = format!("--{boundary}").into_bytes();
    let finder = Finder::new(&mark).into_owned();
    let length = mark.len();
    let mut next = delimiter(body, &finder, length, 0).filter(|first| !first.last).map(|first| first.end);
    std::iter::from_fn(move || {
        let start = next.take()?;
        match delimiter(body, &finder, length, start) {
            Some(found) => {
                next = (!found.last).then_some(found.end);
                body.get(start..found.start.max(start))
            }
            None => body.get(start..),
        }
    })
}

/// A line of a boundary.
struct Delimiter {
    /// Where the line end before it begins, which belongs to it.
    start: usize,
    /// What is behind it.
    end: usize,
    last: bool,
}

fn delimiter(body: &[u8], finder: &Finder<'_>, length: usize, from: usize) -> Option<Delimiter> {
    let mut from = from;
    loop {
        let at = from + finder.find(body.get(from..)?)?;
        let behind = body.get(at + length..)?;
        let (last, rest) = behind.strip_prefix(b"--").map_or((false, behind), |rest| (true, rest));
        // Never to the end of a long line: a body may be full of marks.
        let blanks = rest.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
        let ended = blanks == rest.len() || rest.get(blanks..)?.starts_with(b"\r\n");
        if ended && (at == 0 || body.get(..at)?.ends_with(b"\r\n")) {
            let end = (body.len() - rest.len() + blanks + 2).min(body.len());
            return Some(Delimiter { start: at.saturating_sub(2), end, last });
        }
        from = at + 1;
    }
}
