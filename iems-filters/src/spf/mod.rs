//! The SPF judge: may this address send for this domain? (RFC 7208)
//!
//! On the path: `preprocess`, at the reverse-path. The HELO identity and the MAIL FROM identity get one verdict each,
//! `spf/helo` and `spf/mail`. Everything is asked through the [`Resolver`](iems_core::seam::Resolver).
//!
//! - `record`, `text`: the grammar of records and of macros (sections 4.6, 5, 6, 7), pure;
//! - `evaluate`: `check_host()` (section 4), bounded as section 4.6.4 wants it;
//! - `judge`: which identities, how long, and what is written down.
//!
//! [`check_host`] is public, for tools and for the public test suite of RFC 7208, which this evaluator passes.

mod evaluate;
mod judge;
mod record;
mod settings;
#[cfg(test)]
mod tests;
mod text;

pub use evaluate::{Outcome, Query, SpfResult, check_host};
pub use judge::Spf;
pub use settings::Settings;

pub(crate) use judge::word;
