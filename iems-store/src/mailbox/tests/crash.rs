//! The power goes at every disk operation of a session with mailboxes. What was acknowledged is there, what was not is
//! there whole or not at all, and counters, ledger, logs and indexes are exact.

use std::collections::BTreeMap;

use iems_core::storage::{Storage, StoreError};

use super::*;
use crate::engine::{Embedded, EmbeddedOptions, Fault, SimDisk};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const ACCOUNT: AccountId = AccountId(1);

/// What a client was told: the UIDs in each mailbox with their flags.
type Told = BTreeMap<&'static str, BTreeMap<u32, Flags>>;

fn options() -> EmbeddedOptions {
    EmbeddedOptions { segment_bytes: 128 << 10, background: false, ..EmbeddedOptions::default() }
}

fn open(disk: &SimDisk) -> Arc<Embedded> {
    Embedded::open_on(Arc::new(disk.clone()), options()).expect("the store opens")
}

struct Client {
    storage: Storage,
    mailboxes: Mailboxes,
    inbox: MailboxId,
    told: Told,
    /// What would be there if the operation under way took effect.
    next: Told,
    /// What INBOX was like at moments before.
    marks: Vec<Mark>,
}

/// What a client remembers of INBOX: it comes back with it (RFC 7162 section 3.2.5).
struct Mark {
    modseq: u64,
    uids: BTreeMap<u32, Flags>,
}

impl Client {
    async fn message(&self, n: u32) -> Result<NewMessage, StoreError> {
        let text = format!("Message-ID: <{n}@x>\r\nReferences: <0@x>\r\n\r\n{}", "y".repeat(200));
        let mut writer = self.storage.blobs.create().await?;
        writer.write(Bytes::from(text.clone())).await?;
        let blob = writer.finish().await?;
        let body = Body { prefix: Bytes::new(), blob, blob_size: text.len() as u64, header_size: 0 };
        let ids = MessageIds::of(text.as_bytes());
        let thread = self.mailboxes.thread_of(ACCOUNT, &ids).await?;
        let mut message = NewMessage::new(NOW, body).in_thread(&ids, thread);
        message.structure = Some(text.into());
        Ok(message)
    }

    async fn done(&mut self) {
        self.told = self.next.clone();
        let modseq = self.mailboxes.highest_modseq(ACCOUNT, self.inbox).await;
        if let (Ok(modseq), Some(uids)) = (modseq, self.told.get("INBOX")) {
            self.marks.push(Mark { modseq, uids: uids.clone() });
        }
    }

    async fn append(&mut self, first: u32, count: u32) -> Result<(), MailboxError> {
        let mut messages = Vec::new();
        for n in first..first + count {
            messages.push(self.message(n).await?);
        }
        let inbox = self.next.entry("INBOX").or_default();
        inbox.extend((first..first + count).map(|uid| (uid, Flags::empty())));
        let appended = self.mailboxes.append_all(ACCOUNT, self.inbox, &messages).await?;
        assert_eq!(appended.first, Uid(first));
        self.done().await;
        Ok(())
    }

    async fn flag(&mut self, uids: &[u32], flags: Flags) -> Result<(), MailboxError> {
        for uid in uids {
            self.next.entry("INBOX").or_default().entry(*uid).and_modify(|known| *known |= flags);
        }
        let uids: Vec<_> = uids.iter().copied().map(Uid).collect();
        let change = FlagChange::new(FlagAction::Add, flags);
        self.mailboxes.store_flags(ACCOUNT, self.inbox, &uids, &change).await?;
        self.done().await;
        Ok(())
    }

    /// The same with one row for all messages of the inbox.
    async fn sweep(&mut self, action: FlagAction, flags: Flags) -> Result<(), MailboxError> {
        let change = FlagChange::new(action, flags);
        let inbox = self.next.entry("INBOX").or_default();
        inbox.values_mut().for_each(|known| *known = change.applied(*known, &KeywordSet::default()).0);
        let at = self.mailboxes.highest_modseq(ACCOUNT, self.inbox).await?;
        let states = self.mailboxes.view(ACCOUNT, self.inbox, Uid(0), 100).await?;
        let believed: Vec<_> = states.iter().map(super::model::believed).collect();
        let swept = self.mailboxes.sweep(ACCOUNT, self.inbox, at, &believed, &change).await?;
        assert!(swept.is_some(), "it is no sweep");
        self.done().await;
        Ok(())
    }

