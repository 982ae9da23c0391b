//! DEFLATE in both directions (RFC 1951), for protocols that compress their dialogue (RFC 4978). No I/O.
//!
//! What a peer packs small may be large: it is unpacked by the piece, as far as there is room, and the rest stays packed.

use std::io;

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// How much is packed or unpacked at a time, in octets.
const PIECE: usize = 4096;
/// A block of nothing (RFC 1951 section 3.2.4), where a block begins at an octet, as it does behind what was packed.
const NOTHING: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// Packs what is sent and unpacks what arrives. Holds about 300 KiB.
pub(crate) struct Deflate {
    pack: Compress,
    unpack: Decompress,
    /// Arrived, and not unpacked yet.
    packed: BytesMut,
    /// Whether something went on the last time: there may be more within.
    more: bool,
}

impl Deflate {
    /// From here on; `packed` arrived already.
    pub(crate) fn new(packed: BytesMut) -> Self {
        let (pack, unpack) = (Compress::new(Compression::fast(), false), Decompress::new(false));
        let more = !packed.is_empty();
        Self { pack, unpack, packed, more }
    }

    /// Where what arrives is put.
    pub(crate) fn packed(&mut self) -> &mut BytesMut {
        self.more = true;
        &mut self.packed
    }

    /// `octets`, packed, so that the peer can unpack all of them at once.
    ///
    /// # Errors
    /// None that can be caused from outside.
    pub(crate) fn pack(&mut self, octets: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(octets.len() / 2 + 64);
        let mut rest = octets;
        loop {
            out.reserve(PIECE);
            let (before, room) = (self.pack.total_in(), out.capacity() - out.len());
            let length = out.len();
            self.pack.compress_vec(rest, &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
            let taken = usize::try_from(self.pack.total_in() - before).unwrap_or(rest.len());
            rest = rest.get(taken..).unwrap_or_default();
            // With room left, all of it was flushed.
            if rest.is_empty() && out.len() - length < room {
                return Ok(out);
            }
        }
    }

    /// The same, with as much of nothing behind it that it is no shorter than `octets`.
    ///
    /// # Errors
    /// As [`Self::pack`].
    pub(crate) fn pack_in_full(&mut self, octets: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = self.pack(octets)?;
        while out.len() < octets.len() {
            out.extend_from_slice(&NOTHING);
        }
        Ok(out)
    }

    /// Appends a piece of what arrived to `out`; whether there was one.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if the peer's octets are no DEFLATE, or end it.
    pub(crate) fn unpack(&mut self, out: &mut BytesMut) -> io::Result<bool> {
        while self.more {
            let mut piece = [0; PIECE];
            let (came, went) = (self.unpack.total_in(), self.unpack.total_out());
            let status = self.unpack.decompress(&self.packed, &mut piece, FlushDecompress::None);
            let status = status.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let taken = usize::try_from(self.unpack.total_in() - came).unwrap_or(usize::MAX);
            self.packed.advance(taken.min(self.packed.len()));
            let made = usize::try_from(self.unpack.total_out() - went).unwrap_or(usize::MAX).min(PIECE);
            // What is unpacked already may come out without anything being taken.
            self.more = made > 0 || taken > 0;
            out.extend_from_slice(piece.get(..made).unwrap_or_default());
            if status == Status::StreamEnd {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the peer ended the compressed stream",
                ));
            }
            if made > 0 {
                return Ok(true);
            }
        }
        if self.packed.is_empty() {
            self.packed = BytesMut::new();
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces that are packed, sent in small packets, and unpacked.
    fn carried(pieces: &[Vec<u8>], packet: usize) -> Vec<u8> {
        let (mut here, mut there) = (Deflate::new(BytesMut::new()), Deflate::new(BytesMut::new()));
        let mut out = BytesMut::new();
        for piece in pieces {
            for packet in here.pack(piece).unwrap().chunks(packet) {
                there.packed().extend_from_slice(packet);
                while there.unpack(&mut out).unwrap() {}
            }
            assert!(there.packed.is_empty());
        }
        out.to_vec()
    }

    #[test]
    fn what_is_packed_is_unpacked_at_once() {
        let noise: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let pieces =
            [b"* OK x\r\n".to_vec(), Vec::new(), vec![b'x'; 300_000], noise, vec![0], vec![b'y'; PIECE]];
        for packet in [1, 7, 4096, usize::MAX] {
            assert_eq!(carried(&pieces, packet), pieces.concat(), "{packet}");
        }
    }

    #[test]
    fn what_is_packed_in_full_is_no_shorter_and_the_same() {
        let (mut here, mut there) = (Deflate::new(BytesMut::new()), Deflate::new(BytesMut::new()));
        let mut out = BytesMut::new();
        for length in [0, 1, 7, 300, 70_000, 300, 5] {
            let piece = vec![b'x'; length];
            for packed in [here.pack_in_full(&piece).unwrap(), here.pack(&piece).unwrap()] {
                there.packed().extend_from_slice(&packed);
                out.clear();
                while there.unpack(&mut out).unwrap() {}
                assert_eq!(out, piece);
            }
            let packed = here.pack_in_full(&piece).unwrap();
            assert!((length..length + 20).contains(&packed.len()), "{length} as {}", packed.len());
            there.packed().extend_from_slice(&packed);
            while there.unpack(&mut out).unwrap() {}
        }
    }

    #[test]
    fn a_bomb_goes_off_by_the_piece() {
        let mut here = Deflate::new(BytesMut::new());
        let bomb = here.pack(&vec![0; 50 << 20]).unwrap();
        assert!(bomb.len() < 1 << 20);
        let mut there = Deflate::new(BytesMut::from(&bomb[..]));
        let mut out = BytesMut::new();
        for _ in 0..10 {
            assert!(there.unpack(&mut out).unwrap());
            assert!(out.len() <= PIECE);
            out.clear();
        }
    }

    #[test]
    fn what_is_no_deflate_is_an_error() {
        let mut there = Deflate::new(BytesMut::from(&b"a NOOP\r\nb NOOP\r\n"[..]));
        let mut out = BytesMut::new();
        let error = loop {
            match there.unpack(&mut out) {
                Ok(true) => {}
                Ok(false) => panic!("taken"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut ended = Compress::new(Compression::fast(), false);
        let mut octets = Vec::with_capacity(100);
        ended.compress_vec(b"x", &mut octets, FlushCompress::Finish).unwrap();
        let mut there = Deflate::new(BytesMut::from(&octets[..]));
        assert!((0..3).any(|_| there.unpack(&mut out).is_err()));
    }
}
