//! Mail readers of other projects at one account: Thunderbird, NeoMutt, OfflineIMAP, getmail, fetchmail, and libraries for
//! programs that read mail: IMAPClient for Python, ImapFlow for Node, net/imap for Ruby.
//! What one does, the others see.

use std::collections::BTreeMap;
use std::path::Path;

use iems_tests::fetched::{Fetcher, Value};
use iems_tests::iems::Iems;
use iems_tests::peers::{
    fetchmail, getmail, imapclient, imapflow, neomutt, netimap, offlineimap, thunderbird,
};
use iems_tests::smtp::{deliver, letter};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";

fn site() -> Iems {
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.start();
    site
}

fn text(subject: &str) -> Vec<u8> {
    letter("c@example.com", ANN, subject)
}

fn other(site: &Iems) -> Fetcher {
    Fetcher::login(site.at("imap"), ANN, "secret")
}

/// Subjects of a mailbox with the flags of each, sorted.
fn flags(reader: &mut Fetcher, mailbox: &str) -> BTreeMap<String, Vec<String>> {
    reader.must(format!("EXAMINE {mailbox}").as_bytes());
    let told = reader.must(b"FETCH 1:* (FLAGS ENVELOPE)");
    let one = |values: &[Value]| {
        let [_, Value::List(flags), _, Value::List(envelope)] = values else { panic!("{values:?}") };
        let Some(Value::Text(subject)) = envelope.get(1) else { panic!("{envelope:?}") };
        // Who is told of a message first is a matter of who looked first.
        let flags = flags.iter().map(|flag| format!("{flag:?}"));
        let mut flags: Vec<_> = flags.filter(|flag| flag != "\\Recent").collect();
        flags.sort();
        (String::from_utf8_lossy(subject).into_owned(), flags)
    };
    told.iter().map(|(_, values)| one(values)).collect()
}

/// Subjects of a mailbox, and flags of each in a line.
fn shown(reader: &mut Fetcher, mailbox: &str) -> Vec<String> {
    let line = |(subject, flags): (String, Vec<String>)| format!("{subject}: {}", flags.join(" "));
    flags(reader, mailbox).into_iter().map(line).collect()
}

#[test]
fn thunderbird_spends_a_day() {
    let site = site();
    let dir = site.dir.path().join("thunderbird");
    std::fs::create_dir(&dir).expect("a folder");
    thunderbird::day(&dir, site.at("imaps"), &site.certificates.authority, ANN, "secret").good();
}

#[test]
fn imapclient_spends_a_day() {
    let site = site();
    imapclient::day(site.at("imaps"), &site.certificates.authority, ANN, "secret").good();
}

#[test]
fn imapflow_spends_a_day() {
    let site = site();
    site.admin(&["account", "set", ANN, "--quota", "1GiB"]).good();
    imapflow::day(site.at("imaps"), &site.certificates.authority, ANN, "secret").good();
}

#[test]
fn rubys_own_library_spends_a_day() {
    let site = site();
    site.admin(&["account", "set", ANN, "--quota", "1GiB"]).good();
    netimap::day(site.at("imaps"), &site.certificates.authority, ANN, BOB, "secret").good();
}

#[test]
fn neomutt_lists_reads_flags_files_and_deletes() {
    let site = site();
    let mut other = other(&site);
    for subject in ["apple", "pear", "plum", "fig", "kiwi"] {
        other.append("INBOX", [&text(subject)[..]]);
    }
    let dir = site.dir.path();
    let on = |subject: &str, keys: &str| format!("<search>~s {subject}<enter>{keys}");
    let piped = dir.join("piped");
    let keys = [
        on("apple", &format!("<display-message><pipe-message>cat > {}<enter><exit>", piped.display())),
        on("pear", "<flag-message>"),
        on("plum", "<copy-message>=Work/Plans<enter>"),
        on("fig", "<save-message>=Archive<enter>"),
        on("kiwi", "<delete-message>"),
        "<sync-mailbox><quit>".to_owned(),
    ];
    let said = neomutt::play(dir, site.at("imap"), ANN, "secret", &keys.concat()).good();
    // It draws the list once its keys are done.
    for subject in ["[   ] apple", "[N !] pear", "[N  ] plum"] {
        assert!(said.out.contains(subject), "{subject} is not in the list: {}", said.out);
    }
    let read = std::fs::read_to_string(&piped).expect("what was piped");
    assert!(read.ends_with("Dear reader,\n\n. a dot\n.. two\nEnd.\n"), "{read}");
    assert_eq!(shown(&mut other, "INBOX"), ["apple: \\Seen", "pear: \\Flagged", "plum: "]);
    assert_eq!(shown(&mut other, "Work/Plans"), ["plum: "]);
    assert_eq!(shown(&mut other, "Archive"), ["fig: "]);
}

