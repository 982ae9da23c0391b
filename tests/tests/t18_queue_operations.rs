//! What an operator does when mail piles up: looks why it waits, holds, releases, sends it elsewhere, gives it up, stops a
//! destination, and watches.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use iems_tests::address;
use iems_tests::iems::{Iems, binary};
use iems_tests::peers::curl::curl;
use iems_tests::pop3::wait_all;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{deliver, letter};
use iems_tests::wait::{secs, wait_for};
use serde_json::Value;

const ANN: &str = "ann@example.test";
const BEN: &str = "ben@example.test";

/// A site whose mail for `far.example` goes to a sink, and for `dead.example` where nobody listens.
fn site(sink: &Sink, more: &str) -> Iems {
    let mut site = Iems::with_accounts(&[ANN, BEN]);
    site.config.route("far.example", sink.via());
    site.config.route("dead.example", format!("smtp:{}:1", site.ip));
    site.config.retry = vec!["1h".to_owned()];
    site.config.more = more.to_owned();
    site.start();
    site
}

fn sink() -> Sink {
    Sink::start(address::fresh(), 2526, Script::default())
}

fn send(site: &Iems, from: &str, to: &str) {
    deliver(site.at("smtp"), from, to, &letter(from, to, "operated"));
}

fn list(site: &Iems, filters: &[&str]) -> Vec<Value> {
    let words = [&["queue", "list", "--json"], filters].concat();
    site.admin(&words).good().json().as_array().expect("a list").clone()
}

fn wait_state(site: &Iems, to: &str, state: &str) -> Value {
    wait_for(state, secs(15), || {
        list(site, &["--recipient", to]).into_iter().find(|message| message["state"] == state)
    })
}

#[test]
fn mail_is_held_and_released_with_and_without_a_server() {
    let sink = sink();
    let mut site = site(&sink, "");
    send(&site, ANN, "later1@far.example");
    send(&site, BEN, "later2@far.example");
    let first = wait_state(&site, "later1@far.example", "deferred");
    wait_state(&site, "later2@far.example", "deferred");
    let shown = site.admin(&["queue", "hold", "--sender", ANN, "--dry-run"]).good().out;
    assert!(shown.contains("1 entry would be held") && shown.contains("later1@far.example"), "{shown}");
    assert!(site.admin(&["queue", "hold", "--sender", ANN]).good().out.contains("1 entry held"));
    let held = list(&site, &["--state", "held"]);
    assert_eq!((held.len(), &held[0]["id"]), (1, &first["id"]));
    assert_eq!(held[0]["waits"][0]["why"], "held");
    let again = site.admin(&["queue", "retry", "--all", "--json"]).good().json();
    assert_eq!((&again["changed"], &again["unchanged"]), (&1.into(), &1.into()), "what is held stays held");
    site.stop();
    let id = first["id"].as_str().expect("an id").to_owned();
    let shown = site.admin(&["queue", "show", &id]).good().out;
    assert!(shown.contains("held by an operator") && shown.contains("no server runs"), "{shown}");
    site.admin(&["queue", "release", &id]).good();
    assert!(list(&site, &["--state", "held"]).is_empty());
    let story = site.admin(&["explain", &id]).good().out;
    assert!(story.contains("hold by an operator") && story.contains("release by an operator"), "{story}");
}

#[test]
fn filters_find_by_reply_hop_age_and_go_on_behind_a_place() {
    let sink = sink();
    let site = site(&sink, "");
    for n in 0..5 {
        send(&site, ANN, &format!("later{n}@far.example"));
    }
    send(&site, ANN, "x@dead.example");
    wait_for("all to be deferred", secs(15), || {
        (list(&site, &["--state", "deferred"]).len() == 6).then_some(())
    });
    let hop = format!(
        "smtp:{}",
        sink.at.to_string().replace(&sink.at.ip().to_string(), &format!("[{}]", sink.at.ip()))
    );
    assert_eq!(list(&site, &["--hop", &hop]).len(), 5);
    assert_eq!(
        list(&site, &["--reply", "451"]).len(),
        list(&site, &[]).len(),
        "replies are searched as they are shown"
    );
    assert!(list(&site, &["--reply", "no such words"]).is_empty());
    assert_eq!(list(&site, &["--younger", "1h"]).len(), 6);
    assert!(list(&site, &["--older", "1h"]).is_empty());
    let first = list(&site, &["--limit", "4"]);
    let rest = list(&site, &["--after", first[3]["id"].as_str().expect("an id")]);
    assert_eq!((first.len(), rest.len()), (4, 2));
    let told = site.admin(&["queue", "list", "--limit", "4"]).good().out;
    assert!(told.contains("--after"), "{told}");
}

