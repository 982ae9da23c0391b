//! From where a message first came into the site, as a host of the site says that passed it on to us. For logs and stories; no
//! right ever comes of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A peer that is not ours, but that of a host in front of us. What is not known is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// The verified name of its address.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// What it called itself.
    pub helo: Option<String>,
    /// The protocol it spoke.
    pub protocol: Option<String>,
    /// What the host in front of us calls the message.
    pub ident: Option<String>,
    /// Whether it was a program or user of the site (`true`), or anybody.
    pub local: Option<bool>,
}

impl Upstream {
    /// Its name and address, `unknown` what is not known.
    pub fn named(&self) -> (&str, &str) {
        (self.name.as_deref().unwrap_or("unknown"), self.address.as_deref().unwrap_or("unknown"))
    }
}

impl fmt::Display for Upstream {
    /// `name [address]:port as helo, by protocol, known there as ident`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, address) = self.named();
        write!(f, "{name} [{address}]")?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (word, value) in
            [(" as ", &self.helo), (", by ", &self.protocol), (", known there as ", &self.ident)]
        {
            if let Some(value) = value {
                write!(f, "{word}{value}")?;
            }
        }
        match self.local {
            Some(true) => f.write_str(", from within the site"),
            _ => Ok(()),
        }
    }
}
