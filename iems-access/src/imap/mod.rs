//! IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501), with the extensions listed in `docs/specifications.md`.
//!
//! `types` are the words, `codec` is between them and octets.

pub mod codec;
pub mod types;
