//! One state after the other.

use super::*;

#[tokio::test]
async fn an_index_spares_what_has_not_the_text() {
    let world = World::new().await;
    for nth in 0..20 {
        world.add_text(&format!("word{nth} and more \u{c4}rger")).await;
    }
    assert_eq!(world.ruled_out("word7", false).await, 0, "there is none yet");
    assert!(world.status().await.is_none());
    world.index_now().await;
    let status = world.status().await.unwrap();
    assert_eq!((status.messages, status.state), (20, IndexState::Current));
    assert!(status.octets > 0);
    for (text, headers, spared) in [
        ("word7", false, 19),
        ("WORD1", false, 9),
        ("\u{e4}RG", false, 0),
        ("nowhere", true, 20),
        ("subject: mess", false, 20),
        ("subject: MESS", true, 0),
        ("delivered-to: ann", true, 0),
        ("ss", false, 0),
        ("", false, 0),
    ] {
        assert_eq!(world.ruled_out(text, headers).await, spared, "{text}");
    }
    assert_eq!(world.index.counters().messages, 20);
}

#[tokio::test]
async fn what_is_new_is_read_until_it_is_taken_in_and_what_moved_is_not_taken_in_again() {
    let world = World::new().await;
    for nth in 0..5 {
        world.add_text(&format!("word{nth}")).await;
    }
    world.index_now().await;
    world.add_text("new").await;
    assert_eq!(world.ruled_out("nowhere", true).await, 5);
    assert_eq!(world.status().await.unwrap().state, IndexState::Behind);
    let now = Timestamp::from_millis(1);
    let other = world.mailboxes().create(world.account, "Other", None, now).await.unwrap();
    let (from, to) = ((world.account, world.inbox), (world.account, other));
    world.mailboxes().move_messages(from, &[Uid(1), Uid(2)], to, now).await.unwrap();
    world.mailboxes().copy(from, &[Uid(3)], to, now).await.unwrap();
    assert_eq!(world.ruled_out("nowhere", true).await, 6, "copies and what moved are known");
    world.index_now().await;
    assert_eq!(world.ruled_out("nowhere", true).await, 7);
    assert_eq!(world.index.counters().messages, 6);
    assert_eq!(world.index.counters().removed, 0);
}

#[tokio::test]
async fn what_left_leaves_the_index() {
    let world = World::new().await;
    for nth in 0..30 {
        world.add_text(&format!("word{nth}")).await;
    }
    world.add_text("quixotic secret").await;
    world.index_now().await;
    let folder = world.folder();
    let terms = async |text: &'static str| {
        let folder = folder.clone();
        let read = spawn_blocking(move || {
            let opened = writer::open(&folder, &FilesLock::default()).unwrap().unwrap();
            let term = tantivy::Term::from_field_bytes(opened.fields.body, &text.as_bytes()[..3]);
            opened.index.reader().unwrap().searcher().doc_freq(&term).unwrap()
        });
        read.await.unwrap()
    };
    assert_eq!(terms("quixotic").await, 1);
    let gone: Vec<_> = (20..=31).map(Uid).collect();
    world.mailboxes().expunge(world.account, world.inbox, &gone).await.unwrap();
    world.index_now().await;
    assert_eq!(world.status().await.unwrap().messages, 19);
    assert_eq!(world.index.counters().removed, 12);
    assert_eq!(terms("quixotic").await, 0, "not even its triples are in a file");
    assert_eq!(terms("word").await, 19);
}

#[tokio::test]
async fn a_mailbox_that_was_deleted_is_forgotten() {
    let world = World::new().await;
    let now = Timestamp::from_millis(1);
    let other = world.mailboxes().create(world.account, "Other", None, now).await.unwrap();
    world.add_text("one").await;
    world.add_text("two").await;
    let (from, to) = ((world.account, world.inbox), (world.account, other));
    world.mailboxes().move_messages(from, &[Uid(1)], to, now).await.unwrap();
    world.index_now().await;
    assert_eq!(world.status().await.unwrap().messages, 2);
    world.mailboxes().delete(world.account, "Other").await.unwrap();
    world.index_now().await;
    assert_eq!(world.status().await.unwrap().messages, 1);
}

#[tokio::test]
async fn the_index_of_a_removed_account_goes() {
    let world = World::new().await;
    world.add_text("word").await;
    world.index_now().await;
    let folder = world.folder();
    assert!(folder.exists());
    world.directory.remove_account(&ANN.parse().unwrap()).await.unwrap();
    // When the server starts, and when anybody wants to index it.
    let index = opened(world.mailboxes(), world.index.folder());
    index.shared.sweep().await;
    assert!(!folder.exists() && index.accounts().is_empty());
    world.index_now().await;
    assert!(!folder.exists() && world.index.accounts().is_empty());
}

