//! Storage engine, mailboxes, structures of messages, directory and the local delivery agent.

mod rows;

pub mod engine;

pub mod directory;

pub mod mailbox;

pub mod structure;

pub mod told;

pub mod search;

pub mod agent;

pub mod transfer;
