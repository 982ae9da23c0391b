//! The messages of one mailbox, its counters and logs, and the index of threads.

use std::collections::BTreeMap;

use iems_core::storage::{Scan, StoreError, counter};

use super::{PAGE, Work, count_key, present};
use crate::mailbox::append::{Counted, Counts};
use crate::mailbox::query::{MessageInfo, MessageState};
use crate::mailbox::row;
use crate::mailbox::schema::{self, AccountId, Count, Log, MailboxId, Of, Uid};
use crate::mailbox::{Finding, Mailboxes};
use crate::rows;

/// After how many bodies is told how far it is.
const TOLD: u64 = if cfg!(test) { 2 } else { 1000 };

impl Mailboxes {
    /// Checks the messages of a mailbox; returns the greatest MODSEQ in it.
    pub(super) async fn check_messages(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        bodies: bool,
        work: &mut Work<'_>,
    ) -> Result<u64, StoreError> {
        let mut states = self.whole_messages(account, mailbox, bodies, work).await?;
        work.checked.messages += states.len() as u64;
        work.checked.octets += states.values().map(|state| state.size).sum::<u64>();
        let expected = states
            .values()
            .map(|state| schema::of_log(Log::Changed, mailbox, state.modseq, state.uid))
            .map(|tail| (schema::key(account, &tail), present()))
            .collect();
        let prefix = |tag: u8| schema::key(account, &schema::of_mailbox(tag, mailbox));
        let changed = self.every(&prefix(Log::Changed as u8)).await?;
        work.compare("change log", Some(mailbox), expected, changed);
        let swept = self.check_sweeps(account, mailbox, &mut states, work).await?;
        let expunged = self.every(&prefix(Log::Expunged as u8)).await?;
        let mut last = states.values().map(|state| (state.modseq, state.uid)).collect::<Vec<_>>();
        for (key, _) in &expunged {
            last.push(schema::log_entry(key)?);
        }
        let modseq = last.iter().map(|(modseq, _)| *modseq).chain(swept).max().unwrap_or_default();
        let uid = last.iter().map(|(_, uid)| uid.0).max().unwrap_or_default();
        for (key, _) in self.every(&prefix(Of::Structure as u8)).await? {
            if !states.contains_key(&schema::uid(&key)?) {
                work.mend("structure", Some(mailbox), "it is of no message".into(), key.to_vec(), None);
            }
        }
        let counts = Counts::of(states.values().map(Counted::from));
        self.check_counts(account, mailbox, &counts, expunged.len(), work).await?;
        self.check_marks(account, mailbox, modseq, uid, work).await?;
        Ok(modseq)
    }

    /// Brings the states up to date; returns the MODSEQ of the last sweep.
    async fn check_sweeps(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        states: &mut BTreeMap<Uid, MessageState>,
        work: &mut Work<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let sweeps = self.every_sweep(account, mailbox).await?;
        for state in states.values_mut() {
            sweeps.apply(state);
        }
        let right = sweeps.last().map(|modseq| modseq.to_be_bytes().to_vec());
        let key = count_key(account, mailbox, Count::Swept);
        if self.storage.store.get(&key).await?.map(|row| row.to_vec()) != right {
            work.mend("sweeps", Some(mailbox), "the mark of the last one is wrong".into(), key, right);
        }
        Ok(sweeps.last())
    }

    /// The states of messages that have all their rows, as the rows say them. Half a message is none.
    async fn whole_messages(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        bodies: bool,
        work: &mut Work<'_>,
    ) -> Result<BTreeMap<Uid, MessageState>, StoreError> {
        let prefix = |of: Of| schema::key(account, &schema::of_mailbox(of as u8, mailbox));
        let mut states = BTreeMap::new();
        for (key, row) in self.every(&prefix(Of::State)).await? {
            let uid = schema::uid(&key)?;
            states.insert(uid, row::read_state(uid, &row)?);
        }
        let mut infos = BTreeMap::new();
        for (key, row) in self.every(&prefix(Of::Info)).await? {
            let uid = schema::uid(&key)?;
            infos.insert(uid, row::read_info(uid, &row)?);
        }
        for (nth, (uid, info)) in (1..).zip(&infos) {
            match states.get_mut(uid) {
                None => states.extend([(*uid, self.state_again(account, mailbox, info, work).await?)]),
                Some(state) if state.size != info.body.size() => {
                    state.size = info.body.size();
                    let detail = format!("the size of message {} was wrong", uid.0);
                    let (key, value) = state_row(account, mailbox, state)?;
                    work.mend("size of a message", Some(mailbox), detail, key, Some(value));
                }
                Some(_) => {}
            }
            if bodies && let Some(detail) = self.body_trouble(info).await {
                let mailbox = Some(mailbox);
                work.checked.findings.push(Finding { kind: "body", mailbox, detail, mendable: false });
            }
            if bodies && nth % TOLD == 0 {
                (work.progress)(work.checked.messages + nth);
            }
        }
        let halves: Vec<_> = states.keys().copied().filter(|uid| !infos.contains_key(uid)).collect();
        for uid in halves {
            states.remove(&uid);
            let key = schema::key(account, &schema::of_message(Of::State, mailbox, uid));
            work.mend("message", Some(mailbox), format!("message {} has no body", uid.0), key, None);
        }
        Ok(states)
    }

