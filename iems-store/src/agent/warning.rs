//! The message that tells an owner how full the mailbox is, in the INBOX with the message that made it so.

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{Blobs, StoreError};

use crate::directory::{AccountInfo, Quota};
use crate::mailbox::{MessageIds, NewMessage};
use crate::structure::Structure;

/// Writes it.
pub(super) async fn warning(
    blobs: &dyn Blobs,
    account: &AccountInfo,
    limits: Quota,
    percent: u64,
    now: Timestamp,
) -> Result<NewMessage, StoreError> {
    let text = text(account, limits, percent, now);
    let header = text.find("\r\n\r\n").map_or(text.len(), |at| at + 4) as u64;
    let ids = MessageIds::of(text.as_bytes());
    let structure = Structure::of(text.as_bytes()).encode()?;
    let size = text.len() as u64;
    let mut writer = blobs.create().await?;
    writer.write(Bytes::from(text)).await?;
    let blob = writer.finish().await?;
    let body = Body { prefix: Bytes::new(), blob, blob_size: size, header_size: header };
    let mut message = NewMessage::new(now, body).in_thread(&ids, None);
    message.structure = Some(structure.into());
    Ok(message)
}

fn text(account: &AccountInfo, limits: Quota, percent: u64, now: Timestamp) -> String {
    let (mailbox, domain) = (&account.mailbox, account.mailbox.domain());
    let mut may = Vec::new();
    if let Some(octets) = limits.octets {
        may.push(format!("{} MiB", octets.div_ceil(1 << 20)));
    }
    if let Some(messages) = limits.messages {
        may.push(format!("{messages} messages"));
    }
    format!(
        "From: postmaster@{domain}\r\nTo: {mailbox}\r\nSubject: Your mailbox is {percent} % full\r\n\
         Date: {date}\r\nMessage-ID: <quota.{id:x}.{millis}@{domain}>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nAuto-Submitted: auto-generated\r\n\r\n\
         Your mailbox {mailbox} holds {percent} % of what it may hold,\r\nwhich is {may}.\r\n\r\n\
         When it is full, new mail for you will be refused. Delete what you do\r\nnot need, and empty the trash, or ask \
         your administrator for more room.\r\n\r\n\
         This is said once, until the mailbox has been below this mark again.\r\n",
        date = now.to_rfc5322(),
        id = account.id.0,
        millis = now.as_millis(),
        may = may.join(" and "),
    )
}