    async fn carry(&mut self, uids: &[u32], to: &'static str, away: bool) -> Result<(), MailboxError> {
        let archive = self.mailboxes.find(ACCOUNT, to).await?.ok_or(MailboxError::NoMailbox)?;
        for uid in uids {
            let inbox = self.next.entry("INBOX").or_default();
            let Some(flags) = inbox.get(uid).copied() else { continue };
            if away {
                inbox.remove(uid);
            }
            let there = self.next.entry(to).or_default();
            let new = there.keys().max().map_or(1, |last| last + 1);
            there.insert(new, flags);
        }
        let uids: Vec<_> = uids.iter().copied().map(Uid).collect();
        let (from, to) = ((ACCOUNT, self.inbox), (ACCOUNT, archive));
        match away {
            true => self.mailboxes.move_messages(from, &uids, to, NOW).await?,
            false => self.mailboxes.copy(from, &uids, to, NOW).await?,
        };
        self.done().await;
        Ok(())
    }

    async fn replace(&mut self, uid: u32, new: u32) -> Result<(), MailboxError> {
        let message = self.message(new).await?;
        let inbox = self.next.entry("INBOX").or_default();
        inbox.remove(&uid);
        inbox.insert(new, Flags::empty());
        let replaced = self.mailboxes.replace(ACCOUNT, (self.inbox, Uid(uid)), self.inbox, &message).await?;
        assert_eq!(replaced.map(|appended| appended.first), Some(Uid(new)));
        self.done().await;
        Ok(())
    }

    async fn rename(&mut self, from: &'static str, to: &'static str) -> Result<(), MailboxError> {
        let messages = self.next.remove(from).unwrap_or_default();
        self.next.insert(to, messages);
        self.mailboxes.rename(ACCOUNT, from, to, NOW).await?;
        self.done().await;
        Ok(())
    }

    async fn live(&mut self) -> Result<(), MailboxError> {
        let mut batch = Batch::new();
        let slot = batch.allocate(b"accounts", 1);
        self.inbox = create_account(&mut batch, slot, NOW)?;
        self.next.insert("INBOX", BTreeMap::new());
        match self.storage.store.commit(batch).await {
            Ok(_) => self.done().await,
            Err(CommitError::Store(e)) => return Err(e.into()),
            Err(CommitError::Conflict) => panic!("nobody else is there"),
        }
        self.append(1, 2).await?;
        self.next.insert("a", BTreeMap::new());
        self.next.insert("a/b", BTreeMap::new());
        self.mailboxes.create(ACCOUNT, "a/b", Some(SpecialUse::Archive), NOW).await?;
        self.done().await;
        self.append(3, 3).await?;
        self.flag(&[2, 4], Flags::DELETED).await?;
        self.carry(&[1, 2, 3], "a/b", false).await?;
        self.next.entry("INBOX").or_default().retain(|uid, _| ![2, 4].contains(uid));
        self.mailboxes.expunge_deleted(ACCOUNT, self.inbox, None).await?;
        self.done().await;
        self.carry(&[1, 5], "a/b", true).await?;
        self.flag(&[3], Flags::SEEN).await?;
        self.rename("a/b", "c").await?;
        self.next.remove("c");
        self.mailboxes.delete(ACCOUNT, "c").await?;
        self.done().await;
        self.append(6, 2).await?;
        // More of them than there may be: the last one folds those before.
        for (action, flags) in [
            (FlagAction::Add, Flags::FLAGGED),
            (FlagAction::Remove, Flags::SEEN | Flags::FLAGGED),
            (FlagAction::Replace, Flags::DRAFT),
            (FlagAction::Add, Flags::SEEN),
        ] {
            self.sweep(action, flags).await?;
        }
        self.flag(&[6], Flags::DELETED).await?;
        self.next.entry("INBOX").or_default().retain(|uid, _| *uid != 6);
        self.mailboxes.expunge_deleted(ACCOUNT, self.inbox, None).await?;
        self.done().await;
        self.replace(7, 8).await?;
        self.carry(&[3], "a", true).await?;
        self.next.entry("INBOX").or_default().remove(&8);
        self.mailboxes.expunge(ACCOUNT, self.inbox, &[Uid(8)]).await?;
        self.done().await;
        self.append(9, 1).await?;
        Ok(())
    }

