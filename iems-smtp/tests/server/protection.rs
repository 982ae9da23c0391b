//! TLS and authentication over real sockets.

use iems_smtp::server::{Listener, Mode};

use crate::support::{House, options};

/// `\0user\0pencil`.
const PLAIN: &str = "AUTH PLAIN AHVzZXIAcGVuY2ls";

#[tokio::test]
async fn submission_after_starttls() {
    let house = House::new(options(Mode::Submission));
    let mut clear = house.connect().await;
    clear.reply().await;
    clear.expect("EHLO client.example", "250 ").await;
    clear.expect("MAIL FROM:<user@test.example>", "530 5.7.0").await;
    clear.expect("STARTTLS", "220 2.0.0").await;
    let mut peer = house.handshake(clear).await.unwrap();
    peer.expect("MAIL FROM:<user@test.example>", "503").await;
    peer.expect("EHLO client.example", "250 ").await;
    peer.expect("AUTH PLAIN AHVzZXIAd3Jvbmc=", "535 5.7.8").await;
    peer.expect("AUTH PLAIN AGF3YXkAeA==", "454 4.7.0").await;
    peer.expect(PLAIN, "235 2.7.0").await;
    peer.expect("MAIL FROM:<other@test.example>", "553 5.7.1").await;
    peer.expect("MAIL FROM:<user@test.example>", "250").await;
    peer.expect("RCPT TO:<one@test.example>", "250").await;
    peer.expect("DATA", "354").await;
    peer.expect("Subject: x\r\n\r\nbody\r\n.", "250 2.0.0").await;
    peer.expect("QUIT", "221").await;
    let kept = house.delivered(1).await;
    assert!(kept[0].1.contains("with ESMTPSA id "), "{}", kept[0].1);
    assert!(kept[0].1.contains("Message-ID: "), "{}", kept[0].1);
}

#[tokio::test]
async fn what_is_pipelined_behind_starttls_never_acts() {
    let house = House::new(options(Mode::Relay));
    for injected in ["STARTTLS\r\nEHLO evil.example\r\n", "STARTTLS\r\nR"] {
        let mut peer = house.connect().await;
        peer.reply().await;
        peer.expect("EHLO client.example", "250 ").await;
        peer.send(injected).await;
        assert!(peer.reply().await.starts_with("503 5.5.1"));
        assert_eq!(peer.reply().await, "", "closed");
    }
}

#[tokio::test]
async fn octets_in_the_clear_instead_of_a_handshake_end_the_connection() {
    let house = House::new(options(Mode::Relay));
    let mut peer = house.connect().await;
    peer.reply().await;
    peer.expect("EHLO client.example", "250 ").await;
    peer.expect("STARTTLS", "220").await;
    peer.send("EHLO evil.example\r\nMAIL FROM:<a@b>\r\n").await;
    let alert = peer.reply_octets().await;
    assert!(!alert.windows(3).any(|w| w == b"250"), "{alert:?}");
}

#[tokio::test]
async fn implicit_tls() {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap().implicit_tls();
    let house = House::with(options(Mode::Submission), listener);
    let mut peer = house.handshake(house.connect().await).await.unwrap();
    assert!(peer.reply().await.starts_with("220"));
    peer.expect("EHLO client.example", "250 ").await;
    peer.expect("STARTTLS", "503").await;
    peer.expect("AUTH LOGIN", "334 VXNlcm5hbWU6").await;
    peer.expect("dXNlcg==", "334 UGFzc3dvcmQ6").await;
    peer.expect("cGVuY2ls", "235").await;
    peer.expect("QUIT", "221").await;
}

#[tokio::test]
async fn a_peer_on_this_machine_is_protected_as_it_is() {
    let house = House::new(options(Mode::Submission));
    let mut peer = house.connect().await;
    peer.reply().await;
    peer.expect("EHLO client.example", "250 ").await;
    peer.expect(PLAIN, "235").await;
    peer.expect("MAIL FROM:<user@test.example>", "250").await;
}
