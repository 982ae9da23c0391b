//! What a judge found. A verdict is a fact: it is recorded once, travels with the message,
//! and never says what to do. Deciding is [`crate::preprocess::Policy`]'s.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The outcome of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// The check ran and speaks for the message.
    Pass,
    /// The check ran and has nothing to say.
    Neutral,
    /// The check ran and speaks against the message.
    Fail,
    /// The check could not run now (DNS timeout, scanner away).
    TempError,
    /// The check cannot run on this message (malformed record or input).
    PermError,
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Neutral => "neutral",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// One finding of one check about one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The check, with the source it asked where there are several: `dnsbl/zen.example`.
    pub check: String,
    /// What came out.
    pub result: CheckResult,
    /// How strongly it speaks against the message; negative speaks for it.
    pub score: f32,
    /// What the check saw, for people: `127.0.0.2 from zen.example for 192.0.2.7`.
    pub evidence: String,
}
