//! Copying and moving (RFC 9051 sections 6.4.7 and 6.4.8): rows are written, bodies are linked once more or handed over.
//!
//! A message moves in one commit: it is never in both mailboxes or in neither.

use bytes::Bytes;
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, StoreError, Template};

use super::append::{self, Counted, Counts, NewMessage, Place, add_counts};
use super::expunge::{Leaving, leave};
use super::keyword::{KeywordSet, KeywordTable};
use super::row::Number;
use super::schema::{self, AccountId, Count, MailboxId, Uid};
use super::sweep::Sweeps;
use super::{MailboxError, Mailboxes, MessageIds, Spared, TRIES};

/// How many messages go in one commit at most: others' commits wait for it, some hundredths of a second.
const AT_ONCE: usize = 256;
/// From how many octets of structures on a commit takes no more messages.
const BYTES: usize = 1 << 20;
/// How many messages are read in one step.
const STEP: usize = 64;

/// What was copied or moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// The UIDs here and there (COPYUID), in the order of those here. Messages that were gone are left out.
    pub uids: Vec<(Uid, Uid)>,
    /// For a move, the last MODSEQ at which messages left.
    pub modseq: Option<u64>,
}

/// A mailbox and whose it is.
type Where = (AccountId, MailboxId);

struct Carried {
    leaving: Leaving,
    structure: Option<Bytes>,
}

impl Mailboxes {
    /// Copies messages into a mailbox of the same or another account, with one commit for each 256 of them at most.
    ///
    /// # Errors
    /// [`MailboxError::NoMailbox`], [`MailboxError::Busy`]; the store's. After one, what was copied before it is removed
    /// again (RFC 9051 section 6.4.7), unless the store fails at that, too.
    pub async fn copy(
        &self,
        from: Where,
        uids: &[Uid],
        to: Where,
        now: Timestamp,
    ) -> Result<Copied, MailboxError> {
        self.carry(from, uids, to, now, (false, Spared::default())).await
    }

    /// Moves messages into a mailbox of the same or another account, with one commit for each 256 of them at most.
    ///
    /// # Errors
    /// As for [`Self::copy`]; but what was moved before it has moved.
    pub async fn move_messages(
        &self,
        from: Where,
        uids: &[Uid],
        to: Where,
        now: Timestamp,
    ) -> Result<Copied, MailboxError> {
        self.carry(from, uids, to, now, (true, Spared::default())).await
    }

