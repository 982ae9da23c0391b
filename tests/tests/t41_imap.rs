//! IMAP as mail programs use it: Python's imaplib with two sessions, curl, and mbsync both ways.

use iems_tests::iems::Iems;
use iems_tests::peers::{curl::curl, imap};
use iems_tests::smtp::{deliver, letter};

const ANN: &str = "ann@example.test";

fn site() -> Iems {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    site
}

#[test]
fn two_sessions_of_imaplib_see_one_mailbox() {
    let site = site();
    imap::imaplib(site.at("imaps"), &site.certificates.authority, ANN, "secret").good();
}

#[test]
fn curl_reads_what_smtp_delivered() {
    let site = site();
    deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, "by smtp"));
    let url = format!("imap://{}/INBOX;MAILINDEX=1", site.at("imap"));
    let user = format!("{ANN}:secret");
    let said = curl(&["--user", &user, &url], b"").good();
    assert!(said.out.contains("Subject: by smtp"), "{}", said.out);
    let url = format!("imap://{}/", site.at("imap"));
    let said = curl(&["--user", &user, &url, "--request", "STATUS INBOX (MESSAGES)"], b"").good();
    assert!(said.out.contains("* STATUS INBOX (MESSAGES 1)"), "{}", said.out);
}

/// Fills INBOX with small messages, several with each command.
const FILL: &str = r#"
count = int(COUNT)
for start in range(0, count, 100):
    texts = [f'Subject: n{n}\r\nMessage-ID: <{n}@x>\r\n\r\nNumber {n}.\r\n'.encode() for n in range(start, start + 100)]
    first = texts[0]
    tag = imap._new_tag()
    imap.send(tag + b' APPEND INBOX' + b''.join(b' {%d+}\r\n' % len(t) + t for t in texts) + b'\r\n')
    while not (line := imap.readline()).startswith(tag):
        pass
    assert line.startswith(tag + b' OK'), line
"#;

#[test]
fn mbsync_keeps_five_thousand_messages_alike_on_both_sides() {
    let site = site();
    let dir = site.dir.path();
    let at = site.at("imap");
    imap::python(at, ANN, "secret", &FILL.replace("COUNT", "5000")).good();
    imap::mbsync(dir, at, ANN, "secret").good();
    let count =
        || ["cur", "new"].map(|folder| files(&dir.join("mail/INBOX").join(folder))).iter().sum::<usize>();
    assert_eq!(count(), 5000);
    let state = || {
        std::fs::read_dir(dir.join("mail"))
            .expect("a folder")
            .flatten()
            .map(|entry| (entry.file_name(), entry.metadata().map(|m| m.len()).unwrap_or_default()))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = state();
    let said = imap::mbsync(dir, at, ANN, "secret").good();
    assert_eq!((count(), state()), (5000, before), "the second run changes nothing: {}", said.out);
    // A flag here, a deletion there.
    imap::python(
        at,
        ANN,
        "secret",
        "
imap.select('INBOX')
assert imap.store('1:10', '+FLAGS', r'(\\Deleted)')[0] == 'OK'
assert imap.expunge()[0] == 'OK'
assert imap.store('1', '+FLAGS', r'(\\Flagged)')[0] == 'OK'
",
    )
    .good();
    imap::mbsync(dir, at, ANN, "secret").good();
    assert_eq!(count(), 4990);
    let flagged = std::fs::read_dir(dir.join("mail/INBOX/cur")).expect("a folder").flatten();
    let flagged = flagged.filter(|entry| entry.file_name().to_string_lossy().contains('F')).count();
    assert_eq!(flagged, 1);
}

fn files(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}
