//! What every storage engine must do, as checks that any engine can be put through.
//!
//! Each rule is a sentence of the contracts of [`super::Store`] and [`super::Blobs`]. It gets a fresh,
//! empty storage and needs a tokio runtime with its timer. Durability and crashes are for the engine's own tests:
//! from here, nobody can cut the power.

mod bodies;
mod contention;
mod counters;
mod owners;
mod room;
mod rows;
mod scans;
mod watching;

use std::future::Future;
use std::pin::Pin;

use super::{Batch, BlobId, Storage, StoreError};

/// One rule of the contracts.
#[derive(Clone, Copy)]
pub struct Rule {
    /// What the engine must do, as a name: `conflicts_write_nothing`.
    pub name: &'static str,
    run: fn(Storage) -> Checked,
}

/// How a rule was broken.
pub type Broken = String;

type Checked = Pin<Box<dyn Future<Output = Result<(), Broken>> + Send>>;

impl Rule {
    /// Puts a fresh, empty storage through this rule.
    ///
    /// # Errors
    /// How the engine broke it.
    pub async fn check(&self, storage: Storage) -> Result<(), Broken> {
        (self.run)(storage).await
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every rule, in the order of the contracts.
pub fn rules() -> Vec<Rule> {
    [
        rows::RULES,
        scans::RULES,
        counters::RULES,
        contention::RULES,
        watching::RULES,
        bodies::RULES,
        owners::RULES,
        room::RULES,
    ]
    .concat()
}

/// Puts an engine through every rule. `make` gives a fresh, empty storage each time.
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap().block_on(async {
/// use iems_core::storage::{MemoryStorage, conformance};
/// conformance::check(async || MemoryStorage::new().storage()).await;
/// # });
/// ```
///
/// # Panics
/// If a rule is broken; the message names it.
pub async fn check(make: impl AsyncFn() -> Storage) {
    for rule in rules() {
        if let Err(broken) = rule.check(make().await).await {
            panic!("the storage breaks the rule `{}`: {broken}", rule.name);
        }
    }
}

/// A list of rules from functions of the same names.
macro_rules! rule_list {
    ($($name:ident),* $(,)?) => {
        pub(super) const RULES: &[super::Rule] =
            &[$(super::Rule { name: stringify!($name), run: |storage| Box::pin($name(storage)) }),*];
    };
}
use rule_list;

/// Leaves the rule with a message unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(format!($($message)+));
        }
    };
}
use ensure;

/// An error that no rule expects.
fn odd(error: impl std::fmt::Display) -> Broken {
    format!("an operation failed: {error}")
}

async fn commit(storage: &Storage, build: impl FnOnce(&mut Batch)) -> Result<Vec<u64>, Broken> {
    let mut batch = Batch::new();
    build(&mut batch);
    Ok(storage.store.commit(batch).await.map_err(odd)?.firsts)
}

async fn get(storage: &Storage, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
    Ok(storage.store.get(key).await.map_err(odd)?.map(|value| value.to_vec()))
}

async fn write(storage: &Storage, body: &[u8]) -> Result<BlobId, Broken> {
    let mut writer = storage.blobs.create().await.map_err(odd)?;
    for piece in body.chunks(5000) {
        writer.write(piece.to_vec().into()).await.map_err(odd)?;
    }
    writer.finish().await.map_err(odd)
}

/// Collects until there is nothing more to collect.
async fn collect(storage: &Storage) -> Result<u64, Broken> {
    let mut blobs = 0;
    for _ in 0..1000 {
        let collected = storage.blobs.collect().await.map_err(odd)?;
        if collected == super::Collected::default() {
            return Ok(blobs);
        }
        blobs += collected.blobs;
    }
    Err("collect reports progress for ever".into())
}

async fn is_gone(storage: &Storage, id: BlobId) -> bool {
    matches!(storage.blobs.read(id, 0..1).await, Err(StoreError::NoBlob(no)) if no == id)
        && matches!(storage.blobs.size(id).await, Err(StoreError::NoBlob(no)) if no == id)
}

/// Bytes that look like nothing in particular and differ by seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    use crate::seam::{Random, SeededRandom};
    let random = SeededRandom::new(seed);
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.next_u64().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory_conforms() {
        check(async || MemoryStorage::new().storage()).await;
        check(async || {
            let memory = MemoryStorage::new();
            memory.set_capacity(Some(64 << 20));
            memory.storage()
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_storage_that_fails_is_told_by_name() {
        let memory = MemoryStorage::new();
        memory.fail_after(0, StoreError::Closed);
        for rule in rules() {
            assert!(rule.check(memory.storage()).await.is_err(), "{} cannot fail", rule.name);
        }
    }
}
