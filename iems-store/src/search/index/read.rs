//! Reading what is taken in of a message, in the way in which a search reads it.

use std::collections::HashMap;

use iems_core::message::Body;
use iems_core::storage::StoreError;

use super::super::{HEADER, field_text, fields, is_searched, part_text};
use super::schema::mark_of;
use crate::mailbox::{AccountId, MailboxId, Mailboxes, MessageInfo, Uid};
use crate::structure::{Part, Span, Structure, read_range};

/// How many octets of a message are taken in. One with more of headers and texts is read by every search.
const TAKEN: u64 = 4 << 20;

/// What was read of a message.
pub(super) struct Raw {
    pub(super) email: u64,
    pub(super) mark: u64,
    /// It is all that a search looks into.
    pub(super) whole: bool,
    headers: Vec<Vec<u8>>,
    bodies: Vec<(Part, Vec<u8>)>,
}

impl Raw {
    /// Octets that it holds.
    pub(super) fn size(&self) -> usize {
        let bodies = self.bodies.iter().map(|(_, octets)| octets.len());
        self.headers.iter().map(Vec::len).chain(bodies).sum()
    }

    /// Gives out all that is searched: texts, and fields of headers.
    pub(super) fn texts(&self, mut body: impl FnMut(&str), mut header: impl FnMut(&str)) {
        for (part, octets) in &self.bodies {
            body(&part_text(part, octets));
        }
        for octets in &self.headers {
            fields(octets).iter().for_each(|field| header(&field_text(field)));
        }
    }
}

/// The structures of some messages of a mailbox; without those that are to be read from the messages.
pub(super) async fn structures(
    mailboxes: &Mailboxes,
    account: AccountId,
    mailbox: MailboxId,
    infos: &[MessageInfo],
) -> Result<HashMap<Uid, Structure>, StoreError> {
    let sizes: HashMap<Uid, u64> = infos.iter().map(|info| (info.uid, info.body.size())).collect();
    let mut uids: Vec<Uid> = sizes.keys().copied().collect();
    uids.sort_unstable();
    let rows = mailboxes.structures(account, mailbox, &uids).await?;
    let read = rows.into_iter().filter_map(|(uid, row)| {
        let structure = Structure::decode(&row).ok()?;
        (sizes.get(&uid) == Some(&structure.size)).then_some((uid, structure))
    });
    Ok(read.collect())
}

/// Reads what is searched of a message.
pub(super) async fn read(
    mailboxes: &Mailboxes,
    info: &MessageInfo,
    structure: Option<Structure>,
) -> Result<Raw, StoreError> {
    let body = &info.body;
    let structure = match structure {
        Some(structure) => structure,
        None => Structure::read(body, mailboxes.blobs()).await?,
    };
    let (email, mark) = (info.email, mark_of(body));
    let mut raw = Raw { email, mark, whole: true, headers: Vec::new(), bodies: Vec::new() };
    let header = |part: &Part| part.header.partial(0, HEADER);
    let texts = || structure.parts.iter().filter(|part| is_searched(part));
    let headers = structure.parts.iter().map(header);
    let size = headers.clone().chain(texts().map(|part| part.body)).map(|span| span.length);
    if size.fold(0, u64::saturating_add) > TAKEN {
        raw.whole = false;
        return Ok(raw);
    }
    for span in headers {
        raw.headers.push(octets(mailboxes, body, span).await?);
    }
    for part in texts() {
        raw.bodies.push((part.clone(), octets(mailboxes, body, part.body).await?));
    }
    Ok(raw)
}

async fn octets(mailboxes: &Mailboxes, body: &Body, span: Span) -> Result<Vec<u8>, StoreError> {
    match span.length {
        0 => Ok(Vec::new()),
        _ => read_range(body, mailboxes.blobs(), span.range()).await,
    }
}
