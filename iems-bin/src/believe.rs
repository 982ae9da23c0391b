//! Whose client certificates are believed: those that an authority of the administrator's signed, and those that he named.
//!
//! Where a certificate is only asked for, one that is not believed breaks nothing: other servers show what they have, and are
//! then as unknown as without. Their proof that they hold its key is always looked at.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use iems_core::seam::{CertificateMark, PeerCertificate};
use iems_smtp::client::Authorities;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::config::ClientCertificates;

/// Looks at client certificates.
pub(crate) struct Believer {
    required: bool,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    marks: HashSet<CertificateMark>,
    provider: Arc<CryptoProvider>,
}

impl Believer {
    /// One that believes whom the configuration says, or why the file does not tell.
    pub(crate) fn new(wanted: &ClientCertificates) -> Result<Arc<Self>, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authorities = match &wanted.ca {
            None => None,
            Some(file) => {
                let failed = |why: &dyn fmt::Display| format!("{}: {why}", file.display());
                let text = std::fs::read(file).map_err(|error| failed(&error))?;
                let roots = Authorities::from_pem(&text).map_err(|why| failed(&why))?;
                let roots = Arc::new(roots.roots().clone());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
                Some(verifier.map_err(|error| failed(&error))?)
            }
        };
        let marks = wanted.marks.iter().copied().collect();
        Ok(Arc::new(Self { required: wanted.required, authorities, marks, provider }))
    }

    /// Whether the file can be used.
    pub(crate) fn inspect(wanted: &ClientCertificates) -> Result<(), String> {
        Self::new(wanted).map(drop)
    }

    /// Whether a certificate is believed now, the peer's own being the first.
    pub(crate) fn believes(&self, chain: &[CertificateDer<'static>]) -> bool {
        chain.split_first().is_some_and(|(leaf, rest)| self.judge(leaf, rest, UnixTime::now()).is_ok())
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.marks.contains(&PeerCertificate::read(leaf, false).mark) {
            return Ok(());
        }
        match &self.authorities {
            Some(authorities) => authorities.verify_client_cert(leaf, rest, now).map(drop),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

impl fmt::Debug for Believer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Believer").field("required", &self.required).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Believer {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    /// No hints: with them, some clients show nothing where they have a certificate that is bound to an account.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.judge(leaf, rest, now) {
            Err(error) if self.required => Err(error),
            _ => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
