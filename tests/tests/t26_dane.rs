//! A peer's TLSA records decide over mail to it: a real name server signs them, Postfix is the peer, and `iems` validates from
//! a trust anchor of its own.

use std::net::Ipv4Addr;

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::peers::knot::{Knot, Signed};
use iems_tests::peers::postfix::Postfix;
use iems_tests::process::run;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{deliver, letter};
use iems_tests::wait::{secs, wait_for};
use serde_json::Value;

const ANN: &str = "ann@example.test";

/// The SHA-256 of the key of a certificate, as a TLSA record wants it.
fn key_of(certificate: &std::path::Path) -> String {
    let shell = "openssl x509 -in \"$0\" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum";
    let mut command = std::process::Command::new("sh");
    let said = run(command.args(["-c", shell]).arg(certificate), b"").good();
    said.out.split_whitespace().next().expect("a digest").to_owned()
}

/// A site that believes what the root of `knot` proves.
fn site(knot: &Knot, more: &str) -> Iems {
    let mut site = Iems::with_accounts(&[ANN]);
    std::fs::write(site.dir.path().join("root.key"), knot.anchor()).expect("a file");
    site.config.dns = vec![knot.at.to_string()];
    site.config.dns_more = "dnssec = \"validate\"\ntrust_anchor = \"root.key\"".into();
    site.config.more = more.to_owned();
    site.start();
    site
}

fn send(site: &Iems, to: &str) {
    deliver(site.at("smtp"), ANN, to, &letter(ANN, to, "dane"));
}

/// The story of the only message for `to` once there was an attempt; what the log of attempts says.
fn attempt(site: &Iems, to: &str) -> String {
    wait_for(&format!("an attempt for {to}"), secs(30), || {
        let all = site.admin(&["queue", "list", "--json"]).good().json();
        let of = |entry: &&Value| entry.to_string().contains(to);
        let entry = all.as_array().expect("a list").iter().find(of)?.clone();
        entry["last_reply"].is_string().then(|| {
            let id = entry["id"].as_str().expect("an id");
            site.admin(&["explain", id]).good().out
        })
    })
}

/// Postfix on port 25 of an address of its own, with its key.
fn postfix() -> (Postfix, String) {
    let postfix = Postfix::start_at(25, "");
    let key = key_of(&postfix.certificates.certificate);
    (postfix, key)
}

