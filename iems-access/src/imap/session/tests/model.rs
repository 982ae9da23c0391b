//! Random doings of several sessions, and of others outside, beside a model of the mailboxes. After each, what a client
//! reckons from what it was told (numbers, UIDs, flags, MODSEQ) is what the model says; the MODSEQ is the store's.

use std::collections::{BTreeMap, BTreeSet};

use iems_core::message::Body;
use iems_core::storage::{Batch, Storage};
use iems_store::mailbox::{AccountId, MailboxId, Mailboxes, NewMessage, Uid};
use proptest::prelude::*;

use super::*;

const FLAGS: [&str; 5] = ["\\Seen", "\\Deleted", "\\Flagged", "work", "play"];
const CLIENTS: usize = 4;
const NEWS: &str = "NOTIFY SET (selected (MessageNew (UID FLAGS MODSEQ) MessageExpunge FlagChange))";

type FlagSet = BTreeSet<String>;

/// A mailbox, as it should be.
#[derive(Debug, Clone)]
struct Mailbox {
    id: MailboxId,
    path: String,
    messages: BTreeMap<u32, FlagSet>,
    next: u32,
}

impl Mailbox {
    fn put(&mut self, flags: FlagSet) -> u32 {
        self.messages.insert(self.next, flags);
        self.next += 1;
        self.next - 1
    }
}

struct Model {
    world: World,
    storage: Storage,
    mailboxes: Mailboxes,
    account: AccountId,
    boxes: Vec<Mailbox>,
    named: u32,
}

/// A message, as far as a client was told.
#[derive(Debug, Clone, Default, PartialEq)]
struct Msg {
    uid: Option<u32>,
    flags: Option<FlagSet>,
    modseq: Option<u64>,
}

/// What a client remembers while it is away.
struct Away {
    id: MailboxId,
    modseq: u64,
    known: BTreeMap<u32, FlagSet>,
}

struct Client {
    peer: Peer,
    /// By number it names messages that it must not.
    uid_only: bool,
    qresync: bool,
    notified: bool,
    frozen: bool,
    on: Option<MailboxId>,
    believed: Vec<Msg>,
    /// Up to which MODSEQ it takes itself to know all: what it was told by `HIGHESTMODSEQ`, or by the MODSEQ of messages
    /// since, once their command has ended (RFC 7162 section 3.2).
    highest: u64,
    heard: u64,
    vanished: BTreeSet<u32>,
    away: Option<Away>,
}

impl Model {
    async fn new() -> Self {
        let (world, storage) = World::with_storage().await;
        let mailboxes = Mailboxes::new(storage.clone());
        let account = world.accounts.directory().account(&"ann@example.org".parse().unwrap()).await;
        let account = account.unwrap().unwrap().id;
        let mut model = Self { world, storage, mailboxes, account, boxes: Vec::new(), named: 0 };
        model.adopt("INBOX").await;
        for path in ["Trash", "Else"] {
            model.mailboxes.create(account, path, None, now()).await.unwrap();
            model.adopt(path).await;
        }
        model
    }

    async fn adopt(&mut self, path: &str) {
        let id = self.mailboxes.find(self.account, path).await.unwrap().unwrap();
        self.boxes.push(Mailbox { id, path: path.to_owned(), messages: BTreeMap::new(), next: 1 });
    }

    fn mailbox(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        self.boxes.iter_mut().find(|mailbox| mailbox.id == id)
    }

    async fn deliver(&mut self, at: u32) {
        let at = at as usize % self.boxes.len();
        let text = letter("delivered");
        let mut writer = self.storage.blobs.create().await.unwrap();
        writer.write(text.clone().into()).await.unwrap();
        let blob = writer.finish().await.unwrap();
        let body = Body { prefix: Default::default(), blob, blob_size: text.len() as u64, header_size: 0 };
        let mut batch = Batch::new();
        Mailboxes::append(&mut batch, self.account, self.boxes[at].id, &NewMessage::new(now(), body))
            .unwrap();
        self.storage.store.commit(batch).await.unwrap();
        self.boxes[at].put(FlagSet::new());
    }

