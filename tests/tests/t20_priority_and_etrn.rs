//! What a sender says of urgency, and a peer that comes online and asks for its mail.

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, letter};
use iems_tests::wait::{secs, wait_for};
use serde_json::Value;

const ANN: &str = "ann@example.test";

fn queue(site: &Iems) -> Vec<Value> {
    site.admin(&["queue", "list", "--json"]).good().json().as_array().expect("a list").clone()
}

#[test]
fn a_wish_for_priority_is_kept_and_a_peer_that_asks_gets_its_mail() {
    let ip = address::fresh();
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", format!("smtp:{ip}:2526"));
    site.start();
    let mut smtp = Smtp::connect(site.at("smtp"));
    let hello = smtp.must("EHLO client.example.test", 250).text();
    assert!(hello.contains("MT-PRIORITY"), "{hello}");
    smtp.must(&format!("MAIL FROM:<{ANN}> MT-PRIORITY=10"), 501);
    smtp.must(&format!("MAIL FROM:<{ANN}> MT-PRIORITY=7"), 250);
    smtp.must("RCPT TO:<b@far.example>", 250);
    smtp.must("DATA", 354);
    let text = String::from_utf8(letter(ANN, "b@far.example", "urgent")).expect("text");
    smtp.must(&format!("{}\r\n.", text.trim_end()), 250);
    let waiting = wait_for("an attempt", secs(15), || {
        let all = queue(&site);
        (all.len() == 1 && all[0]["attempts"].as_u64() >= Some(1)).then(|| all[0].clone())
    });
    let id = waiting["id"].as_str().expect("an id").to_owned();
    let shown = site.admin(&["queue", "show", &id, "--json"]).good().json();
    assert!(shown.to_string().contains("\"priority\":7"), "{shown:#}");
    smtp.must("ETRN other.example", 251);
    smtp.must("ETRN #all", 501);
    let sink = Sink::start(ip, 2526, Script::default());
    smtp.must("ETRN far.example", 253);
    sink.wait(1, secs(15));
    wait_for("the queue to run empty", secs(15), || queue(&site).is_empty().then_some(()));
    smtp.must("ETRN far.example", 251);
}
