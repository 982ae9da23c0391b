//! Limits: may *this one* do *that* now? One place that counts for all listeners, and says which limit hit whom.
//!
//! A [`Limit`] is data: what is counted ([`Act`]), for whom ([`Per`]), how much ([`Bound`]), and where an administrator
//! has set it. [`Limits`] counts: connections and sessions at once by [`Ticket`]s, everything else by budgets that refill evenly.
//! Whoever hits limits may be banned for a while; a [`Ban`] is data too: rule, key, count, until. Everything is bounded in memory:
//! with too many keys the one that did nothing for longest is forgotten. Counting is not I/O; [`Keeper`] lets bans outlive the process.
//!
//! ```
//! # use std::sync::Arc;
//! use iems_core::limits::{Act, Bound, Budget, Limit, Limits, Per, Who};
//! use iems_core::seam::SystemClock;
//! let limits = Limits::new(Arc::new(SystemClock));
//! let guesses = Limit::new("limits.guesses", Act::Failure, Per::Login, Bound::Budget(Budget::per_hour(3)));
//! limits.set("", vec![guesses]);
//! let guesser = Who { address: "192.0.2.1".parse().ok(), login: Some("ann@example.org"), ..Who::default() };
//! let owner = Who { address: "198.51.100.7".parse().ok(), ..guesser };
//! for _ in 0..3 {
//!     limits.take(Act::Failure, &guesser, 1).unwrap();
//! }
//! assert!(limits.check(Act::Failure, &guesser).is_err(), "no more guesses from there");
//! assert!(limits.check(Act::Failure, &owner).is_ok(), "whose account it is may still come in");
//! ```

mod access;
mod ban;
mod bucket;
mod counts;
mod hit;
mod keep;
mod key;
mod limit;
mod repeat;
mod table;
mod ticket;

pub use access::{Access, AccessRule, CertificateRule, Decision, Host, Shown};
pub use ban::{Ban, MOST_BANS};
pub use counts::{Limits, MOST_KEYS};
pub use hit::{Hit, HitCount};
pub use keep::Keeper;
pub use key::{Key, KeyError, Who};
pub use limit::{Act, Bound, Budget, Limit, Per, Terms};
pub use ticket::Ticket;

#[cfg(test)]
mod tests;
