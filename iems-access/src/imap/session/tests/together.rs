//! Several sessions on one mailbox: what each believes is what is there, and numbers change only where they may.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use iems_core::storage::{Batch, CommitError, Committed, Scan, Store, StoreError, Watch};
use proptest::prelude::*;

use super::model::numbers;
use super::*;

/// What a client enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    Rev2,
    CondStore,
    QResync,
}

/// A message as a client believes it to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Believed {
    uid: Option<u32>,
    /// Sorted; `None` where they were not told.
    flags: Option<BTreeSet<String>>,
}

/// What a client believes, from what it was told alone.
struct Client {
    peer: Peer,
    mode: Mode,
    /// By sequence number.
    believed: Vec<Believed>,
    validity: String,
    /// The MODSEQ by which it would come back (RFC 7162 section 6).
    modseq: u64,
}

impl Client {
    async fn new(world: &World, mode: Mode) -> Self {
        let mut peer = world.ann().await;
        let (enable, parameter) = match mode {
            Mode::Plain => (None, ""),
            Mode::Rev2 => (Some("IMAP4rev2"), ""),
            Mode::CondStore => (None, " (CONDSTORE)"),
            Mode::QResync => (Some("QRESYNC"), ""),
        };
        if let Some(enable) = enable {
            peer.ask(&format!("e ENABLE {enable}")).await;
        }
        let mut client = Self { peer, mode, believed: Vec::new(), validity: String::new(), modseq: 0 };
        let said = client.ask(&format!("s SELECT INBOX{parameter}"), true).await;
        client.validity = between(&said, "[UIDVALIDITY ", "]").unwrap().to_owned();
        client
    }

    /// Of messages that are new, the flags are asked for.
    async fn ask(&mut self, command: &str, may_shrink: bool) -> String {
        let said = self.peer.ask(command).await;
        self.hear(&said, may_shrink);
        self.ask_for_new(command == "i IDLE").await;
        said
    }

    async fn ask_for_new(&mut self, is_idle: bool) {
        if let Some(first) =
            self.believed.iter().position(|message| message.flags.is_none()).filter(|_| !is_idle)
        {
            let said = self.peer.ask(&format!("f FETCH {}:* (UID FLAGS)", first + 1)).await;
            self.hear(&said, false);
        }
    }

