//! Mail goes through a smart host that wants a login: another `iems`, where we have an account.

use std::os::unix::fs::PermissionsExt as _;

use iems_tests::iems::Iems;
use iems_tests::pop3::{field, wait_all};
use iems_tests::smtp::{deliver, letter};
use iems_tests::wait::{secs, wait_for};
use rustix::process::Signal;
use serde_json::Value;

const ANN: &str = "ann@example.test";
const BEN: &str = "ben@far.example";

/// A site that sends everything else through the submission listener of `smart`, with this password.
fn site(smart: &Iems, password: &str) -> Iems {
    let mut site = Iems::with_accounts(&["us@ours.example"]);
    write(&site, password);
    site.config.more = format!(
        "[[route]]\ndomain = \"*\"\nvia = \"smtp:{}\"\nuser = \"{ANN}\"\npassword_file = \"smart.password\"\n",
        smart.at("submission")
    );
    site.start();
    site
}

fn write(site: &Iems, password: &str) {
    let file = site.dir.path().join("smart.password");
    std::fs::write(&file, format!("{password}\nmade on Tuesday\n")).expect("a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("our own file");
}

fn queue(site: &Iems) -> Vec<Value> {
    site.admin(&["queue", "list", "--json"]).good().json().as_array().expect("a list").clone()
}

fn smart() -> Iems {
    let mut smart = Iems::with_accounts(&[ANN, BEN]);
    smart.start();
    smart
}

#[test]
fn mail_goes_through_a_smart_host_that_wants_a_login() {
    let smart = smart();
    let site = site(&smart, "secret");
    deliver(site.at("smtp"), ANN, BEN, &letter(ANN, BEN, "hello"));
    let read = wait_all(smart.at("pop3"), BEN, "secret", 1);
    let received = field(&read[0], "Received").expect("a Received field");
    assert!(received.contains("with ESMTPSA"), "{received}");
    assert!(queue(&site).is_empty());
}

#[test]
fn mail_waits_while_the_password_is_wrong_and_goes_when_it_is_mended() {
    let smart = smart();
    let mut site = site(&smart, "hunter2");
    deliver(site.at("smtp"), ANN, BEN, &letter(ANN, BEN, "hello"));
    let waiting = wait_for("an attempt", secs(20), || {
        let all = queue(&site);
        (all.len() == 1 && all[0]["last_reply"].is_string()).then(|| all[0].clone())
    });
    let reply = waiting["last_reply"].as_str().expect("a reply");
    assert!(reply.contains("451 4.7.8") && reply.contains("in reply to AUTH"), "{reply}");
    let shown = site.admin(&["queue", "list"]).good().out;
    assert!(shown.contains("4.7.8"), "{shown}");
    write(&site, "secret");
    site.daemon().signal(Signal::HUP);
    let read = wait_all(smart.at("pop3"), BEN, "secret", 1);
    assert_eq!(field(&read[0], "Subject").as_deref(), Some("hello"));
    let log = std::fs::read_to_string(site.log()).expect("a log");
    assert!(!log.contains("hunter2") && !log.contains("secret\n"), "no password in the log");
}