    /// Another renames a mailbox, or deletes it and makes a new one.
    async fn rename_or_delete(&mut self, at: u32, delete: bool) {
        let at = 1 + at as usize % (self.boxes.len() - 1);
        self.named += 1;
        let (from, to) = (self.boxes[at].path.clone(), format!("n{}", self.named));
        if delete {
            self.mailboxes.delete(self.account, &from).await.unwrap();
            self.boxes.remove(at);
            self.mailboxes.create(self.account, &to, None, now()).await.unwrap();
            self.adopt(&to).await;
        } else {
            self.mailboxes.rename(self.account, &from, &to, now()).await.unwrap();
            self.boxes[at].path = to;
        }
    }

    /// The MODSEQ of each message.
    async fn modseqs(&self, id: MailboxId) -> BTreeMap<u32, u64> {
        let states = self.mailboxes.view(self.account, id, Uid(0), usize::MAX).await.unwrap();
        states.into_iter().map(|state| (state.uid.0, state.modseq)).collect()
    }

    /// Compares with what the client reckons. With `delayed`, it may not know yet of what left.
    async fn compare(&mut self, client: &mut Client, delayed: bool, what: &str) {
        client.ask_for_new().await;
        let Some(id) = client.on.filter(|_| !client.frozen) else { return };
        let modseqs = self.modseqs(id).await;
        let there = self.mailbox(id).map(|mailbox| mailbox.messages.clone()).unwrap_or_default();
        let mut believed = client.believed.clone();
        if delayed {
            believed.retain(|msg| msg.uid.is_none_or(|uid| there.contains_key(&uid)));
        }
        let there: Vec<_> = there
            .into_iter()
            .map(|(uid, flags)| Msg {
                uid: Some(uid),
                flags: Some(flags),
                modseq: modseqs.get(&uid).copied(),
            })
            .collect();
        assert_eq!(believed, there, "after {what}");
    }
}

impl Client {
    /// The UIDs of a set of numbers, or of UIDs.
    fn named(&self, set: &str, by_uid: bool) -> BTreeSet<u32> {
        let number = |number: u32| self.believed.get(number as usize - 1).and_then(|msg| msg.uid);
        numbers(set).filter_map(|told| if by_uid { Some(told) } else { number(told) }).collect()
    }

    async fn new(model: &Model, kind: usize) -> Self {
        let mut client = Self {
            peer: model.world.ann().await,
            uid_only: kind == 1,
            qresync: kind != 0,
            notified: kind == 3,
            frozen: false,
            on: None,
            believed: Vec::new(),
            highest: 0,
            heard: 0,
            vanished: BTreeSet::new(),
            away: None,
        };
        client.log_in(model).await;
        client
    }

    async fn log_in(&mut self, model: &Model) {
        self.peer = model.world.ann().await;
        self.frozen = false;
        let enabled = match (self.uid_only, self.qresync) {
            (true, _) => "QRESYNC UIDONLY",
            (_, true) => "QRESYNC",
            _ => "CONDSTORE",
        };
        self.ask(&format!("e ENABLE {enabled}")).await;
        if self.notified {
            self.ask(&format!("n {NEWS}")).await;
        }
    }

    async fn ask(&mut self, command: &str) -> String {
        let said = self.peer.ask(command).await;
        self.hear(&said);
        said
    }

    async fn select(&mut self, mailbox: &Mailbox, parameters: &str) -> String {
        (self.believed, self.on) = (Vec::new(), None);
        (self.highest, self.heard) = (0, 0);
        let said = self.ask(&format!("s SELECT {}{parameters}", mailbox.path)).await;
        if said.contains("s OK") {
            self.on = Some(mailbox.id);
        }
        said
    }