    fn hear(&mut self, said: &str, may_shrink: bool) {
        let (mut told, mut seen) = (None, 0);
        for line in said.lines() {
            told = between(line, "[HIGHESTMODSEQ ", "]").map(|told| told.parse().unwrap()).or(told);
            let Some(line) = line.strip_prefix("* ") else { continue };
            if let Some(uids) = line.strip_prefix("VANISHED ") {
                assert!(may_shrink && self.mode == Mode::QResync, "no VANISHED here: {said}");
                let earlier = uids.strip_prefix("(EARLIER) ");
                for uid in numbers(earlier.unwrap_or(uids)) {
                    let at = self.believed.iter().position(|message| message.uid == Some(uid));
                    assert!(at.is_some() || earlier.is_some(), "it was not told of: {said}");
                    at.map(|at| self.believed.remove(at));
                }
                continue;
            }
            let Some((number, rest)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            if rest == "EXISTS" {
                assert!(number >= self.believed.len(), "EXISTS never shrinks: {said}");
                self.believed.resize(number, Believed::default());
            } else if rest == "EXPUNGE" {
                assert!(may_shrink && self.mode != Mode::QResync, "no EXPUNGE here: {said}");
                self.believed.remove(number - 1);
            } else if rest.starts_with("FETCH ") || line.ends_with(')') {
                seen = between(line, "MODSEQ (", ")").map_or(0, |told| told.parse().unwrap()).max(seen);
                self.hear_fetch(number, line, said);
            }
        }
        // What a client goes by that it was not told better.
        self.modseq = told.unwrap_or(self.modseq.max(seen));
    }

    fn hear_fetch(&mut self, number: usize, line: &str, said: &str) {
        assert!(number <= self.believed.len(), "FETCH before EXISTS: {said}");
        let message = &mut self.believed[number - 1];
        let uid = between(line, "UID ", " ").map(|uid| uid.trim_end_matches(')').parse().unwrap());
        assert!(message.uid.is_none() || uid.is_none() || message.uid == uid, "another UID: {said}");
        message.uid = uid.or(message.uid);
        if let Some(flags) = between(line, "FLAGS (", ")") {
            message.flags =
                Some(flags.split(' ').filter(|flag| !flag.is_empty()).map(str::to_owned).collect());
            let condstore = matches!(self.mode, Mode::CondStore | Mode::QResync);
            let asked = said.contains("f OK");
            assert!(asked || !condstore || line.contains("MODSEQ ("), "{said}");
            assert!(
                asked || self.mode == Mode::Plain || self.mode == Mode::CondStore || uid.is_some(),
                "{said}"
            );
        }
    }

    /// What it changes without being told the outcome.
    fn change(&mut self, number: usize, sign: char, flag: &str) {
        let Some(flags) = self.believed[number - 1].flags.as_mut() else { return };
        match sign {
            '+' => drop(flags.insert(flag.to_owned())),
            '-' => drop(flags.remove(flag)),
            _ => {
                flags.retain(|flag| flag == "\\Recent");
                flags.insert(flag.to_owned());
            }
        }
    }

    /// Everything is told: what is believed is what a new client sees.
    async fn agrees_with(&mut self, fresh: &Self) {
        self.ask("n NOOP", true).await;
        assert_eq!(self.flags(), fresh.flags(), "{:?}", self.mode);
    }

    /// What it believes does not outdate: who comes back by it believes what a new client sees.
    async fn comes_back_to(&mut self, world: &World, fresh: &Self) {
        self.peer = world.ann().await;
        self.peer.ask("e ENABLE QRESYNC").await;
        let said =
            self.peer.ask(&format!("s SELECT INBOX (QRESYNC ({} {}))", self.validity, self.modseq)).await;
        // Numbers are of the mailbox as it is: first what left, then what came.
        let (gone, rest): (Vec<_>, Vec<_>) = said.lines().partition(|line| line.starts_with("* VANISHED"));
        self.hear(&gone.join("\r\n"), true);
        self.hear(&rest.join("\r\n"), true);
        self.ask_for_new(false).await;
        assert_eq!(self.flags(), fresh.flags(), "{said}");
    }

    /// What does not differ between sessions.
    fn flags(&self) -> Vec<BTreeSet<String>> {
        let without_recent = |message: &Believed| {
            let flags = message.flags.iter().flatten().filter(|flag| *flag != "\\Recent");
            flags.cloned().collect()
        };
        self.believed.iter().map(without_recent).collect()
    }

    /// Whether a message is recent here.
    fn is_recent(&self, at: usize) -> bool {
        self.believed[at].flags.as_ref().is_some_and(|flags| flags.contains("\\Recent"))
    }
}

/// What is between two marks, the first of each.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    rest.split(behind).next()
}

#[derive(Debug, Clone)]
enum Deed {
    Append,
    Store {
        message: u8,
        sign: char,
        silent: bool,
        flag: &'static str,
    },
    /// Of all messages.
    Sweep {
        sign: char,
        silent: bool,
        flag: &'static str,
    },
    Expunge,
    Move(u8),
    Fetch(u8),
    Noop,
    Idle,
}

fn deed() -> impl Strategy<Value = Deed> {
    let flag = || prop::sample::select(vec!["\\Seen", "\\Deleted", "\\Flagged", "work", "play"]);
    let sign = || prop::sample::select(vec!['+', '+', '-', ' ']);
    let store = (any::<u8>(), sign(), any::<bool>(), flag());
    prop_oneof![
        3 => Just(Deed::Append),
        6 => store.prop_map(|(message, sign, silent, flag)| Deed::Store { message, sign, silent, flag }),
        2 => (sign(), any::<bool>(), flag()).prop_map(|(sign, silent, flag)| Deed::Sweep { sign, silent, flag }),
        2 => Just(Deed::Expunge),
        1 => any::<u8>().prop_map(Deed::Move),
        2 => any::<u8>().prop_map(Deed::Fetch),
        2 => Just(Deed::Noop),
        1 => Just(Deed::Idle),
    ]
}

