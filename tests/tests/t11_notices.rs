//! Delivery status notifications: what the sender hears of failure, delay and success, read by another
//! program's parser (Python's), and as far as the sender asked to hear it (RFC 3461, 3464, 6522). What the postmaster
//! hears, and what nobody does.

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::peers::knot::Knot;
use iems_tests::peers::python;
use iems_tests::pop3::{field, read_all, wait_all};
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, letter};
use iems_tests::wait::{secs, wait_for};
use serde_json::Value;

const ANN: &str = "ann@example.test";

/// A site that relays everything foreign to a sink.
fn site(script: Script) -> (Sink, Iems) {
    let sink = Sink::start(address::fresh(), 2526, script);
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", sink.via());
    (sink, site)
}

/// A transaction with parameters; the message must be accepted.
fn send(site: &Iems, mail: &str, rcpt: &[&str]) {
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    smtp.must(&format!("MAIL FROM:{mail}"), 250);
    rcpt.iter().for_each(|to| drop(smtp.must(&format!("RCPT TO:{to}"), 250)));
    smtp.must("DATA", 354);
    smtp.wire.send(&iems_tests::smtp::stuffed(&letter(ANN, "far", "notices"))).expect("sent");
    assert_eq!(smtp.reply().expect("a reply").code, 250);
}

/// The only message in Ann's mailbox, as the parser sees it.
fn notice(site: &Iems) -> Value {
    let message = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    assert_eq!(field(&message, "Return-Path").as_deref(), Some("<>"));
    let notice = python::notice(&message);
    assert_eq!((&notice["type"], &notice["report"]), (&"multipart/report".into(), &"delivery-status".into()));
    assert_eq!(notice["defects"], Value::Array(Vec::new()), "{notice:#}");
    assert_eq!(notice["parts"][0], "text/plain");
    assert_eq!(notice["parts"][1], "message/delivery-status");
    assert_eq!(notice["header"]["auto-submitted"], "auto-replied", "RFC 3834 section 3.1.7");
    assert!(notice["header"]["to"].as_str().is_some_and(|to| to.contains(ANN)), "{notice:#}");
    notice
}

fn empty(site: &Iems) {
    wait_for("the queue to run empty", secs(15), || {
        let list = site.admin(&["queue", "list", "--json"]).good().json();
        list.as_array().is_some_and(Vec::is_empty).then_some(())
    });
}

#[test]
fn failure_is_told_with_what_the_sender_asked_for() {
    let (sink, mut site) = site(Script::default());
    site.start();
    let rcpt = "<never@far.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;first+2Bname@far.example";
    send(&site, "<ann@example.test> RET=HDRS ENVID=QQ314159", &[rcpt]);
    let notice = notice(&site);
    let (message, recipient) = (&notice["fields"][0], &notice["fields"][1]);
    assert_eq!(message["reporting-mta"], "dns; mx.example.test");
    assert_eq!(message["original-envelope-id"], "QQ314159");
    let is = |key: &str, value: &str| {
        let found = recipient[key].as_str().unwrap_or_default().replace("; ", ";");
        assert_eq!(found, value, "{key} in {notice:#}");
    };
    is("final-recipient", "rfc822;never@far.example");
    is("original-recipient", "rfc822;first+name@far.example");
    is("action", "failed");
    is("status", "5.1.1");
    is("diagnostic-code", "smtp;550 5.1.1 no such user here");
    is("remote-mta", &format!("dns;[{}]", sink.at.ip()));
    assert_eq!(recipient["final-log-id"].as_str().map(str::len), Some(26), "{notice:#}");
    assert!(recipient["last-attempt-date"].is_string() && message["arrival-date"].is_string(), "{notice:#}");
    assert!(
        message["received-from-mta"]
            .as_str()
            .is_some_and(|m| m.starts_with("dns; client.example.test (127."))
    );
    assert_eq!(notice["parts"][2], "text/rfc822-headers");
    let returned = notice["returned"][0].as_str().expect("a third part");
    assert!(returned.contains("Subject: notices") && !returned.contains("Dear reader"), "{returned}");
}

#[test]
fn the_whole_message_comes_back_when_asked_for() {
    let (_sink, mut site) = site(Script::default());
    site.start();
    send(&site, "<ann@example.test> RET=FULL", &["<never@far.example>"]);
    let notice = notice(&site);
    assert_eq!(notice["parts"][2], "message/rfc822");
    assert!(notice["returned"][0].as_str().is_some_and(|text| text.contains("Dear reader")), "{notice:#}");
    assert_eq!(notice["fields"][0].get("original-envelope-id"), None);
}

