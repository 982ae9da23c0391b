//! Messages whose senders waive protection (`TLS-Required: No`, RFC 8689 section 4.2.2): what a domain publishes stops none of them.

use std::sync::Arc;

use iems_core::deliver::Channel;
use iems_core::message::{ChannelId, NextHop};
use iems_smtp::client::{ClientSettings, PeerWire, PeerWires, TlsLevel};

use crate::policies::{AT, BODY, OFFER, SENT, TLSA, mx, record};
use crate::support::*;

/// What comes of a message by the channel for such messages.
async fn outcome(world: World, settings: ClientSettings) -> Result<String, String> {
    let world = Arc::new(world);
    let usual = channel(&world, settings).with_waiving(ChannelId::new("optional"));
    let waiving = usual.for_waived().expect("another channel");
    assert_eq!(usual.waiving().map(ChannelId::as_str), Some("optional"));
    assert_eq!((waiving.id().as_str(), waiving.waiving()), ("optional", None));
    let mut link = waiving.open(&NextHop::new("d.example")).await.map_err(|reply| reply.to_string())?;
    let attempt = message(BODY, &["a@d.example"]).await;
    let outcomes = link.transmit(&attempt).await;
    assert!(link.is_reusable());
    link.close().await;
    if world.dialed().len() == 1 {
        world.settle().await; // where a handshake is broken off, the server has a complaint
    }
    let reply = outcomes[0].reply();
    Ok(format!("{}: {reply} ({})", short(&outcomes)[0], reply.cause.clone().unwrap_or_default()))
}

fn world() -> World {
    World::new().mx("d.example", &[(10, "mx.d.example")]).host("mx.d.example", &["192.0.2.1"]).signed()
}

#[tokio::test]
async fn a_wrong_certificate_is_taken_when_none_is_right() {
    let site = mx();
    let wrong = vec![record(3, 1, 1, b"another")];
    let full = format!("{OFFER}\n{SENT}");
    let world = world().server(AT, OFFER).server(AT, &full).tls(site.acceptor.clone()).tlsa(TLSA, Ok(wrong));
    let said = outcome(world, smtp()).await.unwrap();
    assert!(said.starts_with("done 250") && said.contains("TLS-Required: No"), "{said}");
    assert!(said.contains("TLSv1.3") && said.contains("certificate not looked at"), "{said}");
}

#[tokio::test]
async fn what_is_published_is_followed_where_it_can_be() {
    let site = mx();
    let right = vec![record(3, 1, 1, &site.key)];
    let full = format!("{OFFER}\n{SENT}");
    let world = world().server(AT, &full).tls(site.acceptor.clone()).tlsa(TLSA, Ok(right));
    let said = outcome(world, smtp()).await.unwrap();
    assert!(said.contains("verified by DANE") && !said.contains("TLS-Required"), "{said}");
}

#[tokio::test]
async fn it_goes_in_the_clear_where_there_is_no_tls() {
    let clear = "S: 220 mx\nC: EHLO us.example\nS: 250 mx";
    let letter = SENT.strip_prefix("C: EHLO us.example\nS: 250 mx\n").expect("a dialogue after TLS");
    let world = world()
        .server(AT, &format!("{clear}\nC: QUIT"))
        .server(AT, &format!("{clear}\n{letter}"))
        .tlsa(TLSA, Ok(vec![record(3, 1, 1, b"any")]));
    let said = outcome(world, smtp()).await.unwrap();
    assert!(said.starts_with("done 250") && said.contains("in the clear"), "{said}");
}

/// Rules of the administrator are no policy of the recipient.
#[tokio::test]
async fn rules_of_ours_hold_for_it_too() {
    let clear = "S: 220 mx\nC: EHLO us.example\nS: 250 mx\nC: QUIT";
    for level in [TlsLevel::Encrypted, TlsLevel::Verified, TlsLevel::DaneOnly] {
        let mut wire = PeerWire::default();
        wire.tls = Some(level);
        let mut settings = smtp();
        settings.peers = PeerWires::new().with(&"d.example".parse().unwrap(), wire);
        let world = world().server(AT, clear).tlsa(TLSA, Ok(vec![record(3, 1, 1, b"any")]));
        let said = outcome(world, settings).await.unwrap_err();
        assert!(said.starts_with("451 4.7.4"), "{level:?}: {said}");
    }
}

/// A host that cannot be reached is tried once: that has nothing to do with TLS.
#[tokio::test]
async fn other_trouble_is_not_tried_twice() {
    let busy = "S: 421 4.3.2 come again";
    let world = world().server(AT, busy).tlsa(TLSA, Ok(vec![record(3, 1, 1, b"any")]));
    let said = outcome(world, smtp()).await.unwrap_err();
    assert!(said.starts_with("421 4.3.2"), "{said}");
}
