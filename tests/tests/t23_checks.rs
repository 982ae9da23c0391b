//! Checks at the door, against a real DNS: each is provoked, explained, and followed by what the administrator chose.

use iems_tests::iems::Iems;
use iems_tests::peers::knot::Knot;
use iems_tests::pop3::wait_all;
use iems_tests::smtp::{Reply, Smtp, letter};
use iems_tests::wire::Wire;
use std::net::Ipv4Addr;

const ANN: &str = "ann@example.test";

/// A peer with all that an honest one has.
const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// One whose name leads to another address: the resolver calls all of 127/8 `localhost` without asking (RFC 6761).
const FORGED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const FAR: &str = "@ MX 10 mail\n@ TXT \"v=spf1 ip4:127.0.0.1 -all exp=why.far.example\"\n\
    why TXT \"%{i} does not speak for us\"\nmail A 127.0.0.1\nmail TXT \"v=spf1 a -all\"\nother A 127.9.9.9\n\
    null MX 0 .\nempty TXT \"no mail here\"\nsoft MX 10 mail\nsoft TXT \"v=spf1 ~all\"\nbad MX 10 mail\nbad TXT \"v=spf1 mox\"\n";

/// Every story's DNS, and a site that judges peers from loopback as if they came from the world.
fn site(checks: &str) -> (Knot, Iems) {
    let knot = Knot::start(&[("far.example", FAR), ("example.test", "@ A 127.0.0.1")]);
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.dns = vec![knot.at.to_string()];
    site.config.networks.clear();
    site.config.more = format!("[checks]\nprivate = true\n{checks}");
    site.start();
    (knot, site)
}

/// All checks that ask nobody but the DNS and the directory.
fn all(word: &str) -> String {
    let names = ["iprev", "helo", "spf", "sender_domain", "sender_own"];
    names.iter().map(|name| format!("{name} = \"{word}\"\n")).collect()
}

/// A message from a peer of this address and name.
fn send(site: &Iems, (peer, hello): (Ipv4Addr, &str), from: &str, message: &[u8]) -> Reply {
    let wire = Wire::connect_from(peer, site.at("smtp")).expect("a connection");
    let mut smtp = Smtp::greeted(wire);
    smtp.must(&format!("EHLO {hello}"), 250);
    smtp.send(from, &[ANN], message).expect("a reply")
}

fn id(reply: &Reply) -> String {
    assert_eq!(reply.code, 250, "{reply:?}");
    let text = reply.text();
    let id = |word: &&str| word.len() == 26 && word.chars().all(|c| c.is_ascii_alphanumeric());
    text.split(|c: char| !c.is_ascii_alphanumeric()).find(id).expect("a queue id").to_owned()
}

/// What `explain` tells of a message.
#[track_caller]
fn explained(site: &Iems, reply: &Reply, wanted: &[&str]) {
    let story = site.admin(&["explain", &id(reply)]).good().out;
    for words in wanted {
        assert!(story.contains(words), "no {words:?} in\n{story}");
    }
}

#[test]
fn an_honest_peer_passes_every_check_and_mail_programs_are_told() {
    let (_knot, site) = site(&all("note"));
    let forged = b"Authentication-Results: mx.example.test; spf=fail\r\nAuthentication-Results: other.example; spf=none\r\nSubject: x\r\n\r\nbody\r\n";
    let reply = send(&site, (GOOD, "mail.far.example"), "bob@far.example", forged);
    explained(
        &site,
        &reply,
        &[
            "verdict iprev=pass score 0: 127.0.0.1 is localhost",
            "verdict helo=pass score 0: mail.far.example has the peer's address",
            "verdict spf/helo=pass score 0: pass for mail.far.example: a in the record of mail.far.example",
            "verdict spf/mail=pass score 0: pass for bob@far.example: ip4:127.0.0.1 in the record of far.example",
            "verdict sender/domain=pass score 0: far.example takes mail at mail.far.example, 127.0.0.1",
        ],
    );
    let text = String::from_utf8_lossy(&wait_all(site.at("pop3"), ANN, "secret", 1)[0]).into_owned();
    let told = "Authentication-Results: mx.example.test; iprev=pass policy.iprev=127.0.0.1; \
                spf=pass smtp.helo=mail.far.example; spf=pass smtp.mailfrom=bob@far.example\r\n";
    assert!(text.contains(told), "{text}");
    assert!(
        !text.contains("mx.example.test; spf=fail") && text.contains("other.example; spf=none"),
        "{text}"
    );
}

