//! Texts of a message for people: parts decoded, and the preview (RFC 8970). Octets are read from the blob, bounded.

use std::ops::Range;

use iems_core::message::Body;
use iems_core::storage::{Blobs, StoreError};

use super::Structure;
use super::decode::{Decoder, Transfer, decode_charset, keeps_ascii, plain_of_html};
use super::model::{Kind, Part};

/// How much is read from a blob at a time, in octets.
const PIECE: u64 = 64 * 1024;
/// Characters of a preview (RFC 8970 section 3.1 allows 256).
pub const PREVIEW: usize = 200;
/// Octets of a part that a preview is looked for in.
const PREVIEWED: u64 = 16 * 1024;

/// The octets of a message from `range.start` to `range.end`. Only for ranges of a size that the caller can hold.
///
/// # Errors
/// The blobs'; [`StoreError::Corrupt`] if the blob is shorter than it should be.
pub async fn read_range(body: &Body, blobs: &dyn Blobs, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
    let prefix = body.prefix.len() as u64;
    let mut octets = Vec::new();
    if range.start < prefix {
        let end = range.end.min(prefix) as usize;
        octets.extend_from_slice(body.prefix.get(range.start as usize..end).unwrap_or_default());
    }
    let (mut at, end) =
        (range.start.saturating_sub(prefix), range.end.saturating_sub(prefix).min(body.blob_size));
    while at < end {
        let piece = blobs.read(body.blob, at..end.min(at + PIECE)).await?;
        if piece.is_empty() {
            return Err(StoreError::Corrupt(format!("blob {} ends at {at} of {end}", body.blob)));
        }
        at += piece.len() as u64;
        octets.extend_from_slice(&piece);
    }
    Ok(octets)
}

impl<B: AsRef<[u8]>> Part<B> {
    /// Its encoding; `None` if it is unknown. Parts that hold parts have none (RFC 2045 section 6.4).
    pub fn transfer(&self) -> Option<Transfer> {
        match self.kind {
            Kind::Single => Transfer::of(self.encoding.as_ref().map(AsRef::as_ref)),
            Kind::Multipart | Kind::Message => Some(Transfer::Identity),
        }
    }

    /// Whether `octets` of its body are the text as they stand: nothing is encoded, and all are ASCII.
    pub fn is_plain(&self, octets: &[u8]) -> bool {
        let charset = self.parameter("charset").map(AsRef::as_ref);
        self.transfer().unwrap_or(Transfer::Identity) == Transfer::Identity
            && octets.is_ascii()
            && keeps_ascii(charset)
    }

    /// The text that `octets` of its body are.
    pub fn text(&self, octets: &[u8]) -> String {
        let mut decoder = Decoder::new(self.transfer().unwrap_or(Transfer::Identity));
        let mut decoded = Vec::with_capacity(octets.len());
        decoder.feed(octets, &mut decoded);
        decoder.finish(&mut decoded);
        decode_charset(self.parameter("charset").map(AsRef::as_ref), &decoded)
    }

    /// Whether it is shown as a file.
    fn is_attachment(&self) -> bool {
        self.disposition.as_ref().is_some_and(|(kind, _)| kind.as_ref().eq_ignore_ascii_case(b"attachment"))
    }
}

impl<B: AsRef<[u8]>> Structure<B> {
    /// The part that a preview is made of: the first plain text, or the first HTML.
    fn previewed(&self) -> Option<&Part<B>> {
        let texts = || self.parts.iter().filter(|part| !part.is_attachment() && part.body.length > 0);
        texts().find(|part| part.is_text("plain")).or_else(|| texts().find(|part| part.is_text("html")))
    }

    /// The first [`PREVIEW`] characters of the message's text, without markup and runs of space (RFC 8970). Empty if it
    /// has none.
    ///
    /// # Errors
    /// The blobs'.
    pub async fn preview(&self, body: &Body, blobs: &dyn Blobs) -> Result<String, StoreError> {
        let Some(part) = self.previewed() else { return Ok(String::new()) };
        let range = part.body.partial(0, PREVIEWED).range();
        let octets = read_range(body, blobs, range).await?;
        Ok(preview_of(part, &octets))
    }
}

/// The preview of a text part whose body begins with `octets`.
fn preview_of<B: AsRef<[u8]>>(part: &Part<B>, octets: &[u8]) -> String {
    let text = part.text(octets);
    let text = match part.is_text("html") {
        true => plain_of_html(&text, PREVIEW * 8),
        false => text,
    };
    let mut preview = String::new();
    let mut space = false;
    let mut count = 0;
    for letter in text.chars() {
        let invisible = letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{34f}' | '\u{ad}');
        if letter.is_whitespace() || invisible {
            space = true;
            continue;
        }
        if std::mem::take(&mut space) && count > 0 {
            preview.push(' ');
            count += 1;
        }
        if count >= PREVIEW {
            break;
        }
        preview.push(letter);
        count += 1;
    }
    preview.truncate(preview.trim_end().len());
    preview
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_the_beginning_of_the_text() {
        let text = "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>gr=FC=\r\n=DFe</p>\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nfile\r\n--b--\r\n";
        let structure = Structure::of(text.as_bytes());
        let part = structure.previewed().unwrap();
        let body = &text.as_bytes()[part.body.start as usize..part.body.end() as usize];
        assert_eq!(preview_of(part, body), "gr\u{fc}\u{df}e");
        let plain = Structure::of(format!("\r\n{}", "word \r\n".repeat(100)).as_bytes());
        let preview = preview_of(&plain.parts[0], "word \r\n".repeat(100).as_bytes());
        assert!(preview.starts_with("word word") && preview.len() <= PREVIEW && preview.len() > PREVIEW - 5);
    }
}
