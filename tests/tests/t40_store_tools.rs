//! Quotas, the check of what is kept, and mail in and out as files, as Python's `mailbox` reads and writes them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use iems_tests::fetched::Fetcher;
use iems_tests::iems::{Iems, binary};
use iems_tests::peers::imap;
use iems_tests::pop3::{field, read_all, wait_all};
use iems_tests::process::{command, need, run};
use iems_tests::smtp::{Smtp, deliver, letter};

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";

/// What Python's `mailbox` says about a Maildir or an mbox: the subjects, in order, and how many were read.
fn python(kind: &str, place: &Path) -> (Vec<String>, u64) {
    const SAY: &str = "import json, mailbox, sys\n\
        box = getattr(mailbox, sys.argv[1])(sys.argv[2], create=False)\n\
        seen = sum('S' in m.get_flags() or 'R' in m.get_flags() for m in box)\n\
        print(json.dumps([sorted(m['Subject'] for m in box), seen]))";
    let place = place.to_str().expect("a path in UTF-8");
    let said = run(&mut command(&need("python3", "python3"), ["-c", SAY, kind, place]), b"").good().json();
    serde_json::from_value(said).expect("subjects and a number")
}

/// A Maildir with subfolders, and an mbox, as Python makes them.
fn made_by_python(folder: &Path, messages: usize) {
    const MAKE: &str = "import mailbox, sys\n\
        root, count = sys.argv[1], int(sys.argv[2])\n\
        box = mailbox.Maildir(root + '/maildir')\n\
        one = mailbox.mbox(root + '/old.mbox')\n\
        sub = box.add_folder('Work.2026')\n\
        for n in range(count):\n\
        \x20   for place in (box, sub, one):\n\
        \x20       m = mailbox.MaildirMessage(f'Subject: s{n}\\nMessage-ID: <{n}@py>\\n\\nFrom the start\\n' + 'x' * 3000)\n\
        \x20       m.set_flags('FS' if n % 2 else 'R')\n\
        \x20       place.add(mailbox.mboxMessage(m) if place is one else m)\n\
        one.flush()";
    let (folder, count) = (folder.to_str().expect("a path in UTF-8"), messages.to_string());
    run(&mut command(&need("python3", "python3"), ["-c", MAKE, folder, &count]), b"").good();
}

#[test]
fn mail_goes_out_in_every_format_and_comes_back() {
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.start();
    for n in 0..5 {
        deliver(site.at("smtp"), "x@example.com", ANN, &letter("x@example.com", ANN, &format!("number {n}")));
    }
    let before = wait_all(site.at("pop3"), ANN, "secret", 5);
    let busy = site.admin(&["store", "check"]);
    assert_eq!(busy.code, 75, "{busy:?}");
    assert!(busy.err.contains("stop it first"), "{busy:?}");
    site.stop();
    let checked = site.admin(&["store", "check", "--bodies", "--json", "--quiet"]).good().json();
    assert_eq!(
        (&checked["messages"], &checked["findings"]),
        (&5.into(), &serde_json::json!([])),
        "{checked}"
    );
    let expected: Vec<_> = (0..5).map(|n| format!("number {n}")).collect();
    for format in ["maildir", "mbox", "eml"] {
        let folder = site.dir.path().join(format);
        let folder_text = folder.to_str().expect("a path in UTF-8");
        let out =
            || site.admin(&["store", "export", ANN, folder_text, "--format", format, "--json"]).good().json();
        assert_eq!(out()["messages"], 5, "{format}");
        assert_eq!(out()["messages"], 0, "{format}: nothing twice");
        match format {
            "maildir" => assert_eq!(python("Maildir", &folder.join("INBOX")).0, expected),
            "mbox" => assert_eq!(python("mbox", &folder.join("INBOX.mbox")).0, expected),
            _ => assert_eq!(std::fs::read_dir(folder.join("INBOX")).expect("a folder").count(), 5),
        }
    }
    let maildir = site.dir.path().join("maildir");
    let maildir = maildir.to_str().expect("a path in UTF-8");
    site.admin(&["store", "import", BOB, maildir, "--format", "maildir"]).good();
    site.start();
    let mut after = read_all(site.at("pop3"), BOB, "secret");
    assert_eq!(after.len(), 5);
    after.sort();
    let mut before = before;
    before.sort();
    assert_eq!(before, after, "every octet came back");
}

