//! What an index holds of each message, and what it remembers of how far it is.

use std::collections::BTreeMap;

use iems_core::message::Body;
use serde::{Deserialize, Serialize};
use tantivy::schema::{BytesOptions, Field, NumericOptions, Schema};

use super::super::READING;
use crate::rows;

/// The version of this schema and of what is put into its fields.
const FORM: u32 = 1;

/// The fields of a message. Of its texts there are only the sets of their triples, so an index cannot show a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// Its EMAILID within the account.
    pub(super) email: Field,
    /// What its octets are, see [`mark_of`].
    pub(super) mark: Field,
    /// 1 if all of its texts were taken in, 0 if it has to be read whatever is looked for.
    pub(super) whole: Field,
    /// The triples of its text parts.
    pub(super) body: Field,
    /// The triples of the fields of its headers.
    pub(super) header: Field,
}

impl Fields {
    /// Names of the fields that are read by document.
    pub(super) const COLUMNS: [&'static str; 3] = ["email", "mark", "whole"];

    pub(super) fn schema() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let column = NumericOptions::default().set_fast();
        let triples = BytesOptions::default().set_indexed();
        let [email, mark, whole] = Self::COLUMNS;
        let fields = Self {
            email: schema.add_u64_field(email, column.clone().set_indexed()),
            mark: schema.add_u64_field(mark, column.clone()),
            whole: schema.add_u64_field(whole, column),
            body: schema.add_bytes_field("body", triples.clone()),
            header: schema.add_bytes_field("header", triples),
        };
        (schema.build(), fields)
    }
}

/// A mark of a message's octets. An EMAILID alone does not tell them after an older state of the store was restored
/// below a newer index.
pub(super) fn mark_of(body: &Body) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = body.blob.0;
    let blob = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let prefix = u64::from(crc32c::crc32c(&body.prefix)) << 32 | (body.prefix.len() as u64 & 0xffff_ffff);
    blob ^ prefix
}

/// By which rules texts were taken in. An index that was made by others is made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rules {
    form: u32,
    reading: u32,
    rows: u8,
    /// Letters have their cases by this version of Unicode.
    unicode: (u8, u8, u8),
    /// And are made of others by this one.
    decomposed: (u8, u8, u8),
}

impl Rules {
    const NOW: Self = Self {
        form: FORM,
        reading: READING,
        rows: rows::VERSION,
        unicode: char::UNICODE_VERSION,
        decomposed: unicode_normalization::UNICODE_VERSION,
    };
}

/// How far a mailbox was looked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Up to this UID.
    pub(super) uid: u32,
    /// How many messages it had then; `None` if it was not looked through to its end.
    pub(super) messages: Option<u64>,
}

/// How far an index is; part of every commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    rules: Rules,
    /// The MODSEQ that the account had when the last run began that came to its end.
    pub(super) modseq: Option<u64>,
    /// By the numbers of mailboxes.
    pub(super) mailboxes: BTreeMap<u32, Seen>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { rules: Rules::NOW, modseq: None, mailboxes: BTreeMap::new() }
    }
}

impl Progress {
    /// What a commit says; `None` if it was made by other rules.
    pub(super) fn read(payload: &str) -> Option<Self> {
        serde_json::from_str(payload).ok().filter(|progress: &Self| progress.rules == Rules::NOW)
    }

    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use iems_core::storage::BlobId;

    use super::*;

    #[test]
    fn other_rules_are_seen() {
        let mut progress = Progress { modseq: Some(7), ..Progress::default() };
        progress.mailboxes.insert(3, Seen { uid: 9, messages: Some(2) });
        let written = progress.write();
        assert_eq!(Progress::read(&written), Some(progress));
        assert_eq!(Progress::read(&written.replace("\"form\":1", "\"form\":0")), None);
        assert_eq!(Progress::read("{}"), None);
    }

    #[test]
    fn other_octets_have_another_mark() {
        let body = |blob, prefix: &'static [u8]| {
            let prefix = Bytes::from_static(prefix);
            mark_of(&Body { prefix, blob: BlobId([blob; 32]), blob_size: 1, header_size: 1 })
        };
        let marks = [body(1, b""), body(2, b""), body(1, b"a"), body(1, b"b"), body(1, b"aa")];
        let different: std::collections::HashSet<_> = marks.into_iter().collect();
        assert_eq!(different.len(), marks.len());
    }
}
