//! Postfix on both sides: as the next hop, and as the sender, with STARTTLS each time.

use iems_tests::iems::Iems;
use iems_tests::peers::postfix::Postfix;
use iems_tests::pop3::{field, wait_all};
use iems_tests::smtp::{Smtp, deliver, letter};
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
