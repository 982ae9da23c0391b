//! `SCRAM-SHA-256` (RFC 5802, RFC 7677), server side, with and without channel binding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Entropy, Failure, LOGIN, Step};
use crate::seam::{Account, ScramVerifier};

/// What to keep about `password`, so that it can be proved later (RFC 5802 section 3). Slow by design: run it where
/// blocking is allowed. `iterations` below 1 counts as 1.
pub fn derive_verifier(password: &str, salt: &[u8], iterations: u32) -> ScramVerifier {
    let salted = salted(password, salt, iterations);
    ScramVerifier {
        iterations: iterations.max(1),
        salt: salt.to_vec(),
        stored_key: Sha256::digest(hmac(&*salted, &[b"Client Key"])).to_vec(),
        server_key: hmac(&*salted, &[b"Server Key"]).to_vec(),
    }
}

/// `SaltedPassword := Hi(password, salt, i)` (RFC 5802 section 2.2).
pub(super) fn salted(password: &str, salt: &[u8], iterations: u32) -> Zeroizing<[u8; 32]> {
    let keyed = keyed(password.as_bytes());
    let mut block = finish(keyed.clone(), &[salt, &1u32.to_be_bytes()]);
    let mut sum = Zeroizing::new(block);
    for _ in 1..iterations.max(1) {
        block = finish(keyed.clone(), &[&block]);
        sum.iter_mut().zip(block).for_each(|(sum, octet)| *sum ^= octet);
    }
    sum
}

/// One exchange. The states in order: `First → Looking → Final → Proved`; any may end in failure.
pub(super) struct Scram {
    entropy: Entropy,
    /// Whether the name of the mechanism ends in `-PLUS`.
    plus: bool,
    state: State,
}

impl std::fmt::Debug for Scram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scram(..)")
    }
}

enum State {
    /// Waits for `client-first-message`.
    First,
    /// Waits for the directory.
    Looking {
        binding: Vec<u8>,
        bare: String,
        login: String,
        client_nonce: String,
    },
    /// Waits for `client-final-message`.
    Final(Box<Expected>),
    /// The peer proved itself; waits for its empty answer to our proof.
    Proved(Account),
    Over,
}

/// What `client-final-message` is measured by.
struct Expected {
    account: Option<Account>,
    verifier: ScramVerifier,
    /// `cbind-input`: the header, and the mark of the channel.
    binding: Vec<u8>,
    nonce: String,
    /// `client-first-message-bare "," server-first-message ","`.
    so_far: String,
}

impl Scram {
    pub(super) fn new(entropy: Entropy, plus: bool) -> Self {
        Self { entropy, plus, state: State::First }
    }

    pub(super) fn respond(&mut self, response: &[u8]) -> Step {
        let outcome = match std::mem::replace(&mut self.state, State::Over) {
            State::First => self.first(response),
            State::Final(expected) => self.last(*expected, response),
            State::Proved(account) if response.is_empty() => Ok(Step::Done(account)),
            _ => Err(Failure::Malformed),
        };
        outcome.unwrap_or_else(Step::Fail)
    }

