//! What a `FETCH` reads of messages: rows of many at once, and nothing that is not asked for.

use bytes::Bytes;
use iems_core::storage::StoreError;
use iems_store::mailbox::{Mailboxes, MessageInfo, Uid};
use iems_store::structure::is_kept;

use super::ahead::Found;
use super::body::{self, PIECE};
use super::user::Selected;
use crate::imap::types::{FetchAttribute, Section, SectionText};

/// What a `FETCH` needs of each message.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    /// What never changes of it.
    pub(super) info: bool,
    /// Fields of its header that are kept in its structure's row.
    pub(super) fields: bool,
    /// What is stored of its structure, and is told as it is.
    pub(super) row: bool,
    /// All of its structure.
    pub(super) structure: bool,
    pub(super) octets: bool,
    pub(super) seen: bool,
}

impl Needs {
    pub(super) fn of(attributes: &[FetchAttribute]) -> Self {
        use FetchAttribute as A;
        let any = |wanted: fn(&A) -> bool| attributes.iter().any(wanted);
        let octets = any(|a| {
            matches!(a, A::BodySection { section, .. } if !are_kept(section))
                || matches!(a, A::Binary { .. } | A::BinarySize { .. } | A::Preview { .. })
                || matches!(a, A::Rfc822 | A::Rfc822Header | A::Rfc822Text)
        });
        let structure = any(|a| match a {
            A::BodySection { section, .. } => *section != Section::default() && !are_kept(section),
            A::Body => true,
            A::Binary { .. } | A::BinarySize { .. } | A::Rfc822Header | A::Rfc822Text => true,
            A::Preview { .. } => true,
            _ => false,
        });
        let dates = any(|a| matches!(a, A::InternalDate | A::SaveDate | A::Rfc822Size));
        let names = any(|a| matches!(a, A::EmailId | A::ThreadId));
        Self {
            info: octets || dates || names,
            fields: any(|a| matches!(a, A::BodySection { section, .. } if are_kept(section))),
            row: any(|a| matches!(a, A::Envelope | A::BodyStructure)),
            structure,
            octets,
            seen: any(A::sets_seen),
        }
    }

    /// The same for a message whose row does not tell the fields: they are in its octets.
    pub(super) const fn of_message(self) -> Self {
        Self { info: true, structure: true, octets: true, ..self }
    }

    /// Whether it takes what is stored of the structure, and not only the fields there.
    pub(super) const fn has_row(self) -> bool {
        self.row || self.structure
    }

    /// Whether all of it may be in what the session holds, and in rows as it is told.
    pub(super) const fn is_at_hand(self) -> bool {
        !self.structure && !self.octets && !self.seen
    }

    /// Whether it takes the rows of structures.
    pub(super) const fn rows(self) -> bool {
        self.has_row() || self.fields
    }
}

/// Whether these are fields of the message's header, all of which are kept beside it.
fn are_kept(section: &Section) -> bool {
    match &section.text {
        Some(SectionText::HeaderFields(names)) => {
            section.part.is_empty() && names.iter().all(|name| is_kept(name.as_bytes()))
        }
        _ => false,
    }
}

/// The rows of some messages, in the order of their UIDs.
pub(super) struct Reading<'a> {
    mailboxes: &'a Mailboxes,
    selected: &'a Selected,
    /// With what was read ahead.
    infos: std::iter::Peekable<std::vec::IntoIter<(MessageInfo, Option<Bytes>)>>,
    rows: std::iter::Peekable<std::vec::IntoIter<(Uid, Bytes)>>,
    octets: usize,
}

/// What is known of a message.
pub(super) struct Known {
    pub(super) info: Option<MessageInfo>,
    /// The octets of its blob, if they are few and wanted.
    pub(super) small: Option<Bytes>,
    /// What makes them stay while they are read in pieces.
    _held: Option<Box<dyn Send + Sync>>,
}

impl Known {
    /// Whether a structure may be this message's.
    pub(super) fn fits(&self, size: u64) -> bool {
        self.info.as_ref().is_none_or(|info| info.body.size() == size)
    }
}