    async fn seen(&self) -> Told {
        let mut seen = Told::new();
        for info in self.mailboxes.list(ACCOUNT).await.unwrap() {
            let states = self.mailboxes.view(ACCOUNT, info.id, Uid(0), 100).await.unwrap();
            let name = ["INBOX", "a", "a/b", "c"].into_iter().find(|name| *name == info.path).unwrap();
            seen.insert(name, states.into_iter().map(|state| (state.uid.0, state.flags)).collect());
        }
        seen
    }
}

async fn client(storage: Storage) -> Client {
    let mailboxes = Mailboxes::new(storage.clone());
    Client {
        storage,
        mailboxes,
        inbox: MailboxId(0),
        told: Told::new(),
        next: Told::new(),
        marks: Vec::new(),
    }
}

async fn cut_at(at: u64, seed: u64) {
    let disk = SimDisk::new();
    let engine = open(&disk);
    disk.fail_after(at, u64::MAX, Fault::PowerCut);
    let mut before = client(engine.storage()).await;
    let lived = before.live().await;
    assert!(lived.is_err(), "the power went at {at}");
    let (told, next) = (before.told.clone(), before.next.clone());
    let marks = std::mem::take(&mut before.marks);
    drop(before);
    drop(engine);
    disk.crash(seed);
    let engine = open(&disk);
    let after = client(engine.storage()).await;
    let seen = after.seen().await;
    assert!(seen == told || seen == next, "at {at}: {seen:?} is neither {told:?} nor {next:?}");
    after.mailboxes.purge_removed().await.unwrap();
    if seen.is_empty() {
        return;
    }
    let checked = after.mailboxes.check(ACCOUNT, false, true, &mut |_| ()).await.unwrap();
    assert_eq!(checked.findings, [], "at {at}, seed {seed}");
    assert_eq!(after.mailboxes.usage(ACCOUNT).await.unwrap().messages, checked.messages);
    let inbox = after.mailboxes.find(ACCOUNT, "INBOX").await.unwrap().unwrap();
    for Mark { modseq, uids } in &marks {
        // The logs tell what happened since: all of it, and nothing else.
        let changes = after.mailboxes.changes(ACCOUNT, inbox, *modseq).await.unwrap();
        let mut known = uids.clone();
        known.extend(changes.updated.iter().map(|state| (state.uid.0, state.flags)));
        known.retain(|uid, _| !changes.expunged.contains(&Uid(*uid)));
        assert_eq!(Some(&known), seen.get("INBOX"), "at {at}, since {modseq}");
        assert!(changes.complete && changes.updated.iter().all(|state| state.modseq > *modseq));
    }
    // What comes next has a UID and a MODSEQ of its own, whatever happened.
    let new = after.message(99).await.unwrap();
    let new = after.mailboxes.append_all(ACCOUNT, inbox, &[new]).await.unwrap();
    let used = told.get("INBOX").and_then(|known| known.keys().max().copied()).unwrap_or_default();
    assert!(new.first.0 > used);
    let state = after.mailboxes.states(ACCOUNT, inbox, &[new.first]).await.unwrap();
    assert!(marks.iter().all(|mark| mark.modseq < state[0].modseq));
}

#[test]
fn a_power_cut_at_any_moment_leaves_mailboxes_exact() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let disk = SimDisk::new();
        let engine = open(&disk);
        let start = disk.operations();
        client(engine.storage()).await.live().await.unwrap();
        let operations = disk.operations() - start;
        assert!(operations > 20, "the session exercises too little: {operations}");
        for at in 0..operations {
            for seed in 0..3 {
                cut_at(at, seed).await;
            }
        }
    });
}

