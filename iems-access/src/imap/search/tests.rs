//! Searching a mailbox in memory.

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, MemoryStorage, Storage};
use iems_store::directory::{DirectoryOptions, DomainSettings, NewAccount, StoreDirectory};
use iems_store::mailbox::{KeywordSet, MessageInfo, MessageState, NewMessage, Uid};
use iems_store::search::{KnownTexts, Needle};
use iems_store::structure::Structure;

use super::*;
use crate::imap::types::{Date, SortKey};
use crate::net::Budget;

struct World {
    storage: Storage,
    mailboxes: Mailboxes,
    account: AccountId,
    mailbox: MailboxId,
}

const NOW: u64 = 1_790_000_000;

async fn world() -> World {
    let storage = MemoryStorage::new().storage();
    let clock = std::sync::Arc::new(iems_core::seam::SystemClock);
    let directory = StoreDirectory::new(storage.clone(), clock, DirectoryOptions::default());
    directory.add_domain(&"example.org".parse().unwrap(), DomainSettings::default()).await.unwrap();
    let address = "ann@example.org".parse().unwrap();
    directory.add_account(NewAccount::new(address)).await.unwrap();
    let info = directory.account(&"ann@example.org".parse().unwrap()).await.unwrap().unwrap();
    World { mailboxes: directory.mailboxes().clone(), storage, account: info.id, mailbox: info.inbox }
}

impl World {
    /// Appends a message, `age` seconds old, with or without its structure.
    async fn add(&self, text: &str, flags: Flags, age: u64, with_structure: bool) {
        let mut writer = self.storage.blobs.create().await.unwrap();
        writer.write(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
        let blob = writer.finish().await.unwrap();
        let header_size = text.find("\r\n\r\n").map_or(text.len(), |at| at + 4) as u64;
        let body = Body { prefix: Bytes::new(), blob, blob_size: text.len() as u64, header_size };
        let mut message = NewMessage::new(Timestamp::from_millis((NOW - age) * 1000), body).with_flags(flags);
        if with_structure {
            message.structure = Some(Structure::of(text.as_bytes()).encode().unwrap().into());
        }
        let mut batch = Batch::new();
        Mailboxes::append(&mut batch, self.account, self.mailbox, &message).unwrap();
        self.storage.store.commit(batch).await.unwrap();
    }

    async fn states(&self) -> Vec<MessageState> {
        self.mailboxes.view(self.account, self.mailbox, Uid(0), 1000).await.unwrap()
    }

    async fn with<R>(&self, limits: SearchLimits, act: impl AsyncFnOnce(&Searched<'_>) -> R) -> R {
        let states = self.states().await;
        let none = KeywordSet::default();
        let candidates: Vec<_> =
            states.iter().zip(1..).map(|(state, number)| candidate(state, number, &none)).collect();
        let keywords = self.mailboxes.keywords(self.account).await.unwrap();
        let searched = Searched {
            mailboxes: &self.mailboxes,
            index: None,
            account: self.account,
            mailbox: self.mailbox,
            candidates: &candidates,
            keywords: &keywords,
            saved: &NumberSet::from_iter([2]),
            now: Timestamp::from_millis(NOW * 1000),
            limits,
            budget: Budget::default(),
        };
        act(&searched).await
    }

    /// Sequence numbers of what is found.
    async fn find(&self, key: SearchKey) -> Vec<usize> {
        let found =
            self.with(SearchLimits::default(), async |searched| searched.find(&key).await.unwrap()).await;
        found.into_iter().map(|place| place + 1).collect()
    }
}

fn candidate<'a>(state: &MessageState, number: u32, keywords: &'a KeywordSet) -> Candidate<'a> {
    let (uid, modseq, flags) = (state.uid.0, state.modseq, state.flags);
    Candidate { number, uid, modseq, flags, keywords, recent: number == 3 }
}

