//! A domain's MTA-STS policy, fetched from a real web server on port 443, decides over mail to Postfix: enforced, tried out,
//! withdrawn, kept over a restart while everything that published it is gone.

use std::fs;
use std::path::Path;

use iems_tests::address;
use iems_tests::certificates::Certificates;
use iems_tests::https::{Https, Page};
use iems_tests::iems::Iems;
use iems_tests::peers::knot::Knot;
use iems_tests::peers::postfix::Postfix;
use iems_tests::process::run;
use iems_tests::smtp::{deliver, letter};
use iems_tests::wait::{secs, wait_for};
use tempfile::TempDir;

const ANN: &str = "ann@example.test";
/// The exchanger for which Postfix has a certificate, and one for which it has none.
const GOOD: &str = "peer.example.org";
const BAD: &str = "mx.example.org";

/// The world of `example.org`: its exchanger, its policy host, its names.
struct World {
    postfix: Postfix,
    host: Https,
    certificates: Certificates,
    _dir: TempDir,
}

impl World {
    fn new(policy: &str) -> Self {
        let dir = TempDir::with_prefix("policy-").expect("a temporary folder");
        let names = ["mta-sts.example.org".to_owned()];
        let certificates = Certificates::write(dir.path(), &names);
        let host = Https::start(address::fresh(), &certificates, Page::text(policy));
        Self { postfix: Postfix::start_at(25, ""), host, certificates, _dir: dir }
    }

    /// Names where `mx` is the exchanger and, with an id, there is a policy.
    fn knot(&self, mx: &str, id: Option<&str>) -> Knot {
        let mut zone = format!(
            "@ MX 10 {mx}.\npeer A {at}\nmx A {at}\nmta-sts A {host}\n\
             _smtp._tls TXT \"v=TLSRPTv1; rua=mailto:user9@example.org,https://mta-sts.example.org/tls\"\n",
            at = self.postfix.at.ip(),
            host = self.host.at.ip()
        );
        if let Some(id) = id {
            zone.push_str(&format!("_mta-sts TXT \"v=STSv1; id={id};\"\n"));
        }
        Knot::start(&[("example.org", &zone)])
    }

    /// A site that asks `knot` and believes the authorities of this world.
    fn site(&self, knot: &Knot) -> Iems {
        let mut site = Iems::with_accounts(&[ANN]);
        let read = |file: &Path| fs::read_to_string(file).expect("a certificate");
        let both = read(&self.certificates.authority) + &read(&self.postfix.certificates.authority);
        fs::write(site.dir.path().join("world.pem"), both).expect("a file");
        site.config.dns = vec![knot.at.to_string()];
        site.config.more = "[client]\ntls_ca = \"world.pem\"\n".into();
        site.start();
        site
    }

    fn arrives(&self, user: &str) -> String {
        let mail = wait_for("the message in Postfix", secs(30), || self.postfix.messages(user).pop());
        String::from_utf8_lossy(&mail).into_owned()
    }
}

fn policy(mode: &str, mx: &str) -> String {
    format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n")
}

fn send(site: &Iems, user: &str) {
    let to = format!("{user}@example.org");
    deliver(site.at("smtp"), ANN, &to, &letter(ANN, &to, "policy"));
}

/// What `explain` says of a message that arrived.
fn explained(site: &Iems, mail: &str) -> String {
    let ours = mail.split("by mx.example.test with").nth(1).expect("our Received field");
    let id = ours.split(" id ").nth(1).and_then(|rest| rest.split([';', '\r', '\n']).next()).expect("an id");
    wait_for("the end of the story", secs(10), || {
        let told = site.admin(&["explain", id]).good().out;
        told.contains("done: 250").then_some(told)
    })
}

/// What `explain` says of the only message that waits.
fn waits(site: &Iems) -> String {
    wait_for("an attempt that failed", secs(30), || {
        let all = site.admin(&["queue", "list", "--json"]).good().json();
        let entry = all.as_array().and_then(|list| list.first()).cloned()?;
        entry["last_reply"].is_string().then(|| {
            let id = entry["id"].as_str().expect("an id");
            site.admin(&["explain", id]).good().out
        })
    })
}

#[track_caller]
fn says(told: &str, words: &[&str]) {
    for words in words {
        assert!(told.contains(words), "{words:?} is missing: {told}");
    }
}

