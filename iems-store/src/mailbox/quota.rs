//! What the ledger of an account remembers besides its counters, and counting it anew.

use bytes::Bytes;
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, StoreError};
use serde::{Deserialize, Serialize};

use super::append::octets;
use super::schema::{self, AccountId, Of};
use super::{Mailboxes, Usage, row};
use crate::rows;

/// How often an account is counted again when it changes meanwhile.
const COUNTED: usize = 5;
/// How many rows are read in one step.
const PAGE: usize = 4096;

/// Where an account stands with its quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaState {
    /// Whether its owner was warned since it was last below the mark.
    pub warned: bool,
    /// Since when it holds more than it may.
    pub over_since: Option<Timestamp>,
}

impl Mailboxes {
    /// Where an account stands with its quota, and the row that says so.
    pub(crate) async fn quota_state(
        &self,
        account: AccountId,
    ) -> Result<(Option<Bytes>, QuotaState), StoreError> {
        let row = self.storage.store.get(&schema::key(account, b"j")).await?;
        let state = row.as_ref().map(|row| rows::decode(row, "the quota of an account")).transpose()?;
        Ok((row, state.unwrap_or_default()))
    }

    /// Adds the steps by which that changes, under the condition that nobody else changes it.
    pub(crate) fn put_quota_state(
        batch: &mut Batch,
        account: AccountId,
        before: Option<&Bytes>,
        after: QuotaState,
    ) -> Result<(), StoreError> {
        let key = schema::key(account, b"j");
        match before {
            Some(before) => batch.require_equals(&key, before),
            None => batch.require_absent(&key),
        }
        match after == QuotaState::default() {
            true => batch.delete(&key),
            false => batch.put(key, rows::encode(&after)?),
        }
        Ok(())
    }

    /// Counts what an account holds, and sets its ledger to that; says what the ledger said and what it says now. `None` if
    /// the account changes all the time. Safe while others use it.
    ///
    /// # Errors
    /// The store's.
    pub async fn recount(&self, account: AccountId) -> Result<Option<(Usage, Usage)>, StoreError> {
        let key = |tag: &[u8]| schema::key(account, tag);
        for _ in 0..COUNTED {
            // Whoever adds or removes messages takes a MODSEQ or changes the ledger.
            let (modseq, said, counted) = (
                self.storage.store.get(&key(b"q")).await?,
                self.usage(account).await?,
                self.count_all(account).await?,
            );
            let mut batch = Batch::new();
            match &modseq {
                Some(modseq) => batch.require_equals(&key(b"q"), modseq),
                None => batch.require_absent(&key(b"q")),
            }
            for (tag, said, counted) in
                [(b"o", said.octets, counted.octets), (b"k", said.messages, counted.messages)]
            {
                match said {
                    0 => {}
                    said => batch.require_equals(&key(tag), &octets(said).to_le_bytes()),
                }
                match counted {
                    0 => batch.delete(&key(tag)),
                    counted => batch.put(key(tag), octets(counted).to_le_bytes().to_vec()),
                }
            }
            if said == counted || self.try_commit(batch).await?.is_some() {
                return Ok(Some((said, counted)));
            }
        }
        Ok(None)
    }

    async fn count_all(&self, account: AccountId) -> Result<Usage, StoreError> {
        let prefix = schema::key(account, &[Of::Info as u8]);
        let mut usage = Usage::default();
        let mut from = prefix.clone();
        loop {
            let scan = iems_core::storage::Scan::prefix(&prefix, PAGE).starting_at(&from);
            let page = self.storage.store.scan(scan).await?;
            for (key, row) in &page {
                usage.octets += row::read_info(schema::uid(key)?, row)?.body.size();
                usage.messages += 1;
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = [&last[..], &[0]].concat(),
                _ => return Ok(usage),
            }
        }
    }
}
