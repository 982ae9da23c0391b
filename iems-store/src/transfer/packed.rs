//! Messages that a server keeps compressed, as Dovecot's `mail_compress` (`zlib`) and scripts around `gzip` leave them. Nothing but how a
//! file begins says so. A message cannot begin like that.
//!
//! What comes out is bounded, what a decoder holds meanwhile by [`WINDOW`].

use std::io::{self, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::MAX_MESSAGE;

/// The most that a decoder may look back, in octets.
const WINDOW: u64 = 128 << 20;
/// The most octets of a piece that Dovecot compresses with LZ4.
const PIECE: usize = 1 << 20;
/// How Dovecot's own form of LZ4 begins.
const LZ4: &[u8] = b"Dovecot-LZ4\x0d\x2a\x9b\xc5";

/// How something is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Lz4,
}

impl Packing {
    fn of(octets: &[u8]) -> Option<Self> {
        let begins = |magic: &[u8]| octets.starts_with(magic);
        match () {
            () if begins(b"\x1f\x8b\x08") => Some(Self::Gzip),
            // The square root of pi stands behind the size of blocks, pi before it where there is one.
            () if begins(b"BZh") => match octets.get(4..10) {
                Some(b"1AY&SY" | b"\x17\x72\x45\x38\x50\x90") => Some(Self::Bzip2),
                _ => None,
            },
            () if begins(b"\xfd7zXZ\0") => Some(Self::Xz),
            () if begins(b"\x28\xb5\x2f\xfd") => Some(Self::Zstd),
            () if begins(LZ4) => Some(Self::Lz4),
            () => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }

    /// What comes out, but no more than a little above `most` octets.
    fn unpack(self, octets: &[u8], most: u64) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        match self {
            Self::Gzip => bounded(MultiGzDecoder::new(octets), &mut all, most)?,
            Self::Bzip2 => bounded(MultiBzDecoder::new(octets), &mut all, most)?,
            Self::Xz => {
                bounded(XzReader::new_mem_limit(octets, true, (WINDOW >> 10) as u32), &mut all, most)?
            }
            Self::Zstd => zstd(octets, &mut all, most)?,
            Self::Lz4 => lz4(octets.get(LZ4.len()..).unwrap_or_default(), &mut all, most)?,
        }
        Ok(all)
    }
}

/// The message in `octets`, without compression.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn plain(octets: Vec<u8>) -> Result<Vec<u8>, String> {
    up_to(octets, MAX_MESSAGE)
}

fn up_to(octets: Vec<u8>, most: u64) -> Result<Vec<u8>, String> {
    if let Some(packing) = Packing::of(&octets) {
        return match packing.unpack(&octets, most) {
            Err(error) => Err(format!("it is compressed with {}, and damaged: {error}", packing.name())),
            Ok(all) if all.len() as u64 > most => Err(too_large()),
            Ok(all) => Ok(all),
        };
    }
    match octets.starts_with(b"CRYPTED\x03\x07") {
        true => {
            Err("it is encrypted by Dovecot; let `doveadm backup` write a Maildir without encryption".into())
        }
        false => Ok(octets),
    }
}

/// Why a message of more than [`MAX_MESSAGE`] is left out.
pub(super) fn too_large() -> String {
    format!("it is larger than {} MiB; divide it, or leave it out", MAX_MESSAGE >> 20)
}

fn damage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn bounded(reader: impl Read, all: &mut Vec<u8>, most: u64) -> io::Result<()> {
    let room = (most + 1).saturating_sub(all.len() as u64);
    reader.take(room).read_to_end(all).map(drop)
}

/// One frame behind the other (RFC 8878 section 3.1).
fn zstd(octets: &[u8], all: &mut Vec<u8>, most: u64) -> io::Result<()> {
    let mut rest = octets;
    while !rest.is_empty() && all.len() as u64 <= most {
        let frame = StreamingDecoder::new_with_max_window_size(&mut rest, WINDOW);
        let mut frame = frame.map_err(io::Error::other)?;
        bounded(&mut frame, all, most)?;
        let sums = (frame.decoder.get_checksum_from_data(), frame.decoder.get_calculated_checksum());
        if let (Some(said), Some(found)) = sums
            && said != found
            && frame.decoder.is_finished()
        {
            return Err(damage("the checksum is another"));
        }
    }
    Ok(())
}

/// Behind the magic: the size of pieces, and the pieces, each with its length.
fn lz4(octets: &[u8], all: &mut Vec<u8>, most: u64) -> io::Result<()> {
    let short = || damage("it ends too early");
    let number = |rest: &mut &[u8]| {
        let (four, more) = rest.split_first_chunk::<4>()?;
        *rest = more;
        usize::try_from(u32::from_be_bytes(*four)).ok()
    };
    let mut rest = octets;
    let piece = number(&mut rest).ok_or_else(short)?;
    if piece > PIECE {
        return Err(damage("its pieces are too large"));
    }
    while !rest.is_empty() && all.len() as u64 <= most {
        let length = number(&mut rest).ok_or_else(short)?;
        let (packed, more) = rest.split_at_checked(length).ok_or_else(short)?;
        rest = more;
        let start = all.len();
        lz4_block(packed, all, start, start + piece)
            .ok_or_else(|| damage("a piece of it says nothing that makes sense"))?;
    }
    Ok(())
}

