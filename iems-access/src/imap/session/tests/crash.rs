//! The power goes at every operation of the disk while several clients work on the mailboxes of an account, by random but
//! repeatable commands. What was answered with OK is there afterwards, what was not is there whole or not at all: messages, UIDs,
//! flags, MODSEQ, names, subscriptions, rights, annotations, quota. Clients that come back with QRESYNC hear all they missed; and
//! when all goes on, it ends as if nothing had happened.

use std::collections::BTreeMap;

use iems_core::message::Body;
use iems_core::seam::{Clock, Random, SeededRandom};
use iems_core::storage::{Batch, CommitError, Storage};
use iems_store::engine::{Embedded, EmbeddedOptions, Fault, SimDisk};
use iems_store::mailbox::{AccountId, Mailboxes, NewMessage};

use super::*;

const BOXES: [&str; 4] = ["INBOX", "a", "a/b", "c"];
const STEPS: usize = 50;

/// The time of accounts, which is that of their mailboxes.
#[derive(Debug)]
struct Standing;

#[async_trait::async_trait]
impl Clock for Standing {
    fn now(&self) -> Timestamp {
        now()
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

/// What one client does: it selects a mailbox, and says something.
#[derive(Debug, Clone)]
enum Step {
    Say { bob: bool, select: Option<&'static str>, command: String },
    Deliver(u32),
}

/// Commands as a seed has them. Some are refused, and always the same ones.
fn steps(seed: u64) -> Vec<Step> {
    let random = SeededRandom::new(seed);
    let below = |bound: usize| (random.next_u64() % bound as u64) as usize;
    let one = |of: &[&'static str]| of[below(of.len())];
    let say = |command: String| Step::Say { bob: false, select: None, command };
    let mut steps: Vec<_> =
        ["CREATE a/b", "CREATE c", "SETACL INBOX bob@example.org lrswi", "SETACL c bob@example.org lrswi"]
            .map(|command| say(command.to_owned()))
            .into();
    for nth in 100..104 {
        let text = letter(&format!("n{nth}"));
        steps.push(say(format!("APPEND {} {{{}+}}\r\n{text}", BOXES[nth % 4], text.len())));
    }
    for nth in 0..STEPS {
        let (from, to) = (one(&BOXES), one(&BOXES));
        let set = match below(3) {
            0 => "1:*".to_owned(),
            _ => format!("{}:{}", 1 + below(6), 1 + below(6)),
        };
        let text = letter(&format!("n{nth}"));
        let literal = format!("{{{}+}}\r\n{text}", text.len());
        let flags = one(&["\\Seen", "\\Deleted", "\\Flagged work", "play", "\\Deleted \\Seen"]);
        let (select, command) = match below(20) {
            0 | 1 => (None, format!("APPEND {to} ({flags}) {literal}")),
            2 => (None, format!("APPEND {to} {literal} ({flags}) {literal}")),
            3..=5 => (Some(from), format!("UID STORE {set} {}FLAGS ({flags})", one(&["+", "-", ""]))),
            6 | 7 => (Some(from), format!("UID COPY {set} {to}")),
            8 | 9 => (Some(from), format!("UID MOVE {set} {to}")),
            10 => (Some(from), "EXPUNGE".to_owned()),
            11 => (Some(from), format!("UID REPLACE {} {to} ({flags}) {literal}", 1 + below(4))),
            12 => (None, format!("CREATE {to}")),
            // INBOX gives its mail away in several commits.
            13 => (None, format!("RENAME {} {to}", one(&BOXES[1..]))),
            14 => (None, format!("DELETE {from}")),
            15 => (None, format!("{} {to}", one(&["SUBSCRIBE", "UNSUBSCRIBE"]))),
            16 => (None, format!("SETMETADATA {from} ({} \"{nth}\")", one(&["/private/x", "/shared/y"]))),
            17 => (None, format!("SETACL {from} bob@example.org {}", one(&["lr", "lrswit", "+e", "-w"]))),
            18 => {
                let command = format!("APPEND \"Other Users/ann@example.org/{to}\" ({flags}) {literal}");
                steps.push(Step::Say { bob: true, select: None, command });
                continue;
            }
            _ => {
                steps.push(Step::Deliver(nth as u32));
                continue;
            }
        };
        steps.push(Step::Say { bob: false, select, command });
    }
    steps
}

/// All that can be seen of the mailboxes.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    told: String,
    boxes: BTreeMap<String, SeenBox>,
    octets: u64,
    messages: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct SeenBox {
    validity: String,
    modseq: u64,
    /// Flags and MODSEQ, by UID.
    messages: BTreeMap<u32, (String, u64)>,
}

/// The site on a disk, as long as the power is there.
struct Life {
    world: World,
    storage: Storage,
    mailboxes: Mailboxes,
    account: AccountId,
    ann: Peer,
    bob: Peer,
    _engine: Arc<Embedded>,
}

impl Life {
    async fn begin(disk: &SimDisk, first: bool) -> Self {
        let mut options = EmbeddedOptions::default();
        (options.segment_bytes, options.background) = (128 << 10, false);
        let engine = Embedded::open_on(Arc::new(disk.clone()), options).expect("the store opens");
        let storage = engine.storage();
        let world = World::over(storage.clone(), Arc::new(Standing), first).await;
        let mailboxes = Mailboxes::new(storage.clone());
        let account = world.accounts.directory().account(&"ann@example.org".parse().unwrap()).await;
        let account = account.unwrap().unwrap().id;
        mailboxes.purge_removed().await.unwrap();
        let (mut ann, bob) = (world.ann().await, world.known("bob").await);
        ann.ask("e ENABLE QRESYNC").await;
        Self { world, storage, mailboxes, account, ann, bob, _engine: engine }
    }

    /// Carries out a step; whether it was answered with OK.
    async fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Say { bob, select, command } => {
                let peer = if *bob { &mut self.bob } else { &mut self.ann };
                if let Some(select) = select {
                    peer.ask(&format!("s SELECT {select}")).await;
                }
                let said = peer.ask(&format!("c {command}")).await;
                said.lines().any(|line| line.starts_with("c OK"))
            }
            Step::Deliver(nth) => self.deliver(*nth).await.is_ok(),
        }
    }

    async fn deliver(&self, nth: u32) -> Result<(), CommitError> {
        let text = letter(&format!("delivered{nth}"));
        let mut writer = self.storage.blobs.create().await?;
        writer.write(text.clone().into()).await?;
        let blob = writer.finish().await?;
        let body = Body { prefix: Default::default(), blob, blob_size: text.len() as u64, header_size: 0 };
        let inbox = self.mailboxes.find(self.account, "INBOX").await?.unwrap();
        let mut batch = Batch::new();
        Mailboxes::append(&mut batch, self.account, inbox, &NewMessage::new(now(), body)).unwrap();
        self.storage.store.commit(batch).await.map(drop)
    }

    /// Looks at everything with a session that knows nothing.
    async fn look(&self) -> Seen {
        let world = self.world.restarted();
        let mut peer = world.ann().await;
        peer.ask("e ENABLE CONDSTORE").await;
        let mut seen = Seen::default();
        seen.told += &peer.ask("l LIST \"\" * RETURN (SUBSCRIBED CHILDREN)\r\nl LSUB \"\" *").await;
        seen.told += &peer.ask("l GETMETADATA (DEPTH infinity) \"\" (/private /shared)").await;
        for info in self.mailboxes.list(self.account).await.unwrap().iter().filter(|info| info.selectable) {
            let path = &info.path;
            let said = peer.ask(&format!("x EXAMINE {path}")).await;
            let code =
                |name: &str| said.split_once(name).and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
            let (validity, modseq) =
                (code("[UIDVALIDITY ").to_owned(), code("[HIGHESTMODSEQ ").parse().unwrap());
            seen.told += &format!("{path} {}\r\n", code("[UIDNEXT "));
            let said = peer.ask("f UID FETCH 1:* (FLAGS MODSEQ)").await;
            let messages = said.lines().filter_map(fetched).collect();
            seen.boxes.insert(path.clone(), SeenBox { validity, modseq, messages });
            seen.told +=
                &peer.ask("f UID FETCH 1:* (RFC822.SIZE EMAILID THREADID ENVELOPE BODY.PEEK[])").await;
            seen.told += &peer
                .ask(&format!(
                    "m GETMETADATA (DEPTH infinity) {path} (/private /shared)\r\na GETACL {path}\r\n\
                     t STATUS {path} (MESSAGES SIZE UNSEEN DELETED)"
                ))
                .await;
        }
        let usage = self.mailboxes.usage(self.account).await.unwrap();
        (seen.octets, seen.messages) = (usage.octets, usage.messages);
        let checked = self.mailboxes.check(self.account, false, true, &mut |_| ()).await.unwrap();
        assert_eq!(checked.findings, []);
        seen
    }

    /// Somebody comes back who knew what is in `before`, and hears what makes it what is in `after`.
    async fn come_back(&self, before: &Seen, after: &Seen) {
        let mut peer = self.world.ann().await;
        peer.ask("e ENABLE QRESYNC").await;
        for (path, known) in &before.boxes {
            let there = after.boxes.get(path).filter(|there| there.validity == known.validity);
            let Some(there) = there else { continue };
            let SeenBox { validity, modseq, messages } = known;
            let said = peer.ask(&format!("s SELECT {path} (QRESYNC ({validity} {modseq}))")).await;
            assert!(said.contains("s OK"), "{said}");
            let mut messages = messages.clone();
            for line in said.lines() {
                if let Some(set) = line.strip_prefix("* VANISHED (EARLIER) ") {
                    super::model::numbers(set).for_each(|uid| drop(messages.remove(&uid)));
                }
                messages.extend(fetched(line));
            }
            assert_eq!(messages, there.messages, "{path} since {modseq}: {said}");
        }
    }
}

/// UID, flags and MODSEQ of a message that is told.
fn fetched(line: &str) -> Option<(u32, (String, u64))> {
    let after = |word: &str| line.split_once(word).map(|(_, rest)| rest);
    line.contains(" FETCH (").then_some(())?;
    let uid = after("UID ")?.split([' ', ')']).next()?.parse().ok()?;
    let mut flags: Vec<&str> = after("FLAGS (")?.split(')').next()?.split(' ').collect();
    flags.sort_unstable();
    let modseq = after("MODSEQ (")?.split(')').next()?.parse().ok()?;
    Some((uid, (flags.join(" "), modseq)))
}

/// How everything looks before the first step and after each, and how many operations of the disk that took.
async fn undisturbed(steps: &[Step]) -> (Vec<Seen>, u64) {
    let disk = SimDisk::new();
    let mut life = Life::begin(&disk, true).await;
    let mut seen = vec![life.look().await];
    let mut operations = 0;
    for step in steps {
        let before = disk.operations();
        life.step(step).await;
        operations += disk.operations() - before;
        seen.push(life.look().await);
    }
    (seen, operations)
}

async fn cut_at(at: u64, seed: u64, steps: &[Step], seen: &[Seen]) {
    let disk = SimDisk::new();
    let mut life = Life::begin(&disk, true).await;
    let end = disk.operations() + at;
    disk.fail_after(at, u64::MAX, Fault::PowerCut);
    let mut done = 0;
    let mut answered = true;
    for step in steps {
        answered = life.step(step).await;
        done += 1;
        if disk.operations() > end {
            break;
        }
    }
    drop(life);
    disk.crash(seed);
    let mut life = Life::begin(&disk, false).await;
    let now = life.look().await;
    let what = format!("cut at {at}, seed {seed}, within step {done}: {:?}", steps.get(done - 1));
    if now != seen[done] {
        assert!(!answered || seen[done - 1] == seen[done], "{what}: answered, and lost");
        assert_eq!(now, seen[done - 1], "{what}");
        done -= 1;
    }
    let random = SeededRandom::new(seed ^ at);
    for _ in 0..3 {
        life.come_back(&seen[(random.next_u64() % (done as u64 + 1)) as usize], &now).await;
    }
    for step in &steps[done..] {
        life.step(step).await;
    }
    let last = life.look().await;
    assert_eq!(Some(&last), seen.last(), "{what}: it ended otherwise");
    life.come_back(&seen[done], &last).await;
}

/// Lives a seed's life as often as the disk has operations in it, and ends it at each of them; with `every`, at each so many.
fn lives(seed: u64, every: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let steps = steps(seed);
        let (seen, operations) = undisturbed(&steps).await;
        assert!(operations > 20, "the clients do too little: {operations}");
        for at in (seed % every..operations).step_by(every as usize) {
            cut_at(at, seed, &steps, &seen).await;
        }
    });
}

#[test]
fn a_power_cut_at_any_moment_leaves_all_mailboxes_and_their_clients_exact() {
    lives(0, 1);
    for seed in 1..8 {
        lives(seed, 9);
    }
}

#[test]
#[ignore = "takes as long as one likes"]
fn many_power_cuts_leave_all_mailboxes_and_their_clients_exact() {
    for seed in 1000..1200 {
        lives(seed, 3);
    }
}
