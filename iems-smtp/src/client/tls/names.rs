//! Whom a certificate is for, and whom it is believed from, as an administrator says it: names, authorities, fingerprints,
//! versions. Read once, compared often.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

/// A name that is good in a certificate: `mx.example.org`, or `.example.org` for every name below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateName(String);

/// The text is no name of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name in a certificate: expected \"mx.example.org\", or \".example.org\" for all names below it"
)]
pub struct CertificateNameError(String);

impl FromStr for CertificateName {
    type Err = CertificateNameError;

    fn from_str(text: &str) -> Result<Self, CertificateNameError> {
        let failed = || CertificateNameError(text.chars().take(60).collect());
        let name = text.strip_prefix('.').unwrap_or(text);
        ServerName::try_from(name.to_owned()).map_err(|_| failed())?;
        Ok(Self(text.trim_end_matches('.').to_ascii_lowercase()))
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CertificateName {
    /// The one name, unless it stands for all below.
    pub(super) fn exact(&self) -> Option<ServerName<'static>> {
        if self.0.starts_with('.') { None } else { ServerName::try_from(self.0.clone()).ok() }
    }

    /// Whether it stands for `name`, which may be `*.example.org`, as one of those below.
    pub(super) fn covers(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.0.starts_with('.') && name.len() > self.0.len() && name.ends_with(&self.0)
    }
}

/// The SHA-256 of a certificate, or of its public key, that is the right one whoever signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// The text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no fingerprint: expected the SHA-256 of a certificate or of its public key, 64 hexadecimal digits"
)]
pub struct FingerprintError(String);

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// `sha256:` in front and colons between may be there, as `openssl` writes them.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let failed = || FingerprintError(text.chars().take(80).collect());
        let hex =
            text.get(..7).filter(|tag| tag.eq_ignore_ascii_case("sha256:")).map_or(text, |_| &text[7..]);
        let digits: Vec<u8> = hex
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or_else(failed)?;
        let octets: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        if digits.len() == 64 { octets.try_into().map(Self).map_err(|_| failed()) } else { Err(failed()) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// The least version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// Authorities whose certificates are believed. Equal if they are the same certificates.
#[derive(Clone)]
pub struct Authorities {
    certificates: Arc<[CertificateDer<'static>]>,
    pub(crate) store: Arc<RootCertStore>,
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.store.len())
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for Authorities {}

impl Authorities {
    /// Those in a PEM file.
    ///
    /// # Errors
    /// Says, for people, what is wrong with the text.
    pub fn from_pem(text: &[u8]) -> Result<Self, String> {
        let parsed = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
        let certificates = parsed.map_err(|error| format!("not PEM: {error:?}"))?;
        if certificates.is_empty() {
            return Err("there is no certificate in it".into());
        }
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store
                .add(certificate.clone())
                .map_err(|error| format!("not the certificate of an authority: {error}"))?;
        }
        Ok(Self { certificates: certificates.into(), store: Arc::new(store) })
    }

    /// Their roots.
    pub fn roots(&self) -> &RootCertStore {
        &self.store
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let below: CertificateName = ".Example.org".parse().unwrap();
        assert!(below.covers("a.example.ORG") && below.covers("*.example.org"));
        assert!(!below.covers("example.org") && !below.covers("notexample.org") && below.exact().is_none());
        let one: CertificateName = "mx.example.org".parse().unwrap();
        assert!(one.exact().is_some() && !one.covers("a.mx.example.org"));
        for text in ["", ".", "a b", "*.example.org", "a..b"] {
            assert!(text.parse::<CertificateName>().is_err(), "{text}");
        }
    }

    #[test]
    fn fingerprints() {
        let hex = "ab".repeat(32);
        let colons = ["AB"; 32].join(":");
        for text in [hex.clone(), format!("SHA256:{hex}"), colons.clone(), format!("sha256:{colons}")] {
            assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), format!("sha256:{hex}"));
        }
        for text in ["", "sha256:", &hex[1..], &format!("{hex}0"), &"xy".repeat(32), "sha1:00"] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }

    #[test]
    fn authorities_are_certificates() {
        assert!(Authorities::from_pem(b"").unwrap_err().contains("no certificate"));
        let pem = rcgen::generate_simple_self_signed(vec!["ca.example".into()]).unwrap().cert.pem();
        let (a, b) =
            (Authorities::from_pem(pem.as_bytes()).unwrap(), Authorities::from_pem(pem.as_bytes()).unwrap());
        assert_eq!(a, b);
        assert_eq!(a.roots().len(), 1);
    }
}
