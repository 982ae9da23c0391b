//! Names from the DNS: hickory's stub resolver behind [`iems_core::seam::Resolver`].
//!
//! Asks only what it is asked: every name is taken as absolute, so no search list applies; no hosts file is
//! read; `localhost` is answered without asking (RFC 6761 section 6.3). Answers are kept for their TTL in a
//! cache of bounded size. Nothing is proven here (no DNSSEC): `secure` is always false.
//! A name that does not exist, a name without such records, and trouble are told apart (RFC 2308);
//! whatever is not a clear "no" is temporary.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use iems_core::seam::{Answer, Mx, ResolveError, Resolver};

/// How the DNS is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsSettings {
    /// The servers to ask, over UDP and, for long answers, TCP. Empty, which is the default: those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long one question to one server may take. Default 3 s: a resolver on the network answers
    /// from its cache in milliseconds, and needs seconds only for names whose servers are away.
    pub timeout: Duration,
    /// How often a question is repeated. Default 2: UDP loses packets.
    pub attempts: usize,
    /// How long a question may take in all. Default 20 s: then the message waits in the queue instead.
    pub deadline: Duration,
    /// How many answers are kept. Default 8192, which is a few MiB.
    pub cache: u64,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(3),
            attempts: 2,
            deadline: Duration::from_secs(20),
            cache: 8192,
        }
    }
}

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

/// A resolver that asks the DNS.
#[derive(Clone)]
pub struct DnsResolver {
    inner: TokioResolver,
    deadline: Duration,
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
        let mut builder = match settings.servers.is_empty() {
            true => TokioResolver::builder_tokio().map_err(failed)?,
            false => {
                TokioResolver::builder_with_config(config(&settings.servers), TokioRuntimeProvider::default())
            }
        };
        set_options(&mut builder, settings);
        Ok(Self { inner: builder.build().map_err(failed)?, deadline: settings.deadline })
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
        answer(&lookup, pick)
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

fn set_options(builder: &mut ResolverBuilder<TokioRuntimeProvider>, settings: &DnsSettings) {
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = settings.timeout;
    options.attempts = settings.attempts;
    options.cache_size = settings.cache;
    options.use_hosts_file = ResolveHosts::Never;
    options.try_tcp_on_error = true;
    options.preserve_intermediates = false;
    options.negative_max_ttl = Some(NEGATIVE_MAX_TTL);
    options.positive_max_ttl = Some(POSITIVE_MAX_TTL);
    options.max_active_requests = QUESTIONS_AT_ONCE;
}

fn answer<T>(lookup: &Lookup, pick: impl Fn(&RData) -> Option<T>) -> Result<Answer<T>, ResolveError> {
    let records: Vec<T> = lookup.answers().iter().filter_map(|record| pick(&record.data)).collect();
    let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
    if records.is_empty() { Err(ResolveError::NoRecords) } else { Ok(Answer { records, secure: false, ttl }) }
}

fn why(name: &str, kind: RecordType, error: &NetError) -> ResolveError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NXDomain => {
            ResolveError::NoName
        }
        NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError => {
            ResolveError::NoRecords
        }
        other => ResolveError::Temporary(format!("{name} {kind}: {other}")),
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
        (Err(e @ ResolveError::Temporary(_)), Err(_)) | (Err(_), Err(e @ ResolveError::Temporary(_))) => {
            Err(e)
        }
        (Err(ResolveError::NoName), Err(_)) | (Err(_), Err(ResolveError::NoName)) => {
            Err(ResolveError::NoName)
        }
        (Err(e), Err(_)) => Err(e),
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
        let pick = |data: &RData| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        let (v6, v4) =
            tokio::join!(self.ask(host, RecordType::AAAA, pick), self.ask(host, RecordType::A, pick));
        merge(v6, v4)
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
}
