//! What is told of messages (RFC 9051 section 7.5.2).

use bytes::BytesMut;

use crate::imap::types::{BodyStructure, Content, DateTime, Envelope, FetchItem, Section, SectionText};

use super::super::names::MONTHS;
use super::Encoder;
use super::string::{announce, list, literal, literal8, number, print};

/// Writes one `FETCH`, item by item, so that bodies can be streamed between. Made by [`Encoder::fetch_begin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a FETCH that was begun has to be ended"]
pub struct FetchEncoder {
    encoder: Encoder,
    first: bool,
}

impl Encoder {
    /// Begins `* number FETCH (`.
    pub fn fetch_begin(self, number: u32, out: &mut BytesMut) -> FetchEncoder {
        begin(number, b" FETCH (", out);
        FetchEncoder { encoder: self, first: true }
    }

    /// Begins `* uid UIDFETCH (` (RFC 9586 section 3.3).
    pub fn uid_fetch_begin(self, uid: u32, out: &mut BytesMut) -> FetchEncoder {
        begin(uid, b" UIDFETCH (", out);
        FetchEncoder { encoder: self, first: true }
    }

    /// A whole `FETCH`, without the line's begin and end.
    pub(super) fn fetch(self, word: &[u8], of: u32, items: &[FetchItem], out: &mut BytesMut) {
        number(of, out);
        out.extend_from_slice(b" ");
        out.extend_from_slice(word);
        out.extend_from_slice(b" (");
        let mut fetch = FetchEncoder { encoder: self, first: true };
        for item in items {
            for _ in 0..fetch.item(item, out) {
                out.extend_from_slice(b" ");
            }
        }
        out.extend_from_slice(b")");
    }
}

impl FetchEncoder {
    /// Appends an item. How many octets the caller has to write next, before anything else: 0 but for
    /// [`Content::Streamed`]. Where they are no `literal8`, NUL among them has to become something else
    /// (RFC 9051 section 4.3).
    #[must_use = "the octets of a streamed item follow"]
    pub fn item(&mut self, item: &FetchItem, out: &mut BytesMut) -> u64 {
        self.space(out);
        self.encoder.fetch_item(item, out)
    }

    /// Appends an `ENVELOPE` whose octets are anybody's.
    pub fn envelope<B: AsRef<[u8]>>(&mut self, envelope: &Envelope<B>, out: &mut BytesMut) {
        self.space(out);
        out.extend_from_slice(b"ENVELOPE ");
        self.encoder.teller().envelope(envelope, out);
    }

    /// Appends a `BODYSTRUCTURE`, or a `BODY` if it is not `extended`.
    pub fn body<B: AsRef<[u8]>>(&mut self, body: &BodyStructure<B>, extended: bool, out: &mut BytesMut) {
        self.space(out);
        out.extend_from_slice(if extended { b"BODYSTRUCTURE " } else { b"BODY " });
        self.encoder.teller().body(body, extended, out);
    }

    /// Appends a `BODYSTRUCTURE` as it was told once before.
    pub fn body_structure(&mut self, told: &[u8], out: &mut BytesMut) {
        self.space(out);
        out.extend_from_slice(b"BODYSTRUCTURE ");
        out.extend_from_slice(told);
    }

    /// Appends a `BODY[...]`, as [`Self::item`] does.
    #[must_use = "the octets of a streamed item follow"]
    pub fn section(
        &mut self,
        section: &Section,
        origin: Option<u64>,
        content: &Content,
        out: &mut BytesMut,
    ) -> u64 {
        self.space(out);
        self.encoder.body_section(section, origin, content, out)
    }

    fn space(&mut self, out: &mut BytesMut) {
        if !std::mem::take(&mut self.first) {
            out.extend_from_slice(b" ");
        }
    }

    /// Ends it, with the line.
    pub fn end(self, out: &mut BytesMut) {
        out.extend_from_slice(b")\r\n");
    }
}

fn begin(of: u32, word: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(b"* ");
    number(of, out);
    out.extend_from_slice(word);
}

impl Encoder {
    fn fetch_item(self, item: &FetchItem, out: &mut BytesMut) -> u64 {
        match item {
            FetchItem::Flags(flags) => {
                out.extend_from_slice(b"FLAGS ");
                list(flags, out, print);
            }
            FetchItem::Uid(uid) => {
                out.extend_from_slice(b"UID ");
                number(*uid, out);
            }
            FetchItem::InternalDate(moment) => {
                out.extend_from_slice(b"INTERNALDATE ");
                date_time(*moment, out);
            }
            FetchItem::Rfc822Size(octets) => {
                out.extend_from_slice(b"RFC822.SIZE ");
                number(*octets, out);
            }
            FetchItem::Envelope(envelope) => {
                out.extend_from_slice(b"ENVELOPE ");
                self.teller().envelope(envelope, out);
            }
            FetchItem::Body(body) => {
                out.extend_from_slice(b"BODY ");
                self.teller().body(body, false, out);
            }
            FetchItem::BodyStructure(body) => {
                out.extend_from_slice(b"BODYSTRUCTURE ");
                self.teller().body(body, true, out);
            }
            FetchItem::ModSeq(modseq) => {
                out.extend_from_slice(b"MODSEQ (");
                number(*modseq, out);
                out.extend_from_slice(b")");
            }
            FetchItem::EmailId(id) => print(format_args!("EMAILID ({id})"), out),
            FetchItem::ThreadId(Some(id)) => print(format_args!("THREADID ({id})"), out),
            FetchItem::ThreadId(None) => out.extend_from_slice(b"THREADID NIL"),
            FetchItem::SaveDate(None) => out.extend_from_slice(b"SAVEDATE NIL"),
            FetchItem::SaveDate(Some(moment)) => {
                out.extend_from_slice(b"SAVEDATE ");
                date_time(*moment, out);
            }
            FetchItem::Preview(text) => {
                out.extend_from_slice(b"PREVIEW ");
                self.nstring(text.as_deref().map(str::as_bytes), out);
            }
            _ => return self.octets(item, out),
        }
        0
    }

