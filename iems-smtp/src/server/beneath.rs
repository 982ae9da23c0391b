//! What a TLS connection gives to the dialogue over it: marks that bind an exchange to it, and the peer's certificate.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use iems_core::seam::PeerCertificate;
use iems_core::seam::sasl::Beneath;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};

/// Says whether a certificate, the peer's own first, is to be believed. The peer has proved to hold its key.
pub type Believed = Arc<dyn Fn(&[CertificateDer<'static>]) -> bool + Send + Sync>;

/// Notes which certificate of ours a handshake takes: the connection itself does not tell.
struct Chosen {
    among: Arc<dyn ResolvesServerCert>,
    key: Mutex<Option<Arc<CertifiedKey>>>,
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chosen(..)")
    }
}

impl ResolvesServerCert for Chosen {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // One handshake may ask twice, and shows one certificate.
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if key.is_none() {
            *key = self.among.resolve(hello);
        }
        key.clone()
    }

    fn only_raw_public_keys(&self) -> bool {
        self.among.only_raw_public_keys()
    }
}

/// A configuration for one handshake at a time, which is looked at. What sessions share stays shared.
pub(super) struct Watch {
    of: Arc<ServerConfig>,
    config: Arc<ServerConfig>,
    chosen: Arc<Chosen>,
}

impl Watch {
    fn new(of: &Arc<ServerConfig>) -> Self {
        let chosen = Arc::new(Chosen { among: of.cert_resolver.clone(), key: Mutex::default() });
        let mut config = (**of).clone();
        config.cert_resolver = chosen.clone();
        Self { of: of.clone(), config: Arc::new(config), chosen }
    }

    /// What the handshake is done with.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// The certificate that was taken.
    pub(super) fn certificate(&self) -> Option<Arc<CertifiedKey>> {
        self.chosen.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// So many wait for the next handshake at most; each is some hundred octets.
const IDLE: usize = 64;

/// Those that are free. A handshake takes one, and gives it back when it has gone well, so that there are about as many as handshakes at once, and
/// none is made for each.
#[derive(Default)]
pub(super) struct Watches(Mutex<Vec<Watch>>);

impl Watches {
    /// One of `config`, of which there may be another after a reload.
    pub(super) fn take(&self, config: &Arc<ServerConfig>) -> Watch {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.filter(|watch| Arc::ptr_eq(&watch.of, config)).unwrap_or_else(|| Watch::new(config))
    }

    /// The handshake is over, and the connection asks for no certificate any more.
    pub(super) fn give(&self, watch: Watch) {
        *watch.chosen.key.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < IDLE {
            free.push(watch);
        }
    }
}

/// What a connection gives whose handshake is over.
pub(super) fn beneath(
    tls: &ServerConnection,
    ours: Option<&CertifiedKey>,
    believed: Option<&Believed>,
) -> Beneath {
    // Only here are the keys unique whatever the peer does (RFC 9266 section 4.2).
    let unique = tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    let label = b"EXPORTER-Channel-Binding";
    let exported = unique.then(|| tls.export_keying_material([0; 32], label, Some(b"")).ok()).flatten();
    let chain = tls.peer_certificates().unwrap_or_default();
    let certificate = chain.first().map(|leaf| {
        let verified = believed.is_some_and(|believed| believed(chain));
        PeerCertificate::read(leaf, verified)
    });
    let ours = ours.and_then(|key| key.cert.first()).map(AsRef::as_ref);
    Beneath::new(exported, ours).with_certificate(certificate)
}

#[cfg(test)]
mod tests {
    use std::io;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    struct World {
        server: Arc<ServerConfig>,
        client: Arc<ClientConfig>,
        leaf: CertificateDer<'static>,
    }

    fn world() -> World {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["mx.example".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .der()
            .clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(leaf.clone()).unwrap();
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![leaf.clone()], key).unwrap();
        let client =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        World { server: Arc::new(server), client: Arc::new(client), leaf }
    }

    /// One side says what it has to say, and the other hears it.
    macro_rules! pass {
        ($from:expr, $to:expr) => {{
            let mut octets = Vec::new();
            while $from.wants_write() {
                $from.write_tls(&mut octets).unwrap();
            }
            let mut octets = io::Cursor::new(octets);
            while $to.read_tls(&mut octets).unwrap() > 0 {
                $to.process_new_packets().unwrap();
            }
        }};
    }

    fn shake(client: &Arc<ClientConfig>, watch: &Watch) -> ServerConnection {
        let mut server = ServerConnection::new(watch.config()).unwrap();
        let mut client = ClientConnection::new(client.clone(), "mx.example".try_into().unwrap()).unwrap();
        while server.is_handshaking() || client.is_handshaking() {
            pass!(client, server);
            pass!(server, client);
        }
        server
    }

    #[test]
    fn a_watch_is_used_again_and_sees_one_handshake() {
        let (one, two, watches) = (world(), world(), Watches::default());
        let first = watches.take(&one.server);
        assert!(first.certificate().is_none());
        let open = shake(&one.client, &first);
        assert_eq!(first.certificate().unwrap().cert.first(), Some(&one.leaf));
        let config = first.config();
        let meanwhile = watches.take(&one.server);
        assert!(!Arc::ptr_eq(&meanwhile.config(), &config), "each handshake has its own");
        watches.give(first);
        let again = watches.take(&one.server);
        assert!(Arc::ptr_eq(&again.config(), &config) && again.certificate().is_none());
        drop(open);
        watches.give(again);
        watches.give(meanwhile);
        // After a reload those of the former configuration go.
        let other = watches.take(&two.server);
        shake(&two.client, &other);
        assert_eq!(other.certificate().unwrap().cert.first(), Some(&two.leaf));
        watches.give(other);
        for _ in 0..2 * IDLE {
            watches.give(Watch::new(&two.server));
        }
        assert_eq!(watches.0.lock().unwrap().len(), IDLE);
    }
}
