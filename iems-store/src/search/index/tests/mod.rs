//! The index against the mail: whatever state it is in, it rules out nothing that has the text.

mod mail;
mod random;
mod states;
mod together;

use std::path::Path;

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::{SystemClock, Timestamp};
use iems_core::storage::{Batch, MemoryStorage, Storage};

use super::*;
use crate::directory::{DirectoryOptions, DomainSettings, NewAccount, StoreDirectory};
use crate::mailbox::{MailboxId, MessageInfo, NewMessage, Uid};
use crate::search::{Needle, fields, fold, fold_field, is_searched, part_text};
use crate::structure::Structure;

/// Mail in memory, and an index of it in a folder.
struct World {
    directory: StoreDirectory,
    storage: Storage,
    account: AccountId,
    inbox: MailboxId,
    index: SearchIndex,
    _folder: Option<tempfile::TempDir>,
}

const ANN: &str = "ann@example.org";

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self::over(folder.path()).await;
        Self { _folder: Some(folder), ..world }
    }

    /// The same over a folder that there may be indexes in.
    async fn over(folder: &Path) -> Self {
        let storage = MemoryStorage::new().storage();
        let directory =
            StoreDirectory::new(storage.clone(), Arc::new(SystemClock), DirectoryOptions::default());
        directory.add_domain(&"example.org".parse().unwrap(), DomainSettings::default()).await.unwrap();
        directory.add_account(NewAccount::new(ANN.parse().unwrap())).await.unwrap();
        let info = directory.account(&ANN.parse().unwrap()).await.unwrap().unwrap();
        let index = opened(directory.mailboxes(), folder);
        Self { account: info.id, inbox: info.inbox, directory, storage, index, _folder: None }
    }

    fn mailboxes(&self) -> &Mailboxes {
        self.directory.mailboxes()
    }

    fn folder(&self) -> PathBuf {
        self.index.shared.shelf.of(self.account)
    }

    async fn add(&self, octets: &[u8], with_structure: bool) {
        let mut writer = self.storage.blobs.create().await.unwrap();
        writer.write(Bytes::copy_from_slice(octets)).await.unwrap();
        let blob = writer.finish().await.unwrap();
        let prefix = Bytes::from_static(b"Delivered-To: ann@example.org\r\n");
        let body = Body { prefix, blob, blob_size: octets.len() as u64, header_size: 0 };
        let whole = [&body.prefix[..], octets].concat();
        let mut message = NewMessage::new(Timestamp::from_millis(1), body);
        if with_structure {
            message.structure = Some(Structure::of(&whole).encode().unwrap().into());
        }
        let mut batch = Batch::new();
        Mailboxes::append(&mut batch, self.account, self.inbox, &message).unwrap();
        self.storage.store.commit(batch).await.unwrap();
    }

    async fn add_text(&self, text: &str) {
        self.add(format!("Subject: message\r\n\r\n{text}\r\n").as_bytes(), true).await;
    }

    async fn infos(&self) -> Vec<(MailboxId, MessageInfo)> {
        let mut all = Vec::new();
        for mailbox in self.mailboxes().statuses(self.account).await.unwrap().into_keys() {
            let infos = self.mailboxes().infos_after(self.account, mailbox, Uid(0), 10_000).await.unwrap();
            all.extend(infos.into_iter().map(|info| (mailbox, info)));
        }
        all
    }

    async fn octets(&self, info: &MessageInfo) -> Vec<u8> {
        let size = info.body.size();
        crate::structure::read_range(&info.body, self.mailboxes().blobs(), 0..size).await.unwrap()
    }

    /// Brings the index to where the mail is.
    async fn index_now(&self) {
        self.index.shared.queue.forget(self.account);
        self.index.shared.index(self.account, Why::Asked).await;
    }

    async fn status(&self) -> Option<IndexStatus> {
        self.index.status(self.account).await.unwrap()
    }

    /// How many messages are ruled out for a text, after checking that none of them has it.
    async fn ruled_out(&self, text: &str, headers: bool) -> usize {
        self.check(&[Needle { text: fold(text), headers }]).await
    }

    /// How many answers the index spares, after checking that all of them are right.
    async fn check(&self, needles: &[Needle]) -> usize {
        let mut spared = 0;
        let Some(known) = self.index.ask(self.account, needles).await else { return 0 };
        for (_, info) in self.infos().await {
            let octets = self.octets(&info).await;
            for (nth, needle) in needles.iter().enumerate() {
                if known.rules_out(nth, &info) {
                    assert!(known.holds(&info));
                    assert!(!is_in(&octets, needle), "{needle:?} is in {}", String::from_utf8_lossy(&octets));
                    spared += 1;
                }
            }
        }
        spared
    }
}

fn opened(mailboxes: &Mailboxes, folder: &Path) -> SearchIndex {
    let mut options = SearchOptions::default();
    (options.missed, options.rest, options.pause) = (3, 0, Duration::from_millis(1));
    SearchIndex::open(mailboxes.clone(), folder.to_owned(), options)
}

/// Whether a message has a text, as a search reads it.
fn is_in(octets: &[u8], needle: &Needle) -> bool {
    let structure = Structure::of(octets);
    structure.parts.iter().any(|part| {
        let of = |range: std::ops::Range<u64>| &octets[range.start as usize..range.end as usize];
        let in_header = needle.headers
            && fields(of(part.header.range())).iter().any(|(name, value)| {
                fold_field(&format!("{}: {value}", String::from_utf8_lossy(name))).contains(&needle.text)
            });
        in_header || is_searched(part) && part_text(part, of(part.body.range())).contains(&needle.text)
    })
}
