//! The peers without us: each real program starts, does its part alone, and ends. When this story fails,
//! the machine is at fault and not the server.

use iems_tests::peers::dovecot::Dovecot;
use iems_tests::peers::knot::Knot;
use iems_tests::peers::postfix::Postfix;
use iems_tests::peers::python;
use iems_tests::peers::swaks::swaks;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, letter, stuffed};
use iems_tests::wait::{secs, wait_for};
use iems_tests::{address, smtp};

#[test]
fn postfix_delivers_and_relays() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let route = format!("transport_maps = inline:{{ {{ example.net = smtp:[{}]:2526 }} }}", sink.at.ip());
    let postfix = Postfix::start(&route);
    let text = letter("a@example.com", "user1@example.org", "alone");
    smtp::deliver(postfix.at, "a@example.com", "user1@example.org", &text);
    wait_for("a message in the Maildir", secs(10), || postfix.messages("user1").pop());
    let unix = String::from_utf8_lossy(&text).replace("\r\n", "\n");
    postfix.sendmail("a@example.com", "b@example.net", &[], unix.as_bytes()).good();
    let arrived = sink.wait(1, secs(10)).remove(0);
    assert!(arrived.body.ends_with(b"Dear reader,\r\n\r\n. a dot\r\n.. two\r\nEnd.\r\n"));
}

#[test]
fn dovecot_takes_mail_by_lmtp() {
    let dovecot = Dovecot::start();
    let mut lmtp = Smtp::connect(dovecot.lmtp);
    lmtp.must("LHLO client.example.test", 250);
    lmtp.must("MAIL FROM:<a@example.com>", 250);
    lmtp.must("RCPT TO:<user1@example.org>", 250);
    lmtp.must("RCPT TO:<nobody@example.org>", 550);
    lmtp.must("DATA", 354);
    lmtp.wire.send(&stuffed(&letter("a@example.com", "user1@example.org", "alone"))).expect("sent");
    assert_eq!(lmtp.reply().expect("a reply").code, 250);
    assert_eq!(dovecot.messages("user1").len(), 1);
}

#[test]
fn knot_answers() {
    let knot = Knot::start(&[("example.org", "@ MX 10 mx\nmx A 192.0.2.1")]);
    assert!(knot.ask("example.org", "MX").contains("10 mx.example.org."));
    assert_eq!(knot.ask("other.example", "MX"), "");
}

#[test]
fn swaks_reaches_the_sink_and_python_reads_notices() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let text = b"Subject: one\n\n.\n..dots\n";
    swaks(sink.at, &["--from", "a@example.com", "--to", "b@example.net"], text).good();
    let arrived = sink.wait(1, secs(5)).remove(0);
    assert_eq!(
        (arrived.mail.as_str(), arrived.rcpt),
        ("<a@example.com>", vec!["<b@example.net>".to_owned()])
    );
    assert!(arrived.body.starts_with(b"Subject: one\r\n\r\n.\r\n..dots\r\n"), "{:?}", arrived.body);
    let notice = python::notice(b"Content-Type: text/plain\r\n\r\nno notice\r\n");
    assert_eq!(notice["type"], "text/plain");
}
