//! The special uses of mailboxes (RFC 6154), and the annotation that tells and changes the use of one (section 4).

use bytes::Bytes;
use iems_store::mailbox::{AccountId, Annotation, MailboxId, SpecialUse as Use};

use super::{Session, Trouble};
use crate::imap::types::{Code, EntryValue, SpecialUse, Status};

/// The annotation that is a mailbox's use.
const ENTRY: &str = "/private/specialuse";

/// The uses that the store knows, as they are told.
const NAMES: [(Use, &str); 6] = [
    (Use::Archive, "\\Archive"),
    (Use::Drafts, "\\Drafts"),
    (Use::Important, "\\Important"),
    (Use::Junk, "\\Junk"),
    (Use::Sent, "\\Sent"),
    (Use::Trash, "\\Trash"),
];

/// A special use in the words of the store, if it knows it.
pub(super) fn known_use(special: &SpecialUse) -> Option<Use> {
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

/// Why a mailbox cannot have a use.
pub(super) fn no_use(why: &str) -> Trouble {
    Status::no(why).with(Code::UseAttr).into()
}

impl Session {
    /// Puts the use of a mailbox among its annotations. It is its owner's; for others, it has none.
    pub(super) async fn tell_use(
        &self,
        owner: AccountId,
        mailbox: Option<MailboxId>,
        there: &mut Vec<Annotation>,
    ) -> Result<(), Trouble> {
        let Some(mailbox) = mailbox else { return Ok(()) };
        there.retain(|annotation| annotation.entry != ENTRY);
        if owner != self.user()?.info.id {
            return Ok(());
        }
        let special = self.accounts.mailboxes().special_of(owner, mailbox).await?;
        if let Some((_, name)) = NAMES.iter().find(|(known, _)| Some(*known) == special) {
            there.push(Annotation { entry: ENTRY.into(), value: Bytes::from_static(name.as_bytes()) });
        }
        Ok(())
    }

    /// Takes what is to become of the use of a mailbox out of `entries`: `Some(None)` if it is to have none.
    pub(super) fn take_use(
        &self,
        owner: AccountId,
        path: &str,
        entries: &mut Vec<EntryValue>,
    ) -> Result<Option<Option<Use>>, Trouble> {
        if path.is_empty() {
            return Ok(None);
        }
        let mut asked = None;
        for entry in entries.extract_if(.., |entry| entry.entry.eq_ignore_ascii_case(ENTRY)) {
            asked = Some(entry.value.unwrap_or_default());
        }
        let Some(value) = asked else { return Ok(None) };
        let value = String::from_utf8_lossy(&value);
        let wanted = match &value.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            [] => return Ok(Some(None)),
            [one] => NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(one)),
            _ => return Err(no_use("A mailbox has one use at most here")),
        };
        let (wanted, _) = wanted.ok_or_else(|| no_use("No mailbox can have this use here"))?;
        if owner != self.user()?.info.id {
            return Err(no_use("Its owner says what a mailbox is for"));
        }
        match path.eq_ignore_ascii_case("INBOX") {
            true => Err(no_use("INBOX has its use")),
            false => Ok(Some(Some(*wanted))),
        }
    }
}
