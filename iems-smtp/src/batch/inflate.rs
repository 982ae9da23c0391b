//! Batches as they lie in a folder: plain, or packed by gzip (RFC 1952), which is seen at the first two octets.
//!
//! A packed batch that becomes larger than it may, or grows out of all proportion, is an error: it cannot fill memory or disk.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

/// The most octets that are unpacked at a time; gzip makes at most some thousand times as much of them.
const PIECE: usize = 4 * 1024;
/// So many octets may become of one.
const RATIO: u64 = 200;
/// Below this many octets the proportion does not matter.
const SMALL: u64 = 1 << 20;

/// Why a batch cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// It is larger than the bound, in octets.
    #[error("the batch is larger than {0} octets")]
    TooLarge(u64),
    /// It grows out of all proportion.
    #[error("the packed batch grows to more than {RATIO} times its size")]
    Bomb,
    /// It is no gzip, or breaks off.
    #[error("the packed batch is damaged: {0}")]
    Damaged(io::Error),
}

enum Kind {
    Unknown(Vec<u8>),
    Plain,
    Packed(Box<MultiGzDecoder<Vec<u8>>>),
}

/// Unpacks what is packed and passes on what is not.
pub struct Inflate {
    kind: Kind,
    taken: u64,
    given: u64,
    most: u64,
}

impl std::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inflate({} of {})", self.given, self.taken)
    }
}

impl Inflate {
    /// For a batch that may have `most` octets, unpacked.
    pub fn new(most: u64) -> Self {
        Self { kind: Kind::Unknown(Vec::new()), taken: 0, given: 0, most }
    }

    /// Takes the next octets of the file; `out` gets each piece of the batch.
    ///
    /// # Errors
    /// [`InflateError`], after which it is of no use.
    pub fn push(&mut self, octets: &[u8], out: &mut dyn FnMut(Bytes)) -> Result<(), InflateError> {
        if let Kind::Unknown(seen) = &mut self.kind {
            seen.extend_from_slice(octets);
            if seen.len() < 2 {
                return Ok(());
            }
            let seen = std::mem::take(seen);
            self.kind = match seen.starts_with(&[0x1f, 0x8b]) {
                true => Kind::Packed(Box::new(MultiGzDecoder::new(Vec::new()))),
                false => Kind::Plain,
            };
            return self.push(&seen, out);
        }
        for piece in octets.chunks(PIECE) {
            self.taken += piece.len() as u64;
            let unpacked = match &mut self.kind {
                Kind::Packed(decoder) => {
                    decoder.write_all(piece).map_err(InflateError::Damaged)?;
                    std::mem::take(decoder.get_mut())
                }
                _ => piece.to_vec(),
            };
            self.give(unpacked, out)?;
        }
        Ok(())
    }

    /// The file has ended; `out` gets what is left.
    ///
    /// # Errors
    /// If a packed batch breaks off.
    pub fn finish(mut self, out: &mut dyn FnMut(Bytes)) -> Result<(), InflateError> {
        match std::mem::replace(&mut self.kind, Kind::Plain) {
            Kind::Unknown(seen) => self.give(seen, out),
            Kind::Plain => Ok(()),
            Kind::Packed(mut decoder) => {
                decoder.try_finish().map_err(InflateError::Damaged)?;
                let rest = std::mem::take(decoder.get_mut());
                self.give(rest, out)
            }
        }
    }

    fn give(&mut self, octets: Vec<u8>, out: &mut dyn FnMut(Bytes)) -> Result<(), InflateError> {
        self.given += octets.len() as u64;
        if self.given > self.most {
            return Err(InflateError::TooLarge(self.most));
        }
        if self.given > SMALL && self.given / RATIO > self.taken {
            return Err(InflateError::Bomb);
        }
        if !octets.is_empty() {
            out(octets.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn pack(octets: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(octets).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(octets: &[u8], most: u64, by: usize) -> Result<Vec<u8>, InflateError> {
        let (mut inflate, mut all) = (Inflate::new(most), Vec::new());
        for piece in octets.chunks(by) {
            inflate.push(piece, &mut |octets| all.extend_from_slice(&octets))?;
        }
        inflate.finish(&mut |octets| all.extend_from_slice(&octets))?;
        Ok(all)
    }

    #[test]
    fn packed_and_plain_files_give_the_same() {
        let text = b"EHLO x\r\n".repeat(3000);
        let two = [pack(&text[..8000]), pack(&text[8000..])].concat();
        for by in [1, 2, 3, 7, 100_000] {
            assert_eq!(unpack(&text, 1 << 20, by).unwrap(), text);
            assert_eq!(unpack(&two, 1 << 20, by).unwrap(), text, "members one after the other, by {by}");
        }
        assert_eq!(unpack(b"x", 10, 1).unwrap(), b"x");
        assert_eq!(unpack(b"", 10, 1).unwrap(), b"");
    }

    #[test]
    fn what_grows_too_much_or_breaks_off_is_an_error() {
        let bomb = pack(&vec![b'a'; 64 << 20]);
        assert!(matches!(unpack(&bomb, 1 << 30, 512), Err(InflateError::Bomb)));
        assert!(matches!(unpack(&bomb, 1 << 20, 512), Err(InflateError::TooLarge(_))));
        assert!(matches!(unpack(&vec![b'a'; 2000], 1999, 512), Err(InflateError::TooLarge(_))));
        let whole = pack(&(0..20_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
        for cut in [3, 10, whole.len() / 2, whole.len() - 1] {
            assert!(matches!(unpack(&whole[..cut], 1 << 20, 512), Err(InflateError::Damaged(_))), "{cut}");
        }
        let mut bent = whole;
        let middle = bent.len() / 2;
        bent[middle] ^= 0x55;
        assert!(matches!(unpack(&bent, 1 << 20, 512), Err(InflateError::Damaged(_))));
    }
}
