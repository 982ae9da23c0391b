//! The kinds of failures that reports know (RFC 8460 section 4.3).

use std::fmt;

/// Why a session was not as a policy wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The host does not offer STARTTLS, or refuses it.
    StarttlsNotSupported,
    /// The certificate is for another name.
    CertificateHostMismatch,
    /// The certificate is not valid any more.
    CertificateExpired,
    /// The certificate is of an authority that nobody here believes.
    CertificateNotTrusted,
    /// Anything else about the handshake or the certificate.
    ValidationFailure,
    /// No TLSA record can be used.
    TlsaInvalid,
    /// The DNS answer is not signed as it should be.
    DnssecInvalid,
    /// DANE is wanted here, and the host has no TLSA record that is proven.
    DaneRequired,
    /// The policy could not be fetched.
    StsPolicyFetchError,
    /// The policy makes no sense.
    StsPolicyInvalid,
    /// The certificate of the policy's host is not good.
    StsWebpkiInvalid,
}

impl FailureKind {
    /// All of them; the place of each is its number in stored counters.
    pub(crate) const ALL: [Self; 11] = [
        Self::StarttlsNotSupported,
        Self::CertificateHostMismatch,
        Self::CertificateExpired,
        Self::CertificateNotTrusted,
        Self::ValidationFailure,
        Self::TlsaInvalid,
        Self::DnssecInvalid,
        Self::DaneRequired,
        Self::StsPolicyFetchError,
        Self::StsPolicyInvalid,
        Self::StsWebpkiInvalid,
    ];

    /// The word for it in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
