//! Reports in the store. All keys begin with `Ti` or `Td`; a digest is that of who wrote a report and what it is called.
//!
//! | key | value |
//! |---|---|
//! | `Ti`, when it was received (8 octets), digest (16) | version, the report |
//! | `Td`, digest | when it was received (8 octets), size of the row above (4) |

use bytes::Bytes;
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, Scan, Store, StoreError};
use sha2::{Digest as _, Sha256};

use super::model::Taken;

const REPORTS: &[u8] = b"Ti";
const NAMES: &[u8] = b"Td";
/// The version of a row.
const VERSION: u8 = 1;
/// The largest row, in octets: what does not fit is left out.
const LARGEST: usize = 32 * 1024;
/// The most details in it.
const DETAILS: usize = 512;
/// How many rows are read at a time.
const PAGE: usize = 256;

/// A report by its writer and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 16]);

impl Digest {
    /// That of a report. The domain that SPF vouches for is part of it: whoever forges a report that is still to come does not keep it away.
    pub(super) fn of(taken: &Taken) -> Self {
        let vouched = taken.spf.as_ref().filter(|spf| spf.result == "pass").map_or("", |spf| &spf.domain);
        let mut hash = Sha256::new();
        for part in [taken.report.organization.to_lowercase().as_str(), &taken.report.id, vouched] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut short = [0; 16];
        short.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Self(short)
    }

    fn key(self) -> Vec<u8> {
        [NAMES, &self.0].concat()
    }
}

fn key(received: Timestamp, digest: Digest) -> Vec<u8> {
    [REPORTS, &received.as_millis().to_be_bytes(), &digest.0].concat()
}

/// The row of a report, with less of it if it is too large.
pub(super) fn encode(taken: &Taken) -> Vec<u8> {
    let mut taken = taken.clone();
    loop {
        let mut row = vec![VERSION];
        row.extend(postcard::to_stdvec(&taken).unwrap_or_default());
        let details: usize = taken.report.policies.iter().map(|of| of.details.len()).sum();
        if row.len() <= LARGEST && details <= DETAILS {
            return row;
        }
        shrink(&mut taken);
    }
}

/// Leaves out half of the details or, where there are none, half of the policies, with all that they say at length.
fn shrink(taken: &mut Taken) {
    let report = &mut taken.report;
    if report.policies.iter().any(|of| !of.details.is_empty()) {
        for of in &mut report.policies {
            let keep = of.details.len() / 2;
            of.omitted += (of.details.len() - keep) as u64;
            of.details.truncate(keep);
        }
        return;
    }
    for of in &mut report.policies {
        of.strings.clear();
        of.hosts.clear();
    }
    let keep = report.policies.len().div_ceil(2);
    report.omitted += (report.policies.len() - keep) as u64;
    report.policies.truncate(keep);
}

fn decode(row: &[u8]) -> Option<Taken> {
    let (version, row) = row.split_first()?;
    (*version == VERSION).then(|| postcard::from_bytes(row).ok()).flatten()
}

/// Whether a report is there.
pub(super) async fn knows(store: &dyn Store, digest: Digest) -> Result<bool, StoreError> {
    Ok(store.get(&digest.key()).await?.is_some())
}

/// Adds a report, unless it has come meanwhile.
pub(super) fn add(batch: &mut Batch, taken: &Taken, digest: Digest, row: Vec<u8>) {
    let name = digest.key();
    batch.require_absent(&name);
    let size = u32::try_from(row.len()).unwrap_or(u32::MAX);
    batch.put(name, [&taken.received.as_millis().to_be_bytes()[..], &size.to_be_bytes()].concat());
    batch.put(key(taken.received, digest), row);
}

/// How much there is: reports, and octets of them.
pub(super) async fn room(store: &dyn Store) -> Result<(u64, u64), StoreError> {
    let (mut rows, mut octets, mut after) = (0, 0, NAMES.to_vec());
    loop {
        let page = store.scan(Scan::prefix(NAMES, 16 * PAGE).starting_at(&after)).await?;
        for (_, value) in &page {
            let size = value.get(8..).and_then(|size| size.try_into().ok()).map_or(0, u32::from_be_bytes);
            (rows, octets) = (rows + 1, octets + u64::from(size));
        }
        match page.last() {
            Some((last, _)) if page.len() == 16 * PAGE => after = [last, &[0][..]].concat(),
            _ => return Ok((rows, octets)),
        }
    }
}

/// Removes the oldest reports, at most 256 and only those from before `end`, if there is one; how many, and how many octets.
pub(super) async fn remove_oldest(
    store: &dyn Store,
    end: Option<Timestamp>,
    batch: &mut Batch,
) -> Result<(u64, u64), StoreError> {
    let mut scan = Scan::prefix(REPORTS, PAGE);
    if let Some(end) = end {
        scan = scan.ending_before(&[REPORTS, &end.as_millis().to_be_bytes()].concat());
    }
    let (mut rows, mut octets) = (0, 0);
    for (key, value) in store.scan(scan).await? {
        batch.delete(&key);
        batch.delete(&[NAMES, key.get(REPORTS.len() + 8..).unwrap_or_default()].concat());
        (rows, octets) = (rows + 1, octets + value.len() as u64);
    }
    Ok((rows, octets))
}

/// The next reports before `before`, latest first, and not from before `since`; nothing more if there are none. Rows of another version are
/// passed over.
pub(super) async fn page(
    store: &dyn Store,
    since: Timestamp,
    before: Option<&Bytes>,
) -> Result<(Vec<Taken>, Option<Bytes>), StoreError> {
    let from = [REPORTS, &since.as_millis().to_be_bytes()].concat();
    let mut scan = Scan::prefix(REPORTS, PAGE).starting_at(&from).backwards();
    if let Some(before) = before {
        scan = scan.ending_before(before);
    }
    let rows = store.scan(scan).await?;
    let more = rows.last().filter(|_| rows.len() == PAGE).map(|(key, _)| key.clone());
    Ok((rows.iter().filter_map(|(_, row)| decode(row)).collect(), more))
}
