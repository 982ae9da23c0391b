//! How texts are compared: without regard to case (RFC 9051 section 6.4.4, after `i;unicode-casemap`, RFC 5051).
//!
//! The collation maps to title case and decomposes. Here letters go to upper case and from there to lower case, which
//! finds the same for all letters whose cases correspond (and "STRASSE" for "straße"); what is composed and what is
//! decomposed of a letter with an accent are different, as they are in most mail that was written as it is searched.

use memchr::memmem;
use smallvec::SmallVec;

use crate::structure::{Address, decode_field, lines_of};

/// The text to be compared with others that were folded.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_ascii() {
            true => folded.push(letter.to_ascii_lowercase()),
            // A final sigma is a sigma.
            false => folded.extend(letter.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
    folded
}

/// A text that is looked for in fields of many messages.
#[derive(Debug)]
pub struct Sought(memmem::Finder<'static>);

impl Sought {
    /// Looks for `text`, in any case.
    pub fn new(text: &str) -> Self {
        Self(memmem::Finder::new(&fold(text)).into_owned())
    }

    /// Whether a text has it in it.
    pub fn is_in(&self, text: &str) -> bool {
        self.is_in_folded(fold(text).as_bytes())
    }

    /// Whether a field has it in its value, decoded. The field is as it stands in a header.
    pub fn is_in_field(&self, field: &[u8]) -> bool {
        let mut value: Short = SmallVec::new();
        lines_of(field).for_each(|line| value.extend_from_slice(line));
        match is_plain(&value) {
            true => self.is_in_plain(value),
            false => self.is_in(&decode_field(&value)),
        }
    }

    /// Whether an address has it in it, written without comments: `Name <mailbox@host>`.
    pub fn is_in_address<B: AsRef<[u8]>>(&self, address: &Address<B>) -> bool {
        let [name, mailbox, host] = [&address.name, &address.mailbox, &address.host]
            .map(|octets| octets.as_ref().map(AsRef::as_ref).unwrap_or_default());
        if ![name, mailbox, host].into_iter().all(is_plain) {
            let [name, mailbox, host] = [name, mailbox, host].map(decode_field);
            return self.is_in(&format!("{name} <{mailbox}@{host}>"));
        }
        let mut written: Short = SmallVec::new();
        for octets in [name, b" <", mailbox, b"@", host, b">"] {
            written.extend_from_slice(octets);
        }
        self.is_in_plain(written)
    }

    fn is_in_plain(&self, mut text: Short) -> bool {
        text.make_ascii_lowercase();
        self.is_in_folded(&text)
    }

    fn is_in_folded(&self, text: &[u8]) -> bool {
        self.0.needle().is_empty() || self.0.find(text).is_some()
    }
}

/// Octets for a moment, most of them few.
type Short = SmallVec<[u8; 256]>;

/// Whether octets of a header are their text as they stand. Most are: nothing is encoded, and all are ASCII.
pub(super) fn is_plain(octets: &[u8]) -> bool {
    octets.is_ascii() && memmem::find(octets, b"=?").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference() {
        for (text, needle) in [
            ("Hello World", "LO WO"),
            ("\u{c4}RGER", "\u{e4}rger"),
            ("\u{1e9e}", "\u{1e9e}"),
            ("Stra\u{df}e", "STRASSE"),
            ("\u{39f}\u{394}\u{39f}\u{3a3}", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}"),
            ("\u{41f}\u{440}", "\u{43f}\u{420}"),
            ("x", ""),
        ] {
            assert!(Sought::new(needle).is_in(text), "{text} has {needle}");
            assert!(
                Sought::new(needle).is_in_field(format!("S: {text}\r\n").as_bytes()),
                "{text} has {needle}"
            );
        }
        assert!(!Sought::new("ac").is_in("abc"));
    }

    #[test]
    fn encoded_words_are_decoded_and_what_only_looks_like_one_is_not() {
        assert!(Sought::new("gr\u{dc}n").is_in_field(b"S: not\r\n =?iso-8859-1?q?gr=FCn?=\r\n"));
        assert!(!Sought::new("q?gr").is_in_field(b"S:=?iso-8859-1?q?gr=FCn?=\n"));
        assert!(Sought::new("= ?A").is_in_field(b"S: 1 =\r\n ?a"));
    }
}