#[test]
fn mail_goes_in_and_out_beside_the_running_server() {
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.start();
    let files = site.dir.path().join("files");
    std::fs::create_dir(&files).expect("a folder");
    made_by_python(&files, 40);
    let mut imap = Fetcher::login(site.at("imap"), ANN, "secret");
    imap.must(b"SELECT INBOX");
    let place = |name: &str| files.join(name).to_str().expect("UTF-8").to_owned();
    let moved = |way: &str, account: &str, name: &str, format: &str| {
        let said = site.admin(&["store", way, account, &place(name), "--format", format, "--json"]);
        assert!(said.err.contains(" messages, "), "it says how far it is: {said:?}");
        said.good().json()["messages"].clone()
    };
    assert_eq!(moved("import", ANN, "maildir", "maildir"), 80);
    assert!(imap.told("NOOP").contains(&"40 EXISTS".to_owned()), "an open session hears of it");
    deliver(site.at("smtp"), "x@example.com", ANN, &letter("x@example.com", ANN, "meanwhile"));
    wait_all(site.at("pop3"), ANN, "secret", 41);
    for format in ["maildir", "mbox", "eml"] {
        assert_eq!(moved("export", ANN, format, format), 81, "{format}");
        assert_eq!(moved("export", ANN, format, format), 0, "{format}");
    }
    assert_eq!(moved("import", BOB, "mbox", "mbox"), 81);
    // A path is that of whoever runs the command, and trouble is told as without a server.
    let nowhere = site.admin(&["store", "import", ANN, "nowhere", "--format", "maildir"]);
    assert_eq!(nowhere.code, 74, "{nowhere:?}");
    assert!(nowhere.err.contains("/nowhere: "), "{nowhere:?}");
    let nobody = site.admin(&["store", "export", "nobody@example.test", &place("x"), "--format", "eml"]);
    assert_eq!(nobody.code, 67, "{nobody:?}");
    site.stop();
    let checked = site.admin(&["store", "check", "--bodies", "--json", "--quiet"]).good().json();
    assert_eq!(checked["messages"], 162, "{checked}");
}

#[test]
fn root_leaves_a_folder_of_another_user_alone() {
    let site = Iems::with_accounts(&[ANN]);
    let owned_by = |user: &str| {
        run(Command::new("chown").args(["-R", user]).arg(site.dir.path().join("data")), b"").good();
    };
    owned_by("nobody");
    for arguments in [&["store", "check", "--quiet"][..], &["account", "list"], &["serve"]] {
        let refused = site.admin(arguments);
        assert_eq!(refused.code, 77, "{refused:?}");
        assert!(refused.err.contains("runuser -u nobody"), "{refused:?}");
    }
    owned_by("root");
    site.admin(&["store", "check", "--quiet"]).good();
}

#[test]
fn an_import_that_was_killed_goes_on_where_it_was() {
    const MESSAGES: usize = 400;
    let site = Iems::with_accounts(&[ANN]);
    let files = site.dir.path().join("files");
    std::fs::create_dir(&files).expect("a folder");
    made_by_python(&files, MESSAGES);
    let maildir = files.join("maildir");
    let arguments = ["store", "import", ANN, maildir.to_str().expect("UTF-8"), "--format", "maildir"];
    let mut child = Command::new(binary())
        .env("IEMS_CONFIG", site.file())
        .args(arguments)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let progress = BufReader::new(child.stderr.take().expect("its standard error"));
    let told = progress.lines().map_while(Result::ok).find(|line| line.contains("messages"));
    assert!(told.is_some(), "it says how far it is");
    child.kill().expect("it is still at work");
    child.wait().expect("it has ended");
    let again = site.admin(&[&arguments[..], &["--json", "--quiet"]].concat()).good().json();
    let (new, old) = (again["messages"].as_u64().unwrap_or(0), again["left_out"].as_u64().unwrap_or(0));
    assert_eq!(new + old, 2 * MESSAGES as u64, "{again}");
    assert!(old > 0 && new > 0, "{again}");
    let mbox = files.join("old.mbox");
    let mbox = mbox.to_str().expect("UTF-8");
    let old = site.admin(&["store", "import", ANN, mbox, "--format", "mbox", "--into", "Old/box", "--json"]);
    assert_eq!(old.good().json()["messages"], MESSAGES as u64);
    let checked = site.admin(&["store", "check", "--bodies", "--json", "--quiet"]).good().json();
    assert_eq!(checked["messages"], 3 * MESSAGES as u64, "{checked}");
    let out = files.join("out");
    site.admin(&["store", "export", ANN, out.to_str().expect("UTF-8"), "--format", "maildir", "--quiet"])
        .good();
    for folder in ["INBOX", "Work/2026", "Old/box"] {
        let (subjects, seen) = python("Maildir", &out.join(folder));
        assert_eq!((subjects.len(), seen), (MESSAGES, MESSAGES as u64), "{folder}");
    }
}

