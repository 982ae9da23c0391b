//! Random operations on the mailboxes of two accounts beside a model, with sessions that see them from time to time.
//! After each, what the store counts and what a session that looks believes equals the model.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::{Random, SeededRandom, Timestamp};
use iems_core::storage::MemoryStorage;

use super::super::*;

const KEYWORDS: [&str; 3] = ["$Forwarded", "work", "later"];
const NAMES: [&str; 6] = ["A", "A/B", "A/B/C", "D", "D/E", "F"];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Msg {
    flags: Flags,
    keywords: BTreeSet<&'static str>,
    blob: iems_core::storage::BlobId,
    size: u64,
}

#[derive(Debug, Clone)]
struct Model {
    id: MailboxId,
    messages: BTreeMap<u32, Msg>,
    next: u32,
}

impl Model {
    fn new(id: MailboxId) -> Self {
        Self { id, messages: BTreeMap::new(), next: 1 }
    }

    fn take_in(&mut self, message: Msg) -> u32 {
        self.messages.insert(self.next, message);
        self.next += 1;
        self.next - 1
    }
}

/// A place: which account, which path.
type Place = (usize, String);

struct Session {
    place: Place,
    id: MailboxId,
    view: BTreeMap<Uid, MessageState>,
    modseq: u64,
}

struct World {
    random: SeededRandom,
    memory: std::sync::Arc<MemoryStorage>,
    mailboxes: Mailboxes,
    accounts: [AccountId; 2],
    /// All names; `None` where there is a name without a mailbox.
    all: BTreeMap<Place, Option<Model>>,
    sessions: Vec<Session>,
    written: u64,
    sweeps: u64,
    now: Timestamp,
}

pub(super) fn believed(state: &MessageState) -> Believed<'_> {
    Believed { uid: state.uid, flags: state.flags, keywords: &state.keywords, modseq: state.modseq }
}

impl World {
    async fn new(seed: u64) -> Self {
        let memory = MemoryStorage::new();
        let now = Timestamp::from_millis(1_790_000_000_000);
        let mut batch = Batch::new();
        let first = batch.allocate(b"accounts", 1);
        let inbox = create_account(&mut batch, first, now).unwrap();
        let second = batch.allocate(b"accounts", 1);
        create_account(&mut batch, second, now).unwrap();
        let firsts = memory.storage().store.commit(batch).await.unwrap().firsts;
        let all = [0, 1].map(|account| ((account, "INBOX".to_owned()), Some(Model::new(inbox))));
        Self {
            random: SeededRandom::new(seed),
            mailboxes: Mailboxes::new(memory.storage()),
            accounts: [AccountId(firsts[0]), AccountId(firsts[1])],
            all: all.into_iter().collect(),
            sessions: Vec::new(),
            written: 0,
            sweeps: 0,
            memory,
            now,
        }
    }

    fn below(&self, bound: usize) -> usize {
        (self.random.next_u64() % bound as u64) as usize
    }

    fn a_place(&self) -> (Place, AccountId, MailboxId) {
        let there: Vec<_> =
            self.all.iter().filter_map(|(place, model)| Some((place, model.as_ref()?))).collect();
        let (place, model) = there[self.below(there.len())];
        (place.clone(), self.accounts[place.0], model.id)
    }

    fn model(&mut self, place: &Place) -> &mut Model {
        self.all.get_mut(place).and_then(Option::as_mut).unwrap()
    }

    fn some_uids(&self, place: &Place) -> Vec<Uid> {
        let model = self.all[place].as_ref().unwrap();
        (1..model.next + 1).filter(|_| self.below(3) == 0).map(Uid).collect()
    }

    async fn step(&mut self) {
        match self.below(13) {
            0..=2 => self.append().await,
            3 | 4 => self.store(false).await,
            5 => self.store(true).await,
            6 => self.carry(false).await,
            7 => self.carry(true).await,
            8 => self.expunge().await,
            9 => self.names().await,
            10 => self.look().await,
            11 => self.replace().await,
            _ => self.open().await,
        }
    }