const FIRST: &str = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: ann@example.org, Bob <bob@example.org>\r\n\
Date: Mon, 1 Jan 2024 23:30:00 -0500\r\nSubject: =?iso-8859-1?Q?Gr=FC=DFe?=\r\nX-Own: some value\r\n\
Message-ID: <1@x>\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
TMOkcm0gdW5kIFJ1aGU=\r\n";
const SECOND: &str = "From: bob@example.org\r\nSubject: Re: Gr\u{fc}\u{df}e\r\nIn-Reply-To: <1@x>\r\nMessage-ID: <2@x>\r\n\
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=koi8-r\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\n=F0=D2=C9=D7=C5=D4 so=\r\nft\r\n--b\r\n\
Content-Type: application/octet-stream; name=secretname\r\n\r\nneedle in a file\r\n--b--\r\n";
const THIRD: &str = "Subject: other\r\nDate: 1 Feb 2024 10:00 +0000\r\n\r\nplain words\r\n";

async fn three(with_structure: bool) -> World {
    let world = world().await;
    world.add(FIRST, Flags::SEEN, 1000, with_structure).await;
    world.add(SECOND, Flags::empty(), 100, with_structure).await;
    world.add(THIRD, Flags::FLAGGED, 10, with_structure).await;
    world
}

fn text(key: fn(String) -> SearchKey, text: &str) -> SearchKey {
    key(text.to_owned())
}

#[tokio::test]
async fn texts_are_found_decoded_in_any_case_with_and_without_structure() {
    use SearchKey as K;
    for with_structure in [true, false] {
        let world = three(with_structure).await;
        for (key, expected) in [
            (text(K::Subject, "GR\u{dc}SSE"), vec![1, 2]),
            (text(K::From, "j\u{dc}rgen"), vec![1]),
            (text(K::From, "example.org"), vec![1, 2]),
            (text(K::To, "bob@"), vec![1]),
            (text(K::Cc, "bob"), vec![]),
            (K::Header("X-OWN".into(), "Some".into()), vec![1]),
            (K::Header("x-own".into(), String::new()), vec![1]),
            (K::Header("date".into(), String::new()), vec![1, 3]),
            (text(K::Body, "l\u{c4}RM"), vec![1]),
            (text(K::Body, "\u{43f}\u{420}\u{418}\u{412}\u{415}\u{422} SOFT"), vec![2]),
            (text(K::Body, "needle"), vec![]),
            (text(K::Body, "secretname"), vec![]),
            (text(K::Body, "gr\u{fc}\u{df}e"), vec![]),
            (text(K::Text, "secretname"), vec![2]),
            (text(K::Text, "gr\u{fc}\u{df}e"), vec![1, 2]),
            (text(K::Text, "some value"), vec![1]),
            (text(K::Text, ""), vec![1, 2, 3]),
            (K::Not(Box::new(text(K::Body, "words"))), vec![1, 2]),
            (K::Or(Box::new(K::Flagged), Box::new(text(K::Body, "ruhe"))), vec![1, 3]),
            (K::And(vec![K::Unseen, text(K::Text, "e")]), vec![2, 3]),
        ] {
            assert_eq!(world.find(key.clone()).await, expected, "{key:?}");
        }
    }
}

#[tokio::test]
async fn what_was_found_before_is_named_as_often_as_one_likes() {
    use crate::imap::types::SequenceSet;
    let world = three(true).await;
    let saved = [SearchKey::Sequence(SequenceSet::Saved), SearchKey::Uid(SequenceSet::Saved)];
    assert_eq!(world.find(SearchKey::And(saved.to_vec())).await, [2]);
    // It may be half a mailbox, and there is room for thousands of `$` in a command: none is a copy.
    let queries = world.with(SearchLimits::default(), async |searched| {
        saved.each_ref().map(|key| matches!(Query::of(key, searched), Query::Saved))
    });
    assert_eq!(queries.await, [true; 2]);
}