    /// Items that are octets of the message.
    fn octets(self, item: &FetchItem, out: &mut BytesMut) -> u64 {
        match item {
            FetchItem::BodySection { section, origin, content } => {
                self.body_section(section, *origin, content, out)
            }
            FetchItem::Binary { part, origin, content } => {
                out.extend_from_slice(b"BINARY[");
                dotted(part, out);
                out.extend_from_slice(b"]");
                from(*origin, out);
                match content {
                    Content::Octets(octets) if octets.contains(&0) => {
                        out.extend_from_slice(b" ");
                        literal8(octets, out);
                        0
                    }
                    _ => self.content(content, out),
                }
            }
            FetchItem::BinarySize { part, octets } => {
                out.extend_from_slice(b"BINARY.SIZE[");
                dotted(part, out);
                print(format_args!("] {octets}"), out);
                0
            }
            FetchItem::Rfc822(content) => self.named_content(b"RFC822", content, out),
            FetchItem::Rfc822Header(content) => self.named_content(b"RFC822.HEADER", content, out),
            FetchItem::Rfc822Text(content) => self.named_content(b"RFC822.TEXT", content, out),
            _ => 0,
        }
    }

    fn body_section(
        self,
        section: &Section,
        origin: Option<u64>,
        content: &Content,
        out: &mut BytesMut,
    ) -> u64 {
        out.extend_from_slice(b"BODY[");
        self.section(section, out);
        out.extend_from_slice(b"]");
        from(origin, out);
        self.content(content, out)
    }

    fn named_content(self, name: &[u8], content: &Content, out: &mut BytesMut) -> u64 {
        out.extend_from_slice(name);
        self.content(content, out)
    }

    /// A space and the octets. They are literals even where they could be quoted: clients expect it.
    fn content(self, content: &Content, out: &mut BytesMut) -> u64 {
        out.extend_from_slice(b" ");
        match content {
            Content::Nil => out.extend_from_slice(b"NIL"),
            Content::Octets(octets) => literal(octets, out),
            Content::Streamed { octets, binary } => {
                announce(*octets, *binary, out);
                return *octets;
            }
        }
        0
    }

    fn section(self, section: &Section, out: &mut BytesMut) {
        dotted(&section.part, out);
        let Some(text) = &section.text else { return };
        if !section.part.is_empty() {
            out.extend_from_slice(b".");
        }
        let (word, fields): (&[u8], _) = match text {
            SectionText::Header => (b"HEADER", None),
            SectionText::Text => (b"TEXT", None),
            SectionText::Mime => (b"MIME", None),
            SectionText::HeaderFields(fields) => (b"HEADER.FIELDS ", Some(fields)),
            SectionText::HeaderFieldsNot(fields) => (b"HEADER.FIELDS.NOT ", Some(fields)),
        };
        out.extend_from_slice(word);
        if let Some(fields) = fields {
            list(fields, out, |field, out| self.astring(field, out));
        }
    }
}

fn dotted(part: &[u32], out: &mut BytesMut) {
    for (at, number) in part.iter().enumerate() {
        let dot = if at == 0 { "" } else { "." };
        print(format_args!("{dot}{number}"), out);
    }
}

fn from(origin: Option<u64>, out: &mut BytesMut) {
    if let Some(origin) = origin {
        print(format_args!("<{origin}>"), out);
    }
}

/// `date-time`.
fn date_time(moment: DateTime, out: &mut BytesMut) {
    let DateTime { date, hour, minute, second, zone } = moment;
    let month = MONTHS.get(usize::from(date.month).wrapping_sub(1)).unwrap_or(&"Jan");
    let sign = if zone < 0 { b'-' } else { b'+' };
    let (hours, minutes) = (zone.unsigned_abs() / 60, zone.unsigned_abs() % 60);
    let two = |number: u16| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    let [mut tens, ones] = two(date.day.into());
    if tens == b'0' {
        tens = b' ';
    }
    out.extend_from_slice(&[b'"', tens, ones, b'-']);
    out.extend_from_slice(month.as_bytes());
    out.extend_from_slice(b"-");
    out.extend_from_slice(&two(date.year / 100));
    out.extend_from_slice(&two(date.year));
    for (before, number) in [(b' ', hour), (b':', minute), (b':', second)] {
        let [tens, ones] = two(number.into());
        out.extend_from_slice(&[before, tens, ones]);
    }
    out.extend_from_slice(&[b' ', sign]);
    out.extend_from_slice(&two(hours));
    out.extend_from_slice(&two(minutes));
    out.extend_from_slice(b"\"");
}
