//! Mailbox access: POP3.
