//! Names as an argument: the engine asks no DNS but this one.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

/// One mail exchanger (RFC 5321 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// Host name without the final dot; empty for a null MX (RFC 7505).
    pub host: String,
}

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

/// Records, and what is known about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records, never empty.
    pub records: Vec<T>,
    /// Whether DNSSEC proved them.
    pub secure: bool,
    /// How long they may be kept.
    pub ttl: Duration,
}

/// What a name says about the certificate of the service behind it (TLSA, RFC 6698 section 2.1). The numbers are those of
/// the record; whether they make sense is for the reader to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Association {
    /// Certificate usage: 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE.
    pub usage: u8,
    /// Selector: 0 the whole certificate, 1 its public key.
    pub selector: u8,
    /// Matching type: 0 as it is, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// The octets to compare with.
    pub data: Vec<u8>,
}

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name does not exist.
    #[error("the name does not exist")]
    NoName,
    /// The name exists, without records of this kind.
    #[error("there are no such records")]
    NoRecords,
    /// No answer, or one that does not count (SERVFAIL, timeout).
    #[error("the name servers did not answer: {0}")]
    Temporary(String),
    /// An answer whose signatures are wrong or missing: as good as none, and perhaps an attack.
    #[error("the answer of the name servers is not signed as it should be: {0}")]
    Bogus(String),
}

impl ResolveError {
    /// Whether asking again later may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary(_) | Self::Bogus(_))
    }
}

/// A resolver of names.
///
/// - **Role**: answers questions about names.
/// - **Called when**: a next hop or a listing is looked up.
/// - **Ordering**: none. **Idempotency**: asking again is harmless.
/// - **Cancellation**: dropping the future gives up the question.
/// - **Concurrency**: any number of questions at once.
/// - **Errors**: [`ResolveError`]; unknown trouble is `Temporary`.
/// - **Example**: [`super::NoResolver`] for engines that must not ask.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The mail exchangers of `domain`, in the order of their preference.
    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, ResolveError>;

    /// The IPv4 and IPv6 addresses of `host`.
    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, ResolveError>;

    /// Those of the addresses of `host` that are of one kind, IPv4 or IPv6, with one question where `addresses` needs two. That
    /// there are none of this kind is `NoRecords`, whatever there is of the other. The default filters `addresses`.
    async fn addresses_of(&self, host: &str, kind: AddressKind) -> Result<Answer<IpAddr>, ResolveError> {
        let mut answer = self.addresses(host).await?;
        answer.records.retain(|ip| ip.is_ipv4() == (kind == AddressKind::V4));
        if answer.records.is_empty() { Err(ResolveError::NoRecords) } else { Ok(answer) }
    }

    /// The TXT records of `name`, strings of one record joined.
    async fn txt(&self, name: &str) -> Result<Answer<String>, ResolveError>;

    /// The host names of `ip` (PTR), without the final dot.
    async fn names(&self, ip: IpAddr) -> Result<Answer<String>, ResolveError>;

    /// The name that `name` is an alias of (CNAME), without the final dot: one link of the chain, not its end. The default
    /// knows of no alias.
    async fn alias(&self, name: &str) -> Result<Answer<String>, ResolveError> {
        let _ = name;
        Err(ResolveError::NoRecords)
    }

    /// What `name`, such as `_25._tcp.mx.example.org`, says about certificates. The default knows of nothing.
    async fn associations(&self, name: &str) -> Result<Answer<Association>, ResolveError> {
        let _ = name;
        Err(ResolveError::NoRecords)
    }
}

/// A resolver for engines that talk to nobody by name: every question fails for now.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoResolver;

fn nobody<T>() -> Result<Answer<T>, ResolveError> {
    Err(ResolveError::Temporary("no resolver is configured".into()))
}

#[async_trait]
impl Resolver for NoResolver {
    async fn mx(&self, _: &str) -> Result<Answer<Mx>, ResolveError> {
        nobody()
    }

    async fn addresses(&self, _: &str) -> Result<Answer<IpAddr>, ResolveError> {
        nobody()
    }

    async fn txt(&self, _: &str) -> Result<Answer<String>, ResolveError> {
        nobody()
    }

    async fn names(&self, _: IpAddr) -> Result<Answer<String>, ResolveError> {
        nobody()
    }
}
