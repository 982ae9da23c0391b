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
        Self { name, ids: None, messages: all.collect() }
    }

    /// The same with unique ids in the form that another server gave them.
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
    }

    /// Number and octets of the messages that are not marked.
    pub(super) fn totals(&self) -> (usize, u64) {
        let there = self.messages.iter().filter(|m| !m.deleted);
        there.fold((0, 0), |(count, octets), m| (count + 1, octets + m.octets))
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
