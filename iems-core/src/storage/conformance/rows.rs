//! Rules about keys, values and conditions.

use super::{Broken, commit, ensure, get, rule_list};
use crate::storage::{Batch, CommitError, MAX_BATCH, MAX_KEY, MAX_VALUE, Storage, StoreError};

rule_list!(
    a_commit_can_be_read_when_it_returned,
    an_empty_batch_commits,
    any_bytes_are_a_key_and_a_value,
    steps_apply_in_their_order,
    deleting_an_absent_key_is_no_error,
    conditions_see_the_state_before_the_batch,
    conflicts_write_nothing,
    sizes_are_limited_and_nothing_is_written_beyond,
);

async fn a_commit_can_be_read_when_it_returned(s: Storage) -> Result<(), Broken> {
    ensure!(get(&s, b"a").await?.is_none(), "a fresh storage has a value for `a`");
    for round in 0..20u8 {
        commit(&s, |b| {
            b.put(b"a", vec![round; 100]);
            b.put(vec![b'b', round], b"x");
        })
        .await?;
        ensure!(get(&s, b"a").await? == Some(vec![round; 100]), "an overwritten value was not read back");
        ensure!(get(&s, &[b'b', round]).await?.is_some(), "the second key of a batch is missing");
    }
    commit(&s, |b| b.delete(b"a")).await?;
    ensure!(get(&s, b"a").await?.is_none(), "a deleted key still has a value");
    Ok(())
}

async fn an_empty_batch_commits(s: Storage) -> Result<(), Broken> {
    ensure!(commit(&s, |_| ()).await?.is_empty(), "an empty batch handed out numbers");
    Ok(())
}

async fn any_bytes_are_a_key_and_a_value(s: Storage) -> Result<(), Broken> {
    let keys: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"\x01", b"\xFF", b"\xFF\xFF"];
    for key in keys {
        commit(&s, |b| b.put(key.to_vec(), key.to_vec())).await?;
    }
    for key in keys {
        ensure!(get(&s, key).await?.as_deref() == Some(key), "the key {key:?} was not read back");
    }
    Ok(())
}

async fn steps_apply_in_their_order(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| {
        b.put(b"k", b"1");
        b.delete(b"k");
        b.put(b"k", b"2");
        b.put(b"gone", b"1");
        b.delete(b"gone");
    })
    .await?;
    ensure!(get(&s, b"k").await?.as_deref() == Some(b"2"), "the last step did not win");
    ensure!(get(&s, b"gone").await?.is_none(), "a delete after a put did not win");
    Ok(())
}

async fn deleting_an_absent_key_is_no_error(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| b.delete(b"never")).await.map(drop)
}

async fn conditions_see_the_state_before_the_batch(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| {
        b.put(b"k", b"1");
        b.require_absent(b"k");
    })
    .await?;
    commit(&s, |b| {
        b.put(b"k", b"2");
        b.require_equals(b"k", b"1");
        b.require_present(b"k");
    })
    .await?;
    ensure!(get(&s, b"k").await?.as_deref() == Some(b"2"), "a batch whose conditions hold did not write");
    Ok(())
}

async fn conflicts_write_nothing(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| b.put(b"k", b"1")).await?;
    let broken: [fn(&mut Batch); 4] = [
        |b| b.require_absent(b"k"),
        |b| b.require_present(b"absent"),
        |b| b.require_equals(b"k", b"other"),
        |b| b.require_equals(b"absent", b""),
    ];
    for (i, condition) in broken.into_iter().enumerate() {
        let mut batch = Batch::new();
        batch.require_present(b"k");
        batch.put(b"k", b"changed");
        batch.add(b"counter", 1);
        batch.allocate(b"numbers", 1);
        condition(&mut batch);
        let result = s.store.commit(batch).await;
        ensure!(
            matches!(result, Err(CommitError::Conflict)),
            "condition {i} gave {result:?}, not a conflict"
        );
    }
    ensure!(get(&s, b"k").await?.as_deref() == Some(b"1"), "a conflict changed a value");
    let counted = [get(&s, b"counter").await?, get(&s, b"numbers").await?];
    ensure!(counted == [None, None], "a conflict moved a counter");
    Ok(())
}

async fn sizes_are_limited_and_nothing_is_written_beyond(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| b.put(vec![b'k'; MAX_KEY], vec![7; MAX_VALUE])).await?;
    let value = get(&s, &vec![b'k'; MAX_KEY]).await?;
    ensure!(value == Some(vec![7; MAX_VALUE]), "the longest key and value were not read back");
    let over: [fn(&mut Batch); 7] = [
        |b| b.put(vec![b'k'; MAX_KEY + 1], b"v"),
        |b| b.put(b"k", vec![0; MAX_VALUE + 1]),
        |b| b.delete(&[b'k'; MAX_KEY + 1]),
        |b| b.add(&[b'k'; MAX_KEY + 1], 1),
        |b| {
            b.allocate(&[b'k'; MAX_KEY + 1], 1);
        },
        |b| b.require_absent(&[b'k'; MAX_KEY + 1]),
        |b| (0..=MAX_BATCH / MAX_VALUE).for_each(|i| b.put(vec![i as u8], vec![0; MAX_VALUE])),
    ];
    for (i, large) in over.into_iter().enumerate() {
        let mut batch = Batch::new();
        batch.put(b"other", b"1");
        large(&mut batch);
        let result = s.store.commit(batch).await;
        let refused = matches!(result, Err(CommitError::Store(StoreError::TooLarge(_))));
        ensure!(refused, "oversized step {i} gave {result:?}, not TooLarge");
        ensure!(get(&s, b"other").await?.is_none(), "a batch that is too large wrote something");
    }
    Ok(())
}
