//! Looking at a certificate: not at all, by authorities and names, by what the DNS says, or by fingerprint.
//!
//! One verifier for one handshake; it keeps what it found, for `explain` and for reports. Whatever is looked at, the handshake must be
//! signed with the certificate's key. RFC 5280, RFC 6125, RFC 6698 section 2.1.1, RFC 7671 section 5, RFC 7672 section 3.

use std::sync::{Arc, Mutex, PoisonError};

use iems_core::seam::Association;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;

use super::dane;
use super::names::{CertificateName, Fingerprint};
use super::protection::Proof;
use crate::tlsrpt::FailureKind;

/// What a certificate must be.
#[derive(Debug, Clone)]
pub(in crate::client) enum Check {
    /// Anything.
    Nothing,
    /// Issued by one of these authorities for one of these names.
    Pkix {
        /// The authorities.
        roots: Arc<RootCertStore>,
        /// The names.
        names: Vec<CertificateName>,
        /// Whether one that is not is taken too, and only told of.
        lenient: bool,
    },
    /// What one of these records says.
    Dane {
        /// The records, all of them usable.
        records: Vec<Association>,
        /// The names that a certificate may have whose authority the DNS names.
        names: Vec<CertificateName>,
    },
    /// One with one of these fingerprints, or with such a key.
    Pinned(Vec<Fingerprint>),
}

/// What is wrong with a certificate.
#[derive(Debug, Clone)]
pub(in crate::client) struct Flaw {
    /// In the terms of RFC 8460 section 4.3.
    pub(in crate::client) kind: FailureKind,
    /// In words.
    pub(in crate::client) text: String,
    error: Error,
}

impl Flaw {
    fn new(error: Error) -> Self {
        use CertificateError as C;
        let kind = match &error {
            Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
                FailureKind::CertificateExpired
            }
            Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
                FailureKind::CertificateHostMismatch
            }
            Error::InvalidCertificate(C::UnknownIssuer) => FailureKind::CertificateNotTrusted,
            _ => FailureKind::ValidationFailure,
        };
        Self { kind, text: error.to_string(), error }
    }

    fn told(text: String) -> Self {
        let error = Error::General(text.clone());
        Self { kind: FailureKind::ValidationFailure, text, error }
    }
}

/// Looks at the certificate of one handshake.
#[derive(Debug)]
pub(in crate::client) struct Verifier {
    check: Check,
    provider: Arc<CryptoProvider>,
    found: Mutex<Option<Result<Proof, Flaw>>>,
}

impl Verifier {
    pub(super) fn new(check: Check, provider: Arc<CryptoProvider>) -> Self {
        Self { check, provider, found: Mutex::new(None) }
    }

    /// What it found; `None` if it was not asked.
    pub(super) fn found(&self) -> Option<Result<Proof, Flaw>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn look(&self, chain: &Chain<'_>) -> Result<Proof, Flaw> {
        match &self.check {
            Check::Nothing => Ok(Proof::Nothing),
            Check::Pkix { roots, names, .. } => {
                chain.signed_by(roots, self).and_then(|()| chain.named(names)).map(Proof::Pkix)
            }
            Check::Dane { records, names } => self.by_records(chain, records, names).map(Proof::Dane),
            Check::Pinned(fingerprints) => chain.pinned(fingerprints).map(Proof::Pinned),
        }
    }

    /// DANE-EE (RFC 7672 section 3.1.1): nothing but the record counts. DANE-TA (3.1.2): an authority from the chain that was sent,
    /// and the name.
    fn by_records(
        &self,
        chain: &Chain<'_>,
        records: &[Association],
        names: &[CertificateName],
    ) -> Result<String, Flaw> {
        let mut flaw = None;
        for record in records {
            let tried = match record.usage {
                3 if dane::matches(record, chain.leaf) => Ok(()),
                3 => continue,
                _ => chain.by_authority(record, names, self),
            };
            match tried {
                Ok(()) => return Ok(dane::describe(record)),
                Err(found) => flaw = found.or(flaw),
            }
        }
        let shown: Vec<String> = records.iter().take(4).map(dane::describe).collect();
        Err(flaw.unwrap_or_else(|| Flaw::told(format!("it is not the one of {}", shown.join(", ")))))
    }
}