async fn carry_out(client: &mut Client, deed: &Deed) {
    let count = client.believed.len();
    let number = |n: &u8| usize::from(*n) % count.max(1) + 1;
    let suffix = |silent: &bool| if *silent { ".SILENT" } else { "" };
    match deed {
        Deed::Append => {
            let said = client.peer.append("INBOX", &letter("x")).await;
            client.hear(&said, true);
            client.ask_for_new(false).await;
        }
        Deed::Noop => drop(client.ask("n NOOP", true).await),
        Deed::Idle => {
            client.ask("i IDLE", true).await;
            let news = client.peer.news().await;
            client.hear(&news, true);
            client.ask("DONE", true).await;
        }
        Deed::Expunge => drop(client.ask("e EXPUNGE", true).await),
        _ if count == 0 => {}
        Deed::Store { message, sign, silent, flag } => {
            let number = number(message);
            client.change(number, *sign, flag);
            let (sign, suffix) = (sign.to_string(), suffix(silent));
            client.ask(&format!("t STORE {number} {}FLAGS{suffix} ({flag})", sign.trim()), false).await;
        }
        Deed::Sweep { sign, silent, flag } => {
            (1..=count).for_each(|number| client.change(number, *sign, flag));
            let (sign, suffix) = (sign.to_string(), suffix(silent));
            client.ask(&format!("t STORE 1:{count} {}FLAGS{suffix} ({flag})", sign.trim()), false).await;
        }
        Deed::Move(n) => drop(client.ask(&format!("m MOVE {} Trash", number(n)), true).await),
        Deed::Fetch(n) => drop(client.ask(&format!("f FETCH {} (FLAGS BODY[])", number(n)), false).await),
    }
}

/// Clients of these modes that did all that, and one that comes new to it.
async fn done(world: &World, modes: &[Mode], deeds: &[(usize, Deed)]) -> (Vec<Client>, Client) {
    world.ann().await.ask("c CREATE Trash").await;
    let mut clients = Vec::new();
    for mode in modes {
        clients.push(Client::new(world, *mode).await);
    }
    for (who, deed) in deeds {
        carry_out(&mut clients[*who], deed).await;
    }
    (clients, Client::new(world, Mode::Plain).await)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_sessions_see_one_mailbox(deeds in prop::collection::vec((0..3usize, deed()), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::with_recent().await;
            let (mut clients, fresh) = done(&world, &[Mode::Plain; 3], &deeds).await;
            for client in &mut clients {
                client.agrees_with(&fresh).await;
            }
            for at in 0..fresh.believed.len() {
                assert!(!fresh.is_recent(at));
                assert_eq!(clients.iter().filter(|client| client.is_recent(at)).count(), 1);
            }
        });
    }

    #[test]
    fn whatever_was_enabled_no_change_is_missed(deeds in prop::collection::vec((0..4usize, deed()), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let modes = [Mode::Plain, Mode::Rev2, Mode::CondStore, Mode::QResync];
            let (mut clients, fresh) = done(&world, &modes, &deeds).await;
            let mut lost = clients.pop().unwrap();
            lost.comes_back_to(&world, &fresh).await;
            for client in &mut clients {
                client.agrees_with(&fresh).await;
            }
        });
    }
}

/// A store that lets others have their turn before and behind each operation, by chance more than once.
struct Interrupted {
    below: Arc<dyn Store>,
    dice: AtomicU64,
}