    /// Copies or, with `away`, moves messages for somebody who may not set all flags there: those that are `lost` do not come
    /// along (RFC 4314 section 4).
    ///
    /// # Errors
    /// As for [`Self::copy`] and [`Self::move_messages`].
    pub async fn carry(
        &self,
        from: Where,
        uids: &[Uid],
        to: Where,
        now: Timestamp,
        (away, lost): (bool, Spared),
    ) -> Result<Copied, MailboxError> {
        self.require_mailbox(to.0, to.1).await?;
        let mut uids = uids.to_vec();
        uids.sort_unstable();
        uids.dedup();
        let mut all = Copied::default();
        let mut rest = &uids[..];
        while !rest.is_empty() {
            let (taken, some) = match self.carry_some(from, rest, to, now, (away, lost)).await {
                Ok(carried) => carried,
                Err(error) => {
                    if !away {
                        self.take_back(to, &all).await;
                    }
                    return Err(error);
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
            all.uids.extend(some.uids);
            all.modseq = some.modseq.or(all.modseq);
        }
        Ok(all)
    }

    /// Removes what was copied before the rest could not be.
    async fn take_back(&self, to: Where, copied: &Copied) {
        let there: Vec<Uid> = copied.uids.iter().map(|(_, there)| *there).collect();
        if let Err(error) = self.expunge(to.0, to.1, &there).await {
            tracing::warn!(%error, copies = there.len(), "copies of a COPY that failed midway stay");
        }
    }

    async fn carry_some(
        &self,
        from: Where,
        uids: &[Uid],
        to: Where,
        now: Timestamp,
        (away, lost): (bool, Spared),
    ) -> Result<(usize, Copied), MailboxError> {
        for _ in 0..TRIES {
            let sweeps = self.sweeps(from.0, from.1).await?;
            let (taken, carried) = self.carried(from, uids, &sweeps).await?;
            if carried.is_empty() {
                return Ok((taken, Copied::default()));
            }
            let mut arriving = self.arriving(from, &carried, to, now).await?;
            for message in &mut arriving {
                message.flags = message.flags - lost.flags;
                if lost.keywords {
                    message.keywords = KeywordSet::default();
                }
            }
            let mut batch = Batch::new();
            batch.require_present(&schema::key(to.0, &schema::of_mailbox(b'b', to.1)));
            carrying(&mut batch, from, &carried, to, &arriving, &sweeps, away)?;
            if let Some(committed) = self.try_commit(batch).await? {
                let first = append::first_uid(&committed.firsts)?;
                let there = (0..).map(|nth| Uid(first.0.saturating_add(nth)));
                let here = carried.iter().map(|one| one.leaving.state.uid);
                let modseq = away.then(|| committed.firsts.last().copied()).flatten();
                return Ok((taken, Copied { uids: here.zip(there).collect(), modseq }));
            }
            self.require_mailbox(to.0, to.1).await?;
        }
        Err(MailboxError::Busy)
    }

    /// Adds the steps that move the first of `uids`, which are not empty, into a mailbox of the same account that the batch makes. How many of
    /// them these are about.
    pub(super) async fn move_to_new(
        &self,
        batch: &mut Batch,
        from: Where,
        uids: &[Uid],
        to: MailboxId,
        now: Timestamp,
    ) -> Result<usize, MailboxError> {
        let (sweeps, to) = (self.sweeps(from.0, from.1).await?, (from.0, to));
        let (taken, carried) = self.carried(from, uids, &sweeps).await?;
        if !carried.is_empty() {
            let arriving = self.arriving(from, &carried, to, now).await?;
            carrying(batch, from, &carried, to, &arriving, &sweeps, true)?;
        }
        Ok(taken)
    }

    /// The first of `uids` that one commit can carry, and how many of `uids` these are about.
    async fn carried(
        &self,
        from: Where,
        uids: &[Uid],
        sweeps: &Sweeps,
    ) -> Result<(usize, Vec<Carried>), StoreError> {
        let (mut taken, mut bytes, mut all) = (0, 0, Vec::new());
        for uids in uids.chunks(STEP) {
            if taken + uids.len() > AT_ONCE || bytes > BYTES {
                break;
            }
            taken += uids.len();
            let leaving = self.leaving(from.0, from.1, uids, sweeps).await?;
            let mut structures = self.structures(from.0, from.1, uids).await?.into_iter().peekable();
            for leaving in leaving {
                while structures.next_if(|(uid, _)| *uid < leaving.state.uid).is_some() {}
                let structure = structures.next_if(|(uid, _)| *uid == leaving.state.uid);
                let structure = structure.map(|(_, structure)| structure);
                bytes += structure.as_ref().map_or(0, Bytes::len) + leaving.info.body.prefix.len();
                all.push(Carried { leaving, structure });
            }
        }
        Ok((taken, all))
    }

    /// The messages as they arrive. In another account keywords have other numbers, and messages other ids.
    async fn arriving(
        &self,
        from: Where,
        carried: &[Carried],
        to: Where,
        now: Timestamp,
    ) -> Result<Vec<NewMessage>, MailboxError> {
        let mut arriving: Vec<_> = carried.iter().map(|one| one.as_new(now)).collect();
        if from.0 == to.0 {
            return Ok(arriving);
        }
        let table = match arriving.iter().all(|message| message.keywords.is_empty()) {
            true => KeywordTable::default(),
            false => self.keywords(from.0).await?,
        };
        for message in &mut arriving {
            let names: Vec<_> = message.keywords.iter().filter_map(|keyword| table.name(keyword)).collect();
            message.keywords = self.keywords_there(to.0, &names).await?;
            message.email = None;
            let ids = MessageIds { own: message.id, references: Vec::new() };
            message.thread = self.thread_of(to.0, &ids).await?;
        }
        Ok(arriving)
    }

    /// Keywords of another account; those that it has no room for are lost.
    async fn keywords_there(&self, account: AccountId, names: &[&str]) -> Result<KeywordSet, MailboxError> {
        match self.keywords_named(account, names).await {
            Ok(keywords) => Ok(keywords.into_iter().collect()),
            Err(MailboxError::TooMany(..)) => Ok(KeywordSet::default()),
            Err(e) => Err(e),
        }
    }
}

impl Carried {
    fn as_new(&self, now: Timestamp) -> NewMessage {
        let Leaving { state, info, .. } = &self.leaving;
        NewMessage {
            received: info.received,
            saved: now,
            flags: state.flags,
            keywords: state.keywords.clone(),
            body: info.body.clone(),
            structure: self.structure.clone(),
            id: info.id,
            thread: Some(info.thread),
            email: Some(info.email),
        }
    }
}

/// Adds the steps of the one commit. UIDs are taken first; the MODSEQ of a leaving message last.
fn carrying(
    batch: &mut Batch,
    from: Where,
    carried: &[Carried],
    to: Where,
    arriving: &[NewMessage],
    sweeps: &Sweeps,
    away: bool,
) -> Result<(), StoreError> {
    let count = arriving.len() as u32;
    let there = |tail: &[u8]| schema::key(to.0, tail);
    batch.require_present(&there(b"v"));
    let uid = batch.allocate(&there(&schema::of_count(to.1, Count::LastUid)), count);
    let modseq = batch.allocate(&there(b"q"), count);
    for (nth, message) in (0..).zip(arriving) {
        let uid = Number::Slot(uid, nth);
        let place = Place { account: to.0, mailbox: to.1, uid, modseq, later: nth };
        append::put_message(batch, place, message)?;
    }
    let counts = Counts::of(arriving.iter().map(Counted::from));
    add_counts(batch, to.0, to.1, &counts);
    let last = Template::default().number(modseq, u64::from(count.saturating_sub(1)));
    batch.put(there(&schema::of_count(to.1, Count::Highest)), last);
    if !away || from.0 != to.0 {
        batch.add(&there(b"o"), counts.octets);
        batch.add(&there(b"k"), i64::from(count));
    }
    if !away {
        sweeps.require(batch, from.0, from.1);
        for one in carried {
            let state = &one.leaving.state;
            let key = schema::of_message(schema::Of::State, from.1, state.uid);
            batch.require_equals(&schema::key(from.0, &key), &one.leaving.row);
            batch.link(one.leaving.info.body.blob);
        }
        return Ok(());
    }
    let left = batch.allocate(&schema::key(from.0, b"q"), 1);
    let leaving: Vec<_> = carried.iter().map(|one| &one.leaving).collect();
    leave(batch, from.0, from.1, Number::Slot(left, 0), &leaving, sweeps);
    if from.0 != to.0 {
        batch.add(&schema::key(from.0, b"o"), -counts.octets);
        batch.add(&schema::key(from.0, b"k"), -i64::from(count));
    }
    Ok(())
}
