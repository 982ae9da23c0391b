//! OpenSMTPD on both sides: as the next hop and as the sender, with and without TLS, with DSN; it knows neither CHUNKING nor
//! SMTPUTF8 nor PIPELINING, and iems does without.

use iems_tests::iems::Iems;
use iems_tests::peers::opensmtpd::OpenSmtpd;
use iems_tests::pop3::{field, wait_all};
use iems_tests::smtp::{deliver, deliver_with, letter};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";
const BOB: &str = "user1@example.org";

fn lf(message: &[u8]) -> String {
    String::from_utf8_lossy(message).replace("\r\n", "\n")
}

/// An iems with ann, and an OpenSMTPD, each with the way to the other; `tls` is how OpenSMTPD goes.
fn pair(tls: &str, more: &str) -> (Iems, OpenSmtpd) {
    let mut site = Iems::with_accounts(&[ANN]);
    let way = format!("{tls}://{}", site.at("smtp"));
    let opensmtpd = OpenSmtpd::start(Some(("example.test", &way)));
    site.config.route("example.org", format!("smtp:{}", opensmtpd.at));
    site.config.more = more.to_owned();
    site.start();
    (site, opensmtpd)
}

fn box_of(opensmtpd: &OpenSmtpd, count: usize) -> Vec<Vec<u8>> {
    wait_for("the Maildir", secs(20), || {
        let messages = opensmtpd.messages("user1");
        (messages.len() >= count).then_some(messages)
    })
}

#[test]
fn mail_goes_both_ways() {
    // As a server, Debian's OpenSMTPD offers STARTTLS and then breaks off: mail goes in the clear where TLS is only wished for.
    for (tls, more, ours) in [
        ("smtp+tls", "", "with ESMTPS"),
        ("smtp+notls", "[[peer]]\ndomain = \"*\"\ntls = \"off\"\n", "with ESMTP "),
    ] {
        let (site, opensmtpd) = pair(tls, more);
        let mut text = letter(ANN, BOB, "hop");
        text.extend_from_slice("Grüße, in 8 bits\r\n".as_bytes());
        deliver(site.at("smtp"), ANN, BOB, &text);
        let message = lf(&box_of(&opensmtpd, 1).remove(0));
        assert!(message.ends_with(&lf(&text)), "{message}");
        let text = letter(BOB, ANN, "back");
        deliver_with(opensmtpd.at, &format!("<{BOB}>"), &[&format!("<{ANN}>")], &text);
        let message = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
        let received = field(&message, "Received").expect("a Received field");
        assert!(received.contains(ours) && received.contains("peer.example.org"), "{received}");
        assert!(lf(&message).ends_with(&lf(&text)), "{}", lf(&message));
    }
}

#[test]
fn success_is_reported_through_both() {
    let (site, opensmtpd) = pair("smtp+tls", "");
    let text = letter(ANN, BOB, "receipt");
    deliver_with(
        site.at("smtp"),
        &format!("<{ANN}> RET=HDRS ENVID=QQ314"),
        &[&format!("<{BOB}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.org")],
        &text,
    );
    let report = lf(&wait_all(site.at("pop3"), ANN, "secret", 1).remove(0));
    assert!(report.contains("Action: delivered") && report.contains("peer.example.org"), "{report}");
    let text = letter(BOB, ANN, "receipt");
    deliver_with(opensmtpd.at, &format!("<{BOB}> ENVID=QQ315"), &[&format!("<{ANN}> NOTIFY=SUCCESS")], &text);
    let report = wait_for("a report", secs(20), || {
        opensmtpd.messages("user1").iter().map(|m| lf(m)).find(|text| text.contains("Action: delivered"))
    });
    assert!(report.contains("Original-Envelope-Id: QQ315"), "{report}");
}

#[test]
fn what_needs_smtputf8_comes_back_at_once() {
    let (site, opensmtpd) = pair("smtp+tls", "");
    let text = "From: <ann@example.test>\r\nSubject: übers Meer\r\n\r\nÄÖÜ\r\n".as_bytes();
    deliver_with(site.at("smtp"), &format!("<{ANN}> SMTPUTF8"), &[&format!("<{BOB}>")], text);
    let report = lf(&wait_all(site.at("pop3"), ANN, "secret", 1).remove(0));
    assert!(report.contains("5.6.7") && report.contains(BOB), "{report}");
    assert!(opensmtpd.messages("user1").is_empty());
}

#[test]
fn our_refusals_reach_opensmtpd_per_recipient() {
    let (site, opensmtpd) = pair("smtp+tls", "");
    let text = letter(BOB, ANN, "two");
    let to = ["<nobody@example.test>".to_owned(), format!("<{ANN}>")];
    deliver_with(opensmtpd.at, &format!("<{BOB}>"), &[&to[0], &to[1]], &text);
    wait_all(site.at("pop3"), ANN, "secret", 1);
    let bounce = lf(&box_of(&opensmtpd, 1).remove(0));
    assert!(bounce.contains("nobody@example.test") && bounce.contains("5.1.1"), "{bounce}");
}
