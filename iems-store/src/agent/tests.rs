//! The agent against storage in memory, its effects committed as the engine would.

use std::sync::Arc;

use bytes::Bytes;
use iems_core::message::{Body, CheckResult, Envelope, QueueId, Recipient, ReversePath, Verdict};
use iems_core::preprocess::{Policy, Rule};
use iems_core::seam::{SystemClock, Timestamp};
use iems_core::storage::{MemoryStorage, Storage};

use super::*;
use crate::directory::{DirectoryOptions, DomainSettings, NewAccount, Over, Quota};
use crate::mailbox::{Message, Uid};
use crate::structure::Structure;

struct World {
    memory: Arc<MemoryStorage>,
    storage: Storage,
    directory: Arc<StoreDirectory>,
    agent: LocalAgent,
}

fn m(text: &str) -> Mailbox {
    text.parse().unwrap()
}

async fn world(accounts: &[&str]) -> World {
    let memory = MemoryStorage::new();
    let storage = memory.storage();
    let directory =
        Arc::new(StoreDirectory::new(storage.clone(), Arc::new(SystemClock), DirectoryOptions::default()));
    directory.add_domain(&"example.org".parse().unwrap(), DomainSettings::default()).await.unwrap();
    for account in accounts {
        directory.add_account(NewAccount::new(m(account))).await.unwrap();
    }
    World { memory, storage, agent: LocalAgent::new(directory.clone()), directory }
}

fn spam() -> Verdict {
    Verdict {
        check: "dnsbl".into(),
        result: CheckResult::Fail,
        score: 9.0,
        evidence: "listed\r\nX: y".into(),
    }
}

fn rule(action: Action) -> Rule {
    Rule { check: "dnsbl".into(), results: vec![], score: None, action }
}

fn to(address: &str, detail: Option<&str>, site: &Policy, verdicts: &[Verdict]) -> Destination {
    let recipient = Recipient::new(m(address));
    let (mailbox, detail) = (m(address), detail.map(String::from));
    Destination { mailbox, detail, recipient, decision: site.decide(verdicts) }
}

