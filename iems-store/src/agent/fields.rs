//! Fields in front of a delivered message, and what fields of ours it carries already.

use iems_core::deliver::{Attempt, Destination};
use iems_core::message::Mailbox;
use iems_core::preprocess::{Action, Decision};
use iems_core::report::verdict_field;
use iems_core::storage::StoreError;

use crate::directory::{AccountInfo, fold};

/// How much of a header section is searched for loops, in octets.
const SEARCHED: u64 = 64 * 1024;

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

/// The accounts that a message was delivered to before. Read once for all destinations.
#[derive(Default)]
pub(super) struct Seen(Option<Vec<Mailbox>>);

impl Seen {
    /// Whether the message was delivered to `account` before.
    pub(super) async fn delivered_to(
        &mut self,
        attempt: &Attempt,
        account: &Mailbox,
    ) -> Result<bool, StoreError> {
        if self.0.is_none() {
            let header = attempt.body.header(&*attempt.blobs, SEARCHED).await?;
            self.0 = Some(delivered_to(&header));
        }
        let before = self.0.as_deref().unwrap_or_default();
        Ok(before.iter().any(|mailbox| mailbox == account))
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
