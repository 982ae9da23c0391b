//! Judge once, decide where it belongs: a DNS list finds something about a peer, and the site, a user and
//! a channel each decide for themselves what follows.

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::peers::knot::Knot;
use iems_tests::pop3::{field, read_all, wait_all};
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, letter};
use iems_tests::wait::{secs, wait_for};
use serde_json::Value;

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";
const EVE: &str = "eve@example.net";

/// Peers of a story come from loopback, of which public lists know nothing.
const LIST: &str = "[[dnsbl]]\nzone = \"bl.example\"\n[dnsbl_options]\nprivate = true\ntimeout = \"2s\"\n";

/// A list that has all of 127/8 on it, and a site that asks it.
fn listed(policy: &str, sink: &Sink) -> (Knot, Iems) {
    let knot = Knot::start(&[("bl.example", "*.127 A 127.0.0.2\n*.127 TXT \"listed for a story\"")]);
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.config.dns = vec![knot.at.to_string()];
    site.config.route("example.net", sink.via());
    site.config.more = format!("{LIST}{policy}");
    (knot, site)
}

/// Sends one message to all; the queue id from the reply.
fn send(site: &Iems, to: &[&str]) -> Result<String, String> {
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    let reply = smtp.send("c@example.com", to, &letter("c@example.com", to[0], "verdict")).expect("a reply");
    if reply.code != 250 {
        return Err(format!("{} {}", reply.code, reply.text()));
    }
    let id = |word: &&str| word.len() == 26 && word.chars().all(|c| c.is_ascii_alphanumeric());
    let text = reply.text();
    let found = text.split(|c: char| !c.is_ascii_alphanumeric()).find(id);
    Ok(found.unwrap_or_else(|| panic!("no queue id in {text}")).to_owned())
}

/// How many messages an account holds in all its folders.
fn held(site: &Iems, account: &str) -> u64 {
    let shown = site.admin(&["account", "show", account, "--json"]).good().json();
    shown["messages"].as_u64().unwrap_or_else(|| panic!("{shown}"))
}

#[test]
fn site_user_and_channel_decide_differently_on_one_verdict() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let rules = "[[policy]]\ncheck = \"dnsbl/*\"\naction = \"tag\"\n";
    let (_knot, mut site) = listed(rules, &sink);
    site.admin(&["policy", "set", ANN, "dnsbl/*", "junk"]).good();
    site.start();
    let id = send(&site, &[ANN, BOB]).expect("accepted");
    // Bob has no rule of his own: the site's holds, and his copy tells of the verdict.
    let tagged = wait_all(site.at("pop3"), BOB, "secret", 1).remove(0);
    let tag = field(&tagged, "X-IEMS-Verdict").expect("a field that tells");
    assert!(tag.contains("dnsbl/bl.example") && tag.contains("127.0.0.2"), "{tag}");
    // Ann's rule is stricter: her copy is in the junk folder, where POP3 does not look.
    wait_for("Ann's copy", secs(10), || (held(&site, ANN) == 1).then_some(()));
    assert!(read_all(site.at("pop3"), ANN, "secret").is_empty());
    explained(&site, &id);
}

/// `explain` knows the verdict, and who decided what for whom and why.
fn explained(site: &Iems, id: &str) {
    let story = wait_for("both deliveries", secs(10), || {
        let story = site.admin(&["explain", id, "--json"]).good().json();
        let waiting = story["waiting"].as_array().is_none_or(Vec::is_empty);
        waiting.then_some(story)
    });
    let text = story.to_string();
    for word in ["dnsbl/bl.example", "127.0.0.2", "junk", "tag", "\"user\"", "\"site\"", ANN, BOB] {
        assert!(text.contains(word), "no {word} in {story:#}");
    }
    let human = site.admin(&["explain", id]).good().out;
    assert!(human.contains("dnsbl/bl.example") && human.contains("junk"), "{human}");
}

#[test]
fn a_channel_that_cannot_decide_gets_its_default() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let rules = "[[channel_policy]]\nchannel = \"smtp\"\ncheck = \"dnsbl/*\"\naction = \"tag\"\n";
    let (_knot, mut site) = listed(rules, &sink);
    site.start();
    let id = send(&site, &[EVE, ANN]).expect("accepted");
    let out = sink.wait(1, secs(10)).remove(0);
    assert!(field(&out.body, "X-IEMS-Verdict").is_some_and(|tag| tag.contains("dnsbl/bl.example")));
    // The rule is the channel's: Ann's copy is delivered as it is.
    let own = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    assert_eq!(field(&own, "X-IEMS-Verdict"), None);
    let story = site.admin(&["explain", &id, "--json"]).good().json().to_string();
    assert!(story.contains("\"channel\"") && story.contains("\"tag\""), "{story}");
}

#[test]
fn the_site_can_refuse_and_users_cannot_lower_that() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let (_knot, mut site) = listed("[[policy]]\ncheck = \"dnsbl/*\"\naction = \"refuse\"\n", &sink);
    site.admin(&["policy", "set", ANN, "dnsbl/*", "accept"]).good();
    site.start();
    let refused = send(&site, &[ANN]).expect_err("refused");
    assert!(refused.starts_with("55") && refused.contains("5.7.1"), "{refused}");
    assert_eq!(held(&site, ANN), 0);
}

#[test]
fn rules_change_while_the_server_runs_and_forged_tags_are_removed() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let (_knot, mut site) = listed("", &sink);
    site.start();
    send(&site, &[ANN]).expect("accepted");
    let first = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    assert_eq!(field(&first, "X-IEMS-Verdict"), None, "nobody asked for a tag");
    site.admin(&["policy", "set", "example.test", "dnsbl/*", "tag"]).good();
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    let forged = b"X-IEMS-Verdict: pass\r\nSubject: forged\r\n\r\nbody\r\n";
    assert_eq!(smtp.send("c@example.com", &[ANN], forged).expect("a reply").code, 250);
    let all = wait_all(site.at("pop3"), ANN, "secret", 2);
    let text = String::from_utf8_lossy(&all[1]).into_owned();
    assert!(!text.contains("X-IEMS-Verdict: pass") && text.contains("X-IEMS-Verdict: "), "{text}");
}

#[test]
fn a_list_that_does_not_answer_is_a_finding_and_not_a_refusal() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = LIST.to_owned();
    site.start();
    let id = send(&site, &[ANN]).expect("accepted");
    wait_all(site.at("pop3"), ANN, "secret", 1);
    let story: Value = site.admin(&["explain", &id, "--json"]).good().json();
    assert!(story.to_string().contains("temperror"), "{story:#}");
}
