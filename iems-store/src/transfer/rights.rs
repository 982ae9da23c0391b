//! Rights that others have on a mailbox with Dovecot (`dovecot-acl`), given anew here.

use std::path::Path;

use iems_core::message::{Domain, Mailbox};

use super::{Progress, TransferError, dovecot};
use crate::directory::StoreDirectory;
use crate::mailbox::{AccountId, Grantee, MailboxError, MailboxId, Mailboxes, Rights, RightsChange};

/// Who somebody is that a list names.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The accounts here.
    pub directory: &'a StoreDirectory,
    /// The domain of names without one.
    pub domain: &'a Domain,
}

/// A line of a list.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    who: &'a str,
    denied: bool,
    rights: Rights,
}

/// What a line says; `None` if that cannot be said here.
fn line(text: &str) -> Option<Line<'_>> {
    let (who, rights) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_once(char::is_whitespace)?,
    };
    let (denied, who) = who.strip_prefix('-').map_or((false, who), |who| (true, who));
    Some(Line { who, denied, rights: rights.trim().parse().ok()? })
}

/// Gives others the rights on a mailbox that they had. A mailbox that was `made` has those of the one above it, and gets exactly
/// these; another one only if it has none.
pub(super) async fn give(
    mailboxes: &Mailboxes,
    (account, mailbox, made): (AccountId, MailboxId, bool),
    place: &Path,
    names: Option<Names<'_>>,
    progress: &mut Progress,
) -> Result<(), TransferError> {
    let lines = dovecot::rights(place);
    let Some(names) = names else {
        if !lines.is_empty() {
            progress.note(place, format!("rights are not taken over: {}", lines.join("; ")));
        }
        return Ok(());
    };
    let there = mailboxes.acl(account, mailbox).await?;
    let trouble = |error: MailboxError| TransferError::Mailbox { path: place.display().to_string(), error };
    match there.is_empty() {
        true => {}
        false if !made => return Ok(()),
        false => {
            for entry in &there {
                for denied in [false, true] {
                    let who = (entry.grantee, &entry.name[..]);
                    let none = RightsChange::Set(Rights::none());
                    mailboxes.set_rights(account, mailbox, who, denied, none).await.map_err(trouble)?;
                }
            }
        }
    }
    for text in &lines {
        let Some(said) = line(text) else {
            progress.note(place, format!("this right is not taken over, as it cannot be said here: {text}"));
            continue;
        };
        let (grantee, name) = match said.who {
            // The owner may do everything here.
            "owner" => continue,
            "anyone" | "authenticated" => (Grantee::Anyone, "anyone".to_owned()),
            who => match names.account(who).await? {
                Some((id, _)) if id == account => continue,
                Some((id, name)) => (Grantee::Account(id), name),
                None => {
                    let why =
                        format!("this right is not taken over, as there is no such account here: {text}");
                    progress.note(place, why);
                    continue;
                }
            },
        };
        let change = RightsChange::Set(said.rights);
        let set = mailboxes.set_rights(account, mailbox, (grantee, &name), said.denied, change);
        set.await.map_err(trouble)?;
    }
    Ok(())
}

impl Names<'_> {
    /// The account of an identifier `user=name`, and its address.
    async fn account(&self, who: &str) -> Result<Option<(AccountId, String)>, TransferError> {
        let Some(name) = who.strip_prefix("user=") else { return Ok(None) };
        let address = if name.contains('@') { name.to_owned() } else { format!("{name}@{}", self.domain) };
        let Ok(address) = address.parse::<Mailbox>() else { return Ok(None) };
        let account = self.directory.account(&address).await?;
        Ok(account.map(|account| (account.id, account.mailbox.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_or_not() {
        let said = |text| line(text).map(|line| (line.who.to_owned(), line.denied, line.rights.to_string()));
        assert_eq!(said("user=bob lrs"), Some(("user=bob".into(), false, "lrs".into())));
        assert_eq!(said("-anyone w"), Some(("anyone".into(), true, "w".into())));
        assert_eq!(said("\"user=a b\" lr"), Some(("user=a b".into(), false, "lr".into())));
        assert_eq!(said("user=bob :lookup read"), None);
        assert_eq!(said("user=bob"), None);
    }
}
