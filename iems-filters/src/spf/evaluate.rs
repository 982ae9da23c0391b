//! `check_host()` (RFC 7208 section 4): walks the records, asks the DNS, within the bounds of section 4.6.4.
//!
//! Sets no time limit: the caller does. Every question goes through the resolver it is given.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use iems_core::seam::{AddressKind, ResolveError, Resolver};

use super::record::{self, Directive, Mechanism, Prefixes, Record};
use super::text::{Text, Values};

/// Terms that ask the DNS (section 4.6.4).
const MAX_LOOKUPS: usize = 10;
/// Of these, how many may find nothing.
const MAX_VOID: usize = 2;
/// Exchangers of one `mx`; more are an error.
const MAX_EXCHANGERS: usize = 10;
/// Names of the address that `ptr` and `%{p}` look at; more are left out.
const MAX_NAMES: usize = 10;
/// The longest explanation that is passed on, in octets.
const MAX_EXPLANATION: usize = 500;

/// The results of section 2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpfResult {
    /// Nothing is published, or there is no domain to ask.
    None,
    /// The domain does not want to say.
    Neutral,
    /// The address may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// The DNS does not answer now.
    TempError,
    /// What is published cannot be understood.
    PermError,
}

impl SpfResult {
    /// Its name, as trace fields have it (section 9).
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is asked (section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    /// The peer's address.
    pub ip: IpAddr,
    /// The domain to check: that of the MAIL FROM or HELO identity.
    pub domain: &'a str,
    /// The identity, `local@domain`. Without a local part, `postmaster` is meant.
    pub sender: &'a str,
    /// The name the peer gave.
    pub helo: &'a str,
    /// Our own name, for `%{r}`.
    pub receiver: &'a str,
    /// Seconds since 1970, for `%{t}`.
    pub seconds: u64,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The result.
    pub result: SpfResult,
    /// The mechanism that matched, and the domain whose record it stands in; or what was wrong. For people.
    pub why: String,
    /// What the domain says to those who fail (section 6.2): a stranger's words, in ASCII.
    pub explanation: Option<String>,
}

/// Evaluates `query` (section 4).
pub async fn check_host(resolver: &dyn Resolver, query: &Query<'_>) -> Outcome {
    if !is_domain(query.domain) {
        let why = "there is no domain that could be asked".to_owned();
        return Outcome { result: SpfResult::None, why, explanation: None };
    }
    let mut walk = Walk::new(resolver, query);
    match walk.check(query.domain.trim_end_matches('.').to_owned()).await {
        Ok(found) => {
            let explanation = match (&found.result, &found.exp) {
                (SpfResult::Fail, Some(exp)) => walk.explain(exp, &found.domain).await,
                _ => None,
            };
            Outcome { result: found.result, why: found.why, explanation }
        }
        Err(Trouble { result, why }) => Outcome { result, why, explanation: None },
    }
}

/// A name of several labels, each of a length that the DNS knows (section 4.3).
fn is_domain(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.contains('.') && !name.starts_with('[') && is_askable(name)
}

fn is_askable(name: &str) -> bool {
    name.len() <= 253 && name.is_ascii() && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// What a record came to.
struct Found {
    result: SpfResult,
    why: String,
    exp: Option<Text>,
    /// Whose record it is.
    domain: String,
}

/// `temperror`, `permerror`, or `none`.
struct Trouble {
    result: SpfResult,
    why: String,
}

fn permanent<T>(why: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble { result: SpfResult::PermError, why: why.into() })
}

fn temporary<T>(why: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble { result: SpfResult::TempError, why: why.into() })
}

type Checked<'w, T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send + 'w>>;

struct Walk<'a> {
    resolver: &'a dyn Resolver,
    query: &'a Query<'a>,
    ip: IpAddr,
    sender: String,
    local: String,
    sender_domain: String,
    lookups: usize,
    void: usize,
}

impl<'a> Walk<'a> {
    fn new(resolver: &'a dyn Resolver, query: &'a Query<'a>) -> Self {
        let (local, domain) = query.sender.rsplit_once('@').unwrap_or(("", query.sender));
        let local = if local.is_empty() { "postmaster" } else { local }.to_owned();
        let ip = query.ip.to_canonical();
        let (sender, sender_domain) = (format!("{local}@{domain}"), domain.to_owned());
        Self { resolver, query, ip, sender, local, sender_domain, lookups: 0, void: 0 }
    }

