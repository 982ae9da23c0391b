//! Moving from Dovecot, and back: what it shows by IMAP before is what we show after, octet for octet, with flags, keywords,
//! dates, order, names and subscriptions.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use iems_tests::fetched::{Fetcher, Value};
use iems_tests::iems::Iems;
use iems_tests::peers::getmail::files;
use iems_tests::peers::{self, dovecot::Dovecot};
use iems_tests::process::{Said, need, run};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";
const SETTINGS: &str = "mail_plugins = listescape zlib\nplugin {\n  zlib_save = gz\n}\n\
    namespace inbox {\n  inbox = yes\n  separator = /\n  mailbox Sent {\n    special_use = \\Sent\n  }\n\
    \x20 mailbox Trash {\n    special_use = \\Trash\n  }\n}\n";
/// Names in modified UTF-7: `Entwürfe`, `R&D`, names with a dot and a quote.
const MAILBOXES: [&str; 7] =
    ["INBOX", "Sent", "Trash", "Entw&APw-rfe", "R&-D", "Projekte/2026/A.B", "\"Gr&APYA3w-e \\\"x\\\"\""];
const FLAGS: [&str; 6] =
    ["", "\\Seen", "\\Seen \\Flagged", "\\Answered $Forwarded", "\\Deleted", "\\Draft Work $Label1"];
const BODIES: [&str; 5] = [
    "one\r\n\r\nFrom here on\r\n\r\nFrom ann@x Thu Jan  1 10:00:00 2015\r\n\r\n>From there\r\n",
    "\r\n\r\n\r\n",
    "Gr\u{fc}\u{df}e\r\n.\r\n",
    "",
    "From the start\r\n",
];

/// Fills an account of Dovecot; `empty` as well, unless the format has no such mailboxes below others.
fn fill(imap: &mut Fetcher, mailboxes: &[&str]) {
    for (at, mailbox) in mailboxes.iter().enumerate() {
        if at > 0 {
            imap.must(format!("CREATE {mailbox}").as_bytes());
        }
        if at % 3 != 2 {
            imap.must(format!("SUBSCRIBE {mailbox}").as_bytes());
        }
        // Dates that fall while UIDs rise.
        for nth in 0..12 {
            let (flags, body) = (FLAGS[nth % FLAGS.len()], BODIES[nth % BODIES.len()]);
            let text = format!("From: c@example.com\r\nSubject: {nth} of {mailbox}\r\n\r\n{body}");
            let date = format!("{:02}-May-2014 16:53:{nth:02} +0000", 28 - nth);
            let command = format!("APPEND {mailbox} ({flags}) \"{date}\" {{{}+}}\r\n{text}", text.len());
            imap.must(command.as_bytes());
        }
    }
    imap.must(b"SELECT INBOX");
    imap.must(b"STORE 3 +FLAGS (\\Deleted)");
    imap.must(b"EXPUNGE");
    imap.must(b"CREATE empty");
}

/// What an account shows: for each mailbox its special use, whether it is subscribed to, and its messages.
fn shown(mut imap: Fetcher, uids: bool) -> BTreeMap<String, Vec<String>> {
    let names = |lines: Vec<String>| {
        let one = |line: &String| {
            let (attributes, name) = line.split_once(" \"/\" ")?;
            let bare = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
            Some((attributes.to_owned(), bare.unwrap_or(name).to_owned()))
        };
        lines.iter().filter_map(one).collect::<Vec<_>>()
    };
    let subscribed = names(imap.told("LSUB \"\" *"));
    let mut all = BTreeMap::new();
    for (attributes, name) in names(imap.told("LIST \"\" *")) {
        if attributes.to_lowercase().contains("\\noselect") {
            continue;
        }
        let uses = ["\\Sent", "\\Trash"].into_iter().filter(|one| attributes.contains(one));
        let subscribed = subscribed.iter().any(|(_, path)| *path == name);
        let mut lines = vec![format!("{:?} {subscribed}", uses.collect::<Vec<_>>())];
        imap.must(format!("EXAMINE \"{name}\"").as_bytes());
        let count = imap.told("SEARCH ALL")[0].split(' ').count();
        if count > 1 {
            let asked = if uids { "UID " } else { "" };
            let told = imap.must(format!("FETCH 1:* ({asked}FLAGS INTERNALDATE BODY.PEEK[])").as_bytes());
            lines.extend(told.into_iter().map(|(_, values)| message(values)));
        }
        // Mailboxes that are there because of those below them, which not every server has.
        if lines.len() > 1 || name == "empty" {
            all.insert(name, lines);
        }
    }
    all
}

