//! Logging in to a smart host: where, how, and that nothing is sent without.

use std::sync::Arc;

use iems_core::deliver::Channel;
use iems_core::message::NextHop;
use iems_core::seam::sasl::Password;
use iems_smtp::client::{ClientSettings, Login, Logins, TlsLevel};

use crate::support::*;

const HERE: &str = "127.0.0.1:587";
const HOP: &str = "[127.0.0.1]:587";
const FAR: &str = "192.0.2.1:587";
const FAR_HOP: &str = "[192.0.2.1]:587";
const HELLO: &str = "S: 220 mx\nC: EHLO us.example\nS: 250-mx\\n250 AUTH";
const SENT: &str = "C: MAIL FROM:<s@us.example> AUTH=<>\nS: 250 a\nC* RCPT\nS: 250 b\nC: DATA\nS: 354 c
    TEXT: Subject: x\\n\\nbody\\n\nS: 250 2.0.0 safe\nC: QUIT\nS: 221 bye";

fn login(password: &str) -> Login {
    Login::new("ann", Password::from(password.to_owned())).unwrap()
}

fn logins(hop: &str, password: &str) -> Logins {
    Logins::new().with(NextHop::new(hop), login(password))
}

fn settings(hop: &str) -> ClientSettings {
    let mut settings = smtp();
    settings.logins = logins(hop, "secret");
    settings
}

async fn refusal(script: &str) -> String {
    let world = Arc::new(World::new().server(HERE, script));
    let reply = open(&world, settings(HOP), HOP).await.err().expect("no link");
    world.settle().await;
    assert_eq!(world.dialed().len(), 1);
    assert!(!format!("{reply:?}").contains("secret"), "{reply:?}");
    reply.to_string()
}

#[tokio::test]
async fn mail_follows_the_login() {
    let plain = "LOGIN PLAIN\nC: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 235 2.7.0 ok";
    let login =
        "LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YW5u\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 ok";
    for exchange in [plain, login] {
        let world = Arc::new(World::new().server(HERE, &format!("{HELLO} {exchange}\n{SENT}")));
        let attempt = message(b"Subject: x\r\n\r\nbody\r\n", &["a@d.example"]).await;
        assert_eq!(short(&send(&world, settings(HOP), HOP, &attempt).await), ["done 250 2.0.0"]);
        world.settle().await;
    }
}

/// RFC 4954 section 5: whoever lets us in hears who submitted the message, if that is certain.
#[tokio::test]
async fn the_submitter_is_told_where_we_have_logged_in() {
    let known = SENT.replace("AUTH=<>", "AUTH=e+3Dmc2@us.example");
    let logged_in = format!("{HELLO} PLAIN\nC: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 235 2.7.0 ok\n{known}");
    let stranger = format!("S: 220 mx\nC: EHLO us.example\nS: 250-mx\\n250 AUTH PLAIN\n{SENT}");
    let stranger = stranger.replace(" AUTH=<>", "");
    for (at, hop, script) in [(HERE, HOP, logged_in), ("127.0.0.1:25", "[127.0.0.1]:25", stranger)] {
        let world = Arc::new(World::new().server(at, &script));
        let mut attempt = message(b"Subject: x\r\n\r\nbody\r\n", &["a@d.example"]).await;
        let mut envelope = (*attempt.envelope).clone();
        envelope.submitter = Some("<e=mc2@us.example>".parse().unwrap());
        attempt.envelope = Arc::new(envelope);
        assert_eq!(short(&send(&world, settings(HOP), hop, &attempt).await), ["done 250 2.0.0"]);
        world.settle().await;
    }
}

#[tokio::test]
async fn nobody_else_learns_the_password() {
    let script = "S: 220 mx\nC* EHLO\nS: 250-mx\\n250 AUTH PLAIN\nC: QUIT\nS: 221 bye";
    let world = Arc::new(World::new().server("127.0.0.1:25", script));
    open(&world, settings(HOP), "[127.0.0.1]:25").await.unwrap().close().await;
    world.settle().await;
    let world = Arc::new(World::new().server(HERE, &script.replace("EHLO", "LHLO")));
    let mut neighbour = lmtp();
    neighbour.logins = logins(HOP, "secret");
    open(&world, neighbour, HOP).await.unwrap().close().await;
    world.settle().await;
}

#[tokio::test]
async fn nothing_is_sent_where_there_is_no_way_to_log_in() {
    let none = "S: 220 mx\nC* EHLO\nS: 250 mx\nC: QUIT";
    let said = refusal(none).await;
    assert!(said.starts_with("451 4.7.4 ") && said.contains("does not offer AUTH"), "{said}");
    let said = refusal("S: 220 mx\nC* EHLO\nS: 502 what\nC* HELO\nS: 250 mx\nC: QUIT").await;
    assert!(said.starts_with("451 4.7.4 "), "{said}");
    let said = refusal(&format!("{HELLO} CRAM-MD5 XOAUTH2\nC: QUIT")).await;
    assert!(
        said.contains("CRAM-MD5 XOAUTH2 only, none of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN, LOGIN"),
        "{said}"
    );
}

