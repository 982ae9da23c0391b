//! Trace information (RFC 5321 section 4.4): the `Received` field we add, and what the fields
//! of a passing message tell about loops.

use std::net::IpAddr;

use super::{Mailbox, QueueId};
use crate::seam::Timestamp;

/// What our `Received` field says.
#[derive(Debug, Clone)]
pub struct Received<'a> {
    /// What the client called itself (EHLO or HELO).
    pub helo: &'a str,
    /// The client's address; `None` for local submission.
    pub ip: Option<IpAddr>,
    /// The client's verified host name, if there is one.
    pub host: Option<&'a str>,
    /// Name and address of whom it passes the message on for, if it may say so.
    pub upstream: Option<(&'a str, &'a str)>,
    /// Our own name.
    pub by: &'a str,
    /// The protocol keyword: `ESMTPS`, `LMTP`, ... (RFC 3848, RFC 6531 section 4.3).
    pub with: &'a str,
    /// The queue id.
    pub id: QueueId,
    /// The recipient, if there is exactly one.
    pub recipient: Option<&'a Mailbox>,
    /// The priority, if the sender asked for one (RFC 6710 section 4.1).
    pub priority: Option<i8>,
    /// Now.
    pub at: Timestamp,
}

impl Received<'_> {
    /// The field, folded, with CRLF at its end.
    pub fn to_field(&self) -> String {
        let mut field = String::from("Received: ");
        match self.ip {
            Some(ip) => {
                let literal = super::Domain::from(ip);
                let host = self.host.unwrap_or("unknown");
                field.push_str(&format!("from {} ({host} {literal})\r\n\t", clean(self.helo)));
            }
            None => field.push_str(&format!("from {}\r\n\t", clean(self.helo))),
        }
        if let Some((name, address)) = self.upstream {
            field.push_str(&format!("(passed on for {} [{}])\r\n\t", clean(name), clean(address)));
        }
        field.push_str(&format!("by {} with {} id {}", self.by, self.with, self.id));
        if let Some(mailbox) = self.recipient {
            field.push_str(&format!("\r\n\tfor <{mailbox}>"));
        }
        if let Some(priority) = self.priority {
            field.push_str(&format!("\r\n\tPRIORITY {priority}"));
        }
        field.push_str(&format!("; {}\r\n", self.at.to_rfc5322()));
        field
    }
}

/// A peer's word without what would break the field: spaces, parentheses, control characters.
fn clean(word: &str) -> String {
    let kept: String = word
        .chars()
        .take(255)
        .filter(|c| !c.is_control() && !c.is_whitespace() && !"();\\\"".contains(*c))
        .collect();
    if kept.is_empty() { "unknown".into() } else { kept }
}

/// Watches a message pass and counts what shows a loop. Feed it the octets as they come, in
/// pieces of any size; it stops looking where the header section ends.
#[derive(Debug, Clone, Default)]
pub struct TraceScan {
    line: Vec<u8>,
    in_body: bool,
    offset: u64,
    header_size: u64,
    received: u32,
    own: u32,
    in_received: bool,
    field: Vec<u8>,
    has_date: bool,
    has_message_id: bool,
    has_from: bool,
    delivered_to: Vec<String>,
    /// Whether the field that is read names authors.
    in_author: bool,
    authors: Vec<String>,
    /// Whether an author may be missing there.
    authors_cut: bool,
    /// Whether the field that is read says whether protection is required.
    in_waiver: bool,
    /// How many fields say so, and how many of them that it is not.
    waivers: (u32, u32),
    line_start: u64,
    foreign_since: Option<u64>,
    foreign: Vec<std::ops::Range<u64>>,
    /// Whether the next line is the first that its author wrote.
    begins: bool,
    headless: Option<u64>,
}

/// How many separate runs of such fields are remembered. A message with more is not removed of them, but refused.
const MOST_FOREIGN: usize = 100;

/// How names of fields begin that only we may set: what travels in from outside under such a name is removed,
/// or anybody could forge a verdict.
const OURS: &str = "X-IEMS-";

/// Another such field: whoever makes the final delivery writes it, and there is one (RFC 5321 section 4.4).
const RETURN_PATH: &str = "Return-Path";

