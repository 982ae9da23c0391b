//! What the administrator says about one destination holds on the wire: TLS, source address, name, size, reuse of
//! connections, schedule. Domains with the same mail exchangers are one site.

use std::time::Instant;

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::peers::knot::Knot;
use iems_tests::pop3::wait_all;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};
use rustix::process::Signal;
use serde_json::Value;

const ANN: &str = "ann@example.test";

fn queue(site: &Iems) -> Vec<Value> {
    site.admin(&["queue", "list", "--json"]).good().json().as_array().expect("a list").clone()
}

fn sink() -> Sink {
    Sink::start(address::fresh(), 2526, Script::default())
}

/// A site that sends `far.example` to one sink and everything else to another, with this said of peers.
fn site(far: &Sink, other: &Sink, peers: &str) -> Iems {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("far.example", far.via());
    site.config.route("*", other.via());
    site.config.more = peers.to_owned();
    site.start();
    site
}

/// An entry for what a sink stands for.
fn peer(sink: &Sink, keys: &str) -> String {
    format!("[[peer]]\ndomain = \"{}\"\n{keys}\n", sink.at)
}

fn send(site: &Iems, to: &str) {
    deliver(site.at("smtp"), ANN, to, &letter(ANN, to, "peers"));
}

#[test]
fn mail_for_a_peer_that_must_have_tls_waits_where_there_is_none() {
    let (far, other) = (sink(), sink());
    let site = site(&far, &other, &peer(&far, "tls = \"verify\""));
    send(&site, "b@far.example");
    send(&site, "b@other.example");
    other.wait(1, secs(15));
    let waiting = wait_for("an attempt", secs(15), || {
        let all = queue(&site);
        (all.len() == 1 && all[0]["attempts"].as_u64() >= Some(1)).then(|| all[0].clone())
    });
    assert!(waiting["last_reply"].as_str().is_some_and(|reply| reply.contains("4.7.4")), "{waiting:#}");
    assert!(far.arrived().is_empty() && far.connections() >= 1);
}

#[test]
fn a_peer_is_called_from_its_address_by_its_name_and_with_few_messages_a_connection() {
    let (far, other) = (sink(), sink());
    let keys = "concurrency = 1\nmessages_per_link = 2\nlink_idle = \"10s\"\nsource = \"127.0.0.2\"\nhello = \"out.example.test\"";
    let site = site(&far, &other, &peer(&far, keys));
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    for n in 0..6 {
        for domain in ["far.example", "other.example"] {
            let to = format!("b{n}@{domain}");
            assert_eq!(smtp.send(ANN, &[&to], &letter(ANN, &to, "x")).expect("a reply").code, 250);
        }
    }
    for arrived in far.wait(6, secs(20)) {
        let seen = (arrived.from.to_string(), arrived.hello);
        assert_eq!(seen, ("127.0.0.2".to_owned(), "out.example.test".to_owned()));
    }
    assert_eq!(far.connections(), 3, "two messages over each connection");
    for arrived in other.wait(6, secs(20)) {
        assert!(arrived.from.to_string() != "127.0.0.2" && arrived.hello == "mx.example.test", "{arrived:?}");
    }
}

#[test]
fn what_is_too_large_for_a_peer_comes_back() {
    let (far, other) = (sink(), sink());
    let site = site(&far, &other, "[[peer]]\ndomain = \"*\"\nsize = \"2KiB\"\n");
    let large = letter(ANN, "large", &"0123456789\r\n".repeat(500));
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    assert_eq!(smtp.send(ANN, &["b@far.example"], &large).expect("a reply").code, 250);
    let notice = String::from_utf8_lossy(&wait_all(site.at("pop3"), ANN, "secret", 1)[0]).into_owned();
    assert!(notice.contains("Status: 5.3.4") && far.arrived().is_empty(), "{notice}");
    send(&site, "b@far.example");
    far.wait(1, secs(15));
}

