//! The judge against a made-up DNS and a clock without waiting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::message::{ChannelId, CheckResult, Envelope, Verdict};
use iems_core::preprocess::{Preprocessor, Stage, Subject};
use iems_core::receive::Connection;
use iems_core::seam::{Account, Answer, Clock, Mx, ResolveError, Resolver, Timestamp};

use super::{About, Dnsbl, List, Settings};

/// What the DNS holds under one name.
#[derive(Clone)]
enum Record {
    Listed(Vec<IpAddr>, &'static str),
    Failing,
    Silent,
}

/// A DNS of a few names, which remembers what it was asked.
#[derive(Default)]
struct Zone {
    records: HashMap<String, Record>,
    asked: Mutex<Vec<String>>,
}

impl Zone {
    fn with(mut self, name: &str, record: Record) -> Self {
        self.records.insert(name.into(), record);
        self
    }

    fn listed(self, name: &str, answer: &str) -> Self {
        self.with(name, Record::Listed(vec![answer.parse().unwrap()], "see\r\nhttps://zen.example/é"))
    }

    async fn find(&self, name: &str) -> Result<(Vec<IpAddr>, &'static str), ResolveError> {
        self.asked.lock().unwrap().push(name.into());
        match self.records.get(name).cloned() {
            Some(Record::Listed(addresses, text)) => Ok((addresses, text)),
            Some(Record::Failing) => Err(ResolveError::Temporary("SERVFAIL".into())),
            Some(Record::Silent) => std::future::pending().await,
            None => Err(ResolveError::NoName),
        }
    }
}

fn answer<T>(records: Vec<T>) -> Answer<T> {
    Answer { records, secure: false, ttl: Duration::from_secs(60) }
}

#[async_trait]
impl Resolver for Zone {
    async fn mx(&self, _: &str) -> Result<Answer<Mx>, ResolveError> {
        Err(ResolveError::NoRecords)
    }

    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, ResolveError> {
        self.find(host).await.map(|(addresses, _)| answer(addresses))
    }

    async fn txt(&self, name: &str) -> Result<Answer<String>, ResolveError> {
        match self.find(name).await?.1 {
            "" => std::future::pending().await,
            text => Ok(answer(vec![text.into()])),
        }
    }