    /// One record, and those it refers to.
    fn check(&mut self, domain: String) -> Checked<'_, Found> {
        Box::pin(async move {
            let record = self.record(&domain).await?;
            for directive in &record.directives {
                if self.matches(directive, &domain).await? {
                    let why = format!("{} in the record of {domain}", directive.text);
                    return Ok(Found { result: directive.result, why, exp: record.exp, domain });
                }
            }
            let Some(redirect) = &record.redirect else {
                let why = format!("nothing in the record of {domain} matches");
                return Ok(Found { result: SpfResult::Neutral, why, exp: None, domain });
            };
            self.count()?;
            let target = self.name(redirect, &domain).await;
            match self.check(target.clone()).await {
                // Section 6.1: where there is no record, there is nothing to go on to.
                Err(Trouble { result: SpfResult::None, .. }) => {
                    permanent(format!("{domain} redirects to {target}, which has no record"))
                }
                checked => checked,
            }
        })
    }

    /// Sections 4.4 to 4.6.
    async fn record(&mut self, domain: &str) -> Result<Record, Trouble> {
        let none = |why: String| Err(Trouble { result: SpfResult::None, why });
        if !is_askable(domain) {
            return none(format!("{domain:.100} is no name that could be asked"));
        }
        let texts = match self.resolver.txt(domain).await {
            Ok(answer) => answer.records,
            Err(ResolveError::NoName) => return none(format!("{domain} does not exist")),
            Err(ResolveError::NoRecords) => return none(format!("{domain} publishes nothing")),
            Err(error) => return temporary(format!("the record of {domain}: {error}")),
        };
        let mut records = texts.iter().filter_map(|text| record::is_spf(text));
        match (records.next(), records.next()) {
            (None, _) => none(format!("{domain} publishes nothing")),
            (Some(_), Some(_)) => permanent(format!("{domain} publishes more than one record")),
            (Some(terms), None) => record::parse(terms)
                .or_else(|bad| permanent(format!("{:?} in the record of {domain} is malformed", bad.0))),
        }
    }

    async fn matches(&mut self, directive: &Directive, domain: &str) -> Result<bool, Trouble> {
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, prefix) => Ok(is_in(self.ip, IpAddr::V4(*network), *prefix)),
            Mechanism::Ip6(network, prefix) => Ok(is_in(self.ip, IpAddr::V6(*network), *prefix)),
            Mechanism::Include(target) => self.include(target, domain).await,
            Mechanism::A(target, prefixes) => {
                let name = self.target(target.as_ref(), domain).await?;
                let addresses = self.addresses(&name, self.kind()).await?;
                self.note_void(addresses.is_empty())?;
                Ok(self.any(&addresses, *prefixes))
            }
            Mechanism::Mx(target, prefixes) => {
                let name = self.target(target.as_ref(), domain).await?;
                self.exchangers(&name, *prefixes).await
            }
            Mechanism::Exists(target) => {
                let name = self.target(Some(target), domain).await?;
                let found = !self.addresses(&name, AddressKind::V4).await?.is_empty();
                self.note_void(!found)?;
                Ok(found)
            }
            Mechanism::Ptr(target) => {
                let name = self.target(target.as_ref(), domain).await?;
                let names = self.names().await;
                self.note_void(names.is_empty())?;
                Ok(self.validated(names, |found| is_within(found, &name)).await.is_some())
            }
        }
    }

    /// Section 5.2.
    async fn include(&mut self, target: &Text, domain: &str) -> Result<bool, Trouble> {
        let name = self.target(Some(target), domain).await?;
        match self.check(name.clone()).await {
            Ok(found) => Ok(found.result == SpfResult::Pass),
            Err(Trouble { result: SpfResult::None, .. }) => {
                permanent(format!("{domain} includes {name}, which has no record"))
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Section 5.4.
    async fn exchangers(&mut self, name: &str, prefixes: Prefixes) -> Result<bool, Trouble> {
        let exchangers = match is_askable(name) {
            true => self.resolver.mx(name).await,
            false => Err(ResolveError::NoName),
        };
        let exchangers = match exchangers {
            Ok(answer) => answer.records,
            Err(error) if error.is_temporary() => {
                return temporary(format!("the exchangers of {name}: {error}"));
            }
            Err(_) => Vec::new(),
        };
        self.note_void(exchangers.is_empty())?;
        if exchangers.len() > MAX_EXCHANGERS {
            return permanent(format!("{name} has more than {MAX_EXCHANGERS} exchangers"));
        }
        for exchanger in exchangers {
            let addresses = self.addresses(exchanger.host.trim_end_matches('.'), self.kind()).await?;
            if self.any(&addresses, prefixes) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The name that a term asks about. The term counts.
    async fn target(&mut self, target: Option<&Text>, domain: &str) -> Result<String, Trouble> {
        self.count()?;
        match target {
            Some(text) => Ok(self.name(text, domain).await),
            None => Ok(domain.to_owned()),
        }
    }

    fn count(&mut self) -> Result<(), Trouble> {
        self.lookups += 1;
        match self.lookups > MAX_LOOKUPS {
            true => permanent(format!("more than {MAX_LOOKUPS} terms that ask the DNS")),
            false => Ok(()),
        }
    }

    fn note_void(&mut self, void: bool) -> Result<(), Trouble> {
        self.void += usize::from(void);
        match self.void > MAX_VOID {
            true => permanent(format!("more than {MAX_VOID} terms find nothing in the DNS")),
            false => Ok(()),
        }
    }

    /// The addresses of a name; none, if it has none or does not exist.
    async fn addresses(&self, name: &str, kind: AddressKind) -> Result<Vec<IpAddr>, Trouble> {
        if !is_askable(name) {
            return Ok(Vec::new());
        }
        match self.resolver.addresses_of(name, kind).await {
            Ok(answer) => Ok(answer.records),
            Err(error) if error.is_temporary() => temporary(format!("the addresses of {name}: {error}")),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn kind(&self) -> AddressKind {
        if self.ip.is_ipv4() { AddressKind::V4 } else { AddressKind::V6 }
    }

    fn any(&self, addresses: &[IpAddr], prefixes: Prefixes) -> bool {
        let prefix = if self.ip.is_ipv4() { prefixes.v4 } else { prefixes.v6 };
        addresses.iter().any(|address| is_in(self.ip, *address, prefix))
    }

    /// The names of the peer's address, unproven. Trouble with them is none of ours (section 5.5).
    async fn names(&self) -> Vec<String> {
        let names = self.resolver.names(self.ip).await.map(|answer| answer.records).unwrap_or_default();
        names.into_iter().take(MAX_NAMES).collect()
    }

    /// The first of `names` that is wanted and points back to the peer.
    async fn validated(&self, names: Vec<String>, wanted: impl Fn(&str) -> bool) -> Option<String> {
        for name in names {
            let name = name.trim_end_matches('.');
            if !wanted(name) {
                continue;
            }
            let addresses = self.addresses(name, self.kind()).await.unwrap_or_default();
            if addresses.iter().any(|address| address.to_canonical() == self.ip) {
                return Some(name.to_owned());
            }
        }
        None
    }

    /// `%{p}`: preferably the domain itself, then a name below it, then any (section 7.3).
    async fn best_name(&self, domain: &str) -> String {
        let names = self.names().await;
        let same = |name: &str| name.eq_ignore_ascii_case(domain);
        let mut best = self.validated(names.clone(), same).await;
        if best.is_none() {
            best = self.validated(names.clone(), |name| is_within(name, domain)).await;
        }
        if best.is_none() {
            best = self.validated(names, |_| true).await;
        }
        best.unwrap_or_else(|| "unknown".into())
    }

    async fn name(&self, text: &Text, domain: &str) -> String {
        self.expand(text, domain, Text::expand_name).await
    }

    async fn expand(
        &self,
        text: &Text,
        domain: &str,
        how: impl FnOnce(&Text, &Values<'_>) -> String,
    ) -> String {
        let validated = if text.needs_validated() { self.best_name(domain).await } else { String::new() };
        let (ip, dotted_ip) = (self.ip.to_string(), dotted(self.ip));
        let seconds = self.query.seconds.to_string();
        let values = Values {
            sender: &self.sender,
            local: &self.local,
            sender_domain: &self.sender_domain,
            domain,
            dotted_ip: &dotted_ip,
            validated: &validated,
            version: if self.ip.is_ipv4() { "in-addr" } else { "ip6" },
            helo: self.query.helo,
            ip: &ip,
            receiver: self.query.receiver,
            seconds: &seconds,
        };
        how(text, &values)
    }

    /// Section 6.2. Whatever is wrong with it, there is none then.
    async fn explain(&self, exp: &Text, domain: &str) -> Option<String> {
        let name = self.name(exp, domain).await;
        if !is_askable(&name) {
            return None;
        }
        let texts = self.resolver.txt(&name).await.ok()?.records;
        let [text] = &texts[..] else { return None };
        let text = Text::explanation(text)?;
        let words = self.expand(&text, domain, Text::expand).await;
        let printable = words.bytes().all(|b| (b' '..=b'~').contains(&b));
        (printable && words.len() <= MAX_EXPLANATION).then_some(words)
    }
}

/// Whether the first `prefix` bits are the same.
fn is_in(ip: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            (u32::from(ip) ^ u32::from(network)) & mask == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            (u128::from(ip) ^ u128::from(network)) & mask == 0
        }
        _ => false,
    }
}

/// Whether `name` is `parent` or below it.
fn is_within(name: &str, parent: &str) -> bool {
    let (name, parent) = (name.to_ascii_lowercase(), parent.trim_end_matches('.').to_ascii_lowercase());
    match name.strip_suffix(parent.as_str()) {
        Some(head) => head.is_empty() || head.ends_with('.'),
        None => false,
    }
}

/// `%{i}`: for IPv6 the nibbles between dots.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            nibbles.map(|nibble| format!("{nibble:X}")).collect::<Vec<_>>().join(".")
        }
    }
}
