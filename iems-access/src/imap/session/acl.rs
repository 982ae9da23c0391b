//! Access control lists (RFC 4314). The owner of a mailbox may do everything, and is in no list; the lists are of others.

use iems_core::message::Mailbox;
use iems_store::mailbox::{AccountId, AclEntry as Entry, Grantee, Rights, RightsChange};

use super::place::Place;
use super::{Outcome, Output, Session, Sink, Trouble};
use crate::imap::types::{AclChange, AclEntry, Code, Data, Status};

/// `anyone` (RFC 4314 section 2).
const ANYONE: &str = "anyone";

/// Whose rights an identifier is about.
struct Named {
    grantee: Grantee,
    /// As it is kept.
    name: String,
    /// Whether it is about what is denied: an identifier with `-` in front.
    denied: bool,
}

impl Session {
    /// `GETACL`.
    pub(super) async fn get_acl<S: Sink>(&mut self, path: &str, out: &mut Output<'_, S>) -> Outcome {
        let place = self.administered(path).await?;
        let all = letters(Rights::all());
        let mut entries = vec![AclEntry { identifier: place.owner.mailbox.to_string(), rights: all }];
        for entry in self.accounts.mailboxes().acl(place.owner.id, place.mailbox).await? {
            entries.extend(told(&entry));
        }
        out.data(Data::Acl { mailbox: path.to_owned(), entries });
        Ok(Status::ok("Those are the rights"))
    }

    /// `SETACL`.
    pub(super) async fn set_acl(
        &mut self,
        path: &str,
        identifier: &str,
        change: AclChange,
        rights: &str,
    ) -> Outcome {
        let place = self.administered(path).await?;
        let Ok(rights) = rights.parse::<Rights>() else {
            return Err(Status::bad("Rights are among lrswipkxtea").into());
        };
        let named = self.grantee(identifier, place.owner.id).await?;
        let change = match change {
            AclChange::Replace => RightsChange::Set(rights),
            AclChange::Add => RightsChange::Add(rights),
            AclChange::Remove => RightsChange::Remove(rights),
        };
        let who = (named.grantee, named.name.as_str());
        self.accounts
            .mailboxes()
            .set_rights(place.owner.id, place.mailbox, who, named.denied, change)
            .await?;
        Ok(Status::ok("The rights are set"))
    }

    /// `DELETEACL`.
    pub(super) async fn delete_acl(&mut self, path: &str, identifier: &str) -> Outcome {
        let place = self.administered(path).await?;
        let mailboxes = self.accounts.mailboxes();
        let entries = mailboxes.acl(place.owner.id, place.mailbox).await?;
        let (name, denied) = signed(identifier);
        // Also who is no longer known here can be taken out.
        let Some(entry) = entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name)) else {
            let named = self.grantee(identifier, place.owner.id).await?;
            let nothing = RightsChange::Set(Rights::none());
            mailboxes
                .set_rights(place.owner.id, place.mailbox, (named.grantee, &named.name), denied, nothing)
                .await?;
            return Ok(Status::ok("There are no such rights any more"));
        };
        let nothing = RightsChange::Set(Rights::none());
        mailboxes
            .set_rights(place.owner.id, place.mailbox, (entry.grantee, &entry.name), denied, nothing)
            .await?;
        Ok(Status::ok("There are no such rights any more"))
    }

    /// `LISTRIGHTS`: each right can be given by itself; the owner has them all for good.
    pub(super) async fn list_rights<S: Sink>(
        &mut self,
        path: &str,
        identifier: &str,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let place = self.administered(path).await?;
        let (owner, domain) = (place.owner.mailbox.to_string(), self.user()?.info.mailbox.domain());
        let owner = [identifier.to_owned(), format!("{identifier}@{domain}")]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&owner));
        let all = letters(Rights::all());
        let (required, optional) = match owner {
            true => (letters(Rights::all()), Vec::new()),
            false => (String::new(), all.chars().map(String::from).collect()),
        };
        let (mailbox, identifier) = (path.to_owned(), identifier.to_owned());
        out.data(Data::ListRights { mailbox, identifier, required, optional });
        Ok(Status::ok("Those are the rights that can be given"))
    }

    /// `MYRIGHTS`.
    pub(super) async fn my_rights<S: Sink>(&mut self, path: &str, out: &mut Output<'_, S>) -> Outcome {
        let place = self.known_place(path).await?;
        out.data(Data::MyRights { mailbox: path.to_owned(), rights: letters(place.rights) });
        Ok(Status::ok("Those are your rights"))
    }

    /// A mailbox whose rights the user may change.
    async fn administered(&self, path: &str) -> Result<Place, Trouble> {
        let place = self.known_place(path).await?;
        place.permits(Rights::ADMINISTER)?;
        Ok(place)
    }

    /// Whose rights an identifier is about: `anyone`, an address, or a name in the user's own domain.
    async fn grantee(&self, identifier: &str, owner: AccountId) -> Result<Named, Trouble> {
        let (name, denied) = signed(identifier);
        if name.eq_ignore_ascii_case(ANYONE) {
            return Ok(Named { grantee: Grantee::Anyone, name: ANYONE.into(), denied });
        }
        let nobody = || Status::no("There is nobody of this name").with(Code::NonExistent);
        let domain = self.user()?.info.mailbox.domain();
        let address = match name.contains('@') {
            true => name.to_owned(),
            false => format!("{name}@{domain}"),
        };
        let address: Mailbox = address.parse().map_err(|_| nobody())?;
        let account = self.accounts.directory().account(&address).await?.ok_or_else(nobody)?;
        if account.id == owner {
            return Err(Status::no("The owner may do everything").with(Code::Cannot).into());
        }
        let (grantee, name) = (Grantee::Account(account.id), account.mailbox.to_string());
        Ok(Named { grantee, name, denied })
    }
}

/// An identifier without its sign, and whether it had one.
fn signed(identifier: &str) -> (&str, bool) {
    match identifier.strip_prefix('-') {
        Some(name) => (name, true),
        None => (identifier, false),
    }
}

/// An entry as it is told: one line for what is given, one for what is denied.
fn told(entry: &Entry) -> impl Iterator<Item = AclEntry> + use<> {
    let granted = (entry.name.clone(), entry.granted);
    let denied = (format!("-{}", entry.name), entry.denied);
    let both = [granted, denied].into_iter().filter(|(_, rights)| !rights.is_empty());
    both.map(|(identifier, rights)| AclEntry { identifier, rights: letters(rights) })
}

/// Rights as letters, with those of RFC 2086 that stand for some of them: `c` for `k` and `x`, `d` for `t` and `e`. One is
/// enough for its letter to be told (RFC 4314 section 2.1.1).
pub(super) fn letters(rights: Rights) -> String {
    let mut letters = rights.to_string();
    let has = |right| rights.contains(right);
    if has(Rights::CREATE) || has(Rights::DELETE) {
        letters.push('c');
    }
    if has(Rights::DELETE_MESSAGES) || has(Rights::EXPUNGE) {
        letters.push('d');
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_letters_stand_beside_the_new_ones() {
        assert_eq!(letters(Rights::all()), "lrswipkxteacd");
        assert_eq!(letters(Rights::READ | Rights::EXPUNGE), "red");
        assert_eq!(letters(Rights::READ | Rights::DELETE), "rxc");
        assert_eq!(letters(Rights::READ | Rights::WRITE), "rw");
        assert_eq!(letters(Rights::none()), "");
    }
}
