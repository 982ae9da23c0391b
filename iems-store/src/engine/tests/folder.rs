//! Folders of the real disk: who may open them, and what a restart keeps.

use iems_core::storage::{Batch, StoreError};

use crate::engine::{Embedded, EmbeddedOptions, OpenError};

async fn put(engine: &std::sync::Arc<Embedded>, key: &[u8]) {
    let mut batch = Batch::new();
    batch.put(key.to_vec(), b"value");
    engine.storage().store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn a_folder_has_one_engine_at_a_time_and_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let first = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let second = Embedded::open(folder.path(), EmbeddedOptions::default());
    let Err(OpenError::InUse(Some(pid))) = second else { panic!("{second:?}") };
    assert_eq!(pid, std::process::id());
    put(&first, b"kept").await;
    drop(first);
    let again = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
    assert!(again.storage().store.get(b"kept").await.unwrap().is_some());
    again.close().unwrap();
    let after = again.storage().store.get(b"kept").await;
    assert!(matches!(after, Err(StoreError::Closed)), "{after:?}");
    Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
}

#[test]
fn a_folder_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap());
    std::fs::write(folder.path().join("format"), "iems-store 999\n").unwrap();
    let refused = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("\"iems-store 999\""), "{refused}");
    std::fs::remove_file(folder.path().join("format")).unwrap();
    let refused = Embedded::open(folder.path(), EmbeddedOptions::default());
    assert!(matches!(refused, Err(OpenError::Corrupt(_))), "{refused:?}");
}

#[tokio::test]
async fn damage_in_the_index_is_found_by_whoever_asks() {
    let folder = tempfile::tempdir().unwrap();
    let verified = || {
        let options = EmbeddedOptions { verify_index: true, ..Default::default() };
        Embedded::open(folder.path(), options)
    };
    let engine = verified().unwrap();
    for n in 0..2000u32 {
        put(&engine, format!("{n:0100}").as_bytes()).await;
    }
    engine.checkpoint().unwrap();
    drop(engine);
    let engine = verified().unwrap();
    assert!(engine.storage().store.get(format!("{:0100}", 1999).as_bytes()).await.unwrap().is_some());
    drop(engine);
    let file = folder.path().join("index.redb");
    let mut octets = std::fs::read(&file).unwrap();
    let at = octets.windows(100).position(|text| text == format!("{:0100}", 1000).as_bytes()).unwrap();
    octets[at] ^= 1;
    std::fs::write(&file, octets).unwrap();
    let refused = verified().unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt(_)), "{refused:?}");
    assert!(refused.to_string().contains("index"), "{refused}");
}

#[test]
fn an_index_that_is_none_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    drop(Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap());
    let noise: Vec<u8> = (0..9000u32).map(|n| (n * n / 7) as u8).collect();
    for octets in [&noise[..], &noise[..100]] {
        std::fs::write(folder.path().join("index.redb"), octets).unwrap();
        let refused = Embedded::open(folder.path(), EmbeddedOptions::default());
        assert!(matches!(refused, Err(OpenError::Corrupt(_))), "{refused:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let refused = Embedded::open(folder.path().join("file/store"), EmbeddedOptions::default());
    assert!(matches!(refused, Err(OpenError::Io(_))), "{refused:?}");
}