impl World {
    async fn attempt(&self, text: &str, destinations: Vec<Destination>, verdicts: &[Verdict]) -> Attempt {
        let mut writer = self.storage.blobs.create().await.unwrap();
        writer.write(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
        let blob = writer.finish().await.unwrap();
        let header_size = text.find("\r\n\r\n").map_or(text.len(), |at| at + 4) as u64;
        let body = Body { prefix: Bytes::new(), blob, blob_size: text.len() as u64, header_size };
        let now = Timestamp::from_millis(1_790_000_000_000);
        Attempt {
            id: QueueId::from_bytes([0; 16]),
            number: 1,
            envelope: Arc::new(Envelope::new(ReversePath::Mailbox(m("from@far.example")))),
            body,
            blobs: self.storage.blobs.clone(),
            destinations,
            verdicts: verdicts.into(),
            upstream: None,
            arrived: now,
            now,
        }
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = self.agent.deliver(attempt).await;
        let batch = std::mem::take(&mut delivery.effects.batch);
        self.storage.store.commit(batch).await.unwrap();
        delivery
    }

    /// What is kept beside a message of the INBOX.
    async fn structure(&self, account: &str, message: &Message) -> Structure {
        let info = self.directory.account(&m(account)).await.unwrap().unwrap();
        let rows = self.directory.mailboxes().structures(info.id, info.inbox, &[message.uid]).await.unwrap();
        Structure::decode(&rows[0].1).unwrap()
    }

    /// The messages of an account's folder.
    async fn folder(&self, account: &str, name: &str) -> Vec<Message> {
        let info = self.directory.account(&m(account)).await.unwrap().unwrap();
        let mailboxes = self.directory.mailboxes();
        match mailboxes.find(info.id, name).await.unwrap() {
            Some(folder) => mailboxes.messages(info.id, folder, Uid(0), 100).await.unwrap(),
            None => Vec::new(),
        }
    }
}

#[tokio::test]
async fn a_binary_message_becomes_lines_on_its_way_into_the_mailbox() {
    let world = world(&["ann@example.org"]).await;
    let none = Policy::new();
    let text = "Subject: hi\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\n.\n\0";
    let mut attempt = world.attempt(text, vec![to("ann@example.org", None, &none, &[])], &[]).await;
    attempt.envelope =
        Arc::new(Envelope { body: iems_core::message::BodyType::BinaryMime, ..(*attempt.envelope).clone() });
    let delivery = world.deliver(&attempt).await;
    assert!(matches!(delivery.outcomes[0], Outcome::Done(Arrival::Delivered, _)), "{:?}", delivery.outcomes);
    let message = &world.folder("ann@example.org", "INBOX").await[0];
    let octets = message.body.reader(&*world.storage.blobs).rest().await.unwrap();
    let octets = String::from_utf8(octets).unwrap();
    assert!(octets.ends_with("Content-Transfer-Encoding: base64\r\n\r\nCi4KAA==\r\n"), "{octets}");
    let header = message.body.header(&*world.storage.blobs, 10_000).await.unwrap();
    assert!(header.ends_with(b"base64\r\n\r\n"));
    let structure = world.structure("ann@example.org", message).await;
    assert_eq!(structure, Structure::of(octets.as_bytes()));
}

#[tokio::test]
async fn several_destinations_share_one_batch_and_one_body() {
    let world = world(&["ann@example.org", "bob@example.org"]).await;
    let none = Policy::new();
    let both = vec![to("ann@example.org", Some("x"), &none, &[]), to("bob@example.org", None, &none, &[])];
    let text = "Subject: hi\r\n\r\nbody\r\n";
    let attempt = world.attempt(text, both, &[]).await;
    let commits = world.memory.stats().commits;
    let delivery = world.deliver(&attempt).await;
    assert_eq!(world.memory.stats().commits, commits + 1);
    assert!(delivery.outcomes.iter().all(|o| matches!(o, Outcome::Done(Arrival::Delivered, _))));
    assert_eq!(delivery.decisions, [None, None]);
    assert_eq!(world.memory.owners(attempt.body.blob), 2);
    let message = &world.folder("ann@example.org", "INBOX").await[0];
    let octets = message.body.reader(&*world.storage.blobs).rest().await.unwrap();
    let fields = "Return-Path: <from@far.example>\r\nDelivered-To: ann+x@example.org\r\n";
    assert_eq!(octets, format!("{fields}{text}").into_bytes());
    let info = world.directory.account(&m("ann@example.org")).await.unwrap().unwrap();
    let usage = world.directory.mailboxes().usage(info.id).await.unwrap();
    assert_eq!((usage.octets, usage.messages), (octets.len() as u64, 1));
    assert_eq!(world.structure("ann@example.org", message).await, Structure::of(&octets));
}

#[tokio::test]
async fn the_common_case_reads_only_the_message_and_once() {
    let world = world(&["ann@example.org"]).await;
    let destination = to("ann@example.org", None, &Policy::new(), &[]);
    let attempt = world.attempt("A: b\r\n\r\n", vec![destination], &[]).await;
    world.deliver(&attempt).await;
    let before = world.memory.stats();
    world.agent.deliver(&attempt).await;
    let after = world.memory.stats();
    assert_eq!((after.gets, after.scans), (before.gets, before.scans));
    assert_eq!(after.blob_reads, before.blob_reads + 1);
}

#[tokio::test]
async fn the_owner_decides_above_the_floor_of_the_site() {
    use Action::*;
    let world = world(&["ann@example.org"]).await;
    let ann = m("ann@example.org");
    // (site, owner, folder, tagged)
    for (site, own, folder, tagged) in [
        (None, None, "INBOX", false),
        (None, Some(Accept), "INBOX", false),
        (None, Some(Tag), "INBOX", true),
        (None, Some(Junk), "Junk", true),
        (None, Some(Discard), "", false),
        (Some(Junk), Some(Accept), "Junk", true),
        (Some(Tag), None, "INBOX", true),
        (Some(Tag), Some(Junk), "Junk", true),
    ] {
        world
            .directory
            .update_account(&ann, |s| s.rules = own.map(rule).into_iter().collect())
            .await
            .unwrap();
        let site = site.map_or(Policy::new(), |action| Policy::new().rule(Scope::Site, rule(action)));
        let count = async |name| world.folder("ann@example.org", name).await.len();
        let before = (count("INBOX").await, count("Junk").await);
        let destination = to("ann@example.org", None, &site, &[spam()]);
        let attempt = world.attempt("A: b\r\n\r\n", vec![destination], &[spam()]).await;
        let delivery = world.deliver(&attempt).await;
        assert_eq!(delivery.decisions[0].as_ref().map(|d| d.action), own, "{own:?}");
        let new = (count("INBOX").await - before.0, count("Junk").await - before.1);
        assert_eq!(new, (usize::from(folder == "INBOX"), usize::from(folder == "Junk")), "{own:?}");
        if let Some(message) = world.folder("ann@example.org", folder).await.last() {
            let prefix = String::from_utf8(message.body.prefix.to_vec()).unwrap();
            assert_eq!(prefix.matches("X-IEMS-Verdict:").count(), usize::from(tagged), "{prefix}");
            assert_eq!(prefix.lines().count(), 2 + usize::from(tagged), "{prefix}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_too_late_goes_to_junk() {
    let world = world(&["ann@example.org"]).await;
    let refuse = |s: &mut DomainSettings| s.rules = vec![rule(Action::Refuse)];
    world.directory.update_domain(&"example.org".parse().unwrap(), refuse).await.unwrap();
    let destination = to("ann@example.org", None, &Policy::new(), &[spam()]);
    let attempt = world.attempt("A: b\r\n\r\n", vec![destination], &[spam()]).await;
    world.deliver(&attempt).await;
    assert_eq!(world.folder("ann@example.org", "Junk").await.len(), 1);
}

#[tokio::test]
async fn deliveries_at_once_make_the_folder_once() {
    let world = world(&["ann@example.org"]).await;
    let site = Policy::new().rule(Scope::Site, rule(Action::Junk));
    let destination = to("ann@example.org", None, &site, &[spam()]);
    let attempt = world.attempt("A: b\r\n\r\n", vec![destination], &[spam()]).await;
    let (first, second) = tokio::join!(world.agent.deliver(&attempt), world.agent.deliver(&attempt));
    for delivery in [first, second] {
        world.storage.store.commit(delivery.effects.batch).await.unwrap();
    }
    assert_eq!(world.folder("ann@example.org", "Junk").await.len(), 2);
    let info = world.directory.account(&m("ann@example.org")).await.unwrap().unwrap();
    assert_eq!(world.directory.mailboxes().list(info.id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_subaddress_names_a_folder_that_exists() {
    let world = world(&["ann@example.org"]).await;
    let info = world.directory.account(&m("ann@example.org")).await.unwrap().unwrap();
    let now = Timestamp::from_millis(0);
    world.directory.mailboxes().create(info.id, "Lists", None, now).await.unwrap();
    let details = [Some("lists"), Some("other"), Some(""), None];
    let destinations = details.map(|detail| to("ann@example.org", detail, &Policy::new(), &[]));
    let attempt = world.attempt("A: b\r\n\r\n", destinations.to_vec(), &[]).await;
    world.deliver(&attempt).await;
    assert_eq!(world.folder("ann@example.org", "Lists").await.len(), 1);
    assert_eq!(world.folder("ann@example.org", "INBOX").await.len(), 3);
}

#[tokio::test]
async fn a_message_that_was_here_before_is_a_loop() {
    let world = world(&["ann@example.org", "bob@example.org"]).await;
    let both = ["ann@example.org", "bob@example.org"].map(|a| to(a, None, &Policy::new(), &[]));
    let text = "Delivered-To: Ann+old@example.org\r\n\r\nDelivered-To: bob@example.org\r\n";
    let delivery = world.deliver(&world.attempt(text, both.to_vec(), &[]).await).await;
    assert!(matches!(&delivery.outcomes[0], Outcome::Failed(r) if r.enhanced.to_string() == "5.4.6"));
    assert!(matches!(&delivery.outcomes[1], Outcome::Done(..)));
}

#[tokio::test]
async fn a_full_mailbox_says_so() {
    let world = world(&["ann@example.org"]).await;
    let ann = m("ann@example.org");
    let quota = Quota { octets: Some(200), messages: Some(2) };
    world.directory.update_account(&ann, |s| s.quota = quota).await.unwrap();
    assert!(world.agent.accepts(&ann, 200).await.is_ok());
    let full = world.agent.accepts(&ann, 201).await.unwrap_err();
    assert_eq!((full.code, full.enhanced.to_string()), (552, "5.2.2".into()));
    let attempt = async || {
        let destination = to("ann@example.org", None, &Policy::new(), &[]);
        world.attempt("A: b\r\n\r\n", vec![destination], &[]).await
    };
    assert!(matches!(world.deliver(&attempt().await).await.outcomes[0], Outcome::Done(..)));
    assert!(matches!(world.deliver(&attempt().await).await.outcomes[0], Outcome::Done(..)));
    assert!(world.agent.accepts(&ann, 0).await.is_err());
    assert!(matches!(world.deliver(&attempt().await).await.outcomes[0], Outcome::Failed(..)));
    assert_eq!(world.folder("ann@example.org", "INBOX").await.len(), 3, "with the warning");
}

#[tokio::test]
async fn trouble_and_absence_become_outcomes() {
    let world = world(&["ann@example.org"]).await;
    let destinations = ["ann@example.org", "gone@example.org"].map(|a| to(a, None, &Policy::new(), &[]));
    let attempt = world.attempt("A: b\r\n\r\n", destinations.to_vec(), &[]).await;
    world.memory.fail_after(0, StoreError::Io("broken".into()));
    let delivery = world.agent.deliver(&attempt).await;
    assert!(delivery.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Deferred(_))));
    world.memory.heal();
    let prepared = world.agent.deliver(&attempt).await;
    assert!(matches!(prepared.outcomes[1], Outcome::Failed(_)));
    world.directory.remove_account(&m("ann@example.org")).await.unwrap();
    assert!(world.storage.store.commit(prepared.effects.batch).await.is_err());
    assert!(matches!(world.agent.deliver(&attempt).await.outcomes[0], Outcome::Failed(_)));
}

#[tokio::test]
async fn an_owner_is_warned_once_for_each_time_the_mark_is_passed() {
    let world = world(&["ann@example.org"]).await;
    let ann = m("ann@example.org");
    let quota = Quota { octets: None, messages: Some(10) };
    world.directory.update_account(&ann, |s| s.quota = quota).await.unwrap();
    let deliver = async || {
        let destination = to("ann@example.org", None, &Policy::new(), &[]);
        let attempt = world.attempt("A: b\r\n\r\n", vec![destination], &[]).await;
        world.deliver(&attempt).await
    };
    let warnings = async || {
        let all = world.folder("ann@example.org", "INBOX").await;
        let mut found = 0;
        for message in all {
            let text = message.body.reader(&*world.storage.blobs).rest().await.unwrap();
            found += String::from_utf8(text).unwrap().matches("Subject: Your mailbox is 90 % full").count();
        }
        found
    };
    for _ in 0..8 {
        deliver().await;
    }
    assert_eq!(warnings().await, 0);
    deliver().await;
    assert_eq!((warnings().await, world.folder("ann@example.org", "INBOX").await.len()), (1, 10));
    let info = world.directory.account(&ann).await.unwrap().unwrap();
    let standing = world.directory.standing(&info).await.unwrap();
    assert_eq!((standing.percent(), standing.state.warned), (Some(100), true));
    assert!(matches!(&deliver().await.outcomes[0], Outcome::Failed(r) if r.code == 552));
    // Below the mark, and over it again.
    let uids: Vec<_> = (1..=7).map(Uid).collect();
    world.directory.mailboxes().expunge(info.id, info.inbox, &uids).await.unwrap();
    assert_eq!(warnings().await, 1);
    for _ in 0..6 {
        deliver().await;
    }
    assert_eq!(warnings().await, 2);
}

#[tokio::test]
async fn room_that_was_made_counts_although_nothing_came_meanwhile() {
    let memory = MemoryStorage::new();
    let mut options = DirectoryOptions::default();
    options.quota.grace = std::time::Duration::from_secs(3600);
    options.quota.grace_percent = 100;
    options.quota.account.octets = Some(2000);
    let directory = Arc::new(StoreDirectory::new(memory.storage(), Arc::new(SystemClock), options));
    directory.add_domain(&"example.org".parse().unwrap(), DomainSettings::default()).await.unwrap();
    directory.add_account(NewAccount::new(m("ann@example.org"))).await.unwrap();
    let agent = LocalAgent::new(directory.clone());
    let world = World { storage: memory.storage(), memory, directory, agent };
    let info = world.directory.account(&m("ann@example.org")).await.unwrap().unwrap();
    let deliver = async |later: u64, octets: usize| {
        let destination = to("ann@example.org", None, &Policy::new(), &[]);
        let text = format!("A: b\r\n\r\n{}\r\n", "x".repeat(octets));
        let mut attempt = world.attempt(&text, vec![destination], &[]).await;
        attempt.now = attempt.now.after(std::time::Duration::from_secs(later));
        matches!(world.deliver(&attempt).await.outcomes[0], Outcome::Done(..))
    };
    let count = async || world.folder("ann@example.org", "INBOX").await.len();
    let state = async || world.directory.standing(&info).await.unwrap().state;
    for day in 0..3 {
        // One message, and the warning; over the limit at once, and another in the time of grace.
        assert!(deliver(day * 86_400, 2000).await && deliver(day * 86_400 + 60, 10).await, "day {day}");
        assert!(state().await.warned && state().await.over_since.is_some());
        assert!(!deliver(day * 86_400 + 4000, 10).await, "the time is over");
        assert_eq!(count().await, 3, "day {day}");
        let uids: Vec<_> = (1..=100).map(Uid).collect();
        world.directory.mailboxes().expunge(info.id, info.inbox, &uids).await.unwrap();
        assert_eq!(state().await, Default::default());
    }
}

#[tokio::test]
async fn mail_is_taken_over_the_limit_for_some_time_and_to_some_extent() {
    let memory = MemoryStorage::new();
    let mut options = DirectoryOptions::default();
    options.quota.grace = std::time::Duration::from_secs(3600);
    options.quota.grace_percent = 50;
    options.quota.warn_percent = 0;
    options.quota.temporary = true;
    options.quota.account.messages = Some(4);
    let directory = Arc::new(StoreDirectory::new(memory.storage(), Arc::new(SystemClock), options));
    directory.add_domain(&"example.org".parse().unwrap(), DomainSettings::default()).await.unwrap();
    directory.add_account(NewAccount::new(m("ann@example.org"))).await.unwrap();
    let agent = LocalAgent::new(directory.clone());
    let world = World { storage: memory.storage(), memory, directory, agent };
    let deliver = async |later: u64| {
        let destination = to("ann@example.org", None, &Policy::new(), &[]);
        let mut attempt = world.attempt("A: b\r\n\r\n", vec![destination], &[]).await;
        attempt.now = attempt.now.after(std::time::Duration::from_secs(later));
        matches!(world.deliver(&attempt).await.outcomes[0], Outcome::Done(..))
    };
    for _ in 0..5 {
        assert!(deliver(0).await);
    }
    assert!(!deliver(4000).await, "the time is over");
    assert!(deliver(100).await);
    assert!(!deliver(100).await, "half as much again is the most");
    let info = world.directory.account(&m("ann@example.org")).await.unwrap().unwrap();
    let over = world.directory.over_quota(&info, 1, 1).await.unwrap();
    assert_eq!(over, Some(Over::Account), "users themselves have no grace");
}

#[tokio::test]
async fn a_domain_has_a_limit_for_all_and_one_for_each() {
    let world = world(&["ann@example.org", "bob@example.org"]).await;
    let limit = |messages| Quota { octets: None, messages: Some(messages) };
    let set = |s: &mut DomainSettings| (s.quota.total, s.quota.each) = (limit(3), limit(2));
    world.directory.update_domain(&"example.org".parse().unwrap(), set).await.unwrap();
    let info = world.directory.account(&m("bob@example.org")).await.unwrap().unwrap();
    assert_eq!(world.directory.limits(&info).await.unwrap(), limit(2));
    assert_eq!(world.directory.over_quota(&info, 1, 2).await.unwrap(), None);
    assert_eq!(world.directory.over_quota(&info, 1, 3).await.unwrap(), Some(Over::Account));
    let own = |s: &mut crate::directory::AccountSettings| s.quota = limit(100);
    world.directory.update_account(&m("bob@example.org"), own).await.unwrap();
    let info = world.directory.account(&m("bob@example.org")).await.unwrap().unwrap();
    assert_eq!(world.directory.over_quota(&info, 1, 4).await.unwrap(), Some(Over::Domain));
}

#[tokio::test]
async fn a_message_that_the_folder_has_is_dropped_where_that_is_wanted() {
    let mut world = world(&["ann@example.org"]).await;
    let deliver = async |world: &World| {
        let destination = to("ann@example.org", None, &Policy::new(), &[]);
        let attempt = world.attempt("Message-ID: <same@x>\r\n\r\n", vec![destination], &[]).await;
        let outcome = world.deliver(&attempt).await.outcomes.remove(0);
        assert!(matches!(outcome, Outcome::Done(..)));
        world.folder("ann@example.org", "INBOX").await.len()
    };
    assert_eq!((deliver(&world).await, deliver(&world).await), (1, 2));
    let options = AgentOptions { drop_duplicates: true, ..Default::default() };
    world.agent = LocalAgent::new(world.directory.clone()).with_options(options);
    assert_eq!(deliver(&world).await, 2);
}

#[tokio::test]
async fn a_mailbox_is_made_as_the_sender_wrote_it_or_as_it_is_usual() {
    let mut world = world(&["ann@example.org"]).await;
    let options = AgentOptions { make_mailboxes: true, ..Default::default() };
    world.agent = LocalAgent::new(world.directory.clone()).with_options(options);
    for written in ["Rust-Lists", "SENT", "junk"] {
        let mut destination = to("ann@example.org", Some(&written.to_lowercase()), &Policy::new(), &[]);
        destination.recipient = Recipient::new(m(&format!("Ann+{written}@example.org")));
        world.deliver(&world.attempt("A: b\r\n\r\n", vec![destination], &[]).await).await;
    }
    let info = world.directory.account(&m("ann@example.org")).await.unwrap().unwrap();
    let all = world.directory.mailboxes().list(info.id).await.unwrap();
    let shown: Vec<_> = all.iter().map(|info| (&info.path[..], info.special)).collect();
    use crate::mailbox::SpecialUse::{Junk, Sent};
    assert_eq!(shown, [("INBOX", None), ("Junk", Some(Junk)), ("Rust-Lists", None), ("Sent", Some(Sent))]);
}

#[tokio::test]
async fn answers_join_the_thread() {
    let world = world(&["ann@example.org"]).await;
    let texts = [
        "Message-ID: <a@x>\r\n\r\n",
        "Message-ID: <b@x>\r\n\r\n",
        "Message-ID: <c@x>\r\nIn-Reply-To: <a@x>\r\n\r\n",
        "Message-ID: <d@x>\r\nReferences: <gone@x> <c@x>\r\n\r\n",
    ];
    for text in texts {
        let destination = to("ann@example.org", None, &Policy::new(), &[]);
        world.deliver(&world.attempt(text, vec![destination], &[]).await).await;
    }
    let info = world.directory.account(&m("ann@example.org")).await.unwrap().unwrap();
    let uids: Vec<_> = (1..=4).map(Uid).collect();
    let infos = world.directory.mailboxes().infos(info.id, info.inbox, &uids).await.unwrap();
    let threads: Vec<_> = infos.iter().map(|info| info.thread).collect();
    assert_eq!(threads[0], infos[0].email);
    assert_eq!(threads, [threads[0], threads[1], threads[0], threads[0]]);
    assert_ne!(threads[0], threads[1]);
}

#[tokio::test]
async fn a_subaddress_makes_its_mailbox_where_that_is_wanted() {
    let mut world = world(&["ann@example.org"]).await;
    let options = AgentOptions { make_mailboxes: true, ..Default::default() };
    world.agent = LocalAgent::new(world.directory.clone()).with_options(options);
    let details = [Some("Lists/Rust"), Some("lists/rust"), Some("Archive"), Some("a//b")];
    for detail in details {
        let destination = to("ann@example.org", detail, &Policy::new(), &[]);
        let attempt = world.attempt("A: b\r\n\r\n", vec![destination], &[]).await;
        assert!(matches!(world.deliver(&attempt).await.outcomes[0], Outcome::Done(..)));
    }
    let count = async |name| world.folder("ann@example.org", name).await.len();
    assert_eq!((count("Lists/Rust").await, count("Archive").await, count("INBOX").await), (2, 1, 1));
    let info = world.directory.account(&m("ann@example.org")).await.unwrap().unwrap();
    let all = world.directory.mailboxes().list(info.id).await.unwrap();
    let shown: Vec<_> = all.iter().map(|one| (&one.path[..], one.subscribed, one.special)).collect();
    let archive = Some(crate::mailbox::SpecialUse::Archive);
    assert_eq!(shown[0], ("Archive", true, archive));
    assert!(shown.contains(&("Lists/Rust", true, None)), "{shown:?}");
}

#[tokio::test]
async fn one_attempt_makes_many_mailboxes_of_an_account() {
    let mut world = world(&["ann@example.org", "bob@example.org"]).await;
    let options = AgentOptions { make_mailboxes: true, ..Default::default() };
    world.agent = LocalAgent::new(world.directory.clone()).with_options(options);
    let all = [("ann@example.org", "One"), ("ann@example.org", "Two/Three"), ("bob@example.org", "One")];
    let destinations = all.map(|(account, detail)| to(account, Some(detail), &Policy::new(), &[]));
    let attempt = world.attempt("A: b\r\n\r\n", destinations.to_vec(), &[]).await;
    let outcomes = world.deliver(&attempt).await.outcomes;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(..))), "{outcomes:?}");
    for (account, detail) in all {
        assert_eq!(world.folder(account, detail).await.len(), 1, "{account} {detail}");
    }
    // What nobody could open is not made.
    let destination = to("ann@example.org", Some("Other Users/x"), &Policy::new(), &[]);
    world.deliver(&world.attempt("A: b\r\n\r\n", vec![destination], &[]).await).await;
    assert_eq!(world.folder("ann@example.org", "INBOX").await.len(), 1);
}

/// As one message does that is named twice, or reaches an account by two ways.
#[tokio::test]
async fn what_is_for_one_mailbox_twice_comes_once_where_it_is_the_same() {
    for (drop_duplicates, wanted) in [(false, 2), (true, 1)] {
        let mut world = world(&["ann@example.org"]).await;
        let options = AgentOptions { drop_duplicates, ..Default::default() };
        world.agent = LocalAgent::new(world.directory.clone()).with_options(options);
        let mut alias = to("ann@example.org", None, &Policy::new(), &[]);
        alias.recipient = Recipient::new(m("sales@example.org"));
        let plain = to("ann@example.org", None, &Policy::new(), &[]);
        let destinations = vec![plain.clone(), alias, plain];
        let attempt = world.attempt("Message-ID: <a@x>\r\n\r\n", destinations, &[]).await;
        let outcomes = world.deliver(&attempt).await.outcomes;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(..))), "{outcomes:?}");
        assert_eq!(world.folder("ann@example.org", "INBOX").await.len(), wanted, "{drop_duplicates}");
    }
}