#[test]
fn a_full_mailbox_is_announced_and_then_refused() {
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    let domain = "example.test";
    site.admin(&["quota", "set", ANN, "--messages", "5"]).good();
    site.admin(&["quota", "set", domain, "--storage", "1GiB", "--each-messages", "1000"]).good();
    assert_eq!(site.admin(&["quota", "set", ANN, "--each-storage", "5GiB"]).code, 64);
    site.start();
    for n in 0..4 {
        deliver(site.at("smtp"), "x@example.com", ANN, &letter("x@example.com", ANN, &format!("number {n}")));
    }
    wait_all(site.at("pop3"), ANN, "secret", 4);
    // The fifth passes the mark, and brings the warning with it.
    deliver(site.at("smtp"), "x@example.com", ANN, &letter("x@example.com", ANN, "number 4"));
    let all = wait_all(site.at("pop3"), ANN, "secret", 6);
    let warned = all
        .iter()
        .filter(|message| field(message, "Subject").is_some_and(|subject| subject.contains("100 % full")));
    assert_eq!(warned.count(), 1);
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.com", 250);
    smtp.must("MAIL FROM:<x@example.com>", 250);
    let refused = smtp.must(&format!("RCPT TO:<{ANN}>"), 552);
    assert!(refused.text().contains("5.2.2"), "{}", refused.text());
    smtp.must(&format!("RCPT TO:<{BOB}>"), 250);
    let shown = site.admin(&["quota", "show", ANN, "--json"]).good().json();
    assert_eq!(
        (&shown["messages"], &shown["message_limit"], &shown["warned"]),
        (&6.into(), &5.into(), &true.into())
    );
    let all = site.admin(&["quota", "list", "--domain", domain, "--json"]).good().json();
    assert_eq!(all[0]["storage_limit"], 1u64 << 30, "{all}");
    assert_eq!(all[2]["message_limit"], 1000, "{all}");
    let counted = site.admin(&["quota", "recount", "--json"]).good().json();
    assert_eq!(
        (&counted[0]["messages"], &counted[0]["messages_before"]),
        (&6.into(), &6.into()),
        "{counted}"
    );
    site.admin(&["quota", "set", ANN, "--messages", "none"]).good();
    deliver(site.at("smtp"), "x@example.com", ANN, &letter("x@example.com", ANN, "again"));
    wait_all(site.at("pop3"), ANN, "secret", 7);
}

#[test]
fn a_site_sets_the_mark_the_grace_and_the_answer() {
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.config.more =
        "[quota]\nmessages = 4\nwarn_at = 50\ngrace = \"1h\"\ngrace_extra = 50\ntemporary = true\n"
            .to_owned();
    site.start();
    let send = |site: &Iems| {
        deliver(site.at("smtp"), "x@example.com", ANN, &letter("x@example.com", ANN, "one more"));
    };
    send(&site);
    send(&site);
    let all = wait_all(site.at("pop3"), ANN, "secret", 3);
    let warned =
        |message: &&Vec<u8>| field(message, "Subject").is_some_and(|subject| subject.contains("50 % full"));
    assert_eq!(all.iter().filter(warned).count(), 1);
    // Full, and half as much again for an hour.
    for _ in 0..3 {
        send(&site);
    }
    wait_all(site.at("pop3"), ANN, "secret", 6);
    let rcpt = |site: &Iems, to: &str, code: u16| {
        let mut smtp = Smtp::connect(site.at("smtp"));
        smtp.must("EHLO client.example.com", 250);
        smtp.must("MAIL FROM:<x@example.com>", 250);
        smtp.must(&format!("RCPT TO:<{to}>"), code).text()
    };
    assert!(rcpt(&site, ANN, 452).contains("4.2.2"));
    let shown = site.admin(&["quota", "show", ANN, "--json"]).good().json();
    assert!(shown["over_since"].is_string(), "{shown}");
    assert_eq!(shown["message_limit"], 4, "{shown}");
    // The domain is full for everybody; its sum is as old as half a minute at most, so the next start counts anew.
    site.admin(&["quota", "set", "example.test", "--messages", "6"]).good();
    site.stop();
    site.start();
    let refused = rcpt(&site, BOB, 452);
    assert!(refused.contains("4.3.1"), "{refused}");
}

