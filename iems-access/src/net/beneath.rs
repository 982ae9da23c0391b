//! What a TLS connection gives to the dialogue over it: marks that bind an exchange to it, and the peer's certificate.

use std::fmt;
use std::sync::{Arc, OnceLock};

use iems_core::seam::PeerCertificate;
use iems_core::seam::sasl::Beneath;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};

/// Says whether a certificate, the peer's own first, is to be believed. The peer has proved to hold its key.
pub type Believed = Arc<dyn Fn(&[CertificateDer<'static>]) -> bool + Send + Sync>;

/// Notes which certificate of ours a handshake takes.
pub(crate) struct Chosen {
    among: Arc<dyn ResolvesServerCert>,
    key: OnceLock<Arc<CertifiedKey>>,
}

impl Chosen {
    /// The certificate that was taken.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        self.key.get()?.cert.first().map(AsRef::as_ref)
    }
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chosen(..)")
    }
}

impl ResolvesServerCert for Chosen {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = self.among.resolve(hello)?;
        Some(self.key.get_or_init(|| key).clone())
    }

    fn only_raw_public_keys(&self) -> bool {
        self.among.only_raw_public_keys()
    }
}

/// The same configuration, for one handshake that is looked at. What sessions share stays shared.
pub(crate) fn watched(config: &ServerConfig) -> (Arc<ServerConfig>, Arc<Chosen>) {
    let chosen = Arc::new(Chosen { among: config.cert_resolver.clone(), key: OnceLock::new() });
    let mut config = config.clone();
    config.cert_resolver = chosen.clone();
    (Arc::new(config), chosen)
}

/// What a connection gives whose handshake is over.
pub(crate) fn beneath(tls: &ServerConnection, ours: Option<&[u8]>, believed: Option<&Believed>) -> Beneath {
    // Only here are the keys unique whatever the peer does (RFC 9266 section 4.2).
    let unique = tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    let label = b"EXPORTER-Channel-Binding";
    let exported = unique.then(|| tls.export_keying_material([0; 32], label, Some(b"")).ok()).flatten();
    let chain = tls.peer_certificates().unwrap_or_default();
    let certificate = chain.first().map(|leaf| {
        let verified = believed.is_some_and(|believed| believed(chain));
        PeerCertificate::read(leaf, verified)
    });
    Beneath::new(exported, ours).with_certificate(certificate)
}
