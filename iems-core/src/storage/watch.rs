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

/// The watchers of one store. For engines: call [`Watchers::wrote`] or
/// [`Watchers::wrote_all`] for every key written, after the commit can be seen.
///
/// The cost of a written key is one look-up per distinct length of watched prefixes; where it begins as the one before it,
/// a comparison.
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
        self.wrote_all(std::iter::once(key));
    }

    /// Wakes whoever watches a prefix of one of `keys`. They may come in any order; in that of their octets they cost least.
    pub fn wrote_all<'k>(&self, keys: impl Iterator<Item = &'k [u8]> + Clone) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.retain(|length, prefixes| {
            let mut last = None;
            for prefix in keys.clone().filter_map(|key| key.get(..*length)) {
                if last.replace(prefix) != Some(prefix) {
                    wake(prefixes, prefix);
                }
            }
            !prefixes.is_empty()
        });
    }
}

/// Wakes whoever watches `prefix`, and forgets who does not any more.
fn wake(prefixes: &mut Prefixes, prefix: &[u8]) {
    let Some(watchers) = prefixes.get_mut(prefix) else { return };
    watchers.retain(|watcher| watcher.upgrade().inspect(|notify| notify.notify_one()).is_some());
    if watchers.is_empty() {
        prefixes.remove(prefix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it was woken since it was last asked.
    fn is_woken(watch: &Watch) -> bool {
        let mut changed = std::pin::pin!(watch.changed());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        changed.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn each_prefix_of_a_key_is_woken_and_no_other() {
        let watchers = Watchers::default();
        let [all, a, ab, b, b2] = ["", "a", "ab", "b", "b"].map(|prefix| watchers.watch(prefix.as_bytes()));
        watchers.wrote_all(["a1", "a2", "ac"].iter().map(|key| key.as_bytes()));
        assert_eq!([&all, &a, &ab, &b, &b2].map(is_woken), [true, true, false, false, false]);
        assert!(!is_woken(&a), "once is enough");
        watchers.wrote_all(["b", "ab1", "b1", "a", ""].iter().map(|key| key.as_bytes()));
        assert_eq!([&all, &a, &ab, &b, &b2].map(is_woken), [true; 5]);
        drop((all, a, b));
        watchers.wrote(b"b");
        assert!(is_woken(&b2) && !is_woken(&ab));
        drop((ab, b2));
        watchers.wrote_all(["ab", "b"].iter().map(|key| key.as_bytes()));
        assert!(watchers.inner.lock().unwrap().is_empty(), "who is gone is forgotten");
    }
}
