//! Rules about who owns a blob, and what becomes of those without owners.

use super::{Broken, collect, commit, ensure, get, is_gone, noise, odd, rule_list, write};
use crate::storage::{Batch, BlobId, CommitError, Storage, StoreError};

rule_list!(
    linking_what_nobody_holds_fails_whole,
    unlinking_more_than_was_linked_fails_whole,
    a_conflict_links_nothing,
    a_blob_lives_until_its_last_owner_leaves,
    a_reservation_keeps_a_blob,
    every_writer_of_a_blob_may_link_it,
    a_blob_moves_between_owners_in_one_batch,
    collection_leaves_the_others_alone,
    owned_blobs_survive_concurrent_collection,
);

async fn fails_with_no_blob(s: &Storage, build: impl Fn(&mut Batch)) -> Result<(), Broken> {
    let mut batch = Batch::new();
    batch.put(b"beside", b"1");
    build(&mut batch);
    let result = s.store.commit(batch).await;
    let refused = matches!(result, Err(CommitError::Store(StoreError::NoBlob(_))));
    ensure!(refused, "the commit gave {result:?}, not NoBlob");
    ensure!(get(s, b"beside").await?.is_none(), "a commit that failed wrote something");
    Ok(())
}

async fn linking_what_nobody_holds_fails_whole(s: Storage) -> Result<(), Broken> {
    let unknown = BlobId([9; 32]);
    fails_with_no_blob(&s, |b| b.link(unknown)).await?;
    fails_with_no_blob(&s, |b| b.unlink(unknown)).await?;
    let id = write(&s, b"known").await?;
    fails_with_no_blob(&s, |b| {
        b.link(id);
        b.link(unknown);
    })
    .await?;
    commit(&s, |b| b.link(id)).await.map(drop)
}

async fn unlinking_more_than_was_linked_fails_whole(s: Storage) -> Result<(), Broken> {
    let id = write(&s, b"body").await?;
    commit(&s, |b| b.link(id)).await?;
    fails_with_no_blob(&s, |b| {
        b.unlink(id);
        b.unlink(id);
    })
    .await?;
    commit(&s, |b| b.unlink(id)).await?;
    fails_with_no_blob(&s, |b| b.unlink(id)).await
}

async fn a_conflict_links_nothing(s: Storage) -> Result<(), Broken> {
    let id = write(&s, b"body").await?;
    let mut batch = Batch::new();
    batch.require_present(b"absent");
    batch.link(id);
    ensure!(s.store.commit(batch).await.is_err(), "a condition that does not hold was ignored");
    fails_with_no_blob(&s, |b| b.unlink(id)).await?;
    commit(&s, |b| b.link(id)).await.map(drop)
}

async fn a_blob_lives_until_its_last_owner_leaves(s: Storage) -> Result<(), Broken> {
    for (seed, size) in [10, 20_000, 1_000_000].into_iter().enumerate() {
        let body = noise(seed as u64, size);
        let id = write(&s, &body).await?;
        commit(&s, |b| {
            b.link(id);
            b.link(id);
        })
        .await?;
        commit(&s, |b| b.link(id)).await?;
        for left in [2, 1] {
            commit(&s, |b| b.unlink(id)).await?;
            collect(&s).await?;
            let read = s.blobs.read(id, 0..u64::MAX).await.map_err(odd)?;
            ensure!(read == body, "a blob with {left} owners left was damaged by collection");
        }
        commit(&s, |b| b.unlink(id)).await?;
        ensure!(collect(&s).await? >= 1, "a blob without owners was not collected");
        ensure!(is_gone(&s, id).await, "a collected blob can be read");
        fails_with_no_blob(&s, |b| b.link(id)).await?;
    }
    Ok(())
}

async fn a_reservation_keeps_a_blob(s: Storage) -> Result<(), Broken> {
    for (seed, size) in [10, 1_000_000].into_iter().enumerate() {
        let body = noise(seed as u64, size);
        let id = write(&s, &body).await?;
        collect(&s).await?;
        let read = s.blobs.read(id, 0..u64::MAX).await.map_err(odd)?;
        ensure!(read == body, "a finished blob was collected before it could be linked");
        commit(&s, |b| b.link(id)).await?;
    }
    Ok(())
}

