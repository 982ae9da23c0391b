//! Counters in the store. All keys begin with `Tr`, the day as four octets and the domain with a zero octet behind it.
//!
//! | key goes on | value |
//! |---|---|
//! | number of the policy, `p` | the policy |
//! | number of the policy, `s` | counter: sessions as it wants |
//! | number of the policy, `f`, kind, host, address, reason | counter: sessions that were not |
//!
//! `Tb` and a domain: how many days in a row there was no session as a policy wants it; absent for none.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, Scan, Store, StoreError, counter};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::FailureKind;
use super::tally::{FailureSeen, PolicySeen};

const PREFIX: &[u8] = b"Tr";
/// How many rows are read at a time.
const PAGE: usize = 512;
/// The most rows of one domain and day that are told.
const MOST: usize = 4096;

/// A day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub(super) u32);

impl std::fmt::Display for Day {
    /// `2026-11-26`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.start().to_string().split('T').next().unwrap_or_default())
    }
}

impl Day {
    pub(super) fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.as_secs() / 86_400).unwrap_or(u32::MAX))
    }

    /// Its first moment.
    pub(super) fn start(self) -> Timestamp {
        Timestamp::from_millis(u64::from(self.0) * 86_400_000)
    }
}

/// One counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Counter {
    pub(super) day: Day,
    pub(super) domain: String,
    pub(super) policy: u64,
    pub(super) failure: Option<FailureSeen>,
}

/// A failure as it stands in a key.
#[derive(Serialize, Deserialize)]
struct FailureKey {
    kind: u8,
    host: Option<String>,
    ip: Option<IpAddr>,
    text: String,
}

impl Counter {
    pub(super) fn key(&self) -> Vec<u8> {
        let mut key = place(self.day, &self.domain);
        key.extend_from_slice(&self.policy.to_be_bytes());
        match &self.failure {
            None => key.push(b's'),
            Some(failure) => {
                key.push(b'f');
                let kind = FailureKind::ALL.iter().position(|kind| *kind == failure.kind).unwrap_or_default();
                let FailureSeen { host, ip, text, .. } = failure.clone();
                let failure = FailureKey { kind: kind as u8, host, ip, text };
                key.extend(postcard::to_stdvec(&failure).unwrap_or_default());
            }
        }
        key
    }
}

fn place(day: Day, domain: &str) -> Vec<u8> {
    [PREFIX, &day.0.to_be_bytes(), domain.as_bytes(), &[0]].concat()
}

/// The number of a policy: the same for the same policy.
pub(super) fn number(policy: &PolicySeen) -> u64 {
    let row = postcard::to_stdvec(policy).unwrap_or_default();
    let digest = Sha256::digest(&row);
    digest.iter().take(8).fold(0, |number, octet| number << 8 | u64::from(*octet))
}

pub(super) fn put_policy(batch: &mut Batch, day: Day, domain: &str, number: u64, policy: &Arc<PolicySeen>) {
    let key = [&place(day, domain)[..], &number.to_be_bytes(), b"p"].concat();
    batch.put(key, postcard::to_stdvec(&**policy).unwrap_or_default());
}

/// All that was counted about a domain on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The day.
    pub day: Day,
    /// The domain.
    pub domain: String,
    /// Under each policy.
    pub policies: Vec<OfPolicy>,
}

/// What was counted under one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfPolicy {
    number: u64,
    /// The policy.
    pub policy: PolicySeen,
    /// Sessions as it wants them.
    pub successes: u64,
    /// Sessions that were not, by their reason.
    pub failures: Vec<(FailureSeen, u64)>,
}

impl OfPolicy {
    #[cfg(test)]
    pub(super) fn new(policy: PolicySeen, successes: u64, failures: Vec<(FailureSeen, u64)>) -> Self {
        Self { number: number(&policy), policy, successes, failures }
    }
}

