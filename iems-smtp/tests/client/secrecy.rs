//! Messages that must be protected all the way (RFC 8689): only to the right host, and only if it promises the same.

use std::sync::Arc;

use iems_core::deliver::Outcome;
use iems_core::message::{Envelope, ReversePath, Secrecy};
use iems_smtp::client::{Authorities, ClientSettings, PeerWire, PeerWires};

use crate::policies::{AT, BODY, OFFER, TLSA, mx, record};
use crate::support::*;

const PROMISED: &str = "C: EHLO us.example\nS: 250-mx\\n250 REQUIRETLS";
const SENT: &str = "C: MAIL FROM:<s@us.example> REQUIRETLS\nS: 250 a\nC* RCPT\nS: 250 b\nC: DATA
    S: 354 c\nTEXT: Subject: x\\n\\nbody\\n\nS: 250 2.0.0 safe\nC: QUIT\nS: 221 bye";

/// What becomes of a message with REQUIRETLS over a link that was opened for any.
async fn outcome(world: World, settings: ClientSettings, hop: &str, sender: ReversePath) -> String {
    let world = Arc::new(world);
    let mut link = open(&world, settings, hop).await.expect("a link");
    let mut attempt = message(BODY, &["a@d.example"]).await;
    attempt.envelope = Arc::new(Envelope { secrecy: Secrecy::Required, ..Envelope::new(sender) });
    let outcomes = link.transmit(&attempt).await;
    link.close().await;
    if !matches!(outcomes[0], Outcome::Deferred(_)) {
        world.settle().await;
    }
    let reply = outcomes[0].reply();
    format!("{}: {reply} ({})", short(&outcomes)[0], reply.cause.clone().unwrap_or_default())
}

fn sender() -> ReversePath {
    ReversePath::Mailbox(mailbox("s@us.example"))
}

#[tokio::test]
async fn a_proven_host_that_promises_the_same_gets_it_over_the_link_there_is() {
    let site = mx();
    let world = World::new().mx("d.example", &[(10, "mx.d.example")]).host("mx.d.example", &["192.0.2.1"]);
    let world = world.server(AT, &format!("{OFFER}\n{PROMISED}\n{SENT}")).tls(site.acceptor.clone()).signed();
    let world = world.tlsa(TLSA, Ok(vec![record(3, 1, 1, &site.key)]));
    let said = outcome(world, smtp(), "d.example", sender()).await;
    assert!(said.starts_with("done 250 2.0.0") && said.contains("it is the right host"), "{said}");
}

#[tokio::test]
async fn another_exchanger_gets_it_where_the_first_does_not_promise() {
    let site = mx();
    let bare = format!("{OFFER}\nC: EHLO us.example\nS: 250 mx\nC: QUIT\nS: 221 bye");
    let world = World::new()
        .mx("d.example", &[(10, "mx.d.example"), (20, "b.d.example")])
        .host("mx.d.example", &["192.0.2.1"])
        .host("b.d.example", &["192.0.2.2"])
        .server(AT, &bare)
        .server(AT, &bare)
        .server("192.0.2.2:25", &format!("{OFFER}\n{PROMISED}\n{SENT}"))
        .tls(site.acceptor.clone())
        .signed()
        .tlsa(TLSA, Ok(vec![record(3, 1, 1, &site.key)]))
        .tlsa("_25._tcp.b.d.example", Ok(vec![record(3, 1, 1, &site.key)]));
    let said = outcome(world, smtp(), "d.example", sender()).await;
    assert!(said.starts_with("done") && said.contains("host b.d.example"), "{said}");
}

#[tokio::test]
async fn where_nobody_does_it_fails_and_says_why() {
    let site = mx();
    let quit = "C: QUIT\nS: 221 bye";
    let plain = format!("S: 220 mx\nC* EHLO\nS: 250-mx\\n250 REQUIRETLS\n{quit}");
    let bare = format!("{OFFER}\nC: EHLO us.example\nS: 250 mx\n{quit}");
    let promised = format!("{OFFER}\n{PROMISED}\n{quit}");
    for (script, signed, detail, why) in [
        // Whoever promises it in the clear promises nothing.
        (&plain, false, 10, "it offers no TLS"),
        (&bare, true, 30, "it does not offer REQUIRETLS"),
        (&promised, false, 30, "nothing proves that it is the right host"),
    ] {
        let world =
            World::new().mx("d.example", &[(10, "mx.d.example")]).host("mx.d.example", &["192.0.2.1"]);
        let world = world.server(AT, script).server(AT, script).tls(site.acceptor.clone());
        let world = match signed {
            true => world.signed().tlsa(TLSA, Ok(vec![record(3, 1, 1, &site.key)])),
            false => world,
        };
        let said = outcome(world, smtp(), "d.example", sender()).await;
        assert!(said.starts_with(&format!("failed 550 5.7.{detail}")) && said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_host_of_the_administrator_must_show_a_good_certificate() {
    let site = mx();
    let hop = "mx.d.example:25";
    let first = format!("{OFFER}\n{PROMISED}\nC: QUIT\nS: 221 bye");
    let world = |second: &str| {
        let world = World::new().host("mx.d.example", &["192.0.2.1"]).tls(site.acceptor.clone());
        world.server(AT, &first).server(AT, second)
    };
    let mut wire = PeerWire::default();
    wire.tls_authorities = Some(Authorities::from_pem(site.pem.as_bytes()).unwrap());
    let mut settings = smtp();
    settings.peers = PeerWires::new().with(&hop.parse().unwrap(), wire);
    let said = outcome(world(&format!("{OFFER}\n{PROMISED}\n{SENT}")), settings, hop, sender()).await;
    assert!(said.starts_with("done") && said.contains("certificate good for mx.d.example"), "{said}");
    let said = outcome(world(OFFER), smtp(), hop, sender()).await;
    assert!(
        said.starts_with("deferred 451 4.7.5") && said.contains("REQUIRETLS"),
        "a certificate can be mended: {said}"
    );
}

#[tokio::test]
async fn a_report_about_such_a_message_goes_as_it_can() {
    let world = World::new().mx("d.example", &[(10, "mx.d.example")]).host("mx.d.example", &["192.0.2.1"]);
    let sent = SENT.replace("<s@us.example> REQUIRETLS", "<>");
    let world = world.server(AT, &format!("S: 220 mx\nC* EHLO\nS: 250 mx\n{sent}"));
    let said = outcome(world, smtp(), "d.example", ReversePath::Null).await;
    assert!(said.starts_with("done"), "{said}");
}

#[tokio::test]
async fn delivery_within_this_machine_needs_no_promise() {
    let sent = SENT.replace(" REQUIRETLS", "");
    let world = World::new().server("127.0.0.1:24", &format!("S: 220 mx\nC* LHLO\nS: 250 mx\n{sent}"));
    let said = outcome(world, lmtp(), "[127.0.0.1]:24", sender()).await;
    assert!(said.starts_with("done"), "{said}");
    let far = "S: 220 mx\nC* LHLO\nS: 250 mx\nC: QUIT";
    let world =
        World::new().server("192.0.2.1:24", &format!("{far}\nS: 221 bye")).server("192.0.2.1:24", far);
    let said = outcome(world, lmtp(), "[192.0.2.1]:24", sender()).await;
    assert!(said.starts_with("deferred 451 4.7.4"), "{said}");
}
