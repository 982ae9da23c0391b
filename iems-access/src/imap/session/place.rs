//! Names and where they lead: to the user's own mailboxes, and under `Other Users/` to those that others share
//! (RFC 4314, RFC 2342): `Other Users/ann@example.org/Projects`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iems_core::message::Mailbox;
use iems_store::directory::AccountInfo;
use iems_store::mailbox::{AccountId, MailboxId, MailboxInfo, Rights};

use super::pattern::above;
use super::{Session, Trouble};
use crate::imap::types::{Code, Status};

/// What names of others' mailboxes begin with.
pub(super) const OTHERS: &str = "Other Users/";

/// What a user needs one of to know of a mailbox (RFC 4314 section 4).
const KNOWN: [Rights; 5] = [Rights::LOOKUP, Rights::READ, Rights::INSERT, Rights::CREATE, Rights::ADMINISTER];

/// A mailbox that was named.
#[derive(Debug)]
pub(super) struct Place {
    /// Whose it is.
    pub(super) owner: Arc<AccountInfo>,
    pub(super) mailbox: MailboxId,
    /// What the user may do with it.
    pub(super) rights: Rights,
}

impl Place {
    /// Refuses what takes rights that the user has not.
    pub(super) fn permits(&self, needed: Rights) -> Result<(), Trouble> {
        permits(self.rights, needed)
    }
}

/// Refuses what takes rights that the user has not.
pub(super) fn permits(rights: Rights, needed: Rights) -> Result<(), Trouble> {
    match rights.contains(needed) {
        true => Ok(()),
        false => Err(Status::no("Its owner does not let you").with(Code::NoPerm).into()),
    }
}

/// Whether a name is in the namespace of others.
pub(super) fn is_others(path: &str) -> bool {
    path.strip_prefix(OTHERS).is_some() || Some(path) == OTHERS.strip_suffix('/')
}

/// The owner that a name says, and the path with them.
pub(super) fn owned(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix(OTHERS)?.split_once('/')
}

impl Session {
    /// Where a name leads. Nowhere, where the user may not know of the mailbox.
    pub(super) async fn place(&self, path: &str) -> Result<Option<Place>, Trouble> {
        let user = self.user()?.info.clone();
        if !path.starts_with(OTHERS) {
            let found = self.accounts.mailboxes().find(user.id, path).await?;
            return Ok(found.map(|mailbox| Place { owner: user, mailbox, rights: Rights::all() }));
        }
        let Some((owner, path)) = owned(path) else { return Ok(None) };
        let Some(owner) = self.owner(owner).await? else { return Ok(None) };
        let Some(mailbox) = self.accounts.mailboxes().find(owner.id, path).await? else { return Ok(None) };
        let rights = self.accounts.mailboxes().rights(owner.id, mailbox, user.id).await?;
        let known = KNOWN.iter().any(|right| rights.contains(*right));
        Ok(known.then_some(Place { owner, mailbox, rights }))
    }

    /// Who has an address, if anybody.
    pub(super) async fn owner(&self, address: &str) -> Result<Option<Arc<AccountInfo>>, Trouble> {
        match address.parse::<Mailbox>() {
            Ok(address) => Ok(self.accounts.directory().account(&address).await?),
            Err(_) => Ok(None),
        }
    }

    /// Where a name leads.
    pub(super) async fn known_place(&self, path: &str) -> Result<Place, Trouble> {
        let place = self.place(path).await?;
        place.ok_or_else(|| Status::no("There is no such mailbox").with(Code::NonExistent).into())
    }

    /// The mailboxes of others that are listed, and the names above them.
    pub(super) async fn shared(&self) -> Result<Vec<(AccountId, MailboxInfo)>, Trouble> {
        let user = self.user()?.info.clone();
        let mailboxes = self.accounts.mailboxes();
        let mut owners: BTreeMap<AccountId, Option<Arc<AccountInfo>>> = BTreeMap::new();
        let mut found: BTreeMap<String, (AccountId, MailboxId, bool)> = BTreeMap::new();
        for (owner, mailbox) in mailboxes.shared_with(user.id).await? {
            let rights = mailboxes.rights(owner, mailbox, user.id).await?;
            if !rights.contains(Rights::LOOKUP) {
                continue;
            }
            if let std::collections::btree_map::Entry::Vacant(entry) = owners.entry(owner) {
                let near = user.mailbox.domain();
                entry.insert(self.accounts.directory().account_numbered(owner, near).await?);
            }
            let Some(Some(info)) = owners.get(&owner) else { continue };
            let Some(path) = mailboxes.path(owner, mailbox).await? else { continue };
            let selectable = rights.contains(Rights::READ);
            found.insert(format!("{OTHERS}{}/{path}", info.mailbox), (owner, mailbox, selectable));
        }
        let parents: BTreeSet<String> =
            found.keys().flat_map(|path| above(path)).map(str::to_owned).collect();
        for parent in &parents {
            found.entry(parent.clone()).or_insert((AccountId(0), MailboxId(0), false));
        }
        let told = found.into_iter().map(|(path, (owner, id, selectable))| {
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            let children = parents.contains(&path);
            let info = MailboxInfo {
                id,
                path,
                name,
                parent: None,
                selectable,
                children,
                subscribed: false,
                special: None,
            };
            (owner, info)
        });
        Ok(told.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_of_others_is_theirs() {
        assert_eq!(OTHERS, format!("{}{}", iems_store::mailbox::OTHERS, iems_store::mailbox::DELIMITER));
        assert!(is_others("Other Users") && is_others("Other Users/ann@example.org/x"));
        assert!(!is_others("Other Usersx") && !is_others("Other") && !is_others("x/Other Users/y"));
        assert_eq!(owned("Other Users/a/b/c"), Some(("a", "b/c")));
        assert_eq!((owned("Other Users/a"), owned("x/y")), (None, None));
    }
}
