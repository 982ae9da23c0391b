//! The server over real sockets, with an engine in memory behind it.

mod limits;
mod protection;
mod support;
mod transport;
