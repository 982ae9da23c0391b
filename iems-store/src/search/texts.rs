//! What of a message is searched: the fields of all its headers, and its text parts, decoded.
//!
//! Whatever changes what these functions give for the same octets has to change [`READING`] as well: an index that was
//! made before is then made anew. A test holds some of what they give against it.

use super::fold::{fold_plain_field, is_plain};
use super::{fold, fold_field};
use crate::structure::{Kind, Part, decode_field, fields_of, lines_of, name_of, unfolded};

/// The version of what the functions here give.
pub const READING: u32 = 2;

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
    fold_field(&format!("{}: {value}", String::from_utf8_lossy(name)))
}

/// What is searched of each field of a header, folded, one after the other: what [`fields`] and [`field_text`] give, and
/// nothing is made anew for fields that are ASCII.
#[derive(Debug)]
pub struct HeaderTexts<'a> {
    rest: &'a [u8],
    text: String,
}

impl<'a> HeaderTexts<'a> {
    /// Those of `header`.
    pub fn of(header: &'a [u8]) -> Self {
        Self { rest: header, text: String::new() }
    }

    /// The next one.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<&str> {
        loop {
            let field = fields_of(self.rest).next()?;
            self.rest = self.rest.get(field.len()..).unwrap_or_default();
            if let Some(name) = name_of(field) {
                self.tell(name, field);
                return Some(&self.text);
            }
        }
    }

    fn tell(&mut self, name: &[u8], field: &[u8]) {
        let mut text = std::mem::take(&mut self.text).into_bytes();
        text.clear();
        text.extend_from_slice(name);
        text.extend_from_slice(b": ");
        let value = text.len();
        lines_of(field).for_each(|line| text.extend_from_slice(line));
        if name.is_ascii() && is_plain(text.get(value..).unwrap_or_default()) {
            fold_plain_field(&mut text);
            self.text = String::from_utf8(text).unwrap_or_default();
            return;
        }
        let value = decode_field(text.get(value..).unwrap_or_default());
        self.text = field_text(&(name.to_vec(), value));
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: &[&str] = &[
        "A",
        "b: ",
        ":",
        " ",
        "\t",
        "\r\n",
        "\n",
        "\r",
        "=?",
        "=?utf-8?q?=C3=84?=",
        "\u{c4}",
        "\0",
        "\r\n\r\n",
    ];

    proptest! {
        #[test]
        fn texts_of_headers_are_those_of_their_fields(
            words in proptest::collection::vec(proptest::sample::select(WORDS), 0..40), cut in 0usize..2,
        ) {
            let header = words.concat();
            let header = &header.as_bytes()[cut.min(header.len())..];
            let (mut texts, mut told) = (HeaderTexts::of(header), Vec::new());
            while let Some(text) = texts.next() {
                told.push(text.to_owned());
            }
            prop_assert_eq!(told, fields(header).iter().map(field_text).collect::<Vec<_>>());
        }
    }
}
