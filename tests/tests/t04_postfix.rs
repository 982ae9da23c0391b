//! Postfix on both sides: as the next hop, and as the sender, with STARTTLS each time.

use iems_tests::iems::Iems;
use iems_tests::peers::postfix::Postfix;
use iems_tests::pop3::{field, wait_all};
use iems_tests::smtp::{Smtp, deliver, deliver_with, letter};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";

fn lf(message: &[u8]) -> String {
    String::from_utf8_lossy(message).replace("\r\n", "\n")
}

#[test]
fn postfix_is_the_next_hop() {
    let postfix = Postfix::start("");
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("example.org", format!("smtp:{}", postfix.at));
    site.start();
    let mut text = letter(ANN, "user1@example.org", "hop");
    text.extend_from_slice("Grüße, in 8 bits\r\n".as_bytes());
    deliver(site.at("smtp"), ANN, "user1@example.org", &text);
    let message = wait_for("the Maildir", secs(15), || postfix.messages("user1").pop());
    assert!(lf(&message).ends_with(&lf(&text)), "{}", lf(&message));
    assert!(lf(&message).contains("using TLSv1.3"), "no TLS on the way: {}", lf(&message));
    site.stop();
    // Postfix counts the commands of a session when it ends.
    let count = || postfix.log().contains("bdat=1").then_some(());
    wait_for("a session with BDAT in Postfix's log", secs(15), count);
}

#[test]
fn one_connection_carries_many_and_each_recipient_has_its_own_end() {
    let postfix = Postfix::start("");
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("example.org", format!("smtp:{}", postfix.at));
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    let to = ["user1@example.org", "nobody@example.org", "user2@example.org"];
    assert_eq!(smtp.send(ANN, &to, &letter(ANN, "list", "three")).expect("a reply").code, 250);
    wait_for("both Maildirs", secs(15), || {
        let both = [postfix.messages("user1"), postfix.messages("user2")];
        both.iter().all(|m| m.len() == 1).then_some(())
    });
    let bounce = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    let text = lf(&bounce);
    assert!(
        text.contains("Final-Recipient: rfc822;nobody@example.org")
            || text.contains("rfc822; nobody@example.org")
    );
    assert!(!text.contains("user2@example.org\nAction"), "{text}");
}

#[test]
fn postfix_is_the_sender_and_checks_our_certificate() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let postfix = Postfix::start(&format!(
        "transport_maps = inline:{{ {{ example.test = smtp:[{}]:{} }} }}\nsmtp_tls_security_level = secure\n\
         smtp_tls_secure_cert_match = mx.example.test\nsmtp_tls_CAfile = {}\n",
        site.at("smtp").ip(),
        site.at("smtp").port(),
        site.certificates.authority.display()
    ));
    let text = "From: user1@example.org\nTo: ann@example.test\nSubject: from Postfix\n\nHello\n.\nEnd\n";
    postfix.sendmail("user1@example.org", ANN, &["-i"], text.as_bytes()).good();
    let message = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    assert!(lf(&message).ends_with("\n\nHello\n.\nEnd\n"), "{}", lf(&message));
    let received = field(&message, "Received").expect("a Received field");
    assert!(received.contains("with ESMTPS") && received.contains("peer.example.org"), "{received}");
    assert!(postfix.log().contains("Verified TLS connection established"), "{}", postfix.log());
}

#[test]
fn our_refusals_reach_postfix_per_recipient() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let postfix = Postfix::start(&format!(
        "transport_maps = inline:{{ {{ example.test = smtp:[{}]:{} }} }}\n",
        site.at("smtp").ip(),
        site.at("smtp").port()
    ));
    let text = b"Subject: two\n\nx\n";
    postfix.sendmail("user1@example.org", "nobody@example.test", &[ANN], text).good();
    wait_all(site.at("pop3"), ANN, "secret", 1);
    let bounce = wait_for("the bounce", secs(15), || postfix.messages("user1").pop());
    assert!(lf(&bounce).contains("nobody@example.test") && lf(&bounce).contains("5.1.1"), "{}", lf(&bounce));
}

#[test]
fn a_large_message_goes_through_both() {
    let postfix = Postfix::start("");
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("example.org", format!("smtp:{}", postfix.at));
    site.start();
    let mut text = letter(ANN, "user1@example.org", "large");
    let line = |n: usize| format!("{n:07} the quick brown fox jumps over the lazy dog and back\r\n");
    (0..160_000).for_each(|n| text.extend_from_slice(line(n).as_bytes()));
    deliver(site.at("smtp"), ANN, "user1@example.org", &text);
    let message = wait_for("the Maildir", secs(25), || postfix.messages("user1").pop());
    assert!(lf(&message).ends_with(&lf(&text)), "{} octets came of {}", message.len(), text.len());
}

