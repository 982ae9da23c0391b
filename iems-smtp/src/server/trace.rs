//! The name of a connection, in the log and in every refusal, so that whoever was refused can ask and be answered.

use std::fmt;

use super::session::Nonce;

/// Eight characters of Crockford's base 32: short enough to be read out, and none like another among a million connections a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceId([u8; 5]);

impl TraceId {
    /// A new one. Without random octets all are alike, and the peer's address and the time have to do.
    pub(super) fn fresh(nonce: &Nonce) -> Self {
        let octets = nonce().unwrap_or_default();
        Self([octets[0], octets[1], octets[2], octets[3], octets[4]])
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let bits = self.0.iter().fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
        (0..8).rev().try_for_each(|at| {
            let digit = DIGITS[(bits >> (at * 5)) as usize & 31];
            fmt::Write::write_char(f, char::from(digit))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_characters() {
        assert_eq!(TraceId([0; 5]).to_string(), "00000000");
        assert_eq!(TraceId([255; 5]).to_string(), "ZZZZZZZZ");
        assert_eq!(TraceId([0, 0, 0, 0, 33]).to_string(), "00000011");
    }
}
