//! A report in octets: `multipart/report` (RFC 6522) with a part for people, one for programs, and what goes back of the
//! message.
//!
//! The boundary is drawn by chance, and drawn again if the parts hold it: nothing from outside can end a part.

use std::fmt::Write as _;

use super::encode::{display_name, header_text, text_part};
use super::returned::{Facts, Returned};
use super::text::Language;
use super::told::Told;
use super::{fields, people};
use crate::message::{BodyType, Kind, Mailbox, QueueId, Secrecy};
use crate::queue::Message;
use crate::seam::{Random, Timestamp};

/// What a report is made of.
pub(super) struct Draft<'a> {
    pub(super) kind: Kind,
    /// Our name.
    pub(super) host: &'a str,
    /// The address that answers for this system.
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a Mailbox,
    /// The message it is about.
    pub(super) id: QueueId,
    pub(super) message: &'a Message,
    pub(super) told: &'a [Told],
    pub(super) now: Timestamp,
    pub(super) language: &'a Language,
    pub(super) returned: &'a Returned,
    pub(super) facts: &'a Facts,
}

/// A message written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Composed {
    pub(super) octets: Vec<u8>,
    pub(super) body: BodyType,
    pub(super) smtputf8: bool,
    /// What it tells is as secret as what it tells of (RFC 8689 section 5).
    pub(super) secrecy: Secrecy,
}

impl Draft<'_> {
    /// Writes the report.
    pub(super) fn compose(&self, random: &dyn Random) -> Composed {
        // RFC 6533 section 6: UTF-8 only for whoever has shown to take it.
        let able = self.message.envelope.smtputf8 || !self.to.is_ascii();
        let status = fields::fields(self, able);
        let utf8 = !status.is_ascii();
        let (text, encoding) = text_part(&people::text(self));
        let mut parts = vec![part(
            &format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Language: {}\r\n{encoding}",
                self.language.tag
            ),
            text.as_bytes(),
        )];
        let media_type = if utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
        parts.push(part(&typed(media_type, status.as_bytes()), status.as_bytes()));
        if !self.returned.media_type.is_empty() {
            let octets = &self.returned.octets;
            parts.push(part(&typed(self.returned.media_type, octets), octets));
        }
        let global = utf8 || self.returned.media_type.starts_with("message/global");
        let eight_bit = parts.iter().any(|part| !part.is_ascii());
        let report = "multipart/report; report-type=delivery-status";
        let octets = enclose(&self.head(random), report, &parts, random);
        let body = if eight_bit || !self.to.is_ascii() { BodyType::EightBitMime } else { BodyType::SevenBit };
        Composed { octets, body, smtputf8: global || !self.to.is_ascii(), secrecy: Secrecy::Usual }
    }

    fn head(&self, random: &dyn Random) -> String {
        let automatic = if self.kind == Kind::Notice { "auto-generated" } else { "auto-replied" };
        let subject = people::subject(self);
        let mut head = head(self, &subject, automatic, random);
        if let Some(message_id) = &self.facts.message_id {
            let _ = write!(head, "In-Reply-To: {message_id}\r\nReferences: {message_id}\r\n");
        }
        head
    }
}

/// A text to the postmaster that is about no message.
pub(super) struct Memo<'a> {
    pub(super) host: &'a str,
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a Mailbox,
    pub(super) now: Timestamp,
    pub(super) language: &'a Language,
    pub(super) subject: String,
    pub(super) text: String,
}

impl Memo<'_> {
    /// Writes it.
    pub(super) fn compose(&self, random: &dyn Random) -> Composed {
        let (text, encoding) = text_part(&self.text);
        let mut out = heading(self.host, self.from, self.to, self.now, self.language, random);
        let _ = write!(
            out,
            "Subject: {}\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Language: {}\r\n{encoding}\r\n{text}",
            header_text(&self.subject),
            self.language.tag
        );
        let smtputf8 = !self.to.is_ascii();
        let body = if smtputf8 { BodyType::EightBitMime } else { BodyType::SevenBit };
        Composed { octets: out.into_bytes(), body, smtputf8, secrecy: Secrecy::Usual }
    }
}

fn head(draft: &Draft<'_>, subject: &str, automatic: &str, random: &dyn Random) -> String {
    let mut head = heading(draft.host, draft.from, draft.to, draft.now, draft.language, random);
    let _ = write!(head, "Subject: {}\r\nAuto-Submitted: {automatic}\r\n", header_text(subject));
    head
}

/// The fields that all our messages begin with.
fn heading(
    host: &str,
    from: &Mailbox,
    to: &Mailbox,
    now: Timestamp,
    language: &Language,
    random: &dyn Random,
) -> String {
    format!(
        "From: {} <{from}>\r\nTo: <{to}>\r\nDate: {}\r\nMessage-ID: <{}@{host}>\r\n",
        display_name(&language.sender),
        now.to_rfc5322(),
        token(random),
    )
}

/// The fields of a part whose octets go as they are.
fn typed(media_type: &str, octets: &[u8]) -> String {
    let encoding = if octets.is_ascii() { "" } else { "Content-Transfer-Encoding: 8bit\r\n" };
    format!("Content-Type: {media_type}\r\n{encoding}")
}

fn part(fields: &str, octets: &[u8]) -> Vec<u8> {
    let mut part = format!("{fields}\r\n").into_bytes();
    part.extend_from_slice(octets);
    if !part.ends_with(b"\r\n") {
        part.extend_from_slice(b"\r\n");
    }
    part
}

/// Puts parts into one message, between boundaries that none of them holds.
fn enclose(head: &str, media_type: &str, parts: &[Vec<u8>], random: &dyn Random) -> Vec<u8> {
    let boundary = loop {
        let boundary = format!("=_{}", token(random));
        if !parts.iter().any(|part| memchr::memmem::find(part, boundary.as_bytes()).is_some()) {
            break boundary;
        }
    };
    let eight_bit = parts.iter().any(|part| !part.is_ascii());
    let encoding = if eight_bit { "Content-Transfer-Encoding: 8bit\r\n" } else { "" };
    let mut out = format!(
        "{head}MIME-Version: 1.0\r\nContent-Type: {media_type};\r\n\tboundary=\"{boundary}\"\r\n{encoding}\r\n"
    )
    .into_bytes();
    for part in parts {
        out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

/// What nobody can guess.
fn token(random: &dyn Random) -> String {
    format!("{:016x}{:016x}", random.next_u64(), random.next_u64())
}
