//! Commands (RFC 5321 section 4.1, RFC 3030, RFC 3207, RFC 4954, RFC 2033) as types, and how they are written.
//!
//! [`Command::parse`] is the only way from a line to a command; `Display` writes it back, without CRLF.

use std::fmt;

use iems_core::message::{
    AddressError, BodyType, Domain, EnhancedStatus, Envelope, ForwardPath, Notify, OriginalRecipient, Reply,
    Ret, ReversePath, Secrecy,
};

use super::claim::Claim;
use super::forward::Forward;
use super::wishes::{By, Hold};
use super::xtext;

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `EHLO name`.
    Ehlo(String),
    /// `HELO name`.
    Helo(String),
    /// `LHLO name` (RFC 2033).
    Lhlo(String),
    /// `MAIL FROM:`.
    Mail(Box<Mail>),
    /// `RCPT TO:`.
    Rcpt(Box<Rcpt>),
    /// `DATA`.
    Data,
    /// `BDAT size [LAST]` (RFC 3030).
    Bdat {
        /// Octets that follow the line.
        size: u64,
        /// Whether the message ends with them.
        last: bool,
    },
    /// `RSET`.
    Rset,
    /// `NOOP`, whatever follows it.
    Noop,
    /// `QUIT`.
    Quit,
    /// `VRFY` with its argument.
    Vrfy(String),
    /// `ETRN domain` (RFC 1985): what waits for the domain is to be sent now.
    Etrn(Domain),
    /// `ATRN [domain *("," domain)]` (RFC 2645): what waits for these domains, or for all of the account's, is to come over this connection.
    Atrn(Vec<Domain>),
    /// `HELP`, whatever follows it.
    Help,
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `XCLIENT`.
    Claim(Box<Claim>),
    /// `XFORWARD`.
    Forward(Box<Forward>),
    /// `AUTH mechanism [initial-response]` (RFC 4954), the response still in base 64; `=` stands for an empty one.
    Auth {
        /// The mechanism, in upper case.
        mechanism: String,
        /// The initial response.
        initial: Option<String>,
    },
}

/// `MAIL FROM:<path> [parameters]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The reverse-path with `BODY`, `SMTPUTF8`, `RET` and `ENVID`.
    pub envelope: Envelope,
    /// `SIZE` in octets (RFC 1870); 0 if not given.
    pub size: u64,
    /// `AUTH` (RFC 4954 section 5): who submitted the message first, as far as the peer is to be believed.
    pub auth: Option<ReversePath>,
    /// `HOLDFOR` or `HOLDUNTIL` (RFC 4865).
    pub hold: Option<Hold>,
    /// `BY` (RFC 2852).
    pub by: Option<By>,
}

impl Mail {
    /// A `MAIL` without `SIZE`, `AUTH`, and wishes about time.
    pub const fn new(envelope: Envelope) -> Self {
        Self { envelope, size: 0, auth: None, hold: None, by: None }
    }
}

/// `RCPT TO:<path> [parameters]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt {
    /// The forward-path.
    pub path: ForwardPath,
    /// `NOTIFY` (RFC 3461).
    pub notify: Option<Notify>,
    /// `ORCPT` (RFC 3461).
    pub original: Option<OriginalRecipient>,
    /// Whether the line holds other octets than ASCII, so that the transaction must be `SMTPUTF8`.
    pub international: bool,
}

impl Rcpt {
    /// A `RCPT` without parameters.
    pub fn new(path: ForwardPath) -> Self {
        let international = matches!(&path, ForwardPath::Mailbox(m) if !m.is_ascii());
        Self { path, notify: None, original: None, international }
    }
}

