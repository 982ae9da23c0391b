//! Messages that a server keeps compressed, as Dovecot's `mail_compress` (`zlib`) and scripts around `gzip` leave them. Nothing but how a
//! file begins says so. A message cannot begin like that.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::MAX_MESSAGE;

/// How files begin that cannot be read here.
const OTHERS: [(&[u8], &str); 4] = [
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"Dovecot-LZ4\x0d\x2a\x9b\xc5", "lz4"),
];

/// The message in `octets`, without compression.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn plain(octets: Vec<u8>) -> Result<Vec<u8>, String> {
    if octets.starts_with(b"\x1f\x8b\x08") {
        let mut all = Vec::new();
        let read = MultiGzDecoder::new(&octets[..]).take(MAX_MESSAGE + 1).read_to_end(&mut all);
        return match read {
            Err(error) => Err(format!("it is compressed with gzip, and damaged: {error}")),
            Ok(_) if all.len() as u64 > MAX_MESSAGE => Err(too_large()),
            Ok(_) => Ok(all),
        };
    }
    let bzip2 = octets.get(4..10) == Some(b"1AY&SY");
    match OTHERS.iter().find(|(magic, name)| octets.starts_with(magic) && (*name != "bzip2" || bzip2)) {
        Some((_, name)) => Err(format!(
            "it is compressed with {name}, which is not read here; let `doveadm backup` write a Maildir without compression"
        )),
        None if octets.starts_with(b"CRYPTED\x03\x07") => {
            Err("it is encrypted by Dovecot; let `doveadm backup` write a Maildir without encryption".into())
        }
        None => Ok(octets),
    }
}

/// Why a message of more than [`MAX_MESSAGE`] is left out.
pub(super) fn too_large() -> String {
    format!("it is larger than {} MiB; divide it, or leave it out", MAX_MESSAGE >> 20)
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

    #[test]
    fn what_is_compressed_is_read_or_named() {
        assert_eq!(plain(b"A: b\n".to_vec()).unwrap(), b"A: b\n");
        assert_eq!(plain(packed(b"A: b\n\nc\n")).unwrap(), b"A: b\n\nc\n");
        assert_eq!(plain([packed(b"A: b\n"), packed(b"\nc\n")].concat()).unwrap(), b"A: b\n\nc\n");
        let half = packed(&b"A: b\n".repeat(1000));
        assert!(plain(half[..half.len() - 9].to_vec()).unwrap_err().contains("damaged"));
        for (magic, name) in OTHERS {
            let mut file = magic.to_vec();
            if name == "bzip2" {
                assert_eq!(plain(b"BZhello".to_vec()).unwrap(), b"BZhello");
                file.extend_from_slice(b"91AY&SY");
            }
            assert!(plain(file).unwrap_err().contains(name));
        }
    }

    #[test]
    fn a_bomb_is_refused_when_it_is_too_large() {
        let bomb = packed(&vec![0; 64 << 20]);
        let bombs = bomb.repeat(5);
        assert!(plain(bombs).unwrap_err().contains("larger"));
    }
}
