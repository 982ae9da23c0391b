//! Rules about many callers at once, and callers who leave.

use std::collections::BTreeSet;
use std::future::Future;
use std::task::{Context, Waker};

use super::{Broken, commit, ensure, get, odd, rule_list};
use crate::storage::{Batch, CommitError, Scan, Storage, Template};

rule_list!(
    numbers_have_no_gaps_under_contention,
    numbers_follow_the_order_of_commits,
    concurrent_additions_all_count,
    one_of_many_wins_an_absent_key,
    a_dropped_commit_is_whole_or_absent,
);

/// How many callers there are at once.
const CALLERS: u64 = 32;
/// How often each one commits.
const ROUNDS: u64 = 8;

/// Runs `work` for every caller at once.
async fn crowd<T: Send + 'static, F>(s: &Storage, work: fn(Storage, u64) -> F) -> Result<Vec<T>, Broken>
where
    F: Future<Output = Result<T, Broken>> + Send + 'static,
{
    let tasks: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(work(s.clone(), caller))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.map_err(odd)??);
    }
    Ok(results)
}

async fn numbers_have_no_gaps_under_contention(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| b.put(b"present", b"")).await?;
    let taken = crowd(&s, |s, caller| async move {
        let mut mine = Vec::new();
        for round in 0..ROUNDS {
            let mut batch = Batch::new();
            if (caller + round) % 3 == 0 {
                batch.require_absent(b"present");
            }
            let number = batch.allocate(b"n", 2);
            batch.put(Template::from(b"k/").number(number, 1), b"");
            match s.store.commit(batch).await {
                Ok(committed) => mine.extend([committed.firsts[0], committed.firsts[0] + 1]),
                Err(CommitError::Conflict) => ensure!((caller + round) % 3 == 0, "an odd conflict"),
                Err(e) => return Err(odd(e)),
            }
        }
        Ok(mine)
    })
    .await?;
    let taken: Vec<u64> = taken.into_iter().flatten().collect();
    let distinct: BTreeSet<u64> = taken.iter().copied().collect();
    ensure!(distinct.len() == taken.len(), "a number was handed out twice");
    ensure!(distinct.into_iter().eq(1..=taken.len() as u64), "the numbers have a gap");
    let keys = s.store.scan(Scan::prefix(b"k/", usize::MAX)).await.map_err(odd)?.len();
    ensure!(keys * 2 == taken.len(), "{keys} keys were made with {} numbers", taken.len());
    Ok(())
}

/// Whoever sees number n sees every number before it.
async fn numbers_follow_the_order_of_commits(s: Storage) -> Result<(), Broken> {
    crowd(&s, |s, _| async move {
        for _ in 0..ROUNDS {
            let first = commit(&s, |b| {
                let number = b.allocate(b"n", 1);
                b.put(Template::from(b"k/").number(number, 0), b"");
            })
            .await?;
            let seen = s.store.scan(Scan::prefix(b"k/", usize::MAX)).await.map_err(odd)?;
            ensure!(seen.len() as u64 >= first[0], "number {} came before its predecessors", first[0]);
            let last = seen.last().map(|(key, _)| key[2..].to_vec());
            ensure!(
                last == Some((seen.len() as u64).to_be_bytes().to_vec()),
                "a later number was seen earlier"
            );
        }
        Ok(())
    })
    .await
    .map(drop)
}

async fn concurrent_additions_all_count(s: Storage) -> Result<(), Broken> {
    crowd(&s, |s, caller| async move {
        for _ in 0..ROUNDS {
            commit(&s, |b| b.add(b"c", caller as i64)).await?;
        }
        Ok(())
    })
    .await?;
    let sum = (0..CALLERS).sum::<u64>() * ROUNDS;
    ensure!(
        get(&s, b"c").await? == Some((sum as i64).to_le_bytes().to_vec()),
        "an addition was lost or doubled"
    );
    Ok(())
}

async fn one_of_many_wins_an_absent_key(s: Storage) -> Result<(), Broken> {
    let won = crowd(&s, |s, caller| async move {
        let mut batch = Batch::new();
        batch.require_absent(b"lease");
        batch.put(b"lease", caller.to_be_bytes().to_vec());
        match s.store.commit(batch).await {
            Ok(_) => Ok(Some(caller)),
            Err(CommitError::Conflict) => Ok(None),
            Err(e) => Err(odd(e)),
        }
    })
    .await?;
    let winners: Vec<u64> = won.into_iter().flatten().collect();
    ensure!(winners.len() == 1, "{} callers won a key that one can have", winners.len());
    ensure!(
        get(&s, b"lease").await? == Some(winners[0].to_be_bytes().to_vec()),
        "the value is not the winner's"
    );
    Ok(())
}

async fn a_dropped_commit_is_whole_or_absent(s: Storage) -> Result<(), Broken> {
    for round in 0..50u8 {
        let mut batch = Batch::new();
        batch.put(vec![b'a', round], b"1");
        batch.put(vec![b'z', round], b"1");
        let store = s.store.clone();
        let mut abandoned = Box::pin(async move { store.commit(batch).await });
        let _ = abandoned.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(abandoned);
        commit(&s, |b| b.put(b"later", vec![round])).await?;
        let halves = [get(&s, &[b'a', round]).await?, get(&s, &[b'z', round]).await?];
        ensure!(halves[0] == halves[1], "half of a dropped commit took effect");
    }
    Ok(())
}