#[test]
fn mail_is_redirected_to_another_address_or_another_way() {
    let sink = sink();
    let site = site(&sink, "");
    send(&site, ANN, "x@dead.example");
    send(&site, ANN, "y@dead.example");
    let first = wait_state(&site, "x@dead.example", "deferred");
    let id = first["id"].as_str().expect("an id");
    site.admin(&["queue", "redirect", id, "--to", BEN]).good();
    let got = wait_all(site.at("pop3"), BEN, "secret", 1).remove(0);
    assert!(String::from_utf8_lossy(&got).contains("Subject: operated"));
    let story = site.admin(&["explain", id]).good().out;
    assert!(
        story.contains("sent by an operator to <ben@example.test>") && story.contains("nothing waits"),
        "{story}"
    );
    let moved =
        site.admin(&["queue", "redirect", "--domain", "dead.example", "--via", &sink.via()]).good().out;
    assert!(moved.contains("1 entry sent the other way"), "{moved}");
    assert_eq!(sink.wait(1, secs(15))[0].rcpt.len(), 1);
    for (words, said) in [
        (vec!["queue", "redirect", id], "--to"),
        (vec!["queue", "redirect", id, "--via", "uucp:x"], "smtp:host"),
        (vec!["queue", "redirect", "--all", "--to", BEN], "--yes"),
        (vec!["queue", "purge", "--all"], "--yes"),
    ] {
        let refused = site.admin(&words);
        assert!(refused.code == 64 && refused.err.contains(said), "{words:?}: {refused:?}");
    }
}

#[test]
fn mail_that_is_given_up_is_reported_in_the_operators_words() {
    let sink = sink();
    let site = site(&sink, "");
    send(&site, ANN, "x@dead.example");
    wait_state(&site, "x@dead.example", "deferred");
    let text = "dead.example has gone for good";
    let said =
        site.admin(&["queue", "bounce", "--domain", "dead.example", "--text", text, "--json"]).good().json();
    assert_eq!((&said["changed"], &said["under_way"]), (&1.into(), &0.into()));
    let report = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    let report = String::from_utf8_lossy(&report);
    assert!(report.contains(text) && report.contains("Action: failed"), "{report}");
    assert!(list(&site, &[]).is_empty());
}

#[test]
fn a_destination_is_paused_across_a_restart_and_resumed() {
    let sink = sink();
    let mut site = site(&sink, "");
    let hop = format!("smtp:[{}]:{}", sink.at.ip(), sink.at.port());
    site.admin(&["queue", "pause", &hop, "--reason", "they asked us to"]).good();
    send(&site, ANN, "x@far.example");
    let waits = wait_state(&site, "x@far.example", "waiting");
    assert_eq!(
        (&waits["waits"][0]["why"], &waits["waits"][0]["reason"]),
        (&"paused".into(), &"they asked us to".into())
    );
    site.stop();
    site.start();
    let hops = site.admin(&["queue", "hops", "--json"]).good().json();
    assert_eq!(
        (&hops[0]["name"], &hops[0]["state"], &hops[0]["depth"]),
        (&hop.as_str().into(), &"paused".into(), &1.into())
    );
    assert!(sink.arrived().is_empty());
    let table = site.admin(&["queue", "hops"]).good().out;
    assert!(table.contains("they asked us to"), "{table}");
    site.admin(&["queue", "resume", &hop]).good();
    sink.wait(1, secs(15));
    assert_ne!(site.admin(&["queue", "resume", &hop]).code, 0, "it goes on already");
    assert!(site.admin(&["queue", "pause", "uucp:x"]).err.contains("no channel uucp"));
}

