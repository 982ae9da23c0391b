//! What may be chosen about SPF. Plain data.

use std::time::Duration;

/// The settings of the judge.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// Our own name, which records may ask for.
    pub hostname: String,
    /// How long both identities may take together. Default 20 s: what RFC 7208 section 4.6.4 grants at least.
    pub timeout: Duration,
    /// Whether loopback, private and link-local addresses are judged. Default no: no record names them.
    pub private: bool,
    /// How strongly a `fail` speaks against a message. Default 4: the domain itself says so, and forwarding breaks it.
    pub fail: f32,
    /// How strongly a `softfail` does, whose verdict is `neutral`. Default 1.
    pub soft_fail: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            timeout: Duration::from_secs(20),
            private: false,
            fail: 4.0,
            soft_fail: 1.0,
        }
    }
}
