//! Dovecot's LMTP as a target: by TCP and by a Unix socket, one answer for each recipient.

use iems_tests::iems::Iems;
use iems_tests::peers::dovecot::Dovecot;
use iems_tests::pop3::wait_all;
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";

fn delivered_by(via: &str, dovecot: &Dovecot) {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("example.org", via);
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    let to = ["user1@example.org", "nobody@example.org", "user2@example.org"];
    let text = letter(ANN, "user1@example.org", "lmtp");
    assert_eq!(smtp.send(ANN, &to, &text).expect("a reply").code, 250);
    for user in ["user1", "user2"] {
        let message = wait_for(&format!("the Maildir of {user}"), secs(15), || dovecot.messages(user).pop());
        let (got, sent) = (String::from_utf8_lossy(&message), String::from_utf8_lossy(&text));
        assert!(got.replace("\r\n", "\n").ends_with(&sent.replace("\r\n", "\n")), "{got}");
    }
    let bounce = String::from_utf8_lossy(&wait_all(site.at("pop3"), ANN, "secret", 1)[0]).into_owned();
    assert!(bounce.contains("nobody@example.org") && bounce.contains("5.1.1"), "{bounce}");
    assert_eq!(dovecot.messages("user1").len() + dovecot.messages("user2").len(), 2, "duplicates");
}

#[test]
fn by_tcp() {
    let dovecot = Dovecot::start();
    delivered_by(&format!("lmtp:{}", dovecot.lmtp), &dovecot);
}

#[test]
fn by_a_unix_socket() {
    let dovecot = Dovecot::start();
    delivered_by(&format!("lmtp:{}", dovecot.socket().display()), &dovecot);
}

#[test]
fn we_take_mail_by_lmtp_and_answer_for_each() {
    let mut site = Iems::with_accounts(&[ANN, "bob@example.test"]);
    site.start();
    let mut lmtp = Smtp::connect(site.at("lmtp"));
    lmtp.must("LHLO client.example.test", 250);
    lmtp.must("MAIL FROM:<c@example.com>", 250);
    lmtp.must(&format!("RCPT TO:<{ANN}>"), 250);
    lmtp.must("RCPT TO:<nobody@example.test>", 550);
    lmtp.must("RCPT TO:<bob@example.test>", 250);
    lmtp.must("DATA", 354);
    lmtp.wire.send(b"Subject: lmtp\r\n\r\nbody\r\n.\r\n").expect("sent");
    assert_eq!(lmtp.reply().expect("the first answer").code, 250);
    assert_eq!(lmtp.reply().expect("the second answer").code, 250);
    lmtp.must("NOOP", 250);
    wait_all(site.at("pop3"), ANN, "secret", 1);
    wait_all(site.at("pop3"), "bob@example.test", "secret", 1);
}

#[test]
fn one_iems_hands_over_to_another_by_lmtp() {
    let mut store = Iems::with_accounts(&[ANN]);
    store.start();
    let mut front = Iems::new();
    front.config.route("example.test", format!("lmtp:{}", store.at("lmtp")));
    front.start();
    deliver(front.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, "front"));
    wait_all(store.at("pop3"), ANN, "secret", 1);
}
