//! Messages with a time of their own: held until it comes (RFC 4865), or of no use once it is over (RFC 2852).

use std::time::{Duration, Instant};

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::pop3::wait_all;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Reply, Smtp, letter, stuffed};
use iems_tests::wait::{secs, wait_for};
use serde_json::Value;

const ANN: &str = "ann@example.test";

fn queue(site: &Iems, args: &[&str]) -> Vec<Value> {
    let args = [&["queue", "list", "--json"], args].concat();
    site.admin(&args).good().json().as_array().expect("a list").clone()
}

fn empty(site: &Iems) {
    wait_for("the queue to run empty", secs(20), || queue(site, &[]).is_empty().then_some(()));
}

/// A session of Ann's program; the reply to EHLO.
fn submission(site: &Iems) -> (Smtp, Reply) {
    let mut smtp = Smtp::connect(site.at("submission"));
    smtp.must("EHLO client.example.test", 250);
    assert_eq!(smtp.auth_plain(ANN, "secret").expect("a reply").code, 235);
    let hello = smtp.must("EHLO client.example.test", 250);
    (smtp, hello)
}

fn send(smtp: &mut Smtp, wishes: &str, to: &str, subject: &str) {
    smtp.must(&format!("MAIL FROM:<{ANN}> {wishes}"), 250);
    smtp.must(&format!("RCPT TO:<{to}>"), 250);
    smtp.must("DATA", 354);
    smtp.wire.send(&stuffed(&letter(ANN, to, subject))).expect("sent");
    assert_eq!(smtp.reply().expect("a reply").code, 250);
}

#[test]
fn a_message_waits_for_its_time_also_across_a_restart_and_can_be_cancelled() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", sink.via());
    site.config.more = "[limits]\nfuture_release = \"1h\"\n".to_owned();
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    assert!(!smtp.must("EHLO client.example.test", 250).offers("FUTURERELEASE"));
    smtp.must(&format!("MAIL FROM:<{ANN}> HOLDFOR=10"), 555);
    let (mut smtp, hello) = submission(&site);
    assert!(hello.text().contains("FUTURERELEASE 3600 20"), "{hello:?}");
    smtp.must(&format!("MAIL FROM:<{ANN}> HOLDFOR=3601"), 501);
    smtp.must(&format!("MAIL FROM:<{ANN}> HOLDUNTIL=2020-01-01T00:00:00Z"), 501);
    smtp.must(&format!("MAIL FROM:<{ANN}> HOLDFOR=60 BY=30;R"), 501);
    let begun = Instant::now();
    send(&mut smtp, "HOLDFOR=8", "soon@far.example", "soon");
    send(&mut smtp, "HOLDFOR=8", ANN, "to myself");
    send(&mut smtp, "HOLDFOR=3000", "never@far.example", "cancelled");
    send(&mut smtp, "HOLDFOR=3000", "now@far.example", "released");
    let all = queue(&site, &["--state", "scheduled"]);
    assert_eq!(all.len(), 4, "{all:#?}");
    let shown = site.admin(&["queue", "show", all[0]["id"].as_str().expect("an id")]).good();
    assert!(shown.out.contains("scheduled") && shown.out.contains("as its sender wishes"), "{}", shown.out);
    let story = site.admin(&["explain", all[2]["id"].as_str().expect("an id")]).good();
    assert!(story.out.contains("as its sender wishes"), "{}", story.out);
    let of = |to: &str| {
        let found = all.iter().find(|m| m["recipients"][0]["address"] == to);
        found.and_then(|m| m["id"].as_str()).expect("an id").to_owned()
    };
    site.admin(&["queue", "retry", "--all"]).good(); // does not send them
    smtp.must("ETRN far.example", 502); // RFC 6409 section 7
    let mut relay = Smtp::connect(site.at("smtp"));
    relay.must("EHLO client.example.test", 250);
    relay.must("ETRN far.example", 251);
    site.stop();
    site.start();
    assert_eq!(queue(&site, &["--state", "scheduled"]).len(), 4, "kept over a restart, and sent by nothing");
    site.admin(&["queue", "purge", &of("never@far.example")]).good();
    site.admin(&["queue", "release", &of("now@far.example")]).good();
    let first = sink.wait(1, secs(5)).remove(0);
    assert!(first.rcpt[0].contains("now@far.example"), "{first:?}");
    sink.wait(2, secs(20));
    assert!(begun.elapsed() >= Duration::from_secs(8), "{:?}", begun.elapsed());
    wait_all(site.at("pop3"), ANN, "secret", 1);
    empty(&site);
    assert_eq!(sink.arrived().len(), 2);
}

