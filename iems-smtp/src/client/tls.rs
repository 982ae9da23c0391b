//! TLS of the outbound side: rustls with ring, never a process-wide default.
//!
//! Two ways of looking at a certificate: not at all, where the alternative is the clear (RFC 7435
//! section 3: encryption against onlookers, no authentication), or with everything (RFC 6125, RFC 8461).

use std::sync::Arc;

use iems_core::seam::Stream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

/// What a client needs to start TLS.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    opportunistic: Arc<ClientConfig>,
    verified: Arc<ClientConfig>,
}

/// A stream under TLS, and what was agreed, for people: `TLSv1.3 TLS13_AES_256_GCM_SHA384`.
pub(super) struct Secured {
    pub(super) stream: Box<dyn Stream>,
    pub(super) agreed: String,
}

impl Tls {
    /// Believes certificates of `roots` where they are to be believed.
    pub(super) fn new(roots: &RootCertStore) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let verified = builder()?.with_root_certificates(roots.clone()).with_no_client_auth();
        let opportunistic = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider.clone())))
            .with_no_client_auth();
        Ok(Self { opportunistic: Arc::new(opportunistic), verified: Arc::new(verified) })
    }

    /// Does the handshake with the host called `name`, or an address if it has no name.
    pub(super) async fn connect(
        &self,
        verify: bool,
        name: ServerName<'static>,
        stream: Box<dyn Stream>,
    ) -> std::io::Result<Secured> {
        let config = if verify { &self.verified } else { &self.opportunistic };
        let stream = TlsConnector::from(config.clone()).connect(name, stream).await?;
        let agreed = describe(stream.get_ref().1);
        Ok(Secured { stream: Box::new(stream), agreed })
    }
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

/// Takes any certificate, but wants the handshake signed with its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
