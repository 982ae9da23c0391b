//! What a mail server keeps: a storage engine, accounts, mailboxes, and the agent that delivers into them.
//!
//! | module | its world |
//! |---|---|
//! | [`engine`] | `Store` and `Blobs` of `iems-core` in one folder: a log, an index, one sync for concurrent commits |
//! | [`directory`] | domains, accounts, aliases, passwords, quotas: the `Directory` that an engine asks |
//! | [`mailbox`] | mailboxes by the rules of IMAP4rev2 (RFC 9051): UIDs, flags, MODSEQs, rights, annotations |
//! | [`agent`] | the local delivery agent, and personal judges |
//! | [`structure`] | what listing and fetching want to know of a message, found once when it is stored |
//! | [`told`] | the same in the words of IMAP |
//! | [`search`] | what of a message is searched, and an index of texts |
//! | [`transfer`] | mail in and out as Maildir, mbox and `.eml` |
//!
//! Directory, mailboxes and agent need nothing but an [`iems_core::storage::Storage`]: that of [`engine::Embedded`], the one in memory
//! of `iems-core`, or one's own. Not here: how mail comes in (`iems-smtp`) and how it is read (`iems-access`).
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use iems_core::seam::SystemClock;
//! use iems_core::storage::{Batch, Storage};
//! use iems_core::message::Body;
//! use iems_store::directory::{NewAccount, StoreDirectory};
//! use iems_store::engine::Embedded;
//! use iems_store::mailbox::{Mailboxes, NewMessage, Uid};
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let storage: Storage = Embedded::open(folder, Default::default())?.storage();
//! let directory = StoreDirectory::new(storage.clone(), Arc::new(SystemClock), Default::default());
//! directory.add_domain(&"example.org".parse()?, Default::default()).await?;
//! directory.add_account(NewAccount::new("ann@example.org".parse()?)).await?;
//! let ann = directory.account(&"ann@example.org".parse()?).await?.ok_or("no account")?;
//!
//! // A message of one's own making, straight into INBOX: first its octets, then one durable commit.
//! let mut writer = storage.blobs.create().await?;
//! writer.write("Subject: hello\r\n\r\nIt works.\r\n".into()).await?;
//! let (blob, blob_size) = (writer.finish().await?, 29);
//! let body = Body { prefix: Default::default(), blob, blob_size, header_size: 18 };
//! let mut batch = Batch::new();
//! Mailboxes::append(&mut batch, ann.id, ann.inbox, &NewMessage::new(directory.now(), body))?;
//! storage.store.commit(batch).await?;
//!
//! let messages = directory.mailboxes().messages(ann.id, ann.inbox, Uid(0), 10).await?;
//! assert_eq!((messages.len(), messages[0].uid, messages[0].body.size()), (1, Uid(1), 29));
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Users' programs append with [`mailbox::Mailboxes::append_all`]. How all of it is kept, and why no crash loses anything, is told in
//! `docs/store.md` of the repository.
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `search` | no | `search::SearchIndex`, an index of the texts of messages, by tantivy; without it the module has the contract of such an index and the rules of searching |

mod rows;

pub mod engine;

pub mod directory;

pub mod mailbox;

pub mod structure;

pub mod told;

pub mod search;

pub mod agent;

pub mod transfer;