#[test]
fn explain_names_the_limit_and_its_line() {
    let sink = sink();
    let peer = format!("[[peer]]\ndomain = \"{}\"\nrate = \"1/1h\"\n", sink.at);
    let site = site(&sink, &format!("{peer}[[source]]\nsender = \"{BEN}\"\nrate = \"1/1h\"\n"));
    let line = |word: &str| {
        let text = site.config.text();
        let at = text.lines().position(|line| line == word).expect("the entry");
        format!("iems.toml:{}", at + 1)
    };
    send(&site, ANN, "x@far.example");
    sink.wait(1, secs(15));
    send(&site, ANN, "y@far.example");
    let waits = wait_state(&site, "y@far.example", "waiting");
    let id = waits["id"].as_str().expect("an id");
    let story = wait_for("the limit", secs(10), || {
        let story = site.admin(&["explain", id]).good().out;
        story.contains("over the rate 1/1h of site").then_some(story)
    });
    assert!(story.contains(&line("[[peer]]")), "{story}");
    let json = site.admin(&["explain", id, "--json"]).good().json();
    assert_eq!((&json["waits"][0][0]["why"], &json["waits"][0][0]["of"]), (&"rate".into(), &"site".into()));
    send(&site, BEN, "a@dead.example");
    send(&site, BEN, "b@dead.example");
    let why = wait_for("the sender's rate", secs(10), || {
        let all = list(&site, &["--recipient", "b@dead.example"]);
        let why = all.first()?["waits"].as_array()?.iter().find(|why| why["of"] == "sender")?.clone();
        Some(why)
    });
    assert!(why["origin"].as_str().is_some_and(|origin| origin.contains(&line("[[source]]"))), "{why}");
}

#[test]
fn top_shows_the_queue_once_and_live_and_gives_the_terminal_back() {
    let sink = sink();
    let mut site = site(&sink, "");
    send(&site, ANN, "x@dead.example");
    send(&site, ANN, "later@far.example");
    wait_for("both to be deferred", secs(15), || {
        (list(&site, &["--state", "deferred"]).len() == 2).then_some(())
    });
    let once = site.admin(&["queue", "top", "--once", "--json"]).good().json();
    assert_eq!((&once["depth"], &once["deferred"], &once["hops"]), (&2.into(), &2.into(), &2.into()));
    let text = site.admin(&["queue", "top", "--once"]).good().out;
    assert!(text.contains("2 deferred") && text.contains("down"), "{text}");
    assert!(site.admin(&["queue", "top"]).err.contains("--once"), "there is no terminal");
    let (seen, code) = in_a_terminal(&site, "jsq");
    assert!(code && seen.contains("2 deferred") && seen.contains("\u{1b}[?1049h"), "{seen}");
    assert!(
        seen.rfind("\u{1b}[?1049l") > seen.rfind("\u{1b}[?1049h"),
        "the screen is not given back: {seen}"
    );
    site.stop();
    assert_eq!(site.admin(&["queue", "top", "--once", "--json"]).good().json()["running"], false);
}

/// Runs `iems queue top` in a pseudo-terminal and presses keys; what it showed, and whether it ended well.
fn in_a_terminal(site: &Iems, keys: &str) -> (String, bool) {
    let run = format!(
        "stty cols 140 rows 30 && exec {} --config {} queue top",
        binary().display(),
        site.file().display()
    );
    let mut script = Command::new("script");
    script.args(["-qec", &run, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().expect("script, of util-linux");
    let mut input = child.stdin.take().expect("its input");
    let mut output = child.stdout.take().expect("its output");
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("WHY") {
        let read = output.read(&mut piece).expect("output");
        assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..read]);
    }
    input.write_all(keys.as_bytes()).expect("keys");
    output.read_to_end(&mut seen).expect("output");
    let ended = child.wait().expect("its end").success();
    (String::from_utf8_lossy(&seen).into_owned(), ended)
}

#[test]
fn the_numbers_of_the_queue_can_be_scraped() {
    let sink = sink();
    let site = site(&sink, "");
    send(&site, ANN, "x@far.example");
    send(&site, ANN, "later@far.example");
    send(&site, ANN, BEN);
    sink.wait(1, secs(15));
    wait_state(&site, "later@far.example", "deferred");
    let text = curl(&["--fail", &format!("http://{}/metrics", site.at("metrics"))], b"").good().out;
    let hop = format!("channel=\"smtp\",hop=\"[{}]:{}\"", sink.at.ip(), sink.at.port());
    for line in [
        "iems_queue_depth{state=\"deferred\"} 1".to_owned(),
        format!("iems_queue_hop_depth{{{hop},state=\"deferred\"}} 1"),
        format!("iems_attempts_total{{{hop}}} 2"),
        format!("iems_outcomes_total{{{hop},outcome=\"delivered\"}} 1"),
        format!("iems_outcomes_total{{{hop},outcome=\"deferred\"}} 1"),
        format!("iems_delivery_seconds_count{{{hop}}} 1"),
        format!("iems_attempt_seconds_count{{{hop}}} 2"),
        "iems_outcomes_total{channel=\"local\",hop=\"other\",outcome=\"delivered\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
