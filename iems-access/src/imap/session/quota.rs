//! Quota (RFC 9208): one root for each account, set by the administrator.

use iems_store::directory::{AccountInfo, Over};
use iems_store::mailbox::{AccountId, Flags, MailboxId, Uid};

use super::{Outcome, Output, Session, Sink, Trouble};
use crate::imap::types::{Code, Data, QuotaResource, QuotaUsage, Status};

/// The name of the one root of an account.
const ROOT: &str = "";

impl Session {
    pub(super) async fn get_quota<S: Sink>(&mut self, root: &str, out: &mut Output<'_, S>) -> Outcome {
        if root != ROOT {
            return Err(Status::no("There is no such quota root").with(Code::NonExistent).into());
        }
        let usage = self.usage().await?;
        if usage.is_empty() {
            // A QUOTA tells of one resource at least (RFC 9208 section 7), and GETQUOTAROOT names no root then.
            return Err(Status::no("Nothing is limited here").with(Code::NonExistent).into());
        }
        out.data(Data::Quota { root: ROOT.into(), usage });
        Ok(Status::ok("That is how it stands"))
    }

    pub(super) async fn get_quota_root<S: Sink>(&mut self, path: &str, out: &mut Output<'_, S>) -> Outcome {
        let place = self.known_place(path).await?;
        if place.owner.id != self.user()?.info.id {
            // What others may hold is theirs to know.
            out.data(Data::QuotaRoot { mailbox: path.to_owned(), roots: Vec::new() });
            return Ok(Status::ok("Its owner's quota holds"));
        }
        let usage = self.usage().await?;
        // A list with nothing in it, which RFC 2087 let a QUOTA have, breaks off the reader of Thunderbird. What has no limit
        // need not be below a root.
        let limited = !usage.is_empty();
        let roots = if limited { vec![ROOT.into()] } else { Vec::new() };
        out.data(Data::QuotaRoot { mailbox: path.to_owned(), roots });
        if limited {
            out.data(Data::Quota { root: ROOT.into(), usage });
        }
        Ok(Status::ok("That is how it stands"))
    }

    /// What is limited, and how much of it is used.
    async fn usage(&self) -> Result<Vec<QuotaUsage>, Trouble> {
        let info = &self.user()?.info;
        let used = self.accounts.mailboxes().usage(info.id).await?;
        let quota = self.accounts.directory().limits(info).await?;
        let storage = quota.octets.map(|most| QuotaUsage {
            resource: QuotaResource::Storage,
            usage: used.octets.div_ceil(1024),
            limit: most / 1024,
        });
        let messages = quota.messages.map(|limit| QuotaUsage {
            resource: QuotaResource::Message,
            usage: used.messages,
            limit,
        });
        Ok(storage.into_iter().chain(messages).collect())
    }

    /// Refuses what would be over quota.
    pub(super) async fn room_for(
        &self,
        owner: &AccountInfo,
        messages: u64,
        octets: u64,
    ) -> Result<(), Trouble> {
        match self.accounts.directory().over_quota(owner, octets, messages).await? {
            None => Ok(()),
            Some(Over::Account) => {
                Err(Status::no("The account is full; delete some mail").with(Code::OverQuota).into())
            }
            Some(Over::Domain) => {
                Err(Status::no("The domain is full; ask your administrator").with(Code::OverQuota).into())
            }
        }
    }

    /// Octets of messages that are marked as deleted (RFC 9208 section 4.1.4).
    pub(super) async fn deleted_octets(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<u64, Trouble> {
        let (mut octets, mut after) = (0u64, Uid(0));
        loop {
            let page = self.accounts.mailboxes().view(account, mailbox, after, 4096).await?;
            let deleted = page.iter().filter(|state| state.flags.contains(Flags::DELETED));
            octets += deleted.map(|state| state.size).sum::<u64>();
            match page.last() {
                Some(last) if page.len() == 4096 => after = last.uid,
                _ => return Ok(octets),
            }
        }
    }
}