fn message(values: Vec<Value>) -> String {
    let sorted = values.into_iter().map(|value| match value {
        Value::List(flags) => {
            let mut flags: Vec<_> = flags.iter().map(|flag| format!("{flag:?}")).collect();
            flags.retain(|flag| flag != "\\Recent");
            flags.sort();
            format!("{flags:?}")
        }
        other => format!("{other:?}"),
    });
    sorted.collect::<Vec<_>>().join(" ")
}

fn imported(site: &mut Iems, source: &Path, format: &str) -> BTreeMap<String, Vec<String>> {
    site.admin(&["store", "import", ANN, source.to_str().expect("UTF-8"), "--format", format, "--quiet"])
        .good();
    served(site)
}

fn served(site: &mut Iems) -> BTreeMap<String, Vec<String>> {
    site.start();
    let all = shown(Fetcher::login(site.at("imap"), ANN, "secret"), false);
    site.stop();
    all
}

#[test]
fn a_compressed_maildir_of_dovecot_comes_in_as_it_was() {
    let dovecot = Dovecot::start_with(SETTINGS, &[]);
    fill(&mut Fetcher::login(dovecot.imap, "user1", "secret"), &MAILBOXES);
    let before = shown(Fetcher::login(dovecot.imap, "user1", "secret"), false);
    assert_eq!(before.len(), MAILBOXES.len() + 1, "{:?}", before.keys());
    let mut site = Iems::with_accounts(&[ANN]);
    assert_eq!(imported(&mut site, &dovecot.home("user1").join("Maildir"), "maildir"), before);
}

