//! What a message needs of a server, against what the server offers: the command lines, the body as it will go,
//! and refusals on the server's behalf where it cannot take the message at all.
//!
//! Says nothing to the server. RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 3030 (BINARYMIME), RFC 6531 (SMTPUTF8), RFC 3461 section 5.2 (DSN).

use bytes::Bytes;
use iems_core::deliver::{Attempt, Destination, Outcome};
use iems_core::message::{
    Body, BodyType, EnhancedStatus, Envelope, Fit, ForwardPath, Late, Mailbox, Notify, OriginalRecipient,
    Reply, ReversePath, Secrecy, narrow,
};
use iems_core::storage::StoreError;

use super::trouble::Peer;
use crate::proto::{By, Command, Extensions, Mail, Rcpt};

/// The longest header section that is looked at for UTF-8.
const HEADER: u64 = 1024 * 1024;

/// The body as it goes over the wire.
#[derive(Debug)]
pub(super) enum Payload {
    /// As stored.
    Stored(Body),
    /// Rewritten for a server that takes less than the message holds.
    Converted(Bytes),
}

impl Payload {
    /// Its length in octets.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Stored(body) => body.size(),
            Self::Converted(bytes) => bytes.len() as u64,
        }
    }
}

/// What a message may have at most, in octets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// To be rewritten.
    pub(super) conversion: u64,
    /// To be sent to this peer, whatever it says itself.
    pub(super) size: Option<u64>,
    /// Whether the server delivers what it takes, so that no time can be over behind it.
    pub(super) delivers: bool,
    /// Whether we have logged in there.
    pub(super) known: bool,
}

/// A message ready to be sent to one server.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The line of MAIL, without CRLF.
    pub(super) mail: String,
    /// The lines of RCPT, without CRLF, by the place of their destination.
    pub(super) rcpts: Vec<(usize, String)>,
    /// What is decided already, by the place of the destination.
    pub(super) outcomes: Vec<Option<Outcome>>,
    /// The body.
    pub(super) payload: Payload,
}

/// Prepares the message of `attempt` for a server with these extensions.
///
/// # Errors
/// The reply that holds for all recipients: the server cannot take the message, or the body cannot be read.
pub(super) async fn prepare(
    attempt: &Attempt,
    extensions: &Extensions,
    bounds: Bounds,
    peer: &Peer,
) -> Result<Prepared, Reply> {
    within(bounds.size, attempt.body.size(), peer)?;
    let utf8 = international(attempt, extensions, peer).await?;
    let (body, payload) = body(attempt, extensions, bounds.conversion, peer).await?;
    let size = payload.size();
    within(extensions.size.filter(|limit| *limit > 0), size, peer)?;
    let mut mail = Mail::new(envelope(attempt, extensions, body, utf8));
    mail.by = by(attempt, extensions, bounds.delivers, peer)?;
    mail.auth = submitter(attempt, bounds.known);
    mail.size = if extensions.size.is_some() { size } else { 0 };
    let mut prepared = Prepared {
        mail: Command::Mail(Box::new(mail)).to_string(),
        rcpts: Vec::with_capacity(attempt.destinations.len()),
        outcomes: vec![None; attempt.destinations.len()],
        payload,
    };
    let watched = extensions.deliver_by.is_none() && is_watched(attempt);
    for (at, destination) in attempt.destinations.iter().enumerate() {
        match utf8 || destination.mailbox.is_ascii() {
            true => prepared.rcpts.push((at, rcpt(destination, extensions.dsn, watched).to_string())),
            false => prepared.outcomes[at] = Some(Outcome::Failed(no_utf8(peer))),
        }
    }
    Ok(prepared)
}

/// RFC 1870 section 6.4: a message that will not be taken is not sent.
fn within(limit: Option<u64>, size: u64, peer: &Peer) -> Result<(), Reply> {
    match limit.filter(|limit| *limit < size) {
        Some(limit) => {
            let text = format!("the message has {size} octets; it takes no more than {limit}");
            Err(peer.failed(552, EnhancedStatus::new(5, 3, 4), &text))
        }
        None => Ok(()),
    }
}

fn envelope(attempt: &Attempt, extensions: &Extensions, body: BodyType, utf8: bool) -> Envelope {
    let ours = &attempt.envelope;
    Envelope {
        sender: ours.sender.clone(),
        id: ours.id.clone().filter(|_| extensions.dsn),
        ret: ours.ret.filter(|_| extensions.dsn),
        body,
        smtputf8: utf8,
        priority: ours.priority.filter(|_| extensions.priority),
        secrecy: if extensions.require_tls { ours.secrecy } else { Secrecy::Usual },
        release: None,
        by: None,
        submitter: None,
    }
}

/// Whoever lets us in hears who submitted the message first, or that we do not know (RFC 4954 section 5). Nobody else has to.
fn submitter(attempt: &Attempt, known: bool) -> Option<ReversePath> {
    known.then(|| attempt.envelope.submitter.clone().unwrap_or(ReversePath::Null))
}

/// Whether there is a time that the sender wants to be warned about, and it is not over.
fn is_watched(attempt: &Attempt) -> bool {
    attempt.envelope.by.is_some_and(|by| by.late == Late::Notify && by.at > attempt.now)
}

