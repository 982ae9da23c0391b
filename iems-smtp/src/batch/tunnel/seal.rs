//! The seal of a batch: who made it, when, for which address, and that nothing of it was changed.
//!
//! ```text
//! Batch-SMTP-Signature: v=1; a=hmac-sha256; k=branch; t=1790000000; n=0f1e2d3c4b5a69788796a5b4c3d2e1f0; b=base64
//! ```
//! `k` names the key that both ends share, `t` is the time in seconds, `n` a number that is used once, `b` the HMAC (RFC 2104) with SHA-256 over
//! all of these, the address of the tunnel, and the batch as it was before it was encoded for mail. So what servers on the
//! way do to the encoding of a message, or to its header, does not break it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use iems_core::message::Mailbox;
use iems_core::seam::{Random, Timestamp};
use sha2::Sha256;

/// The name of the field.
pub(super) const FIELD: &str = "Batch-SMTP-Signature";
/// The least octets of a key: as many as an HMAC with SHA-256 is strong.
const LEAST: usize = 32;

/// A key that two ends share. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// What both call it.
    pub id: String,
    secret: Vec<u8>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// Why something is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret is too short.
    #[error("a secret of a tunnel has at least {LEAST} characters; make one with `openssl rand -base64 33`")]
    Short,
    /// The name cannot stand in the field.
    #[error("a key is called by up to 32 letters, digits, dots and hyphens")]
    Name,
}

impl Key {
    /// The key called `id`.
    ///
    /// # Errors
    /// If the secret is too short, or the name of another form.
    pub fn new(id: &str, secret: &[u8]) -> Result<Self, KeyError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        if !(1..=32).contains(&id.len()) || !id.bytes().all(plain) {
            return Err(KeyError::Name);
        }
        match secret.len() < LEAST {
            true => Err(KeyError::Short),
            false => Ok(Self { id: id.to_owned(), secret: secret.to_vec() }),
        }
    }
}

/// Why a seal does not hold. Each says what the sender can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// There is none.
    #[error("the batch is not signed; send it through the tunnel of your server")]
    Missing,
    /// It cannot be read.
    #[error("the signature of the batch cannot be read; send it again")]
    Unreadable,
    /// No such key.
    #[error("the batch is signed with an unknown key; check the key of the tunnel at both ends")]
    UnknownKey,
    /// It is not what the key makes of the batch.
    #[error("the signature of the batch is wrong; check the key of the tunnel at both ends")]
    Wrong,
    /// Too long ago, or in the future.
    #[error("the batch was signed too long ago, or in the future; check the clocks and send it again")]
    Time,
}

/// A seal as it stands in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The name of the key.
    pub key: String,
    /// When it was made, in seconds.
    pub time: u64,
    /// The number that is used once.
    pub nonce: [u8; 16],
    code: [u8; 32],
}

/// An HMAC that is fed with a batch.
pub(super) struct Sealer {
    mac: Hmac<Sha256>,
    key: String,
    time: u64,
    nonce: [u8; 16],
}

impl Sealer {
    /// For a new seal.
    pub(super) fn new(key: &Key, to: &Mailbox, now: Timestamp, random: &dyn Random) -> Self {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&random.next_u64().to_be_bytes());
        nonce[8..].copy_from_slice(&random.next_u64().to_be_bytes());
        Self::begin(key, to, now.as_secs(), nonce)
    }

    /// To look at one that came with a batch.
    pub(super) fn again(key: &Key, to: &Mailbox, seal: &Seal) -> Self {
        Self::begin(key, to, seal.time, seal.nonce)
    }

    fn begin(key: &Key, to: &Mailbox, time: u64, nonce: [u8; 16]) -> Self {
        // Any length of key is taken; the branch for others is never gone.
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&key.secret).unwrap_or_else(|_| Hmac::new(&Default::default()));
        let front = format!("batch-SMTP v=1 k={} t={time} n={} to={}\r\n", key.id, hex(&nonce), to.folded());
        mac.update(front.as_bytes());
        Self { mac, key: key.id.clone(), time, nonce }
    }

    pub(super) fn feed(&mut self, octets: &[u8]) {
        self.mac.update(octets);
    }

    /// The seal.
    pub(super) fn finish(self) -> Seal {
        let code = self.mac.finalize().into_bytes().into();
        Seal { key: self.key, time: self.time, nonce: self.nonce, code }
    }

    /// Whether `seal` is what the key makes of the batch. Takes the same time wherever they differ.
    pub(super) fn verify(self, seal: &Seal) -> Result<(), SealError> {
        self.mac.verify_slice(&seal.code).map_err(|_| SealError::Wrong)
    }
}

