//! One server counts how TLS with another went, and tells it; the other keeps what it is told, shows it, and is not impressed by what is no report.

use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use iems_tests::address;
use iems_tests::certificates::Certificates;
use iems_tests::https::{Https, Page};
use iems_tests::iems::{HOST, Iems};
use iems_tests::peers::knot::Knot;
use iems_tests::pop3;
use iems_tests::process::{command, run};
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.org";
/// Belongs to nobody, and to Bob.
const ALONE: &str = "tls-reports@example.org";
const COPIED: &str = "postmaster@example.org";

/// The site of `example.org`, which wants reports.
fn reported() -> Iems {
    let mut site = Iems::with_accounts(&[BOB]);
    site.admin(&["alias", "add", COPIED, BOB]).good();
    site.config.hostname = "mx.example.org".into();
    site.config.networks = Vec::new();
    site.config.more = format!(
        "[tls_reports]\nreceive = [{ALONE:?}, {COPIED:?}]\n[checks]\nprivate = true\nspf = \"note\"\n"
    );
    site
}

fn received(site: &Iems, more: &[&str]) -> Value {
    let words = [&["tls-reports", "received", "--json"], more].concat();
    site.admin(&words).good().json()
}

fn metric(site: &Iems, name: &str) -> String {
    let url = format!("http://{}/metrics", site.at("metrics"));
    let text = run(&mut command("curl", ["--silent", "--fail", &url]), b"").good().out;
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
    line.trim().to_owned()
}

#[test]
fn what_one_server_counts_the_other_can_read() {
    let dir = TempDir::with_prefix("policy-").expect("a temporary folder");
    let policy = Certificates::write(dir.path(), &["mta-sts.example.org".to_owned()]);
    let text = "version: STSv1\r\nmode: testing\r\nmx: mx.example.org\r\nmax_age: 86400\r\n";
    let host = Https::start(address::fresh(), &policy, Page::text(text));
    let (mut to, mut from) = (reported(), Iems::with_accounts(&[ANN]));
    let (org, test) = (to.ip, from.ip);
    let knot = Knot::start(&[
        (
            "example.org",
            &format!(
                "@ MX 10 mx\nmx A {org}\nmta-sts A {}\n_mta-sts TXT \"v=STSv1; id=1;\"\n\
                 _smtp._tls TXT \"v=TLSRPTv1; rua=mailto:{ALONE}\"\n",
                host.at.ip()
            ),
        ),
        ("example.test", &format!("mx A {test}\nmx TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\n")),
    ]);
    for site in [&mut to, &mut from] {
        site.config.dns = vec![knot.at.to_string()];
    }
    // Its certificate is for another host.
    to.config.more.push_str(&format!("[[listener]]\nprotocol = \"smtp\"\naddress = \"{org}:25\"\n"));
    let read = |file| fs::read_to_string(file).expect("a certificate");
    let both = read(&policy.authority) + &read(&to.certificates.authority);
    fs::write(from.dir.path().join("world.pem"), both).expect("a file");
    from.config.more = "[client]\ntls_ca = \"world.pem\"\n[tls_reports]\nfrom = \"tls@example.test\"\norganization = \"Example \\u0007Test\"\n".into();
    to.start();
    from.start();

    deliver(from.at("smtp"), ANN, BOB, &letter(ANN, BOB, "hello"));
    pop3::wait_all(to.at("pop3"), BOB, "secret", 1);
    wait_for("a count", secs(10), || {
        let list = from.admin(&["tls-reports", "list", "--json"]).good().json();
        (list[0]["bad"] == json!(1)).then_some(())
    });
    from.admin(&["tls-reports", "send", "--today"]).good();
    let all = wait_for("the report", secs(20), || {
        let all = received(&to, &[]);
        (!all.as_array().expect("an array").is_empty()).then_some(all)
    });
    let report = &all[0];
    assert_eq!((&report["organization"], &report["sender"]), (&json!("Example Test"), &json!("")), "{all}");
    assert_eq!((&report["spf"], &report["spf_domain"]), (&json!("pass"), &json!(HOST)), "{all}");
    assert_eq!((&report["good"], &report["bad"]), (&json!(0), &json!(1)), "{all}");
    let of = &report["policies"][0];
    assert_eq!((&of["policy"], &of["domain"]), (&json!("sts"), &json!("example.org")), "{all}");
    assert_eq!(of["strings"][1], "mode: testing", "{all}");
    let failure = &of["failures"][0];
    assert_eq!(failure["result_type"], "certificate-host-mismatch", "{all}");
    assert_eq!(failure["receiving_mx_hostname"], "mx.example.org", "{all}");
    assert_eq!(failure["receiving_ip"], json!(org.to_string()), "{all}");
    let table = to.admin(&["tls-reports", "received", "--failed", "--since", "1h"]).good().out;
    for words in ["Example Test", "pass mx.example.test", "1 x certificate-host-mismatch at mx.example.org"] {
        assert!(table.contains(words), "{words:?} is missing: {table}");
    }
    assert_eq!(metric(&to, "iems_tls_reports_received_total{became=\"kept\"}"), "1");
    assert_eq!(metric(&to, "iems_tls_reported_sessions_total{result=\"certificate-host-mismatch\"}"), "1");
    assert_eq!(pop3::read_all(to.at("pop3"), BOB, "secret").len(), 1, "the report is nobody's mail");
}

