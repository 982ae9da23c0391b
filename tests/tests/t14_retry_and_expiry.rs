//! A next hop that is down, and then up; one that never comes; one that refuses some for now.

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::pop3::wait_all;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};
use serde_json::Value;

const ANN: &str = "ann@example.test";

fn queue(site: &Iems) -> Vec<Value> {
    site.admin(&["queue", "list", "--json"]).good().json().as_array().expect("a list").clone()
}

fn empty(site: &Iems) {
    wait_for("the queue to run empty", secs(15), || queue(site).is_empty().then_some(()));
}

#[test]
fn mail_waits_for_a_peer_that_is_down_also_across_a_restart() {
    let ip = address::fresh();
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", format!("smtp:{ip}:2526"));
    site.start();
    for n in 0..20 {
        let to = format!("b{n}@far.example");
        deliver(site.at("smtp"), ANN, &to, &letter(ANN, &to, "waits"));
    }
    wait_for("attempts", secs(15), || {
        let all = queue(&site);
        assert_eq!(all.len(), 20);
        all.iter().all(|m| m["state"] == "deferred" && m["last_reply"].is_string()).then_some(())
    });
    let tries = |site: &Iems| queue(site).iter().filter_map(|m| m["attempts"].as_u64()).sum::<u64>();
    site.stop();
    let before = tries(&site);
    assert!((1..20).contains(&before), "a peer that is down is tried by one message, not by each: {before}");
    site.start();
    let sink = Sink::start(ip, 2526, Script::default());
    let arrived = sink.wait(20, secs(15));
    empty(&site);
    let mut to: Vec<String> = arrived.iter().flat_map(|a| a.rcpt.clone()).collect();
    to.sort();
    to.dedup();
    assert_eq!((sink.arrived().len(), to.len()), (20, 20), "each once");
}

#[test]
fn who_is_refused_for_now_waits_alone() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", sink.via());
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    let to = ["good@far.example", "later@far.example"];
    assert_eq!(smtp.send(ANN, &to, &letter(ANN, "both", "x")).expect("a reply").code, 250);
    let waiting = wait_for("two attempts", secs(15), || {
        let all = queue(&site);
        (all.len() == 1 && all[0]["attempts"].as_u64() >= Some(2)).then(|| all[0].clone())
    });
    assert_eq!(waiting["recipients"].as_array().map(Vec::len), Some(1), "{waiting:#}");
    assert_eq!(waiting["recipients"][0]["address"], "later@far.example");
    assert!(
        waiting["last_reply"].as_str().is_some_and(|reply| reply.contains("come back later")),
        "{waiting:#}"
    );
    assert_eq!(sink.arrived().len(), 1, "the other one came once");
}

#[test]
fn a_busy_end_of_data_and_a_vanished_peer_are_tried_again() {
    let data = Some("451 4.3.0 try again".to_owned());
    let sink = Sink::start(address::fresh(), 2526, Script { data, ..Script::default() });
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", sink.via());
    site.start();
    deliver(site.at("smtp"), ANN, "b@far.example", &letter(ANN, "b@far.example", "x"));
    wait_for("an attempt", secs(10), || (sink.connections() >= 1).then_some(()));
    sink.script(Script { vanish: true, ..Script::default() });
    // No answer to the end of the data means that we cannot know: it comes again.
    sink.wait(2, secs(15));
    sink.script(Script::default());
    empty(&site);
}

#[test]
fn what_never_gets_through_expires() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", format!("smtp:{}:1", site.ip));
    site.config.expire = "3s".to_owned();
    site.start();
    deliver(site.at("smtp"), ANN, "b@far.example", &letter(ANN, "b@far.example", "x"));
    let notice = String::from_utf8_lossy(&wait_all(site.at("pop3"), ANN, "secret", 1)[0]).into_owned();
    assert!(notice.contains("b@far.example") && notice.contains("Action: failed"), "{notice}");
    empty(&site);
}

#[test]
fn connections_are_used_again() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", sink.via());
    site.config.queue = "per_hop = 2".to_owned();
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    for n in 0..60 {
        let to = format!("b{n}@far.example");
        assert_eq!(smtp.send(ANN, &[&to], &letter(ANN, &to, "x")).expect("a reply").code, 250);
    }
    sink.wait(60, secs(20));
    empty(&site);
    assert!(sink.connections() <= 20, "{} connections for 60 messages", sink.connections());
}

#[test]
fn routes_can_refuse_and_smart_hosts_take_the_rest() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("closed.example", "error:5.1.2 this domain is closed");
    site.config.route("*.example", "error:4.4.1 not today");
    site.config.route("*", sink.via());
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    smtp.must("MAIL FROM:<ann@example.test>", 250);
    let closed = smtp.must("RCPT TO:<b@closed.example>", 550);
    assert!(closed.text().starts_with("5.1.2 this domain is closed ["), "{closed:?}");
    let today = smtp.command("RCPT TO:<b@open.example>").expect("a reply");
    assert!(today.code / 100 == 4 && today.text().starts_with("4.4.1"), "{today:?}");
    smtp.must("RCPT TO:<b@far.test>", 250);
    smtp.must("RSET", 250);
    deliver(site.at("smtp"), ANN, "b@far.test", &letter(ANN, "b@far.test", "x"));
    sink.wait(1, secs(10));
}