/// The certificates that were sent.
struct Chain<'a> {
    leaf: &'a CertificateDer<'a>,
    others: &'a [CertificateDer<'a>],
    now: UnixTime,
}

impl Chain<'_> {
    fn signed_by(&self, roots: &RootCertStore, verifier: &Verifier) -> Result<(), Flaw> {
        let leaf = ParsedCertificate::try_from(self.leaf).map_err(Flaw::new)?;
        let algorithms = verifier.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, roots, self.others, self.now, algorithms)
            .map_err(Flaw::new)
    }

    /// The first of `names` that it is good for.
    fn named(&self, names: &[CertificateName]) -> Result<String, Flaw> {
        let leaf = ParsedCertificate::try_from(self.leaf).map_err(Flaw::new)?;
        let theirs = dns_names(self.leaf);
        let mut flaw = Flaw::new(Error::InvalidCertificate(CertificateError::NotValidForName));
        for name in names {
            match name.exact().map(|name| verify_server_name(&leaf, &name)) {
                Some(Ok(())) => return Ok(name.to_string()),
                Some(Err(error)) => flaw = Flaw::new(error),
                None => {
                    if let Some(theirs) = theirs.iter().find(|theirs| name.covers(theirs)) {
                        return Ok(theirs.clone());
                    }
                }
            }
        }
        Err(flaw)
    }

    /// Whether an authority of the chain is the one of `record`, and the chain good under it. `Err(None)`: it is not there.
    fn by_authority(
        &self,
        record: &Association,
        names: &[CertificateName],
        verifier: &Verifier,
    ) -> Result<(), Option<Flaw>> {
        let mut roots = RootCertStore::empty();
        for authority in self.others.iter().filter(|other| dane::matches(record, other)) {
            roots.add(authority.clone().into_owned()).map_err(|error| Some(Flaw::new(error)))?;
        }
        // A whole certificate in the DNS need not be sent again (RFC 7671 section 5.2.2).
        if (record.selector, record.matching) == (0, 0) && roots.is_empty() {
            let _ = roots.add(CertificateDer::from(record.data.clone()));
        }
        if roots.is_empty() {
            return Err(None);
        }
        self.signed_by(&roots, verifier).and_then(|()| self.named(names)).map(|_| ()).map_err(Some)
    }

    fn pinned(&self, fingerprints: &[Fingerprint]) -> Result<String, Flaw> {
        let whole = Fingerprint(Sha256::digest(self.leaf.as_ref()).into());
        let key = public_key(self.leaf).map(|key| Fingerprint(Sha256::digest(key).into()));
        let found = fingerprints.iter().find(|one| **one == whole || Some(**one) == key);
        found.map(ToString::to_string).ok_or_else(|| {
            let key = key.map_or_else(String::new, |key| format!(", and its key {key}"));
            Flaw::told(format!("its fingerprint is {whole}{key}; none of them is configured"))
        })
    }
}

/// The SubjectPublicKeyInfo of a certificate, in DER.
pub(super) fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate.as_ref()).ok()?;
    Some(parsed.tbs_certificate.subject_pki.raw)
}

/// The DNS names of a certificate.
fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate.as_ref()) else {
        return Vec::new();
    };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(dns).collect()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = self.look(&Chain { leaf, others, now });
        let lenient = matches!(self.check, Check::Pkix { lenient: true, .. });
        let verdict = match &found {
            Err(flaw) if !lenient => Err(flaw.error.clone()),
            _ => Ok(ServerCertVerified::assertion()),
        };
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        verdict
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
