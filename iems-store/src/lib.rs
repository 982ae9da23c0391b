//! Storage engine, mailboxes, directory and the local delivery agent.

pub mod engine;