/// What is left of the time that the sender set. One after which the message is to be returned goes only to servers that
/// keep it (RFC 2852 section 4).
fn by(attempt: &Attempt, extensions: &Extensions, delivers: bool, peer: &Peer) -> Result<Option<By>, Reply> {
    let Some(by) = attempt.envelope.by else { return Ok(None) };
    let seconds = |millis: u64| i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    let left = seconds(by.at.as_millis()).saturating_sub(seconds(attempt.now.as_millis()));
    match (extensions.deliver_by, by.late) {
        (Some(least), Late::Return) if left <= 0 || left < seconds(least.saturating_mul(1000)) => {
            let text =
                format!("it cannot deliver the message within the {} seconds that are left", left.max(0));
            Err(peer.failed(550, EnhancedStatus::new(5, 4, 7), &text))
        }
        (Some(_), late) => {
            Ok(Some(By { seconds: left.clamp(-999_999_999, 999_999_999), late, trace: by.trace }))
        }
        (None, Late::Return) if !delivers => {
            let text = "it does not support DELIVERBY, so the time that the sender set cannot be kept";
            Err(peer.failed(550, EnhancedStatus::new(5, 3, 3), text))
        }
        (None, _) => Ok(None),
    }
}

/// RFC 3461 section 5.2.1: wishes go on unchanged; ORCPT is added where it is missing, with the address the message
/// came in with. Where a time is watched that the server does not watch, it is asked to tell of delays (RFC 2852 section 4.1.4.2).
fn rcpt(destination: &Destination, dsn: bool, watched: bool) -> Command {
    let mut rcpt = Rcpt::new(ForwardPath::Mailbox(destination.mailbox.clone()));
    if dsn {
        let recipient = &destination.recipient;
        rcpt.notify = match recipient.notify {
            None if watched => Some(Notify { success: false, failure: true, delay: true }),
            Some(notify) if watched && notify != Notify::NEVER => Some(Notify { delay: true, ..notify }),
            notify => notify,
        };
        rcpt.original = Some(recipient.original.clone().unwrap_or_else(|| original(&recipient.mailbox)));
    }
    Command::Rcpt(Box::new(rcpt))
}

fn original(mailbox: &Mailbox) -> OriginalRecipient {
    let kind = if mailbox.is_ascii() { "rfc822" } else { "utf-8" };
    OriginalRecipient { kind: kind.into(), address: mailbox.to_string() }
}

fn no_utf8(peer: &Peer) -> Reply {
    let text = "it does not support SMTPUTF8, which the addresses or the header of this message need";
    peer.failed(553, EnhancedStatus::new(5, 6, 7), text)
}

/// Whether to send SMTPUTF8. Where the server does not know it, a message that needs it fails (RFC 6531 section 3.2), and
/// one that only claims to need it goes without.
async fn international(attempt: &Attempt, extensions: &Extensions, peer: &Peer) -> Result<bool, Reply> {
    let envelope = &attempt.envelope;
    let sender = envelope.sender.mailbox().is_some_and(|sender| !sender.is_ascii());
    if extensions.smtputf8 {
        let recipients = attempt.destinations.iter().any(|d| !d.mailbox.is_ascii());
        return Ok(envelope.smtputf8 || sender || recipients);
    }
    if sender {
        return Err(no_utf8(peer));
    }
    if envelope.smtputf8 {
        let header = attempt.body.header(&*attempt.blobs, HEADER).await.map_err(unreadable)?;
        if !header.is_ascii() {
            return Err(no_utf8(peer));
        }
    }
    Ok(false)
}

/// The body type to declare, and the body, rewritten if the server takes less than the message holds (RFC 6152 section 3,
/// RFC 3030 section 3).
async fn body(
    attempt: &Attempt,
    extensions: &Extensions,
    largest: u64,
    peer: &Peer,
) -> Result<(BodyType, Payload), Reply> {
    let stored = Payload::Stored(attempt.body.clone());
    match attempt.envelope.body {
        BodyType::SevenBit => return Ok((BodyType::SevenBit, stored)),
        BodyType::EightBitMime if extensions.eight_bit_mime => return Ok((BodyType::EightBitMime, stored)),
        BodyType::BinaryMime if extensions.binary_mime && extensions.chunking => {
            return Ok((BodyType::BinaryMime, stored));
        }
        BodyType::EightBitMime if is_ascii(attempt).await.map_err(unreadable)? => {
            return Ok((BodyType::SevenBit, stored));
        }
        BodyType::EightBitMime | BodyType::BinaryMime => {}
    }
    let lines = attempt.envelope.body == BodyType::BinaryMime;
    let missing = if lines { "BINARYMIME" } else { "8BITMIME" };
    let refuse = |why: &str| {
        let text = format!("it does not support {missing}, and the message cannot be converted: {why}");
        peer.failed(554, EnhancedStatus::new(5, 6, 3), &text)
    };
    if attempt.body.size() > largest {
        return Err(refuse("it is too large"));
    }
    let message = attempt.body.reader(&*attempt.blobs).rest().await.map_err(unreadable)?;
    let fit = Fit { eight: extensions.eight_bit_mime, lines };
    let converted = narrow(&message, fit).map_err(|error| refuse(&error.to_string()))?;
    let body = if converted.is_ascii() { BodyType::SevenBit } else { BodyType::EightBitMime };
    Ok((body, Payload::Converted(converted.into())))
}

async fn is_ascii(attempt: &Attempt) -> Result<bool, StoreError> {
    let mut reader = attempt.body.reader(&*attempt.blobs);
    while let Some(piece) = reader.next().await? {
        if !piece.is_ascii() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The body could not be read from our own storage.
pub(super) fn unreadable(error: StoreError) -> Reply {
    Reply::defer(3, 0, "the message cannot be read from storage now").because(error.to_string())
}