#[test]
fn a_destination_is_given_up_in_its_own_time() {
    let mut site = Iems::with_accounts(&[ANN]);
    // Nobody listens at either.
    let (hurry, patient) = (format!("{}:1", site.ip), format!("{}:3", site.ip));
    site.config.route("hurry.example", format!("smtp:{hurry}"));
    site.config.route("*", format!("smtp:{patient}"));
    site.config.more = format!("[[peer]]\ndomain = \"{hurry}\"\nexpire = \"2s\"\n");
    site.start();
    send(&site, "b@patient.example");
    send(&site, "b@hurry.example");
    let notice = String::from_utf8_lossy(&wait_all(site.at("pop3"), ANN, "secret", 1)[0]).into_owned();
    assert!(notice.contains("b@hurry.example") && notice.contains("Status: 5.4.7"), "{notice}");
    let waiting = queue(&site);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["recipients"][0]["address"], "b@patient.example");
}

#[test]
fn a_reload_takes_peers_over_for_the_next_message() {
    let (far, other) = (sink(), sink());
    let mut site = site(&far, &other, "[[peer]]\ndomain = \"*\"\nlink_idle = \"1m\"\n");
    send(&site, "b@far.example");
    assert_eq!(far.wait(1, secs(15))[0].hello, "mx.example.test");
    // The connection is kept for the next message, and not used for it.
    site.config.more = peer(&far, "hello = \"out.example.test\"\nlink_idle = \"1m\"");
    site.write();
    site.daemon().signal(Signal::HUP);
    wait_for("the new rule", secs(10), || {
        let way = site.admin(&["route", "b@far.example", "--json"]).good().json()["ways"][0].clone();
        assert_eq!(way["site"], format!("[{}]:{}", far.at.ip(), far.at.port()));
        way["peer"].as_str().filter(|rule| rule.contains("[[peer]] [")).map(|_| ())
    });
    send(&site, "c@far.example");
    assert_eq!(far.wait(2, secs(15))[1].hello, "out.example.test");
    assert_eq!(far.connections(), 2);
}

#[test]
fn domains_with_the_same_exchangers_are_one_site() {
    let zone =
        |first: u16, second: u16| format!("@ MX {first} mx1.host.example.\n@ MX {second} mx2.host.example.");
    let (a, b) = (zone(10, 20), zone(5, 5));
    let zones = [("a.example", a.as_str()), ("b.example", &b), ("c.example", "@ MX 10 mx1.host.example.")];
    let knot = Knot::start(&zones);
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.dns = vec![knot.at.to_string()];
    site.config.more = "[[peer]]\ndomain = \"b.example\"\nrate = \"10/1m\"\n".to_owned();
    site.start();
    let way = |to: &str| site.admin(&["route", to, "--json"]).good().json()["ways"][0].clone();
    let (a, b, c) = (way("x@a.example"), way("x@b.example"), way("x@c.example"));
    assert_eq!(a["site"], "mx1.host.example,mx2.host.example");
    assert_eq!((&b["site"], &c["site"]), (&a["site"], &Value::from("mx1.host.example")));
    assert!(a["peer"].as_str().is_some_and(|rule| rule.ends_with("[queue]")), "{a}");
    assert!(b["peer"].as_str().is_some_and(|rule| rule.ends_with("[[peer]] b.example")), "{b}");
    let text = site.admin(&["route", "x@b.example"]).good().out;
    assert!(text.contains("to the site mx1.host.example,mx2.host.example"), "{text}");
    assert_eq!(way(ANN)["site"], Value::Null);
}

#[test]
fn a_rate_holds_for_all_domains_of_a_site_together() {
    let far = Sink::start(address::fresh(), 25, Script::default());
    let host = format!("mx1 A {}", far.at.ip());
    let mx = "@ MX 10 mx1.host.example.";
    let knot = Knot::start(&[("host.example", &host), ("a.example", mx), ("b.example", mx)]);
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.dns = vec![knot.at.to_string()];
    site.config.more = "[[peer]]\ndomain = \"*\"\nrate = \"1/1s\"\n".to_owned();
    site.start();
    let start = Instant::now();
    for n in 0..2 {
        send(&site, &format!("x{n}@a.example"));
        send(&site, &format!("x{n}@b.example"));
    }
    far.wait(4, secs(20));
    assert!(start.elapsed() >= secs(3), "four messages in {:?} to one site", start.elapsed());
}