#[tokio::test]
async fn an_older_store_below_a_newer_index_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let before = World::over(folder.path()).await;
    for text in ["alpha", "beta", "gamma"] {
        before.add_text(text).await;
    }
    before.index_now().await;
    // The same numbers, other texts.
    let world = World::over(folder.path()).await;
    for text in ["delta", "beta", "epsilon"] {
        world.add_text(text).await;
    }
    assert_eq!(world.account, before.account);
    assert_eq!(world.ruled_out("delta", false).await, 1, "only what has the same octets is known");
    world.index_now().await;
    assert_eq!(world.ruled_out("delta", false).await, 2);
    assert_eq!(world.ruled_out("alpha", false).await, 3);
    assert_eq!(world.status().await.unwrap().messages, 3);
}

#[tokio::test]
async fn what_is_too_long_is_always_read() {
    let world = World::new().await;
    world.add_text("short").await;
    let long = format!("{}needle", "0123456789abcde\r\n".repeat(400_000));
    world.add_text(&long).await;
    world.index_now().await;
    assert_eq!(world.status().await.unwrap().messages, 2);
    assert_eq!(world.ruled_out("needle", false).await, 1);
    assert_eq!(world.ruled_out("nowhere", false).await, 1);
}

#[tokio::test]
async fn a_run_that_was_cut_short_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::over(folder.path()).await;
    for nth in 0..200 {
        world.add_text(&format!("word{nth}")).await;
    }
    let going = Going::default();
    let shared = &world.index.shared;
    let mut run = run::Run::new(shared, world.account, &going, Why::Left);
    let cancel = async {
        while going.done.load(Ordering::Relaxed) < 64 {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        going.cancelled.store(true, Ordering::Relaxed);
    };
    let (ended, ()) = tokio::join!(run.run(), cancel);
    assert_eq!(ended.unwrap(), run::Ended::Stopped);
    drop(run);
    let before = world.index.counters().messages;
    assert!((64..200).contains(&before), "{before}");
    assert_eq!(world.ruled_out("nowhere", true).await as u64, before);
    let index = opened(world.mailboxes(), folder.path());
    index.shared.index(world.account, Why::Left).await;
    assert_eq!(index.counters().messages + before, 200, "nothing is read twice");
    assert_eq!(index.status(world.account).await.unwrap().unwrap().messages, 200);
}

#[tokio::test]
async fn damage_is_met_once_and_mended() {
    let world = World::new().await;
    for nth in 0..10 {
        world.add_text(&format!("word{nth}")).await;
    }
    world.index_now().await;
    for file in std::fs::read_dir(world.folder()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "idx" || kind == "term") {
            let mut octets = std::fs::read(&path).unwrap();
            let middle = octets.len() / 2;
            octets[middle] ^= 1;
            std::fs::write(&path, octets).unwrap();
        }
    }
    world.index.shared.readers.forget(world.account);
    assert_eq!(world.ruled_out("nowhere", true).await, 0);
    assert_eq!(world.index.counters().failures, 1);
    assert_eq!(world.ruled_out("nowhere", true).await, 0);
    assert_eq!(world.index.counters().failures, 1, "it is not tried again before it was made anew");
    world.index_now().await;
    assert_eq!(world.ruled_out("nowhere", true).await, 10);
}

#[tokio::test]
async fn what_is_only_begun_is_no_index_and_no_damage() {
    let world = World::new().await;
    world.add_text("word").await;
    let (folder, lock) = (world.folder(), world.index.shared.lock.clone());
    let begun = tokio::task::spawn_blocking(move || {
        let begun = writer::Writer::open(&folder, &lock, LEAST_MEMORY).unwrap();
        assert!(writer::open(&folder, &lock).unwrap().is_none());
        begun
    });
    let begun = begun.await.unwrap();
    assert_eq!(world.ruled_out("nowhere", true).await, 0);
    assert_eq!(world.index.counters().failures, 0);
    tokio::task::spawn_blocking(move || drop(begun)).await.unwrap();
    world.index_now().await;
    assert_eq!(world.ruled_out("nowhere", true).await, 1);
    assert_eq!(world.index.counters().failures, 0);
}

#[test]
fn texts_are_read_by_the_version_that_the_index_says() {
    use super::mail::{Form, WORDS, message};
    let mut all = blake3::Hasher::new();
    for charset in 0..4 {
        for transfer in 0..3 {
            for around in 0..5 {
                let octets = message(&WORDS.join(" \r\n"), Form { charset, transfer, around });
                let structure = Structure::of(&octets);
                for part in &structure.parts {
                    let of = |span: crate::structure::Span| &octets[span.start as usize..span.end() as usize];
                    for field in fields(of(part.header)) {
                        all.update(crate::search::field_text(&field).as_bytes());
                    }
                    if is_searched(part) {
                        all.update(part_text(part, of(part.body)).as_bytes());
                    }
                }
            }
        }
    }
    // Who changes how texts are read changes READING with it, and then this.
    assert_eq!((crate::search::READING, &all.finalize().to_hex()[..16]), (2, "10f4df2214baabbc"));
}