#[test]
fn a_policy_that_is_enforced_wants_a_good_certificate() {
    let world = World::new(&policy("enforce", GOOD));
    let knot = world.knot(GOOD, Some("1"));
    let site = world.site(&knot);
    send(&site, "user1");
    let told = explained(&site, &world.arrives("user1"));
    says(&told, &["verified by PKIX", "certificate good for peer.example.org", "it is the right host"]);
    says(&told, &["MTA-STS enforce of example.org, id 1", "opportunistic (default)"]);
    let asked = world.host.asked();
    assert_eq!(asked.len(), 1);
    says(&asked[0].0, &["GET /.well-known/mta-sts.txt HTTP/1.1\r\n", "Host: mta-sts.example.org\r\n"]);
}

#[test]
fn mail_waits_for_a_host_that_the_policy_or_the_certificate_does_not_name() {
    let world = World::new(&policy("enforce", "*.example.org"));
    let knot = world.knot(BAD, Some("1"));
    let wrong = world.site(&knot);
    send(&wrong, "user2");
    let told = waits(&wrong);
    says(&told, &["451 4.7.5", "certificate-host-mismatch", "MTA-STS enforce of example.org"]);
    world.host.page(Page::text(&policy("enforce", "other.example.org")));
    let knot = world.knot(GOOD, Some("1"));
    let unnamed = world.site(&knot);
    send(&unnamed, "user3");
    let told = waits(&unnamed);
    says(&told, &["451 4.7.5", "the MTA-STS policy of example.org does not name this host"]);
    assert!(world.postfix.messages("user2").is_empty() && world.postfix.messages("user3").is_empty());
}

/// `TLS-Required: No` (RFC 8689 section 3): past what waits for the same host.
#[test]
fn a_message_whose_sender_waives_the_policy_goes_all_the_same() {
    let world = World::new(&policy("enforce", "*.example.org"));
    let knot = world.knot(BAD, Some("1"));
    let mut site = world.site(&knot);
    send(&site, "user2");
    says(&waits(&site), &["451 4.7.5", "certificate-host-mismatch"]);
    let waived = |site: &Iems, to: &str| {
        let text = [b"TLS-Required: No\r\n".as_slice(), &letter(ANN, to, "your certificate")].concat();
        deliver(site.at("smtp"), ANN, to, &text);
    };
    waived(&site, "user4@example.org");
    let mail = world.arrives("user4");
    assert!(mail.contains("TLS-Required: No") && mail.contains("using TLSv1.3"), "{mail}");
    let told = explained(&site, &mail);
    says(&told, &["rather unprotected than not at all", "through smtp-tls-optional, next hop example.org"]);
    says(&told, &["TLSv1.3", "certificate not looked at", "the sender waives it (TLS-Required: No)"]);
    assert!(world.postfix.messages("user2").is_empty());
    // A rule of our own is not the sender's to waive.
    site.config.more.push_str("[[peer]]\ndomain = \"example.org\"\ntls = \"verify\"\n");
    site.write();
    site.stop();
    site.start();
    waived(&site, "user5@example.org");
    wait_for("an attempt that failed", secs(30), || {
        let all = site.admin(&["queue", "list", "--json"]).good().json();
        let of = |entry: &&serde_json::Value| entry.to_string().contains("user5@");
        let entry = all.as_array()?.iter().find(of)?.clone();
        entry["last_reply"].as_str()?.contains("451 4.7.5").then_some(())
    });
    assert!(world.postfix.messages("user5").is_empty());
}

#[test]
fn a_policy_that_is_tried_out_or_cannot_be_had_stops_nothing() {
    let world = World::new(&policy("testing", BAD));
    let knot = world.knot(BAD, Some("1"));
    let site = world.site(&knot);
    send(&site, "user4");
    let told = explained(&site, &world.arrives("user4"));
    says(&told, &["MTA-STS testing of example.org", "certificate not good", "TLSv1.3"]);
    world.host.page(Page { status: "301 Moved".into(), ..Page::text(&policy("enforce", BAD)) });
    let redirected = world.site(&knot);
    send(&redirected, "user5");
    says(&explained(&redirected, &world.arrives("user5")), &["sts-policy-fetch-error", "301"]);
    world.host.page(Page { kind: "text/html".into(), ..Page::text(&policy("enforce", BAD)) });
    let other = world.site(&knot);
    send(&other, "user6");
    says(&explained(&other, &world.arrives("user6")), &["sts-policy-invalid"]);
    world.host.page(Page::text(&policy("enforce", BAD)));
    let mut stranger = world.site(&knot);
    stranger.stop();
    stranger.config.more = String::new();
    stranger.start();
    send(&stranger, "user7");
    says(&explained(&stranger, &world.arrives("user7")), &["sts-webpki-invalid"]);
}

