//! Peers that read nothing, stall, or cut the connection at the worst moment: bounded in time and memory, and no message
//! half or twice.

use std::time::Duration;

use iems_smtp::server::Mode;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{House, options};

#[tokio::test]
async fn a_peer_that_never_reads_is_left_alone() {
    let mut options = options(Mode::Relay);
    options.timeouts.reply = Duration::from_millis(500);
    // Only what it does not read stops it.
    (options.limits.idle_commands, options.limits.hard_errors) = (u32::MAX, u32::MAX);
    (options.limits.soft_errors, options.max_size) = (u32::MAX, 1000);
    let house = House::new(options);
    let mut peer = house.connect().await;
    let (start, mut sent) = (Instant::now(), 0_usize);
    let commands = b"EHLO client.example\r\nNOOP\r\n".repeat(1000);
    loop {
        assert!(start.elapsed() < Duration::from_secs(30), "it is still listened to");
        match timeout(Duration::from_secs(20), peer.stream.write(&commands)).await.expect("an end") {
            Ok(octets) => sent += octets,
            Err(_) => break,
        }
    }
    // What the kernel holds for both sides, and what one connection may buffer; not all that could be said.
    assert!(sent < 32 << 20, "{sent} octets were taken");
    let mut other = house.connect().await;
    assert!(other.reply().await.starts_with("220"), "others are served");
}

#[tokio::test]
async fn a_peer_that_stalls_within_the_end_of_the_data_is_told_and_leaves_nothing() {
    let mut options = options(Mode::Relay);
    options.timeouts.data = Duration::from_millis(300);
    let house = House::new(options);
    for stall in
        ["Subject: x\r\n\r\nbody\r\n.\r", "Subject: x\r\n\r\nbody\r\n.", "Subject: x\r\n\r\nbody\r", ""]
    {
        let mut peer = house.connect().await;
        peer.send("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@test.example>\r\nDATA\r\n").await;
        while !peer.reply().await.starts_with("354") {}
        peer.send(stall).await;
        assert!(peer.reply().await.starts_with("421 4.4.2"), "{stall:?}");
        assert_eq!(peer.reply().await, "", "{stall:?}: closed");
    }
    assert!(house.delivered(0).await.is_empty());
}

#[tokio::test]
async fn a_message_octet_by_octet_is_one_message_while_it_is_fast_enough() {
    let house = House::new(options(Mode::Relay));
    let mut peer = house.connect().await;
    let all = "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@test.example>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.\r\n";
    peer.stream.set_nodelay(true).unwrap();
    for octet in all.bytes() {
        peer.stream.write_all(&[octet]).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    while !peer.reply().await.starts_with("354") {}
    assert!(peer.reply().await.starts_with("250 2.0.0 queued as "));
    assert_eq!(house.delivered(1).await.len(), 1);
}

#[tokio::test]
async fn a_connection_cut_right_behind_the_dot_leaves_one_message_at_most() {
    let house = House::new(options(Mode::Relay));
    let whole = "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@test.example>\r\nDATA\r\n";
    let text = "Subject: x\r\n\r\nbody\r\n.\r\n";
    let (mut whole_ones, mut cut_ones) = (0, 0);
    for round in 0..40 {
        let mut peer = house.connect().await;
        peer.send(whole).await;
        while !peer.reply().await.starts_with("354") {}
        // Now and then an octet is missing: then there must be none.
        let kept = text.len() - usize::from(round % 4 == 0);
        peer.send(&text[..kept]).await;
        match kept == text.len() {
            true => whole_ones += 1,
            false => cut_ones += 1,
        }
        // Reset, not end: what is under way is lost.
        peer.stream.set_zero_linger().unwrap();
        drop(peer);
    }
    sleep(Duration::from_millis(300)).await;
    let kept = house.delivered(0).await.len();
    assert!(kept <= whole_ones, "{kept} messages of {whole_ones}, and {cut_ones} that had no end");
}
