//! Rules about writing and reading bodies.

use super::{Broken, collect, commit, ensure, is_gone, noise, odd, rule_list, write};
use crate::storage::{BlobId, Storage, StoreError};

rule_list!(
    bodies_of_every_size_are_read_back,
    ranges_are_cut_at_the_end,
    what_is_not_there_is_told_by_its_id,
    the_same_content_is_the_same_blob,
    a_finished_body_can_be_read_before_it_is_linked,
    many_bodies_are_written_at_once,
    a_dropped_writer_leaves_nothing,
);

async fn bodies_of_every_size_are_read_back(s: Storage) -> Result<(), Broken> {
    for (seed, size) in [0, 1, 4095, 10_240, 65_536, 262_144, 262_145, 3_000_000].into_iter().enumerate() {
        let body = noise(seed as u64, size);
        let id = write(&s, &body).await?;
        commit(&s, |b| b.link(id)).await?;
        ensure!(
            s.blobs.size(id).await.map_err(odd)? == size as u64,
            "a body of {size} bytes has another size"
        );
        let read = s.blobs.read(id, 0..u64::MAX).await.map_err(odd)?;
        ensure!(read == body, "a body of {size} bytes came back changed");
    }
    Ok(())
}

async fn ranges_are_cut_at_the_end(s: Storage) -> Result<(), Broken> {
    let body = noise(1, 700_000);
    let id = write(&s, &body).await?;
    commit(&s, |b| b.link(id)).await?;
    let ranges = [(0, 1), (5, 5), (4999, 5001), (262_000, 530_000), (699_999, 700_001), (700_000, 800_000)];
    for (from, to) in ranges {
        let read = s.blobs.read(id, from..to).await.map_err(odd)?;
        let expected = &body[(from as usize).min(body.len())..(to as usize).min(body.len())];
        ensure!(read == expected, "the range {from}..{to} gave {} other bytes", read.len());
    }
    for (from, to) in [(u64::MAX - 1, u64::MAX), (900_000, 10), (10, 5)] {
        let read = s.blobs.read(id, from..to).await.map_err(odd)?;
        ensure!(read.is_empty(), "the range {from}..{to} is not empty");
    }
    Ok(())
}

async fn what_is_not_there_is_told_by_its_id(s: Storage) -> Result<(), Broken> {
    let id = BlobId([7; 32]);
    ensure!(is_gone(&s, id).await, "reading an unknown blob did not give NoBlob");
    Ok(())
}

async fn the_same_content_is_the_same_blob(s: Storage) -> Result<(), Broken> {
    let (body, other) = (noise(1, 20_000), noise(2, 20_000));
    let id = write(&s, &body).await?;
    ensure!(write(&s, &body).await? == id, "the same content was given two ids");
    ensure!(write(&s, &other).await? != id, "different content was given one id");
    commit(&s, |b| b.link(id)).await?;
    ensure!(write(&s, &body).await? == id, "the content of a linked blob was given another id");
    let read = s.blobs.read(id, 0..u64::MAX).await.map_err(odd)?;
    ensure!(read == body, "a body that was written again came back changed");
    Ok(())
}

async fn a_finished_body_can_be_read_before_it_is_linked(s: Storage) -> Result<(), Broken> {
    for (seed, size) in [100, 20_000, 1_000_000].into_iter().enumerate() {
        let body = noise(seed as u64, size);
        let id = write(&s, &body).await?;
        let read = s.blobs.read(id, 0..u64::MAX).await.map_err(odd)?;
        ensure!(read == body, "an unlinked body of {size} bytes could not be read");
    }
    Ok(())
}

async fn many_bodies_are_written_at_once(s: Storage) -> Result<(), Broken> {
    let bodies: Vec<Vec<u8>> = (0..16).map(|seed| noise(seed, 30_000 * (1 + seed as usize))).collect();
    let mut writers = Vec::new();
    for _ in &bodies {
        writers.push(s.blobs.create().await.map_err(odd)?);
    }
    for piece in 0..48 {
        for (writer, body) in writers.iter_mut().zip(&bodies) {
            if let Some(bytes) = body.chunks(10_000).nth(piece) {
                writer.write(bytes.to_vec().into()).await.map_err(odd)?;
            }
        }
    }
    let tasks: Vec<_> = writers
        .into_iter()
        .map(|writer| {
            let s = s.clone();
            tokio::spawn(async move {
                let id = writer.finish().await.map_err(odd)?;
                commit(&s, |b| b.link(id)).await?;
                Ok::<_, Broken>(id)
            })
        })
        .collect();
    for (task, body) in tasks.into_iter().zip(&bodies) {
        let id = task.await.map_err(odd)??;
        let read = s.blobs.read(id, 0..u64::MAX).await.map_err(odd)?;
        ensure!(read == *body, "a body written beside others came back changed");
    }
    Ok(())
}

async fn a_dropped_writer_leaves_nothing(s: Storage) -> Result<(), Broken> {
    for (seed, size) in [1000, 1_000_000].into_iter().enumerate() {
        let body = noise(seed as u64, size);
        let id = write(&s, &body).await?;
        commit(&s, |b| b.link(id)).await?;
        commit(&s, |b| b.unlink(id)).await?;
        collect(&s).await?;
        ensure!(is_gone(&s, id).await, "a blob without owners outlived its collection");
        let mut writer = s.blobs.create().await.map_err(odd)?;
        writer.write(body.into()).await.map_err(odd)?;
        drop(writer);
        ensure!(is_gone(&s, id).await, "the body of a dropped writer can be read");
        let mut batch = crate::storage::Batch::new();
        batch.link(id);
        let linked = s.store.commit(batch).await;
        let refused = matches!(linked, Err(crate::storage::CommitError::Store(StoreError::NoBlob(_))));
        ensure!(refused, "the body of a dropped writer could be linked: {linked:?}");
    }
    Ok(())
}
