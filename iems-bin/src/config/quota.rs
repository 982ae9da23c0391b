//! `[quota]` and `[delivery]`: how much accounts may hold, and how local mail is delivered.

use std::sync::Arc;
use std::time::Duration;

use iems_store::agent::AgentOptions;
use iems_store::directory::{Quota, QuotaOptions};
use iems_store::mailbox::UsualMailbox;

use super::leaf::Size;
use super::problem::Notes;
use super::read::section;

section! {
    /// Quotas.
    WrittenQuota {
        /// The most octets of an account.
        storage: Size;
        /// The most messages of an account.
        messages: u32;
        /// The share of a limit, in percent, at which its owner is warned.
        warn_at: u32 = "90";
        /// How long mail is taken over the limit.
        grace: Duration = r#""0s""#;
        /// How far over it, in percent.
        grace_extra: u32 = "10";
        /// Whether senders are asked to try again.
        temporary: bool = "false";
    }

    /// Local delivery.
    WrittenDelivery {
        /// Whether a second message with the same Message-ID is dropped.
        drop_duplicates: bool = "false";
        /// Whether a subaddress makes its mailbox.
        make_mailboxes: bool = "false";
    }
}

/// What holds for quotas.
pub(super) fn quota(written: &WrittenQuota, notes: &mut Notes<'_>) -> QuotaOptions {
    let percent = &written.warn_at;
    if percent.value > 100 {
        let share = "a share of the limit in percent, at most 100 (0 for never)";
        notes.expected(percent.span.as_ref(), "quota.warn_at", share);
    }
    let mut options = QuotaOptions::default();
    options.account = Quota {
        octets: written.storage.as_ref().map(|size| size.value.0).filter(|octets| *octets > 0),
        messages: written.messages.as_ref().map(|most| u64::from(most.value)).filter(|most| *most > 0),
    };
    options.warn_percent = percent.value;
    options.grace = written.grace.value;
    options.grace_percent = written.grace_extra.value;
    options.temporary = written.temporary.value;
    options
}

/// How local mail is delivered.
pub(super) fn delivery(written: &WrittenDelivery, usual: &Arc<[UsualMailbox]>) -> AgentOptions {
    let mut options = AgentOptions::default();
    options.drop_duplicates = written.drop_duplicates.value;
    options.make_mailboxes = written.make_mailboxes.value;
    options.usual = usual.clone();
    options
}
