//! Out in each format, in to another account, and both again: the second time nothing is left to do.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::{SystemClock, Timestamp};
use iems_core::storage::MemoryStorage;
use tempfile::TempDir;

use super::*;
use crate::directory::{AccountInfo, DirectoryOptions, NewAccount, StoreDirectory};
use crate::mailbox::{FlagAction, FlagChange, Mailboxes, NewMessage, Uid};

mod uids;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

struct World {
    directory: StoreDirectory,
    folder: TempDir,
}

async fn world() -> World {
    let memory = MemoryStorage::new();
    let directory = StoreDirectory::new(memory.storage(), Arc::new(SystemClock), DirectoryOptions::default());
    directory.add_domain(&"example.org".parse().unwrap(), Default::default()).await.unwrap();
    for address in ["ann@example.org", "bob@example.org"] {
        directory.add_account(NewAccount::new(address.parse().unwrap())).await.unwrap();
    }
    World { directory, folder: TempDir::new().unwrap() }
}

impl World {
    fn mailboxes(&self) -> &Mailboxes {
        self.directory.mailboxes()
    }

    async fn account(&self, name: &str) -> Arc<AccountInfo> {
        let address = format!("{name}@example.org").parse().unwrap();
        self.directory.account(&address).await.unwrap().unwrap()
    }

    async fn fill(&self) {
        let (m, ann) = (self.mailboxes(), self.account("ann").await);
        let paths = ["INBOX", "Work/2026", "Work/.odd", "Grüße/cur"];
        for (nth, path) in paths.into_iter().enumerate() {
            let mailbox = match m.find(ann.id, path).await.unwrap() {
                Some(mailbox) => mailbox,
                None => m.create(ann.id, path, None, NOW).await.unwrap(),
            };
            for n in 0..=nth {
                let text =
                    format!("Message-ID: <{n}.{nth}@x>\r\nSubject: {n}\r\n\r\nFrom here\r\nto there\r\n");
                let mut writer = m.blobs().create().await.unwrap();
                writer.write(Bytes::from(text.clone())).await.unwrap();
                let blob = writer.finish().await.unwrap();
                let prefix = if n == 0 { Bytes::new() } else { "Return-Path: <>\r\n".into() };
                let body = Body { prefix, blob, blob_size: text.len() as u64, header_size: 0 };
                let received = Timestamp::from_millis(1_700_000_000_000 + n as u64 * 1000);
                let new = NewMessage::new(received, body).with_flags(Flags::from_bits(n as u8 + 1));
                m.append_all(ann.id, mailbox, &[new]).await.unwrap();
            }
            let keywords = m.keywords_named(ann.id, &["$Forwarded", "work"]).await.unwrap();
            let change = FlagChange {
                keywords: keywords.into_iter().collect(),
                ..FlagChange::new(FlagAction::Add, Flags::empty())
            };
            m.store_flags(ann.id, mailbox, &[Uid(1)], &change).await.unwrap();
        }
        m.subscribe(ann.id, "Work/.odd", true).await.unwrap();
    }

    /// Every message with its octets, as text; flags and keywords if `flags`.
    async fn all(&self, name: &str, flags: bool, keywords: bool) -> Vec<String> {
        let (m, account) = (self.mailboxes(), self.account(name).await);
        let table = m.keywords(account.id).await.unwrap();
        let mut found = Vec::new();
        for info in m.list(account.id).await.unwrap().into_iter().filter(|info| info.selectable) {
            for message in m.messages(account.id, info.id, Uid(0), 100).await.unwrap() {
                let octets = message.body.reader(m.blobs()).rest().await.unwrap();
                let flags = if flags { message.flags.bits() } else { 0 };
                let names = message.keywords.iter().filter_map(|keyword| table.name(keyword));
                let names: Vec<_> = names.filter(|_| keywords).collect();
                let (path, received) = (&info.path, message.received.as_secs());
                found.push(format!(
                    "{path} {received} {flags} {names:?} {}",
                    String::from_utf8_lossy(&octets)
                ));
            }
        }
        found.sort();
        found
    }

