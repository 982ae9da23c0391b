//! What of a message is searched: the fields of all its headers, and its text parts, decoded.
//!
//! Whatever changes what these functions give for the same octets has to change [`READING`] as well: an index that was
//! made before is then made anew. A test holds some of what they give against it.

use super::fold;
use crate::structure::{Kind, Part, decode_field, unfolded};

/// The version of what the functions here give.
pub const READING: u32 = 1;

/// The longest header that is searched, in octets. What is behind that is not found.
pub const HEADER: u64 = 1 << 20;

/// A field of a header: its name as it is written, and its value, decoded.
pub type Field = (Vec<u8>, String);

/// The fields of a header.
pub fn fields(header: &[u8]) -> Vec<Field> {
    let fields = unfolded(header).into_iter();
    fields.map(|(name, value)| (name.to_vec(), decode_field(&value))).collect()
}

/// What is searched of a field, folded: name and value.
pub fn field_text((name, value): &Field) -> String {
    fold(&format!("{}: {value}", String::from_utf8_lossy(name)))
}

/// Whether the body of a part is searched: it is a text.
pub fn is_searched<B: AsRef<[u8]>>(part: &Part<B>) -> bool {
    part.kind == Kind::Single && part.is_type("text")
}

/// What is searched of a part whose body begins with `octets`, folded.
pub fn part_text<B: AsRef<[u8]>>(part: &Part<B>, octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) if part.is_plain(octets) => text.to_ascii_lowercase(),
        _ => fold(&part.text(octets)),
    }
}
