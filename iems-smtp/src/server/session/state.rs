//! The states of a dialogue, in order.
//!
//! ```text
//!            greet          EHLO/HELO/LHLO         MAIL            RCPT*, DATA              CRLF.CRLF
//! (connect) ──────▶ Fresh ────────────────▶ Ready ─────▶ Mail ─────────────────▶ Data ─────────────────▶ Ready
//!     │               │                     │  ▲         │  ▲   BDAT                 octets counted
//!     │ refused       │ STARTTLS            │  │ RSET    │  └──────── Chunk ◀──▶ Mail, after LAST ────▶ Ready
//!     ▼               ▼                     │  └─────────┘
//!  Refused        Handshake ──▶ Fresh       ├─▶ Auth ──▶ Ready          BDAT out of place: Skip, then back
//!     │ QUIT          ▲                     └─▶ Handshake (STARTTLS)
//!     ▼               └── all that was said before is forgotten
//!  Closing ──▶ Closed    (QUIT, 421, too many errors, from everywhere)
//! ```
//!
//! | waiting | states | time (RFC 5321 section 4.5.3.2) |
//! |---|---|---|
//! | command | Fresh, Ready, Mail, Auth, Refused | `command`, 5 min, for the whole line |
//! | octets of a message | Data, Chunk, Skip | `data`, 3 min, for each read; and `min_rate` over all |
//! | handshake | Handshake | `handshake`, 1 min |

use iems_core::message::Reply;
use iems_core::seam::sasl::Exchange;

use crate::proto::DataDecoder;
use crate::proto::data::LineEnds;

pub(super) enum State {
    /// Nothing was said, or TLS has just begun.
    Fresh,
    /// Between messages.
    Ready,
    /// `MAIL` was accepted.
    Mail(Transaction),
    /// Between `DATA` and its end.
    Data(Box<(DataDecoder, Body)>),
    /// Between `BDAT` and its last octet.
    Chunk(Box<Chunk>),
    /// In the octets of a `BDAT` that was out of place.
    Skip(Box<Skip>),
    /// In an authentication exchange.
    Auth(Box<Exchange>),
    /// The greeting turned the peer away.
    Refused,
    /// TLS begins.
    Handshake,
    /// The last reply is written.
    Closing,
    /// The caller knows.
    Closed,
}

/// What the peer sent its name with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hello {
    None,
    Helo,
    /// `EHLO` or `LHLO`.
    Extended,
}

/// The event that the caller has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    Nothing,
    Greeting,
    Hello(Hello),
    Mail { smtputf8: bool, binary: bool },
    Rcpt,
    Turn,
    Verify,
    Collect,
    Commit,
    Credentials,
}

/// A message whose envelope is open.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) smtputf8: bool,
    /// `BODY=BINARYMIME`.
    pub(super) binary: bool,
    pub(super) accepted: usize,
    pub(super) refused: usize,
    /// What came by `BDAT` so far.
    pub(super) chunks: Option<Body>,
}

/// A message body on its way in.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Recipients that get a reply each, in LMTP.
    pub(super) recipients: usize,
    /// Octets seen, with those that were dropped.
    pub(super) octets: u64,
    /// Why the message will be refused once it is read.
    pub(super) refusal: Option<Reply>,
    /// Whether CR and LF may stand alone: the door looks at the header section.
    pub(super) binary: bool,
    pub(super) ends: LineEnds,
}

/// A chunk of a message.
pub(super) struct Chunk {
    pub(super) transaction: Transaction,
    pub(super) body: Body,
    pub(super) size: u64,
    pub(super) left: u64,
    pub(super) last: bool,
}

/// A chunk that belongs to no message.
pub(super) struct Skip {
    pub(super) left: u64,
    pub(super) reply: Reply,
    pub(super) back: State,
}

/// What a dialogue waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// A command line.
    Command,
    /// Octets of a message.
    Octets,
}

impl State {
    pub(super) fn waiting(&self) -> Waiting {
        match self {
            Self::Data(_) | Self::Chunk(_) | Self::Skip(_) => Waiting::Octets,
            _ => Waiting::Command,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        !matches!(self, Self::Mail(_) | Self::Data(_) | Self::Chunk(_))
    }
}

/// The keywords of RFC 3848 and RFC 6531 section 4.3.
pub(super) fn protocol(lmtp: bool, hello: Hello, tls: bool, auth: bool, utf8: bool) -> &'static str {
    const NAMES: [[&str; 4]; 4] = [
        ["ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"],
        ["UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"],
        ["LMTP", "LMTPA", "LMTPS", "LMTPSA"],
        ["UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA"],
    ];
    if hello != Hello::Extended && !tls && !auth && !utf8 && !lmtp {
        return "SMTP";
    }
    NAMES[usize::from(lmtp) * 2 + usize::from(utf8)][usize::from(tls) * 2 + usize::from(auth)]
}