    async fn names(&self, _: IpAddr) -> Result<Answer<String>, ResolveError> {
        Err(ResolveError::NoRecords)
    }
}

/// A clock on which every wait is over at once: whoever does not answer at once is late.
struct Impatient;

#[async_trait]
impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

fn from(peer: &str) -> Connection {
    let mut connection = Connection::new(ChannelId::new("smtp"), Some(peer.parse().unwrap()));
    connection.helo = "mail.spam.example".into();
    connection
}

fn list(about: About) -> List {
    List::new("zen.example".parse().unwrap(), about).unwrap().score(5.0)
}

fn lists(lists: Vec<List>) -> Settings {
    Settings { lists, ..Settings::default() }
}

/// The verdicts about a peer that sends as `bulk@spam.example`, and what the DNS was asked.
async fn judged(settings: Settings, zone: Zone, connection: &Connection) -> (Vec<Verdict>, Vec<String>) {
    let zone = Arc::new(zone);
    let judge = Dnsbl::new(settings, zone.clone(), Arc::new(Impatient));
    let envelope = Envelope::new("<bulk@spam.example>".parse().unwrap());
    let subject = Subject {
        stage: Stage::Mail,
        connection,
        envelope: Some(&envelope),
        recipients: &[],
        body: None,
        verdicts: &[],
        trusted: false,
        ways: &[],
    };
    let found = judge.inspect(&subject).await;
    assert!(found.edits.is_empty());
    let asked = zone.asked.lock().unwrap().clone();
    (found.verdicts, asked)
}

/// The one verdict of a list of addresses about `192.0.2.7`.
async fn verdict(zone: Zone) -> Verdict {
    let (mut verdicts, _) = judged(lists(vec![list(About::Address)]), zone, &from("192.0.2.7:25")).await;
    assert_eq!(verdicts.len(), 1);
    verdicts.remove(0)
}

#[tokio::test]
async fn a_listed_peer_fails_with_the_lists_own_words() {
    let found = verdict(Zone::default().listed("7.2.0.192.zen.example", "127.0.0.2")).await;
    let expected = Verdict {
        check: "dnsbl/zen.example".into(),
        result: CheckResult::Fail,
        score: 5.0,
        evidence: "127.0.0.2 from zen.example for 192.0.2.7: see  https://zen.example/?".into(),
    };
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_peer_that_no_list_knows_is_neutral() {
    let found = verdict(Zone::default()).await;
    assert_eq!((found.result, found.score), (CheckResult::Neutral, 0.0));
    assert_eq!(found.evidence, "nothing from zen.example for 192.0.2.7");
}

#[tokio::test]
async fn the_answer_of_an_open_resolver_lists_nobody() {
    let found = verdict(Zone::default().listed("7.2.0.192.zen.example", "192.0.2.1")).await;
    assert_eq!((found.result, found.score), (CheckResult::Neutral, 0.0));
    assert_eq!(found.evidence, "192.0.2.1 from zen.example for 192.0.2.7 means nothing");
}

#[tokio::test]
async fn refused_failing_and_late_lists_are_temporary_trouble() {
    let name = "7.2.0.192.zen.example";
    for (zone, words) in [
        (Zone::default().listed(name, "127.255.255.254"), "public resolvers"),
        (Zone::default().with(name, Record::Failing), "SERVFAIL"),
        (Zone::default().with(name, Record::Silent), "it took too long"),
    ] {
        let found = verdict(zone).await;
        assert_eq!((found.result, found.score), (CheckResult::TempError, 0.0), "{words}");
        assert!(found.evidence.contains(words), "{}", found.evidence);
    }
}

#[tokio::test]
async fn a_reason_that_does_not_come_is_not_waited_for() {
    let listed = Record::Listed(vec!["127.0.0.2".parse().unwrap()], "");
    let found = verdict(Zone::default().with("7.2.0.192.zen.example", listed)).await;
    assert_eq!(found.result, CheckResult::Fail);
    assert_eq!(found.evidence, "127.0.0.2 from zen.example for 192.0.2.7");
}

#[tokio::test]
async fn ipv6_peers_are_asked_about_by_nibbles_and_mapped_ones_as_ipv4() {
    let settings = || lists(vec![list(About::Address)]);
    let (_, asked) = judged(settings(), Zone::default(), &from("[2001:db8::1]:25")).await;
    assert_eq!(asked, ["1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.example"]);
    let (_, asked) = judged(settings(), Zone::default(), &from("[::ffff:192.0.2.7]:25")).await;
    assert_eq!(asked, ["7.2.0.192.zen.example"]);
}

#[tokio::test]
async fn domains_are_asked_about_by_name_in_the_order_of_the_lists() {
    let settings = lists(vec![list(About::Sender), list(About::Hello), list(About::Address).score(-2.0)]);
    let zone = Zone::default()
        .listed("spam.example.zen.example", "127.0.1.2")
        .listed("7.2.0.192.zen.example", "127.0.0.3");
    let (verdicts, _) = judged(settings, zone, &from("192.0.2.7:25")).await;
    let results: Vec<_> = verdicts.iter().map(|v| v.result).collect();
    assert_eq!(results, [CheckResult::Fail, CheckResult::Neutral, CheckResult::Pass]);
    assert!(verdicts[0].evidence.contains("for sender spam.example"));
    assert!(verdicts[1].evidence.contains("for hello mail.spam.example"));
}

#[tokio::test]
async fn nobody_is_asked_about_accounts_private_addresses_and_what_is_no_name() {
    let all = || lists(vec![list(About::Address), list(About::Hello)]);
    let mut local = from("127.0.0.1:25");
    local.helo = "[127.0.0.1]".into();
    assert!(judged(all(), Zone::default(), &local).await.1.is_empty());
    let private = Settings { private: true, ..all() };
    assert_eq!(judged(private, Zone::default(), &local).await.1, ["1.0.0.127.zen.example"]);

    let mut author = from("192.0.2.7:25");
    author.account = Some(Account::new("bulk@spam.example".parse().unwrap()));
    assert!(judged(all(), Zone::default(), &author).await.1.is_empty());
    let strict = Settings { authenticated: true, ..all() };
    assert_eq!(judged(strict, Zone::default(), &author).await.1.len(), 2);
}

#[tokio::test]
async fn a_name_too_long_for_the_dns_is_not_asked() {
    let mut peer = from("192.0.2.7:25");
    peer.helo = format!("{}.example", ["a"; 120].join("."));
    let (verdicts, asked) = judged(lists(vec![list(About::Hello)]), Zone::default(), &peer).await;
    assert!(verdicts.is_empty() && asked.is_empty());
}