    async fn append(&mut self) {
        let (place, account, id) = self.a_place();
        let mut messages = Vec::new();
        for _ in 0..=self.below(3) {
            messages.push(self.message(&place).await);
        }
        let appended = self.mailboxes.append_all(account, id, &messages).await.unwrap();
        let next = self.model(&place).next;
        assert_eq!(appended.first.0 + appended.messages, next);
    }

    async fn replace(&mut self) {
        let (from, account, id) = self.a_place();
        let (to, there, to_id) = self.a_place();
        let next = self.model(&from).next as usize;
        let uid = 1 + self.below(next) as u32;
        if account != there || !self.model(&from).messages.contains_key(&uid) {
            return;
        }
        let message = self.message(&to).await;
        self.model(&from).messages.remove(&uid);
        let replaced = self.mailboxes.replace(account, (id, Uid(uid)), to_id, &message).await.unwrap();
        assert_eq!(replaced.map(|new| new.first.0 + 1), Some(self.model(&to).next));
        assert_eq!(self.mailboxes.replace(account, (id, Uid(uid)), to_id, &message).await.unwrap(), None);
    }

    /// A new message, which the model has already.
    async fn message(&mut self, place: &Place) -> NewMessage {
        self.written += 1;
        let text = format!("Message-ID: <{}@x>\r\n\r\n", self.written);
        let mut writer = self.memory.storage().blobs.create().await.unwrap();
        writer.write(Bytes::from(text.clone())).await.unwrap();
        let blob = writer.finish().await.unwrap();
        let body = Body { prefix: Bytes::new(), blob, blob_size: text.len() as u64, header_size: 0 };
        let ids = MessageIds::of(text.as_bytes());
        let flags = Flags::from_bits(self.below(32) as u8);
        let mut message = NewMessage::new(self.now, body).with_flags(flags).in_thread(&ids, None);
        message.structure = Some(Bytes::from(text));
        let size = message.body.size();
        self.model(place).take_in(Msg { flags, keywords: BTreeSet::new(), blob, size });
        message
    }

    async fn store(&mut self, conditional: bool) {
        let (place, account, id) = self.a_place();
        let uids = self.some_uids(&place);
        let names: Vec<_> = KEYWORDS.into_iter().filter(|_| self.below(2) == 0).collect();
        let keywords = self.mailboxes.keywords_named(account, &names).await.unwrap();
        let action = [FlagAction::Add, FlagAction::Remove, FlagAction::Replace][self.below(3)];
        let flags = Flags::from_bits(self.below(32) as u8);
        let before = self.mailboxes.states(account, id, &uids).await.unwrap();
        let since = before.iter().map(|state| state.modseq).nth(self.below(before.len().max(1)));
        let unchanged_since = since.filter(|_| conditional);
        let keywords = keywords.into_iter().collect();
        let spared = match self.below(4) {
            0 => Spared { flags: Flags::from_bits(self.below(32) as u8), keywords: self.below(2) == 0 },
            _ => Spared::default(),
        };
        let change = FlagChange { action, flags, keywords, unchanged_since, spared };
        let stored = match self.below(2) {
            0 => self.sweep(account, id, &uids, &change).await,
            _ => None,
        };
        let stored = match stored {
            Some(stored) => stored,
            None => self.mailboxes.store_flags(account, id, &uids, &change).await.unwrap(),
        };
        let late = before.iter().filter(|state| unchanged_since.is_some_and(|since| state.modseq > since));
        let late: Vec<_> = late.map(|state| state.uid).collect();
        assert_eq!(stored.modified, late);
        let model = self.model(&place);
        for uid in uids.iter().filter(|uid| !late.contains(uid)) {
            let Some(message) = model.messages.get_mut(&uid.0) else { continue };
            let (had, words) = (message.flags, message.keywords.clone());
            match action {
                FlagAction::Add => {
                    message.flags |= flags;
                    message.keywords.extend(&names);
                }
                FlagAction::Remove => {
                    message.flags = message.flags - flags;
                    message.keywords.retain(|name| !names.contains(name));
                }
                FlagAction::Replace => {
                    message.flags = flags;
                    message.keywords = names.iter().copied().collect();
                }
            }
            message.flags = (message.flags - spared.flags) | (had & spared.flags);
            if spared.keywords {
                message.keywords = words;
            }
        }
        let after = self.mailboxes.states(account, id, &uids).await.unwrap();
        let told: Vec<_> = after.into_iter().filter(|state| !late.contains(&state.uid)).collect();
        assert_eq!(stored.states, told);
    }