    fn hear(&mut self, said: &str) {
        for line in without_literals(said).lines() {
            let ends = !line.starts_with("* ") && line.split(' ').nth(1) == Some("OK");
            if ends {
                self.highest = self.highest.max(std::mem::take(&mut self.heard));
            }
            if let Some((_, rest)) = line.split_once(" OK [HIGHESTMODSEQ ") {
                (self.highest, self.heard) = (rest.split(']').next().unwrap().parse().unwrap(), 0);
            }
            let Some(line) = line.strip_prefix("* ") else { continue };
            if let Some(modseq) = line.split_once("MODSEQ (").and_then(|(_, rest)| rest.split(')').next()) {
                self.heard = self.heard.max(modseq.parse().unwrap());
            }
            if let Some(set) = line.strip_prefix("VANISHED ") {
                assert!(self.qresync || self.uid_only);
                match set.strip_prefix("(EARLIER) ") {
                    Some(set) => self.vanished.extend(numbers(set)),
                    None => {
                        let set: BTreeSet<_> = numbers(set).collect();
                        let before = self.believed.len();
                        self.believed.retain(|msg| !msg.uid.is_some_and(|uid| set.contains(&uid)));
                        assert_eq!(before - self.believed.len(), set.len(), "it knew them: {said}");
                    }
                }
                continue;
            }
            let Some((number, rest)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            let at = number as usize;
            if rest == "EXISTS" {
                assert!(at >= self.believed.len(), "EXISTS never shrinks: {said}");
                self.believed.resize(at, Msg::default());
            } else if rest == "EXPUNGE" {
                assert!(!self.qresync && !self.uid_only, "VANISHED takes its place: {said}");
                self.believed.remove(at - 1);
            } else if let Some(items) = rest.strip_prefix("FETCH (") {
                assert!(!self.uid_only && at <= self.believed.len(), "{said}");
                self.believed[at - 1].take(items);
            } else if let Some(items) = rest.strip_prefix("UIDFETCH (") {
                assert!(self.uid_only);
                let found = self.believed.iter_mut().find(|msg| msg.uid == Some(number));
                match found {
                    Some(msg) => msg.take(items),
                    // The first without a UID: they come in order.
                    None => {
                        let msg =
                            self.believed.iter_mut().find(|msg| msg.uid.is_none()).expect("a new message");
                        msg.uid = Some(number);
                        msg.take(items);
                    }
                }
            }
        }
    }

    /// Of new messages only the number was told.
    async fn ask_for_new(&mut self) {
        if self.believed.iter().all(|msg| msg.uid.is_some() && msg.flags.is_some() && msg.modseq.is_some()) {
            return;
        }
        let last = self.believed.iter().filter_map(|msg| msg.uid).max().unwrap_or_default();
        let command = match self.believed.iter().position(|msg| msg.uid.is_none()) {
            Some(at) if !self.uid_only => format!("f FETCH {}:* (UID FLAGS MODSEQ)", at + 1),
            Some(_) => format!("f UID FETCH {}:* (FLAGS MODSEQ)", last + 1),
            None => "f UID FETCH 1:* (FLAGS MODSEQ)".to_owned(),
        };
        self.ask(&command).await;
    }

    /// Some of the messages that it knows: their UIDs, and how it names them.
    fn some(&self, pick: u32, by_uid: bool) -> Option<(Vec<u32>, String)> {
        let picked = self.believed.iter().enumerate().filter(|(at, _)| (pick >> (at % 16)) & 1 == 1);
        let picked: Vec<_> = picked.filter_map(|(at, msg)| Some((at + 1, msg.uid?))).collect();
        let names = picked.iter().map(|(at, uid)| if by_uid { uid.to_string() } else { at.to_string() });
        let names = names.collect::<Vec<_>>().join(",");
        (!picked.is_empty()).then(|| (picked.iter().map(|(_, uid)| *uid).collect(), names))
    }
}

impl Msg {
    fn take(&mut self, items: &str) {
        let after = |word: &str| items.find(word).map(|at| &items[at + word.len()..]);
        let number =
            |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap();
        if let Some(uid) = after("UID ").map(number) {
            assert!(self.uid.is_none_or(|known| u64::from(known) == uid), "a message keeps its UID");
            self.uid = u32::try_from(uid).ok();
        }
        if let Some(flags) = after("FLAGS (").and_then(|rest| rest.split(')').next()) {
            let flags = flags.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent");
            self.flags = Some(flags.map(str::to_owned).collect());
        }
        if let Some(modseq) = after("MODSEQ (").map(number) {
            assert!(self.modseq.is_none_or(|known| known <= modseq), "a MODSEQ grows");
            self.modseq = Some(modseq);
        }
    }
}

/// What was said, without the octets of literals.
fn without_literals(said: &str) -> String {
    let (mut rest, mut lines) = (said, String::new());
    while let Some((line, after)) = rest.split_once("\r\n") {
        let length = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
        let length = length.and_then(|(_, digits)| digits.parse::<usize>().ok());
        lines.push_str(line);
        rest = after.get(length.unwrap_or(0)..).expect("a whole literal");
        if length.is_none() {
            lines.push('\n');
        }
    }
    lines
}

/// The numbers of a set.
pub(super) fn numbers(set: &str) -> impl Iterator<Item = u32> {
    set.trim().split(',').flat_map(|range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        first.parse::<u32>().unwrap()..=last.parse::<u32>().unwrap()
    })
}

