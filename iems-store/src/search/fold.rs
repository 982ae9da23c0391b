//! How texts are compared: without regard to case, and letters by what they are made of (RFC 9051 section 6.4.4, after
//! `i;unicode-casemap`, RFC 5051).
//!
//! The collation maps to title case and decomposes. Here letters are decomposed, go to upper case and from there to lower
//! case, which finds the same for all letters whose cases correspond (and "STRASSE" for "straße"). So it makes no
//! difference whether "é" is one letter or an "e" and its accent, whether a digit is as wide as two, or a space breaks.
//!
//! Of fields, any run of spaces and tabs is one space: where a program folded a field, and with what, says nothing of its
//! text, and nobody can know it who looks for that.

use memchr::memmem;
use smallvec::SmallVec;
use unicode_normalization::char::decompose_compatible;

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
            false => decompose_compatible(letter, |part| {
                folded.extend(part.to_uppercase().flat_map(char::to_lowercase));
            }),
        }
    }
    folded
}

/// The text to be compared with those of fields: folded, and with one space for each run of spaces and tabs.
pub fn fold_field(text: &str) -> String {
    let folded = fold(text);
    if !is_loose(folded.as_bytes()) {
        return folded;
    }
    let mut last = ' '; // only asked behind the first
    let mut tight = String::with_capacity(folded.len());
    for letter in folded.chars().map(|letter| if letter == '\t' { ' ' } else { letter }) {
        if letter != ' ' || last != ' ' || tight.is_empty() {
            tight.push(letter);
        }
        last = letter;
    }
    tight
}

/// Whether octets have a tab or two spaces in a row in them.
fn is_loose(octets: &[u8]) -> bool {
    memchr::memchr(b'\t', octets).is_some() || memmem::find(octets, b"  ").is_some()
}

/// The same as [`fold_field`], for ASCII.
pub(super) fn fold_plain_field(octets: &mut impl PlainOctets) {
    octets.as_mut().make_ascii_lowercase();
    if !is_loose(octets.as_mut()) {
        return;
    }
    let (all, mut kept) = (octets.as_mut(), 0);
    for at in 0..all.len() {
        let octet = if all[at] == b'\t' { b' ' } else { all[at] };
        if octet != b' ' || kept == 0 || all[kept - 1] != b' ' {
            all[kept] = octet;
            kept += 1;
        }
    }
    octets.cut(kept);
}

/// A buffer of octets that can be made shorter.
pub(super) trait PlainOctets: AsMut<[u8]> {
    /// Keeps the first `length` octets.
    fn cut(&mut self, length: usize);
}

impl PlainOctets for Vec<u8> {
    fn cut(&mut self, length: usize) {
        self.truncate(length);
    }
}

impl PlainOctets for Short {
    fn cut(&mut self, length: usize) {
        self.truncate(length);
    }
}

/// A text that is looked for in fields of many messages.
#[derive(Debug)]
pub struct Sought(memmem::Finder<'static>);

impl Sought {
    /// Looks for `text`, in any case.
    pub fn new(text: &str) -> Self {
        Self(memmem::Finder::new(&fold_field(text)).into_owned())
    }

    /// Whether a text has it in it.
    pub fn is_in(&self, text: &str) -> bool {
        self.is_in_folded(fold_field(text).as_bytes())
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
        let mut written: Short = SmallVec::new();
        for octets in [name, b" <", mailbox, b"@", host, b">"] {
            written.extend_from_slice(octets);
        }
        // Decoded each by itself, where there may be something to decode.
        if is_plain(&written) || [name, mailbox, host].into_iter().all(is_plain) {
            return self.is_in_plain(written);
        }
        let [name, mailbox, host] = [name, mailbox, host].map(decode_field);
        self.is_in(&format!("{name} <{mailbox}@{host}>"))
    }

    fn is_in_plain(&self, mut text: Short) -> bool {
        fold_plain_field(&mut text);
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
    octets.is_ascii() && memchr::memchr(b'=', octets).is_none_or(|_| memmem::find(octets, b"=?").is_none())
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
            // One letter, or a letter and its accent.
            ("Caf\u{e9}", "cafe\u{301}"),
            ("CAFE\u{301}", "caf\u{e9}"),
            ("\u{419}\u{43e}\u{434}", "\u{438}\u{306}\u{43e}"),
            ("\u{d55c}", "\u{1112}\u{1161}\u{11ab}"),
            // As wide as two, a ligature, a space that does not break, a sign.
            ("\u{ff14}\u{ff09}", "4)"),
            ("\u{fb01}le", "FILE"),
            ("100\u{a0}km", "100 km"),
            ("\u{210c}", "h"),
        ] {
            assert!(Sought::new(needle).is_in(text), "{text} has {needle}");
            assert!(
                Sought::new(needle).is_in_field(format!("S: {text}\r\n").as_bytes()),
                "{text} has {needle}"
            );
        }
        assert!(!Sought::new("ac").is_in("abc"));
        assert!(!Sought::new("\u{e9}").is_in("e"));
    }

    #[test]
    fn spaces_of_fields_are_one() {
        for field in [
            "S: one\r\n\ttwo",
            "S:one \r\n  two",
            "S: one two",
            "S: one\t \ttwo",
            "S: =?utf-8?q?one=09=20two?=",
        ] {
            for needle in ["one two", "one\ttwo", "ONE  T", " t"] {
                assert!(Sought::new(needle).is_in_field(field.as_bytes()), "{field:?} has {needle:?}");
            }
            assert!(!Sought::new("onetwo").is_in_field(field.as_bytes()));
        }
        assert_eq!(fold_field("\t\ta  b \t"), " a b ");
    }

    #[test]
    fn encoded_words_are_decoded_and_what_only_looks_like_one_is_not() {
        assert!(Sought::new("gr\u{dc}n").is_in_field(b"S: not\r\n =?iso-8859-1?q?gr=FCn?=\r\n"));
        assert!(!Sought::new("q?gr").is_in_field(b"S:=?iso-8859-1?q?gr=FCn?=\n"));
        assert!(Sought::new("= ?A").is_in_field(b"S: 1 =\r\n ?a"));
    }
}