    /// The same with one row, as a session does it that knows the mailbox.
    async fn sweep(
        &mut self,
        account: AccountId,
        id: MailboxId,
        uids: &[Uid],
        change: &FlagChange,
    ) -> Option<Stored> {
        let at = self.mailboxes.highest_modseq(account, id).await.unwrap();
        let states = self.mailboxes.states(account, id, uids).await.unwrap();
        let believed: Vec<_> = states.iter().map(believed).collect();
        let late = self.mailboxes.sweep(account, id, at - 1, &believed, change).await.unwrap();
        assert_eq!(late, None, "what is believed is out of date");
        let swept = self.mailboxes.sweep(account, id, at, &believed, change).await.unwrap()?;
        self.sweeps += 1;
        assert_eq!(self.mailboxes.highest_modseq(account, id).await.unwrap(), swept.modseq);
        let states = self.mailboxes.states(account, id, uids).await.unwrap();
        let states: Vec<_> =
            states.into_iter().filter(|state| !swept.modified.contains(&state.uid)).collect();
        let changed: Vec<_> = states.iter().filter(|state| state.modseq == swept.modseq).collect();
        assert_eq!(changed.iter().map(|state| state.uid).collect::<Vec<_>>(), swept.changed);
        Some(Stored { states, modified: swept.modified, modseq: Some(swept.modseq) })
    }

    async fn carry(&mut self, away: bool) {
        let (from, account, id) = self.a_place();
        let (to, there, to_id) = self.a_place();
        let uids = self.some_uids(&from);
        let (source, target) = ((account, id), (there, to_id));
        let copied = match away {
            true => self.mailboxes.move_messages(source, &uids, target, self.now).await.unwrap(),
            false => self.mailboxes.copy(source, &uids, target, self.now).await.unwrap(),
        };
        let source = &self.model(&from).messages;
        let there: Vec<_> = uids.iter().filter_map(|uid| Some((*uid, source.get(&uid.0)?.clone()))).collect();
        let mut expected = Vec::new();
        for (uid, message) in there {
            if away {
                self.model(&from).messages.remove(&uid.0);
            }
            let new = self.model(&to).take_in(message);
            expected.push((uid, Uid(new)));
        }
        assert_eq!(copied.uids, expected);
    }

    async fn expunge(&mut self) {
        let (place, account, id) = self.a_place();
        let only = (self.below(2) == 0).then(|| self.some_uids(&place));
        let gone = self.mailboxes.expunge_deleted(account, id, only.as_deref()).await.unwrap();
        let model = self.model(&place);
        let leaves = |uid: &u32, message: &Msg| {
            message.flags.contains(Flags::DELETED)
                && only.as_ref().is_none_or(|only| only.contains(&Uid(*uid)))
        };
        let expected: Vec<_> =
            model.messages.iter().filter(|(uid, m)| leaves(uid, m)).map(|(uid, _)| Uid(*uid)).collect();
        model.messages.retain(|uid, message| !leaves(uid, message));
        assert_eq!(gone.uids, expected);
    }

    fn has_below(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        self.all.keys().any(|(account, other)| *account == 0 && other.starts_with(&prefix))
    }