/// Programs that know what they have of Dovecot fetch nothing again: mbsync and OfflineIMAP by UIDs, POP3 by unique ids. In two rounds.
#[test]
fn programs_that_move_with_their_mailboxes_fetch_nothing_again() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more.push_str("[pop3]\nuidl = \"%08Xu%08Xv\"\n");
    site.start();
    // Both number mailboxes by the second, and no two are to have the same number here.
    std::thread::sleep(secs(1));
    let dovecot = Dovecot::start_with(SETTINGS, &[]);
    let mut imap = Fetcher::login(dovecot.imap, "user6", "secret");
    // OfflineIMAP knows no names with quotes or dots.
    let mailboxes = &MAILBOXES[..5];
    fill(&mut imap, mailboxes);
    // Gaps, at the end too; nothing is left that mbsync would expunge.
    for mailbox in mailboxes {
        imap.must(format!("SELECT {mailbox}").as_bytes());
        for command in ["STORE 1,4,9 +FLAGS (\\Deleted)", "EXPUNGE", "UNSELECT"] {
            imap.must(command.as_bytes());
        }
    }
    let at = site.at("imap");
    let maildir = dovecot.home("user6").join("Maildir");
    let import = || {
        let place = maildir.to_str().expect("UTF-8");
        let said =
            site.admin(&["store", "import", ANN, place, "--format", "maildir", "--json", "--quiet"]).good();
        let json = said.json();
        for one in json["uids"].as_array().expect("a list") {
            assert_eq!((&one["kept"], &one["why"]), (&true.into(), &"".into()), "{json}");
        }
        json
    };
    // Somebody waits at the INBOX as it was before anything came in.
    let mut waits = Fetcher::login(at, ANN, "secret");
    waits.must(b"SELECT INBOX");
    let dirs = ["mbsync", "offline"].map(|name| site.dir.path().join(name));
    dirs.iter().for_each(|dir| std::fs::create_dir(dir).expect("a folder"));
    for round in 0..2 {
        if round == 1 {
            for mailbox in ["INBOX", "Sent"] {
                imap.must(format!("APPEND {mailbox} {{18+}}\r\nSubject: later\r\n\r\n").as_bytes());
            }
        }
        peers::imap::mbsync(&dirs[0], dovecot.imap, "user6", "secret").good();
        peers::offlineimap::sync(&dirs[1], dovecot.imap, "user6", "secret").good();
        let local = || dirs.each_ref().map(|dir| everything_below(dir));
        let before = local();
        assert!(before.iter().all(|files| files.len() >= 6), "{before:?}");
        let json = import();
        let theirs = shown(Fetcher::login(dovecot.imap, "user6", "secret"), true);
        let count = theirs.values().map(|lines| lines.len() - 1).sum::<usize>();
        assert_eq!(json["messages"], if round == 0 { count } else { 2 }, "{json}");
        assert_eq!(shown(Fetcher::login(at, ANN, "secret"), true), theirs);
        let states = |at, user| {
            let mut imap = Fetcher::login(at, user, "secret");
            let asked = |name: &&str| (name.to_string(), status(&mut imap, name));
            mailboxes.iter().chain(&["empty"]).map(asked).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(states(at, ANN), states(dovecot.imap, "user6"), "UIDVALIDITY and UIDNEXT");
        peers::imap::mbsync(&dirs[0], at, ANN, "secret").good();
        peers::offlineimap::sync(&dirs[1], at, ANN, "secret").good();
        for (before, after) in before.iter().zip(local()) {
            assert_eq!(*before, after, "nothing is fetched or sent again");
        }
        let ids = |at: std::net::SocketAddrV4, user: &str| {
            let (url, login) = (format!("pop3://{at}/"), format!("{user}:secret"));
            peers::curl::curl(&["--user", &login, "-X", "UIDL", "-l", &url], b"").good().out
        };
        let (ours, theirs) = (ids(site.at("pop3"), ANN), ids(dovecot.pop3, "user6"));
        assert!(ours == theirs && ours.lines().count() == before[0].len(), "{ours} and {theirs}");
    }
    let (said, _) = waits.ask(b"NOOP");
    assert!(said.contains("BYE"), "{said}");
    // Mail arrives where it did, behind what came in.
    let next = status(&mut Fetcher::login(at, ANN, "secret"), "INBOX");
    let lmtp = format!("smtp://{}", site.at("smtp"));
    let args = ["--mail-from", "bob@example.com", "--mail-rcpt", ANN, "--upload-file", "-", &lmtp];
    peers::curl::curl(&args, b"Subject: new\r\n\r\n").good();
    wait_for("the new message", secs(10), || {
        let mut imap = Fetcher::login(at, ANN, "secret");
        (status(&mut imap, "INBOX") != next).then_some(())
    });
    // The next round says that its UIDs can no longer be those of Dovecot, and loses nothing.
    imap.must(b"APPEND INBOX {17+}\r\nSubject: last\r\n\r\n");
    let place = maildir.to_str().expect("UTF-8");
    let said = site.admin(&["store", "import", ANN, place, "--format", "maildir", "--quiet"]).good();
    assert!(
        said.out.contains("INBOX: UIDs kept, but messages got UIDs here")
            && said.out.contains("Sent: UIDs kept\n"),
        "{said:?}"
    );
    site.stop();
    site.admin(&["store", "check", "--bodies"]).good();
}

/// Names and sizes of all files with messages below a folder.
fn everything_below(dir: &Path) -> BTreeMap<std::path::PathBuf, u64> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, about) = (entry.path(), entry.metadata().expect("metadata"));
        match about.is_dir() {
            true => all.extend(everything_below(&path)),
            false if ["cur", "new"].iter().any(|part| dir.ends_with(part)) => {
                let _ = all.insert(path, about.len());
            }
            false => {}
        }
    }
    all
}

/// UIDVALIDITY and UIDNEXT.
fn status(imap: &mut Fetcher, mailbox: &str) -> Vec<String> {
    let told = imap.told(&format!("STATUS {mailbox} (UIDVALIDITY UIDNEXT)"));
    let status = told.iter().find(|line| line.starts_with("STATUS")).expect("a status");
    let mut words: Vec<_> =
        status.rsplit('(').next().unwrap_or_default().split([' ', ')']).map(str::to_owned).collect();
    words.sort();
    words
}