/// What `COPYUID` tells: the UIDs here, and there.
fn copied(said: &str) -> Vec<(u32, u32)> {
    let Some(rest) = said.split("[COPYUID ").nth(1) else { return Vec::new() };
    let mut sets = rest.split(']').next().unwrap().split(' ').skip(1);
    let (here, there) = (sets.next().unwrap(), sets.next().unwrap());
    numbers(here).zip(numbers(there)).collect()
}

impl Model {
    async fn step(&mut self, client: &mut Client, op: u32, a: u32, b: u32) {
        if let Some(away) = client.away.take() {
            return self.come_back(client, away, a).await;
        }
        let Some(on) = client.on else {
            let mailbox = self.boxes[a as usize % self.boxes.len()].clone();
            client.select(&mailbox, "").await;
            return self.compare(client, false, "SELECT").await;
        };
        let by_uid = client.uid_only || b & 1 == 1;
        let uid = if by_uid { "UID " } else { "" };
        let (mut delayed, mut what) = (false, String::new());
        match op {
            0 => {
                let at = a as usize % self.boxes.len();
                let flag = FLAGS[b as usize % 5];
                let said =
                    client.peer.append(&format!("{} ({flag})", self.boxes[at].path), &letter("x")).await;
                client.hear(&said);
                assert!(said.contains("p OK [APPENDUID"), "{said}");
                self.boxes[at].put(FlagSet::from([flag.to_owned()]));
                what = "APPEND".to_owned();
            }
            1..=3 => {
                if let Some((uids, names)) = client.some(a, by_uid) {
                    what = self.store(client, on, (&uids, &names, uid), a >> 16, b).await;
                    delayed = !by_uid;
                }
            }
            4 | 5 => {
                if let Some((uids, names)) = client.some(a, by_uid) {
                    let to = b as usize / 2 % self.boxes.len();
                    let verb = if op == 4 { "COPY" } else { "MOVE" };
                    what = format!("{uid}{verb} {names} {}", self.boxes[to].path);
                    let said = client.ask(&format!("c {what}")).await;
                    self.carried(on, to, &uids, &said, op == 5);
                }
            }
            6 => {
                client.ask("x EXPUNGE").await;
                if let Some(mailbox) = self.mailbox(on) {
                    mailbox.messages.retain(|_, flags| !flags.contains("\\Deleted"));
                }
                what = "EXPUNGE".to_owned();
            }
            7 => {
                if let Some((uids, names)) = client.some(a, true) {
                    what = format!("UID EXPUNGE {names}");
                    client.ask(&format!("x {what}")).await;
                    if let Some(mailbox) = self.mailbox(on) {
                        mailbox
                            .messages
                            .retain(|uid, flags| !flags.contains("\\Deleted") || !uids.contains(uid));
                    }
                }
            }
            8 => {
                if let Some((uids, names)) = client.some(a, by_uid) {
                    what = format!("{uid}FETCH {names} (FLAGS BODY[])");
                    // What a client that wants no news knows as seen stays as it is, also if another just said otherwise.
                    let dark = |msg: &&Msg| msg.flags.as_ref().is_some_and(|flags| !flags.contains("\\Seen"));
                    let dark: BTreeSet<_> =
                        client.believed.iter().filter(dark).filter_map(|msg| msg.uid).collect();
                    let all = !client.frozen;
                    client.ask(&format!("f {what}")).await;
                    if let Some(mailbox) = self.mailbox(on) {
                        let read = |uid: &u32| uids.contains(uid) && (all || dark.contains(uid));
                        let read = mailbox.messages.iter_mut().filter(|(uid, _)| read(uid));
                        read.for_each(|(_, flags)| flags.extend(["\\Seen".to_owned()]));
                    }
                    delayed = !by_uid;
                }
            }
            9 => {
                client.ask("i IDLE").await;
                self.deliver(a).await;
                let news = client.peer.news().await;
                client.hear(&news);
                client.ask("DONE").await;
                what = "IDLE".to_owned();
            }
            10 if client.notified => {
                let news = client.peer.news().await;
                client.hear(&news);
                what = "news".to_owned();
            }
            11 if client.notified => {
                client.frozen = !client.frozen;
                client
                    .ask(
                        if client.frozen { "n NOTIFY NONE".to_owned() } else { format!("n {NEWS}") }.as_str(),
                    )
                    .await;
                what = "NOTIFY".to_owned();
            }
            12 if client.qresync && !client.frozen => {
                // It may not know yet of all that left.
                if b & 1 == 1 {
                    client.ask("n NOOP").await;
                    self.compare(client, false, "NOOP").await;
                }
                self.go_away(client, on, a);
                return;
            }
            13 => {
                client.ask("u UNSELECT").await;
                (client.on, client.believed) = (None, Vec::new());
                return;
            }
            14 => self.deliver(a).await,
            15 => self.rename_or_delete(a, b.is_multiple_of(3)).await,
            _ => {
                client.ask("n NOOP").await;
                what = "NOOP".to_owned();
            }
        }
        if !what.is_empty() {
            self.compare(client, delayed, &what).await;
        }
    }

