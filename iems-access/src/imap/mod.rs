//! IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501), with the extensions listed in `docs/specifications.md`.
//!
//! `types` are the words.

pub mod types;