    /// The state of a message that lost its own: unseen, and changed just now.
    async fn state_again(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        info: &MessageInfo,
        work: &mut Work<'_>,
    ) -> Result<MessageState, StoreError> {
        let state = MessageState {
            uid: info.uid,
            flags: Default::default(),
            modseq: self.modseq(account).await? + 1,
            size: info.body.size(),
            keywords: Default::default(),
        };
        let (key, value) = state_row(account, mailbox, &state)?;
        let detail = format!("message {} lost its flags", info.uid.0);
        work.mend("message", Some(mailbox), detail, key, Some(value));
        Ok(state)
    }

    async fn body_trouble(&self, info: &MessageInfo) -> Option<String> {
        let mut reader = info.body.reader(self.blobs());
        let mut octets = 0;
        loop {
            match reader.next().await {
                Ok(Some(piece)) => octets += piece.len() as u64,
                Ok(None) if octets == info.body.size() => return None,
                Ok(None) => return Some(format!("message {} is {octets} octets long", info.uid.0)),
                Err(e) => return Some(format!("message {}: {e}", info.uid.0)),
            }
        }
    }

    async fn check_counts(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        counts: &Counts,
        expunged: usize,
        work: &mut Work<'_>,
    ) -> Result<(), StoreError> {
        for (kind, which, right) in [
            ("number of messages", Count::Messages, counts.messages),
            ("number of deleted messages", Count::Deleted, counts.deleted),
            ("octets of a mailbox", Count::Octets, counts.octets),
            ("length of the expunge log", Count::LogLength, expunged as i64),
        ] {
            let key = count_key(account, mailbox, which);
            let found = self.storage.store.get(&key).await?;
            work.count(kind, Some(mailbox), key, right, found.as_ref());
        }
        Ok(())
    }

    /// UIDs and MODSEQs that were given out must not be given out again.
    async fn check_marks(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        modseq: u64,
        uid: u32,
        work: &mut Work<'_>,
    ) -> Result<(), StoreError> {
        let key = count_key(account, mailbox, Count::LastUid);
        let said = counter(self.storage.store.get(&key).await?.as_deref()).unwrap_or_default();
        if said < i64::from(uid) {
            let detail = format!("the last UID is {uid}, but {said} was given out");
            let value = i64::from(uid).to_le_bytes().to_vec();
            work.mend("UIDs of a mailbox", Some(mailbox), detail, key, Some(value));
        }
        let said = self.highest_modseq(account, mailbox).await?;
        if said < modseq {
            let detail = format!("the last change is {modseq}, and not {said}");
            let key = count_key(account, mailbox, Count::Highest);
            work.mend("MODSEQ of a mailbox", Some(mailbox), detail, key, Some(modseq.to_be_bytes().to_vec()));
        }
        Ok(())
    }

    /// The index of threads, which is over all mailboxes, those that are being purged included.
    pub(super) async fn check_threads(
        &self,
        account: AccountId,
        work: &mut Work<'_>,
    ) -> Result<(), StoreError> {
        let mut expected = BTreeMap::new();
        let prefix = schema::key(account, &[Of::Info as u8]);
        let mut from = prefix.clone();
        // Page by page: the rows of a whole account may be more than memory holds.
        loop {
            let page = self.storage.store.scan(Scan::prefix(&prefix, PAGE).starting_at(&from)).await?;
            for (key, row) in &page {
                let uid = schema::uid(key)?;
                let info = row::read_info(uid, row)?;
                let head = key.get(..key.len() - 8).unwrap_or_default();
                if let Some(id) = &info.id {
                    let tail = schema::of_thread(&id.0, schema::mailbox(head)?, uid);
                    let value = [&[rows::VERSION][..], &info.thread.to_be_bytes()].concat();
                    expected.insert(schema::key(account, &tail), value);
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = [&last[..], &[0]].concat(),
                _ => break,
            }
        }
        let found = self.every(&schema::key(account, b"g")).await?;
        work.compare("index of threads", None, expected, found);
        Ok(())
    }
}

fn state_row(
    account: AccountId,
    mailbox: MailboxId,
    state: &MessageState,
) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let key = schema::key(account, &schema::of_message(Of::State, mailbox, state.uid));
    let modseq = row::Number::Known(state.modseq);
    let row = row::state(modseq, state.flags, &state.keywords, state.size)?;
    Ok((key, row.fill(&[]).to_vec()))
}
