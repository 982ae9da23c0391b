//! What volume rests on, seen from outside with strace: replies to pipelined commands leave in one write, in the clear and under
//! TLS; and a peer that takes a message and falls silent gets it twice at most.

use std::path::PathBuf;

use iems_tests::address;
use iems_tests::iems::{HOST, Iems};
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, deliver, letter, stuffed};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";

/// An iems under strace, and where its writes to sockets are listed.
fn traced() -> (Iems, PathBuf) {
    let mut site = Iems::with_accounts(&[ANN]);
    let list = site.dir.path().join("strace.txt");
    let file = list.display().to_string();
    // With -D the server stays our own child: it is ended by its own id, and strace ends with it.
    site.under(&[
        "strace",
        "-D",
        "-f",
        "-qq",
        "-s",
        "400",
        "-e",
        "trace=sendto,sendmsg,write,writev",
        "-o",
        &file,
    ]);
    site.start();
    (site, list)
}

/// The listed writes that hold these words.
fn writes(list: &PathBuf, words: &str) -> Vec<String> {
    let text = std::fs::read_to_string(list).expect("what strace wrote");
    text.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
}

#[test]
fn replies_to_pipelined_commands_are_one_write() {
    let (site, list) = traced();
    let mut smtp = Smtp::connect(site.at("smtp"));
    let text = String::from_utf8(stuffed(&letter("c@example.com", ANN, "one"))).expect("ASCII");
    let envelope =
        format!("MAIL FROM:<c@example.com>\r\n{}DATA\r\n", format!("RCPT TO:<{ANN}>\r\n").repeat(20));
    smtp.must("EHLO client.example.test", 250);
    smtp.wire.send(envelope.as_bytes()).expect("sent");
    let codes: Vec<u16> = (0..22).map(|_| smtp.reply().expect("a reply").code).collect();
    assert_eq!(codes, [&[250; 21][..], &[354]].concat());
    // The end of one message and the envelope of the next.
    smtp.wire.send(format!("{text}{envelope}").as_bytes()).expect("sent");
    let codes: Vec<u16> = (0..23).map(|_| smtp.reply().expect("a reply").code).collect();
    assert_eq!(codes, [&[250; 22][..], &[354]].concat());
    smtp.wire.send(format!("{text}QUIT\r\n").as_bytes()).expect("sent");
    assert_eq!(smtp.reply().expect("a reply").code, 250);
    assert_eq!(smtp.reply().expect("a reply").code, 221);
    wait_for("the last write", secs(5), || (!writes(&list, "221 2.0.0").is_empty()).then_some(()));
    let replies = writes(&list, "2.1.0 sender ok");
    assert_eq!(replies.len(), 2, "{replies:#?}");
    assert!(replies.iter().all(|line| line.contains("2.1.5 recipient ok")), "{replies:#?}");
    assert!(replies[1].contains("queued as"), "with the reply to the message before: {}", replies[1]);
    assert_eq!(writes(&list, "221 2.0.0"), writes(&list, "queued as")[1..], "and QUIT's with the last");
}

#[test]
fn under_tls_too() {
    let (site, list) = traced();
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.start_tls(site.certificates.client(), HOST);
    // Records with data of ours, as strace shows their beginning.
    let records = || writes(&list, "\"\\27\\3\\3");
    let before = records().len();
    let envelope =
        format!("MAIL FROM:<c@example.com>\r\n{}DATA\r\n", format!("RCPT TO:<{ANN}>\r\n").repeat(20));
    smtp.wire.send(envelope.as_bytes()).expect("sent");
    let codes: Vec<u16> = (0..22).map(|_| smtp.reply().expect("a reply").code).collect();
    assert_eq!(codes, [&[250; 21][..], &[354]].concat());
    wait_for("the write of the replies", secs(5), || (records().len() > before).then_some(()));
    let all = records();
    assert_eq!(all.len() - before, 1, "{:#?}", &all[before..]);
}

#[test]
fn silence_after_the_dot_costs_one_more_copy_at_most() {
    let sink = Sink::start(address::fresh(), 2526, Script { vanish: true, ..Script::default() });
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("far.example", sink.via());
    site.start();
    deliver(site.at("smtp"), ANN, "b@far.example", &letter(ANN, "b@far.example", "twice"));
    // It took the message and closed without a word: what became of it iems cannot know.
    sink.wait(1, secs(15));
    sink.script(Script::default());
    wait_for("an empty queue", secs(20), || {
        let left = site.admin(&["queue", "list", "--json"]).good().json();
        left.as_array().is_some_and(Vec::is_empty).then_some(())
    });
    std::thread::sleep(secs(1));
    let arrived = sink.arrived();
    // One for each end that was not answered, and the one that was.
    assert!(arrived.len() >= 2, "{}", arrived.len());
    let ids: std::collections::BTreeSet<String> = arrived
        .iter()
        .map(|a| {
            let text = String::from_utf8_lossy(&a.body).into_owned();
            text.lines().find(|line| line.starts_with("Message-ID:")).unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 1, "copies of one message: {ids:?}");
    let answered = sink.connections();
    assert_eq!(arrived.len(), answered, "one copy for each connection");
}