/// One block of LZ4: runs of octets as they are, and copies of what came before. `start` is where the block begins, `end` where it has
/// to end at the latest.
fn lz4_block(block: &[u8], all: &mut Vec<u8>, start: usize, end: usize) -> Option<()> {
    let mut rest = block;
    loop {
        let token = take(&mut rest)?;
        let literals = length(token >> 4, &mut rest)?;
        let (plain, more) = rest.split_at_checked(literals)?;
        rest = more;
        (all.len() + literals <= end).then_some(())?;
        all.extend_from_slice(plain);
        if rest.is_empty() {
            return Some(());
        }
        let offset = usize::from(u16::from_le_bytes([take(&mut rest)?, take(&mut rest)?]));
        let copied = length(token & 15, &mut rest)?.checked_add(4)?;
        let from = all.len().checked_sub(offset).filter(|from| *from >= start && offset > 0)?;
        (all.len().checked_add(copied)? <= end).then_some(())?;
        // What is copied may overlap with what it becomes.
        for at in from..from + copied {
            all.push(*all.get(at)?);
        }
    }
}

fn take(rest: &mut &[u8]) -> Option<u8> {
    let (first, more) = rest.split_first()?;
    *rest = more;
    Some(*first)
}

/// A length whose first four bits stood in a token.
fn length(bits: u8, rest: &mut &[u8]) -> Option<usize> {
    let mut sum = usize::from(bits);
    let mut more = bits == 15;
    while more {
        let octet = take(rest)?;
        sum = sum.checked_add(usize::from(octet))?;
        more = octet == 255;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn bzipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd_of(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// A message by Dovecot 2.3 with `mail_compress`, and by `xz`.
    const BY_DOVECOT: [(&str, &str); 4] = [
        (
            "xz",
            "fd377a585a000004e6d6b4460200210116000000742fe5a3e00203002b5d00299d4846ca80ef58685998ad0eaa951a438c1ff7f8a959338b01afd88aaa9e366c0484b4a5e77be8f280000000ceb120b13ac784c400014784040000000c6f0c1ab1c467fb020000000004595a",
        ),
        (
            "lz4",
            "446f7665636f742d4c5a340d2a9bc50001000000000031f20d5375626a6563743a2068656c6c6f0a0a61206c696e652c20616e64200c006f20616761696e1900ffc5506761696e0a",
        ),
        (
            "zstd",
            "28b52ffd00586c010024025375626a6563743a2068656c6c6f0a0a61206c696e652c20616e642020616761696e0200d93c55e1587102010000",
        ),
        (
            "bzip2",
            "425a6839314159265359dd3e9e5d0000485b8000104004001008003ef586002000740a94868003d40a948346868d0c608cb823922a46d611991ed6c4508a11d11622afb924fbdd88cec4508f7111a63445c8b08c2abf177245385090dd3e9e5d",
        ),
    ];

    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn what_is_compressed_is_read() {
        assert_eq!(plain(b"A: b\n".to_vec()).unwrap(), b"A: b\n");
        assert_eq!(plain(b"BZh: b\n".to_vec()).unwrap(), b"BZh: b\n");
        for pack in [packed, bzipped, zstd_of] {
            assert_eq!(plain(pack(b"A: b\n\nc\n")).unwrap(), b"A: b\n\nc\n");
            assert_eq!(plain([pack(b"A: b\n"), pack(b"\nc\n")].concat()).unwrap(), b"A: b\n\nc\n");
        }
        let text = format!("Subject: hello\n\n{}", "a line, and a line again\n".repeat(20));
        for (name, hex) in BY_DOVECOT {
            let file = octets(hex);
            assert_eq!(Packing::of(&file).map(Packing::name), Some(name));
            assert_eq!(String::from_utf8(plain(file).expect(name)).unwrap(), text, "{name}");
        }
    }

    #[test]
    fn what_is_damaged_is_named() {
        let text = b"A: b\n".repeat(1000);
        for (name, file) in [("gzip", packed(&text)), ("bzip2", bzipped(&text)), ("zstd", zstd_of(&text))] {
            let why = plain(file[..file.len() - 9].to_vec()).expect_err(name);
            assert!(why.contains(name) && why.contains("damaged"), "{why}");
        }
        // Nothing that is cut or changed makes a panic, or more than there was.
        for (name, hex) in BY_DOVECOT {
            let file = octets(hex);
            for at in 0..file.len() {
                let cut = plain(file[..at].to_vec());
                assert!(
                    cut.is_err() || at < 16 || cut.is_ok_and(|some| some.len() <= 1000),
                    "{name} at {at}"
                );
                for bit in [1, 16, 128] {
                    let mut other = file.clone();
                    other[at] ^= bit;
                    let _ = plain(other);
                }
            }
        }
        assert!(plain(b"CRYPTED\x03\x07...".to_vec()).unwrap_err().contains("encrypted"));
    }

    #[test]
    fn a_bomb_is_refused_when_it_is_too_large() {
        let zeroes = vec![0; 1 << 20];
        let five = |pack: fn(&[u8]) -> Vec<u8>| pack(&zeroes).repeat(5);
        for bombs in [five(packed), five(bzipped), five(zstd_of)] {
            assert!(up_to(bombs.clone(), 4 << 20).unwrap_err().contains("larger"));
            assert_eq!(up_to(bombs, 5 << 20).unwrap().len(), 5 << 20);
        }
        // A window of 3.75 TiB, a piece of 4 GiB, and a dictionary of 4 GiB.
        assert!(plain(b"\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00".to_vec()).unwrap_err().contains("damaged"));
        let pieces = [LZ4, b"\xff\xff\xff\xff\0\0\0\x01\0"].concat();
        assert!(plain(pieces).unwrap_err().contains("too large"));
        // 18 octets that copy themselves 255 times 5000 octets on.
        let mut block = vec![0x1f, b'a', 1, 0];
        block.extend_from_slice(&[255; 5000]);
        block.push(0);
        let length = (block.len() as u32).to_be_bytes();
        let bomb = [LZ4, &65536u32.to_be_bytes(), &length, &block].concat();
        assert!(plain(bomb).unwrap_err().contains("sense"));
    }
}
