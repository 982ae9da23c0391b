//! What a peer's certificate says, and the mark that a certificate of ours leaves on a channel. Pure: octets in, facts out.
//!
//! RFC 5280 for the certificate, RFC 5929 section 4 for the mark. Nothing here decides whether a certificate is to be believed;
//! that is known before.

mod der;
#[cfg(test)]
mod tests;

use std::fmt;

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use der::{Reader, text};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
/// `id-ce-subjectAltName`.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
/// The most names of one kind that are taken in.
const NAMES: usize = 100;

/// The SHA-256 of a certificate: what identifies it whoever signed it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateMark(pub [u8; 32]);

impl fmt::Display for CertificateMark {
    /// `sha256:` and 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for CertificateMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no mark of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the SHA-256 of a certificate, 64 hexadecimal digits, such as `openssl x509 -fingerprint -sha256` prints"
)]
pub struct CertificateMarkError;

impl std::str::FromStr for CertificateMark {
    type Err = CertificateMarkError;

    /// `sha256:` in front and colons between may be there.
    fn from_str(text: &str) -> Result<Self, CertificateMarkError> {
        let tagged = text.get(..7).is_some_and(|tag| tag.eq_ignore_ascii_case("sha256:"));
        let hex = text.get(if tagged { 7 } else { 0 }..).unwrap_or_default();
        let digits =
            hex.chars().filter(|c| *c != ':').map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()));
        let digits: Vec<u8> = digits.collect::<Option<_>>().ok_or(CertificateMarkError)?;
        let octets: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        match octets.try_into() {
            Ok(octets) if digits.len() == 64 => Ok(Self(octets)),
            _ => Err(CertificateMarkError),
        }
    }
}

/// A certificate whose key the peer has proved to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCertificate {
    /// Whose it is, as in RFC 4514: `CN=relay.example.org,O=Example`.
    pub subject: String,
    /// Who signed it, in the same form.
    pub issuer: String,
    /// The hosts it is for (`dNSName`), in lower case.
    pub hosts: Vec<String>,
    /// The mailboxes it is for (`rfc822Name`), as written.
    pub mailboxes: Vec<String>,
    /// What identifies it.
    pub mark: CertificateMark,
    /// Whether it is believed: an authority that the administrator named has signed it, or the administrator named the
    /// certificate itself. Without that, only `mark` says anything.
    pub verified: bool,
}

impl PeerCertificate {
    /// What stands in a certificate. One that cannot be read has nothing but its mark, and is never believed.
    pub fn read(der: &[u8], verified: bool) -> Self {
        let mark = CertificateMark(Sha256::digest(der).into());
        match fields(der) {
            Some(fields) => {
                let Fields { subject, issuer, hosts, mailboxes } = fields;
                Self { subject, issuer, hosts, mailboxes, mark, verified }
            }
            None => Self {
                subject: String::new(),
                issuer: String::new(),
                hosts: Vec::new(),
                mailboxes: Vec::new(),
                mark,
                verified: false,
            },
        }
    }
}

impl fmt::Display for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verified = if self.verified { "verified" } else { "not verified" };
        write!(f, "{} ({}, {verified})", self.subject, self.mark)
    }
}

/// The hash of a certificate as RFC 5929 section 4.1 wants it for `tls-server-end-point`: by the function of its signature,
/// SHA-256 instead of MD5 and SHA-1. `None` where the signature has no such function (Ed25519), or the certificate cannot be
/// read.
pub fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let mut certificate = Reader(der).within(SEQUENCE)?;
    certificate.expect(SEQUENCE)?;
    let mut algorithm = certificate.within(SEQUENCE)?;
    let hash = match algorithm.expect(OID)? {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, which] => match which {
            0x04 | 0x05 | 0x0b => Hash::Sha256,
            0x0a => of_pss(algorithm.within(SEQUENCE)?)?,
            0x0c => Hash::Sha384,
            0x0d => Hash::Sha512,
            0x0e => Hash::Sha224,
            _ => return None,
        },
        // ecdsa-with-SHA1, and the others of its arc.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Hash::Sha256,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, which] => Hash::of_nist(match which {
            0x01 => 0x04,
            0x02..=0x04 => which - 1,
            _ => return None,
        })?,
        _ => return None,
    };
    Some(hash.digest(der))
}

enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By the last number of `2.16.840.1.101.3.4.2`.
    fn of_nist(last: u8) -> Option<Self> {
        Some(match last {
            1 => Self::Sha256,
            2 => Self::Sha384,
            3 => Self::Sha512,
            4 => Self::Sha224,
            _ => return None,
        })
    }

    fn digest(&self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha224 => Sha224::digest(octets).to_vec(),
            Self::Sha256 => Sha256::digest(octets).to_vec(),
            Self::Sha384 => Sha384::digest(octets).to_vec(),
            Self::Sha512 => Sha512::digest(octets).to_vec(),
        }
    }
}

/// `RSASSA-PSS-params`: the hash is SHA-1 where it is not named (RFC 4055 section 3.1).
fn of_pss(mut params: Reader<'_>) -> Option<Hash> {
    match params.next() {
        Some((0xa0, named)) => match Reader(named).within(SEQUENCE)?.expect(OID)? {
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last] => Hash::of_nist(*last),
            _ => Some(Hash::Sha256),
        },
        _ => Some(Hash::Sha256),
    }
}

/// What is read of a certificate.
struct Fields {
    subject: String,
    issuer: String,
    hosts: Vec<String>,
    mailboxes: Vec<String>,
}

/// Subject, issuer, `dNSName`s and `rfc822Name`s.
fn fields(der: &[u8]) -> Option<Fields> {
    let mut tbs = Reader(der).within(SEQUENCE)?.within(SEQUENCE)?;
    if tbs.0.first() == Some(&0xa0) {
        tbs.next()?;
    }
    // Serial number, signature.
    (0..2).try_for_each(|_| tbs.next().map(drop))?;
    let issuer = name(tbs.within(SEQUENCE)?)?;
    // Validity.
    tbs.next()?;
    let subject = name(tbs.within(SEQUENCE)?)?;
    tbs.expect(SEQUENCE)?;
    let (mut hosts, mut mailboxes) = (Vec::new(), Vec::new());
    for (tag, content) in tbs {
        if tag == 0xa3 {
            for (tag, name) in alternative_names(Reader(content).within(SEQUENCE)?)? {
                match tag {
                    0x81 if mailboxes.len() < NAMES => mailboxes.push(text(tag, name)),
                    0x82 if hosts.len() < NAMES => hosts.push(text(tag, name).to_ascii_lowercase()),
                    _ => {}
                }
            }
        }
    }
    Some(Fields { subject, issuer, hosts, mailboxes })
}

/// The names of the extension, if it is there.
fn alternative_names(extensions: Reader<'_>) -> Option<Reader<'_>> {
    for (tag, extension) in extensions {
        let mut extension = Reader(extension);
        if tag != SEQUENCE || extension.expect(OID)? != ALTERNATIVE_NAMES {
            continue;
        }
        let (_, value) = extension.last()?;
        return Reader(value).within(SEQUENCE);
    }
    Some(Reader(&[]))
}

/// `RDNSequence` as RFC 4514 writes it: the last one first.
fn name(name: Reader<'_>) -> Option<String> {
    let mut parts = Vec::new();
    for (tag, set) in name {
        for (inner, attribute) in Reader(set) {
            if tag != SET || inner != SEQUENCE {
                return None;
            }
            let mut attribute = Reader(attribute);
            let oid = attribute.expect(OID)?;
            let (tag, value) = attribute.next()?;
            let value = text(tag, value).replace('\\', "\\\\").replace(',', "\\,");
            parts.push(format!("{}={value}", key(oid)));
        }
    }
    parts.reverse();
    Some(parts.join(",").chars().take(500).collect())
}

/// The short name of an attribute.
fn key(oid: &[u8]) -> String {
    match oid {
        [0x55, 0x04, 3] => "CN".into(),
        [0x55, 0x04, 6] => "C".into(),
        [0x55, 0x04, 7] => "L".into(),
        [0x55, 0x04, 8] => "ST".into(),
        [0x55, 0x04, 10] => "O".into(),
        [0x55, 0x04, 11] => "OU".into(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress".into(),
        other => other.iter().map(|octet| format!("{octet:02x}")).collect(),
    }
}
