//! Strings (RFC 9051 section 4.3) and numbers.

use bytes::BytesMut;

use super::Teller;

/// Longest string that is quoted; longer ones are literals, for clients that bound their lines.
const QUOTED: usize = 2048;

/// Appends a number.
pub fn number(number: impl Into<u64>, out: &mut BytesMut) {
    let (mut rest, mut digits) = (number.into(), [0; 20]);
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        first -= 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// Appends items with spaces between.
pub fn spaced<T>(
    items: impl IntoIterator<Item = T>,
    out: &mut BytesMut,
    mut one: impl FnMut(T, &mut BytesMut),
) {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b" ");
        }
        one(item, out);
    }
}

/// Appends items with spaces between, in parentheses.
pub fn list<T>(items: impl IntoIterator<Item = T>, out: &mut BytesMut, one: impl FnMut(T, &mut BytesMut)) {
    out.extend_from_slice(b"(");
    spaced(items, out, one);
    out.extend_from_slice(b")");
}

impl Teller {
    /// Appends a `string`.
    pub fn string(self, octets: &[u8], out: &mut BytesMut) {
        match self.may_be_quoted(octets) {
            true => quoted(octets, out),
            false => literal(octets, out),
        }
    }

    /// Appends an `nstring`.
    pub fn nstring(self, octets: Option<&[u8]>, out: &mut BytesMut) {
        match octets {
            Some(octets) => self.string(octets, out),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    fn may_be_quoted(self, octets: &[u8]) -> bool {
        let plain = |octet: &u8| (b' '..=b'~').contains(octet) || (self.utf8 && *octet >= 0x80);
        octets.len() <= QUOTED
            && octets.iter().all(plain)
            && (!self.utf8 || std::str::from_utf8(octets).is_ok())
    }
}

/// Appends a `quoted` string.
pub fn quoted(octets: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(b"\"");
    let mut rest = octets;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let (plain, special) = rest.split_at(at);
        let (special, after) = special.split_at(1);
        out.extend_from_slice(plain);
        out.extend_from_slice(b"\\");
        out.extend_from_slice(special);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\"");
}

/// Appends a `literal`. NUL, which it cannot hold, becomes 0x80, as with Dovecot: the length stays.
pub fn literal(octets: &[u8], out: &mut BytesMut) {
    announce(octets.len() as u64, false, out);
    let at = out.len();
    out.extend_from_slice(octets);
    if memchr::memchr(0, octets).is_some() {
        out.iter_mut().skip(at).filter(|octet| **octet == 0).for_each(|octet| *octet = 0x80);
    }
}

/// Appends a `literal8`.
pub fn literal8(octets: &[u8], out: &mut BytesMut) {
    announce(octets.len() as u64, true, out);
    out.extend_from_slice(octets);
}

/// Says that a literal follows.
pub fn announce(octets: u64, binary: bool, out: &mut BytesMut) {
    out.extend_from_slice(if binary { b"~{" } else { b"{" });
    number(octets, out);
    out.extend_from_slice(b"}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_they_print() {
        for n in [0, 1, 9, 10, 4_294_967_295, u64::MAX] {
            let mut out = BytesMut::new();
            number(n, &mut out);
            assert_eq!(out, n.to_string());
        }
    }

    #[test]
    fn what_is_special_within_quotes_is_marked() {
        for (octets, told) in [("", r#""""#), (r#"a"\b"#, r#""a\"\\b""#), (r#""""#, r#""\"\"""#)] {
            let mut out = BytesMut::new();
            quoted(octets.as_bytes(), &mut out);
            assert_eq!(out, told);
        }
    }
}
