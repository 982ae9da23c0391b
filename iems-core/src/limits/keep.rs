//! Bans outlive the process: a row for each in the store, removed when it is over.
//!
//! | key | value |
//! |---|---|
//! | `lb` key | [`Ban`]: as text the key, as value all of it |

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::ban::{Ban, MOST_BANS};
use super::counts::Limits;
use crate::storage::{Batch, CommitError, Scan, Store, StoreError};

const BANS: &[u8] = b"lb";
/// Bans that come one after the other are written together.
const GATHER: Duration = Duration::from_secs(1);
/// When those that are over are swept out at the latest.
const SWEEP: Duration = Duration::from_secs(300);

/// Keeps bans in a store. Trouble with it is logged, and tried again at the next change: bans hold meanwhile, they only might
/// not outlive the process.
pub struct Keeper {
    limits: Arc<Limits>,
    store: Arc<dyn Store>,
    written: Written,
}

impl Keeper {
    /// Reads the bans that an earlier process left; they hold from now on.
    pub async fn open(limits: Arc<Limits>, store: Arc<dyn Store>) -> Self {
        let mut written = Written::new();
        match load(&*store).await {
            Ok(bans) => {
                limits.restore(bans.values().cloned());
                written = bans.into_iter().map(|(key, ban)| (key, Some(ban))).collect();
            }
            Err(error) => tracing::warn!(%error, "the bans of an earlier process could not be read"),
        }
        Self { limits, store, written }
    }

    /// Writes what changes, until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let clock = self.limits.clock().clone();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = self.limits.changed.notified() => {
                    tokio::select! {
                        biased;
                        () = shutdown.cancelled() => break,
                        () = clock.sleep(GATHER) => {}
                    }
                }
                () = clock.sleep(SWEEP) => {}
            }
            self.write().await;
        }
        self.write().await;
    }

    /// Writes what has changed.
    pub async fn write(&mut self) {
        write(&self.limits, &*self.store, &mut self.written).await;
    }
}

/// Bans by their key in the store. Rows that cannot be read are as good as none, and are removed.
type Written = HashMap<Bytes, Option<Ban>>;

async fn load(store: &dyn Store) -> Result<HashMap<Bytes, Ban>, StoreError> {
    let rows = store.scan(Scan::prefix(BANS, MOST_BANS * 2)).await?;
    Ok(rows.into_iter().filter_map(|(key, value)| Some((key, postcard::from_bytes(&value).ok()?))).collect())
}

async fn write(limits: &Limits, store: &dyn Store, written: &mut Written) {
    let now: Written = limits.bans().into_iter().map(|ban| (row(&ban), Some(ban))).collect();
    let mut batch = Batch::new();
    for key in written.keys().filter(|key| !now.contains_key(*key)) {
        batch.delete(key);
    }
    for (key, ban) in now.iter().filter(|(key, ban)| written.get(*key) != Some(*ban)) {
        if let Some(Ok(value)) = ban.as_ref().map(postcard::to_stdvec) {
            batch.put(key.to_vec(), value);
        }
    }
    if batch.is_empty() {
        return;
    }
    match store.commit(batch).await {
        Ok(_) => *written = now,
        Err(CommitError::Store(StoreError::Closed)) => {}
        Err(error) => {
            tracing::warn!(%error, "bans could not be written; they hold, but might not outlive a restart");
            limits.changed.notify_one();
        }
    }
}

fn row(ban: &Ban) -> Bytes {
    [BANS, ban.key.to_string().as_bytes()].concat().into()
}