/// Whatever Debian's Dovecot compresses with, one after the other in one Maildir.
#[test]
fn what_dovecot_compresses_otherwise_comes_in_too() {
    let dovecot = Dovecot::start_with(SETTINGS, &[]);
    let save = |method: &str, mailbox: &str| {
        let text = format!("Subject: by {method}\r\n\r\n{}", "lines that are alike\r\n".repeat(4000));
        let method = format!("plugin/zlib_save={method}");
        dovecot.doveadm_with(&["-o", &method, "save", "-u", "user5", "-m", mailbox], text.as_bytes()).good();
    };
    for method in ["gz", "bz2", "zstd", "lz4"] {
        save(method, "INBOX");
    }
    let before = shown(Fetcher::login(dovecot.imap, "user5", "secret"), true);
    let maildir = dovecot.home("user5").join("Maildir");
    let sizes =
        files(&maildir.join("new")).into_iter().chain(files(&maildir.join("cur"))).map(|file| file.len());
    assert!(sizes.clone().count() == 4 && sizes.max() < Some(10_000), "they are compressed");
    let mut site = Iems::with_accounts(&[ANN]);
    site.admin(&["store", "import", ANN, maildir.to_str().expect("UTF-8"), "--format", "maildir", "--quiet"])
        .good();
    site.start();
    let after = shown(Fetcher::login(site.at("imap"), ANN, "secret"), true);
    assert!(after["INBOX"][1..] == before["INBOX"][1..] && before["INBOX"].len() == 5, "{:?}", after.keys());
}

/// Users of Dovecot's passwd-file log in with the passwords that they have, before and after we make a hash of our own of them.
#[test]
fn users_keep_their_passwords() {
    let dovecot = Dovecot::start();
    let site = Iems::with_accounts(&[ANN]);
    let schemes = [
        "SHA512-CRYPT",
        "SHA256-CRYPT",
        "BLF-CRYPT",
        "MD5-CRYPT",
        "ARGON2ID",
        "SSHA",
        "SSHA512",
        "PBKDF2",
        "SCRAM-SHA-256",
    ];
    let users: Vec<_> =
        schemes.iter().map(|scheme| (format!("{}@example.test", scheme.to_lowercase()), scheme)).collect();
    for (user, scheme) in &users {
        let hash = dovecot.doveadm(&["pw", "-s", scheme, "-p", "s3cret of old"]).good().out;
        site.admin_with(&["account", "add", user, "--hash-stdin"], hash.as_bytes()).good();
    }
    let refused =
        site.admin_with(&["account", "add", "x@example.test", "--hash-stdin"], b"{CRAM-MD5}7dead29c\n");
    assert!(refused.code != 0 && refused.err.contains("{CRAM-MD5}"), "{refused:?}");
    let mut site = site;
    site.start();
    for (user, scheme) in &users {
        assert_eq!(curl(&site, user, "s3cret of ol", "AUTH=PLAIN").code, 67, "{scheme}");
        for mechanism in ["AUTH=PLAIN", "AUTH=LOGIN", "AUTH=PLAIN"] {
            let said = curl(&site, user, "s3cret of old", mechanism);
            assert_eq!(said.code, 0, "{scheme} with {mechanism}: {said:?}");
        }
        assert_eq!(curl(&site, user, "s3cret of ol", "AUTH=PLAIN").code, 67, "{scheme}");
    }
}

/// Logs in with curl and lists the mailboxes.
fn curl(site: &Iems, user: &str, password: &str, mechanism: &str) -> Said {
    let url = format!("imap://{}/", site.at("imap"));
    let login = format!("{user}:{password}");
    run(
        Command::new(need("curl", "curl")).args(["-sS", "--login-options", mechanism, "-u", &login, &url]),
        b"",
    )
}

#[test]
fn mboxes_of_dovecot_come_in_as_they_were() {
    let mail = "mbox:~/mail:INBOX=~/inbox";
    let dovecot = Dovecot::start_with(SETTINGS, &[("user2", mail)]);
    let mailboxes: Vec<_> = MAILBOXES.into_iter().collect();
    fill(&mut Fetcher::login(dovecot.imap, "user2", "secret"), &mailboxes);
    let before = shown(Fetcher::login(dovecot.imap, "user2", "secret"), false);
    let mut site = Iems::with_accounts(&[ANN]);
    imported(&mut site, &dovecot.home("user2").join("mail"), "mbox");
    assert_eq!(imported(&mut site, &dovecot.home("user2").join("inbox"), "mbox"), before);
}

