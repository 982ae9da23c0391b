//! From what was stored to what is told.

use super::{Address, BodyExtension, BodyFields, BodyStructure, Disposition, Envelope, Parameters};
use crate::structure::{self as stored, Kind, Part, Structure};

/// An envelope, as it is told.
pub fn envelope<B: AsRef<[u8]>>(envelope: &stored::Envelope<B>) -> Envelope<&[u8]> {
    Envelope {
        date: octets(&envelope.date),
        subject: octets(&envelope.subject),
        from: addresses(&envelope.from),
        sender: addresses(envelope.sender()),
        reply_to: addresses(envelope.reply_to()),
        to: addresses(&envelope.to),
        cc: addresses(&envelope.cc),
        bcc: addresses(&envelope.bcc),
        in_reply_to: octets(&envelope.in_reply_to),
        message_id: octets(&envelope.message_id),
    }
}

fn octets<B: AsRef<[u8]>>(value: &Option<B>) -> Option<&[u8]> {
    value.as_ref().map(AsRef::as_ref)
}

fn addresses<B: AsRef<[u8]>>(all: &[stored::Address<B>]) -> Vec<Address<&[u8]>> {
    all.iter().map(address).collect()
}

fn address<B: AsRef<[u8]>>(address: &stored::Address<B>) -> Address<&[u8]> {
    let stored::Address { name, route, mailbox, host } = address;
    Address { name: octets(name), route: octets(route), mailbox: octets(mailbox), host: octets(host) }
}

fn parameters<B: AsRef<[u8]>>(all: &[(B, B)]) -> Parameters<&[u8]> {
    all.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect()
}

fn disposition<B: AsRef<[u8]>>((kind, all): &(B, stored::Parameters<B>)) -> Disposition<&[u8]> {
    Disposition { kind: kind.as_ref(), parameters: parameters(all) }
}

fn extension<B: AsRef<[u8]>>(part: &Part<B>) -> BodyExtension<&[u8]> {
    BodyExtension {
        md5: octets(&part.md5),
        disposition: part.disposition.as_ref().map(disposition),
        language: part.language.iter().map(AsRef::as_ref).collect(),
        location: octets(&part.location),
    }
}

/// The structure of the part at a place, as it is told. As deep as the parser lets messages be.
pub fn body_structure<B: AsRef<[u8]>>(structure: &Structure<B>, at: usize) -> BodyStructure<&[u8]> {
    let Some(part) = structure.parts.get(at) else { return nothing() };
    let extension = Some(extension(part));
    let (main, subtype, mut parameters): (&[u8], &[u8], _) = match &part.media {
        Some(media) => (media.main.as_ref(), media.sub.as_ref(), self::parameters(&media.parameters)),
        None if part.kind == Kind::Message => (b"message", b"rfc822", Vec::new()),
        None => (b"text", b"plain", Vec::new()),
    };
    if part.kind == Kind::Multipart {
        let parts = structure.children(at).map(|child| body_structure(structure, child)).collect();
        return BodyStructure::Multipart { parts, subtype, parameters, extension };
    }
    let is_text = part.kind == Kind::Single && main.eq_ignore_ascii_case(b"text");
    if is_text && !parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"charset")) {
        // What RFC 2046 section 4.1.2 says of text that says nothing.
        parameters.push((b"charset", b"us-ascii"));
    }
    let fields = BodyFields {
        parameters,
        id: octets(&part.id),
        description: octets(&part.description),
        encoding: octets(&part.encoding).unwrap_or_default(),
        octets: part.body.length,
    };
    if part.kind == Kind::Message {
        let inner = structure.parts.get(at + 1).and_then(|inner| inner.envelope.as_deref());
        let inner = Box::new(inner.map(envelope).unwrap_or_default());
        let body = Box::new(body_structure(structure, at + 1));
        return BodyStructure::Message {
            subtype,
            fields,
            envelope: inner,
            body,
            lines: part.lines,
            extension,
        };
    }
    match is_text {
        true => BodyStructure::Text { subtype, fields, lines: part.lines, extension },
        false => BodyStructure::Basic { media_type: main, subtype, fields, extension },
    }
}

/// A part that is not there: an empty text.
fn nothing<'a>() -> BodyStructure<&'a [u8]> {
    let parameters: Parameters<&[u8]> = vec![(b"charset", b"us-ascii")];
    let fields = BodyFields { parameters, ..BodyFields::default() };
    BodyStructure::Text { subtype: b"plain", fields, lines: 0, extension: Some(BodyExtension::default()) }
}