/// Why a line is no command that can be carried out. [`CommandError::reply`] says it to the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A control character, or octets that are not UTF-8.
    #[error("control characters or octets that are not UTF-8")]
    NotText,
    /// No verb that is known.
    #[error("unknown command")]
    Unknown,
    /// A verb that is known and not implemented.
    #[error("{0} is not implemented")]
    NotImplemented(&'static str),
    /// `EXPN`.
    #[error("EXPN is not done here: who is on a list is its owner's business")]
    Expand,
    /// The arguments do not follow the grammar; holds the usage.
    #[error("syntax: {0}")]
    Syntax(&'static str),
    /// The reverse-path is not valid.
    #[error("sender address: {0}")]
    Sender(AddressError),
    /// The forward-path is not valid.
    #[error("recipient address: {0}")]
    Recipient(AddressError),
    /// A parameter that is not known.
    #[error("unknown parameter {0}")]
    UnknownParameter(String),
    /// A known parameter with a wrong value.
    #[error("wrong value for {0}")]
    ParameterValue(&'static str),
    /// A parameter that is given twice.
    #[error("{0} given twice")]
    Duplicate(&'static str),
    /// Octets above 127 without `SMTPUTF8`.
    #[error("an internationalized address without SMTPUTF8")]
    NeedsUtf8,
}

impl CommandError {
    /// What the peer is told (RFC 5321 section 4.2.4, RFC 5248).
    pub fn reply(&self) -> Reply {
        let (code, subject, detail, hint) = match self {
            Self::NotText => (500, 5, 2, "send printable text only"),
            Self::Unknown => (500, 5, 1, "HELP lists the commands"),
            Self::Expand => (502, 5, 1, "write to the list"),
            Self::NotImplemented(_) => (502, 5, 1, "HELP lists the commands"),
            Self::Syntax(_) => (501, 5, 4, "correct the arguments"),
            Self::Sender(_) => (501, 1, 7, "correct the address in MAIL FROM:<address>"),
            Self::Recipient(_) => (501, 1, 3, "correct the address in RCPT TO:<address>"),
            Self::UnknownParameter(_) => (555, 5, 4, "use only parameters that EHLO announced"),
            Self::ParameterValue(_) | Self::Duplicate(_) => (501, 5, 4, "correct the parameter"),
            Self::NeedsUtf8 => (553, 6, 7, "add SMTPUTF8 to MAIL FROM"),
        };
        Reply::new(code, EnhancedStatus::new(5, subject, detail), format!("{self}; {hint}"))
    }
}

impl Command {
    /// Reads a line without its CRLF. Total: any octets give a command or an error.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        super::parse::command(line)
    }

    /// The most octets of a line that begins like this, CRLF included: 512, and what extensions add
    /// (RFC 5321 section 4.5.3.1.4, RFC 1870, 6152, 3461, 4954, 6531, 6710, 2852, 4865, 8689).
    pub fn line_limit(beginning: &[u8]) -> usize {
        let is = |verb: &[u8]| beginning.get(..4).is_some_and(|b| b.eq_ignore_ascii_case(verb));
        match () {
            () if is(b"MAIL") => 512 + 26 + 17 + 107 + 500 + 10 + 15 + 17 + 34 + 11,
            () if is(b"RCPT") => 512 + 28 + 501 + 10,
            () if is(b"XCLI") || is(b"XFOR") => 2048,
            () if is(b"AUTH") => super::line::AUTH_LIMIT,
            () => 512,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ehlo(name) => write!(f, "EHLO {name}"),
            Self::Helo(name) => write!(f, "HELO {name}"),
            Self::Lhlo(name) => write!(f, "LHLO {name}"),
            Self::Mail(mail) => mail.fmt(f),
            Self::Rcpt(rcpt) => rcpt.fmt(f),
            Self::Data => f.write_str("DATA"),
            Self::Bdat { size, last: false } => write!(f, "BDAT {size}"),
            Self::Bdat { size, last: true } => write!(f, "BDAT {size} LAST"),
            Self::Rset => f.write_str("RSET"),
            Self::Noop => f.write_str("NOOP"),
            Self::Quit => f.write_str("QUIT"),
            Self::Vrfy(who) => write!(f, "VRFY {who}"),
            Self::Etrn(domain) => write!(f, "ETRN {domain}"),
            Self::Atrn(domains) => {
                f.write_str("ATRN")?;
                let mut before = ' ';
                domains
                    .iter()
                    .try_for_each(|domain| write!(f, "{}{domain}", std::mem::replace(&mut before, ',')))
            }
            Self::Help => f.write_str("HELP"),
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Claim(claim) => claim.fmt(f),
            Self::Forward(forward) => forward.fmt(f),
            Self::Auth { mechanism, initial: None } => write!(f, "AUTH {mechanism}"),
            Self::Auth { mechanism, initial: Some(response) } => write!(f, "AUTH {mechanism} {response}"),
        }
    }
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let envelope = &self.envelope;
        write!(f, "MAIL FROM:<{}>", envelope.sender)?;
        if self.size > 0 {
            write!(f, " SIZE={}", self.size)?;
        }
        match envelope.body {
            BodyType::SevenBit => {}
            BodyType::EightBitMime => f.write_str(" BODY=8BITMIME")?,
            BodyType::BinaryMime => f.write_str(" BODY=BINARYMIME")?,
        }
        if envelope.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        match envelope.ret {
            None => {}
            Some(Ret::Full) => f.write_str(" RET=FULL")?,
            Some(Ret::Headers) => f.write_str(" RET=HDRS")?,
        }
        if let Some(id) = &envelope.id {
            write!(f, " ENVID={}", xtext::encode(id))?;
        }
        if envelope.secrecy == Secrecy::Required {
            f.write_str(" REQUIRETLS")?;
        }
        if let Some(priority) = envelope.priority {
            write!(f, " MT-PRIORITY={priority}")?;
        }
        if let Some(by) = self.by {
            write!(f, " {by}")?;
        }
        if let Some(hold) = self.hold {
            write!(f, " {hold}")?;
        }
        match &self.auth {
            None => Ok(()),
            Some(ReversePath::Null) => f.write_str(" AUTH=<>"),
            Some(ReversePath::Mailbox(m)) => write!(f, " AUTH={}", xtext::encode(&m.to_string())),
        }
    }
}

impl fmt::Display for Rcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            ForwardPath::Postmaster => f.write_str("RCPT TO:<postmaster>")?,
            ForwardPath::Mailbox(m) => write!(f, "RCPT TO:<{m}>")?,
        }
        if let Some(notify) = self.notify {
            f.write_str(" NOTIFY=")?;
            write_notify(notify, f)?;
        }
        match &self.original {
            None => Ok(()),
            Some(original) => {
                let address = match original.kind.eq_ignore_ascii_case("utf-8") {
                    true => xtext::encode_utf8_address(&original.address),
                    false => xtext::encode(&original.address),
                };
                write!(f, " ORCPT={};{address}", original.kind)
            }
        }
    }
}

fn write_notify(notify: Notify, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let wishes = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let mut words = wishes.into_iter().filter_map(|(wished, word)| wished.then_some(word));
    f.write_str(words.next().unwrap_or("NEVER"))?;
    words.try_for_each(|word| write!(f, ",{word}"))
}