/// Renames an INBOX with more messages than one commit takes; one comes in after it.
async fn renaming(storage: &Storage) -> Result<(), MailboxError> {
    let mut client = client(storage.clone()).await;
    client.inbox = client.mailboxes.find(ACCOUNT, "INBOX").await?.unwrap();
    client.mailboxes.rename(ACCOUNT, "inbox", "b/Old", NOW).await?;
    client.next.insert("INBOX", BTreeMap::new());
    client.append(11, 1).await
}

async fn filled(disk: &SimDisk) -> Arc<Embedded> {
    let engine = open(disk);
    let mut batch = Batch::new();
    let slot = batch.allocate(b"accounts", 1);
    let inbox = create_account(&mut batch, slot, NOW).unwrap();
    engine.storage().store.commit(batch).await.unwrap_or_else(|_| panic!("the account is made"));
    let mut client = client(engine.storage()).await;
    client.inbox = inbox;
    client.append(1, 10).await.unwrap();
    engine
}

#[test]
fn a_power_cut_at_any_moment_renames_the_inbox_whole_or_not_at_all() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let disk = SimDisk::new();
        let engine = filled(&disk).await;
        let start = disk.operations();
        renaming(&engine.storage()).await.unwrap();
        let operations = disk.operations() - start;
        let mut both = [0, 0];
        for (at, seed) in (0..operations).flat_map(|at| (0..3).map(move |seed| (at, seed))) {
            let disk = SimDisk::new();
            let engine = filled(&disk).await;
            disk.fail_after(at, u64::MAX, Fault::PowerCut);
            assert!(renaming(&engine.storage()).await.is_err(), "the power went at {at}");
            drop(engine);
            disk.crash(seed);
            let engine = open(&disk);
            let m = Mailboxes::new(engine.storage());
            let decided = m.find(ACCOUNT, "b/Old").await.unwrap().is_some();
            m.purge_removed().await.unwrap();
            let mut counts = Vec::new();
            for info in m.list(ACCOUNT).await.unwrap() {
                counts.push((info.path, m.count(ACCOUNT, info.id).await.unwrap().0));
            }
            let counts: Vec<_> = counts.iter().map(|(path, count)| (&path[..], *count)).collect();
            match decided {
                false => assert_eq!(counts, [("INBOX", 10)], "at {at}"),
                true => assert!(
                    matches!(counts[..], [("INBOX", 0 | 1), ("b", 0), ("b/Old", 10)]),
                    "at {at}: {counts:?}"
                ),
            }
            both[usize::from(decided)] += 1;
            let checked = m.check(ACCOUNT, false, true, &mut |_| ()).await.unwrap();
            assert_eq!(checked.findings, [], "at {at}, seed {seed}");
            if !decided {
                m.rename(ACCOUNT, "INBOX", "b/Old", NOW).await.unwrap();
            }
        }
        assert!(both.iter().all(|count| *count > 3), "{both:?}");
    });
}

/// What was renamed can be deleted before all of it has moved.
#[tokio::test]
async fn an_inbox_that_is_renamed_twice_or_into_what_is_deleted_loses_nothing() {
    let world = world().await;
    let (m, account) = (&world.mailboxes, world.account);
    for n in 0..9 {
        world.append(&format!("message {n}"), "").await;
    }
    m.rename(account, "INBOX", "one", NOW).await.unwrap();
    world.append("more", "").await;
    m.rename(account, "INBOX", "two", NOW).await.unwrap();
    assert!(matches!(m.rename(account, "INBOX", "two", NOW).await, Err(MailboxError::Exists)));
    let count = async |path: &str| {
        let mailbox = m.find(account, path).await.unwrap().unwrap();
        m.count(account, mailbox).await.unwrap().0
    };
    assert_eq!((count("INBOX").await, count("one").await, count("two").await), (0, 9, 1));
    assert_eq!(m.check(account, false, true, &mut |_| ()).await.unwrap().findings, []);
}
