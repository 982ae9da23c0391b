//! One INBOX, read by POP3 and IMAP at once: each sees what the other does, by its own rules.

use iems_tests::fetched::Fetcher;
use iems_tests::iems::Iems;
use iems_tests::peers::curl;
use iems_tests::pop3::Pop3;
use iems_tests::smtp::{deliver, letter};

const ANN: &str = "ann@example.test";

fn site(count: usize) -> (Iems, Fetcher) {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let mut imap = Fetcher::login(site.at("imap"), ANN, "secret");
    let letters: Vec<_> = (1..=count).map(|n| letter("c@example.com", ANN, &format!("n{n}"))).collect();
    imap.append("INBOX", letters.iter().map(|letter| &letter[..]));
    imap.must(b"SELECT INBOX");
    (site, imap)
}

fn pop3(site: &Iems) -> Pop3 {
    let mut pop = Pop3::connect(site.at("pop3"));
    pop.login(ANN, "secret");
    pop
}

/// What IMAP is told at the next command, without its own words.
fn news(imap: &mut Fetcher) -> Vec<String> {
    let told = imap.told("NOOP");
    told.into_iter().filter(|line| line.contains("EXPUNGE") || line.contains("VANISHED")).collect()
}

#[test]
fn numbers_of_pop3_stay_while_imap_expunges() {
    let (site, mut imap) = site(5);
    let mut pop = pop3(&site);
    let ids = pop.ids();
    imap.must(b"STORE 2,4 +FLAGS.SILENT (\\Deleted)");
    imap.must(b"EXPUNGE");
    deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, "late"));
    // What is gone is refused, what came is not there yet, and all others keep number, size and id.
    assert_eq!(pop.count(), 5);
    for gone in [2, 4] {
        let said = pop.command(&format!("RETR {gone}")).expect("an answer");
        assert!(said.starts_with("-ERR") && said.contains("another program removed it"), "{said}");
    }
    assert!(String::from_utf8_lossy(&pop.message(3)).contains("Subject: n3"));
    assert!(String::from_utf8_lossy(&pop.message(5)).contains("Subject: n5"));
    assert_eq!(pop.ids(), ids);
    // To delete what is gone already is no trouble.
    pop.must("DELE 2");
    pop.must("DELE 3");
    pop.must("QUIT");
    assert_eq!(news(&mut imap), ["2 EXPUNGE"]);
    // The ids stand for the same messages in the next session, and after a restart.
    let again = pop3(&site).ids();
    assert_eq!(again[..2], [ids[0].clone(), ids[4].clone()]);
    assert_eq!(again.len(), 3);
    drop(imap);
    let mut site = site;
    site.stop();
    site.start();
    assert_eq!(pop3(&site).ids(), again);
}

/// Curl reads on until CRLF.CRLF, whatever a message's own lines end in.
#[test]
fn curl_reads_what_a_script_appended() {
    let (site, mut imap) = site(0);
    let letters: [&[u8]; 3] =
        [b"Subject: lf\n\n.\nend\n", b"Subject: no end\r\n\r\n.", b"Subject: cr\r\n\r\nx\r"];
    imap.append("INBOX", letters);
    let wanted: [&[u8]; 3] =
        [b"Subject: lf\r\n\r\n.\r\nend\r\n", b"Subject: no end\r\n\r\n.\r\n", b"Subject: cr\r\n\r\nx\r\n"];
    for (number, wanted) in (1..).zip(wanted) {
        let said = curl::read(site.at("pop3"), ANN, "secret", &format!("{number}"));
        assert_eq!(said.out.as_bytes(), wanted, "{}", said.err);
    }
}

#[test]
fn what_pop3_deletes_and_reads_is_told_to_imap() {
    let (site, mut imap) = site(4);
    let mut resynced = Fetcher::login(site.at("imap"), ANN, "secret");
    resynced.must(b"ENABLE QRESYNC");
    resynced.must(b"SELECT INBOX");
    let mut pop = pop3(&site);
    pop.message(1);
    pop.message(2);
    pop.must("TOP 3 1");
    pop.lines();
    pop.must("DELE 2");
    pop.must("DELE 4");
    // Nothing happens before QUIT, and nothing at all if the connection breaks.
    assert!(news(&mut imap).is_empty());
    drop(pop);
    assert!(news(&mut imap).is_empty());
    let mut pop = pop3(&site);
    assert_eq!(pop.count(), 4);
    pop.message(1);
    pop.must("DELE 2");
    pop.must("DELE 4");
    pop.must("QUIT");
    let told = imap.told("NOOP");
    assert_eq!(told[..2], ["4 EXPUNGE", "2 EXPUNGE"], "{told:?}");
    assert_eq!(news(&mut resynced), ["VANISHED 2,4"]);
    let seen = |imap: &mut Fetcher| imap.told("SEARCH SEEN");
    assert_eq!(seen(&mut imap), ["SEARCH 1"], "what was read whole, and not what was looked at with TOP");
}

#[test]
fn reading_by_pop3_marks_nothing_where_that_is_not_wanted() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[pop3]\nmark_seen = false\n".to_owned();
    site.start();
    let mut imap = Fetcher::login(site.at("imap"), ANN, "secret");
    imap.append("INBOX", [&letter("c@example.com", ANN, "one")[..]]);
    let mut pop = pop3(&site);
    pop.message(1);
    pop.must("QUIT");
    imap.must(b"SELECT INBOX");
    assert_eq!(imap.told("SEARCH SEEN"), ["SEARCH"]);
}

#[test]
fn one_session_of_pop3_and_many_of_imap() {
    let (site, mut imap) = site(1);
    let first = pop3(&site);
    let mut second = Pop3::connect(site.at("pop3"));
    second.must(&format!("USER {ANN}"));
    let said = second.command("PASS secret").expect("an answer");
    assert!(said.starts_with("-ERR [IN-USE]"), "{said}");
    let mut another = Fetcher::login(site.at("imap"), ANN, "secret");
    another.must(b"SELECT INBOX");
    imap.must(b"STORE 1 +FLAGS (\\Flagged)");
    drop(first);
    another.must(b"NOOP");
    assert_eq!(another.told("SEARCH FLAGGED"), ["SEARCH 1"]);
}
