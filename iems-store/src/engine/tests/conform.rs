//! The engine does what every engine must, on a real disk and on a simulated one.

use std::sync::{Arc, Mutex};

use iems_core::storage::conformance;

use crate::engine::{Embedded, EmbeddedOptions, SimDisk};

/// Small enough that everything rolls over, flushes and spills.
fn small() -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 64 << 10,
        memtable_bytes: 8 << 10,
        pending_bytes: 32 << 10,
        ..EmbeddedOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_a_real_disk() {
    let folders = Mutex::new(Vec::new());
    conformance::check(async || {
        let folder = tempfile::tempdir().unwrap();
        let engine = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
        folders.lock().unwrap().push(folder);
        engine.storage()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_when_everything_is_small() {
    conformance::check(async || Embedded::open_on(Arc::new(SimDisk::new()), small()).unwrap().storage())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_a_disk_that_has_an_end() {
    conformance::check(async || {
        let disk = SimDisk::new();
        disk.set_capacity(64 << 20);
        Embedded::open_on(Arc::new(disk), small()).unwrap().storage()
    })
    .await;
}