    async fn names(&mut self) {
        let path = NAMES[self.below(NAMES.len())].to_owned();
        let account = self.accounts[0];
        let place = (0, path.clone());
        match self.below(3) {
            0 => {
                let made = self.mailboxes.create(account, &path, None, self.now).await;
                assert_eq!(made.is_ok(), !matches!(self.all.get(&place), Some(Some(_))), "{made:?}");
                if let Ok(id) = made {
                    self.add_above(&path).await;
                    self.all.insert(place, Some(Model::new(id)));
                }
            }
            1 => {
                let deleted = self.mailboxes.delete(account, &path).await;
                let below = self.has_below(&path);
                let known = self.all.get(&place);
                assert_eq!(deleted.is_ok(), known.is_some_and(|m| m.is_some() || !below), "{deleted:?}");
                if deleted.is_ok() {
                    match below {
                        true => self.all.insert(place, None),
                        false => self.all.remove(&place),
                    };
                }
            }
            _ => self.rename(&path).await,
        }
    }

    async fn rename(&mut self, path: &str) {
        let to = NAMES[self.below(NAMES.len())];
        let renamed = self.mailboxes.rename(self.accounts[0], path, to, self.now).await;
        let prefix = format!("{path}/");
        let possible = self.all.contains_key(&(0, path.to_owned()))
            && !self.all.contains_key(&(0, to.to_owned()))
            && !to.starts_with(&prefix);
        assert_eq!(renamed.is_ok(), possible, "{path} to {to}: {renamed:?}");
        if !possible {
            return;
        }
        let moved = self
            .all
            .keys()
            .filter(|(account, other)| *account == 0 && (other == path || other.starts_with(&prefix)));
        let moved: Vec<_> = moved.cloned().collect();
        for place in moved {
            let model = self.all.remove(&place).unwrap();
            let new = format!("{to}{}", &place.1[path.len()..]);
            self.sessions.iter_mut().filter(|s| s.place == place).for_each(|s| s.place.1 = new.clone());
            self.all.insert((0, new), model);
        }
        self.add_above(to).await;
    }