#[tokio::test]
async fn a_fold_is_one_space_and_letters_are_what_they_are_made_of() {
    use SearchKey as K;
    for with_structure in [true, false] {
        let world = world().await;
        let text_of = "Subject: one\r\n\ttwo  three\r\nX-Own: a;\r\n\tb\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
                       four  five caf\u{e9}\r\n";
        world.add(text_of, Flags::empty(), 10, with_structure).await;
        for (key, found) in [
            (text(K::Subject, "one two three"), true),
            (text(K::Subject, "one\ttwo  three"), true),
            (K::Header("X-Own".into(), "A; B".into()), true),
            (text(K::Text, "a; b"), true),
            (text(K::Text, "one\ttwo"), true),
            (text(K::Text, "four  five"), true),
            (text(K::Body, "four  five"), true),
            (text(K::Body, "four five"), false),
            (text(K::Body, "a; b"), false),
            (text(K::Body, "CAFE\u{301}"), true),
            (text(K::Text, "one  four"), false),
        ] {
            assert_eq!(!world.find(key.clone()).await.is_empty(), found, "{key:?}");
        }
    }
}

#[tokio::test]
async fn addresses_are_found_as_the_envelope_tells_them() {
    use SearchKey as K;
    for with_structure in [true, false] {
        let world = world().await;
        let text_of =
            "From: <ann (a comment)@ (another) example.org>\r\nCc: friends: Bob <bob@x>, c@y;\r\n\r\nx\r\n";
        world.add(text_of, Flags::empty(), 10, with_structure).await;
        for (key, found) in [
            (text(K::From, "ann@example.org"), true),
            (text(K::From, "a comment"), true),
            (text(K::Cc, "Bob <bob@x>"), true),
            (text(K::Cc, "c@Y"), true),
            (text(K::Cc, "ann@example.org"), false),
            (text(K::To, "ann@example.org"), false),
            (K::Header("From".into(), "ann@example.org".into()), false),
            (K::Not(Box::new(text(K::Bcc, "x"))), true),
        ] {
            assert_eq!(world.find(key.clone()).await.len(), usize::from(found), "{key:?}");
        }
    }
}

#[tokio::test]
async fn numbers_flags_sizes_and_dates_are_found() {
    use SearchKey as K;
    let world = three(true).await;
    let date = |year, month, day| Date::new(year, month, day).unwrap();
    for (key, expected) in [
        (K::All, vec![1, 2, 3]),
        (K::Seen, vec![1]),
        (K::New, vec![3]),
        (K::Old, vec![1, 2]),
        (K::Keyword("none".into()), vec![]),
        (K::Unkeyword("none".into()), vec![1, 2, 3]),
        (K::Sequence(crate::imap::types::SequenceSet::Saved), vec![2]),
        (K::Uid(crate::imap::types::SequenceSet::single(3)), vec![3]),
        (K::Larger(THIRD.len() as u64), vec![1, 2]),
        (K::Smaller(THIRD.len() as u64 + 1), vec![3]),
        (K::SentOn(date(2024, 1, 1)), vec![1]),
        (K::SentBefore(date(2024, 2, 1)), vec![1]),
        (K::SentSince(date(2024, 2, 1)), vec![3]),
        (K::Since(date(2020, 1, 1)), vec![1, 2, 3]),
        (K::Before(date(2020, 1, 1)), vec![]),
        (K::SavedSince(date(2020, 1, 1)), vec![1, 2, 3]),
        (K::Older(100), vec![1, 2]),
        (K::Younger(100), vec![2, 3]),
        (K::EmailId("M1-1".into()), vec![]),
        (K::ModSeq { entry: None, modseq: 0 }, vec![1, 2, 3]),
    ] {
        assert_eq!(world.find(key.clone()).await, expected, "{key:?}");
    }
}

