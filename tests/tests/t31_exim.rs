//! Exim on both sides: as the next hop and as the sender, with and without TLS, with CHUNKING, DSN and SMTPUTF8.

use iems_tests::iems::Iems;
use iems_tests::peers::exim::{Exim, Wishes};
use iems_tests::pop3::{field, wait_all};
use iems_tests::smtp::{deliver, deliver_with, letter};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";
const BOB: &str = "user1@example.org";

fn lf(message: &[u8]) -> String {
    String::from_utf8_lossy(message).replace("\r\n", "\n")
}

/// An iems with two accounts, and an Exim, each with the way to the other.
fn pair(wishes: &Wishes) -> (Iems, Exim) {
    let mut site = Iems::with_accounts(&[ANN, "grüße@example.test"]);
    let route = Some(("example.test".to_owned(), site.at("smtp")));
    let exim = Exim::start(&Wishes { route, ..wishes.clone() });
    site.config.route("example.org", format!("smtp:{}", exim.at));
    site.start();
    (site, exim)
}

fn box_of(exim: &Exim, count: usize) -> Vec<Vec<u8>> {
    wait_for("the Maildir", secs(20), || {
        let messages = exim.messages("user1");
        (messages.len() >= count).then_some(messages)
    })
}

/// A line of Exim's log that holds all of these.
fn logged(exim: &Exim, words: &[&str]) {
    wait_for(&format!("{words:?} in Exim's log"), secs(10), || {
        exim.log().lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
    });
}

#[test]
fn exim_is_the_next_hop() {
    let plain = Wishes {
        main: "tls_advertise_hosts =\nchunking_advertise_hosts =\n".to_owned(),
        ..Wishes::default()
    };
    for (wishes, words) in
        [(Wishes::default(), ["P=esmtps", "X=TLS1.3", " K "]), (plain, ["P=esmtp ", "<=", "S="])]
    {
        let (site, exim) = pair(&wishes);
        let mut text = letter(ANN, BOB, "hop");
        text.extend_from_slice("Grüße, in 8 bits\r\n".as_bytes());
        deliver(site.at("smtp"), ANN, BOB, &text);
        let message = box_of(&exim, 1).remove(0);
        assert!(lf(&message).ends_with(&lf(&text)), "{}", lf(&message));
        logged(&exim, &words);
    }
}

#[test]
fn exim_is_the_sender_and_checks_our_certificate() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let text = letter(BOB, ANN, "from Exim");
    let verified = format!(
        "  hosts_require_tls = *\n  tls_verify_certificates = {}\n  tls_verify_hosts = *\n  tls_sni = mx.example.test\n",
        site.certificates.authority.display()
    )
    .replace("  tls_verify_hosts", "  tls_verify_cert_hostnames =\n  tls_verify_hosts");
    let plain = "  hosts_avoid_tls = *\n  hosts_try_chunking =\n".to_owned();
    for (n, (transport, with, words)) in
        [(verified, "with ESMTPS", ["=>", "CV=yes", " K "]), (plain, "with ESMTP ", ["=>", ANN, "C="])]
            .into_iter()
            .enumerate()
    {
        let route = Some(("example.test".to_owned(), site.at("smtp")));
        let exim = Exim::start(&Wishes { route, transport, ..Wishes::default() });
        deliver(exim.at, BOB, ANN, &text);
        let message = wait_all(site.at("pop3"), ANN, "secret", n + 1).pop().expect("a message");
        let received = field(&message, "Received").expect("a Received field");
        assert!(received.contains(with) && received.contains("peer.example.org"), "{received}");
        assert!(lf(&message).ends_with(&lf(&text)), "{}", lf(&message));
        logged(&exim, &words);
    }
}

#[test]
fn success_is_reported_through_both() {
    let (site, exim) = pair(&Wishes::default());
    let text = letter(ANN, BOB, "receipt");
    deliver_with(
        site.at("smtp"),
        &format!("<{ANN}> RET=HDRS ENVID=QQ314"),
        &[&format!("<{BOB}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.org")],
        &text,
    );
    // Exim takes the wish over, and its report comes back through iems.
    let report = lf(&wait_all(site.at("pop3"), ANN, "secret", 1).remove(0));
    assert!(report.contains("Action: delivered"), "{report}");
    assert!(report.contains("peer.example.org") && report.contains("QQ314"), "{report}");
    // And the other way round.
    let text = letter(BOB, ANN, "receipt");
    deliver_with(
        exim.at,
        &format!("<{BOB}> ENVID=QQ315"),
        &[&format!("<{ANN}> NOTIFY=SUCCESS ORCPT=rfc822;Ann@example.test")],
        &text,
    );
    let reports = box_of(&exim, 2);
    let report = reports.iter().map(|m| lf(m)).find(|text| text.contains("message/delivery-status"));
    let report = report.expect("a report");
    for words in
        ["Action: delivered", "Original-Envelope-Id: QQ315", "Original-Recipient: rfc822; Ann@example.test"]
    {
        assert!(report.contains(words), "{words}: {report}");
    }
}

#[test]
fn internationalized_mail_goes_both_ways() {
    let (site, exim) = pair(&Wishes::default());
    let text = |to: &str| {
        format!("From: <jürgen@example.net>\r\nTo: <{to}>\r\nSubject: übers Meer\r\n\r\nÄÖÜ\r\n").into_bytes()
    };
    deliver_with(site.at("smtp"), "<jürgen@example.net> SMTPUTF8", &[&format!("<{BOB}>")], &text(BOB));
    let message = lf(&box_of(&exim, 1).remove(0));
    assert!(message.contains("Subject: übers Meer") && message.contains("jürgen@example.net"), "{message}");
    logged(&exim, &["<=", "P=utf8esmtps", "jürgen"]);
    let to = "grüße@example.test";
    deliver_with(exim.at, "<jürgen@example.net> SMTPUTF8", &[&format!("<{to}>")], &text(to));
    let message = wait_all(site.at("pop3"), to, "secret", 1).remove(0);
    let received = field(&message, "Received").expect("a Received field");
    assert!(received.contains("with UTF8SMTPS"), "{received}");
    assert!(lf(&message).contains("Subject: übers Meer"), "{}", lf(&message));
}

#[test]
fn our_refusals_reach_exim_per_recipient() {
    let (site, exim) = pair(&Wishes::default());
    let text = letter(BOB, ANN, "two");
    let to = ["<nobody@example.test>".to_owned(), format!("<{ANN}>")];
    deliver_with(exim.at, &format!("<{BOB}>"), &[&to[0], &to[1]], &text);
    wait_all(site.at("pop3"), ANN, "secret", 1);
    let bounce = lf(&box_of(&exim, 1).remove(0));
    assert!(bounce.contains("nobody@example.test") && bounce.contains("5.1.1"), "{bounce}");
}