/// The first domain of the earliest day before `today` behind `after`, if there is one.
pub(super) async fn next(
    store: &dyn Store,
    after: Option<(Day, &str)>,
    today: Day,
) -> Result<Option<(Day, String)>, StoreError> {
    let to = [PREFIX, &today.0.to_be_bytes()].concat();
    let from = match after {
        // Behind all keys of this domain: its zero octet counted up.
        Some((day, domain)) => [PREFIX, &day.0.to_be_bytes(), domain.as_bytes(), &[1]].concat(),
        None => PREFIX.to_vec(),
    };
    let rows = store.scan(Scan::prefix(PREFIX, 1).starting_at(&from).ending_before(&to)).await?;
    Ok(rows.first().and_then(|(key, _)| split(key)).map(|(day, domain, _)| (day, domain.to_owned())))
}

fn split(key: &[u8]) -> Option<(Day, &str, &[u8])> {
    let rest = key.strip_prefix(PREFIX)?;
    let (day, rest) = rest.split_first_chunk::<4>()?;
    let end = rest.iter().position(|octet| *octet == 0)?;
    let domain = std::str::from_utf8(&rest[..end]).ok()?;
    Some((Day(u32::from_be_bytes(*day)), domain, &rest[end + 1..]))
}

/// All rows of a domain and day.
async fn rows_of(store: &dyn Store, day: Day, domain: &str) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
    let prefix = place(day, domain);
    let mut all: Vec<(Bytes, Bytes)> = Vec::new();
    loop {
        let mut scan = Scan::prefix(&prefix, PAGE);
        if let Some((last, _)) = all.last() {
            scan = scan.starting_at(&[last, &[0][..]].concat());
        }
        let page = store.scan(scan).await?;
        let ended = page.len() < PAGE;
        all.extend(page);
        if ended || all.len() >= MOST {
            return Ok(all);
        }
    }
}

/// What was counted about a domain on a day.
pub(super) async fn read(store: &dyn Store, day: Day, domain: &str) -> Result<Counted, StoreError> {
    let mut counted = Counted { day, domain: domain.to_owned(), policies: Vec::new() };
    let rows = rows_of(store, day, domain).await?;
    for (key, value) in &rows {
        let Some((_, _, rest)) = split(key) else { continue };
        let Some((number, tail)) = rest.split_first_chunk::<8>() else { continue };
        if let (b"p", Ok(policy)) = (tail, postcard::from_bytes(value)) {
            let number = u64::from_be_bytes(*number);
            counted.policies.push(OfPolicy { number, policy, successes: 0, failures: Vec::new() });
        }
    }
    for (key, value) in &rows {
        let Some((_, _, rest)) = split(key) else { continue };
        let Some((number, tail)) = rest.split_first_chunk::<8>() else { continue };
        let number = u64::from_be_bytes(*number);
        let Some(of) = counted.policies.iter_mut().find(|of| of.number == number) else { continue };
        let count =
            counter(Some(&**value)).ok().and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
        match tail.split_first() {
            Some((b's', _)) => of.successes = count,
            Some((b'f', failure)) => of.failures.extend(failed(failure).map(|failure| (failure, count))),
            _ => {}
        }
    }
    Ok(counted)
}

fn failed(key: &[u8]) -> Option<FailureSeen> {
    let FailureKey { kind, host, ip, text } = postcard::from_bytes(key).ok()?;
    Some(FailureSeen { kind: *FailureKind::ALL.get(usize::from(kind))?, host, ip, text })
}

/// Removes all rows of a domain and day with `batch`.
pub(super) async fn remove(
    store: &dyn Store,
    day: Day,
    domain: &str,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    for (key, _) in rows_of(store, day, domain).await? {
        batch.delete(&key);
    }
    Ok(())
}

fn bad_days_key(domain: &str) -> Vec<u8> {
    [b"Tb", domain.as_bytes()].concat()
}

/// How many days in a row nothing went well with a domain.
pub(super) async fn bad_days(store: &dyn Store, domain: &str) -> Result<u32, StoreError> {
    let row = store.get(&bad_days_key(domain)).await?;
    Ok(row.and_then(|row| <[u8; 4]>::try_from(&row[..]).ok()).map_or(0, u32::from_be_bytes))
}

/// Notes how many they are now.
pub(super) fn put_bad_days(batch: &mut Batch, domain: &str, days: u32) {
    match days {
        0 => batch.delete(&bad_days_key(domain)),
        days => batch.put(bad_days_key(domain), days.to_be_bytes().to_vec()),
    }
}
