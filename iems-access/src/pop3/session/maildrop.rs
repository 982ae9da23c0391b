//! A maildrop as one session sees it: fixed at login, numbered from 1, with marks for what is to be deleted.

use std::fmt::Write as _;

use iems_store::mailbox::Uid;

use crate::pop3::UidlFormat;

/// The messages of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maildrop {
    name: String,
    /// What unique ids look like where that is said, and the UIDVALIDITY.
    ids: Option<(UidlFormat, u32)>,
    messages: Vec<Message>,
    /// Number and octets of those that are not marked: asked for again and again, of a million messages as of one.
    totals: (usize, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    uid: Uid,
    octets: u64,
    deleted: bool,
    /// It was sent whole.
    retrieved: bool,
}

impl Maildrop {
    /// The messages with these UIDs and sizes in octets. `name` is unique to the mailbox as long as its UIDs hold; visible
    /// ASCII, at most 60 characters, the rest is cut.
    pub fn new(name: &str, messages: impl IntoIterator<Item = (Uid, u64)>) -> Self {
        let name = name.chars().filter(char::is_ascii_graphic).take(60).collect();
        let all = messages.into_iter().map(|(uid, octets)| Message {
            uid,
            octets,
            deleted: false,
            retrieved: false,
        });
        let mut new = Self { name, ids: None, messages: all.collect(), totals: (0, 0) };
        new.reset();
        new
    }

    /// The same with unique ids in the form that another server gave them.
    #[must_use]
    pub fn with_ids(self, format: UidlFormat, uid_validity: u32) -> Self {
        Self { ids: Some((format, uid_validity)), ..self }
    }

    /// The message with this number, if it is there and not marked.
    pub(super) fn get(&self, number: u32) -> Option<(Uid, u64)> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.messages.get(at).filter(|m| !m.deleted).map(|m| (m.uid, m.octets))
    }

    /// Marks a message; `false` if it is not there, or marked already.
    pub(super) fn delete(&mut self, number: u32) -> bool {
        let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        match at.and_then(|at| self.messages.get_mut(at)).filter(|m| !m.deleted) {
            Some(message) => {
                message.deleted = true;
                self.totals = (self.totals.0 - 1, self.totals.1 - message.octets);
                true
            }
            None => false,
        }
    }

    /// Notes that a message was sent whole.
    pub(super) fn retrieved(&mut self, uid: Uid) {
        // UIDs only grow.
        if let Ok(at) = self.messages.binary_search_by_key(&uid, |message| message.uid) {
            self.messages[at].retrieved = true;
        }
    }

    /// The UIDs of messages that were sent whole and are not marked.
    pub(super) fn read(&self) -> Vec<Uid> {
        self.messages.iter().filter(|m| m.retrieved && !m.deleted).map(|m| m.uid).collect()
    }

    /// Takes all marks back.
    pub(super) fn reset(&mut self) {
        self.messages.iter_mut().for_each(|m| m.deleted = false);
        self.totals = (self.messages.len(), self.messages.iter().map(|message| message.octets).sum());
    }

    /// Number and octets of the messages that are not marked.
    pub(super) const fn totals(&self) -> (usize, u64) {
        self.totals
    }

    /// The UIDs of marked messages.
    pub(super) fn marked(&self) -> Vec<Uid> {
        self.messages.iter().filter(|m| m.deleted).map(|m| m.uid).collect()
    }

    /// The unique id of a message (RFC 1939 section 7, `UIDL`).
    pub(super) fn unique_id(&self, uid: Uid) -> String {
        match &self.ids {
            Some((format, validity)) => format.id(*validity, uid.0),
            None => format!("{}.{:x}", self.name, uid.0),
        }
    }

    /// Writes the lines of a listing for messages from index `from` on, until `text` has grown to `enough` octets. The
    /// index to go on from, or `None` at the end.
    pub(super) fn list(&self, kind: Listing, from: usize, text: &mut String, enough: usize) -> Option<usize> {
        for (at, message) in self.messages.iter().enumerate().skip(from) {
            if text.len() >= enough {
                return Some(at);
            }
            if message.deleted {
                continue;
            }
            let number = at + 1;
            // Writing to a String does not fail.
            let _ = match kind {
                Listing::Sizes => write!(text, "{number} {}\r\n", message.octets),
                Listing::Ids => write!(text, "{number} {}\r\n", self.unique_id(message.uid)),
            };
        }
        None
    }
}

/// What a listing tells of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    Sizes,
    Ids,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_not_counted_each_time() {
        let mut maildrop = Maildrop::new("x", (1..=1_000_000).map(|uid| (Uid(uid), 10)));
        assert!(maildrop.delete(7) && !maildrop.delete(7) && maildrop.delete(8));
        let begun = std::time::Instant::now();
        for _ in 0..100_000 {
            assert_eq!(maildrop.totals(), (999_998, 9_999_980));
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
        maildrop.reset();
        assert_eq!(maildrop.totals(), (1_000_000, 10_000_000));
        assert_eq!(Maildrop::default().totals(), (0, 0));
    }
}
