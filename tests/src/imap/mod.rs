//! IMAP as data: a client that reads what a server says into words, scripts of what it has to say, and many clients at once.

mod client;
pub mod load;
pub mod script;
mod words;

pub use client::{Answer, Client};
pub use words::Word;
