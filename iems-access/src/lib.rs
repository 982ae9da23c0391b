//! Mailbox access: POP3 and IMAP.
//!
//! What users' programs speak to read mail. Not here: what mailboxes are (`iems-store`), and how mail gets into them.

pub mod imap;
pub mod net;
pub mod pop3;
