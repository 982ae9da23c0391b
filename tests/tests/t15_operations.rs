//! What an operator does to a running server: looks at its numbers, reloads it, renews a certificate,
//! asks it to go.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use iems_tests::address;
use iems_tests::certificates::Certificates;
use iems_tests::iems::{HOST, Iems};
use iems_tests::peers::curl::curl;
use iems_tests::pop3::wait_all;
use iems_tests::process::tail;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};
use rustix::process::Signal;

const ANN: &str = "ann@example.test";

#[test]
fn the_numbers_of_a_message_can_be_scraped() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let url = |path: &str| format!("http://{}{path}", site.at("metrics"));
    let before = curl(&["--fail", &url("/metrics")], b"").good().out;
    deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, "counted"));
    wait_all(site.at("pop3"), ANN, "secret", 1);
    let after = curl(&["--fail", &url("/metrics")], b"").good().out;
    assert!(after.lines().any(|line| line.starts_with("# TYPE iems_")), "{after}");
    assert_ne!(before, after, "a message changed no number");
    let value = |text: &str, line: &str| -> Option<f64> {
        text.lines()
            .find(|l| *l == line || l.split(' ').next() == Some(line))?
            .rsplit(' ')
            .next()?
            .parse()
            .ok()
    };
    let names = after.lines().filter(|l| l.contains("accepted") && !l.starts_with('#'));
    let grew =
        names.filter_map(|l| l.split(' ').next()).any(|name| value(&after, name) > value(&before, name));
    assert!(grew, "nothing counts accepted messages:\n{after}");
    curl(&["--fail", &url("/healthz")], b"").good();
}

#[test]
fn a_reload_takes_routes_over_and_refuses_mistakes() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", "error:5.1.2 nowhere");
    site.start();
    let refused = |site: &Iems| {
        let mut smtp = Smtp::connect(site.at("smtp"));
        smtp.must("EHLO client.example.test", 250);
        smtp.must("MAIL FROM:<ann@example.test>", 250);
        smtp.command("RCPT TO:<b@far.example>").expect("a reply").code != 250
    };
    assert!(refused(&site));
    site.config.routes = vec![("*".to_owned(), sink.via())];
    site.write();
    site.daemon().signal(Signal::HUP);
    wait_for("the new route", secs(10), || (!refused(&site)).then_some(()));
    deliver(site.at("smtp"), ANN, "b@far.example", &letter(ANN, "b@far.example", "x"));
    sink.wait(1, secs(10));
    site.config.routes[0].1 = "nonsense".to_owned();
    site.write();
    site.daemon().signal(Signal::HUP);
    wait_for("a word about the mistake", secs(10), || {
        tail(&site.log(), 30).contains("nonsense").then_some(())
    });
    assert!(!refused(&site), "a wrong file changed something");
    site.stop();
}

#[test]
fn a_reload_takes_limits_over_for_connections_from_then_on() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let offer = |smtp: &mut Smtp| smtp.must("EHLO client.example.test", 250).text();
    let mut early = Smtp::connect(site.at("smtp"));
    assert!(offer(&mut early).contains("SIZE 52428800"));
    site.config.more += "[limits]\nmessage = \"1MiB\"\n";
    site.write();
    site.daemon().signal(Signal::HUP);
    wait_for("the new size", secs(10), || {
        offer(&mut Smtp::connect(site.at("smtp"))).contains("SIZE 1048576").then_some(())
    });
    assert!(offer(&mut early).contains("SIZE 52428800"), "an open connection keeps what it was told");
    site.stop();
}

#[test]
fn a_renewed_certificate_is_taken_over() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let old = site.certificates.client();
    Smtp::connect(site.at("smtp")).start_tls(old, HOST);
    let names = [HOST.to_owned(), "localhost".to_owned()];
    site.certificates = Certificates::write(site.dir.path(), &names);
    site.daemon().signal(Signal::HUP);
    let new = site.certificates.client();
    wait_for("the new certificate", secs(10), || {
        let mut smtp = Smtp::connect(site.at("smtp"));
        smtp.must("EHLO client.example.test", 250);
        smtp.must("STARTTLS", 220);
        smtp.wire.start_tls(new.clone(), HOST).ok()
    });
}

#[test]
fn a_stop_lets_sessions_finish_and_takes_no_new_ones() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let server = site.at("smtp");
    let mut smtp = Smtp::connect(server);
    smtp.must("EHLO client.example.test", 250);
    smtp.must("MAIL FROM:<c@example.com>", 250);
    smtp.must(&format!("RCPT TO:<{ANN}>"), 250);
    smtp.must("DATA", 354);
    smtp.wire.send(b"Subject: half\r\n\r\nfirst half\r\n").expect("sent");
    let mut idle = Smtp::connect(server);
    site.daemon().signal(Signal::TERM);
    wait_for("the listener to close", secs(10), || TcpStream::connect(server).is_err().then_some(()));
    smtp.wire.send(b"second half\r\n.\r\n").expect("sent");
    assert_eq!(smtp.reply().expect("an answer to what was begun").code, 250);
    assert_eq!(idle.reply().expect("a word to the idle one").code, 421);
    let start = Instant::now();
    assert_eq!(site.daemon().wait(Duration::from_secs(15)), Some(0), "{}", tail(&site.log(), 30));
    assert!(start.elapsed() < Duration::from_secs(10), "an idle server takes its time to go");
    site.start();
    let message = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    assert!(message.ends_with(b"\r\n\r\nfirst half\r\nsecond half\r\n"));
}

#[test]
fn the_log_follows_a_message_by_its_id() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[log]\nformat = \"json\"\n".to_owned();
    site.start();
    let reply = deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, "logged"));
    let word = |w: &&str| w.len() == 26 && w.chars().all(|c| c.is_ascii_alphanumeric());
    let id =
        reply.split(|c: char| !c.is_ascii_alphanumeric()).find(word).expect("an id in the reply").to_owned();
    wait_all(site.at("pop3"), ANN, "secret", 1);
    site.stop();
    let log = std::fs::read_to_string(site.log()).expect("the log");
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    // Delivered in the same commit: one line tells of both.
    let accepted =
        lines.iter().find(|line| line.to_string().contains(&id)).expect("a line about the message");
    assert_eq!(accepted["delivered"], 1, "{accepted:#}");
    assert_eq!(accepted["sender"], "c@example.com", "{accepted:#}");
    site.config.route("*", format!("smtp:{}:1", site.ip));
    site.start();
    deliver(site.at("smtp"), ANN, "b@far.example", &letter(ANN, "b@far.example", "deferred"));
    wait_for("a line about the attempt", secs(10), || {
        tail(&site.log(), 5).contains("deferred").then_some(())
    });
}
