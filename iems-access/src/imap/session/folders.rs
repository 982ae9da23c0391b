//! Mailboxes made, deleted, renamed, subscribed to (RFC 9051 sections 6.3.4 to 6.3.8, RFC 6154 section 3).

use iems_core::seam::Timestamp;
use iems_store::mailbox::{AccountId, DELIMITER, MailboxId, Rights};

use super::pattern::above;
use super::place::{is_others, owned};
use super::uses::{known_use, no_use};
use super::{Outcome, Output, Session, Sink, Trouble};
use crate::imap::types::{Code, Data, ListData, SpecialUse, Status};

/// A mailbox's object id (RFC 8474 section 4).
pub(super) fn mailbox_id(account: AccountId, mailbox: MailboxId) -> String {
    format!("F{:x}-{:x}", account.0, mailbox.0)
}

impl Session {
    pub(super) async fn create(&mut self, path: &str, uses: &[SpecialUse], now: Timestamp) -> Outcome {
        let special = match uses {
            [] => None,
            [one] => match known_use(one) {
                Some(special) => Some(special),
                None => return Err(no_use("No mailbox can have this use here")),
            },
            _ => return Err(no_use("A mailbox has one use at most here")),
        };
        let (owner, below) = self.below_permitted(path).await?;
        let mailboxes = self.accounts.mailboxes();
        let special = match uses {
            [] => mailboxes.usual_use(owner, &self.options.usual, &below).await?,
            _ => special,
        };
        let mailbox = mailboxes.create(owner, &below, special, now).await?;
        self.changed_names(&[path]);
        Ok(Status::ok("Made").with(Code::MailboxId(mailbox_id(owner, mailbox))))
    }

    pub(super) async fn delete<S: Sink>(&mut self, path: &str, out: &mut Output<'_, S>) -> Outcome {
        let (owner, below) = self.disposable(path).await?;
        out.finish_off(self.accounts.mailboxes().delete(owner, &below)).await??;
        self.changed_names(&[path]);
        Ok(Status::ok("Deleted"))
    }

    /// `RENAME` stays within one account; of others', it takes `x` on the mailbox and `k` where it goes (RFC 4314 section 4).
    pub(super) async fn rename<S: Sink>(
        &mut self,
        from: &str,
        to: &str,
        now: Timestamp,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let (owner, old) = self.disposable(from).await?;
        let (target, new) = self.below_permitted(to).await?;
        if owner != target {
            return Err(Status::no("A mailbox stays with its owner; COPY its messages instead")
                .with(Code::Cannot)
                .into());
        }
        out.finish_off(self.accounts.mailboxes().rename(owner, &old, &new, now)).await??;
        self.changed_names(&[from, to]);
        Ok(Status::ok("Renamed"))
    }

    /// Whose mailbox a name is, and its path with them. Refused where the user may not delete it.
    async fn disposable(&self, path: &str) -> Result<(AccountId, String), Trouble> {
        if !is_others(path) {
            return Ok((self.user()?.info.id, path.to_owned()));
        }
        let place = self.known_place(path).await?;
        place.permits(Rights::DELETE)?;
        let path = owned(path).map(|(_, path)| path.to_owned()).unwrap_or_default();
        Ok((place.owner.id, path))
    }

    /// Whose mailbox a name would be, and its path with them. Others' need the right to make mailboxes below the one that it
    /// would be in; where that is not there, below the next one up.
    async fn below_permitted(&self, path: &str) -> Result<(AccountId, String), Trouble> {
        if !is_others(path) {
            return Ok((self.user()?.info.id, path.to_owned()));
        }
        // Whoever may not know of what is there hears nothing else.
        let refused = || Status::no("Its owner does not let you make mailboxes there").with(Code::NoPerm);
        let (owner, path) = owned(path.trim_end_matches(DELIMITER)).ok_or_else(refused)?;
        let owner = self.owner(owner).await?.ok_or_else(refused)?.id;
        let (mailboxes, me) = (self.accounts.mailboxes(), self.user()?.info.id);
        for parent in above(path) {
            if let Some(parent) = mailboxes.find(owner, parent).await? {
                let rights = mailboxes.rights(owner, parent, me).await?;
                return match rights.contains(Rights::CREATE) {
                    true => Ok((owner, path.to_owned())),
                    false => Err(refused().into()),
                };
            }
        }
        match owner == me {
            true => Ok((owner, path.to_owned())),
            false => Err(refused().into()),
        }
    }

    /// Tells what became of a name whose letters were not composed (RFC 9051 section 6.3.9.7), if there is such a mailbox now.
    pub(super) fn tell_composed<S: Sink>(
        &self,
        composed: Option<(String, String)>,
        outcome: &Outcome,
        out: &mut Output<'_, S>,
    ) {
        if let (true, Some((old_name, mailbox)), Ok(_)) = (self.enabled.rev2, composed, outcome) {
            let (delimiter, old_name) = (Some(DELIMITER), Some(old_name));
            out.data(Data::List(ListData { delimiter, mailbox, old_name, ..ListData::default() }));
        }
    }

    pub(super) async fn subscribe(&mut self, path: &str, subscribed: bool) -> Outcome {
        self.accounts.mailboxes().subscribe(self.user()?.info.id, path, subscribed).await?;
        self.changed_names(&[path]);
        Ok(Status::ok(if subscribed { "Subscribed" } else { "Unsubscribed" }))
    }
}