/// What appends many letters at once, whose subjects begin with a word that is found in the index later.
const FILL: &str = r"
for some in range(4):
    texts = [b'From: a@x\r\nSubject: WORD-%d\r\n\r\nx\r\n' % n for n in range(some * 100, some * 100 + 100)]
    tag = imap._new_tag()
    imap.send(tag + b' APPEND INBOX' + b''.join(b' {%d+}\r\n%s' % (len(t), t) for t in texts) + b'\r\n')
    while not (line := imap.file.readline()).startswith(tag):
        assert line, 'closed'
    assert b' OK ' in line, line
";

/// Reads INBOX; says how it went, and that the session goes on.
const READ: &str = r"
assert imap.select('INBOX')[0] == 'OK'
typ, said = imap.fetch('1:*', '(ENVELOPE)')
assert typ in ('OK', 'NO'), said
assert typ == 'OK' or b'UNAVAILABLE' in said[0] or b'try again' in said[0], said
assert imap.noop()[0] == 'OK'
found = imap.search(None, 'ALL')[1][0].split()
print(json.dumps([typ, len(found)]))
";

/// The pages of the index that have a text in them.
fn pages_with(index: &[u8], text: &[u8]) -> Vec<usize> {
    const PAGE: usize = 4096;
    let has = |page: &[u8]| page.windows(text.len()).any(|window| window == text);
    index.chunks(PAGE).enumerate().skip(1).filter(|(_, page)| has(page)).map(|(nth, _)| nth * PAGE).collect()
}

#[test]
fn damage_in_the_index_of_a_running_server_is_one_accounts_trouble_and_loses_nothing() {
    use std::os::unix::fs::FileExt;
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.start();
    for (user, word) in [(ANN, "spoilt"), (BOB, "kept")] {
        imap::python(site.at("imap"), user, "secret", &FILL.replace("WORD", word)).good();
    }
    // All of it is in the index then, and nothing of the index in memory.
    site.stop();
    site.start();
    let path = site.dir.path().join("data/index.redb");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("the index");
    let before = std::fs::read(&path).expect("the index");
    let (spoilt, kept) = (pages_with(&before, b"spoilt-"), pages_with(&before, b"kept-"));
    let spoilt: Vec<usize> = spoilt.into_iter().filter(|page| !kept.contains(page)).collect();
    assert!(!spoilt.is_empty() && !kept.is_empty());
    for page in &spoilt {
        file.write_all_at(&[0xEE; 64], *page as u64).expect("a write");
    }
    let read = |site: &Iems, user| -> (String, usize) {
        let said = imap::python(site.at("imap"), user, "secret", READ).good().json();
        serde_json::from_value(said).expect("how it went")
    };
    assert_eq!(read(&site, BOB), ("OK".to_owned(), 400), "others are served");
    let hurt = read(&site, ANN);
    let mut accepted = [0, 0];
    for round in 0..5 {
        for (nth, user) in [ANN, BOB].into_iter().enumerate() {
            let mut smtp = Smtp::connect(site.at("smtp"));
            smtp.must("EHLO client.example.test", 250);
            let subject = format!("new {round}");
            let reply = smtp.send("c@example.com", &[user], &letter("c@example.com", user, &subject));
            match reply.expect("a reply").code {
                250 => accepted[nth] += 1,
                code => assert!((400..500).contains(&code), "{code}"),
            }
        }
    }
    assert_eq!(accepted[1], 5, "others get their mail");
    let log = std::fs::read_to_string(site.log()).expect("the log");
    assert!(hurt.0 == "OK" || log.contains("iems store check"), "{log}");
    site.kill();
    for page in &spoilt {
        let mut now = [0; 64];
        file.read_exact_at(&mut now, *page as u64).expect("a read");
        assert_eq!(now, [0xEE; 64], "what cannot be read is not written over");
        file.write_all_at(&before[*page..*page + 64], *page as u64).expect("a write");
    }
    site.start();
    for (user, accepted) in [ANN, BOB].into_iter().zip(accepted) {
        wait_all(site.at("pop3"), user, "secret", 400 + accepted);
    }
    site.stop();
    let checked = site.admin(&["store", "check", "--json", "--quiet"]).good().json();
    assert_eq!(checked["findings"], serde_json::json!([]), "{checked}");
}
