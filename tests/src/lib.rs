//! What the stories share: the harness around the real binary, our own raw clients and sink, and the
//! peers, which are real programs of other projects.
//!
//! A story is one numbered file in `tests/`. It starts the real `iems` with a configuration of its own in
//! a temporary folder, on loopback addresses that no other test process uses, talks to it from outside,
//! and ends only the processes it started. Nothing here leaves the machine, and a peer that is missing
//! fails the story with the name of the package.
//!
//! - `iems`: builds, configures, starts, stops and kills the server; its command line.
//! - `address`: loopback addresses nobody else uses.
//! - `certificates`: an authority and a server certificate for one story.
//! - `wire`, `smtp`, `pop3`: blocking raw clients that say exactly what they are told to.
//! - `replies`: every refusal, read out of the sources.
//! - `sink`: an SMTP server that answers as scripted and keeps what it got.
//! - `peers`: one file for each real program.
//! - `https`: a web server with one page.
//! - `dialogue`: plays what stands in `dialogues/`.
//! - `endings`: false ends of data, and what a server makes of them.
//! - `fetched`, `alike`: what `FETCH` answers, as values, by a raw IMAP client; and where two servers may differ.
//! - `imap`: what an IMAP server has to say, as scripts, and under load.
//! - `torture`: messages that are hard to read.
//! - `corpus`: real messages, good and bad.
//! - `process`, `wait`: running programs; waiting for something to become true.

pub mod address;
pub mod alike;
pub mod certificates;
pub mod corpus;
pub mod dialogue;
pub mod dice;
pub mod endings;
pub mod fetched;
pub mod https;
pub mod iems;
pub mod imap;
pub mod peers;
pub mod pop3;
pub mod process;
pub mod replies;
pub mod sink;
pub mod smtp;
pub mod torture;
pub mod wait;
pub mod wire;

/// The folder with what tests have fetched: `IEMS_TESTS_CACHE`, else `~/.cache/iems-tests`.
pub(crate) fn cache() -> std::path::PathBuf {
    let home =
        || std::path::PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache");
    std::env::var_os("IEMS_TESTS_CACHE").map_or_else(|| home().join("iems-tests"), std::path::PathBuf::from)
}
