//! Messages by each way in: what is accepted is delivered, with what the way adds.

use iems_smtp::server::{Listener, Mode};

use crate::support::{House, Peer, options};

#[tokio::test]
async fn a_message_by_smtp() {
    let house = House::new(options(Mode::Relay));
    let mut peer = house.connect().await;
    assert!(peer.reply().await.starts_with("220 mx.test.example ESMTP"));
    peer.expect("EHLO client.example", "250 ").await;
    peer.expect("MAIL FROM:<a@b.example>", "250 2.1.0").await;
    peer.expect("RCPT TO:<nobody@test.example>", "550 5.1.1").await;
    peer.expect("RCPT TO:<x@elsewhere.example>", "550 5.").await;
    peer.expect("RCPT TO:<one@test.example>", "250 2.1.5").await;
    peer.expect("DATA", "354").await;
    peer.expect("Subject: x\r\n\r\n..dot\r\n.", "250 2.0.0 queued as ").await;
    peer.expect("QUIT", "221").await;
    assert_eq!(peer.reply().await, "", "closed");
    let kept = house.delivered(1).await;
    assert_eq!(kept[0].0, "one@test.example");
    assert!(kept[0].1.ends_with("Subject: x\r\n\r\n.dot\r\n"), "{}", kept[0].1);
    assert!(kept[0].1.contains("with ESMTP id "), "{}", kept[0].1);
}

#[tokio::test]
async fn everything_pipelined_in_one_write() {
    let house = House::new(options(Mode::Relay));
    let mut peer = house.connect().await;
    let envelope = "MAIL FROM:<a@b.example>\r\nRCPT TO:<one@test.example>\r\n";
    peer.send(&format!(
        "EHLO c\r\n{envelope}BDAT 3\r\na\r\nBDAT 2 LAST\r\nb\n{envelope}BDAT 3 LAST\r\nc\r\nQUIT\r\n"
    ))
    .await;
    for wanted in [
        "220",
        "250 ",
        "250 2.1.0",
        "250 2.1.5",
        "250 2.0.0 3",
        "550 5.6.0",
        "250",
        "250",
        "250 2.0.0",
        "221",
    ] {
        let reply = peer.reply().await;
        assert!(reply.starts_with(wanted), "{reply}, wanted {wanted}");
    }
    assert_eq!(house.delivered(1).await.len(), 1);
}

#[tokio::test]
async fn a_large_message_in_many_pieces() {
    let house = House::new(options(Mode::Relay));
    let mut peer = house.connect().await;
    peer.send("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@test.example>\r\nDATA\r\n").await;
    while !peer.reply().await.starts_with("354") {}
    let text = "0123456789 .. \r\n..stuffed\r\n".repeat(40_000);
    peer.expect(&format!("Subject: large\r\n\r\n{text}."), "250 2.0.0").await;
    let kept = house.delivered(1).await;
    assert!(kept[0].1.ends_with(&text.replace("\r\n..", "\r\n.")));
}

#[cfg(unix)]
#[tokio::test]
async fn lmtp_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lmtp");
    drop(Listener::bind_unix(&path).unwrap());
    let listener = Listener::bind_unix(&path).expect("a socket nobody listens on is replaced");
    assert!(Listener::bind_unix(&path).is_err(), "one that somebody listens on is not");
    let house = House::with(options(Mode::Lmtp), listener);
    let mut peer = Peer::new(tokio::net::UnixStream::connect(&path).await.unwrap());
    assert!(peer.reply().await.starts_with("220 mx.test.example LMTP"));
    peer.expect("LHLO client.example", "250 ").await;
    peer.expect("MAIL FROM:<>", "250").await;
    peer.expect("RCPT TO:<one@test.example>", "250").await;
    peer.expect("RCPT TO:<nobody@test.example>", "550").await;
    peer.expect("RCPT TO:<two@test.example>", "250").await;
    peer.expect("DATA", "354").await;
    peer.expect("Subject: x\r\n\r\n.", "250 2.0.0").await;
    assert!(peer.reply().await.starts_with("250 2.0.0"), "one for each");
    peer.expect("QUIT", "221").await;
    let kept = house.delivered(2).await;
    assert!(kept[0].1.contains("with LMTP id "), "{}", kept[0].1);
}
