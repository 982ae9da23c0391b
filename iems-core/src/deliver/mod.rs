//! Deliver: by a channel to another system, or by an agent inside our own store.

mod agent;
mod attempt;
mod channel;
mod effects;
mod link;
mod outcome;
mod site;

pub use agent::{Delivery, DeliveryAgent};
pub use attempt::{Attempt, Destination};
pub use channel::{Capabilities, Channel};
pub use effects::{Effects, Submission};
pub use link::Link;
pub use outcome::{Arrival, Outcome};
pub use site::Site;