    async fn out(&self, format: Format) -> Progress {
        let ann = self.account("ann").await.id;
        export(self.mailboxes(), ann, None, (self.folder.path(), format), &mut |_| ()).await.unwrap()
    }

    async fn back(&self, place: &Path, format: Format) -> Progress {
        let bob = self.account("bob").await.id;
        import(self.mailboxes(), bob, &Import::new(place, format, NOW), &mut |_| ()).await.unwrap()
    }
}

#[tokio::test]
async fn mail_goes_out_and_comes_in_and_nothing_twice() {
    for (format, flags, keywords) in
        [(Format::Maildir, true, true), (Format::Mbox, true, true), (Format::Eml, false, false)]
    {
        let world = world().await;
        world.fill().await;
        let out = world.out(format).await;
        assert_eq!((out.messages, out.left_out, out.refused), (10, 0, 0), "{format:?}");
        let again = world.out(format).await;
        assert_eq!((again.messages, again.left_out, again.refused), (0, 10, 0), "{format:?} again");
        assert_eq!(
            again.problems.len(),
            if format == Format::Mbox { 6 } else { 0 },
            "an mbox stays as it is"
        );
        let back = world.back(world.folder.path(), format).await;
        assert_eq!((back.messages, back.left_out, back.octets), (10, 0, out.octets), "{format:?}");
        let again = world.back(world.folder.path(), format).await;
        assert_eq!((again.messages, again.left_out), (0, 10), "{format:?} again");
        let (ann, bob) = (world.all("ann", flags, keywords).await, world.all("bob", flags, keywords).await);
        assert_eq!(ann, bob, "{format:?}");
        let (ann, bob) = (world.account("ann").await.id, world.account("bob").await.id);
        let m = world.mailboxes();
        assert_eq!(m.subscriptions(ann).await.unwrap(), m.subscriptions(bob).await.unwrap(), "{format:?}");
        let inbox = m.inbox(bob).await.unwrap().unwrap();
        let structures = world.mailboxes().structures(bob, inbox, &[Uid(1)]).await.unwrap();
        assert!(crate::structure::Structure::decode(&structures[0].1).is_ok());
        let checked = world.mailboxes().check(bob, false, true, &mut |_| ()).await.unwrap();
        assert_eq!((checked.messages, checked.findings), (10, vec![]));
    }
}

