//! Mailboxes that come from elsewhere with the UIDVALIDITY and the UIDs that they had there (RFC 9051 section 2.3.1.1), so that mail
//! programs find what they hold already.
//!
//! Messages are put into a *staged* mailbox that nobody sees and nothing is delivered to, in any order; one commit puts it in the place of
//! a name that never had a message. So no session sees a UID below one that it knows, and what arrives meanwhile goes where it went before.
//! The number of the staged mailbox is the UIDVALIDITY, which no mailbox with messages may have had in this account.
//!
//! | moment | after a cut |
//! |---|---|
//! | `stage` | the number is reserved; the same call finds it again |
//! | `stage_messages` | each call whole or not at all |
//! | `unveil` | the name is as it was, or stands for all that was staged; what was there before is purged |
//! | `drain` | each message is staged, or in the mailbox that it goes to |

use bytes::Bytes;
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, Scan, StoreError, Template, counter};
use serde::{Deserialize, Serialize};

use super::account::{put_mailbox, put_node};
use super::acl;
use super::append::{self, Counted, Counts, NewMessage, Place, add_counts};
use super::folders::Node;
use super::row::{MailboxRow, Number};
use super::schema::{self, AccountId, Count, Log, MailboxId, Owner, SpecialUse, Uid};
use super::tree::{Making, remove_node};
use super::{MailboxError, Mailboxes, TRIES, name};
use crate::rows;

/// The greatest UIDVALIDITY that is kept: mailboxes that are made later have greater ones.
const GREATEST: u32 = 0xFFF0_0000;
/// The greatest UID that is kept, for the same reason.
pub const MAX_KEPT_UID: u64 = 0xFFF0_0000;
/// How many messages are drained in one step.
const PAGE: usize = 1000;

/// Why a mailbox does not keep the UIDs that it had elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotKept {
    /// Programs may know messages of it already.
    #[error("the mailbox has had other messages here")]
    Used,
    /// Another mailbox has this number.
    #[error("its UIDVALIDITY {0} is, or was, that of another mailbox of the account")]
    Taken(u32),
    /// A later UIDVALIDITY was in use already.
    #[error(
        "its UIDVALIDITY {0} is not above that of a mailbox with messages that was deleted in this account"
    )]
    Past(u32),
    /// There would be no room for later ones.
    #[error("its UIDVALIDITY {0}, or one of its UIDs, is so great that none could follow")]
    Exhausted(u32),
}

/// The row of a staged mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StagedRow {
    /// What it will be called.
    path: String,
    /// How often it was changed: who puts messages into it requires that nobody else did.
    changes: u64,
}

/// A mailbox that nobody sees yet.
#[derive(Debug)]
pub struct Staged {
    account: AccountId,
    mailbox: MailboxId,
    path: String,
    changes: u64,
    row: Bytes,
    last: u32,
}

impl Staged {
    /// Its number, which is its UIDVALIDITY.
    pub fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// Requires that nobody else changed it, and says that it is changed.
    fn change(&self, batch: &mut Batch) -> Result<Bytes, StoreError> {
        let row = StagedRow { path: self.path.clone(), changes: self.changes.wrapping_add(1) };
        let row = Bytes::from(rows::encode(&row)?);
        batch.require_present(&schema::key(self.account, b"v"));
        batch.require_equals(&self.key(), &self.row);
        batch.put(self.key(), row.to_vec());
        Ok(row)
    }

    fn key(&self) -> Vec<u8> {
        schema::key(self.account, &schema::of_mailbox(b'u', self.mailbox))
    }
}

impl Mailboxes {
    /// Begins to stage a mailbox for `path`, with this UIDVALIDITY, or goes on with it.
    ///
    /// # Errors
    /// [`MailboxError::BadName`], [`MailboxError::NoAccount`], [`MailboxError::Busy`]; the store's.
    pub async fn stage(
        &self,
        account: AccountId,
        path: &str,
        validity: u32,
    ) -> Result<Result<Staged, NotKept>, MailboxError> {
        let path = name::canonical(&name::new_parts(path)?);
        let mailbox = MailboxId(validity);
        for _ in 0..TRIES {
            let tree = self.tree(account).await?;
            if let Some(found) = self.staged(account, mailbox).await? {
                return Ok(if found.path == path { Ok(found) } else { Err(NotKept::Taken(validity)) });
            }
            if let Some(node) = self.walk(account, &name::parts(&path)?).await?.filter(|node| node.selectable)
                && self.had_messages(account, node.id).await?
            {
                return Ok(Err(NotKept::Used));
            }
            let (last, past) = self.numbers(account).await?;
            match validity {
                0 | GREATEST.. => return Ok(Err(NotKept::Exhausted(validity))),
                _ if self.is_taken(account, mailbox).await? => return Ok(Err(NotKept::Taken(validity))),
                _ if i64::from(validity) <= past => return Ok(Err(NotKept::Past(validity))),
                _ => {}
            }
            let mut batch = Batch::new();
            batch.require_present(&schema::key(account, b"v"));
            tree.change(&mut batch, account, 0)?;
            let last = last.max(i64::from(validity));
            batch.put(schema::key(account, b"v"), last.to_le_bytes().to_vec());
            let row = Bytes::from(rows::encode(&StagedRow { path: path.clone(), changes: 0 })?);
            let staged = Staged { account, mailbox, path: path.clone(), changes: 0, row, last: 0 };
            batch.require_absent(&staged.key());
            batch.put(staged.key(), staged.row.to_vec());
            if self.try_commit(batch).await?.is_some() {
                return Ok(Ok(staged));
            }
        }
        Err(MailboxError::Busy)
    }

