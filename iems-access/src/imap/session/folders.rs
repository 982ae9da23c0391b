//! Mailboxes made, deleted, renamed, subscribed to (RFC 9051 sections 6.3.4 to 6.3.8, RFC 6154 section 3).

use iems_core::seam::Timestamp;
use iems_store::mailbox::{AccountId, MailboxId, SpecialUse as Use};

use super::place::must_be_own;
use super::{Outcome, Session};
use crate::imap::types::{Code, SpecialUse, Status};

/// A mailbox's object id (RFC 8474 section 4).
pub(super) fn mailbox_id(account: AccountId, mailbox: MailboxId) -> String {
    format!("F{:x}-{:x}", account.0, mailbox.0)
}

/// A special use in the words of the store, if it knows it.
fn known_use(special: &SpecialUse) -> Option<Use> {
    Some(match special {
        SpecialUse::Archive => Use::Archive,
        SpecialUse::Drafts => Use::Drafts,
        SpecialUse::Important => Use::Important,
        SpecialUse::Junk => Use::Junk,
        SpecialUse::Sent => Use::Sent,
        SpecialUse::Trash => Use::Trash,
        SpecialUse::All | SpecialUse::Flagged | SpecialUse::Other(_) => return None,
    })
}

/// A special use in the words of the protocol.
pub(super) fn told_use(special: Use) -> Option<SpecialUse> {
    Some(match special {
        Use::Archive => SpecialUse::Archive,
        Use::Drafts => SpecialUse::Drafts,
        Use::Important => SpecialUse::Important,
        Use::Junk => SpecialUse::Junk,
        Use::Sent => SpecialUse::Sent,
        Use::Trash => SpecialUse::Trash,
        _ => return None,
    })
}

impl Session {
    pub(super) async fn create(&mut self, path: &str, uses: &[SpecialUse], now: Timestamp) -> Outcome {
        must_be_own(path)?;
        let special = match uses {
            [] => None,
            [one] => match known_use(one) {
                Some(special) => Some(special),
                None => {
                    return Err(Status::no("No mailbox can have this use here").with(Code::UseAttr).into());
                }
            },
            _ => return Err(Status::no("A mailbox has one use at most here").with(Code::UseAttr).into()),
        };
        let account = self.user()?.info.id;
        let mailbox = self.accounts.mailboxes().create(account, path, special, now).await?;
        self.changed_names(&[path]);
        Ok(Status::ok("Made").with(Code::MailboxId(mailbox_id(account, mailbox))))
    }

    pub(super) async fn delete(&mut self, path: &str) -> Outcome {
        must_be_own(path)?;
        self.accounts.mailboxes().delete(self.user()?.info.id, path).await?;
        self.changed_names(&[path]);
        Ok(Status::ok("Deleted"))
    }

    pub(super) async fn rename(&mut self, from: &str, to: &str, now: Timestamp) -> Outcome {
        must_be_own(from)?;
        must_be_own(to)?;
        self.accounts.mailboxes().rename(self.user()?.info.id, from, to, now).await?;
        self.changed_names(&[from, to]);
        Ok(Status::ok("Renamed"))
    }

    pub(super) async fn subscribe(&mut self, path: &str, subscribed: bool) -> Outcome {
        self.accounts.mailboxes().subscribe(self.user()?.info.id, path, subscribed).await?;
        self.changed_names(&[path]);
        Ok(Status::ok(if subscribed { "Subscribed" } else { "Unsubscribed" }))
    }
}
