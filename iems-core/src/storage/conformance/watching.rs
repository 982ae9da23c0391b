//! Rules about watching prefixes.

use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use super::{Broken, commit, ensure, get, rule_list};
use crate::storage::{Batch, Storage, Watch};

rule_list!(
    every_kind_of_write_wakes,
    a_commit_before_the_wait_is_not_missed,
    other_prefixes_and_conflicts_do_not_wake,
    every_watcher_of_a_key_wakes,
    who_wakes_sees_the_commit,
);

/// Long enough for any engine; only a broken one waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn wakes(watch: &Watch) -> bool {
    tokio::time::timeout(PATIENCE, watch.changed()).await.is_ok()
}

fn is_quiet(watch: &Watch) -> bool {
    let changed = std::pin::pin!(watch.changed());
    changed.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

async fn every_kind_of_write_wakes(s: Storage) -> Result<(), Broken> {
    let steps: [fn(&mut Batch); 4] = [
        |b| b.put(b"p/1", b""),
        |b| b.delete(b"p/1"),
        |b| b.add(b"p/2", 1),
        |b| {
            b.allocate(b"p/3", 1);
        },
    ];
    let watch = s.store.watch(b"p/");
    for (i, step) in steps.into_iter().enumerate() {
        commit(&s, step).await?;
        ensure!(wakes(&watch).await, "step {i} (put, delete, add, allocate) woke nobody");
    }
    Ok(())
}

async fn a_commit_before_the_wait_is_not_missed(s: Storage) -> Result<(), Broken> {
    let watch = s.store.watch(b"p");
    for round in 0..3u8 {
        commit(&s, |b| b.put(b"p", vec![round])).await?;
        commit(&s, |b| b.put(b"p", vec![round, round])).await?;
        ensure!(wakes(&watch).await, "two commits before the wait were missed");
    }
    Ok(())
}

async fn other_prefixes_and_conflicts_do_not_wake(s: Storage) -> Result<(), Broken> {
    let watch = s.store.watch(b"p/");
    commit(&s, |b| {
        b.put(b"p", b"");
        b.put(b"q/1", b"");
        b.put(b"", b"");
    })
    .await?;
    let mut batch = Batch::new();
    batch.require_present(b"absent");
    batch.put(b"p/1", b"");
    ensure!(s.store.commit(batch).await.is_err(), "a condition that does not hold was ignored");
    ensure!(is_quiet(&watch), "a watcher was woken for another prefix, or for a conflict");
    Ok(())
}

async fn every_watcher_of_a_key_wakes(s: Storage) -> Result<(), Broken> {
    let watches = [s.store.watch(b"p/1/"), s.store.watch(b"p/"), s.store.watch(b"p/"), s.store.watch(b"")];
    drop(s.store.watch(b"p/"));
    commit(&s, |b| b.put(b"p/1/x", b"")).await?;
    for (i, watch) in watches.iter().enumerate() {
        ensure!(wakes(watch).await, "watcher {i} slept through");
    }
    Ok(())
}

async fn who_wakes_sees_the_commit(s: Storage) -> Result<(), Broken> {
    for round in 0..20u8 {
        let watch = s.store.watch(b"p");
        let writer = s.clone();
        let mut writing = tokio::spawn(async move { commit(&writer, |b| b.put(b"p", vec![round])).await });
        let mut wrote = false;
        tokio::select! {
            biased;
            () = watch.changed() => (),
            written = &mut writing => {
                written.map_err(super::odd)??;
                wrote = true;
                ensure!(wakes(&watch).await, "nobody was woken");
            }
        }
        ensure!(
            get(&s, b"p").await? == Some(vec![round]),
            "a watcher was woken before the commit could be seen"
        );
        if !wrote {
            writing.await.map_err(super::odd)??;
        }
    }
    Ok(())
}
