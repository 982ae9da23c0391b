//! What can be read: the rows in memory over the index, as one moment.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use iems_core::storage::{BlobId, Scan, StoreError, Visitor};

use super::index::Snapshot;
use super::memtable::Memtable;
use super::row::{BlobRow, Delta};
use super::segment::Position;

/// Rows in memory, those being moved to the index, and the index.
pub(super) struct State {
    pub(super) active: Memtable,
    pub(super) frozen: Option<Arc<Memtable>>,
    /// Up to where the log is in `frozen`.
    pub(super) frozen_at: Position,
    /// `None` while the index is being opened anew after a failure.
    pub(super) base: Option<Arc<Snapshot>>,
    /// Up to where the log is in `active`.
    pub(super) position: Position,
    /// The engine was closed.
    pub(super) closed: bool,
}

/// What memory knows about a key or a body: the outer `None` is nothing, the inner one that it is gone.
type Known<T> = Option<Option<T>>;

impl State {
    /// The index as of the last checkpoint.
    pub(super) fn base(&self) -> Result<&Arc<Snapshot>, StoreError> {
        self.base.as_ref().ok_or_else(|| match self.closed {
            true => StoreError::Closed,
            false => StoreError::Io("the index is being opened anew".into()),
        })
    }

    /// What memory knows about a key.
    pub(super) fn known(&self, key: &[u8]) -> Known<Bytes> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.rows.get(key));
        self.active.rows.get(key).or_else(frozen).cloned()
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.known(key) {
            Some(known) => Ok(known),
            None => self.base()?.get(key),
        }
    }

    pub(super) fn blob(&self, id: BlobId) -> Result<Option<BlobRow>, StoreError> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.blobs.get(&id));
        match self.active.blobs.get(&id).or_else(frozen) {
            Some(known) => Ok(known.clone()),
            None => self.base()?.blob(id),
        }
    }

    /// Finds the rows that `delta` removes and of which only memory knows. Those of mail that was
    /// delivered promptly leave no trace then, neither in memory nor in the index.
    pub(super) fn find_unborn(&self, delta: &mut Delta) -> Result<(), StoreError> {
        let base = self.base()?;
        for (key, value) in &delta.rows {
            if value.is_none() && base.get(key)?.is_none() {
                delta.unborn_rows.push(key.clone());
            }
        }
        for (id, change) in &delta.blobs {
            if change.after.is_none() && base.blob(*id)?.is_none() {
                delta.unborn_blobs.push(*id);
            }
        }
        Ok(())
    }

    /// Lets everybody see a group that is durable up to `position`. What it says about unborn rows
    /// was found out over `base`.
    pub(super) fn publish(&mut self, mut delta: Delta, position: Position, base: Option<&Arc<Snapshot>>) {
        let rows = std::mem::take(&mut delta.unborn_rows);
        let blobs = std::mem::take(&mut delta.unborn_blobs);
        self.active.apply(delta);
        if let (Some(then), Some(now)) = (base, &self.base)
            && Arc::ptr_eq(then, now)
        {
            self.active.forget(&rows, &blobs, self.frozen.as_deref());
        }
        self.position = position;
    }

    /// Takes what a scan needs from memory, so that the rest can be done without the lock: pairs up
    /// to the limit, and what was removed before them.
    pub(super) fn begin_scan(&self, scan: Scan) -> Result<Scanning, StoreError> {
        let mut memory = Vec::new();
        if scan.limit > 0 && (scan.to.is_empty() || scan.from < scan.to) {
            let none = BTreeMap::new();
            let frozen = self.frozen.as_ref().map_or(&none, |frozen| &frozen.rows);
            let range = |rows| in_order(BTreeMap::range::<[u8], _>(rows, bounds(&scan)), scan.reverse);
            let mut values = 0;
            for (key, value) in merge(range(&self.active.rows), range(frozen), scan.reverse) {
                memory.push((key.clone(), value.clone()));
                values += usize::from(value.is_some());
                if values == scan.limit {
                    break;
                }
            }
        }
        Ok(Scanning { memory, base: self.base()?.clone(), scan })
    }
}

