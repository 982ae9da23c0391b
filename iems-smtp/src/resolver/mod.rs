//! Names from the DNS: hickory's stub resolver behind [`iems_core::seam::Resolver`].
//!
//! Asks only what it is asked: every name is taken as absolute, so no search list applies; no hosts file is
//! read; `localhost` is answered without asking (RFC 6761 section 6.3). Answers are kept for their TTL in a
//! cache of bounded size. A name that does not exist, a name without such records, and trouble are told apart
//! (RFC 2308); whatever is not a clear "no" is temporary.
//!
//! An answer is `secure` if each record that it rests on, every alias on the way included, is proven: by us, from trust anchors, or by
//! the server's word, as the settings say. One whose signatures are wrong counts as no answer ([`ResolveError::Bogus`]).

mod settings;
mod trusting;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver as Stub, TokioResolver};
use iems_core::seam::{AddressKind, Answer, Association, Mx, ResolveError, Resolver};

use self::trusting::TrustingProvider;

pub use settings::{Anchors, AnchorsError, DnsSettings, Dnssec};

/// The longest time a refusal is kept: a name that is new, or mended, is found after ten minutes.
const NEGATIVE_MAX_TTL: Duration = Duration::from_secs(600);
/// The longest time an answer is kept, whatever its TTL says.
const POSITIVE_MAX_TTL: Duration = Duration::from_secs(86_400);
/// Questions under way to one server at a time; above, hickory answers "busy".
const QUESTIONS_AT_ONCE: usize = 1024;
/// TTL of what is known without asking.
const LOCALHOST_TTL: Duration = Duration::from_secs(3600);

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
#[error("the DNS resolver cannot be set up: {0}")]
pub struct DnsSetupError(String);

/// The most links of a chain of aliases that are followed.
const MOST_ALIASES: usize = 16;

/// A resolver that asks the DNS.
#[derive(Clone)]
pub struct DnsResolver {
    inner: Inner,
    deadline: Duration,
}

#[derive(Clone)]
enum Inner {
    /// Proves answers itself, or does not care.
    Own(TokioResolver),
    /// Takes the servers' word.
    Trusting(Stub<TrustingProvider>),
}

impl Inner {
    async fn lookup(&self, name: Name, kind: RecordType) -> Result<Lookup, NetError> {
        match self {
            Self::Own(resolver) => resolver.lookup(name, kind).await,
            Self::Trusting(resolver) => resolver.lookup(name, kind).await,
        }
    }
}

impl std::fmt::Debug for DnsResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DnsResolver")
    }
}

impl DnsResolver {
    /// A resolver with these settings. Reads the system's settings if no servers are named; must be
    /// called inside a tokio runtime.
    ///
    /// # Errors
    /// The system names no servers, or its settings cannot be read.
    pub fn new(settings: &DnsSettings) -> Result<Self, DnsSetupError> {
        let failed = |error: NetError| DnsSetupError(error.to_string());
        let (config, options) = match settings.servers.is_empty() {
            true => read_system_conf().map_err(failed)?,
            false => (config(&settings.servers), ResolverOpts::default()),
        };
        let near = !settings.servers.is_empty()
            && settings.servers.iter().all(|server| server.ip().to_canonical().is_loopback());
        let unset = if near { Dnssec::Trust } else { Dnssec::Off };
        let options = with(options, settings);
        let inner = match settings.dnssec.as_ref().unwrap_or(&unset) {
            Dnssec::Trust => {
                let builder = Stub::builder_with_config(config, TrustingProvider::default());
                Inner::Trusting(builder.with_options(options).build().map_err(failed)?)
            }
            dnssec => {
                let provider = TokioRuntimeProvider::default();
                let mut builder = TokioResolver::builder_with_config(config, provider).with_options(options);
                if let Dnssec::Validate(anchors) = dnssec {
                    builder = builder.with_trust_anchor(anchors.keys.clone());
                }
                Inner::Own(builder.build().map_err(failed)?)
            }
        };
        Ok(Self { inner, deadline: settings.deadline })
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, ResolveError> {
        let mut absolute = Name::from_ascii(name).map_err(|_| ResolveError::NoName)?;
        absolute.set_fqdn(true);
        let lookup = tokio::time::timeout(self.deadline, self.inner.lookup(absolute, kind))
            .await
            .map_err(|_| ResolveError::Temporary(format!("no answer about {name} {kind} in time")))?
            .map_err(|error| why(name, kind, &error))?;
        answer(&lookup, kind, pick)
    }
}

fn config(servers: &[SocketAddr]) -> ResolverConfig {
    let server = |address: &SocketAddr| {
        let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
        udp.port = address.port();
        tcp.port = address.port();
        NameServerConfig::new(address.ip(), true, vec![udp, tcp])
    };
    ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect())
}

fn with(mut options: ResolverOpts, settings: &DnsSettings) -> ResolverOpts {
    options.timeout = settings.timeout;
    options.attempts = settings.attempts;
    options.cache_size = settings.cache;
    options.use_hosts_file = ResolveHosts::Never;
    options.try_tcp_on_error = true;
    // A proven target behind an alias that is not proven proves nothing: the aliases are needed.
    options.preserve_intermediates = true;
    options.negative_max_ttl = Some(NEGATIVE_MAX_TTL);
    options.positive_max_ttl = Some(POSITIVE_MAX_TTL);
    options.max_active_requests = QUESTIONS_AT_ONCE;
    options
}

