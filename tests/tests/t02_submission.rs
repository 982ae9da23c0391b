//! Users' programs submit mail: msmtp and curl, with STARTTLS and TLS from the start, and every mechanism
//! that they and we have in common.

use iems_tests::address;
use iems_tests::iems::{HOST, Iems};
use iems_tests::peers::curl;
use iems_tests::peers::msmtp::Msmtp;
use iems_tests::pop3::{field, wait_all};
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, letter};
use iems_tests::wait::secs;

const ANN: &str = "ann@example.test";

fn msmtp<'a>(site: &Iems, listener: &str, tls: &'a str, auth: &'a str) -> Msmtp<'a> {
    Msmtp { server: site.at(listener), tls, auth, user: ANN, password: "secret" }
}

#[test]
fn msmtp_submits_with_every_mechanism() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let ways = [
        ("plain", "submission", "starttls"),
        ("login", "submission", "starttls"),
        ("scram-sha-256", "submission", "starttls"),
        ("plain", "submissions", "smtps"),
        ("scram-sha-256", "submission", "off"),
    ];
    for (auth, listener, tls) in ways {
        let text = format!("From: {ANN}\nTo: {ANN}\nSubject: {auth} {tls}\n\nbody\n");
        msmtp(&site, listener, tls, auth).send(site.dir.path(), &[ANN], text.as_bytes()).good();
    }
    let read = wait_all(site.at("pop3"), ANN, "secret", ways.len());
    for message in &read {
        let received = field(message, "Received").expect("a Received field");
        let tls = !field(message, "Subject").expect("a subject").ends_with("off");
        assert!(received.contains(if tls { "with ESMTPSA" } else { "with ESMTPA" }), "{received}");
    }
}

#[test]
fn a_wrong_password_is_refused_and_nothing_is_sent_without_one() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    for auth in ["plain", "login", "scram-sha-256"] {
        let mut client = msmtp(&site, "submission", "starttls", auth);
        client.password = "wrong";
        let said = client.send(site.dir.path(), &[ANN], b"Subject: x\n\nx\n");
        assert_eq!(said.code, 77, "msmtp's EX_NOPERM for {auth}: {}", said.err);
    }
    let mut smtp = Smtp::connect(site.at("submission"));
    smtp.must("EHLO client.example.test", 250);
    assert!(smtp.must(&format!("MAIL FROM:<{ANN}>"), 530).text().starts_with("5.7.0"));
    let reply = smtp.auth_plain(ANN, "wrong").expect("a reply");
    assert!(reply.code == 535 && reply.text().starts_with("5.7.8"), "{reply:?}");
    let reply = smtp.auth_plain("nobody@example.test", "secret").expect("a reply");
    assert!(reply.code == 535 && reply.text().starts_with("5.7.8"), "{reply:?}");
    assert_eq!(smtp.auth_plain(ANN, "secret").expect("a reply").code, 235);
    smtp.must("AUTH PLAIN AGE=", 503);
}

#[test]
fn curl_submits_to_the_world_and_missing_fields_are_added() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.networks.clear();
    site.config.route("*", sink.via());
    site.start();
    let tls = curl::trusting(&site.certificates.authority);
    let user = format!("{ANN}:secret");
    let mut args: Vec<&str> = tls.iter().map(String::as_str).collect();
    args.extend(["--user", &user]);
    let text = b"From: ann@example.test\r\nTo: c@example.com\r\nSubject: out\r\n\r\nbody\r\n";
    curl::send(site.at("submission"), ANN, "c@example.com", &args, text).good();
    let url = format!("smtps://{}/client.example.test", site.at("submissions"));
    args.extend(["--url", &url, "--login-options", "AUTH=LOGIN"]);
    curl::send(site.at("submissions"), ANN, "c@example.com", &args, text).good();
    for arrived in sink.wait(2, secs(10)) {
        assert!(arrived.mail.starts_with("<ann@example.test>"), "{}", arrived.mail);
        assert!(field(&arrived.body, "Date").is_some() && field(&arrived.body, "Message-ID").is_some());
        assert!(
            arrived.body.ends_with(b"Subject: out\r\n\r\nbody\r\n"),
            "{}",
            String::from_utf8_lossy(&arrived.body)
        );
    }
}