/// How many fields that name authors are kept. There is one `From` and one `Sender` in a message that follows RFC 5322.
const MOST_AUTHORS: usize = 8;

/// Longest part of a line or field that is looked at, in octets.
const LOOKED_AT: usize = 2048;

/// Whether a header section may begin with a line: with a field, or with the line that mbox files have before it.
fn may_begin(line: &[u8]) -> bool {
    let name = line.iter().take_while(|octet| (33..=126).contains(*octet) && **octet != b':').count();
    let rest = line.get(name..).unwrap_or_default().trim_ascii_start();
    name > 0 && rest.first() == Some(&b':') || line.starts_with(b"From ") || line.starts_with(b">From ")
}

impl TraceScan {
    /// Says that what was fed so far is ours, and that what its author wrote follows.
    pub fn begin(&mut self) {
        self.begins = true;
    }

    /// Where an author's text begins that has no header section, not even an empty one: what was fed so far is all header, and
    /// an empty line is missing here.
    pub fn headless(&self) -> Option<u64> {
        self.headless
    }

    /// Looks at the next octets. `own` is our name as `Received` fields of ours carry it.
    pub fn feed(&mut self, mut octets: &[u8], own: &str) {
        while !self.in_body && !octets.is_empty() {
            let (piece, ended) = match memchr::memchr(b'\n', octets) {
                Some(at) => (&octets[..=at], true),
                None => (octets, false),
            };
            let room = LOOKED_AT.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            self.offset += piece.len() as u64;
            octets = &octets[piece.len()..];
            if ended {
                self.end_of_line(own);
            }
        }
    }

    fn end_of_line(&mut self, own: &str) {
        let line = std::mem::take(&mut self.line);
        let line_start = std::mem::replace(&mut self.line_start, self.offset);
        let begins = std::mem::take(&mut self.begins);
        if line.len() <= 2 && line.iter().all(|b| matches!(b, b'\r' | b'\n')) {
            self.end_of_field(own, line_start);
            self.in_body = true;
            self.header_size = self.offset;
            return;
        }
        if begins && !may_begin(&line) {
            self.headless = Some(line_start);
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            self.end_of_field(own, line_start);
            self.start_of_field(&line, line_start);
        }
        if (self.in_received || self.in_author || self.in_waiver) && self.field.len() < LOOKED_AT {
            self.field.extend_from_slice(&line);
        }
        // What is not looked at could name anybody.
        self.authors_cut |= self.in_author && (line.len() >= LOOKED_AT || self.field.len() >= LOOKED_AT);
    }

