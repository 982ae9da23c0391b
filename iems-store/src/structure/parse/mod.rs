//! From octets to a structure, line by line: what comes in pieces is read once and not held.
//!
//! Parts that are open stand in a row, the innermost last. A line that begins with `--` and the boundary of any of
//! them ends all within that one (RFC 2046 section 5.1.2); the line end in front belongs to the boundary. A header ends
//! at an empty line, and at a boundary. All that is held of a line of a body is its beginning.

mod addresses;
mod budget;
mod header;
mod lex;
mod parameters;

use memchr::{memchr, memchr_iter};

use super::model::{Envelope, Kept, Kind, Part, Structure};
use budget::Budget;
pub use budget::Limits;
pub(super) use header::value_of;
use header::{Header, Sink};
pub use header::{KEPT, is_kept};
pub(crate) use header::{lines_of, name_of};

/// The longest boundary (RFC 2046 section 5.1.1 allows 70); longer ones are cut.
const BOUNDARY: usize = 80;
/// What is held of a line of a body: two dashes, a boundary, and two dashes.
const HEAD: usize = BOUNDARY + 4;

/// Makes a structure of a message that comes in pieces. Work is in proportion to the octets.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    budget: Budget,
    parts: Vec<Part>,
    kept: Kept,
    open: Vec<Open>,
    /// The header of the innermost part, while it is read.
    header: Option<Header>,
    /// Where the line begins.
    at: u64,
    /// Line ends before it.
    newlines: u64,
    /// The length of the line end in front of it.
    ending: u64,
    /// The beginning of a line that came in part.
    head: Vec<u8>,
    /// How much of it came.
    came: u64,
    /// Its last octet was a CR.
    after_cr: bool,
}

/// A part whose end is not seen yet.
#[derive(Debug)]
struct Open {
    part: usize,
    /// Of a multipart until its last boundary.
    boundary: Option<Vec<u8>>,
    /// What has no type in it is a message (RFC 2046 section 5.1.5).
    digest: bool,
    /// Line ends in front of its body.
    newlines: u64,
}

impl Parser {
    /// A parser before the first octet.
    pub fn new(limits: Limits) -> Self {
        let mut parser = Self {
            budget: Budget(limits.text),
            limits,
            parts: Vec::new(),
            kept: Kept::default(),
            open: Vec::new(),
            header: None,
            at: 0,
            newlines: 0,
            ending: 0,
            head: Vec::new(),
            came: 0,
            after_cr: false,
        };
        parser.begin(0, true);
        parser
    }