fn bounds(scan: &Scan) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let to = if scan.to.is_empty() { Bound::Unbounded } else { Bound::Excluded(&scan.to[..]) };
    (Bound::Included(&scan.from[..]), to)
}

fn in_order<'a, T: 'a>(
    range: impl DoubleEndedIterator<Item = T> + 'a,
    reverse: bool,
) -> Box<dyn Iterator<Item = T> + 'a> {
    if reverse { Box::new(range.rev()) } else { Box::new(range) }
}

/// Both in order; where both have a key, the upper one counts.
fn merge<K: Ord, V>(
    upper: impl Iterator<Item = (K, V)>,
    lower: impl Iterator<Item = (K, V)>,
    reverse: bool,
) -> impl Iterator<Item = (K, V)> {
    let (mut upper, mut lower) = (upper.peekable(), lower.peekable());
    std::iter::from_fn(move || {
        let order = match (upper.peek(), lower.peek()) {
            (Some((u, _)), Some((l, _))) if reverse => l.cmp(u),
            (Some((u, _)), Some((l, _))) => u.cmp(l),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        if order.is_eq() {
            lower.next();
        }
        if order.is_le() { upper.next() } else { lower.next() }
    })
}

/// A scan that has what it needs.
pub(super) struct Scanning {
    memory: Vec<(Bytes, Option<Bytes>)>,
    base: Arc<Snapshot>,
    scan: Scan,
}

impl Scanning {
    /// The index that it looks into.
    pub(super) const fn base(&self) -> &Arc<Snapshot> {
        &self.base
    }

    /// The pairs, memory before index.
    pub(super) fn finish(self) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let Self { memory, base, scan } = self;
        if scan.limit == 0 || !(scan.to.is_empty() || scan.from < scan.to) {
            return Ok(Vec::new());
        }
        let (from, to) = bounds(&scan);
        let mut failed = None;
        let index = base.range(from, to, scan.reverse, scan.limit)?.map_while(|pair| match pair {
            Ok((key, value)) => Some((key, Some(value))),
            Err(e) => {
                failed = Some(e);
                None
            }
        });
        let merged = merge(memory.into_iter(), index, scan.reverse);
        let pairs = merged.filter_map(|(key, value)| Some((key, value?))).take(scan.limit).collect();
        failed.map_or(Ok(pairs), Err)
    }

    /// Shows the pairs as they lie, until `each` wants no more: nothing of the index is copied.
    pub(super) fn visit(self, each: &mut Visitor<'_>) -> Result<(), StoreError> {
        if self.scan.reverse {
            for (key, value) in self.finish()? {
                if !each(&key, &value) {
                    break;
                }
            }
            return Ok(());
        }
        let Self { memory, base, scan } = self;
        if scan.limit == 0 || !(scan.to.is_empty() || scan.from < scan.to) {
            return Ok(());
        }
        let (mut memory, mut left, mut stopped) = (memory.into_iter().peekable(), scan.limit, false);
        let mut show = |key: &[u8], value: &[u8]| {
            left -= 1;
            each(key, value) && left > 0
        };
        let (from, to) = bounds(&scan);
        base.visit(from, to, |key, value| {
            while let Some((newer, value)) = memory.next_if(|(newer, _)| newer[..] < *key) {
                stopped |= value.is_some_and(|value| !show(&newer, &value));
                if stopped {
                    return false;
                }
            }
            stopped = !match memory.next_if(|(newer, _)| newer[..] == *key) {
                Some((_, newer)) => newer.is_none_or(|newer| show(key, &newer)),
                None => show(key, value),
            };
            !stopped
        })?;
        if !stopped {
            // What is behind all of the index.
            let mut rest = memory.filter_map(|(key, value)| Some((key, value?)));
            let _ = rest.all(|(key, value)| show(&key, &value));
        }
        Ok(())
    }
}
