//! fetchmail and getmail read by POP3: keeping, deleting, and knowing by UIDL what is new.

use iems_tests::iems::Iems;
use iems_tests::peers::{fetchmail, getmail};
use iems_tests::pop3::{read_all, wait_all};
use iems_tests::smtp::{deliver, letter};

const ANN: &str = "ann@example.test";
/// Leave messages there, and do not ask for TLS: this story is about what is new.
const KEEP: &str = "keep sslproto ''";

fn site_with(count: usize) -> Iems {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    send(&site, 0, count);
    wait_all(site.at("pop3"), ANN, "secret", count);
    site
}

fn send(site: &Iems, first: usize, count: usize) {
    for n in first..first + count {
        deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, &format!("n{n}")));
    }
}

/// The bodies, with LF line ends, as fetchers file them.
fn complete(messages: &[Vec<u8>]) -> bool {
    let text = |m: &Vec<u8>| String::from_utf8_lossy(m).replace("\r\n", "\n");
    messages.iter().all(|m| text(m).ends_with("Dear reader,\n\n. a dot\n.. two\nEnd.\n"))
}

#[test]
fn fetchmail_keeps_then_deletes() {
    let site = site_with(3);
    let dir = site.dir.path();
    fetchmail::fetch(dir, site.at("pop3"), ANN, "secret", "uidl", KEEP).good();
    assert_eq!(fetchmail::fetched(dir).len(), 3);
    assert!(complete(&fetchmail::fetched(dir)));
    // Exit code 1: nothing new.
    assert_eq!(fetchmail::fetch(dir, site.at("pop3"), ANN, "secret", "uidl", KEEP).code, 1);
    send(&site, 3, 1);
    wait_all(site.at("pop3"), ANN, "secret", 4);
    fetchmail::fetch(dir, site.at("pop3"), ANN, "secret", "uidl", KEEP).good();
    assert_eq!(fetchmail::fetched(dir).len(), 4);
    fetchmail::fetch(dir, site.at("pop3"), ANN, "secret", "", "fetchall nokeep sslproto ''").good();
    assert_eq!(fetchmail::fetched(dir).len(), 8);
    assert!(read_all(site.at("pop3"), ANN, "secret").is_empty());
}

#[test]
fn fetchmail_reads_under_tls() {
    let site = site_with(1);
    let dir = site.dir.path();
    let options = format!(
        "fetchall keep sslproto \"TLS1.2+\" sslcertck sslcertfile \"{}\" sslcommonname \"mx.example.test\"",
        site.certificates.authority.display()
    );
    fetchmail::fetch(dir, site.at("pop3"), ANN, "secret", "", &options).good();
    fetchmail::fetch(dir, site.at("pop3s"), ANN, "secret", "", &format!("ssl {options}")).good();
    assert_eq!(fetchmail::fetched(dir).len(), 2);
}

#[test]
fn getmail_knows_what_it_has_seen_across_a_restart() {
    let mut site = site_with(3);
    let fetch =
        |site: &Iems, delete| getmail::fetch(site.dir.path(), site.at("pop3"), ANN, "secret", delete).good();
    fetch(&site, false);
    assert_eq!(getmail::fetched(site.dir.path()).len(), 3);
    assert!(complete(&getmail::fetched(site.dir.path())));
    site.stop();
    site.start();
    send(&site, 3, 2);
    wait_all(site.at("pop3"), ANN, "secret", 5);
    fetch(&site, false);
    assert_eq!(getmail::fetched(site.dir.path()).len(), 5, "the ids changed with the restart");
    fetch(&site, true);
    assert_eq!(getmail::fetched(site.dir.path()).len(), 5);
    assert!(read_all(site.at("pop3"), ANN, "secret").is_empty());
}
