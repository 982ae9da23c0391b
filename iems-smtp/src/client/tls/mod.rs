//! TLS of the outbound side: rustls with ring, never a process-wide default.
//!
//! `names` what an administrator asks for → `need` what one host is owed, and why → `dane` what the DNS says of it → `verify` the look at
//! the certificate → `protection` what came of it. This file does the handshake.

mod counted;
mod dane;
mod names;
mod need;
mod protection;
mod verify;

use std::sync::Arc;

use iems_core::seam::Stream;
use iems_core::seam::sasl::{Beneath, ChannelBinding};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, Error, RootCertStore};
use tokio_rustls::TlsConnector;

pub use names::{
    Authorities, CertificateName, CertificateNameError, Fingerprint, FingerprintError, TlsVersion,
};
pub(super) use need::{Host, Need, Refusal, Way, need};
pub(super) use protection::{Proof, Protection};
pub(super) use verify::{Check, Flaw, Verifier};

use crate::tlsrpt::FailureKind;

/// What a client needs to start TLS.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    /// For handshakes that prove nothing: one for all, so that sessions are resumed.
    unverified: Arc<ClientConfig>,
    /// Whom certificates are believed from unless an administrator says otherwise.
    pub(super) roots: Arc<RootCertStore>,
}

/// A stream under TLS, and what was agreed and found.
pub(super) struct Secured {
    pub(super) stream: Box<dyn Stream>,
    /// For people: `TLSv1.3 TLS13_AES_256_GCM_SHA384`.
    pub(super) agreed: String,
    pub(super) proof: Proof,
    /// What binds an exchange to it.
    pub(super) bindings: Vec<ChannelBinding>,
    /// What is wrong with the certificate, where that does not matter.
    pub(super) flaw: Option<Flaw>,
}

/// Why there is no TLS.
pub(super) struct HandshakeError {
    pub(super) kind: FailureKind,
    pub(super) text: String,
}

impl HandshakeError {
    pub(super) fn new(text: &str) -> Self {
        Self { kind: FailureKind::ValidationFailure, text: text.to_owned() }
    }
}

impl Tls {
    /// Believes certificates of `roots` where they are to be believed.
    pub(super) fn new(roots: &RootCertStore) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let any = Arc::new(Verifier::new(Check::Nothing, provider.clone()));
        let unverified = Arc::new(config(&provider, any, TlsVersion::V1_2)?);
        Ok(Self { provider, unverified, roots: Arc::new(roots.clone()) })
    }

    /// Does the handshake with the host called `name`, or an address if it has no name.
    pub(super) async fn connect(
        &self,
        need: &Need,
        name: ServerName<'static>,
        stream: Box<dyn Stream>,
    ) -> Result<Secured, HandshakeError> {
        let verifier = Arc::new(Verifier::new(need.check.clone(), self.provider.clone()));
        let shared = matches!(need.check, Check::Nothing) && need.minimum == TlsVersion::V1_2;
        let config = match shared {
            true => Ok(self.unverified.clone()),
            false => config(&self.provider, verifier.clone(), need.minimum).map(Arc::new),
        };
        let failed = |error: &dyn std::fmt::Display| HandshakeError::new(&error.to_string());
        let config = config.map_err(|error| failed(&error))?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        let found = verifier.found();
        match (connected, found) {
            (Ok(stream), found) => {
                let connection = stream.get_ref().1;
                let (agreed, bindings) = (describe(connection), bindings(connection));
                let (proof, flaw) = match found {
                    Some(Err(flaw)) => (Proof::Flawed(flaw.text.clone()), Some(flaw)),
                    Some(Ok(proof)) => (proof, None),
                    None => (Proof::Nothing, None),
                };
                Ok(Secured { stream: Box::new(stream), agreed, proof, bindings, flaw })
            }
            (Err(_), Some(Err(flaw))) => Err(HandshakeError {
                kind: flaw.kind,
                text: format!("its certificate is not good: {}", flaw.text),
            }),
            (Err(error), _) => Err(failed(&error)),
        }
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<Verifier>,
    minimum: TlsVersion,
) -> Result<ClientConfig, Error> {
    let versions = match minimum {
        TlsVersion::V1_2 => &[&TLS13, &TLS12][..],
        TlsVersion::V1_3 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The marks of a connection. Key material is one only where it is unique whatever the server does (RFC 9266 section 4.2).
fn bindings(connection: &ClientConnection) -> Vec<ChannelBinding> {
    let unique = connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    let label = b"EXPORTER-Channel-Binding";
    let exported =
        unique.then(|| connection.export_keying_material([0; 32], label, Some(b"")).ok()).flatten();
    let theirs = connection.peer_certificates().and_then(|chain| chain.first());
    Beneath::new(exported, theirs.map(AsRef::as_ref)).bindings
}

fn describe(connection: &ClientConnection) -> String {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLS",
    };
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    format!("{version} {}", suite.unwrap_or("unknown"))
}
