//! UIDs that are kept: where they may be, in several rounds, beside mail that arrives, and across cuts.

use std::collections::{BTreeMap, BTreeSet};

use iems_core::storage::{Batch, Storage};
use proptest::prelude::*;

use super::*;
use crate::engine::{Embedded, EmbeddedOptions, Fault, SimDisk};
use crate::mailbox::{AccountId, Grantee, MailboxId, RightsChange, create_account};

/// A mailbox of Dovecot's in files.
struct Dovecot<'a> {
    root: &'a Path,
    folder: &'static str,
    validity: u32,
}

impl Dovecot<'_> {
    /// Files with these UIDs and subjects.
    fn write(&self, next: u32, messages: &[(u32, &str)]) {
        let folder = self.root.join(self.folder);
        std::fs::create_dir_all(folder.join("cur")).unwrap();
        let mut list = format!("3 V{} N{next} G0\n", self.validity);
        for (uid, subject) in messages {
            list += &format!("{uid} :{subject}\n");
            std::fs::write(folder.join("cur").join(format!("{subject}:2,S")), text(subject)).unwrap();
        }
        std::fs::write(folder.join("dovecot-uidlist"), list).unwrap();
    }

    /// A file that Dovecot has not seen yet.
    fn deliver(&self, subject: &str) {
        let folder = self.root.join(self.folder).join("new");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(subject), text(subject)).unwrap();
    }
}

fn text(subject: &str) -> String {
    format!("Message-ID: <{subject}@x>\r\nSubject: {subject}\r\n\r\n")
}

/// The messages of a mailbox: UIDs and subjects.
async fn shown(m: &Mailboxes, account: AccountId, mailbox: MailboxId) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for message in m.messages(account, mailbox, Uid(0), 1000).await.unwrap() {
        let octets = message.body.reader(m.blobs()).rest().await.unwrap();
        let text = String::from_utf8(octets).unwrap();
        let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
        all.push((message.uid.0, subject.to_owned()));
    }
    all
}

async fn append(m: &Mailboxes, account: AccountId, mailbox: MailboxId, subject: &str) -> u32 {
    let text = text(subject);
    let mut writer = m.blobs().create().await.unwrap();
    writer.write(Bytes::from(text.clone())).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let body = Body { prefix: Bytes::new(), blob, blob_size: text.len() as u64, header_size: 0 };
    m.append_all(account, mailbox, &[NewMessage::new(NOW, body)]).await.unwrap().first.0
}

fn pairs(shown: &[(u32, String)]) -> Vec<(u32, &str)> {
    shown.iter().map(|(uid, subject)| (*uid, &subject[..])).collect()
}

fn outcome<'a>(progress: &'a Progress, mailbox: &str) -> (bool, &'a str) {
    let found = progress.uids.iter().find(|uids| uids.mailbox == mailbox).expect(mailbox);
    (found.kept, &found.why)
}

