//! Mail comes in by SMTP from swaks, waits durably, and is read by POP3 with curl.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use iems_tests::iems::Iems;
use iems_tests::peers::{curl, swaks::swaks};
use iems_tests::pop3::{Pop3, field, read_all, wait_all};
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";

#[test]
fn swaks_writes_and_curl_reads() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let text =
        b"From: bob@example.com\nTo: ann@example.test\nSubject: first\n\nHello,\n\n.\n..two dots\nEnd.\n";
    swaks(site.at("smtp"), &["--from", "bob@example.com", "--to", ANN], text).good();
    let read = wait_for("curl to read the message", secs(10), || {
        let said = curl::read(site.at("pop3"), ANN, "secret", "1");
        (said.code == 0).then_some(said.out)
    });
    // swaks adds a line end of its own behind the last one.
    let body = read.split_once("\r\n\r\n").expect("a header and a body").1.trim_end();
    assert_eq!(body, "Hello,\r\n\r\n.\r\n..two dots\r\nEnd.");
    assert_eq!(field(read.as_bytes(), "Return-Path").as_deref(), Some("<bob@example.com>"));
    let received = field(read.as_bytes(), "Received").expect("a Received field");
    assert!(received.starts_with("from client.example.test"), "{received}");
    assert!(received.contains("by mx.example.test") && received.contains("with ESMTP"), "{received}");
    assert!(received.contains("for <ann@example.test>") && received.contains(" id "), "{received}");
    let listed = curl::read(site.at("pop3"), ANN, "secret", "").good();
    assert_eq!(listed.out.trim(), format!("1 {}", read.len()));
    site.stop();
}

#[test]
fn swaks_writes_under_tls_and_the_trace_says_so() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    swaks(site.at("smtp"), &["--from", "bob@example.com", "--to", ANN, "--tls"], b"Subject: x\n\nx\n").good();
    let read = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    assert!(
        field(&read, "Received").is_some_and(|r| r.contains("with ESMTPS")),
        "{}",
        String::from_utf8_lossy(&read)
    );
}

#[test]
fn names_lead_where_the_directory_says() {
    let mut site = Iems::with_accounts(&[ANN, "bob@example.test"]);
    site.admin(&["alias", "add", "info@example.test", ANN, "bob@example.test"]).good();
    site.start();
    for to in ["info@example.test", "ann+lists@example.test", "ANN@EXAMPLE.TEST"] {
        deliver(site.at("smtp"), "c@example.com", to, &letter("c@example.com", to, "names"));
    }
    wait_all(site.at("pop3"), ANN, "secret", 3);
    wait_all(site.at("pop3"), "bob@example.test", "secret", 1);
}

#[test]
fn strangers_and_the_world_are_refused_at_rcpt() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.networks.clear();
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    smtp.must("MAIL FROM:<c@example.com>", 250);
    assert!(smtp.must("RCPT TO:<nobody@example.test>", 550).text().starts_with("5.1.1"));
    let relay = smtp.command("RCPT TO:<c@example.com>").expect("a reply");
    assert!(relay.code / 100 == 5 && relay.text().starts_with("5.7."), "{relay:?}");
    smtp.must("DATA", 554);
    smtp.must("RCPT TO:<ann@example.test>", 250);
    smtp.must("QUIT", 221);
    assert!(read_all(site.at("pop3"), ANN, "secret").is_empty());
}

#[test]
fn a_full_mailbox_is_refused_at_rcpt() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.admin(&["account", "set", ANN, "--quota", "4KiB"]).good();
    site.start();
    let mut big = letter("c@example.com", ANN, "big");
    big.extend(std::iter::repeat_n(b"0123456789\r\n".as_slice(), 400).flatten());
    deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, "small"));
    wait_all(site.at("pop3"), ANN, "secret", 1);
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    smtp.must(&format!("MAIL FROM:<c@example.com> SIZE={}", big.len()), 250);
    let reply = smtp.must("RCPT TO:<ann@example.test>", 552);
    assert!(reply.text().starts_with("5.2.2"), "{reply:?}");
}

