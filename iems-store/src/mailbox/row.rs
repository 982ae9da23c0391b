//! The rows of the mailbox schema that are more than a number: how they are written and read. No I/O.
//!
//! What the commit hands out stands in front with a fixed length, so that a template can have places for it.

use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{Slot, StoreError, Template};
use serde::{Deserialize, Serialize};

use super::keyword::KeywordSet;
use super::query::{MessageInfo, MessageState};
use super::schema::{MailboxId, SpecialUse, Uid};
use super::{Flags, MessageIdMark};
use crate::rows;

/// The row of a mailbox, and of a name without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MailboxRow {
    pub(super) name: String,
    pub(super) parent: Option<MailboxId>,
    pub(super) special: Option<SpecialUse>,
}

/// The row of the tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TreeRow {
    pub(super) changes: u64,
    pub(super) names: u32,
}

/// A number that is known, or that the commit hands out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Known(u64),
    Slot(Slot, u64),
}

impl Number {
    pub(super) fn onto(self, template: Template) -> Template {
        match self {
            Self::Known(number) => template.bytes(&number.to_be_bytes()),
            Self::Slot(slot, plus) => template.number(slot, plus),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StateRest {
    flags: u8,
    size: u64,
    keywords: KeywordSet,
}

/// The state of a message as a row.
pub(super) fn state(
    modseq: Number,
    flags: Flags,
    keywords: &KeywordSet,
    size: u64,
) -> Result<Template, StoreError> {
    let rest = StateRest { flags: flags.bits(), size, keywords: keywords.clone() };
    let rest = rows::encode(&rest)?;
    Ok(modseq.onto(Template::from(&[rows::VERSION])).bytes(&rest[1..]))
}

/// The state of a row.
pub(super) fn read_state(uid: Uid, row: &[u8]) -> Result<MessageState, StoreError> {
    let what = "the state of a message";
    let (modseq, rest) = rows::number(rows::versioned(row, what)?, what)?;
    let StateRest { flags, size, keywords } = postcard::from_bytes(rest).map_err(|e| damage(what, &e))?;
    Ok(MessageState { uid, modseq, flags: Flags::from_bits(flags), keywords, size })
}

#[derive(Serialize, Deserialize)]
struct InfoRest {
    received: Timestamp,
    saved: Timestamp,
    id: Option<MessageIdMark>,
    body: Body,
}

/// What never changes of a message, as a row.
pub(super) fn info(email: Number, thread: Number, info: &MessageInfo) -> Result<Template, StoreError> {
    let MessageInfo { received, saved, id, body, .. } = info;
    let rest = InfoRest { received: *received, saved: *saved, id: *id, body: body.clone() };
    let rest = rows::encode(&rest)?;
    Ok(thread.onto(email.onto(Template::from(&[rows::VERSION]))).bytes(&rest[1..]))
}

/// What a row says that never changes of a message.
pub(super) fn read_info(uid: Uid, row: &[u8]) -> Result<MessageInfo, StoreError> {
    let what = "a message";
    let (email, rest) = rows::number(rows::versioned(row, what)?, what)?;
    let (thread, rest) = rows::number(rest, what)?;
    let InfoRest { received, saved, id, body } = postcard::from_bytes(rest).map_err(|e| damage(what, &e))?;
    Ok(MessageInfo { uid, email, thread, received, saved, id, body })
}

fn damage(what: &str, e: &postcard::Error) -> StoreError {
    StoreError::Corrupt(format!("{what}: {e}"))
}