#[tokio::test]
async fn a_password_is_not_sent_over_a_network_without_tls() {
    let clear = "S: 220 mx\nC* EHLO\nS: 250-mx\\n250 AUTH PLAIN SCRAM-SHA-256\nC: QUIT";
    let offered = "S: 220 mx\nC* EHLO\nS: 250-mx\\n250-AUTH PLAIN\\n250 STARTTLS\n";
    let refused = format!("{offered}C: STARTTLS\nS: 454 no\nC: QUIT");
    let broken = format!("{offered}C: STARTTLS\nS: 220 go\nGARBAGE");
    for (level, script, wanted) in [
        (TlsLevel::Opportunistic, clear, "451 4.7.4"),
        (TlsLevel::None, clear, "451 4.7.11"),
        (TlsLevel::Opportunistic, &refused, "451 4.7.4"),
        (TlsLevel::Opportunistic, &broken, "451 4.7.5"),
    ] {
        let world = Arc::new(World::new().server(FAR, script));
        let mut settings = settings(FAR_HOP);
        settings.tls = level;
        let reply = open(&world, settings, FAR_HOP).await.err().expect("no link").to_string();
        assert!(reply.starts_with(wanted), "{reply}");
        world.settle().await;
        assert_eq!(world.dialed().len(), 1, "no second try in the clear");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words_and_mail_waits() {
    let auth = format!("{HELLO} PLAIN\nC: AUTH PLAIN AGFubgBzZWNyZXQ=\n");
    for (reply, wanted, words) in [
        ("535 5.7.8 who is that", "451 4.7.8", "who is that"),
        ("535 bad AGFubgBzZWNyZXQ=", "451 4.7.8", "bad (hidden)"),
        ("534 5.7.9 too weak", "451 4.7.9", "too weak"),
        ("454 4.7.0 later", "454 4.7.0", "later"),
        ("554 5.7.1 go away", "451 4.7.1", "go away"),
    ] {
        let said = refusal(&format!("{auth}S: {reply}\nC: QUIT")).await;
        assert!(said.starts_with(wanted) && said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn an_exchange_that_makes_no_sense_is_given_up() {
    let said = refusal(&format!("{HELLO} LOGIN\nC: AUTH LOGIN\nS: 334 who?\nC: *\nC: QUIT")).await;
    assert!(said.starts_with("451 4.7.0 ") && said.contains("does not follow the mechanism"), "{said}");
    let said =
        refusal(&format!("{HELLO} SCRAM-SHA-256\nC* AUTH SCRAM-SHA-256 biwsbj\nS: 235 ok\nC: QUIT")).await;
    assert!(said.starts_with("451 4.7.0 ") && said.contains("before it can know"), "{said}");
}

#[tokio::test]
async fn a_link_of_somebody_else_is_not_used_again() {
    let script =
        |secret: &str| format!("{HELLO} PLAIN\nC: AUTH PLAIN {secret}\nS: 235 ok\nC: QUIT\nS: 221 bye");
    let world =
        World::new().server(HERE, &script("AGFubgBzZWNyZXQ=")).server(HERE, &script("AGFubgBvdGhlcg=="));
    let world = Arc::new(world);
    let channel = channel(&world, settings(HOP));
    let link = channel.open(&NextHop::new(HOP)).await.unwrap();
    channel.replace_logins(logins(HOP, "secret"));
    assert!(link.is_reusable(), "nothing has changed");
    channel.replace_logins(logins(HOP, "other"));
    assert!(!link.is_reusable());
    link.close().await;
    channel.open(&NextHop::new(HOP)).await.unwrap().close().await;
    world.settle().await;
}

#[tokio::test]
async fn a_link_that_cannot_be_renewed_is_not_used_again() {
    let script = format!("{HELLO} PLAIN\nC* AUTH PLAIN\nS: 235 ok\nCLOSE");
    let refused = format!("{HELLO} PLAIN\nC* AUTH PLAIN\nS: 535 no\nC: QUIT");
    let world = Arc::new(World::new().server(HERE, &script).server(HERE, &refused));
    let mut link = open(&world, settings(HOP), HOP).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let attempt = message(b"Subject: x\r\n\r\nbody\r\n", &["a@d.example"]).await;
    assert_eq!(short(&link.transmit(&attempt).await), ["deferred 451 4.7.8"]);
    assert!(!link.is_reusable());
    world.settle().await;
}