#[test]
fn bdat_brings_the_same_octets_as_data() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let text = letter("c@example.com", ANN, "chunks");
    let mut smtp = Smtp::connect(site.at("smtp"));
    assert!(smtp.must("EHLO client.example.test", 250).offers("CHUNKING"));
    smtp.must("MAIL FROM:<c@example.com>", 250);
    smtp.must("RCPT TO:<ann@example.test>", 250);
    let (one, two) = text.split_at(100);
    smtp.wire.send(&[format!("BDAT {}\r\n", one.len()).as_bytes(), one].concat()).expect("sent");
    assert_eq!(smtp.reply().expect("a reply").code, 250);
    smtp.wire.send(&[format!("BDAT {} LAST\r\n", two.len()).as_bytes(), two].concat()).expect("sent");
    assert_eq!(smtp.reply().expect("a reply").code, 250);
    let read = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    assert!(read.ends_with(&text), "{}", String::from_utf8_lossy(&read));
}

#[test]
fn a_binary_message_is_kept_whole_and_read_as_lines() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let data = b"\n.\n\r.\r\n.\r\nMAIL FROM:<x@y>\r\n\0\xff\n";
    let head = "Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let message = [head.as_bytes(), data].concat();
    let mut smtp = Smtp::connect(site.at("smtp"));
    assert!(smtp.must("EHLO client.example.test", 250).offers("BINARYMIME"));
    smtp.must("MAIL FROM:<c@example.com> BODY=BINARYMIME", 250);
    smtp.must("RCPT TO:<ann@example.test>", 250);
    smtp.must("DATA", 503);
    smtp.wire
        .send(&[format!("BDAT {} LAST\r\n", message.len()).as_bytes(), &message].concat())
        .expect("sent");
    assert_eq!(smtp.reply().expect("a reply").code, 250);
    // A bare LF in the header section would be read in two ways.
    smtp.must("MAIL FROM:<c@example.com> BODY=BINARYMIME", 250);
    smtp.must("RCPT TO:<ann@example.test>", 250);
    smtp.wire.send(b"BDAT 13 LAST\r\nA: b\nC: d\r\n\r\n").expect("sent");
    assert_eq!(smtp.reply().expect("a reply").code, 550);
    let read = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    let text = String::from_utf8(read).expect("ASCII");
    let encoded = BASE64_STANDARD.encode(data);
    assert!(text.contains("Content-Transfer-Encoding: base64\r\n") && text.contains(&encoded), "{text}");
}

#[test]
fn pop3_deletes_at_quit_only_and_serves_one_reader_at_a_time() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    for n in 0..3 {
        deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, &format!("n{n}")));
    }
    wait_all(site.at("pop3"), ANN, "secret", 3);
    let mut first = Pop3::connect(site.at("pop3"));
    first.login(ANN, "secret");
    first.must("DELE 1");
    let mut second = Pop3::connect(site.at("pop3"));
    second.must(&format!("USER {ANN}"));
    let refused = second.command("PASS secret").expect("an answer");
    assert!(refused.starts_with("-ERR [IN-USE]"), "{refused}");
    drop(first);
    // The first reader left without QUIT: nothing is deleted.
    let mut third = wait_for("the mailbox to be free", secs(10), || {
        let mut pop = Pop3::connect(site.at("pop3"));
        pop.must(&format!("USER {ANN}"));
        let answer = pop.command("PASS secret").expect("an answer");
        std::thread::sleep(Duration::from_millis(50));
        answer.starts_with("+OK").then_some(pop)
    });
    assert_eq!(third.count(), 3);
    let before = third.ids();
    third.must("DELE 2");
    third.must("QUIT");
    let mut fourth = Pop3::connect(site.at("pop3"));
    fourth.login(ANN, "secret");
    assert_eq!(fourth.ids(), [before[0].clone(), before[2].clone()]);
    fourth.must("TOP 1 1");
    let top = fourth.lines();
    assert_eq!(top.last().map(Vec::as_slice), Some(b"Dear reader,".as_slice()));
}
