//! Route: each recipient becomes a channel or agent, an address there and a next hop.

mod router;
mod table;

pub use router::{Route, Way};
pub(crate) use router::{UNROUTED, route};
pub use table::{Pattern, RouteTable, Via};
