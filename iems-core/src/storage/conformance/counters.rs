//! Rules about counters and the numbers that a commit hands out.

use super::{Broken, commit, ensure, get, rule_list};
use crate::storage::{Batch, CommitError, Storage, StoreError, Template};

rule_list!(
    counters_add_up,
    a_counter_of_zero_is_no_key,
    counters_saturate,
    numbers_begin_at_one_and_continue,
    numbers_fill_keys_and_values,
    merged_batches_keep_their_own_numbers,
    what_is_no_counter_is_not_counted,
);

fn le(value: i64) -> Option<Vec<u8>> {
    Some(value.to_le_bytes().to_vec())
}

async fn counters_add_up(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| b.add(b"c", 5)).await?;
    commit(&s, |b| {
        b.add(b"c", -7);
        b.add(b"c", 1);
        b.add(b"d", 3);
    })
    .await?;
    ensure!(get(&s, b"c").await? == le(-1), "5 - 7 + 1 is not minus one, as eight bytes little-endian");
    ensure!(get(&s, b"d").await? == le(3), "a second counter of the batch is not 3");
    commit(&s, |b| {
        b.put(b"c", 10i64.to_le_bytes().to_vec());
        b.add(b"c", 1);
    })
    .await?;
    ensure!(get(&s, b"c").await? == le(11), "adding did not see the put of the same batch");
    commit(&s, |b| {
        b.delete(b"c");
        b.add(b"c", 1);
    })
    .await?;
    ensure!(get(&s, b"c").await? == le(1), "adding did not see the delete of the same batch");
    Ok(())
}

async fn a_counter_of_zero_is_no_key(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| b.add(b"c", 2)).await?;
    commit(&s, |b| b.add(b"c", -2)).await?;
    ensure!(get(&s, b"c").await?.is_none(), "a counter that came to zero still has a value");
    commit(&s, |b| {
        b.require_absent(b"c");
        b.add(b"c", 0);
    })
    .await?;
    ensure!(get(&s, b"c").await?.is_none(), "adding zero to an absent counter made a value");
    Ok(())
}

async fn counters_saturate(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| {
        b.add(b"up", i64::MAX);
        b.add(b"up", 1);
        b.add(b"down", i64::MIN);
        b.add(b"down", -1);
    })
    .await?;
    ensure!(get(&s, b"up").await? == le(i64::MAX), "a counter passed its greatest value");
    ensure!(get(&s, b"down").await? == le(i64::MIN), "a counter passed its least value");
    Ok(())
}

async fn numbers_begin_at_one_and_continue(s: Storage) -> Result<(), Broken> {
    let firsts = commit(&s, |b| {
        b.allocate(b"n", 3);
        b.allocate(b"n", 1);
        b.allocate(b"other", 1);
        b.allocate(b"n", 0);
    })
    .await?;
    ensure!(firsts == [1, 4, 1, 5], "the first numbers were {firsts:?}, not 1, 4, 1 and 5");
    ensure!(get(&s, b"n").await? == le(4), "the counter's value is not the last number taken");
    let firsts = commit(&s, |b| {
        b.allocate(b"n", 2);
    })
    .await?;
    ensure!(firsts == [5], "the next number after 4 was {firsts:?}");
    commit(&s, |b| b.put(b"n", 100i64.to_le_bytes().to_vec())).await?;
    let firsts = commit(&s, |b| {
        b.allocate(b"n", 1);
    })
    .await?;
    ensure!(firsts == [101], "the next number after 100 was {firsts:?}");
    Ok(())
}

async fn numbers_fill_keys_and_values(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| {
        b.allocate(b"uid", 41);
    })
    .await?;
    commit(&s, |b| {
        let uid = b.allocate(b"uid", 2);
        let modseq = b.allocate(b"modseq", 1);
        b.put(Template::from(b"m/").number(uid, 0), Template::from(b"<").number(modseq, 0).bytes(b">"));
        b.put(
            Template::from(b"m/").number(uid, 1).bytes(b"/x"),
            Template::default().number(uid, 1).number(uid, 0),
        );
    })
    .await?;
    let value = get(&s, b"m/\0\0\0\0\0\0\0\x2A").await?;
    ensure!(value.as_deref() == Some(b"<\0\0\0\0\0\0\0\x01>"), "number 42 led to {value:?}");
    let value = get(&s, b"m/\0\0\0\0\0\0\0\x2B/x").await?;
    let expected = b"\0\0\0\0\0\0\0\x2B\0\0\0\0\0\0\0\x2A";
    ensure!(value.as_deref() == Some(expected), "number 43 led to {value:?}");
    Ok(())
}

async fn merged_batches_keep_their_own_numbers(s: Storage) -> Result<(), Broken> {
    let one = |mark: &[u8]| {
        let mut batch = Batch::new();
        let number = batch.allocate(b"n", 1);
        batch.put(Template::from(mark), Template::default().number(number, 0));
        batch
    };
    let mut batch = one(b"first");
    batch.merge(one(b"second"));
    let firsts = s.store.commit(batch).await.map_err(super::odd)?.firsts;
    ensure!(firsts == [1, 2], "two merged batches received {firsts:?}");
    ensure!(
        get(&s, b"second").await?.as_deref() == Some(b"\0\0\0\0\0\0\0\x02"),
        "the second took another's number"
    );
    Ok(())
}

async fn what_is_no_counter_is_not_counted(s: Storage) -> Result<(), Broken> {
    commit(&s, |b| b.put(b"text", b"hello")).await?;
    for allocate in [false, true] {
        let mut batch = Batch::new();
        batch.put(b"other", b"1");
        if allocate {
            batch.allocate(b"text", 1);
        } else {
            batch.add(b"text", 1);
        }
        let result = s.store.commit(batch).await;
        let refused = matches!(result, Err(CommitError::Store(StoreError::Corrupt(_))));
        ensure!(refused, "counting a text gave {result:?}, not Corrupt");
        ensure!(get(&s, b"other").await?.is_none(), "a batch that failed wrote something");
    }
    Ok(())
}
