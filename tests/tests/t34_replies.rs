//! Replies: every one that refuses stands in docs/replies.md and says what to do; what a real server says has a status whose class agrees,
//! and a name under which its log has the rest; every acceptance has the queue id.
//!
//! `IEMS_TESTS_WRITE=1 tests/run t34` writes the table of the page.

use std::path::Path;

use iems_tests::iems::Iems;
use iems_tests::replies::{advises, found};
use iems_tests::smtp::{Smtp, letter, stuffed};
use iems_tests::wait::{secs, wait_for};
use iems_tests::wire::Wire;

const ANN: &str = "ann@example.test";

#[test]
fn every_refusal_is_in_the_table_and_says_what_to_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let found = found(root);
    assert!(found.len() > 60, "only {} replies were found", found.len());
    let silent: Vec<_> = found.iter().filter(|reply| !advises(&reply.text)).collect();
    assert!(silent.is_empty(), "these say nothing of what to do: {silent:#?}");
    let mut table = "| codes | text | made in |\n|---|---|---|\n".to_owned();
    for reply in &found {
        let codes = if reply.codes.is_empty() { "as the case is" } else { &reply.codes };
        table += &format!("| {codes} | {} | {} |\n", reply.text.replace('|', "\\|"), reply.place);
    }
    let file = root.join("docs/replies.md");
    let page = std::fs::read_to_string(&file).expect("docs/replies.md");
    let (text, kept) = page.split_once("## The table\n\n").expect("a heading for the table");
    if std::env::var_os("IEMS_TESTS_WRITE").is_some() {
        std::fs::write(&file, format!("{text}## The table\n\n{table}")).expect("docs/replies.md");
        return;
    }
    let lines = |table: &str| table.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (kept, table) = (lines(kept), lines(&table));
    let missing: Vec<_> = table.difference(&kept).chain(kept.difference(&table)).collect();
    assert!(
        missing.is_empty(),
        "docs/replies.md is old: IEMS_TESTS_WRITE=1 tests/run t34 renews it: {missing:#?}"
    );
}

/// The last line of the reply to a refusal: the codes agree, and the name at the end is in the log with them.
#[track_caller]
fn refused(site: &Iems, line: &str) {
    let words: Vec<&str> = line.splitn(3, ' ').collect();
    let [code, status, text] = words[..] else { panic!("{line}") };
    assert!(matches!(&code[..1], "4" | "5"), "{line}");
    let numbers: Vec<&str> = status.split('.').collect();
    assert!(numbers.len() == 3 && numbers[0] == &code[..1], "{line}");
    let name = text.strip_suffix(']').and_then(|text| text.rsplit_once(" [")).map(|(_, name)| name);
    let name = name.unwrap_or_else(|| panic!("no name: {line}"));
    assert!(name.len() == 8 && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{line}");
    wait_for(&format!("{name} and {code} {status} in the log"), secs(5), || {
        let log = std::fs::read_to_string(site.log()).expect("the log");
        log.lines()
            .any(|line| line.contains(name) && line.contains(&format!("{code} {status}")))
            .then_some(())
    });
}

#[test]
fn what_a_server_refuses_can_be_asked_after() {
    let mut site = Iems::with_accounts(&[ANN]);
    // Colours would stand between the words that are looked for.
    site.config.more = "[limits]\nmessage = \"20KiB\"\nrecipients = 2\n".to_owned();
    site.config.networks = Vec::new();
    site.start();
    let hello = "EHLO client.example.test\r\nMAIL FROM:<c@example.com>\r\n";
    for (listener, said) in [
        ("smtp", "NONSENSE\r\n".to_owned()),
        ("smtp", "MAIL FROM:<c@example.com>\r\n".to_owned()),
        ("smtp", format!("{hello}RCPT TO:<nobody@example.test>\r\n")),
        ("smtp", format!("{hello}RCPT TO:<x@elsewhere.example>\r\n")),
        ("smtp", format!("{hello}RCPT TO:broken\r\n")),
        ("smtp", format!("{hello}DATA\r\n")),
        (
            "smtp",
            format!(
                "{hello}RCPT TO:<{ANN}>\r\nRCPT TO:<ann+a@example.test>\r\nRCPT TO:<ann+b@example.test>\r\n"
            ),
        ),
        ("smtp", format!("{hello}RCPT TO:<{ANN}>\r\nDATA\r\nSubject: x\n.\nMAIL\r\n.\r\n")),
        ("smtp", format!("{hello}RCPT TO:<{ANN}>\r\nBDAT 4 LAST\r\na\r\rb")),
        (
            "smtp",
            format!("{hello}RCPT TO:<{ANN}>\r\nDATA\r\nSubject: x\r\n\r\n{}\r\n.\r\n", "x".repeat(30_000)),
        ),
        ("smtp", "EHLO c\r\nMAIL FROM:<c@example.com> SIZE=99999999\r\n".to_owned()),
        ("smtp", "EHLO c\r\nMAIL FROM:<c@example.com> ODD=1\r\n".to_owned()),
        ("smtp", "LHLO c\r\n".to_owned()),
        ("submission", "EHLO c\r\nMAIL FROM:<ann@example.test>\r\n".to_owned()),
        ("submission", "EHLO c\r\nAUTH PLAIN AGFubgB3cm9uZw==\r\n".to_owned()),
        ("lmtp", "EHLO c\r\n".to_owned()),
        ("lmtp", "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.test>\r\n".to_owned()),
    ] {
        let mut wire = Wire::connect(site.at(listener)).expect("a connection");
        wire.send(said.as_bytes()).expect("sent");
        wire.send(b"QUIT\r\n").expect("sent");
        let all = String::from_utf8(wire.rest().expect("the end")).expect("ASCII");
        let refusals: Vec<&str> = all.lines().filter(|line| line.starts_with(['4', '5'])).collect();
        assert_eq!(refusals.len(), 1, "{said:?}: {all}");
        refused(&site, refusals[0]);
    }
}

#[test]
fn whoever_is_turned_away_hears_a_name_too() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[limits]\nconnections = 1\n".to_owned();
    site.start();
    let held = wait_for("the only place", secs(10), || Smtp::knock(site.at("smtp")).ok());
    let mut wire = Wire::connect(site.at("smtp")).expect("a connection");
    let line = String::from_utf8(wire.line().expect("a refusal")).expect("ASCII");
    assert!(line.starts_with("421 4."), "{line}");
    refused(&site, &line);
    drop(held);
}

#[test]
fn every_acceptance_has_the_queue_id() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let text = stuffed(&letter("c@example.com", ANN, "id"));
    for (listener, hello, by_chunks) in [
        ("smtp", "EHLO c", false),
        ("smtp", "EHLO c", true),
        ("lmtp", "LHLO c", false),
        ("lmtp", "LHLO c", true),
    ] {
        let mut smtp = Smtp::connect(site.at(listener));
        smtp.must(hello, 250);
        smtp.must("MAIL FROM:<c@example.com>", 250);
        smtp.must(&format!("RCPT TO:<{ANN}>"), 250);
        if by_chunks {
            smtp.wire.send(b"BDAT 14 LAST\r\nSubject: x\r\n\r\n").expect("sent");
        } else {
            smtp.must("DATA", 354);
            smtp.wire.send(&text).expect("sent");
        }
        let reply = smtp.reply().expect("a reply").text();
        let id = reply.strip_prefix("2.0.0 queued as ").unwrap_or_else(|| panic!("{reply}"));
        let story = site.admin(&["explain", id]).good();
        assert!(story.out.contains(ANN), "{}", story.out);
    }
}