/// An iems with two accounts, and a Postfix, each with the way to the other.
fn pair(more: &str) -> (Iems, Postfix) {
    let mut site = Iems::with_accounts(&[ANN, "grüße@example.test"]);
    let to = site.at("smtp");
    let way =
        format!("transport_maps = inline:{{ {{ example.test = smtp:[{}]:{} }} }}\n", to.ip(), to.port());
    let postfix = Postfix::start(&format!("{way}relay_domains = example.test\n{more}"));
    site.config.route("example.org", format!("smtp:{}", postfix.at));
    site.start();
    (site, postfix)
}

fn box_of(postfix: &Postfix, count: usize) -> Vec<Vec<u8>> {
    wait_for("the Maildir", secs(20), || {
        let messages = postfix.messages("user1");
        (messages.len() >= count).then_some(messages)
    })
}

#[test]
fn without_tls_and_without_chunking_both_ways() {
    let more = "smtpd_tls_security_level = none\nsmtp_tls_security_level = none\nsmtpd_discard_ehlo_keywords = chunking\n";
    let (site, postfix) = pair(more);
    let text = letter(ANN, "user1@example.org", "plain");
    deliver(site.at("smtp"), ANN, "user1@example.org", &text);
    let message = lf(&box_of(&postfix, 1).remove(0));
    assert!(message.ends_with(&lf(&text)) && !message.contains("using TLS"), "{message}");
    deliver(postfix.at, "user1@example.org", ANN, &text);
    let message = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    let received = field(&message, "Received").expect("a Received field");
    assert!(received.contains("with ESMTP "), "{received}");
    assert!(lf(&message).ends_with(&lf(&text)), "{}", lf(&message));
}

#[test]
fn success_is_reported_through_both() {
    let (site, postfix) = pair("smtp_tls_security_level = may\n");
    let bob = "user1@example.org";
    deliver_with(
        site.at("smtp"),
        &format!("<{ANN}> RET=HDRS ENVID=QQ314"),
        &[&format!("<{bob}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.org")],
        &letter(ANN, bob, "receipt"),
    );
    let report = lf(&wait_all(site.at("pop3"), ANN, "secret", 1).remove(0));
    for words in ["Action: delivered", "Original-Envelope-Id: QQ314", "rfc822;Bob@example.org"] {
        assert!(report.contains(words), "{words}: {report}");
    }
    deliver_with(
        postfix.at,
        &format!("<{bob}> ENVID=QQ315"),
        &[&format!("<{ANN}> NOTIFY=SUCCESS ORCPT=rfc822;Ann@example.test")],
        &letter(bob, ANN, "receipt"),
    );
    let report = wait_for("a report", secs(20), || {
        postfix.messages("user1").iter().map(|m| lf(m)).find(|text| text.contains("Action: delivered"))
    });
    for words in ["Original-Envelope-Id: QQ315", "Original-Recipient: rfc822; Ann@example.test"] {
        assert!(report.contains(words), "{words}: {report}");
    }
}

#[test]
fn internationalized_mail_goes_both_ways() {
    let (site, postfix) = pair("smtp_tls_security_level = may\n");
    let (bob, to) = ("user1@example.org", "grüße@example.test");
    let text = |to: &str| {
        format!("From: <jürgen@example.net>\r\nTo: <{to}>\r\nSubject: übers Meer\r\n\r\nÄÖÜ\r\n").into_bytes()
    };
    deliver_with(site.at("smtp"), "<jürgen@example.net> SMTPUTF8", &[&format!("<{bob}>")], &text(bob));
    let message = lf(&box_of(&postfix, 1).remove(0));
    assert!(message.contains("Subject: übers Meer") && message.contains("jürgen@example.net"), "{message}");
    assert!(message.contains("with UTF8SMTPS"), "{message}");
    deliver_with(postfix.at, "<jürgen@example.net> SMTPUTF8", &[&format!("<{to}>")], &text(to));
    let message = wait_all(site.at("pop3"), to, "secret", 1).remove(0);
    let received = field(&message, "Received").expect("a Received field");
    assert!(received.contains("with UTF8SMTPS"), "{received}");
    assert!(lf(&message).contains("Subject: übers Meer"), "{}", lf(&message));
}
