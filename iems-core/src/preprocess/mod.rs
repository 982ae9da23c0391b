//! Preprocess: after the body has arrived and before the reply. Modules find, policies decide.

mod chain;
mod edit;
mod matrix;
mod policy;
mod preprocessor;

pub(crate) use chain::{Chain, Found, Module};
pub(crate) use edit::apply;
pub use matrix::{Cell, Matrix};
pub(crate) use policy::reason;
pub use policy::{Action, Decision, Policy, PolicyError, Rule, Scope};
pub use preprocessor::{Edit, Findings, Preprocessor, Stage, Subject};
