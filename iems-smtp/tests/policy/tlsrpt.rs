//! What was counted about a domain is told once, to whoever the domain names, by mail and by HTTPS.

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use iems_core::Engine;
use iems_core::deliver::{Arrival, Attempt, Delivery, DeliveryAgent, Outcome};
use iems_core::message::{ChannelId, Domain, EnhancedStatus, Mailbox, Reply};
use iems_core::preprocess::Policy;
use iems_core::seam::{
    Account, Directory, DirectoryError, Resolution, ResolveError, ScramVerifier, SeededRandom, Target,
};
use iems_core::storage::{MemoryStorage, Scan, Storage};
use iems_smtp::tlsrpt::{
    FailureKind, FailureSeen, Means, PolicyKind, PolicySeen, Reporter, Reporting, Tally,
};
use serde_json::Value;

use crate::support::*;

const RECORD: &str = "_smtp._tls.d.example";

/// Everybody at `b.example` has a box.
struct Boxes;

#[async_trait]
impl Directory for Boxes {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        let (agent, mailbox) = (ChannelId::new("box"), mailbox.clone());
        Ok(Resolution::Targets(vec![Target::Agent { agent, mailbox, detail: None }]))
    }

    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        Ok(domain.as_str() == "b.example")
    }

    async fn may_send_as(&self, _: &Account, _: &Mailbox) -> Result<bool, DirectoryError> {
        Ok(true)
    }

    async fn check_password(&self, _: &str, _: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }

    async fn scram(&self, _: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        Ok(None)
    }

    async fn policy(&self, _: &Mailbox) -> Result<Policy, DirectoryError> {
        Ok(Policy::new())
    }
}

/// Keeps sender and text of what it gets.
struct Keeper(ChannelId, Arc<Mutex<Vec<(String, String)>>>);

#[async_trait]
impl DeliveryAgent for Keeper {
    fn id(&self) -> &ChannelId {
        &self.0
    }

    async fn accepts(&self, _: &Mailbox, _: u64) -> Result<(), Reply> {
        Ok(())
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let body = attempt.body.reader(&*attempt.blobs).rest().await.unwrap();
        let sender = attempt.envelope.sender.to_string();
        self.1.lock().unwrap().push((sender, String::from_utf8(body).unwrap()));
        let reply = Reply::new(250, EnhancedStatus::new(2, 0, 0), "kept");
        let outcomes = vec![Outcome::Done(Arrival::Delivered, reply); attempt.destinations.len()];
        Delivery { outcomes, ..Delivery::default() }
    }
}

struct World {
    web: Arc<Web>,
    clock: Arc<SetClock>,
    storage: Storage,
    tally: Arc<Tally>,
    reporter: Reporter,
    engine: Engine,
    kept: Arc<Mutex<Vec<(String, String)>>>,
}

impl World {
    fn new() -> Self {
        let (web, roots) = Web::new(&["r.example"]);
        web.page("201 Created", "text/plain", "");
        let (clock, storage) = (SetClock::new(), MemoryStorage::new().storage());
        let tally = Arc::new(Tally::new(storage.store.clone(), clock.clone()));
        let way = Arc::new(Way(web.clone()));
        let means = Means {
            store: storage.store.clone(),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
            resolver: way.clone(),
            dialer: way,
        };
        let from = "tls@b.example".parse().unwrap();
        let reporting = Reporting { organization: "B".into(), contact: "help@b.example".into(), from };
        let reporter = Reporter::new(tally.clone(), reporting, means, &roots).unwrap();
        let kept = Arc::default();
        let engine = Engine::builder("mx.b.example", storage.clone(), Arc::new(Boxes))
            .clock(clock.clone())
            .agent(Arc::new(Keeper(ChannelId::new("box"), Arc::clone(&kept))))
            .build()
            .unwrap();
        Self { web, clock, storage, tally, reporter, engine, kept }
    }

    async fn count(&self, good: usize, bad: usize) {
        let policy = Arc::new(PolicySeen {
            kind: PolicyKind::Tlsa,
            domain: "mx.d.example".into(),
            strings: vec!["3 1 1 AB".into()],
            hosts: vec!["mx.d.example".into()],
        });
        let failure = FailureSeen {
            kind: FailureKind::ValidationFailure,
            host: Some("mx.d.example".into()),
            ip: None,
            text: "not\r\nit".into(),
        };
        for _ in 0..good {
            self.tally.count("D.example", &policy, None);
        }
        for _ in 0..bad {
            self.tally.count("d.example.", &policy, Some(failure.clone()));
        }
        self.tally.flush().await.unwrap();
    }

    async fn send(&self) -> bool {
        self.reporter.send(&self.engine.intake(), false).await
    }

    async fn rows(&self) -> usize {
        self.storage.store.scan(Scan::prefix(b"Tr", 100)).await.unwrap().len()
    }

