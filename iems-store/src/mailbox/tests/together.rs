//! Several sessions at once, on threads of their own: nothing that one does is undone by another, and no message is in two
//! mailboxes or in none.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const MESSAGES: u32 = 40;

async fn filled() -> Arc<World> {
    let world = world().await;
    for n in 0..MESSAGES {
        world.append(&format!("message {n}"), "").await;
    }
    Arc::new(world)
}

/// A change of all messages, with one row if nobody interferes.
async fn sweep_or_store(world: &World, change: &FlagChange) {
    let (m, account, inbox) = (&world.mailboxes, world.account, world.inbox);
    let at = m.highest_modseq(account, inbox).await.unwrap();
    let states = m.view(account, inbox, Uid(0), 1000).await.unwrap();
    let believed: Vec<_> = states.iter().map(super::model::believed).collect();
    if m.sweep(account, inbox, at, &believed, change).await.unwrap().is_none() {
        m.store_flags(account, inbox, &uids(), change).await.unwrap();
    }
}

fn uids() -> Vec<Uid> {
    (1..=MESSAGES).map(Uid).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn flags_of_several_sessions_all_arrive() {
    let world = filled().await;
    let mut tasks = tokio::task::JoinSet::new();
    for (task, flag) in [Flags::SEEN, Flags::FLAGGED, Flags::ANSWERED, Flags::DRAFT].into_iter().enumerate() {
        let world = world.clone();
        tasks.spawn(async move {
            let (m, account, inbox) = (&world.mailboxes, world.account, world.inbox);
            let name = format!("session{task}");
            let own = m.keywords_named(account, &[&name]).await.unwrap()[0];
            let change = |action, keywords: &[Keyword]| FlagChange {
                keywords: keywords.iter().copied().collect(),
                ..FlagChange::new(action, flag)
            };
            for _ in 0..5 {
                m.store_flags(account, inbox, &uids(), &change(FlagAction::Add, &[])).await.unwrap();
                sweep_or_store(&world, &change(FlagAction::Remove, &[])).await;
                sweep_or_store(&world, &change(FlagAction::Add, &[])).await;
                m.store_flags(account, inbox, &uids(), &change(FlagAction::Remove, &[])).await.unwrap();
                for uid in uids() {
                    m.store_flags(account, inbox, &[uid], &change(FlagAction::Add, &[own])).await.unwrap();
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let all = world.mailboxes.view(world.account, world.inbox, Uid(0), 1000).await.unwrap();
    assert_eq!(all.len(), MESSAGES as usize);
    let expected = Flags::SEEN | Flags::FLAGGED | Flags::ANSWERED | Flags::DRAFT;
    assert!(all.iter().all(|state| state.flags == expected && state.keywords.len() == 4), "{all:?}");
    let status = world.mailboxes.status(world.account, world.inbox).await.unwrap();
    assert_eq!(status.unseen, 0);
    let checked = world.mailboxes.check(world.account, false, false, &mut |_| ()).await.unwrap();
    assert_eq!(checked.findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_condition_lets_only_one_of_several_sessions_through() {
    let world = filled().await;
    let since = world.mailboxes.highest_modseq(world.account, world.inbox).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for bits in [1, 2, 4, 16] {
        let world = world.clone();
        tasks.spawn(async move {
            let change = FlagChange {
                unchanged_since: Some(since),
                ..FlagChange::new(FlagAction::Add, Flags::from_bits(bits))
            };
            let mut through = 0;
            for uid in uids() {
                let stored = world.mailboxes.store_flags(world.account, world.inbox, &[uid], &change).await;
                through += stored.unwrap().states.len();
            }
            through
        });
    }
    let mut through = 0;
    while let Some(done) = tasks.join_next().await {
        through += done.unwrap();
    }
    assert_eq!(through, MESSAGES as usize);
    let all = world.mailboxes.view(world.account, world.inbox, Uid(0), 1000).await.unwrap();
    assert!(all.iter().all(|state| state.flags.bits().count_ones() == 1), "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_that_many_move_are_in_one_place() {
    let world = filled().await;
    let (account, inbox) = (world.account, world.inbox);
    let mut places = vec![inbox];
    for name in ["A", "B", "C"] {
        places.push(world.mailboxes.create(account, name, None, NOW).await.unwrap());
    }
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4 {
        let (world, places) = (world.clone(), places.clone());
        tasks.spawn(async move {
            let m = &world.mailboxes;
            for round in 0..8 {
                let (from, to) = (places[(task + round) % 4], places[(task + 2 * round + 1) % 4]);
                let there = m.view(account, from, Uid(0), 1000).await.unwrap();
                let some: Vec<_> = there.iter().map(|state| state.uid).step_by(2).collect();
                let moved = m.move_messages((account, from), &some, (account, to), NOW).await.unwrap();
                assert!(moved.uids.len() <= some.len());
                if round % 3 == 0 {
                    world.append("more", "").await;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let mut bodies = Vec::new();
    for place in places {
        let all = world.mailboxes.messages(account, place, Uid(0), 1000).await.unwrap();
        bodies.extend(all.into_iter().map(|message| message.object));
    }
    bodies.sort_unstable();
    let count = bodies.len();
    bodies.dedup();
    assert_eq!((bodies.len(), count), (MESSAGES as usize + 12, MESSAGES as usize + 12));
    assert_eq!(world.mailboxes.usage(account).await.unwrap().messages, count as u64);
    let checked = world.mailboxes.check(account, false, true, &mut |_| ()).await.unwrap();
    assert_eq!(checked.findings, []);
}

#[tokio::test]
async fn a_copy_that_fails_midway_leaves_nothing() {
    let world = world().await;
    for n in 0..300 {
        world.append(&format!("message {n}"), "").await;
    }
    let (m, account, inbox) = (&world.mailboxes, world.account, world.inbox);
    let archive = m.create(account, "Archive", None, NOW).await.unwrap();
    let mut batch = Batch::new();
    batch.put(schema::key(account, &schema::of_message(schema::Of::Info, inbox, Uid(280))), &[0xff; 3]);
    world.memory.storage().store.commit(batch).await.unwrap();
    let all: Vec<Uid> = (1..=300).map(Uid).collect();
    m.copy((account, inbox), &all, (account, archive), NOW).await.unwrap_err();
    assert!(m.view(account, archive, Uid(0), 1000).await.unwrap().is_empty());
    let copied = m.copy((account, inbox), &all[..270], (account, archive), NOW).await.unwrap();
    let first = copied.uids[0].1;
    assert!(first > Uid(256), "what was there for a while had UIDs of its own: {first:?}");
    assert_eq!(m.view(account, archive, Uid(0), 1000).await.unwrap().len(), 270);
}
