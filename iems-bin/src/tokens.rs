//! Bearer tokens: JSON Web Tokens (RFC 7519), signed with a key of a JSON Web Key Set (RFC 7517) that stands in a file.
//!
//! Taken are `RS256`, `RS384`, `RS512`, `ES256`, `ES384` and `EdDSA` (RFC 7518, RFC 8037): each with the key that its header
//! names, and only by the algorithm that goes with that key. Nobody is asked over the network.

use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use iems_core::seam::{Clock, DirectoryError, TokenVerifier};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

use crate::config::OAuth;
use crate::tls::{Stamp, stamp};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// The most keys of a set.
const KEYS: usize = 100;

/// What a token is measured by.
pub(crate) struct Tokens {
    wanted: OAuth,
    keys: ArcSwap<Vec<Key>>,
    /// How the file was when it was read.
    seen: Mutex<Option<Stamp>>,
    issuer: String,
    audience: String,
    claim: String,
    leeway: Duration,
    clock: Arc<dyn Clock>,
}

/// A public key.
struct Key {
    /// Its name, if it has one.
    id: Option<String>,
    /// The only algorithm it is for, if it says so.
    algorithm: Option<String>,
    material: Material,
}

enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Edwards(Vec<u8>),
}

/// A key as it is written.
#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that have to be understood; none is.
    crit: Option<Value>,
}

impl Tokens {
    /// Measures tokens as the configuration says, or why the file of keys does not do.
    pub(crate) fn new(wanted: &OAuth, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let seen = Mutex::new(stamp(&wanted.keys));
        let keys = ArcSwap::from_pointee(keys(wanted)?);
        let OAuth { issuer, audience, claim, leeway, .. } = wanted.clone();
        Ok(Self { wanted: wanted.clone(), keys, seen, issuer, audience, claim, leeway, clock })
    }

    /// Reads the file again. One that is of no use changes nothing.
    pub(crate) fn refresh(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp(&self.wanted.keys);
        match keys(&self.wanted) {
            Ok(fresh) => {
                tracing::info!(file = %self.wanted.keys.display(), keys = fresh.len(), "the keys of tokens were read");
                self.keys.store(Arc::new(fresh));
            }
            Err(why) => tracing::error!("the keys of tokens stay as they were: {why}"),
        }
    }

    /// Reads the file again when it changes, until `shutdown`.
    pub(crate) async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let tokens = self.clone();
            let look = move || {
                let seen = *tokens.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if stamp(&tokens.wanted.keys) != seen {
                    tokens.refresh();
                }
            };
            if tokio::task::spawn_blocking(look).await.is_err() {
                tracing::error!("the keys of tokens could not be looked at, by a defect");
            }
        }
    }

    /// The login, or why the token is not good.
    fn read(&self, token: &str) -> Result<String, &'static str> {
        let (signed, signature) = token.rsplit_once('.').ok_or("it is no signed token")?;
        let (header, claims) = signed.split_once('.').ok_or("it is no signed token")?;
        let header: Header = json(header).ok_or("its header cannot be read")?;
        if header.crit.is_some() {
            return Err("its header wants what is not known here");
        }
        let signature = BASE64.decode(signature).map_err(|_| "its signature cannot be read")?;
        let fits = |key: &&Key| header.kid.is_none() || key.id.is_none() || key.id == header.kid;
        let proves = |key: &Key| key.verifies(&header.alg, signed.as_bytes(), &signature);
        if !self.keys.load().iter().filter(fits).any(proves) {
            return Err("no key has signed it");
        }
        // Nothing of it is looked at before it is known who wrote it.
        let claims: Value = json(claims).ok_or("its claims cannot be read")?;
        self.judge(&claims)
    }

    fn judge(&self, claims: &Value) -> Result<String, &'static str> {
        let now = i64::try_from(self.clock.now().as_secs()).unwrap_or(i64::MAX);
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX);
        let time = |name: &str| claims.get(name).and_then(Value::as_f64);
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
        let seconds = |time: f64| time as i64;
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err("another has issued it");
        }
        let is_ours = |value: &Value| value.as_str() == Some(self.audience.as_str());
        match claims.get("aud") {
            Some(Value::Array(all)) if all.iter().any(is_ours) => {}
            Some(one) if is_ours(one) => {}
            _ => return Err("it is for another"),
        }
        let ends = time("exp").map(seconds).ok_or("it never ends")?;
        if ends.saturating_add(leeway) <= now {
            return Err("it has ended");
        }
        if time("nbf").map(seconds).is_some_and(|begins| begins.saturating_sub(leeway) > now) {
            return Err("it has not begun");
        }
        if self.claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
            return Err("its address is not verified");
        }
        let login = claims.get(&self.claim).and_then(Value::as_str);
        login.map(str::to_owned).ok_or("it has no login")
    }
}

