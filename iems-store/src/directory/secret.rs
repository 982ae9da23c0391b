//! What a password is derived to: an Argon2id hash for whoever sends it, a SCRAM verifier for whoever
//! does not (RFC 5803). Costs processor time, so it runs beside the tasks.
//!
//! A hash from another server is kept as it is until somebody logs in with its password: then it is derived again.

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use iems_core::seam::ScramVerifier;
use iems_core::seam::sasl::derive_verifier;
use serde::{Deserialize, Serialize};

use super::foreign::{self, Given};
use super::{ChangeError, Password, PasswordOptions, StoreDirectory};

/// The longest password, in octets.
pub(super) const LONGEST: usize = 1024;
/// The length of a hash or key, in octets.
const KEY: usize = 32;
/// The fewest iterations of SCRAM-SHA-256 (RFC 7677 section 4).
const LEAST_ITERATIONS: u32 = 4096;
/// The length of a salt, in octets.
const SALT: usize = 16;

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The Argon2id hash as a PHC string; or that of another server, with its scheme.
    pub hash: String,
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Secret {
    /// What another directory kept.
    pub fn new(hash: String, scram: ScramVerifier) -> Self {
        let ScramVerifier { iterations, salt, stored_key, server_key } = scram;
        Self { hash, iterations, salt, stored_key, server_key }
    }

    /// What another server made of a password: nobody can log in by SCRAM with it, but where it was made for that.
    fn foreign(hash: String, scram: Option<ScramVerifier>) -> Self {
        match scram {
            Some(scram) => Self::new(hash, scram),
            None => Self { hash, iterations: 0, salt: vec![], stored_key: vec![], server_key: vec![] },
        }
    }

    /// The SCRAM-SHA-256 verifier; `None` until whoever came with the hash of another server has logged in.
    pub fn verifier(&self) -> Option<ScramVerifier> {
        let Self { iterations, salt, stored_key, server_key, .. } = self.clone();
        (iterations > 0).then_some(ScramVerifier { iterations, salt, stored_key, server_key })
    }

    /// Whether it is not as one would be that is derived from the password.
    pub(super) fn is_foreign(&self) -> bool {
        self.iterations == 0 || foreign::is_foreign(&self.hash)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl StoreDirectory {
    /// What is to be kept of a password, derived beside the tasks.
    pub(super) async fn derive(&self, password: Password) -> Result<Option<Secret>, ChangeError> {
        let clear = match password {
            Password::None => return Ok(None),
            Password::Derived(secret) => {
                if !secret.is_foreign() {
                    PasswordHash::new(&secret.hash).map_err(password_error)?;
                }
                return Ok(Some(secret));
            }
            Password::Clear(clear) => clear,
            Password::Hashed(text) => match foreign::given(&text).map_err(ChangeError::Password)? {
                Given::Clear(clear) => clear,
                Given::Hashed(hash, scram) => return Ok(Some(Secret::foreign(hash, scram))),
            },
        };
        let options = self.options.passwords.clone();
        let derived = tokio::task::spawn_blocking(move || derive(&clear, &options)).await;
        derived.map_err(password_error)?.map(Some)
    }
}

/// The form in which passwords are compared (SASLprep, RFC 4013).
pub(super) fn prepared(password: &str) -> Option<std::borrow::Cow<'_, str>> {
    stringprep::saslprep(password).ok().filter(|p| !p.is_empty() && p.len() <= LONGEST)
}

fn derive(password: &str, options: &PasswordOptions) -> Result<Secret, ChangeError> {
    let unusable =
        || ChangeError::Password("it is empty, over 1024 octets, or holds control characters".into());
    let password = prepared(password).ok_or_else(unusable)?;
    let iterations = options.scram_iterations.max(LEAST_ITERATIONS);
    Ok(Secret::new(argon2(&password, options)?, derive_verifier(&password, &salt()?, iterations)))
}

fn argon2(password: &str, options: &PasswordOptions) -> Result<String, ChangeError> {
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params(options).map_err(password_error)?);
    let hash = hasher.hash_password_with_salt(password.as_bytes(), &salt()?).map_err(password_error)?;
    Ok(PasswordHash::to_string(&hash))
}

fn params(options: &PasswordOptions) -> Result<Params, argon2::Error> {
    Params::new(options.memory, options.passes, 1, Some(KEY))
}

/// A hash that no password is known to have, and which costs as much to check as one of ours.
pub(super) fn decoy(options: &PasswordOptions) -> Option<String> {
    let mut hash = [0; KEY];
    getrandom::fill(&mut hash).ok()?;
    let decoy = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params(options).ok()?).ok()?,
        salt: Some(Salt::new(&salt().ok()?).ok()?),
        hash: Some(Output::new(&hash).ok()?),
    };
    Some(decoy.to_string())
}

fn salt() -> Result<[u8; SALT], ChangeError> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(password_error)?;
    Ok(salt)
}

fn password_error(e: impl std::fmt::Display) -> ChangeError {
    ChangeError::Password(e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoys_cost_what_hashes_cost() {
        let options = PasswordOptions { memory: 64, passes: 1, ..PasswordOptions::default() };
        let (real, decoy) = (argon2("x", &options).unwrap(), decoy(&options).unwrap());
        assert_eq!(real.len(), decoy.len());
        assert_eq!(real.rsplit_once("$").unwrap().0.len(), decoy.rsplit_once("$").unwrap().0.len());
        assert_eq!(real.split('$').nth(3), decoy.split('$').nth(3));
    }
}