#[test]
fn whatever_is_wrong_is_found_and_explained() {
    let (_knot, site) = site(&all("note"));
    let good = "mail.far.example";
    for ((peer, hello), from, wanted) in [
        (
            (FORGED, good),
            "bob@far.example",
            "iprev=fail score 2: 127.0.0.2 is called localhost, which does not lead back",
        ),
        ((GOOD, "localhost"), "bob@far.example", "helo=fail score 3: localhost has no domain"),
        ((GOOD, "mx.example.test"), "bob@far.example", "helo=fail score 5: mx.example.test is our own name"),
        (
            (GOOD, "[127.0.0.9]"),
            "bob@far.example",
            "helo=fail score 5: [127.0.0.9] is not the peer's address, 127.0.0.1",
        ),
        (
            (GOOD, "missing.far.example"),
            "bob@far.example",
            "helo=fail score 2: missing.far.example does not exist",
        ),
        (
            (GOOD, "other.far.example"),
            "bob@far.example",
            "helo=neutral score 0: other.far.example has other addresses",
        ),
        ((FORGED, good), "", "spf/mail=fail score 4: fail for postmaster@mail.far.example"),
        (
            (FORGED, good),
            "bob@far.example",
            "-all in the record of far.example; the domain says: 127.0.0.2 does not speak for us",
        ),
        ((GOOD, good), "bob@soft.far.example", "spf/mail=neutral score 1: softfail for bob@soft.far.example"),
        (
            (GOOD, good),
            "bob@bad.far.example",
            "spf/mail=permerror score 0: permerror for bob@bad.far.example: \"mox\"",
        ),
        (
            (GOOD, good),
            "bob@null.far.example",
            "sender/domain=fail score 5: null.far.example takes no mail (null MX)",
        ),
        (
            (GOOD, good),
            "bob@missing.far.example",
            "sender/domain=fail score 5: missing.far.example does not exist",
        ),
        (
            (GOOD, good),
            "bob@empty.far.example",
            "sender/domain=fail score 5: empty.far.example has neither a mail exchanger nor an address",
        ),
        (
            (GOOD, good),
            "bob@elsewhere.example",
            "sender/domain=temperror score 0: elsewhere.example cannot be looked up",
        ),
        (
            (GOOD, good),
            "ann@example.test",
            "sender/own=fail score 4: example.test is ours, and the peer has not logged in",
        ),
    ] {
        let reply = send(&site, (peer, hello), from, &letter(from, ANN, "checked"));
        explained(&site, &reply, &[&format!("verdict {wanted}").replace("verdict -all", "-all")]);
    }
}

#[test]
fn the_administrator_says_what_follows() {
    let (_knot, site) = site(
        "iprev = \"tag\"\nhelo = \"refuse\"\nspf = \"defer\"\nsender_domain = \"refuse\"\nsender_own = \"junk\"\ntrouble = \"defer\"\n",
    );
    let good = "mail.far.example";
    for ((peer, hello), from, code, wanted) in [
        ((GOOD, "localhost"), "bob@far.example", 550, "5.7.1"),
        ((GOOD, "localhost"), "bob@far.example", 550, "helo=fail localhost has no domain"),
        ((GOOD, good), "bob@null.far.example", 550, "5.7.27 "),
        ((GOOD, good), "bob@elsewhere.example", 451, "4.7.24 "),
        ((FORGED, good), "bob@far.example", 451, "4.7.23 "),
        ((FORGED, "[127.0.0.2]"), "bob@far.example", 451, "does not speak for us"),
    ] {
        let reply = send(&site, (peer, hello), from, &letter(from, ANN, "refused"));
        assert!(reply.code == code && reply.text().contains(wanted), "{wanted}: {reply:?}");
    }
    let tagged = send(&site, (FORGED, "[127.0.0.2]"), "bob@soft.far.example", &letter("b", ANN, "tagged"));
    explained(&site, &tagged, &["decided: tag by the site rule", "iprev=fail 127.0.0.2 is called localhost"]);
    let junk = send(&site, (GOOD, good), "ann@example.test", &letter(ANN, ANN, "junk"));
    explained(&site, &junk, &["decided: junk by the site rule", "sender/own"]);
    // Whoever logs in is not judged.
    let mut smtp = Smtp::connect(site.at("submission"));
    smtp.must("EHLO localhost", 250);
    smtp.start_tls(site.certificates.client(), "localhost");
    assert_eq!(smtp.auth_plain(ANN, "secret").expect("a reply").code, 235);
    let own = smtp.send(ANN, &[ANN], &letter(ANN, ANN, "own")).expect("a reply");
    let story = site.admin(&["explain", &id(&own)]).good().out;
    assert!(!story.contains("verdict") && !story.contains("decided"), "{story}");
}

#[test]
fn own_machines_are_not_judged_and_rules_of_ones_own_make_exceptions() {
    let (_knot, mut site) = site(&all("refuse"));
    site.stop();
    site.config.networks = vec!["127.0.0.3/32".to_owned()];
    site.config.more = format!(
        "[checks]\nprivate = true\n{}spf = \"note\"\n[[policy]]\ncheck = \"spf/mail\"\nresults = [\"neutral\"]\nscore = 1\naction = \"junk\"\n",
        all("refuse").replace("spf = \"refuse\"\n", "")
    );
    site.start();
    let own = send(
        &site,
        (Ipv4Addr::new(127, 0, 0, 3), "localhost"),
        "bob@null.far.example",
        &letter("b", ANN, "own"),
    );
    let story = site.admin(&["explain", &id(&own)]).good().out;
    assert!(!story.contains("verdict"), "{story}");
    let refused = send(&site, (FORGED, "mail.far.example"), "bob@far.example", &letter("b", ANN, "x"));
    assert_eq!(refused.code, 550, "{refused:?}");
    let soft = send(&site, (GOOD, "mail.far.example"), "bob@soft.far.example", &letter("b", ANN, "soft"));
    explained(&site, &soft, &["decided: junk by the site rule", "spf/mail"]);
}
