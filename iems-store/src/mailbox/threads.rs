//! Threads (RFC 8474 section 5.3): a message joins the thread of what it answers, where that is still there.
//!
//! The index has one row for each message that is there and has a Message-ID, so it never grows beyond the mail.

use iems_core::storage::{Scan, StoreError};
use serde::{Deserialize, Serialize};

use super::Mailboxes;
use super::schema::{self, AccountId, MailboxId};
use crate::rows;

/// How many messages that one refers to are looked for: the last ones, which are the nearest.
const REFERENCES: usize = 16;
/// The longest Message-ID that is one, in octets.
const LONGEST: usize = 998;

/// A Message-ID, as the beginning of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageIdMark(pub [u8; 16]);

impl MessageIdMark {
    /// The mark of a Message-ID, without its angle brackets.
    pub fn of(id: &[u8]) -> Self {
        let hash = blake3::hash(id);
        Self(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// A message's id, and the ids of what it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageIds {
    /// Its own.
    pub own: Option<MessageIdMark>,
    /// Those of In-Reply-To and References, the nearest first, at most 16.
    pub references: Vec<MessageIdMark>,
}

impl MessageIds {
    /// The ids in a header section (RFC 5322 section 3.6.4).
    pub fn of(header: &[u8]) -> Self {
        let mut ids = Self::default();
        let mut references = Vec::new();
        for (name, value) in (Fields { rest: header }) {
            if name.eq_ignore_ascii_case(b"Message-ID") && ids.own.is_none() {
                ids.own = marks(value).next();
            } else if name.eq_ignore_ascii_case(b"In-Reply-To") {
                ids.references.extend(marks(value).take(REFERENCES));
            } else if name.eq_ignore_ascii_case(b"References") {
                references.extend(marks(value));
            }
        }
        for mark in references.into_iter().rev() {
            if ids.references.len() < REFERENCES && !ids.references.contains(&mark) {
                ids.references.push(mark);
            }
        }
        ids.references.truncate(REFERENCES);
        ids
    }
}

impl Mailboxes {
    /// The thread of a message with these ids, if one of them is in the account: that of the nearest answered, or of a
    /// copy of the message itself.
    ///
    /// # Errors
    /// The store's.
    pub async fn thread_of(&self, account: AccountId, ids: &MessageIds) -> Result<Option<u64>, StoreError> {
        for mark in ids.references.iter().chain(&ids.own) {
            let prefix = schema::key(account, &schema::of_message_id(&mark.0));
            if let Some((_, row)) = self.storage.store.scan(Scan::prefix(&prefix, 1)).await?.first() {
                let what = "an entry of the threads";
                return Ok(Some(rows::number(rows::versioned(row, what)?, what)?.0));
            }
        }
        Ok(None)
    }

    /// Whether a mailbox has a message with this Message-ID.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_message_id(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        id: &MessageIdMark,
    ) -> Result<bool, StoreError> {
        let tail = [&schema::of_message_id(&id.0)[..], &mailbox.0.to_be_bytes()].concat();
        let scan = Scan::prefix(&schema::key(account, &tail), 1);
        Ok(!self.storage.store.scan(scan).await?.is_empty())
    }
}

/// The marks of the ids in angle brackets.
fn marks(value: &[u8]) -> impl Iterator<Item = MessageIdMark> + '_ {
    let inside = value.split(|b| *b == b'<').skip(1).filter_map(|part| {
        let end = part.iter().position(|b| *b == b'>')?;
        part.get(..end)
    });
    let ids = inside.filter(|id| !id.is_empty() && id.len() <= LONGEST);
    ids.map(|id| {
        let whole: Vec<u8> = id.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        MessageIdMark::of(&whole)
    })
}

/// The fields of a header section: name, and value with its folds.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() || self.rest.starts_with(b"\r\n") || self.rest.starts_with(b"\n") {
                return None;
            }
            let (field, rest) = self.rest.split_at(length(self.rest));
            self.rest = rest;
            if let Some(colon) = field.iter().position(|b| *b == b':') {
                let (name, value) = field.split_at(colon);
                return Some((name.trim_ascii_end(), value.get(1..).unwrap_or_default()));
            }
        }
    }
}

/// The length of the first field, folds included.
fn length(header: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = header.get(at..).and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
        at += line + 1;
        if !matches!(header.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
    header.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_folded_fields() {
        let header = b"Message-Id : <own@x>\r\nSubject: <no@x>\r\nReferences: <a@x>\r\n\t<b@x> (word)\r\n <c@x>\r\nIn-Reply-To: <c@x>\r\n\r\n<body@x>";
        let mark = |id: &str| MessageIdMark::of(id.as_bytes());
        let ids = MessageIds::of(header);
        assert_eq!(ids.own, Some(mark("own@x")));
        assert_eq!(ids.references, ["c@x", "b@x", "a@x"].map(mark));
        assert_eq!(MessageIds::of(b"junk\r\nMessage-ID: none\r\nReferences: <\r\n"), MessageIds::default());
        let many = format!("References: {}\r\n", (0..100).map(|n| format!("<{n}@x>")).collect::<String>());
        assert_eq!(MessageIds::of(many.as_bytes()).references.len(), REFERENCES);
    }
}