#[tokio::test]
async fn a_damaged_message_does_not_keep_the_others_from_going_out() {
    for format in [Format::Maildir, Format::Mbox, Format::Eml] {
        let world = world().await;
        world.fill().await;
        let (m, ann) = (world.mailboxes(), world.account("ann").await);
        let mut damaged = m.messages(ann.id, ann.inbox, Uid(0), 1).await.unwrap()[0].body.clone();
        damaged.blob_size += 1;
        for body in [damaged.clone(), Body { blob_size: damaged.blob_size - 1, ..damaged }] {
            m.append_all(ann.id, ann.inbox, &[NewMessage::new(NOW, body)]).await.unwrap();
        }
        let out = world.out(format).await;
        assert_eq!((out.messages, out.refused), (11, 1), "{format:?}");
        assert!(out.problems[0].why.contains("message 2 of INBOX is damaged"), "{:?}", out.problems);
    }
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_written_does_not_keep_the_others_from_going_out() {
    for format in [Format::Maildir, Format::Mbox, Format::Eml] {
        let world = world().await;
        world.fill().await;
        let (m, ann) = (world.mailboxes(), world.account("ann").await);
        // Names that files of an export have, and one that is too long for a file.
        let long = format!("Long/{}", "x".repeat(255));
        for path in ["Work/dovecot-uidlist", "subscriptions", "dovecot-keywords", &long] {
            m.create(ann.id, path, None, NOW).await.unwrap();
        }
        let out = world.out(format).await;
        assert_eq!((out.messages, out.refused), (10, u64::from(format == Format::Mbox)), "{format:?}");
        assert!(out.problems.iter().all(|problem| problem.why.contains("cannot be written: ")));
        let back = world.back(world.folder.path(), format).await;
        assert_eq!((back.messages, back.refused), (10, 0), "{:?}", back.problems);
    }
}

/// Names of folders mean something in Maildirs only, and what begins with a dot is no mail.
#[tokio::test]
async fn nothing_is_passed_over_without_a_word() {
    let world = world().await;
    let root = world.folder.path();
    for folder in [
        "eml/new",
        "eml/.hidden",
        "eml/cur/tmp",
        "dir/cur",
        "dir/new",
        "dir/.Other Users.x/cur",
        "dir/courierimapkeywords",
    ] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let write = |name: &str| std::fs::write(root.join(name), format!("Subject: {name}\n\nx\n")).unwrap();
    for name in ["new/a.eml", "cur/b.eml", "cur/tmp/c.eml", ".hidden/d.eml", "._e.eml"] {
        write(&format!("eml/{name}"));
    }
    let back = world.back(&root.join("eml"), Format::Eml).await;
    assert_eq!((back.messages, back.problems.len()), (3, 1), "{back:?}");
    assert!(back.problems[0].why.contains("begins with a dot"), "{back:?}");
    for name in
        ["cur/a:2,S", "cur/.nfs0001", "new/.DS_Store", ".Other Users.x/cur/b:2,", "courierimapkeywords/:list"]
    {
        write(&format!("dir/{name}"));
    }
    let back = world.back(&root.join("dir"), Format::Maildir).await;
    assert_eq!((back.messages, back.refused, back.problems.len()), (1, 1, 2), "{back:?}");
    assert!(back.problems.iter().any(|problem| problem.why.contains("mailboxes of others")), "{back:?}");
    assert!(back.problems.iter().any(|problem| problem.why.contains("Courier")), "{back:?}");
}

#[tokio::test]
async fn an_account_that_goes_where_another_is_is_told_so() {
    let world = world().await;
    world.fill().await;
    world.out(Format::Eml).await;
    let (m, bob) = (world.mailboxes(), world.account("bob").await);
    let incoming = world.folder.path().join("bobs.mbox");
    std::fs::write(&incoming, "From x Thu Jan  1 00:00:00 2026\nSubject: of bob\n\nAnother one.\n").unwrap();
    world.back(&incoming, Format::Mbox).await;
    let place = (world.folder.path(), Format::Eml);
    let out = export(m, bob.id, Some("INBOX"), place, &mut |_| ()).await.unwrap();
    assert_eq!((out.messages, out.left_out, out.refused), (0, 0, 1));
    assert!(out.problems[0].why.contains("another message is there"), "{:?}", out.problems);
}

#[tokio::test]
async fn what_is_there_already_is_told_on_the_way() {
    let world = world().await;
    world.fill().await;
    world.out(Format::Eml).await;
    world.back(world.folder.path(), Format::Eml).await;
    let (bob, mut told) = (world.account("bob").await.id, Vec::new());
    let order = Import::new(world.folder.path(), Format::Eml, NOW);
    let mut hear = |progress: &Progress| told.push((progress.mailboxes, progress.left_out));
    import(world.mailboxes(), bob, &order, &mut hear).await.unwrap();
    assert!(told.contains(&(3, 9)), "before the last mailbox was done: {told:?}");
}

#[tokio::test]
async fn a_maildir_of_others_and_damaged_files_come_in() {
    let world = world().await;
    let root = world.folder.path();
    for folder in ["cur", "new", "tmp", ".Sent", ".Sent/cur", ".Entw&APw-rfe.a", ".Entw&APw-rfe.a/new"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::write(root.join("cur/1.a:2,FS"), "Subject: x\n\nbare\n").unwrap();
    std::fs::write(root.join("cur/2.b:2,Sb"), "Subject: y\r\n\r\n").unwrap();
    std::fs::write(root.join("new/3.c"), "").unwrap();
    std::fs::write(root.join(".Sent/cur/4.d:2,S"), "no header at all").unwrap();
    std::fs::write(root.join(".Entw&APw-rfe.a/new/5.e"), "Subject: z\n\n\n").unwrap();
    let back = world.back(root, Format::Maildir).await;
    assert_eq!((back.messages, back.refused, back.mailboxes), (4, 1, 3));
    let all = world.all("bob", true, true).await;
    let seen: Vec<_> = all.iter().map(|text| text.split(' ').next().unwrap()).collect();
    assert_eq!(seen, ["Entwürfe/a", "INBOX", "INBOX", "Sent"]);
    assert!(all.iter().any(|text| text.contains(" 5 [] Subject: x\r\n\r\nbare\r\n")), "{all:?}");
    let bob = world.account("bob").await.id;
    let (empty, mut listener) = (root.join("tmp"), |_: &Progress| ());
    let order = Import::new(&empty, Format::Eml, NOW);
    let nothing = import(world.mailboxes(), bob, &order, &mut listener).await;
    assert!(matches!(nothing, Err(TransferError::NoMail { .. })));
}

#[tokio::test]
async fn what_dovecot_keeps_beside_the_mail_is_understood() {
    let world = world().await;
    let root = world.folder.path();
    for folder in
        ["cur", "new", ".Sent/cur", ".Projekte.2026.A\\2eB/cur", ".leer/new", ".R&-D/cur", ".Bad%/cur"]
    {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let write = |name: &str, text: &[u8]| std::fs::write(root.join(name), text).unwrap();
    write("subscriptions", b"V\t2\n\nINBOX\nSent\nProjekte\t2026\tA\\2eB\ngone\n");
    write("dovecot-uidlist", b"3 V1 N9 Gx\n3 :1.c,S=9\n5 :1.a\n8 :1.b\n");
    for (name, subject) in [("cur/1.a:2,PS", "second"), ("cur/1.b:2,", "third"), ("cur/1.c,S=9:2,T", "first")]
    {
        write(name, format!("Subject: {subject}\n\n").as_bytes());
    }
    write("new/0.z", b"Subject: last\n\n");
    write(".Sent/dovecot-acl", b"user=bob lrs\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, b"Subject: packed\n\n").unwrap();
    write(".Sent/cur/1:2,S", &packed.finish().unwrap());
    write(".Sent/cur/2:2,S", b"\x28\xb5\x2f\xfd other");
    std::os::unix::fs::symlink("nowhere", root.join(".Sent/cur/3:2,S")).unwrap();
    std::os::unix::fs::symlink(root.join(".Sent"), root.join(".Linked")).unwrap();
    let back = world.back(root, Format::Maildir).await;
    assert_eq!((back.messages, back.refused, back.mailboxes), (5, 3, 6), "{back:?}");
    let why = |end: &str| {
        let found = back.problems.iter().find(|problem| problem.path.ends_with(end));
        found.map(|problem| problem.why.clone()).unwrap_or_default()
    };
    assert!(why("2:2,S").contains("zstd") && why("3:2,S").contains("cannot be read"), "{back:?}");
    assert!(why(".Linked").contains("symbolic link") && why(".Sent").contains("user=bob lrs"), "{back:?}");
    let (m, bob) = (world.mailboxes(), world.account("bob").await);
    let shown: Vec<_> = m.list(bob.id).await.unwrap().into_iter().filter(|info| info.selectable).collect();
    let shown: Vec<_> = shown.iter().map(|info| (&info.path[..], info.subscribed, info.special)).collect();
    let sent = Some(crate::mailbox::SpecialUse::Sent);
    assert_eq!(
        shown,
        [
            ("Bad_", false, None),
            ("INBOX", true, None),
            ("Projekte", false, None),
            ("Projekte/2026", false, None),
            ("Projekte/2026/A.B", true, None),
            ("R&D", false, None),
            ("Sent", true, sent),
            ("leer", false, None)
        ]
    );
    let inbox: Vec<_> = m.messages(bob.id, m.inbox(bob.id).await.unwrap().unwrap(), Uid(0), 9).await.unwrap();
    let mut subjects = Vec::new();
    for message in &inbox {
        let octets = message.body.reader(m.blobs()).rest().await.unwrap();
        subjects.push(String::from_utf8(octets).unwrap().trim_start_matches("Subject: ").trim().to_owned());
    }
    assert_eq!(subjects, ["first", "second", "third", "last"]);
    assert!(
        world
            .all("bob", true, true)
            .await
            .iter()
            .any(|line| line.contains(r#"["$Forwarded"] Subject: second"#))
    );
    assert!(world.all("bob", true, true).await.iter().any(|line| line.contains("Subject: packed\r\n")));
}

#[tokio::test]
async fn rights_of_others_are_given_anew() {
    let world = world().await;
    let root = world.folder.path();
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(root.join(name).join("cur")).unwrap();
        std::fs::write(root.join(name).join("dovecot-acl"), text).unwrap();
    };
    write(
        ".Team",
        "owner lrwstipekxa\nuser=ann lrs\nuser=ann@example.org lrsi\n-anyone w\nuser=zoe lr\ngroup=x lr\n",
    );
    std::fs::create_dir_all(root.join(".Team.Own/cur")).unwrap();
    write(".Team.Open", "anyone :lookup\nauthenticated lr\n");
    let (m, ann, bob) = (world.mailboxes(), world.account("ann").await.id, world.account("bob").await.id);
    let domain = "example.org".parse().unwrap();
    let mut order = Import::new(root, Format::Maildir, NOW);
    order.names = Some(Names { directory: &world.directory, domain: &domain });
    for round in 0..2 {
        let done = import(m, bob, &order, &mut |_| ()).await.unwrap();
        let told: Vec<_> =
            done.problems.iter().map(|problem| problem.why.rsplit(": ").next().unwrap()).collect();
        let expected: &[&str] =
            if round == 0 { &["user=zoe lr", "group=x lr", "anyone :lookup"] } else { &[] };
        assert_eq!((&told[..], done.refused), (expected, 0));
        let listed = async |path: &str| {
            let mailbox = m.find(bob, path).await.unwrap().unwrap();
            let entries = m.acl(bob, mailbox).await.unwrap();
            let line = |entry: &crate::mailbox::AclEntry| {
                format!("{} {}-{}", entry.name, entry.granted, entry.denied)
            };
            let mut lines: Vec<_> = entries.iter().map(line).collect();
            lines.sort();
            lines
        };
        assert_eq!(listed("Team").await, ["ann@example.org lrsi-", "anyone -w"]);
        assert_eq!(listed("Team/Own").await, [""; 0], "what was not shared is not shared by being below");
        assert_eq!(listed("Team/Open").await, ["anyone lr-"]);
    }
    assert_eq!(m.shared_with(ann).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_folder_of_mboxes_needs_no_endings() {
    let world = world().await;
    let root = world.folder.path();
    std::fs::create_dir_all(root.join("Projekte.sbd/2026")).unwrap();
    std::fs::create_dir_all(root.join(".imap/Sent")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
    let one = "From - Thu Jan  1 00:00:10 1970\nSubject: x\n\nx\n\n";
    for name in ["Inbox", "Projekte", "Projekte.sbd/2026/A.B", "Entw&APw-rfe", "old.mbox", ".imap/Sent/x"] {
        write(name, one);
    }
    write("undated.mbox", "From nobody\nDate: Thu, 1 Jan 2015 10:00:00 +0100\n\nx\n");
    write(".subscriptions", "V\t2\n\nEntw&APw-rfe\n");
    write("Inbox.msf", "// <!-- <mdb:mork");
    write("notes.txt", "no mail");
    write("leer", "");
    let back = world.back(root, Format::Mbox).await;
    assert_eq!((back.messages, back.refused), (6, 0), "{back:?}");
    let bob = world.account("bob").await.id;
    let shown = world.mailboxes().list(bob).await.unwrap();
    let shown: Vec<_> = shown.iter().map(|info| format!("{} {}", info.path, info.subscribed)).collect();
    let expected =
        ["Entwürfe true", "INBOX true", "Projekte false", "Projekte/2026 false", "Projekte/2026/A.B false"];
    assert_eq!(shown[..5], expected, "INBOX was there, and is subscribed to from the start");
    assert_eq!(shown[5..], ["leer false", "old false", "undated false"]);
    let all = world.all("bob", false, false).await;
    assert!(all.iter().any(|line| line.starts_with("undated 1420102800 ")), "{all:?}");
}
