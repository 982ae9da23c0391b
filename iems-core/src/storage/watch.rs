//! Watching prefixes: engines tell, readers wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::Notify;

/// Wakes when a watched prefix was written. Obtained from [`super::Store::watch`].
#[derive(Debug, Clone)]
pub struct Watch {
    notify: Arc<Notify>,
}

impl Watch {
    /// Returns after the next commit under the prefix; at once if there was one since the last call.
    /// Several commits may wake only once. Cancel-safe.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }
}

/// The watchers of one store. For engines: call [`Watchers::wrote`] for every key written, after
/// the commit can be seen.
///
/// The cost of a written key is one look-up per distinct length of watched prefixes.
#[derive(Debug, Default)]
pub struct Watchers {
    inner: Mutex<HashMap<usize, Prefixes>>,
}

/// The watched prefixes of one length.
type Prefixes = HashMap<Bytes, Vec<Weak<Notify>>>;

impl Watchers {
    /// A new watch on `prefix`.
    pub fn watch(&self, prefix: &[u8]) -> Watch {
        let notify = Arc::new(Notify::new());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let same = inner.entry(prefix.len()).or_default().entry(Bytes::copy_from_slice(prefix)).or_default();
        same.retain(|w| w.strong_count() > 0);
        same.push(Arc::downgrade(&notify));
        Watch { notify }
    }

    /// Wakes whoever watches a prefix of `key`.
    pub fn wrote(&self, key: &[u8]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.retain(|length, prefixes| {
            if let Some(prefix) = key.get(..*length)
                && let Some(watchers) = prefixes.get_mut(prefix)
            {
                watchers.retain(|w| {
                    w.upgrade().is_some_and(|n| {
                        n.notify_one();
                        true
                    })
                });
                if watchers.is_empty() {
                    prefixes.remove(prefix);
                }
            }
            !prefixes.is_empty()
        });
    }
}