#[tokio::test]
async fn uids_are_kept_where_nobody_can_have_seen_others() {
    let world = world().await;
    let root = world.folder.path();
    let (m, bob) = (world.mailboxes(), world.account("bob").await);
    let inbox = Dovecot { root, folder: "", validity: 1_300_000_000 };
    inbox.write(50, &[(3, "a"), (7, "b"), (40, "c")]);
    inbox.deliver("d");
    Dovecot { root, folder: ".Sent", validity: 1_300_000_000 }.write(9, &[(8, "sent")]);
    Dovecot { root, folder: ".Work.Deep", validity: 1_300_000_002 }.write(10, &[]);
    Dovecot { root, folder: ".Work", validity: 1_300_000_003 }.write(3, &[(2, "work")]);
    Dovecot { root, folder: ".Used", validity: 1_300_000_004 }.write(3, &[(2, "used")]);
    Dovecot { root, folder: ".Full", validity: 1_300_000_005 }.write(u32::MAX, &[(u32::MAX - 1, "full")]);
    std::fs::create_dir_all(root.join(".Unsaid/cur")).unwrap();
    // What is there before: an empty mailbox with rights, an annotation and another below it; one that had a message.
    let work = m.create(bob.id, "Work", None, NOW).await.unwrap();
    let below = m.create(bob.id, "Work/Below", None, NOW).await.unwrap();
    let ann = world.account("ann").await.id;
    let who = (Grantee::Account(ann), "ann@example.org");
    m.set_rights(bob.id, work, who, false, RightsChange::Set("lr".parse().unwrap())).await.unwrap();
    m.annotate(bob.id, Some(work), bob.id, "/private/comment", Some(b"x")).await.unwrap();
    let used = m.create(bob.id, "Used", None, NOW).await.unwrap();
    append(m, bob.id, used, "local").await;
    m.expunge(bob.id, used, &[Uid(1)]).await.unwrap();
    let first = world.back(root, Format::Maildir).await;
    assert_eq!((first.messages, first.left_out, first.refused), (8, 0, 0), "{first:?}");
    assert_eq!(outcome(&first, "INBOX"), (true, ""));
    assert_eq!(outcome(&first, "Work"), (true, ""));
    assert_eq!(outcome(&first, "Work/Deep"), (true, ""));
    let (kept, why) = outcome(&first, "Sent");
    assert!(!kept && why.contains("1300000000 is, or was, that of another mailbox"), "{why}");
    let (kept, why) = outcome(&first, "Used");
    assert!(!kept && why.contains("has had other messages"), "{why}");
    assert!(!outcome(&first, "Unsaid").0);
    assert!(outcome(&first, "Full").1.contains("none could follow"));
    let find = async |path: &str| m.find(bob.id, path).await.unwrap().unwrap();
    let now = m.inbox(bob.id).await.unwrap().unwrap();
    assert_eq!(now, MailboxId(1_300_000_000));
    assert_eq!(world.account("bob").await.inbox, now, "deliveries go there");
    assert_eq!(pairs(&shown(m, bob.id, now).await), [(3, "a"), (7, "b"), (40, "c"), (50, "d")]);
    assert_eq!(m.status(bob.id, now).await.unwrap().uid_next, 51);
    let (work, deep) = (find("Work").await, find("Work/Deep").await);
    assert_eq!((work, deep), (MailboxId(1_300_000_003), MailboxId(1_300_000_002)));
    assert_eq!(m.status(bob.id, deep).await.unwrap().uid_next, 10);
    assert_eq!(find("Work/Below").await, below, "what is below is where it was");
    assert_eq!(
        m.shared_with(ann).await.unwrap(),
        [(bob.id, deep), (bob.id, work)],
        "what is made below inherits"
    );
    assert_eq!(m.annotations(bob.id, Some(work), bob.id, true).await.unwrap().len(), 1);
    assert!(find("Sent").await > now, "its number is a new one");
    let later = m.create(bob.id, "Later", None, NOW).await.unwrap();
    assert!(later.0 > 1_700_000_000);
    assert_eq!(m.check(bob.id, false, true, &mut |_| ()).await.unwrap().findings, []);
    // The second round: what Dovecot called as we did, and one more.
    std::fs::rename(root.join("new/d"), root.join("cur/d:2,S")).unwrap();
    inbox.write(61, &[(3, "a"), (7, "b"), (40, "c"), (50, "d"), (60, "e")]);
    let second = world.back(root, Format::Maildir).await;
    assert_eq!((second.messages, second.left_out), (1, 8), "{second:?}");
    assert_eq!(outcome(&second, "INBOX"), (true, ""));
    assert_eq!(shown(m, bob.id, now).await.last().unwrap().0, 60);
    // The third, after something came in here: nothing has the UID of something else.
    assert_eq!(append(m, bob.id, now, "local").await, 61);
    inbox.write(63, &[(3, "a"), (7, "b"), (40, "c"), (50, "d"), (60, "e"), (61, "f"), (62, "g")]);
    let third = world.back(root, Format::Maildir).await;
    let (kept, why) = outcome(&third, "INBOX");
    assert!(kept && why.contains("since the last import"), "{why}");
    let seen = shown(m, bob.id, now).await;
    assert_eq!(pairs(&seen)[5..], [(61, "local"), (62, "f"), (63, "g")]);
    let fourth = world.back(root, Format::Maildir).await;
    assert_eq!(fourth.messages, 0, "{fourth:?}");
    assert_eq!(m.check(bob.id, false, true, &mut |_| ()).await.unwrap().findings, []);
    // What had a message and is gone is never the number of another.
    m.delete(bob.id, "Work").await.unwrap();
    let fifth = world.back(root, Format::Maildir).await;
    let (kept, why) = outcome(&fifth, "Work");
    assert!(!kept && why.contains("1300000003"), "{why}");
    assert_eq!(m.check(bob.id, false, true, &mut |_| ()).await.unwrap().findings, []);
}

