//! IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501), with the extensions listed in `docs/specifications.md`.
//!
//! `types` are the words, `codec` is between them and octets, `search` finds and sorts messages.

pub mod codec;
pub mod search;
pub mod types;