    /// What was made above a path.
    async fn add_above(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            let place = (0, path[..at].to_owned());
            if !self.all.contains_key(&place) {
                let id = self.mailboxes.find(self.accounts[0], &place.1).await.unwrap().unwrap();
                self.all.insert(place, Some(Model::new(id)));
            }
        }
    }

    async fn open(&mut self) {
        let (place, account, id) = self.a_place();
        let modseq = self.mailboxes.highest_modseq(account, id).await.unwrap();
        let (mut view, mut after) = (BTreeMap::new(), Uid(0));
        loop {
            let page = self.mailboxes.view(account, id, after, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.uid;
            view.extend(page.into_iter().map(|state| (state.uid, state)));
        }
        self.sessions.push(Session { place, id, view, modseq });
        if self.sessions.len() > 4 {
            self.sessions.remove(0);
        }
    }

    /// Some session asks what changed; afterwards it sees what is there.
    async fn look(&mut self) {
        let all = &self.all;
        self.sessions.retain(|s| all.get(&s.place).and_then(Option::as_ref).is_some_and(|m| m.id == s.id));
        if self.sessions.is_empty() {
            return;
        }
        let at = self.below(self.sessions.len());
        let mut session = self.sessions.swap_remove(at);
        let account = self.accounts[session.place.0];
        let changes = self.mailboxes.changes(account, session.id, session.modseq).await.unwrap();
        assert!(changes.complete && changes.modseq >= session.modseq);
        session.modseq = changes.modseq;
        for uid in changes.expunged {
            session.view.remove(&uid);
        }
        session.view.extend(changes.updated.into_iter().map(|state| (state.uid, state)));
        self.compare(&session.place, session.view.values().cloned().collect()).await;
        self.sessions.push(session);
    }

    async fn compare(&self, place: &Place, states: Vec<MessageState>) {
        let table = self.mailboxes.keywords(self.accounts[place.0]).await.unwrap();
        let name = |keyword| table.name(keyword).unwrap().to_owned();
        let seen: Vec<_> = states
            .iter()
            .map(|s| (s.uid.0, s.flags, s.size, s.keywords.iter().map(name).collect::<BTreeSet<_>>()))
            .collect();
        let model = self.all[place].as_ref().unwrap();
        let expected: Vec<_> = model
            .messages
            .iter()
            .map(|(uid, m)| (*uid, m.flags, m.size, m.keywords.iter().map(|k| (*k).to_owned()).collect()))
            .collect();
        assert_eq!(seen, expected, "{place:?}");
    }

    /// Names, counters and ledger.
    async fn check(&self) {
        let listed: Vec<_> = self.mailboxes.list(self.accounts[0]).await.unwrap();
        let listed: BTreeMap<_, _> =
            listed.into_iter().map(|info| (info.path, info.selectable.then_some(info.id))).collect();
        let expected = self.all.iter().filter(|((account, _), _)| *account == 0);
        let expected = expected.map(|((_, path), model)| (path.clone(), model.as_ref().map(|m| m.id)));
        assert_eq!(listed, expected.collect());
        let mut usage = [Usage::default(); 2];
        for ((account, path), model) in &self.all {
            let Some(model) = model else { continue };
            let status = self.mailboxes.status(self.accounts[*account], model.id).await.unwrap();
            let count = |flag: Flags| {
                model.messages.values().filter(|message| message.flags.contains(flag)).count() as u64
            };
            let messages = model.messages.len() as u64;
            let octets = model.messages.values().map(|message| message.size).sum();
            let expected = Status {
                shown: 0,
                messages,
                unseen: messages - count(Flags::SEEN),
                deleted: count(Flags::DELETED),
                octets,
                uid_next: u64::from(model.next),
                highest_modseq: status.highest_modseq,
            };
            assert_eq!(status, expected, "{path}");
            usage[*account].messages += messages;
            usage[*account].octets += octets;
        }
        for (account, usage) in self.accounts.iter().zip(usage) {
            assert_eq!(self.mailboxes.usage(*account).await.unwrap(), usage);
        }
    }

    /// Everything else: rows that follow from others, bodies, views of all sessions.
    async fn finish(&mut self) {
        for account in self.accounts {
            let checked = self.mailboxes.check(account, false, true, &mut |_| ()).await.unwrap();
            assert_eq!(checked.findings, []);
        }
        let mut owners = BTreeMap::new();
        for model in self.all.values().flatten() {
            model.messages.values().for_each(|m| *owners.entry(m.blob).or_insert(0u64) += 1);
        }
        self.memory.storage().blobs.collect().await.unwrap();
        assert_eq!(self.memory.blob_count(), owners.len());
        for (blob, owners) in owners {
            assert_eq!(self.memory.owners(blob), owners);
        }
        for (place, model) in self.all.clone() {
            let Some(model) = model else { continue };
            let account = self.accounts[place.0];
            let all = self.mailboxes.view(account, model.id, Uid(0), usize::MAX).await.unwrap();
            let uids: Vec<_> = all.iter().map(|state| state.uid).collect();
            assert_eq!(self.mailboxes.structures(account, model.id, &uids).await.unwrap().len(), uids.len());
            self.compare(&place, all).await;
        }
        for _ in 0..8 {
            self.look().await;
        }
    }
}

/// Lives a life for each seed; how many changes of many messages were one row.
fn lives(seeds: std::ops::Range<u64>) -> u64 {
    let mut sweeps = 0;
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(seed).await;
            for _ in 0..120 {
                world.step().await;
                world.check().await;
            }
            world.finish().await;
            sweeps += world.sweeps;
        });
    }
    sweeps
}

#[test]
fn sessions_see_what_the_model_says() {
    let sweeps = lives(0..60);
    assert!(sweeps > 200, "{sweeps} changes of many messages");
}

#[test]
#[ignore = "takes as long as one likes"]
fn many_sessions_see_what_the_model_says() {
    lives(1000..6000);
}
