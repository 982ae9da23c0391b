//! How texts are compared: without regard to case (RFC 9051 section 6.4.4, after `i;unicode-casemap`, RFC 5051).
//!
//! The collation maps to title case and decomposes. Here letters go to upper case and from there to lower case, which
//! finds the same for all letters whose cases correspond (and "STRASSE" for "straße"); what is composed and what is
//! decomposed of a letter with an accent are different, as they are in most mail that was written as it is searched.

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

/// Whether `text` has `needle` in it, which is folded.
pub fn has(text: &str, needle: &str) -> bool {
    needle.is_empty() || memchr::memmem::find(fold(text).as_bytes(), needle.as_bytes()).is_some()
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
            assert!(has(text, &fold(needle)), "{text} has {needle}");
        }
        assert!(!has("abc", &fold("ac")));
    }
}
