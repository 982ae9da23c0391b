//! What listeners speak.

use super::leaf::words;
use super::read::FromToml;

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// SMTP from other servers.
    Smtp,
    /// Submission by users, STARTTLS (RFC 6409).
    Submission,
    /// Submission by users, TLS from the start (RFC 8314).
    Submissions,
    /// Mail that accounts collect (RFC 2645).
    Odmr,
    /// LMTP (RFC 2033).
    Lmtp,
    /// POP3, STLS.
    Pop3,
    /// POP3, TLS from the start.
    Pop3s,
    /// IMAP, STARTTLS.
    Imap,
    /// IMAP, TLS from the start.
    Imaps,
    /// Numbers for Prometheus over HTTP.
    Metrics,
    /// A protocol whose name is kept for later.
    Later(&'static str),
}

impl Protocol {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Odmr => "odmr",
            Self::Lmtp => "lmtp",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Metrics => "metrics",
            Self::Later(name) => name,
        }
    }

    /// Whether mailboxes are read by it.
    pub(crate) const fn reads(self) -> bool {
        matches!(self, Self::Pop3 | Self::Pop3s | Self::Imap | Self::Imaps)
    }
}

words! {
    Protocol, "one of smtp, submission, submissions, odmr, lmtp, pop3, pop3s, imap, imaps, metrics", {
        "smtp" => Protocol::Smtp, "submission" => Protocol::Submission,
        "submissions" => Protocol::Submissions, "odmr" => Protocol::Odmr, "lmtp" => Protocol::Lmtp,
        "pop3" => Protocol::Pop3, "pop3s" => Protocol::Pop3s, "metrics" => Protocol::Metrics,
        "imap" => Protocol::Imap, "imaps" => Protocol::Imaps,
        "http" => Protocol::Later("http"), "https" => Protocol::Later("https"),
    };
}

/// The protocols of this version, for messages.
pub(super) const SPOKEN: &str =
    "smtp, submission, submissions, odmr, lmtp, pop3, pop3s, imap, imaps, metrics";