#[test]
fn a_sender_that_is_not_ones_own_is_refused() {
    let mut site = Iems::with_accounts(&[ANN, "bob@example.test"]);
    site.start();
    let mut smtp = Smtp::connect(site.at("submission"));
    smtp.start_tls(site.certificates.client(), HOST);
    assert_eq!(smtp.auth_plain(ANN, "secret").expect("a reply").code, 235);
    for from in ["bob@example.test", "someone@example.com"] {
        let refused = smtp.send(from, &[ANN], &letter(from, ANN, "forged")).expect("a reply");
        assert!(refused.code / 100 == 5 && refused.text().starts_with("5.7.1"), "{from}: {refused:?}");
    }
    assert_eq!(smtp.send(ANN, &[ANN], &letter(ANN, ANN, "own")).expect("a reply").code, 250);
}

#[test]
fn what_was_said_before_the_handshake_is_forgotten() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let mut smtp = Smtp::connect(site.at("submission"));
    smtp.must("EHLO before.example.test", 250);
    // A command is smuggled into the same packet as STARTTLS: it must be dropped or the session ended.
    smtp.wire.send(b"STARTTLS\r\nNOOP injected\r\n").expect("sent");
    let first = smtp.reply().expect("a reply");
    if first.code == 220 {
        if smtp.wire.start_tls(site.certificates.client(), HOST).is_ok() {
            // Were the injected NOOP answered under TLS, this reply would be the wrong one.
            let reply = smtp.must("EHLO after.example.test", 250);
            assert!(reply.lines.len() > 1, "{reply:?}");
            assert!(!reply.offers("STARTTLS"), "{reply:?}");
        }
    } else {
        assert!(first.code / 100 == 5, "{first:?}");
    }
}

/// The reply to a message with this `From`, sent by Ann.
fn written_by(site: &Iems, from: &str) -> String {
    let mut smtp = Smtp::connect(site.at("submission"));
    smtp.must("EHLO client.example.test", 250);
    assert_eq!(smtp.auth_plain(ANN, "secret").expect("a reply").code, 235);
    let text = format!("{from}\r\nTo: <{ANN}>\r\nSubject: x\r\n\r\nbody\r\n");
    let reply = smtp.send(ANN, &[ANN], text.as_bytes()).expect("a reply");
    format!("{} {}", reply.code, reply.text())
}

#[test]
fn who_may_send_as_whom_is_said_at_each_listener() {
    let mut site = Iems::with_accounts(&[ANN, "ben@example.test"]);
    site.config.listener = "sender_header = \"refuse\"\nsender_login = \"strict\"\n".into();
    site.config.listeners.retain(|protocol| matches!(protocol.as_str(), "smtp" | "submission"));
    site.config.networks.clear();
    site.start();
    for (from, code) in [
        ("From: Ann <ann@example.test>", "250"),
        ("From: ann+x@example.test\r\nSender: ann@example.test", "250"),
        ("From: \"ann@example.test\" <ben@example.test>", "550 5.7.1 the author"),
        ("From: ann@example.test, boss@far.example", "550 5.7.1"),
        ("From: ann@example.test\r\nFrom: boss@far.example", "550 5.7.1"),
        ("From: ann@example.test\r\nSender: ben@example.test", "550 5.7.1"),
        ("From: ann@example.test (", "550 5.7.1"),
    ] {
        let reply = written_by(&site, from);
        assert!(reply.starts_with(code), "{from}: {reply}");
    }
    // Of whoever has not logged in, no address of somebody here is taken.
    let mut stranger = Smtp::connect(site.at("smtp"));
    stranger.must("EHLO stranger.example", 250);
    let refused = stranger.must("MAIL FROM:<ben@example.test>", 553).text();
    assert!(refused.contains("is somebody's here; log in"), "{refused}");
    stranger.must("MAIL FROM:<nobody@far.example>", 250);
    drop(stranger);

    site.stop();
    site.config.listener = "sender_header = \"tag\"\nsender_login = \"off\"\n".into();
    site.start();
    let taken = written_by(&site, "From: ben@example.test");
    let id = taken.split_whitespace().nth(4).expect("a queue id").to_owned();
    let story = site.admin(&["explain", &id]).good().out;
    assert!(
        story.contains("sender/header=fail") && story.contains("ben@example.test is no address of"),
        "{story}"
    );
    assert!(story.contains("decided: tag"), "{story}");
    let mut smtp = Smtp::connect(site.at("submission"));
    smtp.must("EHLO client.example.test", 250);
    assert_eq!(smtp.auth_plain(ANN, "secret").expect("a reply").code, 235);
    smtp.must("MAIL FROM:<ben@example.test>", 250);
}
