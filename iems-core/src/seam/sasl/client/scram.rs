//! `SCRAM-SHA-256` (RFC 5802, RFC 7677), client side, with and without channel binding.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::super::scram::{hmac, salted};
use super::{ChannelBinding, Failure, Login, Password, Secret};

/// The fewest iterations that protect a password (RFC 7677 section 4).
pub(super) const LEAST: u32 = 4096;
/// The most that are computed: about a second.
pub(super) const MOST: u32 = 1_000_000;

/// What is said of channel binding.
pub(super) enum Flag {
    /// There is none here.
    Unable,
    /// There is, and the server offers none.
    NotOffered,
    /// By this mark.
    Bound(ChannelBinding),
}

impl Flag {
    /// The header: about channel binding, and no other identity.
    fn gs2(&self) -> String {
        match self {
            Self::Unable => "n,,".into(),
            Self::NotOffered => "y,,".into(),
            Self::Bound(binding) => format!("p={},,", binding.name),
        }
    }
}

/// One exchange. The states in order: `First → Final → Proved`; any may end in failure.
pub(super) struct Scram {
    state: State,
}

enum State {
    /// Waits for `server-first-message`.
    First {
        password: Password,
        nonce: String,
        bare: String,
        /// `cbind-input`.
        binding: Vec<u8>,
    },
    /// Waits for `server-final-message`, which has to have this signature.
    Final(Zeroizing<[u8; 32]>),
    /// The server proved itself.
    Proved,
    Over,
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scram(..)")
    }
}

impl Scram {
    /// Begins, with `client-first-message`.
    pub(super) fn start(login: &Login, nonce: &[u8], flag: Flag) -> (Self, Secret) {
        let gs2 = flag.gs2();
        let nonce = BASE64.encode(nonce);
        let name = login.user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={name},r={nonce}");
        let first = format!("{gs2}{bare}").into_bytes().into();
        let mut binding = gs2.into_bytes();
        if let Flag::Bound(mark) = flag {
            binding.extend_from_slice(&mark.data);
        }
        let state = State::First { password: login.password.clone(), nonce, bare, binding };
        (Self { state }, first)
    }

    pub(super) fn respond(&mut self, challenge: &[u8]) -> Result<Secret, Failure> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| Failure::Malformed)?;
        if let Some(error) = challenge.strip_prefix("e=") {
            let printable = |c: &char| matches!(c, ' '..='~') && *c != ',';
            return Err(Failure::Refused(error.chars().take_while(printable).take(60).collect()));
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::First { password, nonce, bare, binding } => {
                self.prove(&password, &nonce, (&bare, challenge), &binding)
            }
            State::Final(signature) => {
                let theirs = field(challenge.split(',').next(), "v=")?;
                let theirs = BASE64.decode(theirs).map_err(|_| Failure::Malformed)?;
                if !bool::from(signature.ct_eq(theirs.as_slice())) {
                    return Err(Failure::NotProved);
                }
                self.state = State::Proved;
                Ok(Vec::new().into())
            }
            State::Proved | State::Over => Err(Failure::Malformed),
        }
    }

    pub(super) fn is_proved(&self) -> bool {
        matches!(self.state, State::Proved)
    }

    /// The answer to `"r=" nonce ",s=" base64 ",i=" count [extensions]`.
    fn prove(
        &mut self,
        password: &Password,
        ours: &str,
        (bare, first): (&str, &str),
        binding: &[u8],
    ) -> Result<Secret, Failure> {
        if first.starts_with("m=") {
            return Err(Failure::Unsupported);
        }
        let mut fields = first.split(',');
        let (nonce, salt, count) =
            (field(fields.next(), "r=")?, field(fields.next(), "s=")?, field(fields.next(), "i=")?);
        let fresh = nonce.strip_prefix(ours).is_some_and(|theirs| !theirs.is_empty());
        if !fresh || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Failure::Malformed);
        }
        let salt = BASE64.decode(salt).ok().filter(|salt| !salt.is_empty()).ok_or(Failure::Malformed)?;
        let count = count.parse().map_err(|_| Failure::Malformed)?;
        if !(LEAST..=MOST).contains(&count) {
            return Err(Failure::Iterations(count));
        }
        let salted = salted(password.as_str(), &salt, count);
        let without_proof = format!("c={},r={nonce}", BASE64.encode(binding));
        let spoken = format!("{bare},{first},{without_proof}");
        let mut proof = Zeroizing::new(hmac(&*salted, &[b"Client Key"]));
        let mask = hmac(&Sha256::digest(*proof), &[spoken.as_bytes()]);
        proof.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
        let server_key = Zeroizing::new(hmac(&*salted, &[b"Server Key"]));
        self.state = State::Final(Zeroizing::new(hmac(&*server_key, &[spoken.as_bytes()])));
        Ok(format!("{without_proof},p={}", BASE64.encode(*proof)).into_bytes().into())
    }
}

/// The value of a field that has to have this name.
fn field<'a>(field: Option<&'a str>, name: &str) -> Result<&'a str, Failure> {
    field.and_then(|field| field.strip_prefix(name)).ok_or(Failure::Malformed)
}