    async fn store(
        &mut self,
        client: &mut Client,
        on: MailboxId,
        (uids, names, uid): (&[u32], &str, &str),
        since: u32,
        b: u32,
    ) -> String {
        let flag = FLAGS[b as usize / 4 % 5].to_owned();
        let sign = ["+", "-", ""][b as usize / 32 % 3];
        let before = self.modseqs(on).await;
        let limit = before.values().nth(since as usize % before.len().max(1)).copied();
        let limit = limit.filter(|_| b & 2 == 2);
        let silent = if b >> 10 & 1 == 1 { ".SILENT" } else { "" };
        let condition = limit.map(|limit| format!(" (UNCHANGEDSINCE {limit})")).unwrap_or_default();
        let command = format!("{uid}STORE {names}{condition} {sign}FLAGS{silent} ({flag})");
        let knew = client.believed.clone();
        let said = client.ask(&format!("t {command}")).await;
        let named = said.split("[MODIFIED ").nth(1).map(|told| told.split(']').next().unwrap_or_default());
        let named =
            named.map(|told| client.named(told, !uid.is_empty() || client.uid_only)).unwrap_or_default();
        if let Some(mailbox) = self.mailbox(on) {
            for uid in uids {
                let Some(flags) = mailbox.messages.get_mut(uid) else { continue };
                let late = limit.is_some_and(|limit| before.get(uid).is_some_and(|modseq| *modseq > limit));
                let known = knew.iter().find(|msg| msg.uid == Some(*uid));
                // What is named is as the client knew it, and it names a MODSEQ at which it did.
                let old = known.and_then(|known| known.flags.as_ref());
                let same =
                    !sign.is_empty() && old.is_none_or(|old| old.contains(&flag) == flags.contains(&flag));
                let then = known.and_then(|known| known.modseq).filter(|_| old.is_some());
                let forgiven = same && limit.is_some_and(|limit| then.is_some_and(|then| then <= limit));
                if named.contains(uid) {
                    assert!(late && !forgiven, "{uid} is as it was for {command}: {said}");
                    continue;
                }
                assert!(!late || same, "{uid} changed before {command}: {said}");
                match sign {
                    "+" => flags.extend([flag.clone()]),
                    "-" => flags.retain(|known| *known != flag),
                    _ => *flags = FlagSet::from([flag.clone()]),
                }
            }
        }
        if !silent.is_empty() {
            // The client reckons itself what it did; the MODSEQ it is told.
            let there = self.mailbox(on).map(|mailbox| mailbox.messages.clone()).unwrap_or_default();
            for msg in client.believed.iter_mut().filter(|msg| msg.uid.is_some_and(|uid| uids.contains(&uid)))
            {
                msg.flags = msg.uid.and_then(|uid| there.get(&uid)).cloned().or(msg.flags.take());
            }
        }
        command
    }

