//! Quotas as the agent meets them: refusing, remembering, warning.

use iems_core::deliver::Attempt;
use iems_core::message::{EnhancedStatus, Reply};
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, StoreError};

use super::{LocalAgent, store_trouble, warning};
use crate::directory::{AccountInfo, Admission, Over};
use crate::mailbox::{Mailboxes, Usage};

impl LocalAgent {
    /// Whether the account may take a message of `octets`, with which so much will really have come.
    pub(super) async fn admit(
        &self,
        account: &AccountInfo,
        octets: u64,
        coming: Usage,
        now: Timestamp,
    ) -> Result<Admission, Reply> {
        let admission = self.directory.admit(account, octets, coming, now).await.map_err(store_trouble)?;
        let (detail, text) = match admission.over {
            None => return Ok(admission),
            Some(Over::Account) => ((2, 2), "The mailbox is full; its owner has to make room"),
            Some(Over::Domain) => {
                ((3, 1), "The mailboxes of this domain are full; its administrator has to make room")
            }
        };
        let (code, class) = if self.directory.quota_options().temporary { (452, 4) } else { (552, 5) };
        Err(Reply::new(code, EnhancedStatus::new(class, detail.0, detail.1), text))
    }

    /// Adds what changes about the quota, and the warning if one is due.
    pub(super) async fn note_quota(
        &self,
        batch: &mut Batch,
        attempt: &Attempt,
        account: &AccountInfo,
        admission: &Admission,
    ) -> Result<(), StoreError> {
        if admission.after != admission.state {
            let before = admission.before.as_ref();
            Mailboxes::put_quota_state(batch, account.id, before, admission.after)?;
        }
        if let Some(percent) = admission.warn {
            let limits = self.directory.limits(account).await?;
            let blobs = self.mailboxes().blobs();
            let message = warning::warning(blobs, account, limits, percent, attempt.now).await?;
            Mailboxes::append(batch, account.id, account.inbox, &message)?;
        }
        Ok(())
    }
}
