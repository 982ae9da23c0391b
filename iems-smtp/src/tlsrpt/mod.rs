//! What went well and wrong with TLS towards other systems, in the terms of RFC 8460.

mod kind;

pub use kind::FailureKind;