impl Seal {
    /// The value of the field.
    pub(super) fn field(&self) -> String {
        format!(
            "v=1; a=hmac-sha256; k={}; t={}; n={};\r\n\tb={}",
            self.key,
            self.time,
            hex(&self.nonce),
            BASE64_STANDARD.encode(self.code)
        )
    }

    /// Reads the value of the field.
    pub(super) fn read(value: &str) -> Result<Self, SealError> {
        let mut tags = std::collections::HashMap::new();
        for tag in value.split(';').map(str::trim).filter(|tag| !tag.is_empty()) {
            let (name, value) = tag.split_once('=').ok_or(SealError::Unreadable)?;
            if tags.insert(name.trim(), value.trim()).is_some() || tags.len() > 16 {
                return Err(SealError::Unreadable);
            }
        }
        let tag = |name: &str| tags.get(name).copied().ok_or(SealError::Unreadable);
        if (tag("v")?, tag("a")?) != ("1", "hmac-sha256") {
            return Err(SealError::Unreadable);
        }
        let code = BASE64_STANDARD.decode(tag("b")?).map_err(|_| SealError::Unreadable)?;
        Ok(Self {
            key: tag("k")?.to_owned(),
            time: tag("t")?.parse().map_err(|_| SealError::Unreadable)?,
            nonce: unhex(tag("n")?).ok_or(SealError::Unreadable)?,
            code: code.try_into().map_err(|_| SealError::Unreadable)?,
        })
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let mut out = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (octet, digits) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use iems_core::seam::SeededRandom;

    use super::*;

    fn seal(key: &Key, to: &str, text: &[u8]) -> Seal {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let mut sealer = Sealer::new(key, &to.parse().unwrap(), now, &SeededRandom::new(1));
        text.chunks(3).for_each(|piece| sealer.feed(piece));
        sealer.finish()
    }

    fn holds(key: &Key, to: &str, text: &[u8], seal: &Seal) -> Result<(), SealError> {
        let mut sealer = Sealer::again(key, &to.parse().unwrap(), seal);
        sealer.feed(text);
        sealer.verify(seal)
    }

    #[test]
    fn a_seal_holds_for_what_was_sealed_and_nothing_else() {
        let (key, other) = (Key::new("k", &[7; 32]).unwrap(), Key::new("k", &[8; 32]).unwrap());
        let made = seal(&key, "t@x.example", b"EHLO x\r\n");
        let read = Seal::read(&made.field()).unwrap();
        assert_eq!(read, made);
        assert_eq!(holds(&key, "T@x.example", b"EHLO x\r\n", &read), Ok(()));
        assert_eq!(holds(&other, "t@x.example", b"EHLO x\r\n", &read), Err(SealError::Wrong));
        assert_eq!(holds(&key, "u@x.example", b"EHLO x\r\n", &read), Err(SealError::Wrong));
        assert_eq!(holds(&key, "t@x.example", b"EHLO y\r\n", &read), Err(SealError::Wrong));
        for change in [Seal { time: 1, ..made.clone() }, Seal { nonce: [0; 16], ..made.clone() }] {
            assert_eq!(holds(&key, "t@x.example", b"EHLO x\r\n", &change), Err(SealError::Wrong));
        }
    }

    #[test]
    fn what_is_no_seal_is_not_read() {
        let good = seal(&Key::new("k", &[7; 32]).unwrap(), "t@x.example", b"").field();
        for (from, to) in [
            ("v=1", "v=2"),
            ("hmac-sha256", "none"),
            ("k=k;", ""),
            ("n=", "n=0"),
            ("b=", "b=!"),
            ("t=", "t=-"),
            ("k=k", "k=k; k=l"),
        ] {
            assert_eq!(Seal::read(&good.replacen(from, to, 1)), Err(SealError::Unreadable), "{from} {to}");
        }
        assert_eq!(Seal::read(""), Err(SealError::Unreadable));
        assert_eq!(Key::new("k", &[7; 31]), Err(KeyError::Short));
        assert_eq!(Key::new("a b", &[7; 32]), Err(KeyError::Name));
    }
}