#[test]
fn a_policy_outlives_a_restart_and_those_who_hide_it_until_it_is_withdrawn() {
    let world = World::new(&policy("enforce", BAD));
    let published = world.knot(BAD, Some("1"));
    let mut site = world.site(&published);
    send(&site, "user8");
    says(&waits(&site), &["MTA-STS enforce of example.org, id 1"]);
    site.stop();
    // Nobody publishes it any more, and the host does not answer with it: it holds all the same.
    let hidden = world.knot(BAD, None);
    world.host.page(Page { status: "404 Not Found".into(), ..Page::text("") });
    site.config.dns = vec![hidden.at.to_string()];
    site.start();
    let asked = world.host.asked().len();
    let told = wait_for("another attempt", secs(30), || {
        let told = waits(&site);
        (told.matches("attempt ").count() >= 2 && told.matches("id 1").count() >= 2).then_some(told)
    });
    says(&told, &["certificate-host-mismatch"]);
    assert_eq!(world.host.asked().len(), asked, "nothing new to fetch");
    assert!(world.postfix.messages("user8").is_empty());
    site.stop();
    // A new id, and a policy that asks for nothing.
    world.host.page(Page::text("version: STSv1\nmode: none\nmax_age: 86400\n"));
    let withdrawn = world.knot(BAD, Some("2"));
    site.config.dns = vec![withdrawn.at.to_string()];
    site.start();
    says(&explained(&site, &world.arrives("user8")), &["MTA-STS none"]);
}

#[test]
fn what_is_wrong_is_reported_to_whoever_wants_to_know() {
    let world = World::new(&policy("testing", BAD));
    let knot = world.knot(BAD, Some("1"));
    let mut site = world.site(&knot);
    site.stop();
    site.config
        .more
        .push_str("[tls_reports]\nfrom = \"tls@example.test\"\norganization = \"Example Test\"\n");
    site.start();
    send(&site, "user1");
    world.arrives("user1");
    let list = site.admin(&["tls-reports", "list", "--json"]).good().json();
    let one = &list[0];
    assert_eq!(
        (one["domain"].as_str(), one["policy"].as_str()),
        (Some("example.org"), Some("sts")),
        "{list}"
    );
    assert_eq!((one["good"].as_u64(), one["bad"].as_u64()), (Some(0), Some(1)), "{list}");
    assert_eq!(one["failures"][0]["result"], "certificate-host-mismatch", "{list}");
    says(&site.admin(&["tls-reports", "send"]).good().out, &["on their way"]);
    let fetches = world.host.asked().len();
    assert!(world.postfix.messages("user9").is_empty(), "the day is not over");
    says(&site.admin(&["tls-reports", "send", "--today"]).good().out, &["on their way"]);
    let mail = world.arrives("user9");
    says(
        &mail,
        &[
            "From: <tls@example.test>",
            "TLS-Report-Domain: example.org",
            "report-type=\"tlsrpt\"",
            "Return-Path: <>",
        ],
    );
    let asked = world.host.asked();
    let (head, packed) = &asked[fetches..][0];
    says(head, &["POST /tls HTTP/1.1\r\n", "Content-Type: application/tlsrpt+gzip\r\n"]);
    let report = run(std::process::Command::new("gzip").arg("-dc"), packed).good().json();
    assert_eq!(report["organization-name"], "Example Test", "{report}");
    let policy = &report["policies"][0];
    assert_eq!(policy["policy"]["policy-string"][1], "mode: testing", "{report}");
    let detail = &policy["failure-details"][0];
    assert_eq!(detail["result-type"], "certificate-host-mismatch", "{report}");
    assert_eq!(detail["receiving-mx-hostname"], BAD, "{report}");
    assert_eq!(detail["receiving-ip"].as_str(), Some(world.postfix.at.ip().to_string().as_str()), "{report}");
}