    /// What is staged for a path, whatever its UIDVALIDITY.
    ///
    /// # Errors
    /// The store's.
    pub async fn staged_for(&self, account: AccountId, path: &str) -> Result<Option<Staged>, StoreError> {
        for mailbox in self.all_staged(account).await? {
            let found = self.staged(account, mailbox).await?;
            if let Some(found) = found.filter(|found| found.path == path) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Puts messages into a staged mailbox. None of the UIDs may be taken, or be above [`MAX_KEPT_UID`].
    ///
    /// # Errors
    /// [`MailboxError::Busy`] if somebody else works on it, [`MailboxError::NoAccount`]; the store's.
    pub async fn stage_messages(
        &self,
        staged: &mut Staged,
        messages: &[(Uid, NewMessage)],
    ) -> Result<(), MailboxError> {
        if messages.iter().any(|(uid, _)| u64::from(uid.0) > MAX_KEPT_UID) {
            return Err(MailboxError::TooLarge("a UID that is kept", MAX_KEPT_UID as usize));
        }
        let mut batch = Batch::new();
        let row = staged.change(&mut batch)?;
        put_known(&mut batch, staged.account, staged.mailbox, messages)?;
        let last = messages.iter().map(|(uid, _)| uid.0).max().unwrap_or_default().max(staged.last);
        put_last(&mut batch, staged.account, staged.mailbox, last);
        if self.try_commit(batch).await?.is_none() {
            self.require_account(staged.account).await?;
            return Err(MailboxError::Busy);
        }
        (staged.row, staged.changes, staged.last) = (row, staged.changes.wrapping_add(1), last);
        Ok(())
    }

    /// Puts a staged mailbox in the place of its name, with `next` as its UIDNEXT at least; `kept` is the last UID that is not of our
    /// own making. It is subscribed to if `subscribe` says so and there was nothing of the name before.
    ///
    /// # Errors
    /// As for [`Self::create`]. The mailbox is given back if what the name stands for had messages meanwhile.
    pub async fn unveil(
        &self,
        staged: Staged,
        (next, kept): (u64, u64),
        special: Option<SpecialUse>,
        subscribe: bool,
        now: Timestamp,
    ) -> Result<Result<MailboxId, Staged>, MailboxError> {
        let (account, mailbox) = (staged.account, staged.mailbox);
        for _ in 0..TRIES {
            let mut batch = Batch::new();
            staged.change(&mut batch)?;
            batch.delete(&staged.key());
            let place = self.unveiling(&mut batch, &staged, special, subscribe, now).await?;
            let before = match place {
                InPlaceOf::Used => return Ok(Err(staged)),
                InPlaceOf::Nothing => None,
                InPlaceOf::Empty(before) => Some(before),
            };
            let last = next.saturating_sub(1).max(u64::from(staged.last)).min(MAX_KEPT_UID);
            put_last(&mut batch, account, mailbox, last as u32);
            put_kept(&mut batch, account, mailbox, kept);
            if name::is_inbox(&staged.path) {
                // The directory says which it is, so that deliveries need not look.
                batch.put(crate::directory::inbox_key(account), inbox_row(mailbox));
            }
            if self.try_commit(batch).await?.is_some() {
                if let Some(before) = before {
                    self.purge_mailbox(account, before).await?;
                }
                return Ok(Ok(mailbox));
            }
            self.require_account(account).await?;
            match self.staged(account, mailbox).await? {
                Some(found) if found.row == staged.row => {}
                _ => return Err(MailboxError::Busy),
            }
        }
        Err(MailboxError::Busy)
    }

    /// The steps by which a staged mailbox has its name.
    async fn unveiling(
        &self,
        batch: &mut Batch,
        staged: &Staged,
        special: Option<SpecialUse>,
        subscribe: bool,
        now: Timestamp,
    ) -> Result<InPlaceOf, MailboxError> {
        let (account, mailbox) = (staged.account, staged.mailbox);
        let parts = name::parts(&staged.path)?;
        let tree = self.tree(account).await?;
        let (node, missing) = self.deepest(account, &parts).await?;
        let mut making = Making::new(self, account, now).await?;
        making.inherit(self, node).await?;
        let Some((last, above)) = missing.split_last() else {
            let Some(node) = node else { return Err(MailboxError::BadName("it is empty")) };
            if node.selectable && self.had_messages(account, node.id).await? {
                return Ok(InPlaceOf::Used);
            }
            tree.change(batch, account, 0)?;
            let special = if node.selectable { None } else { special };
            return self.replacing(batch, account, node, mailbox, special).await;
        };
        if let Some(special) = special {
            batch.require_absent(&schema::key(account, &schema::of_special(special)));
        }
        let mut parent = node;
        for part in above {
            let id = making.make(batch, parent, part, None)?;
            batch.put(schema::key(account, b"v"), i64::from(id.0).to_le_bytes().to_vec());
            parent = Some(Node { id, selectable: true });
        }
        making.make_as(batch, mailbox, parent, last, special)?;
        tree.change(batch, account, missing.len() as i64)?;
        if subscribe {
            Self::subscribe_in(batch, account, &staged.path);
        }
        Ok(InPlaceOf::Nothing)
    }

    /// The steps by which `mailbox` is what `node` was: its name, its use, what is below it, its rights and annotations.
    async fn replacing(
        &self,
        batch: &mut Batch,
        account: AccountId,
        node: Node,
        mailbox: MailboxId,
        special: Option<SpecialUse>,
    ) -> Result<InPlaceOf, MailboxError> {
        let key = |tail: &[u8]| schema::key(account, tail);
        let nodes = self.nodes(account).await?;
        let Some((row, _)) = nodes.get(&node.id) else { return Err(MailboxError::Busy) };
        remove_node(batch, account, node, row);
        let special = row.special.or(special);
        if row.special.is_none()
            && let Some(special) = special
        {
            batch.require_absent(&key(&schema::of_special(special)));
        }
        let (name, parent) = (row.name.clone(), row.parent);
        put_mailbox(batch, Owner::Known(account), mailbox, &MailboxRow { name, parent, special })?;
        for (child, (row, selectable)) in nodes.iter().filter(|(_, (row, _))| row.parent == Some(node.id)) {
            batch.delete(&key(&schema::of_name(row.parent, &row.name)));
            let row = MailboxRow { parent: Some(mailbox), ..row.clone() };
            put_node(batch, Owner::Known(account), *child, &row, *selectable)?;
        }
        let there = acl::read(self.acl_row(account, node.id).await?.as_ref())?;
        if !there.is_empty() {
            acl::put_acl(batch, account, node.id, &there, &[])?;
            acl::put_acl(batch, account, mailbox, &[], &there)?;
        }
        let (from, to) = (schema::of_mailbox(b'z', node.id), schema::of_mailbox(b'z', mailbox));
        let (from, to) = (key(&from), key(&to));
        for (annotation, value) in self.storage.store.scan(Scan::prefix(&from, PAGE)).await? {
            let rest = annotation.get(from.len()..).unwrap_or_default();
            batch.put([&to[..], rest].concat(), value.to_vec());
            batch.delete(&annotation);
        }
        if !node.selectable {
            return Ok(InPlaceOf::Nothing);
        }
        // What comes in meanwhile finds that the mailbox is gone, and looks for it again.
        batch.require_absent(&key(&schema::of_count(node.id, Count::LastUid)));
        batch.put(schema::deleted(account, node.id), vec![rows::VERSION]);
        // Sessions have it open under this number: it is never that of another.
        batch.put(key(&schema::of_mailbox(b'r', node.id)), vec![rows::VERSION]);
        // Whoever has it open is woken by this, which is purged with the rest.
        batch.put(key(&schema::of_count(node.id, Count::Shown)), 0i64.to_le_bytes().to_vec());
        Ok(InPlaceOf::Empty(node.id))
    }

    /// Moves all that is staged into a mailbox that is there, where it gets new UIDs, and ends the staging.
    ///
    /// # Errors
    /// As for [`Self::move_messages`]. After one, some may have been moved.
    pub async fn drain(&self, staged: Staged, to: MailboxId, now: Timestamp) -> Result<(), MailboxError> {
        let (account, mailbox) = (staged.account, staged.mailbox);
        loop {
            let page = self.view(account, mailbox, Uid(0), PAGE).await?;
            let uids: Vec<_> = page.iter().map(|state| state.uid).collect();
            if uids.is_empty() {
                return Ok(self.unstage(&staged).await?);
            }
            self.move_messages((account, mailbox), &uids, (account, to), now).await?;
        }
    }

    /// Forgets what is staged.
    ///
    /// # Errors
    /// The store's.
    pub async fn unstage(&self, staged: &Staged) -> Result<(), StoreError> {
        let (account, mailbox) = (staged.account, staged.mailbox);
        let mut batch = Batch::new();
        batch.delete(&staged.key());
        batch.put(schema::deleted(account, mailbox), vec![rows::VERSION]);
        self.try_commit(batch).await?;
        self.purge_mailbox(account, mailbox).await
    }

    /// Up to which UID messages of a mailbox have the UIDs of elsewhere, and the last UID of all; `None` if none have. Zero and zero
    /// where there was no message yet.
    ///
    /// # Errors
    /// The store's.
    pub async fn kept(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<(u64, u64)>, StoreError> {
        let key = |which| schema::key(account, &schema::of_count(mailbox, which));
        let kept = self.storage.store.get(&key(Count::Kept)).await?;
        let last = counter(self.storage.store.get(&key(Count::LastUid)).await?.as_deref())?;
        let last = last.max(0).unsigned_abs();
        match kept {
            Some(kept) => Ok(Some((rows::number(&kept, "a UID")?.0, last))),
            None => Ok((last == 0).then_some((0, 0))),
        }
    }

    /// The UIDs of messages that left a mailbox, as far as it is remembered: 10,000 at least.
    ///
    /// # Errors
    /// The store's.
    pub async fn gone(&self, account: AccountId, mailbox: MailboxId) -> Result<Vec<Uid>, StoreError> {
        let log = self.log(Log::Expunged, account, mailbox, 0).await?;
        Ok(log.into_iter().map(|(_, uid)| uid).collect())
    }

    /// Appends messages, with these UIDs in order, to a mailbox whose last UID is `last` and stands below them; afterwards it is
    /// `next` - 1 at least. `false`, and nothing is changed, if something else came in meanwhile.
    ///
    /// # Errors
    /// [`MailboxError::NoMailbox`], [`MailboxError::NoAccount`]; the store's.
    pub async fn append_kept(
        &self,
        (account, mailbox): (AccountId, MailboxId),
        last: u64,
        messages: &[(Uid, NewMessage)],
        next: u64,
    ) -> Result<bool, MailboxError> {
        let ascending = messages.is_sorted_by(|(one, _), (two, _)| one < two);
        let above = messages.first().is_none_or(|(uid, _)| u64::from(uid.0) > last);
        let now =
            messages.last().map_or(0, |(uid, _)| u64::from(uid.0)).max(next.saturating_sub(1)).max(last);
        if !ascending || !above || now > MAX_KEPT_UID {
            return Ok(false);
        }
        let mut batch = Batch::new();
        let key = |tail: &[u8]| schema::key(account, tail);
        batch.require_present(&key(b"v"));
        batch.require_present(&key(&schema::of_mailbox(b'b', mailbox)));
        let counted = key(&schema::of_count(mailbox, Count::LastUid));
        match i64::try_from(last).unwrap_or(i64::MAX) {
            0 => batch.require_absent(&counted),
            last => batch.require_equals(&counted, &last.to_le_bytes()),
        }
        put_known(&mut batch, account, mailbox, messages)?;
        put_last(&mut batch, account, mailbox, now as u32);
        put_kept(&mut batch, account, mailbox, now);
        if self.try_commit(batch).await?.is_some() {
            return Ok(true);
        }
        self.require_mailbox(account, mailbox).await?;
        Ok(false)
    }

    /// The numbers of all staged mailboxes of an account.
    pub(super) async fn all_staged(&self, account: AccountId) -> Result<Vec<MailboxId>, StoreError> {
        let prefix = schema::key(account, b"u");
        let rows = self.storage.store.scan(Scan::prefix(&prefix, super::folders::LISTED)).await?;
        rows.iter().map(|(key, _)| schema::mailbox(key)).collect()
    }

    async fn staged(&self, account: AccountId, mailbox: MailboxId) -> Result<Option<Staged>, StoreError> {
        let key = schema::key(account, &schema::of_mailbox(b'u', mailbox));
        let Some(row) = self.storage.store.get(&key).await? else { return Ok(None) };
        let StagedRow { path, changes } = rows::decode(&row, "a staged mailbox")?;
        let last = self.counter(account, &schema::of_count(mailbox, Count::LastUid)).await?;
        let last = u32::try_from(last.max(0)).unwrap_or(u32::MAX);
        Ok(Some(Staged { account, mailbox, path, changes, row, last }))
    }

    /// Whether a number is that of a mailbox, or of one that made room for another.
    async fn is_taken(&self, account: AccountId, mailbox: MailboxId) -> Result<bool, StoreError> {
        Ok(self.nodes(account).await?.contains_key(&mailbox) || self.made_room(account, mailbox).await?)
    }

    /// Whether a mailbox made room for one that was brought in, which has its name now.
    ///
    /// # Errors
    /// The store's.
    pub async fn made_room(&self, account: AccountId, mailbox: MailboxId) -> Result<bool, StoreError> {
        let past = schema::key(account, &schema::of_mailbox(b'r', mailbox));
        Ok(self.storage.store.get(&past).await?.is_some())
    }

    /// Whether a mailbox has given out a UID.
    pub(super) async fn had_messages(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<bool, StoreError> {
        Ok(self.counter(account, &schema::of_count(mailbox, Count::LastUid)).await? != 0)
    }

    /// The greatest number that was given to a mailbox, and the greatest of those that had messages and are gone.
    async fn numbers(&self, account: AccountId) -> Result<(i64, i64), StoreError> {
        let last = self.counter(account, b"v").await?;
        let past = self.storage.store.get(&schema::key(account, b"l")).await?;
        // Accounts from before this was written down.
        Ok((last, past.map_or(Ok(last), |row| counter(Some(&row)))?))
    }

    /// Adds the step that remembers that a mailbox with messages is gone. The batch requires the tree.
    pub(super) async fn remember_past(
        &self,
        batch: &mut Batch,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<(), StoreError> {
        let (_, past) = self.numbers(account).await?;
        if i64::from(mailbox.0) > past && self.had_messages(account, mailbox).await? {
            batch.put(schema::key(account, b"l"), i64::from(mailbox.0).to_le_bytes().to_vec());
        }
        Ok(())
    }
}

/// What a staged mailbox comes in the place of.
enum InPlaceOf {
    /// Nothing, or a name without a mailbox.
    Nothing,
    /// A mailbox that never had a message.
    Empty(MailboxId),
    /// It cannot, as that mailbox had messages.
    Used,
}

/// Adds the steps that put messages with known UIDs into a mailbox, but for its last UID.
fn put_known(
    batch: &mut Batch,
    account: AccountId,
    mailbox: MailboxId,
    messages: &[(Uid, NewMessage)],
) -> Result<(), StoreError> {
    let count = messages.len() as u32;
    if count == 0 {
        return Ok(());
    }
    let key = |tail: &[u8]| schema::key(account, tail);
    let modseq = batch.allocate(&key(b"q"), count);
    for (nth, (uid, message)) in (0..).zip(messages) {
        let uid = Number::Known(u64::from(uid.0));
        append::put_message(batch, Place { account, mailbox, uid, modseq, later: nth }, message)?;
        batch.link(message.body.blob);
    }
    let counts = Counts::of(messages.iter().map(|(_, message)| Counted::from(message)));
    add_counts(batch, account, mailbox, &counts);
    let last = Template::default().number(modseq, u64::from(count - 1));
    batch.put(key(&schema::of_count(mailbox, Count::Highest)), last);
    batch.add(&key(b"o"), counts.octets);
    batch.add(&key(b"k"), i64::from(count));
    Ok(())
}

fn inbox_row(mailbox: MailboxId) -> Vec<u8> {
    [&[rows::VERSION][..], &mailbox.0.to_be_bytes()].concat()
}

/// The mailbox of such a row.
pub(crate) fn inbox_of(row: &[u8]) -> Result<MailboxId, StoreError> {
    schema::mailbox(rows::versioned(row, "an INBOX")?)
}

fn put_last(batch: &mut Batch, account: AccountId, mailbox: MailboxId, last: u32) {
    let key = schema::key(account, &schema::of_count(mailbox, Count::LastUid));
    match last {
        0 => batch.delete(&key),
        last => batch.put(key, i64::from(last).to_le_bytes().to_vec()),
    }
}

fn put_kept(batch: &mut Batch, account: AccountId, mailbox: MailboxId, kept: u64) {
    let key = schema::key(account, &schema::of_count(mailbox, Count::Kept));
    batch.put(key, kept.to_be_bytes().to_vec());
}
