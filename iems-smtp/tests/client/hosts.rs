//! Which host a message goes to, and when there is none.

use std::sync::Arc;

use iems_core::seam::ResolveError;
use iems_smtp::client::Hop;

use crate::support::*;

const GREETS: &str = "S: 220 mx
    C* EHLO
    S: 250 mx
    C: QUIT
    S: 221 bye";

async fn opened(world: World, hop: &str) -> (Result<(), String>, Vec<String>) {
    let world = Arc::new(world);
    let result = match open(&world, smtp(), hop).await {
        Ok(link) => {
            link.close().await;
            Ok(())
        }
        Err(reply) => Err(format!("{} {}", reply.code, reply.enhanced)),
    };
    world.settle().await;
    (result, world.dialed())
}

#[tokio::test]
async fn the_best_exchanger_first_then_the_next() {
    let world = World::new()
        .mx("d.example", &[(20, "b.example"), (10, "a.example"), (30, "c.example")])
        .host("a.example", &["192.0.2.1", "2001:db8::1"])
        .host_error("b.example", ResolveError::Temporary("away".into()))
        .host("c.example", &["192.0.2.3"])
        .server("192.0.2.1:25", "S: 554 not today\nC: QUIT\nCLOSE")
        .server("192.0.2.3:25", GREETS);
    let (result, dialed) = opened(world, "d.example").await;
    assert_eq!(result, Ok(()));
    assert_eq!(dialed, ["[2001:db8::1]:25", "192.0.2.1:25", "192.0.2.3:25"]);
}

#[tokio::test]
async fn without_an_exchanger_the_domain_itself() {
    let world = World::new().host("d.example", &["192.0.2.1"]).server("192.0.2.1:25", GREETS);
    assert_eq!(opened(world, "d.example").await, (Ok(()), vec!["192.0.2.1:25".into()]));
}

#[tokio::test]
async fn no_way_at_all() {
    let error = |domain: &str, error| World::new().mx_error(domain, error);
    for (world, wanted) in [
        (error("d.example", ResolveError::NoName), "550 5.1.2"),
        (error("d.example", ResolveError::Temporary("x".into())), "451 4.4.3"),
        (World::new().mx("d.example", &[(0, "")]), "556 5.1.10"),
        (World::new().mx("d.example", &[(10, "us.example")]), "550 5.4.6"),
        (World::new().mx("d.example", &[(10, "192.0.2.1")]), "550 5.4.4"),
        (World::new().host_error("d.example", ResolveError::NoRecords), "550 5.4.4"),
        (World::new().mx("d.example", &[(10, "a.example")]), "550 5.1.2"),
        (World::new().host("d.example", &["192.0.2.1"]), "451 4.4.1"),
    ] {
        let (result, _) = opened(world, "d.example").await;
        assert_eq!(result, Err(wanted.into()));
    }
}

#[tokio::test]
async fn a_refusal_is_final_only_if_everybody_refuses() {
    let both = || {
        World::new()
            .mx("d.example", &[(10, "a.example"), (20, "b.example")])
            .host("a.example", &["192.0.2.1"])
            .host("b.example", &["192.0.2.2"])
            .server("192.0.2.1:25", "S: 554 5.7.1 go away\nC: QUIT")
    };
    let (result, _) = opened(both(), "d.example").await;
    assert_eq!(result, Err("451 4.4.1".into()), "the other one is only down");
    let refusing = both().server("192.0.2.2:25", "S: 521 no mail here\nC: QUIT");
    assert_eq!(opened(refusing, "d.example").await.0, Err("521 5.3.2".into()));
}

#[tokio::test]
async fn tries_are_bounded() {
    let addresses: Vec<String> = (1..50).map(|n| format!("192.0.2.{n}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let world = World::new()
        .mx("d.example", &[(10, "a.example"), (20, "b.example")])
        .host("a.example", &addresses[..4])
        .host("b.example", &addresses);
    assert_eq!(opened(world, "d.example").await.1.len(), smtp().tries);
}

#[tokio::test]
async fn fixed_hops_ask_for_no_exchanger() {
    let world = World::new()
        .mx("relay.example", &[(10, "elsewhere.example")])
        .host("relay.example", &["192.0.2.9"])
        .server("192.0.2.9:2526", GREETS);
    assert_eq!(opened(world, "relay.example:2526").await.0, Ok(()));
    let typing_error = opened(World::new(), "relay.example:25").await.0;
    assert_eq!(typing_error, Err("451 4.1.2".into()), "waits to be mended");
    let shut = World::new().server("192.0.2.9:25", "S: 554 5.7.1 not you\nC: QUIT");
    assert_eq!(opened(shut, "[192.0.2.9]:25").await.0, Err("451 4.7.1".into()), "so does a closed door");
    let literal = Hop::Address("192.0.2.1".parse().unwrap(), None).to_string();
    assert_eq!(literal, domain("[192.0.2.1]").as_str());
    assert_eq!(opened(World::new().server("192.0.2.1:25", GREETS), &literal).await.0, Ok(()));
}