#[test]
fn the_right_certificate_is_the_one_of_the_record() {
    let (postfix, key) = postfix();
    let root = format!(
        "example.org MX 10 mx.example.org\nmx.example.org A {}\n_25._tcp.mx.example.org TLSA 3 1 1 {key}",
        postfix.at.ip()
    );
    let knot = Knot::signed(&root, &[]);
    let site = site(&knot, "[client]\ntls = \"dane-only\"");
    send(&site, "user1@example.org");
    let mail = wait_for("the message in Postfix", secs(30), || postfix.messages("user1").pop());
    let mail = String::from_utf8_lossy(&mail);
    assert!(mail.contains("using TLSv1.3"), "{mail}");
    let ours = mail.split("by mx.example.test with").nth(1).expect("our Received field");
    let id = ours.split(" id ").nth(1).and_then(|rest| rest.split([';', '\r', '\n']).next()).expect("an id");
    let told = wait_for("the end of the story", secs(10), || {
        let told = site.admin(&["explain", id]).good().out;
        told.contains("done: 250").then_some(told)
    });
    for words in [
        "verified by DANE",
        "certificate matches TLSA 3 1 1",
        "it is the right host",
        "TLSv1.3",
        "; dane-only (",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn mail_waits_where_the_record_is_of_another_key_or_forged_or_tls_is_gone() {
    let (postfix, key) = postfix();
    let plain = Sink::start(address::fresh(), 25, Script::default());
    let next = Sink::start(address::fresh(), 25, Script::default());
    let (at, wrong) = (postfix.at.ip(), "00".repeat(32));
    let nobody: Ipv4Addr = address::fresh();
    let root = format!(
        "example.org MX 10 mx\nmx A {at}\n_25._tcp.mx TLSA 3 1 1 {wrong}\n\
         plain.example MX 10 mx.plain.example\nmx.plain.example A {plain}\n_25._tcp.mx.plain.example TLSA 3 1 1 {key}\n\
         odd.example MX 10 mx.odd.example\nmx.odd.example A {plain}\n_25._tcp.mx.odd.example TLSA 0 0 1 {key}\n\
         bogus NS ns.bogus\nns.bogus A {nobody}\nbogus DS 12345 13 2 {wrong}\n\
         broken.example MX 10 mx.bogus\nbroken.example MX 20 mx.next\nmx.next A {next}",
        plain = plain.at.ip(),
        next = next.at.ip(),
    );
    // The zone `bogus` has a DS record at the root, and no signatures.
    let knot = Knot::signed(&root, &[("bogus", &format!("mx A {at}\n_25._tcp.mx TLSA 3 1 1 {key}"))]);
    let site = site(&knot, "");
    for (to, wanted) in [
        (
            "user2@example.org",
            &["451 4.7.5", "not the one of TLSA 3 1 1 00000000", "policy: DANE, 1 TLSA"][..],
        ),
        ("bob@plain.example", &["451 4.7.4", "TLS is required", "policy: DANE, 1 TLSA"]),
        ("bob@odd.example", &["451 4.7.4", "can be used: encryption only"]),
    ] {
        send(&site, to);
        let told = attempt(&site, to);
        assert!(wanted.iter().all(|words| told.contains(words)), "{to}: {told}");
    }
    // A forged answer about the first exchanger costs nothing but that exchanger.
    send(&site, "bob@broken.example");
    next.wait(1, secs(30));
    assert!(plain.arrived().is_empty() && postfix.messages("user2").is_empty());
}

#[test]
fn without_a_proven_record_mail_goes_as_before() {
    let (postfix, _) = postfix();
    let (at, wrong) = (postfix.at.ip(), "00".repeat(32));
    // Nothing published; and a record in a zone that is not signed, which proves nothing.
    let root =
        format!("plain.org MX 10 mx.plain.org\nmx.plain.org A {at}\norg NS ns.org\nns.org A 127.0.0.1");
    let open = format!("example MX 10 mx\nmx A {at}\n_25._tcp.mx TLSA 3 1 1 {wrong}");
    let knot = Knot::signed(&root.replace("plain.org", "plain.test"), &[("org", &open)]);
    let site = site(&knot, "[[peer]]\ndomain = \"*.test\"\ntls = \"dane-only\"");
    send(&site, "user3@example.org");
    wait_for("the message in Postfix", secs(30), || postfix.messages("user3").pop());
    send(&site, "user4@plain.test");
    let told = attempt(&site, "user4@plain.test");
    assert!(
        told.contains("DANE is required") && told.contains("dane-only (") && told.contains("iems.toml:"),
        "{told}"
    );
}

#[test]
fn the_dns_as_it_is_with_delegations_signed_and_not() {
    let (postfix, key) = postfix();
    let plain = Sink::start(address::fresh(), 25, Script::default());
    let (at, other) = (postfix.at.ip(), plain.at.ip());
    // Under a top-level domain with opt-out: a signed zone, one that is not, and hosts in the other kind of zone.
    let signed = format!(
        "@ MX 10 mx\nmx A {at}\n_25._tcp.mx TLSA 3 1 1 {key}\nalias MX 10 www\nwww CNAME mx\nfar MX 10 mx.plain.org."
    );
    let open = format!("@ MX 10 mx\nmx A {other}\nbare A {other}\nnear MX 10 mx.example.org.");
    let knot = Knot::tree(&[
        ("", "", Signed::Nsec),
        ("org", "", Signed::OptOut),
        ("example.org", &signed, Signed::Nsec3),
        ("plain.org", &open, Signed::No),
    ]);
    let site = site(
        &knot,
        "[[peer]]\ndomain = \"*.example.org\"\ntls = \"dane-only\"\n[[peer]]\ndomain = \"example.org\"\ntls = \"dane-only\"",
    );
    let owed = |to: &str| site.admin(&["route", to]).good().out;
    let told = owed("user5@example.org");
    assert!(told.contains("host mx.example.org: TLS, or no mail; the certificate of TLSA 3 1 1"), "{told}");
    let told = owed("bob@far.example.org");
    assert!(told.contains("host mx.plain.org: no mail: DANE is required"), "{told}");
    let told = owed("bob@plain.org");
    assert!(told.contains("host mx.plain.org: TLS if it is offered; any certificate"), "{told}");
    send(&site, "user5@example.org");
    wait_for("the message in Postfix", secs(30), || postfix.messages("user5").pop());
    // Postfix knows no such domain; that it was asked over TLS that DANE vouches for is what counts.
    send(&site, "bob@alias.example.org");
    let told = refused(&site);
    assert!(told.contains("host www.example.org[") && told.contains("in reply to RCPT TO"), "{told}");
    for to in ["bob@plain.org", "bob@bare.plain.org"] {
        send(&site, to);
    }
    plain.wait(2, secs(30));
    // Each is missing one proof.
    send(&site, "bob@far.example.org");
    let told = attempt(&site, "bob@far.example.org");
    assert!(told.contains("DANE is required") && told.contains("addresses are not signed"), "{told}");
}

/// The notice about the only message that was refused.
fn refused(site: &Iems) -> String {
    let read = iems_tests::pop3::wait_all(site.at("pop3"), ANN, "secret", 1);
    String::from_utf8_lossy(&read[0]).split_whitespace().collect::<Vec<_>>().join(" ")
}
