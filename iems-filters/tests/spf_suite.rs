//! The public test suite of RFC 7208 (see `spf/NOTICE`): every test of it, none left out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use iems_core::seam::{AddressKind, Answer, Mx, ResolveError, Resolver};
use iems_filters::spf::{Query, check_host};
use serde::Deserialize;
use serde_json::Value;

/// The tests of the suite, so that none is lost on the way.
const TESTS: usize = 203;

#[derive(Deserialize)]
struct Scenario {
    description: String,
    zone: BTreeMap<String, Vec<Vec<Value>>>,
    tests: BTreeMap<String, Test>,
}

#[derive(Deserialize)]
struct Test {
    helo: String,
    host: IpAddr,
    mailfrom: String,
    result: Vec<String>,
    explanation: Option<String>,
}

/// The DNS of a scenario. Names in lower case; `TIMEOUT` stands for every kind that the name does not have.
struct Zone(BTreeMap<String, Vec<Vec<Value>>>);

impl Zone {
    fn find(&self, name: &str, kind: &str, aliases: usize) -> Result<Vec<Vec<Value>>, ResolveError> {
        let timeout = || ResolveError::Temporary("timeout".into());
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let Some(records) = self.0.get(&name) else {
            return Err(if name.starts_with("error.") { timeout() } else { ResolveError::NoName });
        };
        let of = |kind: &str| -> Vec<Vec<Value>> {
            records.iter().filter(|record| record[0] == kind).map(|record| record[1..].to_vec()).collect()
        };
        let found = of(kind);
        let aliased = of("CNAME");
        match (found.is_empty(), aliased.first()) {
            (false, _) => Ok(found),
            (true, Some(_)) if aliases > 8 => Err(timeout()),
            (true, Some(alias)) => self.find(alias[0].as_str().unwrap(), kind, aliases + 1),
            (true, None) if !of("TIMEOUT").is_empty() => Err(timeout()),
            (true, None) => Err(ResolveError::NoRecords),
        }
    }

    fn ask<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl Fn(&[Value]) -> T,
    ) -> Result<Answer<T>, ResolveError> {
        let records = self.find(name, kind, 0)?.iter().map(|record| read(record)).collect();
        Ok(Answer { records, secure: false, ttl: Duration::from_secs(60) })
    }
}

fn text(record: &[Value]) -> String {
    record[0].as_str().unwrap().to_owned()
}

#[async_trait]
impl Resolver for Zone {
    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, ResolveError> {
        self.ask(domain, "MX", |record| Mx {
            preference: record[0].as_u64().unwrap() as u16,
            host: record[1].as_str().unwrap().to_owned(),
        })
    }

    async fn addresses(&self, _: &str) -> Result<Answer<IpAddr>, ResolveError> {
        panic!("SPF asks for one kind of address at a time")
    }

    async fn addresses_of(&self, host: &str, kind: AddressKind) -> Result<Answer<IpAddr>, ResolveError> {
        let kind = if kind == AddressKind::V4 { "A" } else { "AAAA" };
        self.ask(host, kind, |record| text(record).parse().unwrap())
    }

    async fn txt(&self, name: &str) -> Result<Answer<String>, ResolveError> {
        self.ask(name, "TXT", text)
    }

    async fn names(&self, ip: IpAddr) -> Result<Answer<String>, ResolveError> {
        let name = match ip {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(v6) => {
                let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
                nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
            }
        };
        self.ask(&name, "PTR", text)
    }
}

#[tokio::test]
async fn all_tests_of_the_suite_pass() {
    let scenarios: Vec<Scenario> = serde_json::from_str(include_str!("spf/rfc7208.json")).unwrap();
    let (mut ran, mut failures) = (0, Vec::new());
    for scenario in scenarios {
        let lower = |(name, records): (String, _)| (name.to_ascii_lowercase(), records);
        let zone = Zone(scenario.zone.into_iter().map(lower).collect());
        for (id, test) in scenario.tests {
            ran += 1;
            if let Err(why) = run(&zone, &test).await {
                failures.push(format!("{}: {id}: {why}", scenario.description));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {ran} fail:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(ran, TESTS);
}

async fn run(zone: &Zone, test: &Test) -> Result<(), String> {
    // Section 2.4: without a sender, postmaster at the HELO name is meant.
    let postmaster = format!("postmaster@{}", test.helo);
    let sender = if test.mailfrom.is_empty() { &postmaster } else { &test.mailfrom };
    let domain = sender.rsplit_once('@').map_or(sender.as_str(), |(_, domain)| domain);
    let (helo, ip) = (test.helo.as_str(), test.host);
    let query = Query { ip, domain, sender, helo, receiver: "receiver.example", seconds: 1_400_000_000 };
    let outcome = check_host(zone, &query).await;
    let word = outcome.result.word();
    if !test.result.iter().any(|result| result == word) {
        return Err(format!("{word}, not {:?}: {}", test.result, outcome.why));
    }
    // `DEFAULT` is what the suite calls the explanation of a receiver, where the domain gives none.
    let explanation = outcome.explanation.as_deref().unwrap_or("DEFAULT");
    match &test.explanation {
        Some(wanted) if wanted != explanation => Err(format!("{explanation:?}, not {wanted:?}")),
        _ => Ok(()),
    }
}
