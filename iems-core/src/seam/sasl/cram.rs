//! `CRAM-MD5` (RFC 2195): the peer answers a challenge with a digest of it and of a secret that both sides know as it is.
//!
//! A secret for it has to be kept readable, so that it is for secrets of its own alone, never for passwords of users.

use hmac::{Hmac, Mac};
use md5::Md5;

use super::{Entropy, Failure, LOGIN, Password, text};

/// A challenge, and what a secret that does not exist is replaced by.
pub(super) struct Cram {
    challenge: String,
    made_up: [u8; 32],
}

impl Cram {
    pub(super) fn new(entropy: &Entropy) -> Self {
        let nonce: String = entropy.nonce.iter().map(|octet| format!("{octet:02x}")).collect();
        Self { challenge: format!("<{nonce}@{}.invalid>", entropy.service), made_up: entropy.secret }
    }

    /// What the peer is asked: in the form of a message id (section 2).
    pub(super) fn challenge(&self) -> Vec<u8> {
        self.challenge.clone().into_bytes()
    }

    /// Whether a digest is that of the challenge and `secret`; if there is none, it takes as long, and is not.
    pub(super) fn holds(&self, digest: &[u8; 16], secret: Option<&Password>) -> bool {
        let key = secret.map_or(&self.made_up[..], |secret| secret.as_str().as_bytes());
        let Ok(mut mac) = Hmac::<Md5>::new_from_slice(key) else { return false };
        mac.update(self.challenge.as_bytes());
        mac.verify_slice(digest).is_ok() && secret.is_some()
    }
}

impl std::fmt::Debug for Cram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cram(..)")
    }
}

/// `login SP digest`, the digest in 32 hexadecimal digits.
pub(super) fn answer(response: &[u8]) -> Result<(String, [u8; 16]), Failure> {
    let said = text(response, LOGIN + 33)?;
    let (login, digits) = said.rsplit_once(' ').ok_or(Failure::Malformed)?;
    let mut digest = [0; 16];
    if digits.len() != 32 || !digits.is_ascii() {
        return Err(Failure::Malformed);
    }
    for (octet, pair) in digest.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| pair.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let (high, low) = (digit(0).ok_or(Failure::Malformed)?, digit(1).ok_or(Failure::Malformed)?);
        *octet = (high << 4 | low) as u8;
    }
    Ok((text(login.as_bytes(), LOGIN)?, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 2195 section 2.
    #[test]
    fn the_example_of_the_rfc_holds() {
        let challenge = "<1896.697170952@postoffice.reston.mci.net>".to_owned();
        let cram = Cram { challenge, made_up: [0; 32] };
        let (login, digest) = answer(b"tim b913a602c7eda7a495b4e6e7334d3890").unwrap();
        assert_eq!(login, "tim");
        assert!(cram.holds(&digest, Some(&Password::from("tanstaaftanstaaf".to_owned()))));
        assert!(!cram.holds(&digest, Some(&Password::from("tanstaaftanstaag".to_owned()))));
        assert!(!cram.holds(&digest, None));
    }

    #[test]
    fn answers_are_read_to_the_letter() {
        let (login, _) = answer(b"a b B913A602C7EDA7A495B4E6E7334D3890").unwrap();
        assert_eq!(login, "a b", "a login may hold a space");
        for wrong in [
            &b""[..],
            b"tim",
            b" b913a602c7eda7a495b4e6e7334d3890",
            b"tim b913a602c7eda7a495b4e6e7334d389",
            b"tim b913a602c7eda7a495b4e6e7334d38900",
            b"tim g913a602c7eda7a495b4e6e7334d3890",
            "tim \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}".as_bytes(),
            b"t\0m b913a602c7eda7a495b4e6e7334d3890",
            b"\xff b913a602c7eda7a495b4e6e7334d3890",
        ] {
            assert_eq!(answer(wrong), Err(Failure::Malformed), "{wrong:?}");
        }
        let long = format!("{} b913a602c7eda7a495b4e6e7334d3890", "x".repeat(LOGIN + 1));
        assert_eq!(answer(long.as_bytes()), Err(Failure::Malformed));
    }
}
