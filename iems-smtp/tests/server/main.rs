//! The server over real sockets, with an engine in memory behind it.

mod limits;
mod protection;
mod slow;
mod support;
mod transport;
