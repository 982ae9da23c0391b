//! Delivery status notifications: `multipart/report` (RFC 6522) with `message/delivery-status`
//! (RFC 3464), or `message/global-delivery-status` where an address needs UTF-8 (RFC 6533).

use std::fmt::Write as _;

use bytes::Bytes;

use std::sync::atomic::Ordering;

use super::{Event, What};
use crate::deliver::{Destination, Submission};
use crate::engine::Shared;
use crate::message::{
    Body, BodyType, Envelope, Mailbox, Notify, QueueId, Recipient, Reply, Ret, ReversePath,
};
use crate::queue::{self, Maker, Message, Queued, Report};
use crate::seam::Timestamp;
use crate::settings::Settings;
use crate::storage::{Batch, StoreError};

/// The largest message that a failure report returns whole, in octets, whatever `RET` says; a larger one is
/// cut down to its header section (RFC 3461 section 4.3 allows it).
const RETURNED: u64 = 64 * 1024;
/// The largest header section that is returned.
const RETURNED_HEADER: u64 = 16 * 1024;

/// Reports are the engine's own.
const MAKER: Maker<'_> = Maker { channel: "report", tenant: None };

/// Adds to `batch` the report that `reports` call for; gives the events and the groups it queues.
pub(crate) async fn add(
    shared: &Shared,
    settings: &Settings,
    batch: &mut Batch,
    id: QueueId,
    message: &Message,
    body: &Body,
    reports: &[(Report, Destination, Reply)],
) -> Result<(Vec<Event>, Vec<Queued>), StoreError> {
    let now = shared.clock.now();
    let Some((first, ..)) = reports.first() else { return Ok((Vec::new(), Vec::new())) };
    let action = first.action().to_owned();
    let ReversePath::Mailbox(sender) = &message.envelope.sender else {
        return Ok((vec![Event { at: now, what: What::NotReported { action } }], Vec::new()));
    };
    let text = compose(
        &shared.hostname,
        id,
        message,
        sender,
        reports,
        (now, message.arrived.after(settings.peers.default.schedule.expire)),
        returned(shared, message, body, reports).await?,
    );
    let utf8 = !text.is_ascii();
    let body = store(shared, text).await?;
    let mut envelope = Envelope::new(ReversePath::Null);
    envelope.body = if utf8 { BodyType::EightBitMime } else { BodyType::SevenBit };
    envelope.smtputf8 = !sender.is_ascii() || reports.iter().any(|(_, d, _)| !d.recipient.mailbox.is_ascii());
    let mut recipient = Recipient::new(sender.clone());
    recipient.notify = Some(Notify::NEVER);
    let submission = Submission { envelope, recipients: vec![recipient], body };
    let (report, queued) = queue::put_submission(shared, settings, batch, submission, MAKER).await;
    shared.metrics.reports.fetch_add(1, Ordering::Relaxed);
    Ok((vec![Event { at: now, what: What::Reported { action, report: report.to_string() } }], queued))
}

async fn store(shared: &Shared, text: Vec<u8>) -> Result<Body, StoreError> {
    let mut scan = crate::message::TraceScan::default();
    scan.feed(&text, "");
    scan.finish("");
    let blob_size = text.len() as u64;
    let mut writer = shared.storage.blobs.create().await?;
    writer.write(Bytes::from(text)).await?;
    Ok(Body {
        prefix: Bytes::new(),
        blob: writer.finish().await?,
        blob_size,
        header_size: scan.header_size(),
    })
}

/// What of the message goes back: the whole for failures if asked for or small, else its header section.
async fn returned(
    shared: &Shared,
    message: &Message,
    body: &Body,
    reports: &[(Report, Destination, Reply)],
) -> Result<(bool, Vec<u8>), StoreError> {
    let failed = reports.iter().any(|(report, ..)| *report == Report::Failed);
    let whole = failed && message.envelope.ret != Some(Ret::Headers) && body.size() <= RETURNED;
    let blobs = &*shared.storage.blobs;
    let octets = match whole {
        true => body.reader(blobs).rest().await?,
        false => body.header(blobs, RETURNED_HEADER).await?,
    };
    Ok((whole, octets))
}

fn compose(
    hostname: &str,
    id: QueueId,
    message: &Message,
    sender: &Mailbox,
    reports: &[(Report, Destination, Reply)],
    (now, until): (Timestamp, Timestamp),
    (whole, octets): (bool, Vec<u8>),
) -> Vec<u8> {
    let boundary = format!("=_{id}_{}", now.as_millis());
    let utf8 = !sender.is_ascii() || reports.iter().any(|(_, d, _)| !d.recipient.mailbox.is_ascii());
    let eight_bit = utf8 || !octets.is_ascii();
    let mut out = head(hostname, id, sender, reports, now, &boundary, eight_bit);
    let _ = write!(out, "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n{}\r\n", encoding(utf8));
    out.push_str(&for_people(hostname, reports));
    let kind = if utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
    let _ = write!(out, "\r\n--{boundary}\r\nContent-Type: {kind}\r\n{}\r\n", encoding(utf8));
    out.push_str(&for_programs(hostname, message, reports, until));
    let kind = match (whole, message.envelope.smtputf8) {
        (true, false) => "message/rfc822",
        (true, true) => "message/global",
        (false, false) => "text/rfc822-headers",
        (false, true) => "message/global-headers",
    };
    let _ = write!(out, "\r\n--{boundary}\r\nContent-Type: {kind}\r\n{}\r\n", encoding(!octets.is_ascii()));
    let mut bytes = out.into_bytes();
    bytes.extend_from_slice(&octets);
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    bytes
}

