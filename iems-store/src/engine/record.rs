//! Records of the log: a header that says where it belongs, and a payload.
//!
//! The checksum covers header, payload and the record's own place, and the header carries the
//! segment's number, so that stale bytes of a file that is written over, or of an unfinished write
//! of an earlier life, are never taken for a record. Pure: no I/O.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | CRC-32C of bytes 4..24, of the payload, and of the offset (8 bytes) |
//! | 4..8 | payload length |
//! | 8..16 | number of the segment |
//! | 16..20 | how far the segment was durable when this was written |
//! | 20..24 | kind, three zeros |

use crc32c::{crc32c, crc32c_append};

/// Bytes before the payload.
pub(super) const HEADER: usize = 24;
/// Records begin at multiples of this.
pub(super) const ALIGN: usize = 8;
/// The largest payload that a reader believes: a group of batches with room to spare.
pub(super) const MAX_PAYLOAD: u32 = 256 << 20;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// First of a segment: the segment before it, and where that one ends.
    Open = 1,
    /// A piece of a body.
    Chunk = 2,
    /// The rows of a group of batches.
    Rows = 3,
}

/// A header, read or to be written. All integers are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) segment: u64,
    /// Offset in the segment.
    pub(super) at: u32,
    pub(super) durable: u32,
    pub(super) len: u32,
    crc: u32,
}

/// Bytes that a record takes, with what fills it up to the next one.
pub(super) fn size(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(ALIGN)
}

impl Header {
    /// The header for `payload`.
    pub(super) fn new(kind: Kind, segment: u64, at: u32, durable: u32, payload: &[u8]) -> Self {
        let mut header = Self { kind, segment, at, durable, len: payload.len() as u32, crc: 0 };
        header.crc = header.checksum(payload);
        header
    }

    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&self.crc.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.durable.to_le_bytes());
        bytes[20] = self.kind as u8;
        bytes
    }

    /// The header at `at` of `segment`, if these bytes may be one. The payload is still to be checked.
    pub(super) fn decode(bytes: &[u8], segment: u64, at: u32) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let kind = match bytes[20..24] {
            [1, 0, 0, 0] => Kind::Open,
            [2, 0, 0, 0] => Kind::Chunk,
            [3, 0, 0, 0] => Kind::Rows,
            _ => return None,
        };
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let number = u64::from(word(8)) | u64::from(word(12)) << 32;
        let header = Self { kind, segment, at, durable: word(16), len: word(4), crc: word(0) };
        (number == segment && header.len <= MAX_PAYLOAD && header.durable <= at).then_some(header)
    }

    /// Whether `payload` is what was written here.
    pub(super) fn matches(&self, payload: &[u8]) -> bool {
        payload.len() == self.len as usize && self.checksum(payload) == self.crc
    }

    fn checksum(&self, payload: &[u8]) -> u32 {
        let head = crc32c(&self.encode()[4..]);
        crc32c_append(crc32c_append(head, payload), &u64::from(self.at).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_believed_only_in_its_own_place() {
        let header = Header::new(Kind::Chunk, 7, 64, 32, b"payload");
        let bytes = header.encode();
        assert!(Header::decode(&bytes, 7, 64).is_some_and(|h| h.matches(b"payload")));
        assert!(!Header::decode(&bytes, 7, 64).is_some_and(|h| h.matches(b"paYload")));
        assert!(!Header::decode(&bytes, 7, 72).is_some_and(|h| h.matches(b"payload")));
        assert!(Header::decode(&bytes, 8, 64).is_none());
        for at in 0..HEADER {
            let mut flipped = bytes;
            flipped[at] ^= 1;
            assert!(!Header::decode(&flipped, 7, 64).is_some_and(|h| h.matches(b"payload")), "byte {at}");
        }
    }
}