#[test]
fn one_notice_for_all_that_failed_together_and_none_for_who_said_never() {
    let (sink, mut site) = site(Script::default());
    site.start();
    let rcpt = [
        "<never1@far.example>",
        "<never2@far.example> NOTIFY=NEVER",
        "<never3@far.example>",
        "<good@far.example>",
    ];
    send(&site, "<ann@example.test>", &rcpt);
    sink.wait(1, secs(10));
    empty(&site);
    let notice = notice(&site);
    let groups = notice["fields"].as_array().expect("groups").clone();
    let told: Vec<&str> = groups[1..].iter().filter_map(|group| group["final-recipient"].as_str()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(!notice.to_string().contains("never2"), "{notice:#}");
}

#[test]
fn what_has_no_sender_is_told_to_the_postmaster_or_to_nobody() {
    let (_sink, mut site) = site(Script::default());
    site.config.more = "[reports]\ndouble_bounce_rate = 2\n".to_owned();
    site.start();
    send(&site, "<never@elsewhere.example>", &["<never@far.example>"]);
    send(&site, "<>", &["<never1@far.example>", "<never2@far.example>"]);
    for _ in 0..3 {
        send(&site, "<>", &["<never3@far.example>"]);
    }
    empty(&site);
    // Ann is the oldest account, and so the postmaster: two notices, and the rest is a number for later.
    let notices: Vec<Value> =
        wait_all(site.at("pop3"), ANN, "secret", 2).iter().map(|message| python::notice(message)).collect();
    assert!(notices.iter().all(|notice| notice["header"]["auto-submitted"] == "auto-generated"));
    site.stop();
    site.config.more = "[reports]\ndouble_bounces = \"nobody\"\n".to_owned();
    site.start();
    send(&site, "<>", &["<never@far.example>"]);
    empty(&site);
    assert_eq!(read_all(site.at("pop3"), ANN, "secret").len(), 2);
}

/// A site that asks a list about every peer, and tags what the list knows.
#[test]
fn reports_about_spam_are_marked_and_one_command_removes_them() {
    let knot = Knot::start(&[("bl.example", "*.127 A 127.0.0.2")]);
    let (_sink, mut site) = site(Script::default());
    site.config.dns = vec![knot.at.to_string()];
    site.config.more = "[[dnsbl]]\nzone = \"bl.example\"\n[dnsbl_options]\nprivate = true\n\
                        [[policy]]\ncheck = \"dnsbl/*\"\naction = \"tag\"\n[reports]\nspam_expire = \"1h\"\n"
        .to_owned();
    site.config.expire = "5d".to_owned();
    site.start();
    send(&site, "<later@forged.example>", &["<never@far.example>"]);
    send(&site, "<ann@example.test>", &["<later@far.example>"]);
    let list = |more: &[&str]| -> Vec<Value> {
        let args = [&["queue", "list", "--json"], more].concat();
        site.admin(&args).good().json().as_array().expect("a list").clone()
    };
    wait_for("a report about spam that waits", secs(15), || {
        (list(&["--spam-reports"]).len() == 1).then_some(())
    });
    let report = list(&["--spam-reports"]).remove(0);
    assert_eq!((&report["kind"], &report["sender"]), (&"spam-report".into(), &"".into()), "{report:#}");
    assert_eq!(list(&[]).len(), 2);
    assert!(site.admin(&["queue", "purge", "--spam-reports"]).good().out.contains("1 entry"));
    let left = list(&[]);
    assert_eq!((left.len(), &left[0]["kind"]), (1, &"ordinary".into()), "{left:#?}");
    assert!(read_all(site.at("pop3"), ANN, "secret").is_empty(), "the postmaster hears nothing of it");
}

#[test]
fn a_language_of_ones_own_and_wishes_of_another_program() {
    let (_sink, mut site) = site(Script::default());
    let english = include_str!("../../iems-core/src/report/texts/en.txt");
    let own =
        english.replace("language: en", "language: x-pirate").replace("Your message", "Arr, yer message");
    std::fs::write(site.dir.path().join("pirate.txt"), own).expect("written");
    site.config.more = "[reports]\nlanguage = \"x-pirate\"\ntexts = [\"pirate.txt\"]\n".to_owned();
    site.start();
    let rcpt: [(&str, &[&str]); 3] = [
        ("never@far.example", &["NOTIFY=FAILURE", "ORCPT=rfc822;first@far.example"]),
        ("never-mind@far.example", &["NOTIFY=NEVER"]),
        ("good@far.example", &["NOTIFY=FAILURE"]),
    ];
    let message = letter(ANN, "far", "wishes");
    python::send(site.at("smtp"), ANN, &["RET=HDRS", "ENVID=A+2BB"], &rcpt, &message);
    let notice = notice(&site);
    assert_eq!(notice["header"]["subject"], "Arr, yer message could not be delivered");
    assert_eq!(notice["fields"][0]["original-envelope-id"], "A+B");
    assert_eq!(notice["fields"].as_array().map(Vec::len), Some(2), "{notice:#}");
    assert_eq!(notice["fields"][1]["original-recipient"], "rfc822; first@far.example");
    assert_eq!(notice["parts"][2], "text/rfc822-headers");
}

#[test]
fn delay_is_told_once_and_then_the_end() {
    let (_sink, mut site) = site(Script::default());
    site.config.queue = "warn = \"1s\"".to_owned();
    site.config.expire = "5s".to_owned();
    site.start();
    send(&site, "<ann@example.test>", &["<later@far.example> NOTIFY=DELAY,FAILURE"]);
    let first = notice(&site);
    let recipient = &first["fields"][1];
    assert_eq!(
        (&recipient["action"], &recipient["status"]),
        (&"delayed".into(), &"4.2.0".into()),
        "{first:#}"
    );
    assert!(recipient["will-retry-until"].is_string(), "{first:#}");
    let both = wait_all(site.at("pop3"), ANN, "secret", 2);
    let last = python::notice(&both[1]);
    assert_eq!(last["fields"][1]["action"], "failed", "{last:#}");
    assert!(
        last["fields"][1]["status"].as_str().is_some_and(|s| s.ends_with(".4.7") || s == "4.2.0"),
        "{last:#}"
    );
    empty(&site);
    assert_eq!(read_all(site.at("pop3"), ANN, "secret").len(), 2);
}

#[test]
fn no_delay_is_told_to_who_did_not_ask() {
    let (_sink, mut site) = site(Script::default());
    site.config.queue = "warn = \"1s\"".to_owned();
    site.config.expire = "4s".to_owned();
    site.start();
    send(&site, "<ann@example.test>", &["<later@far.example> NOTIFY=FAILURE"]);
    let only = notice(&site);
    assert_eq!(only["fields"][1]["action"], "failed", "{only:#}");
}

#[test]
fn success_is_told_where_asked() {
    let (_sink, mut site) = site(Script { extensions: vec!["8BITMIME".to_owned()], ..Script::default() });
    site.start();
    send(&site, "<ann@example.test> ENVID=one", &["<good@far.example> NOTIFY=SUCCESS"]);
    let relayed = notice(&site);
    assert_eq!(relayed["fields"][1]["action"], "relayed", "{relayed:#}");
    assert!(relayed["fields"][1]["status"].as_str().is_some_and(|s| s.starts_with('2')), "{relayed:#}");
    send(&site, "<ann@example.test> ENVID=two", &["<ann+box@example.test> NOTIFY=SUCCESS"]);
    let all = wait_all(site.at("pop3"), ANN, "secret", 3);
    let delivered = all.iter().filter(|message| field(message, "Return-Path").as_deref() == Some("<>"));
    let delivered: Vec<Value> = delivered.map(|message| python::notice(message)).collect();
    assert!(delivered.iter().any(|notice| notice["fields"][1]["action"] == "delivered"), "{delivered:#?}");
}

#[test]
fn wishes_are_handed_on_where_the_next_hop_understands_them() {
    let (sink, mut site) = site(Script::default());
    site.start();
    let rcpt = "<good@far.example> NOTIFY=SUCCESS ORCPT=rfc822;x@far.example";
    send(&site, "<ann@example.test> RET=HDRS ENVID=abc+2Bd", &[rcpt]);
    let arrived = sink.wait(1, secs(10)).remove(0);
    assert!(arrived.mail.contains("RET=HDRS") && arrived.mail.contains("ENVID=abc+2Bd"), "{}", arrived.mail);
    assert!(arrived.rcpt[0].contains("NOTIFY=SUCCESS"), "{:?}", arrived.rcpt);
    assert!(arrived.rcpt[0].contains("ORCPT=rfc822;x@far.example"), "{:?}", arrived.rcpt);
    empty(&site);
    // The next hop is the one to tell of success now.
    assert!(read_all(site.at("pop3"), ANN, "secret").is_empty());
}
