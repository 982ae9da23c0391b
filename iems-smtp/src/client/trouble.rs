//! Trouble, and success, put into words: what a peer said or failed to say becomes a [`Reply`] that names the
//! host, for the sender's report and for `explain`.
//!
//! The public text names the host and quotes it; the private cause adds the protocol's details.

use std::fmt;
use std::time::Duration;

use iems_core::message::{EnhancedStatus, Reply};

use super::settings::Timeouts;
use super::wire::WireError;
use crate::proto::Response;

/// The longest quotation of a peer, in characters.
const QUOTED: usize = 1000;

/// What we wait for, which names the time limit too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first words of the server.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// RSET.
    Rset,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The end of the body.
    End,
}

impl Phase {
    /// How long this may take.
    pub(super) fn limit(self, timeouts: &Timeouts) -> Duration {
        match self {
            Self::Greeting => timeouts.greeting,
            Self::Hello | Self::StartTls => timeouts.hello,
            Self::Rset => timeouts.rset,
            Self::Mail => timeouts.mail,
            Self::Rcpt => timeouts.rcpt,
            Self::Data => timeouts.data,
            Self::End => timeouts.end,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "the connection",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Rset => "RSET",
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::End => "the end of the message",
        })
    }
}

/// Whom we talk to, in the words of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    /// `mx.example.org[192.0.2.1]:25`, `[192.0.2.1]:25`, `/run/lmtp`.
    pub(super) name: String,
    /// What TLS agreed on.
    pub(super) tls: Option<String>,
}

impl Peer {
    /// What the peer replied: `host mx.example.org[192.0.2.1]:25 said: ...`.
    pub(super) fn said(&self, response: &Response, to: Phase) -> Reply {
        let words: String = response.to_reply().text.chars().take(QUOTED).collect();
        let tls = self.tls.as_deref().unwrap_or("in the clear");
        let text = match response.is_success() {
            true => format!("host {} said: {words} ({tls})", self.name),
            false => format!("host {} said: {words} (in reply to {to})", self.name),
        };
        let status = response.enhanced.unwrap_or_else(|| implied(response.code));
        Reply::new(response.code, status, text)
            .because(format!("{} said {} to {to}, {tls}", self.name, response.code))
    }

    /// The peer fell silent, went away or babbled: nothing is known, so it is temporary.
    pub(super) fn lost(&self, error: &WireError, before: Phase) -> Reply {
        let (detail, what) = match error {
            WireError::Closed => (2, "closed the connection".to_owned()),
            WireError::Timeout => (2, "did not answer in time".to_owned()),
            WireError::Io(error) => (2, format!("is gone ({})", error.kind())),
            WireError::Garbled(_) => return self.unintelligible(&error.to_string(), before),
        };
        let text = format!("host {} {what}, while we waited for its reply to {before}", self.name);
        Reply::defer(4, detail, text).because(error.to_string())
    }

    /// The peer replied something that makes no sense at this point.
    pub(super) fn out_of_turn(&self, response: &Response, to: Phase) -> Reply {
        self.unintelligible(&format!("{} {}", response.code, response.lines.join(" ")), to)
    }

    fn unintelligible(&self, what: &str, to: Phase) -> Reply {
        let what: String = what.chars().take(200).collect();
        let text = format!("host {} gave a reply that is not to be understood, to {to}", self.name);
        Reply::defer(5, 0, text).because(what)
    }

    /// Something that we found out, not the peer.
    pub(super) fn failed(&self, code: u16, status: EnhancedStatus, what: &str) -> Reply {
        Reply::new(code, status, format!("host {}: {what}", self.name))
    }
}

/// The enhanced code that a bare reply code implies beyond doubt (RFC 5248 section 2.2, RFC 7504); `x.0.0` where there is doubt.
fn implied(code: u16) -> EnhancedStatus {
    let class = (code / 100) as u8;
    let (subject, detail) = match code {
        421 | 521 => (3, 2),
        452 => (3, 1),
        500 | 502 | 503 => (5, 1),
        501 | 504 | 555 => (5, 4),
        530 | 534 | 535 => (7, 0),
        556 => (1, 10),
        _ => (0, 0),
    };
    EnhancedStatus::new(class, subject, detail)
}