    fn start_of_field(&mut self, line: &[u8], line_start: u64) {
        let name = line.split(|b| *b == b':').next().unwrap_or_default().trim_ascii();
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        self.in_received = is("Received");
        self.in_author = is("From") || is("Sender");
        self.in_waiver = is("TLS-Required");
        let ours = name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS.as_bytes()));
        self.foreign_since = (ours || is(RETURN_PATH)).then_some(line_start);
        self.has_date |= is("Date");
        self.has_message_id |= is("Message-ID");
        self.has_from |= is("From");
        if is("Delivered-To") && self.delivered_to.len() < 100 {
            let value = String::from_utf8_lossy(&line[name.len()..])
                .trim_start_matches([':', ' ', '\t'])
                .trim()
                .to_lowercase();
            self.delivered_to.push(value);
        }
    }

    fn end_of_field(&mut self, own: &str, at: u64) {
        if let Some(since) = self.foreign_since.take() {
            match self.foreign.last_mut() {
                Some(last) if last.end == since => last.end = at,
                _ => self.foreign.push(since..at),
            }
            self.foreign.truncate(MOST_FOREIGN + 1);
        }
        if std::mem::take(&mut self.in_waiver) {
            let field = std::mem::take(&mut self.field);
            let value = memchr::memchr(b':', &field).map_or(&[][..], |at| &field[at + 1..]);
            let no = value.trim_ascii().eq_ignore_ascii_case(b"no");
            self.waivers = (self.waivers.0.saturating_add(1), self.waivers.1.saturating_add(no.into()));
            return;
        }
        if std::mem::take(&mut self.in_author) {
            let field = std::mem::take(&mut self.field);
            match self.authors.len() < MOST_AUTHORS {
                true => self.authors.push(String::from_utf8_lossy(&field).into_owned()),
                false => self.authors_cut = true,
            }
            return;
        }
        if !std::mem::take(&mut self.in_received) {
            return;
        }
        self.received += 1;
        let field = String::from_utf8_lossy(&std::mem::take(&mut self.field)).to_ascii_lowercase();
        let own = own.to_ascii_lowercase();
        let mut words = field.split_ascii_whitespace();
        while let Some(word) = words.next() {
            // A peer may call itself `by`; ours is the one with our name behind it.
            let named = || words.clone().next().is_some_and(|name| name.trim_end_matches(';') == own);
            if word == "by" && named() {
                self.own += 1;
                break;
            }
        }
    }

    /// Says that the message ended. A message without an empty line is all header.
    pub fn finish(&mut self, own: &str) {
        if !self.in_body {
            if !self.line.is_empty() {
                self.end_of_line(own);
            }
            self.end_of_field(own, self.offset);
            self.header_size = self.offset;
            self.in_body = true;
        }
    }

    /// Length of the header section with the empty line, in octets of what was fed.
    pub fn header_size(&self) -> u64 {
        self.header_size
    }

    /// Number of `Received` fields.
    pub fn hops(&self) -> u32 {
        self.received
    }

    /// Number of `Received` fields that bear our own name.
    pub fn own_hops(&self) -> u32 {
        self.own
    }

    /// Whether there is a `Date` field.
    pub fn has_date(&self) -> bool {
        self.has_date
    }

    /// Whether there is a `Message-ID` field.
    pub fn has_message_id(&self) -> bool {
        self.has_message_id
    }

    /// Whether there is a `From` field.
    pub fn has_from(&self) -> bool {
        self.has_from
    }

    /// Whether the sender would rather have it go unprotected than not at all: one field, and no other, says so (RFC 8689 section 3).
    pub fn waives_protection(&self) -> bool {
        self.waivers == (1, 1)
    }

    /// The fields `From` and `Sender` with their names, and whether these are all of them, and whole.
    pub fn authors(&self) -> (&[String], bool) {
        (&self.authors, !self.authors_cut)
    }

    /// Where fields stand whose names begin with `X-IEMS-`: octets from the start of what was fed.
    pub fn foreign(&self) -> &[std::ops::Range<u64>] {
        &self.foreign
    }

    /// Whether such fields stand in more places than are remembered: then they cannot be removed.
    pub fn is_overrun(&self) -> bool {
        self.foreign.len() > MOST_FOREIGN
    }

    /// Values of the `Delivered-To` fields, in lower case.
    pub fn delivered_to(&self) -> &[String] {
        &self.delivered_to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(message: &[u8], piece: usize) -> TraceScan {
        let mut scan = TraceScan::default();
        message.chunks(piece).for_each(|c| scan.feed(c, "mx.example.org"));
        scan.finish("mx.example.org");
        scan
    }

    #[test]
    fn counts_hops_in_any_pieces() {
        let message = b"Received: from by (by [x]) by\r\n mx.example.org with SMTP; x\r\nReceived: from b (by x) by other; y\r\nDate: d\r\n\
            Delivered-To: A@b\r\n\r\nReceived: body\r\n";
        for piece in 1..message.len() {
            let scan = scan(message, piece);
            assert_eq!((scan.hops(), scan.own_hops()), (2, 1), "{piece}");
            assert_eq!(scan.header_size() as usize, message.len() - b"Received: body\r\n".len());
            assert!(scan.has_date() && !scan.has_message_id());
            assert_eq!(scan.delivered_to(), ["a@b"]);
            assert!(scan.foreign().is_empty());
        }
    }

    #[test]
    fn keeps_authors_or_says_that_it_could_not() {
        let scanned = |message: &str, piece| {
            let scan = scan(message.as_bytes(), piece);
            let (authors, whole) = scan.authors();
            (authors.concat(), authors.len(), whole)
        };
        let message = "From: a@b,\r\n c@d\r\nTo: x\r\nsender : e@f\r\nReceived: by mx\r\n\r\nFrom: body\r\n";
        for piece in 1..message.len() {
            assert_eq!(scanned(message, piece), ("From: a@b,\r\n c@d\r\nsender : e@f\r\n".into(), 2, true));
        }
        let long = format!("From: {}\r\n\r\n", "a@b, ".repeat(1000));
        let folded = format!("From: a@b{}\r\n\r\n", ",\r\n c@d".repeat(1000));
        for message in [long, folded, "From: a@b\r\n".repeat(20)] {
            assert!(!scanned(&message, 100).2);
        }
    }

    #[test]
    fn finds_fields_that_only_we_may_set() {
        let message =
            b"A: 1\r\nx-iems-verdict: forged\r\n folded\r\nB: 2\r\nX-IEMS-Z: 3\r\nReturn-Paths: x\r\nreturn-path: <a@b>\r\n\r\nX-IEMS-C: body\r\n";
        for piece in 1..message.len() {
            let scan = scan(message, piece);
            let found: Vec<_> =
                scan.foreign().iter().map(|r| &message[r.start as usize..r.end as usize]).collect();
            let expected =
                ["x-iems-verdict: forged\r\n folded\r\n", "X-IEMS-Z: 3\r\n", "return-path: <a@b>\r\n"];
            assert_eq!(found, expected.map(str::as_bytes));
        }
    }

    #[test]
    fn protection_is_waived_by_one_field_that_says_no() {
        for (header, waived) in [
            ("TLS-Required: No\r\n", true),
            ("tls-required:no\r\n", true),
            ("TLS-Required:\r\n No\r\n", true),
            ("TLS-Required: No\r\n thing\r\n", false),
            ("TLS-Required: No \r\nSubject: TLS-Required: No\r\n", true),
            ("TLS-Required: Yes\r\n", false),
            ("TLS-Required: No, thanks\r\n", false),
            ("TLS-Required:\r\n", false),
            ("TLS-Required\r\n", false),
            ("X-TLS-Required: No\r\n", false),
            ("Subject: x\r\n TLS-Required: No\r\n", false),
            ("TLS-Required: No\r\nTLS-Required: No\r\n", false),
            ("TLS-Required: No\r\nTLS-Required: Yes\r\n", false),
            ("\r\nTLS-Required: No\r\n", false),
        ] {
            for piece in [1, 7, 100] {
                assert_eq!(scan(header.as_bytes(), piece).waives_protection(), waived, "{header:?}");
            }
        }
    }

    #[test]
    fn a_message_without_a_body_is_all_header() {
        assert_eq!(scan(b"Subject: x\r\n", 3).header_size(), 12);
        assert_eq!(scan(b"\r\nbody", 3).header_size(), 2);
    }

    #[test]
    fn a_text_without_a_header_is_seen_where_it_begins() {
        for (text, headless) in [
            ("Subject: x\r\n\r\nbody\r\n", false),
            ("Subject : x\r\n", false),
            ("From ann Mon Jan  1 00:00:00 2024\r\nSubject: x\r\n\r\n", false),
            ("\r\nbody\r\n", false),
            ("", false),
            ("A: b\r\nno field\r\n", false),
            ("disk /dev/sda is full\r\nplease clean: now\r\n", true),
            ("  indented: text\r\n", true),
            (": text\r\n", true),
            ("no end", true),
        ] {
            let mut scan = TraceScan::default();
            scan.feed(b"Received: ours\r\n", "");
            scan.begin();
            text.as_bytes().chunks(3).for_each(|piece| scan.feed(piece, ""));
            scan.finish("");
            assert_eq!(scan.headless(), headless.then_some(16), "{text:?}");
        }
    }

    #[test]
    fn a_peers_name_cannot_break_the_field() {
        let received = Received {
            helo: "evil)\r\nX: y",
            ip: None,
            host: None,
            upstream: Some(("x) by y", "")),
            by: "mx",
            with: "ESMTP",
            id: QueueId::from_bytes([0; 16]),
            recipient: None,
            priority: None,
            at: Timestamp::from_millis(0),
        };
        let field = received.to_field();
        assert_eq!(field.matches("\r\n").count(), 3, "{field}");
        assert!(field.contains("(passed on for xbyy [unknown])"), "{field}");
        // RFC 6710 section 4.1.
        let field = Received { priority: Some(-3), ..received }.to_field();
        assert!(field.contains("\r\n\tPRIORITY -3; Thu, 1 Jan 1970"), "{field}");
    }
}