    fn carried(&mut self, on: MailboxId, to: usize, uids: &[u32], said: &str, moves: bool) {
        let pairs = copied(said);
        let there = self.mailbox(on).map(|mailbox| mailbox.messages.clone()).unwrap_or_default();
        let expected: Vec<_> = uids.iter().copied().filter(|uid| there.contains_key(uid)).collect();
        if said.contains("c NO") {
            assert!(pairs.is_empty() && expected.len() < uids.len(), "all or nothing: {said}");
            return;
        }
        assert_eq!(pairs.iter().map(|(here, _)| *here).collect::<Vec<_>>(), expected, "{said}");
        for (here, new) in pairs {
            if moves && let Some(mailbox) = self.mailbox(on) {
                mailbox.messages.remove(&here);
            }
            assert_eq!(self.boxes[to].put(there[&here].clone()), new, "UIDs come in order");
        }
    }

    /// The connection ends; the client keeps some of what it knows.
    fn go_away(&mut self, client: &mut Client, on: MailboxId, pick: u32) {
        let modseq = client.highest;
        let known = client.believed.iter().filter(|msg| (pick >> (msg.uid.unwrap_or(0) % 16)) & 1 == 1);
        let known = known.filter_map(|msg| Some((msg.uid?, msg.flags.clone()?))).collect();
        client.away = Some(Away { id: on, modseq, known });
        (client.on, client.believed) = (None, Vec::new());
    }

    /// It comes back with QRESYNC, and hears what it missed.
    async fn come_back(&mut self, client: &mut Client, away: Away, a: u32) {
        client.log_in(self).await;
        let Some(mailbox) = self.mailbox(away.id).cloned() else { return };
        let Away { id, modseq, mut known } = away;
        let set = known.keys().map(u32::to_string).collect::<Vec<_>>().join(",");
        let set = if a & 1 == 0 || set.is_empty() { String::new() } else { format!(" {set}") };
        client.vanished.clear();
        let resync = format!(" (QRESYNC ({} {modseq}{set}))", id.0);
        (client.believed, client.on) = (Vec::new(), None);
        let said = client.peer.ask(&format!("s SELECT {}{resync}", mailbox.path)).await;
        assert!(said.contains("s OK"), "{said}");
        for line in said.lines() {
            if let Some(set) = line.strip_prefix("* VANISHED (EARLIER) ") {
                numbers(set).for_each(|uid| drop(known.remove(&uid)));
            }
            let (mut msg, Some(at)) = (Msg::default(), line.find("FETCH (")) else { continue };
            msg.take(&line[at + 7..]);
            let uid = msg.uid.or_else(|| line.split(' ').nth(1)?.parse().ok()).unwrap();
            assert!(mailbox.messages.contains_key(&uid), "{said}");
            if let Some(flags) = known.get_mut(&uid) {
                *flags = msg.flags.unwrap();
            }
        }
        let wanted = mailbox.messages.clone();
        for (uid, flags) in &known {
            assert_eq!(wanted.get(uid), Some(flags), "UID {uid} after {resync}: {said}");
        }
        // The same mailbox as others see it.
        client.select(&mailbox, "").await;
        self.compare(client, false, "coming back").await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn clients_reckon_what_the_model_says(
        steps in prop::collection::vec((0..CLIENTS, 0..19u32, any::<u32>(), any::<u32>()), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new().await;
            for at in 0..3 {
                model.deliver(at).await;
            }
            let mut clients = Vec::new();
            for kind in 0..CLIENTS {
                clients.push(Client::new(&model, kind).await);
            }
            for (who, op, a, b) in steps {
                model.step(&mut clients[who], op, a, b).await;
            }
            for client in &mut clients {
                if let Some(away) = client.away.take() {
                    model.come_back(client, away, 1).await;
                }
                if client.frozen {
                    client.frozen = false;
                    client.ask(&format!("n {NEWS}")).await;
                }
                client.ask("n NOOP").await;
                model.compare(client, false, "the last NOOP").await;
            }
            let checked = model.mailboxes.check(model.account, false, true, &mut |_| ()).await.unwrap();
            assert_eq!(checked.findings, []);
        });
    }
}