#[test]
fn a_message_is_returned_or_told_of_when_its_time_is_over() {
    let ip = address::fresh();
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", format!("smtp:{ip}:2526"));
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    assert!(smtp.must("EHLO client.example.test", 250).offers("DELIVERBY"));
    smtp.must(&format!("MAIL FROM:<{ANN}> BY=0;R"), 501);
    send(&mut smtp, "BY=3;R", "late@far.example", "returned");
    let failed = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    let failed = String::from_utf8_lossy(&failed).into_owned();
    assert!(failed.contains("Action: failed") && failed.contains("Status: 5.4.7"), "{failed}");
    assert!(failed.contains("Deliver-By-Date: "), "{failed}");
    empty(&site);
    send(&mut smtp, "BY=2;N", "patient@far.example", "told");
    let delayed = wait_all(site.at("pop3"), ANN, "secret", 2).remove(1);
    let delayed = String::from_utf8_lossy(&delayed).into_owned();
    assert!(delayed.contains("Action: delayed") && delayed.contains("Status: 4.4.7"), "{delayed}");
    assert_eq!(queue(&site, &[]).len(), 1, "it is tried on");
}

#[test]
fn what_is_left_of_the_time_goes_on_and_who_cannot_keep_it_is_told_of() {
    let mut knows = Script::default();
    knows.extensions.push("DELIVERBY 20".to_owned());
    let with = Sink::start(address::fresh(), 2526, knows);
    let without = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("with.example", with.via());
    site.config.route("without.example", without.via());
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    send(&mut smtp, "BY=100;R", "a@with.example", "in time");
    let came = with.wait(1, secs(10)).remove(0);
    let by = came.mail.split(" BY=").nth(1).and_then(|rest| rest.split(';').next());
    let left: i64 = by.and_then(|by| by.parse().ok()).unwrap_or_else(|| panic!("{}", came.mail));
    assert!((80..=100).contains(&left) && came.mail.contains(";R"), "{}", came.mail);
    send(&mut smtp, "BY=10;R", "b@with.example", "too late");
    let failed = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    assert!(String::from_utf8_lossy(&failed).contains("Status: 5.4.7"));
    send(&mut smtp, "BY=100;R", "c@without.example", "not kept");
    let failed = wait_all(site.at("pop3"), ANN, "secret", 2).remove(1);
    assert!(String::from_utf8_lossy(&failed).contains("Status: 5.3.3"));
    send(&mut smtp, "BY=100;N", "d@without.example", "relayed");
    let relayed = wait_all(site.at("pop3"), ANN, "secret", 3).remove(2);
    assert!(String::from_utf8_lossy(&relayed).contains("Action: relayed"));
    assert!(!without.wait(1, secs(10)).remove(0).mail.contains("BY="));
    send(&mut smtp, "BY=100;NT", "e@with.example", "traced");
    let relayed = wait_all(site.at("pop3"), ANN, "secret", 4).remove(3);
    assert!(String::from_utf8_lossy(&relayed).contains("Action: relayed"));
    empty(&site);
    assert_eq!((with.arrived().len(), without.arrived().len()), (2, 1));
}
