//! The vocabulary: what a message is while it is on the path.
//!
//! Values are built once at the door and never parsed again.

mod address;
pub(crate) mod authors;
mod body;
mod envelope;
mod id;
mod kind;
mod line_ends;
mod narrow;
mod remote;
mod reply;
mod status;
mod trace;
mod verdict;

pub use address::{AddressError, Domain, ForwardPath, LocalPart, Mailbox, ReversePath};
pub use body::{Body, BodyReader};
pub use envelope::{
    BodyType, DeliverBy, Envelope, Late, Notify, OriginalRecipient, Recipient, Release, Ret, Secrecy,
};
pub use id::{ChannelId, NextHop, QueueId, QueueIdError};
pub use kind::Kind;
pub use line_ends::LineEnds;
pub use narrow::{Fit, Unconvertible, narrow};
pub use remote::Remote;
pub use reply::Reply;
pub use status::{EnhancedStatus, StatusError};
pub use trace::{Received, TraceScan};
pub use verdict::{CheckResult, Verdict};