#[test]
fn mdbox_comes_in_by_way_of_doveadm_and_goes_back() {
    let export = "maildir:~/export:LAYOUT=fs:UTF-8:INBOX=~/export/INBOX";
    let dovecot = Dovecot::start_with(SETTINGS, &[("user3", "mdbox:~/mdbox"), ("user4", export)]);
    fill(&mut Fetcher::login(dovecot.imap, "user3", "secret"), &MAILBOXES);
    let before = shown(Fetcher::login(dovecot.imap, "user3", "secret"), false);
    let mut site = Iems::with_accounts(&[ANN]);
    let mdbox = dovecot.home("user3").join("mdbox");
    let refused =
        site.admin(&["store", "import", ANN, mdbox.to_str().expect("UTF-8"), "--format", "maildir"]);
    assert_eq!(refused.code, 65, "{refused:?}");
    assert!(refused.err.contains("doveadm backup"), "{refused:?}");
    let plain = dovecot.home("user3").join("plain");
    let target = format!("maildir:{}:LAYOUT=fs", plain.display());
    dovecot.doveadm(&["-o", "plugin/zlib_save=", "backup", "-u", "user3", &target]).good();
    assert_eq!(imported(&mut site, &plain, "maildir"), before);
    let home = dovecot.home("user4");
    std::fs::create_dir_all(&home).expect("a folder");
    let folder = home.join("export");
    for _ in 0..2 {
        let folder = folder.to_str().expect("UTF-8");
        site.admin(&["store", "export", ANN, folder, "--format", "maildir", "--quiet"]).good();
    }
    run(Command::new("chown").args(["-R", "nobody"]).arg(&home), b"").good();
    site.start();
    let ours = shown(Fetcher::login(site.at("imap"), ANN, "secret"), true);
    let mut back = shown(Fetcher::login(dovecot.imap, "user4", "secret"), true);
    assert_eq!(back, ours, "with the UIDs that they had");
    let validity = |mut imap: Fetcher| status(&mut imap, "INBOX");
    let dovecots = validity(Fetcher::login(dovecot.imap, "user4", "secret"));
    assert_eq!(dovecots, validity(Fetcher::login(site.at("imap"), ANN, "secret")));
    // A second account gets from the export what the first one had.
    site.stop();
    back = shown_of_export(&folder);
    assert_eq!(
        back.into_values().map(|lines| lines.len()).sum::<usize>(),
        ours.values().map(Vec::len).sum::<usize>()
    );
}

/// What a fresh account shows that an export came into.
fn shown_of_export(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let mut site = Iems::with_accounts(&[ANN]);
    imported(&mut site, folder, "maildir")
}

#[test]
fn what_cannot_be_brought_in_is_named_and_the_rest_comes() {
    let site = Iems::with_accounts(&[ANN]);
    let root = site.dir.path().join("Maildir");
    for folder in ["cur", "new", "tmp", ".Team/cur"] {
        std::fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    let write = |name: &str, octets: &[u8]| std::fs::write(root.join(name), octets).expect("a file");
    write("cur/1:2,S", b"Subject: one\n\nx\n");
    write("cur/2:2,S", b"");
    write("cur/3:2,S", b"BZh91AY&SY\0\0");
    write("tmp/4", b"Subject: left over\n\nx\n");
    write(".Team/dovecot-acl", b"user=bob lrs\n");
    write(".Team/cur/5:2,", b"Subject: five\n\nx\n");
    let arguments =
        ["store", "import", ANN, root.to_str().expect("UTF-8"), "--format", "maildir", "--json", "--quiet"];
    let said = site.admin(&arguments);
    assert_eq!(said.code, 65, "{said:?}");
    for part in
        ["cur/2:2,S: there is an empty message", "cur/3:2,S: it is compressed with bzip2", "user=bob lrs"]
    {
        assert!(said.err.contains(part), "{said:?}");
    }
    let json = said.json();
    assert_eq!((&json["messages"], &json["refused"]), (&2.into(), &2.into()), "{json}");
    assert_eq!(json["problems"].as_array().map(Vec::len), Some(3), "{json}");
    std::fs::remove_file(root.join("cur/2:2,S")).expect("removed");
    std::fs::remove_file(root.join("cur/3:2,S")).expect("removed");
    let json = site.admin(&arguments).good().json();
    assert_eq!((&json["messages"], &json["left_out"]), (&0.into(), &2.into()), "{json}");
}