/// A report as Google sends it, about this domain.
fn google(id: &str, domain: &str) -> Vec<u8> {
    let json = format!(
        "{{\"organization-name\":\"Google Inc.\",\"date-range\":{{\"start-datetime\":\"2026-04-01T00:00:00Z\",\"end-datetime\":\"2026-04-01T23:59:59Z\"}},\
         \"contact-info\":\"smtp-tls-reporting@google.example\",\"report-id\":{id:?},\"policies\":[{{\"policy\":{{\"policy-type\":\"sts\",\
         \"policy-string\":[\"version: STSv1\"],\"policy-domain\":{domain:?},\"mx-host\":[\"mx.example.org\"]}},\
         \"summary\":{{\"total-successful-session-count\":17,\"total-failure-session-count\":0}}}}]}}"
    );
    message(&gzip(json.as_bytes()))
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let dir = TempDir::with_prefix("gzip-").expect("a temporary folder");
    let file = dir.path().join("report.json");
    fs::write(&file, octets).expect("a file");
    run(command("gzip", ["-9"]).arg(&file), b"").good();
    fs::read(dir.path().join("report.json.gz")).expect("a packed file")
}

fn message(packed: &[u8]) -> Vec<u8> {
    let text = BASE64_STANDARD.encode(packed);
    let lines: Vec<String> =
        text.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!(
        "From: noreply-smtp-tls-reporting@google.example\r\nTo: {ALONE}\r\nSubject: Report Domain: example.org\r\nMIME-Version: 1.0\r\n\
         TLS-Report-Domain: example.org\r\nTLS-Report-Submitter: google.example\r\n\
         Content-Type: multipart/report; boundary=\"000000000000b\"; report-type=tlsrpt\r\n\r\n--000000000000b\r\nContent-Type: text/plain\r\n\r\n\
         This is an aggregate TLS report.\r\n--000000000000b\r\nContent-Type: application/tlsrpt+gzip; \r\n\tname=\"google.example!example.org!1!2!001.json.gz\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n\r\n--000000000000b--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}

/// The reply to a message, from outside.
fn reply(site: &Iems, to: &str, message: &[u8]) -> (u16, String) {
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO far.example", 250);
    let reply = smtp.send("r@far.example", &[to], message).expect("a reply");
    (reply.code, reply.text())
}

#[test]
fn reports_are_kept_and_everything_else_is_turned_away_or_delivered() {
    let mut site = reported();
    site.config.more = site.config.more.replace("spf = \"note\"\n", "");
    site.start();
    assert_eq!(reply(&site, ALONE, &google("1", "example.org")).0, 250);
    assert_eq!(reply(&site, COPIED, &google("1", "example.org")).0, 250, "the same once more");
    assert_eq!(reply(&site, COPIED, &google("2", "example.net")).0, 250);
    let all = received(&site, &[]);
    let ids: Vec<_> = all
        .as_array()
        .expect("an array")
        .iter()
        .map(|one| one["report_id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids, ["2", "1"], "{all}");
    assert_eq!((&all[0]["good"], &all[0]["spf"]), (&json!(17), &Value::Null), "{all}");
    assert_eq!(received(&site, &["--domain", "example.org"])[0]["report_id"], "1");
    assert_eq!(received(&site, &["--failed"]), json!([]));
    assert_eq!(received(&site, &["--since", "2099-01-01"]), json!([]));
    pop3::wait_all(site.at("pop3"), BOB, "secret", 2);

    // A message, a bomb, a report that breaks off.
    let bomb = message(&gzip(&vec![b' '; 300 << 20]));
    let whole = google("3", "example.org");
    for bad in [letter("r@far.example", ALONE, "hello"), bomb, whole[..whole.len() - 300].to_vec()] {
        let (code, text) = reply(&site, ALONE, &bad);
        assert!(code == 550 && text.contains("5.6.1") && text.contains("reports about TLS"), "{code} {text}");
        assert_eq!(reply(&site, COPIED, &bad).0, 250, "it is Bob's, too");
    }
    pop3::wait_all(site.at("pop3"), BOB, "secret", 5);
    assert_eq!(metric(&site, "iems_tls_reports_received_total{became=\"kept\"}"), "2");
    assert_eq!(metric(&site, "iems_tls_reports_received_total{became=\"repeated\"}"), "1");
    let route = site.admin(&["route", ALONE]).good().out;
    assert!(route.contains("tls-reports"), "{route}");

    // They are there while no server runs, and after that.
    site.stop();
    assert_eq!(received(&site, &[]).as_array().map(Vec::len), Some(2));
    site.start();
    assert_eq!(reply(&site, ALONE, &google("2", "example.net")).0, 250);
    assert_eq!(received(&site, &[]).as_array().map(Vec::len), Some(2));
}