#[async_trait]
impl TokenVerifier for Tokens {
    async fn login(&self, token: &str) -> Result<Option<String>, DirectoryError> {
        let read = self.read(token);
        if let Err(why) = read {
            tracing::info!(why, "token not taken");
        }
        Ok(read.ok())
    }
}

impl Key {
    fn read(written: Written) -> Result<Option<Self>, String> {
        if written.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return Ok(None);
        }
        let field = |name: &str, value: &Option<String>| {
            let octets = value.as_ref().and_then(|text| BASE64.decode(text).ok());
            octets.ok_or_else(|| format!("a key of type {} has no usable {name:?}", written.kty))
        };
        let point = || -> Result<Vec<u8>, String> {
            Ok([&[4][..], &field("x", &written.x)?, &field("y", &written.y)?].concat())
        };
        let material = match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => {
                Material::Rsa { modulus: field("n", &written.n)?, exponent: field("e", &written.e)? }
            }
            ("EC", Some("P-256")) => Material::P256(point()?),
            ("EC", Some("P-384")) => Material::P384(point()?),
            ("OKP", Some("Ed25519")) => Material::Edwards(field("x", &written.x)?),
            _ => return Ok(None),
        };
        Ok(Some(Self { id: written.kid, algorithm: written.alg, material }))
    }

    fn verifies(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
        if self.algorithm.as_deref().is_some_and(|own| own != algorithm) {
            return false;
        }
        let with = |by: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(by, key).verify(signed, signature).is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Rsa { modulus, exponent }, algorithm) => {
                let by = match algorithm {
                    "RS256" => &RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &RSA_PKCS1_2048_8192_SHA512,
                    _ => return false,
                };
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(by, signed, signature).is_ok()
            }
            (Material::P256(point), "ES256") => with(&ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), "ES384") => with(&ECDSA_P384_SHA384_FIXED, point),
            (Material::Edwards(key), "EdDSA") => with(&ED25519, key),
            _ => false,
        }
    }
}

/// Whether the file of keys can be used.
pub(crate) fn inspect(wanted: &OAuth) -> Result<(), String> {
    keys(wanted).map(drop)
}

fn keys(wanted: &OAuth) -> Result<Vec<Key>, String> {
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", wanted.keys.display());
    let text = std::fs::read(&wanted.keys).map_err(|error| failed(&error))?;
    read_keys(&text).map_err(|why| failed(&why))
}

