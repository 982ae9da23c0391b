//! Unique ids of messages (RFC 1939 section 7) in a form that another server gave them, so that mail programs that leave mail on the server
//! know after a move what they have. The form is written as in Dovecot's `pop3_uidl_format`.

use std::fmt::Write as _;
use std::str::FromStr;

/// The most characters of a unique id (RFC 1939 section 7).
const LONGEST: usize = 70;

/// What unique ids look like: text, `%u` for the UID and `%v` for the UIDVALIDITY of the INBOX, each in decimal, or with `X` in hexadecimal
/// digits, and with the least number of digits between.
///
/// ```
/// let format: iems_access::pop3::UidlFormat = "%08Xu%08Xv".parse().unwrap();
/// assert_eq!(format.id(1_300_000_000, 26), "0000001a4d7c6d00");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UidlFormat(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Number { validity: bool, hex: bool, zeroes: bool, width: usize },
}

impl UidlFormat {
    /// The unique id of the message with this UID in the INBOX with this UIDVALIDITY.
    pub fn id(&self, uid_validity: u32, uid: u32) -> String {
        let mut id = String::new();
        for piece in &self.0 {
            // Writing to a String does not fail.
            let _ = match piece {
                Piece::Text(text) => write!(id, "{text}"),
                Piece::Number { validity, hex, zeroes, width } => {
                    let number = if *validity { uid_validity } else { uid };
                    match (hex, zeroes) {
                        (true, true) => write!(id, "{number:0width$x}"),
                        (true, false) => write!(id, "{number:width$x}"),
                        (false, true) => write!(id, "{number:0width$}"),
                        (false, false) => write!(id, "{number:width$}"),
                    }
                }
            };
        }
        id.replace(' ', "_")
    }
}

impl FromStr for UidlFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((plain, after)) = rest.split_once('%') {
            pieces.push(Piece::Text(plain.to_owned()));
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, after) = after.split_at(digits);
            let (hex, after) = after.strip_prefix('X').map_or((false, after), |after| (true, after));
            let mut letters = after.chars();
            let validity = match letters.next() {
                Some('u') => false,
                Some('v') => true,
                _ => return Err("expected %u and %v, such as \"%08Xu%08Xv\": nothing else is known here"),
            };
            rest = letters.as_str();
            let width = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(usize::MAX) };
            if width > 10 {
                return Err("a number has 10 digits at most");
            }
            pieces.push(Piece::Number { validity, hex, zeroes: digits.starts_with('0'), width });
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let format = Self(pieces);
        let says = |wanted| {
            format
                .0
                .iter()
                .any(|piece| matches!(piece, Piece::Number { validity, .. } if *validity == wanted))
        };
        if !says(true) || !says(false) {
            return Err("expected both %u and %v: without one of them two messages could have the same id");
        }
        let longest = format.id(u32::MAX, u32::MAX);
        match longest.len() <= LONGEST && text.bytes().all(|octet| octet.is_ascii_graphic()) {
            true => Ok(format),
            false => Err("a unique id has at most 70 characters, all of them visible ASCII"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_servers_are_written() {
        let id = |format: &str| format.parse::<UidlFormat>().map(|format| format.id(1_300_000_000, 26));
        assert_eq!(id("%08Xu%08Xv").unwrap(), "0000001a4d7c6d00");
        assert_eq!(id("%08Xv%08Xu").unwrap(), "4d7c6d000000001a");
        assert_eq!(id("%v.%u").unwrap(), "1300000000.26");
        assert_eq!(id("UID%u-%v").unwrap(), "UID26-1300000000");
        assert_eq!(id("%5u%v").unwrap(), "___261300000000");
        assert_eq!(id("%Xv%05u").unwrap(), "4d7c6d0000026");
        for wrong in
            ["", "%u", "%v", "%f", "%u%", "%99u%v", "%u %v", "%uü%v", &format!("%u%v{}", "x".repeat(60))]
        {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }
}
