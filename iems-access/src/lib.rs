//! Mailbox access: POP3.
//!
//! What users' programs speak to read mail. Not here: what mailboxes are (`iems-store`), and how mail gets into them.

pub mod pop3;
