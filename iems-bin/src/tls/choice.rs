//! Which certificate a peer is shown: by the name that it asks for (RFC 6066 section 3), and by what it can verify.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificates of a listener.
#[derive(Debug)]
pub(super) struct Choice {
    default: Arc<CertifiedKey>,
    /// By the host, or by `*.` and its parent.
    named: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Choice {
    /// One certificate, for whoever asks for nothing or for something that no other is for.
    pub(super) fn new(default: Arc<CertifiedKey>) -> Self {
        Self { default, named: HashMap::new() }
    }

    /// Adds one for a host, or for all one label below a domain (`*.example.org`). Several for the same are tried in this order.
    pub(super) fn add(&mut self, name: &str, key: &Arc<CertifiedKey>) {
        self.named.entry(name.to_ascii_lowercase()).or_default().push(key.clone());
    }

    fn of(&self, host: Option<&str>, schemes: &[SignatureScheme]) -> &Arc<CertifiedKey> {
        let host = host.map(|host| host.trim_end_matches('.').to_ascii_lowercase());
        let known = host.and_then(|host| {
            let parent =
                || host.split_once('.').and_then(|(_, parent)| self.named.get(&format!("*.{parent}")));
            self.named.get(&host).or_else(parent)
        });
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        known.and_then(|keys| keys.iter().find(fits)).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.of(hello.server_name(), hello.signature_schemes()).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};
    use rustls::crypto::ring::default_provider;
    use rustls_pki_types::PrivateKeyDer;

    fn key(kind: &'static SignatureAlgorithm) -> Arc<CertifiedKey> {
        let pair = KeyPair::generate_for(kind).unwrap();
        let made =
            rcgen::CertificateParams::new(vec!["x.example".into()]).unwrap().self_signed(&pair).unwrap();
        let private = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
        let key = CertifiedKey::from_der(vec![made.der().clone()], private, &default_provider());
        Arc::new(key.unwrap())
    }

    #[test]
    fn the_name_decides_then_what_the_peer_can_verify() {
        let [default, edwards, ecdsa, below] =
            [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519, &PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P256_SHA256]
                .map(key);
        let mut choice = Choice::new(default.clone());
        choice.add("Mail.example.net", &edwards);
        choice.add("mail.example.net", &ecdsa);
        choice.add("*.example.net", &below);
        let (both, usual) = (
            [SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256],
            [SignatureScheme::ECDSA_NISTP256_SHA256],
        );
        for (host, schemes, wanted) in [
            (None, &both[..], &default),
            (Some("other.example"), &both[..], &default),
            (Some("mail.example.net"), &both[..], &edwards),
            (Some("MAIL.example.net."), &usual[..], &ecdsa),
            (Some("a.example.net"), &both[..], &below),
            (Some("a.b.example.net"), &both[..], &default),
            (Some("example.net"), &both[..], &default),
            (Some("mail.example.net"), &[SignatureScheme::RSA_PSS_SHA256][..], &default),
        ] {
            assert!(Arc::ptr_eq(choice.of(host, schemes), wanted), "{host:?}");
        }
    }
}
