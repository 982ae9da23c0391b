//! The shape of an answer about certificates: what `iems tls show --json` prints. Fields are only ever added.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A certificate that listeners show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateAnswer {
    /// Its file.
    pub(crate) file: PathBuf,
    /// Whether the server gets it itself (ACME).
    pub(crate) managed: bool,
    /// The hosts it is for.
    pub(crate) names: Vec<String>,
    /// The hosts it is meant for here: our name for the default one; empty if it is shown for whatever it is for.
    pub(crate) hosts: Vec<String>,
    /// Protocol and address of the listeners that show it.
    pub(crate) listeners: Vec<String>,
    /// Who signed it.
    pub(crate) issuer: String,
    /// From when it holds.
    pub(crate) not_before: String,
    /// Until when it holds.
    pub(crate) not_after: String,
    /// The same in seconds since 1970.
    pub(crate) expires: i64,
    /// Days until then.
    pub(crate) days: i64,
    /// Its SHA-256.
    pub(crate) fingerprint: String,
    /// What is wrong with it.
    pub(crate) wrong: Vec<String>,
    /// The DNS records that vouch for its key (RFC 7672), for a signed zone.
    pub(crate) tlsa: Vec<String>,
}