#[tokio::test]
async fn order_and_threads() {
    let world = three(true).await;
    let limits = SearchLimits::default();
    let by = |key, reverse| SortCriterion { key, reverse };
    for (criteria, expected) in [
        (vec![by(SortKey::Subject, false), by(SortKey::Size, true)], vec![1, 0, 2]),
        (vec![by(SortKey::Date, false)], vec![0, 2, 1]),
        (vec![by(SortKey::Arrival, true)], vec![2, 1, 0]),
        (vec![by(SortKey::From, false)], vec![2, 1, 0]),
        (vec![by(SortKey::DisplayFrom, true)], vec![0, 1, 2]),
    ] {
        let sorted = world.with(limits, async |s| s.sort(vec![0, 1, 2], &criteria).await.unwrap()).await;
        assert_eq!(sorted, expected, "{criteria:?}");
    }
    for algorithm in [ThreadAlgorithm::References, ThreadAlgorithm::OrderedSubject, ThreadAlgorithm::Refs] {
        let threads =
            world.with(limits, async |s| s.thread(vec![0, 1, 2], algorithm, false).await.unwrap()).await;
        let (threads, _held) = threads;
        assert_eq!(threads.len(), 2, "{algorithm:?}: {threads:?}");
        assert_eq!(threads[0].number, Some(1));
        assert_eq!(threads[0].children[0].number, Some(2));
    }
}

#[tokio::test]
async fn letters_are_sorted_beside_what_they_are_made_of_and_signs_behind_them() {
    let world = world().await;
    for subject in ["_", "[x]", "Z", "a", "1", "\u{e4}"] {
        let text = format!("Subject: {subject}\r\n\r\nx\r\n");
        world.add(&text, Flags::empty(), 1, true).await;
    }
    let by = [SortCriterion { key: SortKey::Subject, reverse: false }];
    let all = (0..6).collect::<Vec<_>>();
    let sorted = world.with(SearchLimits::default(), async |s| s.sort(all, &by).await.unwrap()).await;
    assert_eq!(sorted, [4, 3, 5, 2, 1, 0]);
}

#[tokio::test]
async fn a_search_reads_no_more_than_it_may_and_no_body_without_need() {
    let world = three(true).await;
    let limits = SearchLimits { octets: 0, ..SearchLimits::default() };
    let find = async |key: SearchKey| world.with(limits, async |s| s.find(&key).await).await;
    let cheap = SearchKey::And(vec![
        text(SearchKey::Subject, "other"),
        SearchKey::SentSince(Date::new(2000, 1, 1).unwrap()),
    ]);
    assert_eq!(find(cheap).await.unwrap(), [2]);
    assert!(matches!(find(text(SearchKey::Body, "x")).await, Err(SearchError::TooCostly)));
}

#[tokio::test]
async fn a_search_does_no_more_than_it_may() {
    let world = three(true).await;
    let limits = SearchLimits { work: 1000, ..SearchLimits::default() };
    let find = async |key: SearchKey| world.with(limits, async |s| s.find(&key).await).await;
    let many = |key: SearchKey, count| SearchKey::And(vec![key; count]);
    assert_eq!(find(many(SearchKey::All, 300)).await.unwrap(), [0, 1, 2]);
    assert!(matches!(find(many(SearchKey::All, 400)).await, Err(SearchError::TooCostly)));
    assert!(find(text(SearchKey::Subject, "other")).await.is_ok());
    assert!(matches!(find(many(text(SearchKey::Subject, "x"), 3)).await, Err(SearchError::TooCostly)));
    assert!(find(text(SearchKey::Body, "x")).await.is_ok());
    let texts = (0..400).map(|n| text(SearchKey::Body, &format!("nowhere{n}")));
    let any = texts.fold(SearchKey::Seen, |all, one| SearchKey::Or(Box::new(all), Box::new(one)));
    assert!(matches!(find(any).await, Err(SearchError::TooCostly)));
}