impl Interrupted {
    async fn pass(&self) {
        let dice = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        for _ in 0..(dice >> 32) % 4 {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait::async_trait]
impl Store for Interrupted {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.pass().await;
        let found = self.below.get(key).await;
        self.pass().await;
        found
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.pass().await;
        let found = self.below.scan(scan).await;
        self.pass().await;
        found
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let done = self.below.commit(batch).await;
        self.pass().await;
        done
    }

    fn watch(&self, prefix: &[u8]) -> Watch {
        self.below.watch(prefix)
    }
}

/// Also what is changed between a session's own change and its answer.
#[tokio::test]
async fn no_change_is_missed_where_all_change_at_once() {
    for seed in 0..100 {
        let Storage { store, blobs } = MemoryStorage::new().storage();
        let store = Arc::new(Interrupted { below: store, dice: AtomicU64::new(seed << 33) });
        let world = World::over(Storage { store, blobs }, Arc::new(SystemClock), true).await;
        for _ in 0..3 {
            world.ann().await.append("INBOX", &letter("x")).await;
        }
        let modes = [Mode::Plain, Mode::Rev2, Mode::CondStore, Mode::QResync];
        let mut working = tokio::task::JoinSet::new();
        for (who, mode) in modes.into_iter().enumerate() {
            let mut client = Client::new(&world, mode).await;
            working.spawn(async move {
                for nth in 0..8 {
                    let flag = ["\\Seen", "\\Flagged", "work"][(nth / 2 + who) % 3];
                    let (sign, silent) = (['+', '-', ' '][nth * (who + 1) % 3], nth % 5 != 0);
                    let message = u8::try_from(nth % 3).unwrap();
                    let deed = match nth % 7 {
                        6 => Deed::Sweep { sign, silent, flag },
                        5 => Deed::Fetch(message),
                        _ => Deed::Store { message, sign, silent, flag },
                    };
                    carry_out(&mut client, &deed).await;
                }
                client
            });
        }
        let mut clients = working.join_all().await;
        let fresh = Client::new(&world, Mode::Plain).await;
        for client in &mut clients {
            match client.mode {
                Mode::QResync => client.comes_back_to(&world, &fresh).await,
                _ => client.agrees_with(&fresh).await,
            }
        }
    }
}

#[tokio::test]
async fn idle_tells_what_others_do() {
    let world = World::new().await;
    let (mut one, mut other) = (world.ann().await, world.ann().await);
    one.ask("a SELECT INBOX").await;
    assert!(one.ask("b IDLE").await.starts_with("+ "));
    let waiting = one.session.waiting(false).unwrap();
    other.append("INBOX", &letter("x")).await;
    tokio::time::timeout(std::time::Duration::from_secs(5), waiting.changed()).await.expect("news");
    assert_eq!(one.news().await, "* 1 EXISTS\r\n");
    other.ask("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE").await;
    assert_eq!(one.news().await, "* 1 EXPUNGE\r\n");
    assert!(one.ask("DONE").await.starts_with("b OK"));
}

/// An empty mailbox that is deleted while it is open looks empty, as any other does, also where another has its name then.
#[tokio::test]
async fn an_empty_mailbox_that_is_deleted_stays_empty() {
    let world = World::new().await;
    let (mut one, mut other) = (world.ann().await, world.ann().await);
    one.ask("a CREATE x").await;
    for peer in [&mut one, &mut other] {
        assert!(peer.ask("b SELECT x").await.contains("b OK"));
    }
    for command in ["DELETE x", "NOOP", "CREATE x", "NOOP", "FETCH 1:* FLAGS", "SEARCH ALL"] {
        let said = one.ask(&format!("c {command}")).await;
        assert!(!said.contains("BYE") && said.contains("c "), "{command}: {said}");
        let said = other.ask("d NOOP").await;
        assert!(said.starts_with("d OK"), "after {command}: {said}");
    }
}

/// A mailbox that was brought in with its UIDs takes the place of one that somebody has open.
#[tokio::test]
async fn who_has_an_empty_mailbox_open_hears_that_another_took_its_place() {
    let world = World::new().await;
    let mailboxes = world.directory.mailboxes();
    let ann = world.directory.account(&"ann@example.org".parse().unwrap()).await.unwrap().unwrap();
    let (mut idle, mut asks) = (world.ann().await, world.ann().await);
    for peer in [&mut idle, &mut asks] {
        assert!(peer.ask("a SELECT INBOX").await.contains("a OK"));
    }
    idle.ask("b IDLE").await;
    let staged = mailboxes.stage(ann.id, "INBOX", 1_300_000_000).await.unwrap().unwrap();
    assert!(asks.ask("b NOOP").await.contains("b OK"), "nobody sees what is staged");
    mailboxes.unveil(staged, (51, 50), None, true, now()).await.unwrap().unwrap();
    assert!(idle.news().await.starts_with("* BYE"));
    assert!(idle.session.is_over());
    let said = asks.ask("c NOOP").await;
    assert!(said.starts_with("* BYE") && !said.contains("c OK"), "{said}");
    let mut again = world.ann().await;
    let said = again.ask("a SELECT INBOX").await;
    assert!(said.contains("[UIDVALIDITY 1300000000]") && said.contains("[UIDNEXT 51]"), "{said}");
    again.append("INBOX", &letter("x")).await;
    assert!(again.ask("b UID SEARCH ALL").await.contains("* SEARCH 51"));
}
