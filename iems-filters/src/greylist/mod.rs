//! Greylisting: whoever is not known is asked to come again, which programs made for spam do not (RFC 6647).
//!
//! On the path: `preprocess`, at each recipient, after SPF. What is remembered stands in the store, so that a restart asks
//! nobody twice. The key is the domain whose SPF record names the peer, else the peer's network, with sender and recipient: so large
//! providers, who come back from another address, pass.

mod judge;
mod settings;
mod state;

pub use judge::Greylist;
pub use settings::Settings;
