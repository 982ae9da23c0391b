//! Rules about the room for bodies.

use super::{Broken, commit, ensure, noise, odd, rule_list, write};
use crate::storage::{Room, Storage};

rule_list!(room_is_told_always_or_never, room_is_within_the_whole);

async fn room(s: &Storage) -> Result<Option<Room>, Broken> {
    s.blobs.room().await.map_err(odd)
}

async fn room_is_told_always_or_never(s: Storage) -> Result<(), Broken> {
    let told = room(&s).await?.is_some();
    let id = write(&s, &noise(1, 200_000)).await?;
    ensure!(room(&s).await?.is_some() == told, "room was told or not, and then not or told, by a body");
    commit(&s, |b| b.link(id)).await?;
    commit(&s, |b| b.unlink(id)).await?;
    super::collect(&s).await?;
    ensure!(room(&s).await?.is_some() == told, "room was told or not, and then not or told, by collecting");
    Ok(())
}

async fn room_is_within_the_whole(s: Storage) -> Result<(), Broken> {
    for seed in 0..3 {
        let id = write(&s, &noise(seed, 100_000)).await?;
        if let Some(room) = room(&s).await? {
            ensure!(
                room.total > 0 && room.free <= room.total,
                "the parts are larger than the whole: {room:?}"
            );
        }
        commit(&s, |b| b.link(id)).await?;
    }
    Ok(())
}
