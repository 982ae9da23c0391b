//! Collects mail from mailboxes of other systems by POP3 and takes it in through the door.
//!
//! The unique name of each message (`UIDL`) is written in the commit that accepts it: a connection that breaks, or a crash,
//! between the acceptance and the server's `QUIT` brings a message again, and it is not taken again.

mod account;
mod login;
mod session;
mod talk;

pub use account::{Account, AccountSettings, Destination, Protection};