#[tokio::test]
async fn others_get_their_turn_within_a_costly_search() {
    let world = three(true).await;
    let turns = std::cell::Cell::new(0);
    let other = async {
        loop {
            turns.set(turns.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    let key = SearchKey::And(vec![text(SearchKey::Subject, "x"); 4000]);
    let never = SearchKey::Or(Box::new(SearchKey::Not(Box::new(SearchKey::All))), Box::new(key));
    let search = world.with(SearchLimits::default(), async |s| s.find(&never).await);
    tokio::select! {
        biased;
        found = search => assert_eq!(found.unwrap(), [] as [usize; 0]),
        () = other => {}
    }
    assert!(turns.get() > 3, "{}", turns.get());
}

/// An index that holds some messages and knows of no text in them.
#[derive(Debug)]
struct Forgetful {
    held: Vec<u32>,
    asked: std::sync::Mutex<Vec<Needle>>,
    missed: std::sync::atomic::AtomicU64,
}

struct Nothing(Vec<u32>);

impl KnownTexts for Nothing {
    fn holds(&self, message: &MessageInfo) -> bool {
        self.0.contains(&message.uid.0)
    }

    fn rules_out(&self, nth: usize, message: &MessageInfo) -> bool {
        nth == 0 && self.holds(message)
    }
}

#[async_trait::async_trait]
impl TextIndex for Forgetful {
    async fn ask(&self, _: AccountId, needles: &[Needle]) -> Option<Box<dyn KnownTexts>> {
        self.asked.lock().unwrap().extend_from_slice(needles);
        Some(Box::new(Nothing(self.held.clone())))
    }

    fn missed(&self, _: AccountId, messages: u64) {
        self.missed.fetch_add(messages, Ordering::Relaxed);
    }

    fn left(&self, _: AccountId) {}
}

#[tokio::test]
async fn an_index_rules_out_what_it_holds_and_the_rest_is_read() {
    use SearchKey as K;
    let world = three(true).await;
    let states = world.states().await;
    let (none, keywords) = (KeywordSet::default(), world.mailboxes.keywords(world.account).await.unwrap());
    let candidates: Vec<_> =
        states.iter().zip(1..).map(|(state, number)| candidate(state, number, &none)).collect();
    let index = Forgetful { held: vec![1, 3], asked: Default::default(), missed: Default::default() };
    let searched = Searched {
        mailboxes: &world.mailboxes,
        index: Some(&index),
        account: world.account,
        mailbox: world.mailbox,
        candidates: &candidates,
        keywords: &keywords,
        saved: &NumberSet::default(),
        now: Timestamp::from_millis(NOW * 1000),
        limits: SearchLimits::default(),
        budget: Budget::default(),
    };
    let gruesse = || text(K::Text, "GR\u{dc}SSE");
    // The first would have it.
    assert_eq!(searched.find(&gruesse()).await.unwrap(), [1]);
    assert_eq!(index.missed.load(Ordering::Relaxed), 1);
    let needle = Needle { text: "gru\u{308}sse".into(), headers: true };
    assert_eq!(std::mem::take(&mut *index.asked.lock().unwrap()), std::slice::from_ref(&needle));
    // Where another text is read for, what is read counts; each text is asked once.
    let both = K::Or(
        Box::new(K::And(vec![gruesse(), text(K::Body, "words")])),
        Box::new(K::Not(Box::new(K::Or(Box::new(gruesse()), Box::new(text(K::Body, "words")))))),
    );
    assert_eq!(searched.find(&both).await.unwrap(), Vec::<usize>::new());
    let words = Needle { text: "words".into(), headers: false };
    assert_eq!(std::mem::take(&mut *index.asked.lock().unwrap()), [needle, words]);
    // What is short or empty is nothing to ask about.
    let before = index.missed.load(Ordering::Relaxed);
    assert_eq!(searched.find(&text(K::Body, "so")).await.unwrap(), [1]);
    assert_eq!(searched.find(&text(K::Text, "")).await.unwrap(), [0, 1, 2]);
    assert!(index.asked.lock().unwrap().is_empty());
    assert_eq!(index.missed.load(Ordering::Relaxed), before);
    // Nor is what flags decide.
    assert_eq!(searched.find(&K::And(vec![K::Deleted, gruesse()])).await.unwrap(), Vec::<usize>::new());
    assert_eq!(index.missed.load(Ordering::Relaxed), before);
}
