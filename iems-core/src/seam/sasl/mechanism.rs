//! The mechanisms by name.

use std::fmt;
use std::str::FromStr;

/// A mechanism that the server's side can carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// `SCRAM-SHA-256-PLUS`: the password is never sent, and the exchange is good for this channel only.
    ScramSha256Plus,
    /// `SCRAM-SHA-256`: the password is never sent.
    ScramSha256,
    /// `PLAIN`: login and password in the clear.
    Plain,
    /// `LOGIN`: the same, asked for one by one.
    Login,
    /// `EXTERNAL`: who the peer is has been proved beneath, by a certificate.
    External,
    /// `OAUTHBEARER`: a token from somebody who knows the peer.
    OAuthBearer,
    /// `XOAUTH2`: the same as it was before it became a standard.
    XOAuth2,
    /// `CRAM-MD5`: a secret is never sent, and has to be kept readable. RFC 2645 wants it.
    CramMd5,
}

impl Mechanism {
    /// All of them, the strongest first.
    pub const ALL: [Self; 8] = [
        Self::ScramSha256Plus,
        Self::External,
        Self::ScramSha256,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
        Self::CramMd5,
    ];

    /// Those that need nothing but a password.
    pub const WITH_PASSWORD: [Self; 4] = [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::External => "EXTERNAL",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::CramMd5 => "CRAM-MD5",
        }
    }

    /// Whether what proves the peer goes itself over the wire, so that the wire must be protected.
    pub const fn shows_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2)
    }

    /// Whether it can be offered over a channel like this one.
    pub fn fits(self, beneath: &super::Beneath) -> bool {
        match self {
            Self::ScramSha256Plus => !beneath.bindings.is_empty(),
            Self::External => beneath.certificate.is_some(),
            _ => true,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such mechanism here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a mechanism that is known")]
pub struct MechanismError;

impl FromStr for Mechanism {
    type Err = MechanismError;

    /// The mechanism of this name, in any case.
    fn from_str(name: &str) -> Result<Self, MechanismError> {
        Self::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(name)).ok_or(MechanismError)
    }
}
