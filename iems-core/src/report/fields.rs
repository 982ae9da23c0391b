//! What programs read: the fields of `message/delivery-status` (RFC 3464, RFC 3461 section 6.3), and of its form with UTF-8
//! (RFC 6533).
//!
//! Every value from outside goes through [`field_line`] or is a type that cannot hold a line end.

use std::fmt::Write as _;

use super::compose::Draft;
use super::encode::{field_line, utf8_address};
use super::told::Told;
use crate::message::{OriginalRecipient, Remote};
use crate::queue::Origin;

/// How many octets of other systems' words a report holds in all, and for one recipient.
const WORDS: usize = 64 * 1024;
const WORDS_AT_LEAST: usize = 120;
const WORDS_AT_MOST: usize = 1000;

/// The groups of fields: one about the message, then one for each recipient. `utf8`: they may hold UTF-8.
pub(super) fn fields(draft: &Draft<'_>, utf8: bool) -> String {
    let mut text = about_message(draft, utf8);
    let room = (WORDS / draft.told.len().max(1)).clamp(WORDS_AT_LEAST, WORDS_AT_MOST);
    for told in draft.told {
        text.push_str("\r\n");
        about_recipient(&mut text, draft, told, room, utf8);
    }
    text
}

/// RFC 3464 section 2.2.
fn about_message(draft: &Draft<'_>, utf8: bool) -> String {
    let message = draft.message;
    let mut text = String::new();
    if let Some(id) = &message.envelope.id {
        // RFC 3461 section 6.3 (a): decoded.
        put(&mut text, "Original-Envelope-Id", &field_line(id, false));
    }
    put(&mut text, "Reporting-MTA", &format!("dns; {}", draft.host));
    if let Some(from) = received_from(&message.origin) {
        put(&mut text, "Received-From-MTA", &field_line(&from, utf8));
    }
    put(&mut text, "Arrival-Date", &message.arrived.to_rfc5322());
    if let Some(by) = &message.envelope.by {
        put(&mut text, "Deliver-By-Date", &by.at.to_rfc5322()); // RFC 2852 section 5
    }
    if let Some(release) = message.envelope.release {
        put(&mut text, "Future-Release-Request", &release.to_string()); // RFC 4865 section 5.1.2
    }
    text
}

/// The name that the client gave, and its address as a comment (RFC 3464 section 2.2.4, RFC 3461 section 6.3).
fn received_from(origin: &Origin) -> Option<String> {
    let peer = origin.peer.as_ref()?;
    let address = peer.parse::<std::net::SocketAddr>().map(|peer| peer.ip().to_canonical().to_string());
    let name: String = origin
        .helo
        .chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '(' | ')' | ';' | '\\'))
        .collect();
    match (name.is_empty(), address) {
        (false, Ok(address)) => Some(format!("dns; {name} ({address})")),
        (false, Err(_)) => Some(format!("dns; {name}")),
        (true, Ok(address)) => Some(format!("dns; [{address}]")),
        (true, Err(_)) => None,
    }
}

/// RFC 3464 section 2.3.
fn about_recipient(text: &mut String, draft: &Draft<'_>, told: &Told, room: usize, utf8: bool) {
    if let Some(original) = told.original() {
        put(text, "Original-Recipient", &original_recipient(original, utf8));
    }
    let mailbox = told.mailbox();
    let address = match mailbox.is_ascii() {
        true => format!("rfc822; {mailbox}"),
        false if utf8 => format!("utf-8; {mailbox}"),
        false => format!("utf-8; {}", utf8_address(&mailbox.to_string())),
    };
    put(text, "Final-Recipient", &address);
    put(text, "Action", told.action.name());
    put(text, "Status", &told.status().to_string());
    match told.remote() {
        Some(remote) => their_words(text, remote, room, utf8),
        None => our_words(text, told, room, utf8),
    }
    if told.tried {
        put(text, "Last-Attempt-Date", &draft.now.to_rfc5322());
    }
    put(text, "Final-Log-ID", &draft.id.to_string());
    if let Some(until) = told.until {
        put(text, "Will-Retry-Until", &until.to_rfc5322());
    }
}

/// RFC 3461 section 6.3 (d): only what `ORCPT` said.
fn original_recipient(original: &OriginalRecipient, utf8: bool) -> String {
    let address = match original.kind.eq_ignore_ascii_case("utf-8") && !utf8 {
        true => &utf8_address(&original.address),
        false => &original.address,
    };
    field_line(&format!("{}; {address}", original.kind), utf8)
}

/// The other system's name and words, and nothing of ours around them (RFC 3461 section 9.2: line by line).
fn their_words(text: &mut String, remote: &Remote, room: usize, utf8: bool) {
    if let Some(host) = &remote.host {
        put(text, "Remote-MTA", &field_line(&format!("dns; {host}"), utf8));
    }
    let mut said: Vec<String> = Vec::new();
    let mut left = room;
    for line in remote.said.iter().filter(|line| !line.trim().is_empty()) {
        let line = if said.is_empty() { format!("{}; {line}", remote.kind) } else { line.clone() };
        let line: String = field_line(&line, utf8).chars().take(left).collect();
        left -= line.chars().count();
        if !line.trim().is_empty() {
            said.push(line.trim_end().to_owned());
        }
    }
    if !said.is_empty() {
        put(text, "Diagnostic-Code", &said.join("\r\n "));
    }
}

/// Our own words have a type of our own: they are no protocol's.
fn our_words(text: &mut String, told: &Told, room: usize, utf8: bool) {
    if told.action.is_success() {
        return;
    }
    let words = match told.words() {
        Some(reply) => reply.to_string(),
        None => format!(
            "{} {} the address that this one leads to did not take the message",
            told.reply.code,
            told.status()
        ),
    };
    let words: String = field_line(&words, utf8).trim_end().chars().take(room).collect();
    put(text, "Diagnostic-Code", &format!("x-iems; {words}"));
}

fn put(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, "{name}: {value}\r\n");
}