    fn mails(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}

#[tokio::test]
async fn a_day_is_told_when_it_is_over_and_only_once() {
    let world = World::new();
    world.web.text(RECORD, Ok("v=TLSRPTv1; rua=mailto:reports@b.example,https://r.example/v1/tls?x=y"));
    world.count(2, 1).await;
    world.count(1, 0).await;
    assert!(!world.send().await);
    assert_eq!((world.mails(), world.rows().await), (0, 3), "the day is not over");
    world.clock.pass(hours(13));
    world.count(0, 1).await;
    assert!(!world.send().await);
    assert!(!world.send().await);
    assert_eq!((world.mails(), world.rows().await), (1, 2), "today's are left");
    let (sender, text) = world.kept.lock().unwrap()[0].clone();
    assert!(sender.is_empty() || sender == "<>", "{sender}");
    assert!(
        text.contains("TLS-Report-Domain: d.example\r\n") && text.contains("report-type=\"tlsrpt\""),
        "{text}"
    );
    let asked = world.web.asked();
    assert_eq!(asked.len(), 1);
    let at = asked[0].windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&asked[0][..at]).into_owned();
    assert!(head.starts_with("POST /v1/tls?x=y HTTP/1.1\r\nHost: r.example\r\n"), "{head}");
    assert!(head.contains("Content-Type: application/tlsrpt+gzip"), "{head}");
    let mut json = String::new();
    flate2::read::GzDecoder::new(&asked[0][at + 4..]).read_to_string(&mut json).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let policy = &json["policies"][0];
    assert_eq!(policy["summary"]["total-successful-session-count"], 3);
    assert_eq!(policy["summary"]["total-failure-session-count"], 1);
    assert_eq!(policy["failure-details"][0]["failure-reason-code"], "notit");
    assert_eq!(policy["policy"]["policy-type"], "tlsa");
}

#[tokio::test]
async fn what_waits_can_be_seen_and_sent_at_once() {
    let world = World::new();
    world.web.text(RECORD, Ok("v=TLSRPTv1; rua=https://r.example/"));
    world.count(2, 1).await;
    world.clock.pass(hours(24));
    world.count(4, 0).await;
    let waiting = world.reporter.waiting().await.unwrap();
    let seen: Vec<_> = waiting.iter().map(|one| (one.day.to_string(), one.policies[0].successes)).collect();
    assert_eq!(seen, [("2026-10-04".to_owned(), 2), ("2026-10-05".to_owned(), 4)]);
    assert_eq!(waiting[0].policies[0].failures[0].1, 1);
    assert!(!world.reporter.send(&world.engine.intake(), true).await);
    assert_eq!((world.web.asked().len(), world.rows().await), (2, 0));
    assert!(world.reporter.waiting().await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_does_not_ask_is_not_told() {
    let world = World::new();
    world.count(1, 1).await;
    world.clock.pass(hours(13));
    assert!(!world.send().await);
    assert_eq!((world.mails(), world.rows().await), (0, 0));
}

#[tokio::test]
async fn what_cannot_be_sent_is_tried_again_and_not_for_ever() {
    let world = World::new();
    world.web.text(RECORD, Err(ResolveError::Temporary("away".into())));
    world.count(1, 0).await;
    world.clock.pass(hours(13));
    assert!(world.send().await);
    world.web.text(RECORD, Ok("v=TLSRPTv1; rua=https://r.example/"));
    world.web.page("503 Away", "text/plain", "");
    assert!(world.send().await);
    assert_eq!(world.rows().await, 2);
    world.clock.pass(hours(24 * 4));
    assert!(!world.send().await);
    assert_eq!(world.rows().await, 0);
}

#[tokio::test]
async fn reports_about_nothing_but_themselves_come_to_an_end() {
    let world = World::new();
    world.web.text(RECORD, Ok("v=TLSRPTv1; rua=mailto:reports@b.example"));
    for _ in 0..12 {
        world.count(0, 1).await;
        world.clock.pass(hours(24));
        assert!(!world.send().await);
    }
    assert_eq!(world.mails(), 7);
    world.count(1, 1).await;
    world.clock.pass(hours(24));
    assert!(!world.send().await);
    assert_eq!(world.mails(), 8, "a good session is news");
}

#[tokio::test]
async fn counters_are_bounded() {
    let world = World::new();
    let (strings, hosts) = (Vec::new(), Vec::new());
    let policy = PolicySeen { kind: PolicyKind::NoPolicyFound, domain: "d.example".into(), strings, hosts };
    let policy = Arc::new(policy);
    for at in 0..25_000 {
        world.tally.count(&format!("d{at}.example"), &policy, None);
    }
    world.tally.flush().await.unwrap();
    let rows = world.storage.store.scan(Scan::prefix(b"Tr", 100_000)).await.unwrap().len();
    assert_eq!(rows, 40_000, "20,000 counters, each with its policy");
}
