//! What the directory remembers, so that a recipient costs no read in the common case.
//!
//! Bounded, and emptied by any commit under the directory's namespace: the store's watch is asked at each access, so no
//! task is needed. An answer is kept only if nothing was committed since before it was read.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use iems_core::message::{Domain, Mailbox};
use iems_core::seam::Resolution;
use iems_core::storage::Watch;

use super::{AccountInfo, DomainInfo};

/// Who has exactly one address.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Account(Arc<AccountInfo>),
    Alias(Arc<[Mailbox]>),
    Nobody,
}

/// The number of changes seen when something was looked for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

pub(super) struct Cache {
    watch: Watch,
    inner: Mutex<Inner>,
}

struct Inner {
    epoch: Epoch,
    resolutions: Generations<Mailbox, Resolution>,
    entries: Generations<Mailbox, Entry>,
    domains: Generations<Domain, Option<Arc<DomainInfo>>>,
}

impl Cache {
    /// An empty cache that is emptied when `watch` wakes.
    pub(super) fn new(watch: Watch, size: usize) -> Self {
        let inner = Inner {
            epoch: Epoch(0),
            resolutions: Generations::new(size),
            entries: Generations::new(size),
            domains: Generations::new(size),
        };
        Self { watch, inner: Mutex::new(inner) }
    }

    pub(super) fn resolution(&self, mailbox: &Mailbox) -> Result<Resolution, Epoch> {
        let mut inner = self.current();
        inner.resolutions.get(mailbox).ok_or(inner.epoch)
    }

    pub(super) fn put_resolution(&self, epoch: Epoch, mailbox: &Mailbox, resolution: Resolution) {
        self.unchanged(epoch, |inner| inner.resolutions.put(mailbox.clone(), resolution));
    }

    pub(super) fn entry(&self, mailbox: &Mailbox) -> Result<Entry, Epoch> {
        let mut inner = self.current();
        inner.entries.get(mailbox).ok_or(inner.epoch)
    }

    pub(super) fn put_entry(&self, epoch: Epoch, mailbox: &Mailbox, entry: Entry) {
        self.unchanged(epoch, |inner| inner.entries.put(mailbox.clone(), entry));
    }

    pub(super) fn domain(&self, domain: &Domain) -> Result<Option<Arc<DomainInfo>>, Epoch> {
        let mut inner = self.current();
        inner.domains.get(domain).ok_or(inner.epoch)
    }

    pub(super) fn put_domain(&self, epoch: Epoch, domain: &Domain, info: Option<Arc<DomainInfo>>) {
        self.unchanged(epoch, |inner| inner.domains.put(domain.clone(), info));
    }

    fn unchanged(&self, epoch: Epoch, put: impl FnOnce(&mut Inner)) {
        let mut inner = self.current();
        if inner.epoch == epoch {
            put(&mut inner);
        }
    }

    /// What is remembered and still holds.
    fn current(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = pin!(self.watch.changed());
        if changed.poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            inner.epoch.0 += 1;
            inner.resolutions.clear();
            inner.entries.clear();
            inner.domains.clear();
        }
        inner
    }
}

/// A map of bounded size that forgets what was not asked for lately: when the young generation is
/// full it becomes the old one, and the old one is forgotten.
struct Generations<K, V> {
    size: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq + Clone, V: Clone> Generations<K, V> {
    fn new(size: usize) -> Self {
        Self { size: (size / 2).max(1), young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
    }

    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.size {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_bounded_and_keep_what_is_asked_for() {
        let mut map = Generations::new(10);
        for n in 0..1000 {
            map.put(n, n);
            assert_eq!(map.get(&0), Some(0));
            assert!(map.young.len() + map.old.len() <= 11);
        }
        assert_eq!(map.get(&1), None);
    }
}