/// The records of this kind at the end of the aliases, and whether all of these, and all of the aliases, are proven.
fn answer<T>(
    lookup: &Lookup,
    kind: RecordType,
    pick: impl Fn(&RData) -> Option<T>,
) -> Result<Answer<T>, ResolveError> {
    let (end, aliases) = follow(lookup, kind);
    let found: Vec<&Record> =
        lookup.answers().iter().filter(|record| record.record_type() == kind && record.name == end).collect();
    let secure = found.iter().chain(&aliases).all(|record| record.proof == Proof::Secure);
    let records: Vec<T> = found.iter().filter_map(|record| pick(&record.data)).collect();
    let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
    if records.is_empty() { Err(ResolveError::NoRecords) } else { Ok(Answer { records, secure, ttl }) }
}

/// The last name of a chain of aliases, and its links.
fn follow(lookup: &Lookup, kind: RecordType) -> (Name, Vec<&Record>) {
    let (mut name, mut aliases) = (lookup.query().name().clone(), Vec::new());
    while kind != RecordType::CNAME && aliases.len() < MOST_ALIASES {
        let is_link = |record: &&Record| record.name == name && matches!(record.data, RData::CNAME(_));
        let Some(link) = lookup.answers().iter().find(is_link) else { break };
        if let RData::CNAME(target) = &link.data {
            name = target.0.clone();
        }
        aliases.push(link);
    }
    (name, aliases)
}

fn why(name: &str, kind: RecordType, error: &NetError) -> ResolveError {
    let code = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => Some(none.response_code),
        // No records, and the proof of that is not complete: bogus, or a part of the DNS without signatures.
        NetError::Dns(DnsError::Nsec { proof: Proof::Bogus, .. } | DnsError::DnssecBogus) => {
            return ResolveError::Bogus(format!("{name} {kind}: {error}"));
        }
        NetError::Dns(DnsError::Nsec { response, .. }) => Some(response.response_code),
        _ => None,
    };
    match code {
        Some(ResponseCode::NXDomain) => ResolveError::NoName,
        Some(ResponseCode::NoError) => ResolveError::NoRecords,
        _ => ResolveError::Temporary(format!("{name} {kind}: {error}")),
    }
}

/// The better of two answers about one host: any address beats none; doubt beats "no".
fn merge(
    v6: Result<Answer<IpAddr>, ResolveError>,
    v4: Result<Answer<IpAddr>, ResolveError>,
) -> Result<Answer<IpAddr>, ResolveError> {
    match (v6, v4) {
        (Ok(mut a), Ok(b)) => {
            a.records.extend(b.records);
            Ok(Answer { records: a.records, secure: a.secure && b.secure, ttl: a.ttl.min(b.ttl) })
        }
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        (Err(e), Err(_)) | (Err(_), Err(e)) if e.is_temporary() => Err(e),
        (Err(ResolveError::NoName), Err(_)) | (Err(_), Err(ResolveError::NoName)) => {
            Err(ResolveError::NoName)
        }
        (Err(e), Err(_)) => Err(e),
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

fn without_dot(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').map(str::to_owned).unwrap_or(text)
}

#[async_trait]
impl Resolver for DnsResolver {
    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, ResolveError> {
        if is_localhost(domain) {
            return Err(ResolveError::NoRecords);
        }
        let pick = |data: &RData| match data {
            RData::MX(mx) => Some(Mx { preference: mx.preference, host: without_dot(&mx.exchange) }),
            _ => None,
        };
        let mut answer = self.ask(domain, RecordType::MX, pick).await?;
        answer.records.sort_by_key(|mx| mx.preference);
        Ok(answer)
    }

    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, ResolveError> {
        if is_localhost(host) {
            let records = vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
            return Ok(Answer { records, secure: true, ttl: LOCALHOST_TTL });
        }
        let (v6, v4) =
            tokio::join!(self.ask(host, RecordType::AAAA, address), self.ask(host, RecordType::A, address));
        merge(v6, v4)
    }

    async fn addresses_of(&self, host: &str, kind: AddressKind) -> Result<Answer<IpAddr>, ResolveError> {
        if is_localhost(host) {
            let ip =
                if kind == AddressKind::V4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            return Ok(Answer { records: vec![ip], secure: true, ttl: LOCALHOST_TTL });
        }
        match kind {
            AddressKind::V4 => self.ask(host, RecordType::A, address).await,
            AddressKind::V6 => self.ask(host, RecordType::AAAA, address).await,
        }
    }

    async fn txt(&self, name: &str) -> Result<Answer<String>, ResolveError> {
        let pick = |data: &RData| match data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        };
        self.ask(name, RecordType::TXT, pick).await
    }

    async fn names(&self, ip: IpAddr) -> Result<Answer<String>, ResolveError> {
        let pick = |data: &RData| match data {
            RData::PTR(ptr) => Some(without_dot(&ptr.0)),
            _ => None,
        };
        self.ask(&Name::from(ip.to_canonical()).to_ascii(), RecordType::PTR, pick).await
    }

    async fn alias(&self, name: &str) -> Result<Answer<String>, ResolveError> {
        let pick = |data: &RData| match data {
            RData::CNAME(target) => Some(without_dot(&target.0)),
            _ => None,
        };
        self.ask(name, RecordType::CNAME, pick).await
    }

    async fn associations(&self, name: &str) -> Result<Answer<Association>, ResolveError> {
        let pick = |data: &RData| match data {
            RData::TLSA(tlsa) => Some(Association {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        };
        self.ask(name, RecordType::TLSA, pick).await
    }
}
