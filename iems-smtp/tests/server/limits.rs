//! Bounds, times, defects and the end of the server.

use std::time::{Duration, Instant};

use iems_smtp::server::Mode;

use crate::support::{House, Peer, options};

async fn greeted(house: &House) -> Peer<tokio::net::TcpStream> {
    let mut peer = house.connect().await;
    assert!(peer.reply().await.starts_with("220"));
    peer
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let mut bounded = options(Mode::Relay);
    bounded.limits.connections = 2;
    let house = House::new(bounded);
    let (first, _second) = (greeted(&house).await, greeted(&house).await);
    assert!(house.connect().await.reply().await.starts_with("421 4.3.2"));
    drop(first);
    for _ in 0..100 {
        if house.connect().await.reply().await.starts_with("220") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the place is never given back");
}

#[tokio::test]
async fn other_bounds_count_for_whoever_comes_next() {
    let house = House::new(options(Mode::Relay));
    let mut early = greeted(&house).await;
    house.server.adjust(|options| {
        options.limits.connections = 2;
        options.max_size = 1000;
        options.mode = Mode::Lmtp;
    });
    let mut late = greeted(&house).await;
    for (peer, wanted) in [(&mut early, "250"), (&mut late, "552 5.3.4")] {
        peer.send("EHLO x\r\n").await;
        assert!(peer.reply().await.starts_with("250"));
        peer.send("MAIL FROM:<a@b.example> SIZE=2000\r\n").await;
        let reply = peer.reply().await;
        assert!(reply.starts_with(wanted), "{wanted}: {reply}");
    }
    assert!(house.connect().await.reply().await.starts_with("421 4.3.2"), "the first two count");
    house.server.adjust(|options| options.limits.connections = 3);
    greeted(&house).await;
}

#[tokio::test]
async fn one_address_has_its_own_bound() {
    let mut bounded = options(Mode::Relay);
    bounded.limits.per_address = 1;
    bounded.limits.count_loopback = true;
    let house = House::new(bounded);
    let _first = greeted(&house).await;
    assert!(house.connect().await.reply().await.starts_with("421 4.3.2"));
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let mut hasty = options(Mode::Relay);
    hasty.timeouts.command = Duration::from_millis(200);
    let house = House::new(hasty);
    let mut peer = greeted(&house).await;
    for octet in "EHLO x".chars() {
        peer.send(&octet.to_string()).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let start = Instant::now();
    assert!(peer.reply().await.starts_with("421 4.4.2"));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(peer.reply().await, "");
}

#[tokio::test]
async fn who_dribbles_a_message_is_let_go() {
    let mut hasty = options(Mode::Relay);
    hasty.timeouts.rate_grace = Duration::from_millis(200);
    let house = House::new(hasty);
    let mut peer = greeted(&house).await;
    peer.expect("HELO c", "250").await;
    peer.expect("MAIL FROM:<a@b.example>", "250").await;
    peer.expect("RCPT TO:<one@test.example>", "250").await;
    peer.expect("DATA", "354").await;
    let start = Instant::now();
    peer.send("Subject: slow").await;
    assert!(peer.reply().await.starts_with("421 4.4.2"));
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert_eq!(house.engine.queue().list(&Default::default(), 10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_defect_in_one_connection_leaves_the_others_alone() {
    let house = House::new(options(Mode::Relay));
    let mut other = greeted(&house).await;
    let mut fragile = greeted(&house).await;
    assert_eq!(fragile.ask("EHLO panic.example").await, "", "closed");
    other.expect("EHLO client.example", "250 ").await;
    greeted(&house).await.expect("EHLO client.example", "250 ").await;
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_progress() {
    let house = House::new(options(Mode::Relay));
    let mut idle = greeted(&house).await;
    let mut busy = greeted(&house).await;
    busy.expect("HELO c", "250").await;
    busy.expect("MAIL FROM:<a@b.example>", "250").await;
    busy.expect("RCPT TO:<one@test.example>", "250").await;
    busy.expect("DATA", "354").await;
    let engine = &house.engine;
    let shutdown = engine.shutdown(Duration::from_secs(10));
    let talk = async {
        assert!(idle.reply().await.starts_with("421 4.3.2"));
        busy.expect("Subject: last\r\n\r\n.", "250 2.0.0").await;
        assert!(busy.reply().await.starts_with("421 4.3.2"));
        assert_eq!(busy.reply().await, "");
    };
    tokio::join!(shutdown, talk);
    assert!(tokio::net::TcpStream::connect(house.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_thousand_idle_connections_are_served_all_the_same() {
    let house = House::new(options(Mode::Relay));
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(house.connect().await);
    }
    for peer in &mut idle {
        assert!(peer.reply().await.starts_with("220"));
    }
    for peer in idle.iter_mut().step_by(100) {
        peer.expect("HELO c", "250").await;
    }
}