/// Two writers finish the same content; the first one's owner comes and goes before the second links.
async fn every_writer_of_a_blob_may_link_it(s: Storage) -> Result<(), Broken> {
    let id = write(&s, b"same").await?;
    let again = write(&s, b"same").await?;
    commit(&s, |b| b.link(id)).await?;
    commit(&s, |b| b.unlink(id)).await?;
    collect(&s).await?;
    commit(&s, |b| b.link(again)).await?;
    let read = s.blobs.read(again, 0..10).await.map_err(odd)?;
    ensure!(&read[..] == b"same", "the second writer's blob was damaged by the first one's end");
    Ok(())
}

async fn a_blob_moves_between_owners_in_one_batch(s: Storage) -> Result<(), Broken> {
    let id = write(&s, b"body").await?;
    commit(&s, |b| b.link(id)).await?;
    commit(&s, |b| {
        b.unlink(id);
        b.link(id);
    })
    .await?;
    commit(&s, |b| {
        b.link(id);
        b.unlink(id);
    })
    .await?;
    collect(&s).await?;
    ensure!(!is_gone(&s, id).await, "a blob was lost on the way between two owners");
    commit(&s, |b| b.unlink(id)).await?;
    collect(&s).await?;
    ensure!(is_gone(&s, id).await, "a move between owners left one owner too many");
    Ok(())
}

async fn collection_leaves_the_others_alone(s: Storage) -> Result<(), Broken> {
    let bodies: Vec<Vec<u8>> = (0..60).map(|seed| noise(seed, 1000 + 3000 * (seed as usize % 7))).collect();
    let mut ids = Vec::new();
    for body in &bodies {
        ids.push(write(&s, body).await?);
    }
    commit(&s, |b| ids.iter().for_each(|id| b.link(*id))).await?;
    commit(&s, |b| ids.iter().step_by(2).for_each(|id| b.unlink(*id))).await?;
    ensure!(collect(&s).await? == 30, "thirty blobs had no owner, another number was collected");
    for (i, (id, body)) in ids.iter().zip(&bodies).enumerate() {
        match i % 2 {
            0 => ensure!(is_gone(&s, *id).await, "a collected blob can be read"),
            _ => ensure!(
                s.blobs.read(*id, 0..u64::MAX).await.map_err(odd)? == *body,
                "the collection of others damaged a blob"
            ),
        }
    }
    Ok(())
}

async fn owned_blobs_survive_concurrent_collection(s: Storage) -> Result<(), Broken> {
    let writers: Vec<_> = (0..4u64)
        .map(|writer| {
            let s = s.clone();
            tokio::spawn(async move {
                for round in 0..15u64 {
                    let body = noise(writer * 1000 + round, 9000);
                    let id = write(&s, &body).await?;
                    commit(&s, |b| b.link(id)).await?;
                    let read = s.blobs.read(id, 0..u64::MAX).await.map_err(odd)?;
                    ensure!(read == body, "an owned blob was damaged by a collection beside it");
                    if round % 3 != 0 {
                        commit(&s, |b| b.unlink(id)).await?;
                    }
                }
                Ok::<_, Broken>(())
            })
        })
        .collect();
    while writers.iter().any(|writer| !writer.is_finished()) {
        s.blobs.collect().await.map_err(odd)?;
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.map_err(odd)??;
    }
    collect(&s).await?;
    for (writer, round) in (0..4).flat_map(|w| (0..15).step_by(3).map(move |r| (w, r))) {
        let body = noise(writer * 1000 + round, 9000);
        let id = write(&s, &body).await?;
        fails_with_no_blob(&s, |b| (0..3).for_each(|_| b.unlink(id))).await?;
        commit(&s, |b| b.unlink(id)).await?;
    }
    Ok(())
}
