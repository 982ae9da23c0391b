//! Trouble, and success, put into words: what a peer said or failed to say becomes a [`Reply`] that names the
//! host, for the sender's report and for `explain`.
//!
//! The public text names the host and quotes it; the private cause adds the protocol's details. What the peer said stands
//! apart as well, in its own words, for programs that read reports.

use std::fmt;
use std::time::Duration;

use iems_core::message::{EnhancedStatus, Remote, Reply};
use iems_core::seam::sasl::Mechanism;
use iems_core::seam::sasl::client::Failure;

use super::session::AuthError;
use super::settings::Timeouts;
use super::tls::Protection;
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
    /// AUTH, and what follows it.
    Auth,
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
            Self::Hello | Self::StartTls | Self::Auth => timeouts.hello,
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
            Self::Auth => "AUTH",
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
    /// Its host name, or its address in brackets (RFC 3464 section 2.3.5); `None` for a socket in the file system.
    pub(super) host: Option<String>,
    /// How the connection is protected.
    pub(super) protection: Protection,
}

impl Peer {
    /// What the peer replied: `host mx.example.org[192.0.2.1]:25 said: ...`.
    pub(super) fn said(&self, response: &Response, to: Phase) -> Reply {
        let words: String = response.to_reply().text.chars().take(QUOTED).collect();
        let tls = self.protection.short();
        let text = match response.is_success() {
            true => format!("host {} said: {words} ({tls})", self.name),
            false => format!("host {} said: {words} (in reply to {to})", self.name),
        };
        let status = response.enhanced.unwrap_or_else(|| implied(response.code));
        Reply::new(response.code, status, text)
            .because(format!("{} said {} to {to}, {}", self.name, response.code, self.protection.whole()))
            .in_words_of(Remote::new(self.host.as_deref(), "smtp", transcript(response)))
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

    /// We are not logged in. Whatever the reason, an administrator can mend it while mail waits.
    pub(super) fn unknown(&self, error: &AuthError) -> Reply {
        let failed = |detail, what: &str| self.failed(451, EnhancedStatus::new(4, 7, detail), what);
        match error {
            AuthError::Refused(response) => {
                let said = self.said(response, Phase::Auth);
                match response.code {
                    // RFC 4954 section 6: the credentials are not valid.
                    535 => Reply { code: 451, enhanced: EnhancedStatus::new(4, 7, 8), ..said },
                    _ if said.is_temporary() => said,
                    _ => Reply { code: 451, enhanced: said.enhanced.with_class(4), ..said },
                }
            }
            AuthError::Unprotected => {
                failed(11, "we log in there, and there is no TLS to protect the password: nothing is sent")
            }
            AuthError::NotOffered(names) if names.is_empty() => {
                failed(4, "we log in there, and it does not offer AUTH: nothing is sent")
            }
            AuthError::NotOffered(names) => {
                let names: String = names.join(" ").chars().take(200).collect();
                let known = Mechanism::WITH_PASSWORD.map(Mechanism::name).join(", ");
                let what = format!(
                    "we log in there, and it offers AUTH with {names} only, none of {known}: nothing is sent"
                );
                failed(4, &what)
            }
            AuthError::Exchange(Failure::Refused(_)) => failed(8, &format!("login failed: {}", cause(error))),
            AuthError::Exchange(_) | AuthError::TooEarly => {
                failed(0, &format!("login failed: {}", cause(error)))
            }
        }
    }

    /// Something that we found out, not the peer.
    pub(super) fn failed(&self, code: u16, status: EnhancedStatus, what: &str) -> Reply {
        Reply::new(code, status, format!("host {}: {what}", self.name))
    }
}

fn cause(error: &AuthError) -> String {
    match error {
        AuthError::Exchange(failure) => failure.to_string(),
        _ => "the server says yes before it can know who we are".to_owned(),
    }
}

/// The reply line by line, as it was said (RFC 3461 section 9.2).
fn transcript(response: &Response) -> Vec<String> {
    let status = response.enhanced.map(|status| format!("{status} ")).unwrap_or_default();
    let last = response.lines.len().saturating_sub(1);
    let line = |(at, text): (usize, &String)| {
        let dash = if at == last { ' ' } else { '-' };
        format!("{}{dash}{status}{text}", response.code)
    };
    response.lines.iter().enumerate().map(line).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_peer_stand_apart_from_ours() {
        let peer = Peer {
            name: "mx[192.0.2.1]:25".into(),
            host: Some("mx".into()),
            protection: Protection::default(),
        };
        let lines = vec!["no mailbox".to_owned(), "of that name".into()];
        let response = Response { code: 550, enhanced: Some(EnhancedStatus::new(5, 1, 1)), lines };
        let remote = *peer.said(&response, Phase::Rcpt).remote.unwrap();
        assert_eq!(remote.host.as_deref(), Some("mx"));
        assert_eq!(remote.said, ["550-5.1.1 no mailbox", "550 5.1.1 of that name"]);
        assert_eq!(peer.lost(&WireError::Timeout, Phase::Rcpt).remote, None, "it said nothing");
    }
}