#[tokio::test]
async fn what_arrives_during_an_import_is_not_lost_and_spoils_nothing() {
    let world = world().await;
    let (m, bob) = (world.mailboxes(), world.account("bob").await.id);
    let inbox = m.inbox(bob).await.unwrap().unwrap();
    let mut staged = m.stage(bob, "inbox", 7).await.unwrap().unwrap();
    assert!(m.stage(bob, "Other", 7).await.unwrap().is_err(), "it is reserved");
    let new = async |subject: &str| {
        let uid = append(m, world.account("ann").await.id, world.account("ann").await.inbox, subject).await;
        let ann = world.account("ann").await;
        let message = m.message(ann.id, ann.inbox, Uid(uid)).await.unwrap().unwrap();
        NewMessage::new(NOW, message.body)
    };
    m.stage_messages(&mut staged, &[(Uid(9), new("nine").await), (Uid(4), new("four").await)]).await.unwrap();
    let mut second = m.stage(bob, "INBOX", 7).await.unwrap().unwrap();
    m.stage_messages(&mut second, &[(Uid(1), new("one").await)]).await.unwrap();
    let busy = m.stage_messages(&mut staged, &[(Uid(1), new("one").await)]).await;
    assert!(matches!(busy, Err(MailboxError::Busy)), "two at once");
    assert_eq!(m.check(bob, false, true, &mut |_| ()).await.unwrap().findings, []);
    assert_eq!(m.list(bob).await.unwrap().len(), 1, "nobody sees it");
    assert_eq!(append(m, bob, inbox, "local").await, 1);
    let back = m.unveil(second, (20, 19), None, true, NOW).await.unwrap().unwrap_err();
    m.drain(back, inbox, NOW).await.unwrap();
    let seen = shown(m, bob, inbox).await;
    assert_eq!(pairs(&seen), [(1, "local"), (2, "one"), (3, "four"), (4, "nine")]);
    assert!(m.staged_for(bob, "INBOX").await.unwrap().is_none());
    assert_eq!(m.check(bob, false, true, &mut |_| ()).await.unwrap().findings, []);
    // A delivery that chose the mailbox before another took its place meets that it is gone.
    let empty = m.create(bob, "Empty", None, NOW).await.unwrap();
    let staged = m.stage(bob, "Empty", 8).await.unwrap().unwrap();
    m.unveil(staged, (20, 19), None, true, NOW).await.unwrap().unwrap();
    assert!(!m.exists(bob, empty).await.unwrap() && m.exists(bob, MailboxId(8)).await.unwrap());
    assert_eq!(append(m, bob, MailboxId(8), "next").await, 20);
    assert!(m.stage(bob, "New", empty.0).await.unwrap().is_err(), "sessions have it open");
    let late = new("late").await;
    assert!(matches!(m.append_all(bob, empty, &[late]).await, Err(MailboxError::NoMailbox)));
    for validity in [0, u32::MAX] {
        assert!(m.stage(bob, "New", validity).await.unwrap().is_err());
    }
    assert_eq!(m.check(bob, false, true, &mut |_| ()).await.unwrap().findings, []);
}

#[derive(Debug, Clone)]
enum Step {
    /// Dovecot gets a message, and gives it a UID some numbers on.
    Come(u32),
    /// It gets one that has no UID yet.
    Wait,
    /// It gives UIDs to those.
    Look,
    /// One leaves there.
    Leave(usize),
    Import,
    /// One comes here, one leaves here.
    Local,
    Expunge(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4u32).prop_map(Step::Come),
        1 => Just(Step::Wait),
        1 => Just(Step::Look),
        1 => (0..9usize).prop_map(Step::Leave),
        3 => Just(Step::Import),
        1 => Just(Step::Local),
        1 => (0..9usize).prop_map(Step::Expunge),
    ]
}

const VALIDITY: u32 = 1_300_000_000;

