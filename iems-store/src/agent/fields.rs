//! Fields in front of a delivered message, and what fields of ours it carries already.

use iems_core::deliver::{Attempt, Destination};
use iems_core::message::Mailbox;
use iems_core::preprocess::{Action, Decision};
use iems_core::report::verdict_field;
use iems_core::storage::StoreError;

use crate::directory::{AccountInfo, fold};
use crate::mailbox::MessageIds;
use crate::structure::{Limits, Parser, Structure};

/// How much of a header section is searched for loops, in octets.
const SEARCHED: usize = 64 * 1024;

/// `Return-Path` (RFC 5321 section 4.4), `Delivered-To`, and the verdict where the decision wants it shown.
pub(super) fn fields(
    attempt: &Attempt,
    destination: &Destination,
    account: &AccountInfo,
    decision: &Decision,
) -> String {
    let mut fields = format!("Return-Path: <{}>\r\nDelivered-To: ", attempt.envelope.sender);
    match &destination.detail {
        Some(detail) => fields.push_str(&with_detail(&account.mailbox, detail)),
        None => fields.push_str(&account.mailbox.to_string()),
    }
    fields.push_str("\r\n");
    if matches!(decision.action, Action::Tag | Action::Junk) {
        fields.push_str(&verdict_field(decision));
    }
    fields
}

fn with_detail(mailbox: &Mailbox, detail: &str) -> String {
    let local = format!("{}+{detail}", mailbox.local().as_str());
    match iems_core::message::LocalPart::from_content(&local) {
        Ok(local) => Mailbox::new(local, mailbox.domain().clone()).to_string(),
        Err(_) => mailbox.to_string(),
    }
}

/// What the message says that matters to a delivery.
pub(super) struct Seen {
    /// The accounts that the message was delivered to before.
    before: Vec<Mailbox>,
    /// What it is called, and what it answers.
    pub(super) ids: MessageIds,
    /// Its structure, without the fields that are put in front of it.
    pub(super) structure: Structure,
}

impl Seen {
    /// Reads the message. Once for all destinations.
    pub(super) async fn in_message_of(attempt: &Attempt) -> Result<Self, StoreError> {
        let mut parser = Parser::new(Limits::default());
        let mut header = Vec::new();
        let mut reader = attempt.body.reader(&*attempt.blobs);
        while let Some(piece) = reader.next().await? {
            let room = SEARCHED.saturating_sub(header.len());
            header.extend_from_slice(&piece[..piece.len().min(room)]);
            parser.feed(&piece);
        }
        let structure = parser.finish();
        header.truncate(structure.parts.first().map_or(0, |part| part.header.length as usize));
        Ok(Self { before: delivered_to(&header), ids: MessageIds::of(&header), structure })
    }

    /// Whether the message was delivered to `account` before.
    pub(super) fn delivered_to(&self, account: &Mailbox) -> bool {
        self.before.contains(account)
    }
}

/// The accounts that `Delivered-To` fields name, without detail as well as with it.
fn delivered_to(header: &[u8]) -> Vec<Mailbox> {
    const NAME: &[u8] = b"Delivered-To:";
    let lines = header.split(|octet| *octet == b'\n');
    let values = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    });
    let mailboxes = values.filter_map(|value| str::from_utf8(value).ok()?.trim().parse::<Mailbox>().ok());
    let both = mailboxes.flat_map(|mailbox| {
        let folded = fold(&mailbox);
        let base = crate::directory::split_detail(&folded).map(|(base, _)| base);
        [Some(folded), base]
    });
    both.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivered_to_is_found_in_any_spelling() {
        let header = b"Subject: Delivered-To: no@example.org\r\ndelivered-to:Ann+x@Example.ORG \r\nDelivered-To: \xff\r\n\r\n";
        let found: Vec<_> = delivered_to(header).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["ann+x@example.org", "ann@example.org"]);
    }
}
