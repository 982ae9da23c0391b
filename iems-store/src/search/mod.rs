//! Searching texts: what of a message is searched, how it is compared, and what an index of texts may say.
//!
//! `TEXT` and `BODY` of IMAP look for a text within the texts of a message (RFC 9051 section 6.4.4). Who reads messages
//! for it and who makes an index of them do it by the functions of this module, so that they cannot differ. An index
//! never finds: it rules out. What it does not rule out is read, so the answer is the same with and without one.
//!
//! `fold` how texts are compared · `texts` what is searched · `contract` what an index promises · `index/` one, with the
//! feature `search`.

mod contract;
mod fold;
#[cfg(feature = "search")]
mod index;
mod texts;

pub use contract::{KnownTexts, Needle, TELLING, TextIndex};
pub use fold::{Sought, fold, fold_field};
#[cfg(feature = "search")]
pub use index::{
    IndexError, IndexState, IndexStatus, LEAST_MEMORY, MOST_MEMORY, SearchCounters, SearchIndex,
    SearchOptions,
};
pub use texts::{Field, HEADER, HeaderTexts, READING, field_text, fields, is_searched, part_text};