impl<'a> Reading<'a> {
    /// Reads what is needed of messages, and was not found before.
    pub(super) async fn begin(
        mailboxes: &'a Mailboxes,
        selected: &'a Selected,
        messages: &[(u32, Uid)],
        needs: Needs,
        found: &mut Found,
    ) -> Result<Self, StoreError> {
        let (account, mailbox) = (selected.account, selected.mailbox);
        let uids: Vec<_> = messages.iter().map(|(_, uid)| *uid).collect();
        let (mut infos, mut rows) = (Vec::new(), Vec::new());
        if needs.info {
            infos.extend(found.take(&uids).into_iter().map(|(info, octets)| (info, Some(octets))));
            // Those that were found are the first ones.
            let last = infos.last().map(|(info, _)| info.uid);
            let rest = uids.partition_point(|uid| last.is_some_and(|last| *uid <= last));
            let read = mailboxes.infos(account, mailbox, uids.get(rest..).unwrap_or_default()).await?;
            infos.extend(read.into_iter().map(|info| (info, None)));
        }
        if needs.rows() {
            rows = mailboxes.structures(account, mailbox, &uids).await?;
        }
        let octets = rows.iter().map(|(_, row)| row.len()).sum();
        let (infos, rows) = (infos.into_iter().peekable(), rows.into_iter().peekable());
        Ok(Self { mailboxes, selected, infos, rows, octets })
    }

    /// Octets of the rows.
    pub(super) const fn octets(&self) -> usize {
        self.octets
    }

    /// The row of the next message's structure, if it was read.
    pub(super) fn row(&mut self, uid: Uid) -> Option<Bytes> {
        while self.rows.next_if(|(before, _)| *before < uid).is_some() {}
        self.rows.next_if(|(found, _)| *found == uid).map(|(_, row)| row)
    }

    /// What else is needed of it; `None` if it is gone.
    pub(super) async fn known(
        &mut self,
        uid: Uid,
        needs: Needs,
        has_row: bool,
    ) -> Result<Option<Known>, StoreError> {
        while self.infos.next_if(|(before, _)| before.uid < uid).is_some() {}
        let (mut info, ahead) = self.infos.next_if(|(found, _)| found.uid == uid).unzip();
        if info.is_none() && (needs.info || (needs.rows() && !has_row)) {
            info = self.info(uid).await?;
            if info.is_none() {
                return Ok(None);
            }
        }
        let (mut small, mut held) = (None, None);
        if let Some(MessageInfo { body, .. }) = info.as_ref().filter(|_| needs.octets) {
            // What others expunge meanwhile may lose its octets at any time: that is found out before anything is said.
            let blobs = self.mailboxes.blobs();
            let read = async {
                let few = body.blob_size <= PIECE;
                if !few || needs.structure {
                    held = Some(blobs.hold(body.blob).await?);
                }
                if few {
                    small = match ahead.flatten() {
                        None => Some(blobs.read(body.blob, 0..body.blob_size).await?),
                        ahead => ahead,
                    };
                }
                Ok(())
            };
            match read.await {
                Err(StoreError::NoBlob(_)) => return Ok(None),
                read => read?,
            }
        }
        Ok(Some(Known { info, small, _held: held }))
    }

    /// The row of a structure that is made again; `None` if the message is gone.
    pub(super) async fn made(
        &self,
        uid: Uid,
        info: Option<&MessageInfo>,
    ) -> Result<Option<Bytes>, StoreError> {
        let read;
        let info = match info {
            Some(info) => info,
            None => {
                read = self.info(uid).await?;
                let Some(info) = &read else { return Ok(None) };
                info
            }
        };
        match body::made(info, self.mailboxes.blobs()).await {
            Err(StoreError::NoBlob(_)) => Ok(None),
            row => row.map(Some),
        }
    }

    async fn info(&self, uid: Uid) -> Result<Option<MessageInfo>, StoreError> {
        let Selected { account, mailbox, .. } = *self.selected;
        Ok(self.mailboxes.infos(account, mailbox, &[uid]).await?.pop())
    }
}
