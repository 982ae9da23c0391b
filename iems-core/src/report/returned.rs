//! What of a message goes back with its report: the whole, its header section, or nothing if it cannot be read; and what
//! its header section says about who wrote it. Bounded, whatever the message holds.

use super::Reports;
use super::encode::one_line;
use crate::engine::Shared;
use crate::message::{Body, BodyType, Envelope, Ret, Secrecy};
use crate::storage::StoreError;

/// The most of a header section that is looked at for [`Facts`], in octets.
const LOOKED_AT: u64 = 64 * 1024;

/// What goes back, as a part of a report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Returned {
    /// Its media type; empty if nothing goes back.
    pub(super) media_type: &'static str,
    /// Its octets.
    pub(super) octets: Vec<u8>,
}

/// What a header section says about who wrote the message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// A program or a list: `Auto-Submitted` (RFC 3834), `List-Id` (RFC 2919) or an old `Precedence`.
    pub(super) automatic: bool,
    /// `Message-ID`, with its brackets.
    pub(super) message_id: Option<String>,
    /// Languages the writer reads, best first (`Accept-Language`, RFC 3282).
    pub(super) languages: Vec<String>,
}

/// A body as its sender may see it: without the fields that we put in front for the next system.
pub(super) fn public(body: &Body) -> Body {
    let ours = |line: &[u8]| line.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"X-IEMS-"));
    let kept: Vec<u8> =
        body.prefix.split_inclusive(|b| *b == b'\n').filter(|line| !ours(line)).flatten().copied().collect();
    Body { prefix: kept.into(), ..body.clone() }
}

/// The header section, and what it says. Empty if it cannot be read and never will be.
pub(super) async fn header(shared: &Shared, body: &Body) -> Result<(Vec<u8>, Facts), StoreError> {
    match body.header(&*shared.storage.blobs, LOOKED_AT).await {
        Ok(header) => {
            let facts = facts(&header);
            Ok((header, facts))
        }
        Err(error) if error.is_temporary() => Err(error),
        Err(error) => {
            tracing::error!(%error, "a message cannot be read; the report about it returns nothing");
            Ok(Default::default())
        }
    }
}

/// What goes back of a message whose header section is `header`. `failed`: somebody will never get it; only then it may
/// be returned whole (RFC 3461 section 4.3). Without line structure it cannot stand in a report (RFC 3030 section 3).
pub(super) async fn returned(
    shared: &Shared,
    settings: &Reports,
    envelope: &Envelope,
    body: &Body,
    header: &[u8],
    failed: bool,
) -> Result<Returned, StoreError> {
    let utf8 = envelope.smtputf8 && std::str::from_utf8(header).is_ok_and(|text| !text.is_ascii());
    let lines = envelope.body != BodyType::BinaryMime;
    // Of what must stay secret no more goes back than has to (RFC 8689 section 5).
    let whole = envelope.ret != Some(Ret::Headers) && envelope.secrecy != Secrecy::Required;
    if failed && lines && whole && body.size() <= settings.return_message {
        match body.reader(&*shared.storage.blobs).rest().await {
            Ok(octets) => {
                let media_type = if utf8 { "message/global" } else { "message/rfc822" };
                return Ok(Returned { media_type, octets });
            }
            Err(error) if error.is_temporary() => return Err(error),
            Err(error) => tracing::error!(%error, "a message cannot be read; its report returns less of it"),
        }
    }
    let octets = cut(header, settings.return_header);
    Ok(match octets.is_empty() {
        true => Returned::default(),
        false => {
            let media_type = if utf8 { "message/global-headers" } else { "text/rfc822-headers" };
            Returned { media_type, octets }
        }
    })
}

/// At most `limit` octets, whole lines.
fn cut(header: &[u8], limit: u64) -> Vec<u8> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if header.len() <= limit {
        return header.to_vec();
    }
    let end = header[..limit].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    header[..end].to_vec()
}

/// Reads the few fields that matter.
pub(super) fn facts(header: &[u8]) -> Facts {
    let mut facts = Facts::default();
    let text = String::from_utf8_lossy(header).replace("\r\n ", " ").replace("\r\n\t", " ");
    for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let (name, value) = (name.trim_end().to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "auto-submitted" => facts.automatic |= !value.to_ascii_lowercase().starts_with("no"),
            "list-id" => facts.automatic = true,
            "precedence" => {
                facts.automatic |=
                    ["bulk", "list", "junk"].iter().any(|word| value.eq_ignore_ascii_case(word));
            }
            "message-id" => facts.message_id = facts.message_id.or_else(|| message_id(value)),
            "accept-language" => facts.languages = languages(value),
            _ => {}
        }
    }
    facts
}

/// `<left@right>` in printable ASCII, or nothing.
fn message_id(value: &str) -> Option<String> {
    let inner = value.strip_prefix('<')?.strip_suffix('>')?;
    let fits = inner.len() <= 250 && inner.contains('@');
    let printable = inner.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
    (fits && printable).then(|| value.to_owned())
}

/// The tags of `Accept-Language`, best first.
fn languages(value: &str) -> Vec<String> {
    let mut tags: Vec<(f32, String)> = Vec::new();
    for item in one_line(value).split(',').take(20) {
        let (tag, quality) = item.split_once(';').unwrap_or((item, ""));
        let tag = tag.trim();
        let quality = quality.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse().ok());
        let is_tag = !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if let (true, Some(quality)) = (is_tag, quality.filter(|q| *q > 0.0)) {
            tags.push((quality, tag.to_owned()));
        }
    }
    tags.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    tags.into_iter().map(|(_, tag)| tag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::BlobId;

    #[test]
    fn facts_of_a_header() {
        let person =
            facts(b"Message-ID: <a.b@x.example>\r\nAccept-Language: en;q=0.5,\r\n de-AT, *;q=0.1\r\n\r\n");
        assert_eq!(person.message_id.as_deref(), Some("<a.b@x.example>"));
        assert_eq!((person.languages, person.automatic), (vec!["de-AT".into(), "en".into()], false));
        for field in ["Auto-Submitted: auto-generated", "List-Id: <x.y>", "precedence : Bulk"] {
            assert!(facts(format!("A: b\r\n{field}\r\n\r\n").as_bytes()).automatic, "{field}");
        }
        for field in ["Auto-Submitted: no", "Precedence: first-class", "X: List-Id: y"] {
            assert!(!facts(format!("{field}\r\n\r\n").as_bytes()).automatic, "{field}");
        }
        for id in ["<a>", "a@b", "<a@b> <c@d>", "<a b@c>", "<ä@b>"] {
            assert_eq!(facts(format!("Message-ID: {id}\r\n\r\n").as_bytes()).message_id, None, "{id}");
        }
    }

    #[test]
    fn a_long_header_is_cut_between_lines() {
        assert_eq!(cut(b"A: 1\r\nB: 2\r\n\r\n", 8), b"A: 1\r\n");
        assert_eq!(cut(b"A: 1\r\n\r\n", 8), b"A: 1\r\n\r\n");
        assert!(cut(b"A: 1\r\n", 3).is_empty());
    }

    #[test]
    fn our_own_fields_do_not_go_back() {
        let prefix = "X-IEMS-Verdict: junk; site; x\r\nDate: now\r\n".as_bytes().to_vec();
        let body = Body { prefix: prefix.into(), blob: BlobId([0; 32]), blob_size: 0, header_size: 0 };
        assert_eq!(&public(&body).prefix[..], b"Date: now\r\n");
    }
}
