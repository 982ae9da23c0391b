//! Where mail goes is asked of a real DNS server: exchangers, addresses, null MX, names that do not exist.
//! Exchangers listen on port 25 of loopback addresses, as the DNS leaves no other choice.

use std::fs::File;
use std::net::Ipv4Addr;

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::peers::knot::Knot;
use iems_tests::pop3::wait_all;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{deliver, letter};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";

fn sink(ip: Ipv4Addr) -> Sink {
    Sink::start(ip, 25, Script::default())
}

fn site(dns: &str) -> Iems {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.dns = vec![dns.to_owned()];
    site.start();
    site
}

fn send(site: &Iems, to: &str) {
    deliver(site.at("smtp"), ANN, to, &letter(ANN, to, "dns"));
}

/// The notice that comes back to Ann.
fn notice(site: &Iems) -> String {
    String::from_utf8_lossy(&wait_all(site.at("pop3"), ANN, "secret", 1)[0]).into_owned()
}

#[test]
fn the_best_exchanger_gets_it() {
    let (best, other) = (sink(address::fresh()), sink(address::fresh()));
    let zone = format!("@ MX 20 b\n@ MX 10 a\na A {}\nb A {}", best.at.ip(), other.at.ip());
    let knot = Knot::start(&[("far.example", &zone)]);
    let site = site(&knot.at.to_string());
    send(&site, "bob@far.example");
    assert!(best.wait(1, secs(15))[0].rcpt[0].starts_with("<bob@far.example>"));
    assert!(other.arrived().is_empty());
}

#[test]
fn the_next_exchanger_gets_it_when_the_best_is_down_or_busy() {
    let (dead, busy, good) = (address::fresh(), address::fresh(), sink(address::fresh()));
    let greeting = Some("421 4.3.2 busy".to_owned());
    let busy = Sink::start(busy, 25, Script { greeting, ..Script::default() });
    let zone = format!(
        "@ MX 5 dead\n@ MX 10 busy\n@ MX 20 good\ndead A {dead}\nbusy A {}\ngood A {}",
        busy.at.ip(),
        good.at.ip()
    );
    let knot = Knot::start(&[("far.example", &zone)]);
    let site = site(&knot.at.to_string());
    send(&site, "bob@far.example");
    good.wait(1, secs(15));
    assert!(busy.connections() >= 1);
}

#[test]
fn without_exchangers_the_host_itself_gets_it() {
    let host = sink(address::fresh());
    let knot = Knot::start(&[("far.example", &format!("@ A {}\nalias CNAME @", host.at.ip()))]);
    let site = site(&knot.at.to_string());
    send(&site, "bob@far.example");
    send(&site, "bob@alias.far.example");
    host.wait(2, secs(15));
}

#[test]
fn addresses_of_both_kinds_are_tried() {
    let lock = File::create(std::env::temp_dir().join("iems-tests-v6.lock")).expect("a lock");
    lock.lock().expect("the only loopback address of IPv6");
    let four = sink(address::fresh());
    let zone = format!("@ MX 10 both\nboth A {}\nboth AAAA ::1\nsix MX 10 only\nonly AAAA ::1", four.at.ip());
    let knot = Knot::start(&[("far.example", &zone)]);
    let site = site(&knot.at.to_string());
    // Nobody listens on ::1 yet: the other address must do.
    send(&site, "bob@far.example");
    four.wait(1, secs(15));
    let listener = std::net::TcpListener::bind("[::1]:25").expect("port 25 of ::1");
    send(&site, "bob@six.far.example");
    let (_, peer) = listener.accept().expect("a connection by IPv6");
    assert!(peer.is_ipv6());
}

#[test]
fn a_domain_that_takes_no_mail_bounces_at_once() {
    let knot = Knot::start(&[("far.example", "@ MX 0 .\n@ A 127.0.0.1")]);
    let site = site(&knot.at.to_string());
    send(&site, "bob@far.example");
    assert!(notice(&site).contains("Status: 5.1.10"), "{}", notice(&site));
}

#[test]
fn a_domain_that_does_not_exist_bounces_at_once() {
    let knot = Knot::start(&[("far.example", "@ A 127.0.0.1")]);
    let site = site(&knot.at.to_string());
    send(&site, "bob@missing.far.example");
    assert!(notice(&site).contains("Status: 5.1.2"), "{}", notice(&site));
}

#[test]
fn without_an_answer_mail_waits() {
    let knot = Knot::start(&[("far.example", "@ A 127.0.0.1")]);
    let site = site(&knot.at.to_string());
    // Knot answers REFUSED for zones it does not have.
    send(&site, "bob@elsewhere.example");
    wait_for("a second attempt", secs(15), || {
        let list = site.admin(&["queue", "list", "--json"]).good().json();
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
        list[0]["attempts"].as_u64().filter(|&n| n >= 2)
    });
}
