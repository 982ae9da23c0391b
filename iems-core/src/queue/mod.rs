//! Queue: accepted messages wait here, durably, until each recipient has its end.
//!
//! A message is an immutable record and, per next hop, one *group* of recipients: the small mutable
//! part. The table is the whole of what can happen to a group; each row is one commit and has a
//! crash test of its name (`tests/crash.rs`). `docs/queue.md` tells the same at length.
//!
//! | row | from | when | to | in the same commit |
//! |---|---|---|---|---|
//! | `accept` | – | the body is complete | waiting | message record, link to the body, index rows |
//! | `accept_delivered` | – | an agent delivers at once | gone | message record with its events, mailbox rows |
//! | `accept_for_later` | – | the sender wants it to go later | scheduled | the same, and its place in the order of time |
//! | `deliver` | waiting, deferred | every recipient done | gone | effects, unlink, event |
//! | `deliver_some` | waiting, deferred | some are done or failed, others not | deferred | effects, next due, event, report |
//! | `defer` | waiting, deferred | nobody is done | deferred | next due, event; that the site is down, if it is |
//! | `ripen` | deferred | its time has come | deferred, and ready | its row in the order of time becomes one among the ready |
//! | `ripen_scheduled` | scheduled | its time has come | scheduled, and ready | the same |
//! | `wake` | deferred | its site can be reached again | deferred, due now | due now |
//! | `warn` | any | the warning time is over | the same | event, report of delay |
//! | `fail` | waiting, deferred | the rest failed | gone | unlink, event, report of failure |
//! | `expire` | any | its time is over | gone | unlink, event, report of failure |
//! | `retry` | waiting, deferred | an operator asks | waiting | due now, event |
//! | `hold` | waiting, deferred, scheduled | an operator asks | held | event |
//! | `release` | held, scheduled | an operator asks | waiting | due now, event; what was held before its time is scheduled again |
//! | `redirect` | any | an operator asks | gone | unlink, a new message with its link, event |
//! | `reroute` | any | an operator asks | waiting | another hop, due now, event |
//! | `bounce` | any | an operator asks | gone | unlink, event, report of failure |
//! | `purge` | any | an operator asks | gone | unlink, event |
//! | `forget` | gone | the story is old | – | message record and events removed |
//!
//! In flight is no state on disk: a crash leaves the group where it was, and it is due again. For a remote
//! hop that means at least once; an agent's effects are in the commit that ends the group, so locally
//! it means exactly once.

mod alarm;
mod backoff;
mod carry;
mod claim;
mod collect;
mod forget;
mod hops;
mod key;
mod lane;
mod lease;
mod load;
mod operate;
mod pace;
mod pause;
mod peer;
mod rate;
mod record;
mod rows;
mod rules;
mod runner;
mod settle;
mod site;
mod source;
mod state;
mod submit;
mod turns;
mod wake;
mod wall;
mod window;
mod worker;

pub(crate) use alarm::watch;
pub use backoff::Schedule;
pub use collect::{Collection, Handed};
pub(crate) use forget::forget_old;
pub(crate) use hops::Runner;
pub(crate) use key::{GroupId, HopKey};
pub(crate) use lease::{Node, keep};
pub use operate::{
    Depth, Done, Entry, Extent, Filter, HopName, HopNameError, HopOrder, HopStatus, Mark, MarkError, Order,
    Overview, PausedHop, Queue, QueueError, RateOf, Waits,
};
pub use pause::Pause;
pub(crate) use pause::follow;
pub use peer::{Peer, PeerPattern, PeerPatternError, Peers, most_specific};
pub use rate::{Rate, RateError};
pub use record::{Accepted, Group, Message, Origin, State};
pub(crate) use rows::insert;
pub(crate) use runner::{find_hops, run};
pub(crate) use settle::attempt_event;
pub use source::{AddressPattern, AddressPatternError, Priority, PriorityError, SourceRates, Sources};
pub(crate) use state::settle;
pub(crate) use submit::{Maker, Queued, group, hop_of, put_message, put_submission, target};