    /// Takes the next octets.
    pub fn feed(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            if self.header.is_none() && self.open.iter().all(|open| open.boundary.is_none()) {
                // Nothing ends before the message does.
                self.newlines += memchr_iter(b'\n', octets).count() as u64;
                self.at += octets.len() as u64;
                return;
            }
            let end = memchr(b'\n', octets).map(|at| at + 1);
            let (piece, rest) = octets.split_at(end.unwrap_or(octets.len()));
            octets = rest;
            match end {
                Some(_) if self.came == 0 => {
                    let ending = if piece.ends_with(b"\r\n") { 2 } else { 1 };
                    self.line(piece, piece.len() as u64, ending);
                }
                Some(_) => {
                    self.hold(piece);
                    let ending = if self.after_cr { 2 } else { 1 };
                    self.held_line(ending);
                }
                None => self.hold(piece),
            }
        }
    }

    /// Where the header of the message ends, if that was seen.
    pub fn header_end(&self) -> Option<u64> {
        let within = self.header.is_some() && self.open.len() == 1;
        self.parts.first().filter(|_| !within).map(|part| part.header.start + part.header.length)
    }

    /// Keeps the beginning of a line. A CR in front of the last octet is remembered.
    fn hold(&mut self, piece: &[u8]) {
        let most = if self.header.is_some() { self.limits.field } else { HEAD };
        let room = most.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
        self.came += piece.len() as u64;
        match piece {
            [.., before, b'\n'] => self.after_cr = *before == b'\r',
            [b'\n'] => {}
            [.., last] => self.after_cr = *last == b'\r',
            [] => {}
        }
    }

    fn held_line(&mut self, ending: u64) {
        let mut head = std::mem::take(&mut self.head);
        let came = std::mem::take(&mut self.came);
        self.after_cr = false;
        self.line(&head, came, ending);
        head.clear();
        self.head = head;
    }

    /// About what it holds of a message whose octets it has seen, in octets, besides a line and a field.
    pub fn held(&self) -> usize {
        let text = self.limits.text - self.budget.0;
        self.parts.capacity() * size_of::<Part>() + 2 * text + self.open.len() * size_of::<Open>()
    }

    /// The end of the message.
    pub fn finish(mut self) -> Structure {
        if self.came > 0 {
            self.held_line(0);
        }
        while self.header.is_some() {
            self.end_header(self.at);
        }
        self.close(0, self.at, false);
        self.kept.has_body = self.parts.first().is_some_and(|part| part.body.length > 0);
        Structure { size: self.at, kept: self.kept, parts: self.parts }
    }

    /// A line of `length` octets that begins with `head` and has a line end of `ending` octets.
    fn line(&mut self, head: &[u8], length: u64, ending: u64) {
        if let Some((outer, last)) = self.boundary(head) {
            self.delimiter(outer, last, length);
        } else if self.header.is_some() {
            if length == ending {
                self.newlines += 1;
                self.at += length;
                self.ending = ending;
                return self.end_header(self.at);
            }
            let cut = length > head.len() as u64;
            self.with_header(|header, part, sink| header.line(head, cut, part, sink));
        }
        self.newlines += u64::from(ending > 0);
        self.at += length;
        self.ending = ending;
    }

    /// The open part whose boundary the line begins with, by its place in the row, and whether it is its last. The
    /// longest boundary counts, and of equals the innermost. The rest of the line does not matter (RFC 2046 section
    /// 5.1.1).
    fn boundary(&self, head: &[u8]) -> Option<(usize, bool)> {
        let line = head.strip_prefix(b"--")?;
        if self.parts.len() >= self.limits.parts {
            return None;
        }
        let mut best: Option<(usize, &[u8])> = None;
        for (place, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = &open.boundary else { continue };
            if line.starts_with(boundary) && best.is_none_or(|(_, longest)| longest.len() < boundary.len()) {
                best = Some((place, boundary));
            }
        }
        best.map(|(place, boundary)| (place, line[boundary.len()..].starts_with(b"--")))
    }

    /// A boundary of the open part at `outer`, in a line of `length` octets.
    fn delimiter(&mut self, outer: usize, last: bool, length: u64) {
        let (mut end, mut stripped) = (self.at - self.ending, self.ending > 0);
        let floor = self.open.get(outer + 1).map_or(0, |open| self.parts[open.part].header.start);
        if end < floor {
            // The line end in front is that of another boundary.
            (end, stripped) = (self.at, false);
        }
        if self.header.is_some() {
            let newlines = self.newlines;
            self.newlines -= u64::from(stripped);
            while self.header.is_some() {
                self.end_header(end);
            }
            self.newlines = newlines;
        }
        self.close(outer + 1, end, stripped);
        match last {
            true => self.open[outer].boundary = None,
            false => self.begin(self.at + length, false),
        }
    }

    /// Ends all open parts from the place `from` on in front of `end`: also their headers, where the line end that belongs
    /// to the boundary is the empty line of a header.
    fn close(&mut self, from: usize, end: u64, stripped: bool) {
        while self.open.len() > from {
            let Some(open) = self.open.pop() else { return };
            let behind = self.parts.len();
            let part = &mut self.parts[open.part];
            part.header.start = part.header.start.min(end);
            part.body.start = part.body.start.min(end);
            part.header.length = part.body.start - part.header.start;
            part.body.length = end - part.body.start;
            part.lines = (self.newlines - u64::from(stripped)).saturating_sub(open.newlines);
            part.within = u32::try_from(behind - open.part - 1).unwrap_or(u32::MAX);
        }
    }

    /// A new part within the innermost one, whose header begins at `start`.
    fn begin(&mut self, start: u64, message: bool) {
        let keeps = self.parts.is_empty();
        let mut part = Part::default();
        part.header.start = start;
        part.envelope = message.then(|| Box::new(Envelope::default()));
        self.open.push(Open { part: self.parts.len(), boundary: None, digest: false, newlines: 0 });
        self.parts.push(part);
        self.header = Some(Header::new(message, keeps));
    }

    /// Calls `act` with the header that is read and its part.
    fn with_header(&mut self, act: impl FnOnce(&mut Header, &mut Part, &mut Sink<'_>)) {
        let Some(part) = self.open.last().and_then(|open| self.parts.get_mut(open.part)) else { return };
        let mut sink = Sink { kept: &mut self.kept, budget: &mut self.budget, limits: &self.limits };
        if let Some(header) = &mut self.header {
            act(header, part, &mut sink);
        }
    }

    /// The header of the innermost part ends in front of `end`, where its body begins.
    fn end_header(&mut self, end: u64) {
        self.with_header(|header, part, sink| header.end(part, sink));
        self.header = None;
        let (depth, room) = (self.open.len(), self.parts.len() < self.limits.parts);
        let in_digest = depth.checked_sub(2).is_some_and(|parent| self.open[parent].digest);
        let Some(open) = self.open.last_mut() else { return };
        let part = &mut self.parts[open.part];
        part.header.length = end.saturating_sub(part.header.start);
        part.body.start = end;
        open.newlines = self.newlines;
        if depth > self.limits.depth {
            return;
        }
        match content_of(part, in_digest) {
            Content::Single => {}
            Content::Multipart { boundary, digest } => {
                part.kind = Kind::Multipart;
                open.boundary = boundary;
                open.digest = digest;
            }
            Content::Message if room => {
                part.kind = Kind::Message;
                self.begin(end, true);
            }
            Content::Message => {}
        }
    }
}

/// What a header says of the body behind it.
enum Content {
    Single,
    /// Without a boundary, nothing is found in it.
    Multipart {
        boundary: Option<Vec<u8>>,
        digest: bool,
    },
    Message,
}

fn content_of(part: &Part, in_digest: bool) -> Content {
    let Some(media) = &part.media else {
        return if in_digest { Content::Message } else { Content::Single };
    };
    let sub = |name: &str| media.sub.eq_ignore_ascii_case(name.as_bytes());
    if part.is_type("message") && (sub("rfc822") || (sub("global") && is_identity(part))) {
        return Content::Message;
    }
    if !part.is_type("multipart") {
        return Content::Single;
    }
    let boundary =
        part.parameter("boundary").map(|boundary| boundary[..boundary.len().min(BOUNDARY)].to_vec());
    Content::Multipart { boundary, digest: sub("digest") }
}

/// Whether the body stands as it is: `message/global` may also be encoded (RFC 6532 section 3.7).
fn is_identity(part: &Part) -> bool {
    let named = |encoding: &[u8]| {
        ["7bit", "8bit", "binary"].iter().any(|name| encoding.eq_ignore_ascii_case(name.as_bytes()))
    };
    part.encoding.as_ref().is_none_or(|encoding| named(encoding))
}
