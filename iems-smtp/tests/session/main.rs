//! The server's session without I/O: dialogues as data, and whatever else a peer may send.

mod any_octets;
mod copies;
mod dialogues;
mod endings;
mod support;
