//! Envelopes and structures (RFC 9051 section 7.5.2).

use bytes::BytesMut;

use super::string::{list, number, quoted};
use super::{Address, BodyExtension, BodyFields, BodyStructure, Envelope, Teller};

/// The part of a multipart that has none, where the grammar wants one at least.
const NOTHING: &[u8] = br#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0"#;

impl Teller {
    /// Appends an `envelope`.
    pub fn envelope<B: AsRef<[u8]>>(self, envelope: &Envelope<B>, out: &mut BytesMut) {
        out.extend_from_slice(b"(");
        self.nstring(octets(&envelope.date), out);
        out.extend_from_slice(b" ");
        self.nstring(octets(&envelope.subject), out);
        let Envelope { from, sender, reply_to, to, cc, bcc, .. } = envelope;
        for addresses in [from, sender, reply_to, to, cc, bcc] {
            out.extend_from_slice(b" ");
            self.addresses(addresses, out);
        }
        out.extend_from_slice(b" ");
        self.nstring(octets(&envelope.in_reply_to), out);
        out.extend_from_slice(b" ");
        self.nstring(octets(&envelope.message_id), out);
        out.extend_from_slice(b")");
    }

    fn addresses<B: AsRef<[u8]>>(self, addresses: &[Address<B>], out: &mut BytesMut) {
        if addresses.is_empty() {
            return out.extend_from_slice(b"NIL");
        }
        out.extend_from_slice(b"(");
        for address in addresses {
            let Address { name, route, mailbox, host } = address;
            list([name, route, mailbox, host], out, |field, out| self.nstring(octets(field), out));
        }
        out.extend_from_slice(b")");
    }

    /// Appends a `body`, with its extensions if `extended`. As deep as it is: whoever made it bounds that.
    pub fn body<B: AsRef<[u8]>>(self, body: &BodyStructure<B>, extended: bool, out: &mut BytesMut) {
        out.extend_from_slice(b"(");
        match body {
            BodyStructure::Text { subtype, fields, lines, extension } => {
                self.typed(b"text", subtype.as_ref(), fields, out);
                out.extend_from_slice(b" ");
                number(*lines, out);
                self.single(extension.as_ref().filter(|_| extended), out);
            }
            BodyStructure::Message { subtype, fields, envelope, body, lines, extension } => {
                self.typed(b"message", subtype.as_ref(), fields, out);
                out.extend_from_slice(b" ");
                self.envelope(envelope, out);
                out.extend_from_slice(b" ");
                self.body(body, extended, out);
                out.extend_from_slice(b" ");
                number(*lines, out);
                self.single(extension.as_ref().filter(|_| extended), out);
            }
            BodyStructure::Basic { media_type, subtype, fields, extension } => {
                self.typed(media_type.as_ref(), subtype.as_ref(), fields, out);
                self.single(extension.as_ref().filter(|_| extended), out);
            }
            BodyStructure::Multipart { parts, subtype, parameters, extension } => {
                if parts.is_empty() {
                    out.extend_from_slice(NOTHING);
                    out.extend_from_slice(if extended { &b" NIL NIL NIL NIL)"[..] } else { b")" });
                }
                parts.iter().for_each(|part| self.body(part, extended, out));
                out.extend_from_slice(b" ");
                self.string(subtype.as_ref(), out);
                if let Some(extension) = extension.as_ref().filter(|_| extended) {
                    out.extend_from_slice(b" ");
                    self.parameters(parameters, out);
                    self.extension(extension, out);
                }
            }
        }
        out.extend_from_slice(b")");
    }

    /// Type, subtype and what all parts have.
    fn typed<B: AsRef<[u8]>>(
        self,
        media_type: &[u8],
        subtype: &[u8],
        fields: &BodyFields<B>,
        out: &mut BytesMut,
    ) {
        self.string(media_type, out);
        out.extend_from_slice(b" ");
        self.string(subtype, out);
        out.extend_from_slice(b" ");
        self.parameters(&fields.parameters, out);
        out.extend_from_slice(b" ");
        self.nstring(octets(&fields.id), out);
        out.extend_from_slice(b" ");
        self.nstring(octets(&fields.description), out);
        out.extend_from_slice(b" ");
        match fields.encoding.as_ref() {
            [] => quoted(b"7bit", out),
            encoding => self.string(encoding, out),
        }
        out.extend_from_slice(b" ");
        number(fields.octets, out);
    }

    /// Extensions of a part that is no multipart.
    fn single<B: AsRef<[u8]>>(self, extension: Option<&BodyExtension<B>>, out: &mut BytesMut) {
        if let Some(extension) = extension {
            out.extend_from_slice(b" ");
            self.nstring(octets(&extension.md5), out);
            self.extension(extension, out);
        }
    }

    /// Disposition, languages, location; a space before each.
    fn extension<B: AsRef<[u8]>>(self, extension: &BodyExtension<B>, out: &mut BytesMut) {
        out.extend_from_slice(b" ");
        match &extension.disposition {
            None => out.extend_from_slice(b"NIL"),
            Some(disposition) => {
                out.extend_from_slice(b"(");
                self.string(disposition.kind.as_ref(), out);
                out.extend_from_slice(b" ");
                self.parameters(&disposition.parameters, out);
                out.extend_from_slice(b")");
            }
        }
        out.extend_from_slice(b" ");
        match &extension.language[..] {
            [] => out.extend_from_slice(b"NIL"),
            // Also one alone: most clients were tested with servers that do so.
            many => list(many, out, |language, out| self.string(language.as_ref(), out)),
        }
        out.extend_from_slice(b" ");
        self.nstring(octets(&extension.location), out);
    }

    fn parameters<B: AsRef<[u8]>>(self, parameters: &[(B, B)], out: &mut BytesMut) {
        if parameters.is_empty() {
            return out.extend_from_slice(b"NIL");
        }
        let flat = parameters.iter().flat_map(|(name, value)| [name, value]);
        list(flat, out, |text, out| self.string(text.as_ref(), out));
    }
}

fn octets<B: AsRef<[u8]>>(value: &Option<B>) -> Option<&[u8]> {
    value.as_ref().map(AsRef::as_ref)
}
