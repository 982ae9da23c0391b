//! What things cost, counted by the storage: independent of what is there already.

use super::*;

/// Reads and commits of `what`.
async fn cost(world: &World, what: impl AsyncFnOnce()) -> (u64, u64) {
    let before = world.memory.stats();
    what().await;
    let after = world.memory.stats();
    (after.gets + after.scans - before.gets - before.scans, after.commits - before.commits)
}

async fn fill(world: &World, messages: usize) {
    let blob = world.blob("x").await;
    let body = Body { prefix: Bytes::new(), blob, blob_size: 1, header_size: 0 };
    let one = NewMessage::new(Timestamp::from_millis(1), body);
    let mut left = messages;
    while left > 0 {
        let some = vec![one.clone(); left.min(MAX_APPENDED)];
        world.mailboxes.append_all(world.account, world.inbox, &some).await.unwrap();
        left -= some.len();
    }
}

#[tokio::test]
async fn costs_do_not_grow_with_the_mailbox() {
    let mut costs = Vec::new();
    for size in [100, 3000] {
        let world = world().await;
        fill(&world, size).await;
        let (m, account, inbox) = (&world.mailboxes, world.account, world.inbox);
        let since = m.highest_modseq(account, inbox).await.unwrap();
        let add = FlagChange::new(FlagAction::Add, Flags::SEEN | Flags::DELETED);
        let all = [
            cost(&world, async || fill(&world, 1).await).await,
            cost(&world, async || {
                assert_eq!(m.status(account, inbox).await.unwrap().unseen, size as u64 + 1)
            })
            .await,
            cost(&world, async || {
                m.store_flags(account, inbox, &[Uid(7)], &add).await.unwrap();
            })
            .await,
            cost(&world, async || {
                assert_eq!(m.changes(account, inbox, since).await.unwrap().updated.len(), 2);
            })
            .await,
            cost(&world, async || {
                assert_eq!(m.expunge_deleted(account, inbox, Some(&[Uid(7)])).await.unwrap().messages, 1);
            })
            .await,
        ];
        costs.push(all);
    }
    assert_eq!(costs[0], costs[1]);
    let [append, status, flag, changes, expunge] = costs[0];
    assert_eq!(append, (0, 1), "an append reads nothing");
    assert_eq!(status, (1, 0));
    assert_eq!(flag, (2, 1), "one state and the mark of sweeps are read, one commit is made");
    assert!(changes.0 <= 9 && changes.1 == 0, "{changes:?}");
    assert!(expunge.0 <= 5 && expunge.1 == 1, "{expunge:?}");
}

#[tokio::test]
async fn a_whole_mailbox_is_read_and_changed_in_few_steps() {
    let world = world().await;
    fill(&world, 5000).await;
    let (m, account, inbox) = (&world.mailboxes, world.account, world.inbox);
    let uids: Vec<_> = (1..=5000).map(Uid).collect();
    let seen = FlagChange::new(FlagAction::Add, Flags::SEEN);
    let read = cost(&world, async || {
        assert_eq!(m.states(account, inbox, &uids).await.unwrap().len(), 5000);
    });
    assert_eq!(read.await, (3, 0));
    let changed = cost(&world, async || {
        m.store_flags(account, inbox, &uids, &seen).await.unwrap();
    });
    assert_eq!(changed.await, (20, 10), "512 at a time");
    let archive = m.create(account, "Archive", None, Timestamp::from_millis(1)).await.unwrap();
    let before = world.memory.stats();
    m.move_messages((account, inbox), &uids, (account, archive), Timestamp::from_millis(2)).await.unwrap();
    let after = world.memory.stats();
    assert_eq!((after.blobs_written, after.blob_reads), (before.blobs_written, before.blob_reads));
    assert_eq!(after.commits - before.commits, 20, "256 at a time");
    assert_eq!(m.status(account, archive).await.unwrap().messages, 5000);
}

#[tokio::test]
async fn the_expunge_log_is_bounded_and_says_what_it_forgot() {
    let world = world().await;
    let (m, account, inbox) = (&world.mailboxes, world.account, world.inbox);
    fill(&world, 13_000).await;
    let start = m.highest_modseq(account, inbox).await.unwrap();
    for uids in (1..=13_000).map(Uid).collect::<Vec<_>>().chunks(250) {
        m.expunge(account, inbox, uids).await.unwrap();
    }
    let all = m.changes(account, inbox, start).await.unwrap();
    assert!(!all.complete && all.expunged.len() >= LOG_KEPT as usize && all.expunged.len() <= 11_000);
    let late = m.changes(account, inbox, all.modseq - 20).await.unwrap();
    assert!(late.complete && late.expunged.len() == 5000);
    let checked = m.check(account, false, false, &mut |_| ()).await.unwrap();
    assert_eq!(checked.findings, []);
}

#[tokio::test]
async fn a_waiting_session_hears_of_what_it_waits_for() {
    let world = world().await;
    let (m, account, inbox) = (&world.mailboxes, world.account, world.inbox);
    let other = m.create(account, "other", None, Timestamp::from_millis(1)).await.unwrap();
    let (here, there) = (m.watch_mailbox(account, inbox), m.watch_mailbox(account, other));
    let (names, any) = (m.watch_names(account), m.watch_account(account));
    fill(&world, 1).await;
    here.changed().await;
    any.changed().await;
    let quiet = |watch: &iems_core::storage::Watch| {
        let watch = watch.clone();
        async move {
            tokio::select! { biased; () = watch.changed() => false, () = std::future::ready(()) => true }
        }
    };
    assert!(quiet(&there).await && quiet(&names).await);
    m.rename(account, "other", "new", Timestamp::from_millis(1)).await.unwrap();
    names.changed().await;
}
