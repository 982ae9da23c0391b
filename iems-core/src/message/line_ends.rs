//! Line ends of a message: CRLF, and nothing else (RFC 5321 section 2.3.8).
//!
//! What two servers read differently can hide a second message (SMTP smuggling); so nothing with a bare CR or LF passes
//! the door, whichever channel brings it.

use memchr::memchr2;

/// Watches octets for a bare CR or LF, in pieces of any size.
#[derive(Debug, Clone, Default)]
pub struct LineEnds {
    after_cr: bool,
    broken: bool,
}

impl LineEnds {
    /// Looks at the next octets.
    pub fn feed(&mut self, octets: &[u8]) {
        let mut at = 0;
        if self.after_cr && !octets.is_empty() {
            self.broken |= octets[0] != b'\n';
            at = usize::from(octets[0] == b'\n');
            self.after_cr = false;
        }
        while let Some(found) = memchr2(b'\r', b'\n', &octets[at..]).filter(|_| !self.broken) {
            match (octets[at + found], octets.get(at + found + 1)) {
                (b'\r', Some(b'\n')) => at += found + 2,
                (b'\r', None) => {
                    self.after_cr = true;
                    return;
                }
                _ => self.broken = true,
            }
        }
    }

    /// Whether a bare CR or LF was seen; at the end of the message a CR without its LF is one.
    pub fn is_broken(&self, at_end: bool) -> bool {
        self.broken || (at_end && self.after_cr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_is_whole_wherever_it_is_cut() {
        for (octets, broken) in [
            ("", false),
            ("a\r\nb", false),
            ("\r\n\r\n", false),
            ("a\rb", true),
            ("a\nb", true),
            ("\r\r\n", true),
            ("\n", true),
            ("a\r", true),
            ("a\n\r\n", true),
        ] {
            for at in 0..=octets.len() {
                let mut ends = LineEnds::default();
                ends.feed(&octets.as_bytes()[..at]);
                ends.feed(&octets.as_bytes()[at..]);
                assert_eq!(ends.is_broken(true), broken, "{octets:?} at {at}");
            }
        }
    }
}