#[tokio::test]
async fn an_owner_is_warned_once_of_what_comes_at_once() {
    // Together they pass the mark, each for itself does not; each does.
    for (limit, wanted) in [(2, 3), (1, 3), (9, 2)] {
        let world = world(&["ann@example.org"]).await;
        let own = |s: &mut crate::directory::AccountSettings| {
            s.quota = Quota { octets: None, messages: Some(limit) };
        };
        world.directory.update_account(&m("ann@example.org"), own).await.unwrap();
        let mut alias = to("ann@example.org", None, &Policy::new(), &[]);
        alias.recipient = Recipient::new(m("sales@example.org"));
        let destinations = vec![to("ann@example.org", None, &Policy::new(), &[]), alias];
        world.deliver(&world.attempt("A: b\r\n\r\n", destinations, &[]).await).await;
        assert_eq!(world.folder("ann@example.org", "INBOX").await.len(), wanted, "{limit}");
    }
}

/// Finds mail with a word in its subject, which another judge before it has to have seen as well.
struct Word(&'static str);

#[async_trait::async_trait]
impl PersonalJudge for Word {
    async fn inspect(&self, subject: &PersonalSubject<'_>) -> Vec<Verdict> {
        let envelope = subject.structure.parts[0].envelope.as_deref();
        let told = envelope.and_then(|envelope| envelope.subject.as_deref());
        let found = told.is_some_and(|told| told.windows(self.0.len()).any(|word| word == self.0.as_bytes()));
        let result = if found { CheckResult::Fail } else { CheckResult::Pass };
        let evidence = format!("{} after {} others", subject.account.mailbox, subject.verdicts.len());
        vec![Verdict { check: "dnsbl".into(), result, score: 1.0, evidence }]
    }
}

#[tokio::test]
async fn personal_judges_find_and_the_owners_rules_decide() {
    let mut world = world(&["ann@example.org", "bob@example.org"]).await;
    let junk = |s: &mut crate::directory::AccountSettings| s.rules = vec![rule(Action::Junk)];
    world.directory.update_account(&m("ann@example.org"), junk).await.unwrap();
    let judges = [Arc::new(Word("nothing")), Arc::new(Word("pills"))];
    let agent = LocalAgent::new(world.directory.clone());
    world.agent = judges.into_iter().fold(agent, |agent, judge| agent.with_judge(judge));
    for subject in ["pills", "apples"] {
        let both = ["ann@example.org", "bob@example.org"].map(|a| to(a, None, &Policy::new(), &[]));
        let text = format!("Subject: cheap {subject}\r\n\r\n");
        world.deliver(&world.attempt(&text, both.to_vec(), &[]).await).await;
    }
    let count = async |account, name| world.folder(account, name).await.len();
    assert_eq!((count("ann@example.org", "Junk").await, count("ann@example.org", "INBOX").await), (1, 1));
    assert_eq!(count("bob@example.org", "INBOX").await, 2, "who has no rules wants everything");
}