fn read_keys(text: &[u8]) -> Result<Vec<Key>, String> {
    let not_a_set = |error| format!("it is no JSON Web Key Set: {error}");
    let set: Set = serde_json::from_slice(text).map_err(not_a_set)?;
    let mut keys = Vec::new();
    for written in set.keys.into_iter().take(KEYS) {
        let written = serde_json::from_value(written).map_err(not_a_set)?;
        keys.extend(Key::read(written)?);
    }
    if keys.is_empty() {
        return Err(
            "there is no key in it that tokens can be signed with (RSA, P-256, P-384, Ed25519)".into()
        );
    }
    Ok(keys)
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use iems_core::seam::SystemClock;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use serde_json::json;

    /// A key pair, and what measures its tokens.
    fn edwards() -> (Ed25519KeyPair, Tokens) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let x = BASE64.encode(pair.public_key().as_ref());
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "X25519", "x": x},
            {"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x, "use": "sig"},
        ]});
        (pair, tokens(&set))
    }

    fn tokens(set: &Value) -> Tokens {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), set.to_string()).unwrap();
        let wanted = OAuth {
            keys: file.path().to_owned(),
            issuer: "https://id.example".into(),
            audience: "mail".into(),
            claim: "email".into(),
            leeway: Duration::from_secs(60),
        };
        Tokens::new(&wanted, Arc::new(SystemClock)).unwrap()
    }

    fn claims() -> Value {
        let ends = SystemClock.now().as_secs() + 300;
        json!({"iss": "https://id.example", "aud": ["x", "mail"], "exp": ends, "email": "ann@example.org"})
    }

    fn unsigned(header: &Value, claims: &Value) -> String {
        format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
    }

    fn token(pair: &Ed25519KeyPair, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        format!("{signed}.{}", BASE64.encode(pair.sign(signed.as_bytes())))
    }

    #[test]
    fn a_good_token_names_its_login() {
        let (pair, tokens) = edwards();
        for header in [json!({"alg": "EdDSA"}), json!({"alg": "EdDSA", "kid": "one"})] {
            assert_eq!(tokens.read(&token(&pair, &header, &claims())).as_deref(), Ok("ann@example.org"));
        }
        let random = ring::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let set =
            json!({"keys": [{"kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y)}]});
        let signed = unsigned(&json!({"alg": "ES256"}), &claims());
        let signature = BASE64.encode(pair.sign(&random, signed.as_bytes()).unwrap());
        let tokens = self::tokens(&set);
        assert_eq!(tokens.read(&format!("{signed}.{signature}")).as_deref(), Ok("ann@example.org"));
        assert!(tokens.read(&format!("{signed}x.{signature}")).is_err());
    }

    #[test]
    fn other_tokens_are_not_taken() {
        let (pair, tokens) = edwards();
        let now = SystemClock.now().as_secs();
        let good = json!({"alg": "EdDSA"});
        for (name, value, why) in [
            ("iss", json!("https://other.example"), "another has issued it"),
            ("aud", json!("other"), "it is for another"),
            ("aud", Value::Null, "it is for another"),
            ("exp", json!(now - 61), "it has ended"),
            ("exp", json!(null), "it never ends"),
            ("nbf", json!(now + 120), "it has not begun"),
            ("email", json!(7), "it has no login"),
            ("email_verified", json!(false), "its address is not verified"),
        ] {
            let mut claims = claims();
            claims[name] = value;
            assert_eq!(tokens.read(&token(&pair, &good, &claims)), Err(why), "{name}");
        }
        for (header, why) in [
            (json!({"alg": "none"}), "no key has signed it"),
            (json!({"alg": "HS256"}), "no key has signed it"),
            (json!({"alg": "EdDSA", "kid": "two"}), "no key has signed it"),
            (json!({"alg": "EdDSA", "crit": ["x"]}), "its header wants what is not known here"),
        ] {
            assert_eq!(tokens.read(&token(&pair, &header, &claims())), Err(why));
        }
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        assert_eq!(tokens.read(&token(&other, &good, &claims())), Err("no key has signed it"));
        for text in ["", ".", "..", "a.b.c", &format!("{}.", unsigned(&good, &claims()))] {
            assert!(tokens.read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_set_without_a_key_is_none() {
        for text in ["", "{}", r#"{"keys": []}"#, r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#] {
            assert!(read_keys(text.as_bytes()).is_err(), "{text}");
        }
        let broken = read_keys(br#"{"keys": [{"kty": "RSA", "n": "?"}]}"#);
        assert_eq!(broken.err().as_deref(), Some("a key of type RSA has no usable \"n\""));
    }
}