fn encoding(eight_bit: bool) -> &'static str {
    if eight_bit { "Content-Transfer-Encoding: 8bit\r\n" } else { "" }
}

fn head(
    hostname: &str,
    id: QueueId,
    sender: &Mailbox,
    reports: &[(Report, Destination, Reply)],
    now: Timestamp,
    boundary: &str,
    eight_bit: bool,
) -> String {
    let subject = match reports.first().map(|(report, ..)| *report) {
        Some(Report::Failed) => "Your message could not be delivered",
        Some(Report::Delayed) => "Your message is delayed",
        _ => "Your message was delivered",
    };
    format!(
        "From: Mail Delivery System <postmaster@{hostname}>\r\n\
         To: <{sender}>\r\n\
         Subject: {subject}\r\n\
         Date: {date}\r\n\
         Message-ID: <{id}.{stamp}@{hostname}>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\
         {encoding}\r\n",
        date = now.to_rfc5322(),
        stamp = now.as_millis(),
        encoding = encoding(eight_bit),
    )
}

fn for_people(hostname: &str, reports: &[(Report, Destination, Reply)]) -> String {
    let mut text = format!("This is the mail system at {hostname}.\r\n");
    let groups: [(&[Report], &str); 3] = [
        (&[Report::Failed], "Your message could not be delivered to:"),
        (
            &[Report::Delayed],
            "Your message has not been delivered yet. You need not send it again: it is tried further. It waits for:",
        ),
        (
            &[Report::Delivered, Report::Relayed, Report::Expanded],
            "Your message was delivered, or handed on, for:",
        ),
    ];
    for (kinds, opening) in groups {
        let mut told = reports.iter().filter(|(report, ..)| kinds.contains(report)).peekable();
        if told.peek().is_some() {
            let _ = write!(text, "\r\n{opening}\r\n");
        }
        for (_, destination, reply) in told {
            let _ = write!(
                text,
                "\r\n  <{}>\r\n    {}\r\n",
                destination.recipient.mailbox,
                wrap(&reply.to_string())
            );
        }
    }
    text
}

/// Keeps lines of the human part short; the machine part has the text whole.
fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        if width > 0 && width + word.len() > 70 {
            wrapped.push_str("\r\n    ");
            width = 0;
        } else if width > 0 {
            wrapped.push(' ');
        }
        wrapped.extend(word.chars().take(900));
        width += word.len() + 1;
    }
    wrapped
}

/// The fields of RFC 3464; `until` is when delivery will be given up.
fn for_programs(
    hostname: &str,
    message: &Message,
    reports: &[(Report, Destination, Reply)],
    until: Timestamp,
) -> String {
    let mut text = format!("Reporting-MTA: dns; {hostname}\r\n");
    if let Some(envid) = &message.envelope.id {
        let _ = write!(text, "Original-Envelope-Id: {}\r\n", xtext(envid));
    }
    if let Some(from) =
        message.origin.peer.as_ref().and(Some(&message.origin.helo)).filter(|helo| !helo.is_empty())
    {
        let _ = write!(text, "Received-From-MTA: dns; {}\r\n", line(from));
    }
    let _ = write!(text, "Arrival-Date: {}\r\n", message.arrived.to_rfc5322());
    for (report, destination, reply) in reports {
        let recipient = &destination.recipient;
        text.push_str("\r\n");
        if let Some(original) = &recipient.original {
            let _ =
                write!(text, "Original-Recipient: {};{}\r\n", line(&original.kind), line(&original.address));
        }
        let kind = if recipient.mailbox.is_ascii() { "rfc822" } else { "utf-8" };
        let _ = write!(text, "Final-Recipient: {kind};{}\r\n", recipient.mailbox);
        let _ = write!(text, "Action: {}\r\nStatus: {}\r\n", report.action(), reply.enhanced);
        let _ = write!(text, "Diagnostic-Code: smtp; {}\r\n", line(&reply.to_string()));
        if *report == Report::Delayed {
            let _ = write!(text, "Will-Retry-Until: {}\r\n", until.to_rfc5322());
        }
    }
    text
}

/// One line of a field: what would break it is replaced, what is too long is cut.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(900).collect()
}

/// RFC 3461 section 4 `xtext`.
fn xtext(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' | 0..=32 | 127..=255 => {
                let _ = write!(out, "+{byte:02X}");
            }
            plain => out.push(char::from(plain)),
        }
    }
    out
}