    pub(super) fn verifier(&mut self, found: Option<(Account, ScramVerifier)>) -> Step {
        let State::Looking { binding, bare, login, client_nonce } =
            std::mem::replace(&mut self.state, State::Over)
        else {
            return Step::Fail(Failure::Malformed);
        };
        let (account, verifier) = match found {
            Some((account, verifier)) => (Some(account), verifier),
            None => (None, self.made_up(&login)),
        };
        let nonce = client_nonce + &BASE64.encode(self.entropy.nonce);
        let salt = BASE64.encode(&verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={}", verifier.iterations);
        let so_far = format!("{bare},{server_first},");
        self.state = State::Final(Box::new(Expected { account, verifier, binding, nonce, so_far }));
        Step::Challenge(server_first.into_bytes())
    }

    /// `gs2-cbind-flag "," [authzid] "," "n=" saslname ",r=" c-nonce [extensions]`.
    fn first(&mut self, message: &[u8]) -> Result<Step, Failure> {
        let message = std::str::from_utf8(message).map_err(|_| Failure::Malformed)?;
        let mut parts = message.splitn(3, ',');
        let mut part = || parts.next().ok_or(Failure::Malformed);
        let (flag, identity, bare) = (part()?, part()?, part()?);
        let mark = self.mark(flag)?;
        let mut fields = bare.split(',');
        let mut field = |name| fields.next().and_then(|f| f.strip_prefix(name)).ok_or(Failure::Malformed);
        let name = field("n=")?;
        let client_nonce = field("r=")?;
        let login = saslname(name)?;
        if !identity.is_empty() && identity.strip_prefix("a=").ok_or(Failure::Malformed)? != name {
            return Err(Failure::Credentials);
        }
        let printable = |b: u8| matches!(b, 0x21..=0x2b | 0x2d..=0x7e);
        if client_nonce.is_empty() || client_nonce.len() > 256 || !client_nonce.bytes().all(printable) {
            return Err(Failure::Malformed);
        }
        let mut binding = format!("{flag},{identity},").into_bytes();
        binding.extend_from_slice(&mark);
        self.state = State::Looking {
            binding,
            bare: bare.into(),
            login: login.clone(),
            client_nonce: client_nonce.into(),
        };
        Ok(Step::NeedScram { login })
    }

    /// The mark of the channel that a `gs2-cbind-flag` asks for, empty if it asks for none (RFC 5802 section 6). A peer that
    /// could bind, and believes that we cannot, was not told what we offer.
    fn mark(&self, flag: &str) -> Result<Vec<u8>, Failure> {
        let bindings = &self.entropy.beneath.bindings;
        match (flag, flag.strip_prefix("p=")) {
            ("y", _) if !bindings.is_empty() => Err(Failure::NotBound),
            ("n" | "y", _) if !self.plus => Ok(Vec::new()),
            (_, Some(name)) if self.plus => {
                let binding = bindings.iter().find(|binding| binding.name == name);
                binding.map(|binding| binding.data.clone()).ok_or(Failure::Unsupported)
            }
            (_, Some(_)) => Err(Failure::Unsupported),
            _ => Err(Failure::Malformed),
        }
    }

    /// `"c=" base64 ",r=" nonce [extensions] ",p=" base64`.
    fn last(&mut self, expected: Expected, message: &[u8]) -> Result<Step, Failure> {
        let message = std::str::from_utf8(message).map_err(|_| Failure::Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Failure::Malformed)?;
        let mut fields = without_proof.split(',');
        let mut field = |name| fields.next().and_then(|f| f.strip_prefix(name)).ok_or(Failure::Malformed);
        let (binding, nonce) = (field("c=")?, field("r=")?);
        if fields.any(|field| field.starts_with("m=")) {
            return Err(Failure::Unsupported);
        }
        let binding = BASE64.decode(binding).map_err(|_| Failure::Malformed)?;
        if nonce != expected.nonce {
            return Err(Failure::Malformed);
        }
        if !bool::from(binding.ct_eq(&expected.binding)) {
            return Err(if self.plus { Failure::NotBound } else { Failure::Malformed });
        }
        let proof: [u8; 32] =
            BASE64.decode(proof).ok().and_then(|p| p.try_into().ok()).ok_or(Failure::Malformed)?;
        let spoken = [expected.so_far.as_bytes(), without_proof.as_bytes()];
        let proved = proves(&expected.verifier, &spoken, proof);
        match expected.account {
            Some(account) if proved => {
                let signature = BASE64.encode(hmac(&expected.verifier.server_key, &spoken));
                self.state = State::Proved(account);
                Ok(Step::Challenge(format!("v={signature}").into_bytes()))
            }
            _ => Err(Failure::Credentials),
        }
    }

    /// The verifier of a login that does not exist: always the same for the same login, and not to be told from others.
    fn made_up(&self, login: &str) -> ScramVerifier {
        let octets = |what: &[u8]| hmac(&self.entropy.secret, &[what, login.as_bytes()]);
        ScramVerifier {
            iterations: self.entropy.iterations.max(1),
            salt: octets(b"salt")[..16].to_vec(),
            stored_key: octets(b"stored").to_vec(),
            server_key: octets(b"server").to_vec(),
        }
    }
}

/// `H(ClientProof XOR ClientSignature) = StoredKey`, compared in constant time.
fn proves(verifier: &ScramVerifier, spoken: &[&[u8]], proof: [u8; 32]) -> bool {
    let mut key = hmac(&verifier.stored_key, spoken);
    key.iter_mut().zip(proof).for_each(|(octet, proof)| *octet ^= proof);
    Sha256::digest(key).ct_eq(verifier.stored_key.as_slice()).into()
}

/// `saslname`: `=2C` stands for a comma, `=3D` for an equals sign, nothing else for anything.
pub(super) fn saslname(name: &str) -> Result<String, Failure> {
    let mut pieces = name.split('=');
    let mut login = String::from(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (c, rest) = match () {
            () if piece.starts_with("2C") => (',', &piece[2..]),
            () if piece.starts_with("3D") => ('=', &piece[2..]),
            () => return Err(Failure::Malformed),
        };
        login.push(c);
        login.push_str(rest);
    }
    super::text(login.as_bytes(), LOGIN)
}

pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    finish(keyed(key), parts)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn finish(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