/// What Dovecot has, and what was ever seen where.
#[derive(Default)]
struct Model {
    listed: BTreeMap<u32, String>,
    waiting: BTreeSet<String>,
    next: u32,
    named: u32,
    /// What Dovecot ever showed under a UID.
    theirs: BTreeMap<u32, String>,
    /// What we ever showed under a number and a UID.
    ours: BTreeMap<(u32, u32), String>,
    /// What was deleted here.
    gone: BTreeSet<String>,
    /// Whether something came in here that Dovecot does not know, or called otherwise.
    local: bool,
}

impl Model {
    fn name(&mut self) -> String {
        self.named += 1;
        format!("m{:04}", self.named)
    }

    /// What waits gets UIDs before what comes later.
    fn look(&mut self) {
        for name in std::mem::take(&mut self.waiting) {
            self.theirs.insert(self.next, name.clone());
            self.listed.insert(self.next, name);
            self.next += 1;
        }
    }

    fn write(&self, root: &Path) {
        let _ = std::fs::remove_dir_all(root);
        let dovecot = Dovecot { root, folder: "", validity: VALIDITY };
        let listed: Vec<_> = self.listed.iter().map(|(uid, name)| (*uid, &name[..])).collect();
        dovecot.write(self.next, &listed);
        self.waiting.iter().for_each(|name| dovecot.deliver(name));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_uid_never_stands_for_two_messages(steps in proptest::collection::vec(step(), 0..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(played(steps));
    }
}

async fn played(steps: Vec<Step>) {
    let memory = MemoryStorage::new();
    let m = Mailboxes::new(memory.storage());
    let account = account(&memory.storage()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("Maildir");
    let mut model = Model { next: 1, ..Model::default() };
    for step in steps {
        let inbox = m.inbox(account).await.unwrap().unwrap();
        match step {
            Step::Come(gap) => {
                model.look();
                let (uid, name) = (model.next + gap - 1, model.name());
                model.listed.insert(uid, name.clone());
                model.theirs.insert(uid, name);
                model.next = uid + 1;
            }
            Step::Wait => {
                let name = model.name();
                model.waiting.insert(name);
            }
            Step::Look => model.look(),
            Step::Leave(nth) => {
                if let Some(uid) = model.listed.keys().copied().nth(nth) {
                    model.listed.remove(&uid);
                }
            }
            Step::Local => {
                let name = model.name();
                append(&m, account, inbox, &name).await;
                model.local = true;
            }
            Step::Expunge(nth) => {
                let seen = shown(&m, account, inbox).await;
                if let Some((uid, name)) = seen.get(nth) {
                    model.gone.insert(name.clone());
                    m.expunge(account, inbox, &[Uid(*uid)]).await.unwrap();
                }
            }
            Step::Import => {
                model.write(&root);
                let before = m.status(account, inbox).await.unwrap();
                let order = Import::new(&root, Format::Maildir, NOW);
                let done = import(&m, account, &order, &mut |_| ()).await.unwrap();
                // It says so where that is no longer so.
                model.local |= !outcome(&done, "INBOX").1.is_empty();
                let now = m.inbox(account).await.unwrap().unwrap();
                let there = shown(&m, account, now).await;
                for name in
                    model.listed.values().chain(&model.waiting).filter(|name| !model.gone.contains(*name))
                {
                    assert!(there.iter().any(|(_, known)| known == name), "{name} is there: {done:?}");
                }
                if now == inbox {
                    let new = there.iter().filter(|(uid, _)| !model.ours.contains_key(&(now.0, *uid)));
                    assert!(new.clone().all(|(uid, _)| u64::from(*uid) >= before.uid_next), "UIDs only grow");
                }
            }
        }
        let inbox = m.inbox(account).await.unwrap().unwrap();
        for (uid, name) in shown(&m, account, inbox).await {
            let known = model.ours.entry((inbox.0, uid)).or_insert_with(|| name.clone());
            assert_eq!(*known, name, "{uid} stood for something else");
            // A program that goes from there to here finds the same, as long as nothing else came in here.
            if inbox.0 == VALIDITY && !model.local && model.listed.contains_key(&uid) {
                assert_eq!(model.theirs[&uid], name, "{uid} is another message there");
            }
        }
    }
    assert_eq!(m.check(account, false, true, &mut |_| ()).await.unwrap().findings, []);
}

async fn account(storage: &Storage) -> Option<AccountId> {
    let mut batch = Batch::new();
    let slot = batch.allocate(b"accounts", 1);
    create_account(&mut batch, slot, NOW).unwrap();
    let committed = storage.store.commit(batch).await.ok()?;
    Some(AccountId(committed.firsts[0]))
}

fn open(disk: &SimDisk) -> Arc<Embedded> {
    let options =
        EmbeddedOptions { segment_bytes: 128 << 10, background: false, ..EmbeddedOptions::default() };
    Embedded::open_on(Arc::new(disk.clone()), options).expect("the store opens")
}

/// What is brought in across cuts: UIDs with gaps, one without, a mailbox below another, and a second round.
fn source(root: &Path, round: u32) {
    let inbox = Dovecot { root, folder: "", validity: VALIDITY };
    let all = [(2, "a"), (3, "b"), (9, "c"), (11, "d"), (20, "e"), (21, "f")];
    inbox.write(if round == 0 { 15 } else { 30 }, &all[..if round == 0 { 4 } else { 6 }]);
    Dovecot { root, folder: ".Work.Deep", validity: VALIDITY + 1 }.write(8, &[(1, "w"), (7, "x")]);
    if round == 1 {
        inbox.deliver("z");
    }
}

async fn rounds(m: &Mailboxes, account: AccountId, root: &Path) -> Result<(), TransferError> {
    for round in 0..2 {
        let _ = std::fs::remove_dir_all(root);
        source(root, round);
        import(m, account, &Import::new(root, Format::Maildir, NOW), &mut |_| ()).await?;
    }
    Ok(())
}

async fn cut_at(at: u64, seed: u64, root: &Path) {
    let disk = SimDisk::new();
    let engine = open(&disk);
    let account = account(&engine.storage()).await.unwrap();
    disk.fail_after(at, u64::MAX, Fault::PowerCut);
    let before = Mailboxes::new(engine.storage());
    assert!(rounds(&before, account, root).await.is_err(), "the power went at {at}");
    drop((before, engine));
    disk.crash(seed);
    let engine = open(&disk);
    let m = Mailboxes::new(engine.storage());
    m.purge_removed().await.unwrap();
    let findings = m.check(account, false, true, &mut |_| ()).await.unwrap().findings;
    assert_eq!(findings, [], "at {at}, seed {seed}");
    let inbox = m.inbox(account).await.unwrap().unwrap();
    let seen = shown(&m, account, inbox).await;
    match inbox.0 == VALIDITY {
        true => assert!(seen.len() >= 4, "at {at}: half of it is seen: {seen:?}"),
        false => assert_eq!(seen, [], "at {at}"),
    }
    rounds(&m, account, root).await.unwrap();
    let inbox = m.inbox(account).await.unwrap().unwrap();
    assert_eq!(inbox.0, VALIDITY, "at {at}");
    let seen = shown(&m, account, inbox).await;
    let expected = [(2, "a"), (3, "b"), (9, "c"), (11, "d"), (20, "e"), (21, "f"), (30, "z")];
    assert_eq!(pairs(&seen), expected, "at {at}, seed {seed}");
    let deep = m.find(account, "Work/Deep").await.unwrap().unwrap();
    assert_eq!(pairs(&shown(&m, account, deep).await), [(1, "w"), (7, "x")]);
    assert_eq!((deep.0, m.status(account, deep).await.unwrap().uid_next), (VALIDITY + 1, 8));
    m.purge_removed().await.unwrap();
    let checked = m.check(account, false, true, &mut |_| ()).await.unwrap();
    assert_eq!((checked.findings, checked.messages), (vec![], 9), "at {at}, seed {seed}");
    assert_eq!(append(&m, account, inbox, "next").await, 31);
}

#[test]
fn a_power_cut_at_any_moment_of_an_import_keeps_uids() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("Maildir");
        let disk = SimDisk::new();
        let engine = open(&disk);
        let account = account(&engine.storage()).await.unwrap();
        let start = disk.operations();
        rounds(&Mailboxes::new(engine.storage()), account, &root).await.unwrap();
        let operations = disk.operations() - start;
        assert!(operations > 20, "the import exercises too little: {operations}");
        for at in 0..operations {
            for seed in 0..2 {
                cut_at(at, seed, &root).await;
            }
        }
    });
}
