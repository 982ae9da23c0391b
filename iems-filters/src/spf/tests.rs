//! What the judge writes down, against a DNS of a few names. The evaluator itself passes the public suite (`tests/spf_suite.rs`).

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use iems_core::preprocess::Stage;
use iems_core::seam::{Answer, Mx, ResolveError, Resolver};

use super::{Settings, Spf};
use crate::testing::{Hands, Peer, Zone};

async fn judged(peer: Peer) -> String {
    let zone = Zone::default()
        .with("far.example", "TXT", &["other", "v=spf1 ip4:192.0.2.0/28 -all exp=why.far.example"])
        .with("why.far.example", "TXT", &["%{i} is not ours"])
        .with("mail.far.example", "TXT", &["v=spf1 a -all"])
        .with("mail.far.example", "A", &["192.0.2.7"])
        .with("soft.example", "TXT", &["v=spf1 ~all"])
        .with("bad.example", "TXT", &["v=spf1 mox"])
        .with("silent.example", "TXT", &["!"]);
    let judge = Spf::new(Settings::default(), Arc::new(zone), Arc::new(Hands::default()));
    peer.judged(&judge, Stage::Mail).await
}

#[tokio::test]
async fn both_identities_get_a_verdict() {
    assert_eq!(
        judged(Peer::new()).await,
        "spf/helo=pass 0 pass for mail.far.example: a in the record of mail.far.example\n\
         spf/mail=pass 0 pass for bob@far.example: ip4:192.0.2.0/28 in the record of far.example"
    );
}

#[tokio::test]
async fn a_failure_tells_what_the_domain_says() {
    let found = judged(Peer::new().at("198.51.100.1").hello("other.example")).await;
    assert_eq!(
        found,
        "spf/mail=fail 4 fail for bob@far.example: -all in the record of far.example; the domain says: 198.51.100.1 is not ours"
    );
}

#[tokio::test]
async fn doubt_and_trouble_are_no_failures() {
    for (path, wanted) in [
        ("<a@soft.example>", "spf/mail=neutral 1 softfail for a@soft.example"),
        ("<a@bad.example>", "spf/mail=permerror 0 permerror for a@bad.example: \"mox\" in the record"),
        ("<a@silent.example>", "spf/mail=temperror 0 temperror for a@silent.example"),
        ("<a@missing.example>", "spf/mail=neutral 0 none for a@missing.example"),
        ("<a@[192.0.2.7]>", "spf/mail=neutral 0 none for a@[192.0.2.7]"),
    ] {
        let found = judged(Peer::new().hello("other.example").from(path)).await;
        assert!(found.starts_with(wanted), "{found}");
    }
}

#[tokio::test]
async fn without_a_sender_the_name_stands_for_it() {
    let found = judged(Peer::new().from("<>")).await;
    assert!(found.contains("spf/mail=pass 0 pass for postmaster@mail.far.example"), "{found}");
}

#[tokio::test]
async fn own_machines_and_private_addresses_are_not_judged() {
    let mut own = Peer::new();
    own.trusted = true;
    assert_eq!(judged(own).await, "");
    assert_eq!(judged(Peer::new().at("10.1.1.1")).await, "");
}

/// A DNS that never answers.
struct Silence;

#[async_trait]
impl Resolver for Silence {
    async fn mx(&self, _: &str) -> Result<Answer<Mx>, ResolveError> {
        std::future::pending().await
    }
    async fn addresses(&self, _: &str) -> Result<Answer<IpAddr>, ResolveError> {
        std::future::pending().await
    }
    async fn txt(&self, _: &str) -> Result<Answer<String>, ResolveError> {
        std::future::pending().await
    }
    async fn names(&self, _: IpAddr) -> Result<Answer<String>, ResolveError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let judge = Spf::new(Settings::default(), Arc::new(Silence), Arc::new(Hands::default()));
    let found = Peer::new().judged(&judge, Stage::Mail).await;
    assert_eq!(found, "spf/mail=temperror 0 temperror: no answer within 20 s");
}