/// All files below a folder, by their paths.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            match entry.path() {
                path if path.is_dir() => open.push(path),
                path => {
                    let octets = std::fs::read(&path).expect("a file");
                    all.insert(path.display().to_string(), octets);
                }
            }
        }
    }
    all
}

#[test]
fn offlineimap_keeps_both_sides_alike() {
    let site = site();
    let (dir, at) = (site.dir.path(), site.at("imap"));
    let mail = dir.join("offline");
    let mut other = other(&site);
    other.must(b"CREATE Lists/Rust");
    let letters: Vec<_> = (0..200).map(|n| text(&format!("n{n}"))).collect();
    other.append("INBOX", letters.iter().map(|letter| &letter[..]));
    other.append("Lists/Rust", [&text("crab")[..]]);
    let sync = || offlineimap::sync(dir, at, ANN, "secret").good();
    sync();
    assert_eq!(files(&mail).len(), 201);
    // Nothing on either side changes by doing it again.
    let state = |other: &mut Fetcher| {
        let all =
            ["INBOX", "Lists/Rust"].map(|name| other.told(&format!("STATUS {name} (UIDNEXT HIGHESTMODSEQ)")));
        (files(&mail), all)
    };
    let before = state(&mut other);
    let said = sync();
    assert!(!said.out.contains("Copy message") && !said.out.contains("flag"), "{}", said.out);
    assert_eq!(state(&mut other), before);
    // A flag and a new folder here, a deletion and a flag there.
    let all = files(&mail);
    let marked = all.iter().find(|(path, _)| path.contains("INBOX/new/")).expect("a new message").0;
    let name = marked.rsplit('/').next().expect("a name").trim_end_matches("2,");
    std::fs::rename(marked, mail.join("INBOX/cur").join(format!("{name}2,FS"))).expect("a flag set");
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(mail.join("Drafts").join(part)).expect("a folder");
    }
    std::fs::write(mail.join("Drafts/cur/1.2.here:2,S"), text("written here")).expect("a message");
    other.must(b"SELECT INBOX");
    other.must(b"STORE 100:109 +FLAGS (\\Deleted)");
    other.must(b"EXPUNGE");
    other.must(b"STORE 190 +FLAGS (\\Answered)");
    sync();
    assert_eq!(files(&mail).len(), 192);
    assert!(files(&mail).keys().any(|path| path.ends_with(":2,R")));
    assert_eq!(shown(&mut other, "Drafts"), ["written here: \\Seen"]);
    let flagged = flags(&mut other, "INBOX");
    assert_eq!(flagged.len(), 190);
    assert_eq!(flagged.values().filter(|flags| flags[..] == ["\\Flagged", "\\Seen"]).count(), 1);
    let before = state(&mut other);
    sync();
    assert_eq!(state(&mut other), before);
}

#[test]
fn getmail_knows_by_uid_what_is_new() {
    let mut site = site();
    let mut reader = other(&site);
    reader.must(b"CREATE Lists");
    reader.append("INBOX", [&text("one")[..], &text("two")]);
    reader.append("Lists", [&text("three")[..]]);
    let fetch = |site: &Iems, delete| {
        getmail::fetch_imap(site.dir.path(), site.at("imap"), ANN, "secret", &["INBOX", "Lists"], delete)
            .good();
        getmail::fetched(site.dir.path()).len()
    };
    assert_eq!((fetch(&site, false), fetch(&site, false)), (3, 3));
    site.stop();
    site.start();
    let mut reader = other(&site);
    reader.append("Lists", [&text("four")[..]]);
    assert_eq!(fetch(&site, true), 4);
    assert!(shown(&mut reader, "INBOX").is_empty() && shown(&mut reader, "Lists").is_empty());
}

#[test]
fn fetchmail_waits_for_mail() {
    let site = site();
    let dir = site.dir.path();
    let mut other = other(&site);
    other.append("INBOX", [&text("early")[..]]);
    let mut fetchmail = fetchmail::wait_for_mail(dir, site.at("imap"), ANN, "secret");
    let fetched = |subject: &str| {
        let named =
            |letter: &Vec<u8>| String::from_utf8_lossy(letter).contains(&format!("Subject: {subject}"));
        wait_for(&format!("the message {subject}"), secs(20), || {
            fetchmail::fetched(dir).iter().any(named).then_some(())
        });
    };
    fetched("early");
    deliver(site.at("smtp"), "c@example.com", ANN, &text("late"));
    fetched("late");
    wait_for("an empty mailbox", secs(10), || shown(&mut other, "INBOX").is_empty().then_some(()));
    assert_eq!(fetchmail.ended(), None, "it goes on waiting");
    fetchmail.kill();
}
