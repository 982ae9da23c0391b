//! `SEARCH` (RFC 9051 section 6.4.4, RFC 7162 section 3.1.5).

use iems_core::seam::Timestamp;

use super::user::Selected;
use super::{Outcome, Output, Session, Sink, Trouble};
use crate::imap::Accounts;
use crate::imap::search::{Candidate, SearchLimits, Searched};
use crate::imap::types::{
    Data, ESearch, NumberSet, PartialRange, Search, SearchKey, SearchReturn, Sort, SortCriterion, Status,
    Thread,
};
use crate::net::{Loan, Spent};

/// What a search takes for each message of the mailbox, in octets: the message as it is looked at, its place and its number
/// where it is found, and its number as it is told.
const FOUND: usize = size_of::<Candidate<'_>>() + 2 * size_of::<usize>() + 4 * size_of::<u32>() + 24;

impl Session {
    pub(super) async fn search<S: Sink>(
        &mut self,
        tag: &str,
        uid: bool,
        search: Search,
        now: Timestamp,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let Search { returns, key } = search;
        let has_modseq = self.heeds_modseq(&key, out).await?;
        let held = self.hold_messages(FOUND);
        let found = match &held {
            Ok(_) => self.found(&key, None, now, out).await,
            Err(spent) => Err((*spent).into()),
        };
        let found = self.or_forget(found, returns.as_deref())?;
        let modseq = if has_modseq { self.highest(&found)? } else { None };
        let returns = match returns {
            None if self.enabled.rev2 => vec![SearchReturn::All],
            None => {
                let numbers = self.numbered(&found, uid)?;
                out.data(Data::Search { numbers, modseq });
                out.pause().await?;
                return Ok(Status::ok("That is what was found"));
            }
            Some(returns) => returns,
        };
        self.tell_found(tag, uid, &returns, &found, modseq, out)?;
        out.pause().await?;
        Ok(Status::ok("That is what was found"))
    }

    /// Memory for what is done with all messages of the mailbox, so many octets for each.
    fn hold_messages(&self, each: usize) -> Result<Loan, Spent> {
        let Ok(selected) = self.selected() else { return Ok(Loan::default()) };
        selected.budget.take(selected.view.messages().len().saturating_mul(each))
    }

    /// Whether `MODSEQ` is searched for, which makes a client one that knows of it (RFC 7162 section 3.1).
    async fn heeds_modseq<S: Sink>(
        &mut self,
        key: &SearchKey,
        out: &mut Output<'_, S>,
    ) -> Result<bool, Trouble> {
        let has_modseq = key.has_modseq();
        if has_modseq && !self.enabled.condstore {
            self.enabled.condstore = true;
            self.tell_highest(out).await?;
        }
        Ok(has_modseq)
    }

    #[allow(clippy::too_many_arguments)]
    fn tell_found<S: Sink>(
        &mut self,
        tag: &str,
        uid: bool,
        returns: &[SearchReturn],
        found: &[u32],
        modseq: Option<u64>,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        if returns.contains(&SearchReturn::Save) {
            let kept = self.kept(found, returns)?;
            let selected = self.selected_mut()?;
            selected.forget_saved();
            selected.saved_loan.resize(size_of_val(kept.ranges()))?;
            selected.saved = kept;
        }
        if returns.iter().all(|wanted| *wanted == SearchReturn::Save) {
            return Ok(());
        }
        let numbers = self.numbered(found, uid)?;
        // Of what is told (RFC 4731 section 3.2).
        let modseq = match modseq {
            Some(_) => self.highest(&told(found, returns))?,
            None => None,
        };
        let page = partial(returns).map(|range| (range, runs(&numbers[range.within(numbers.len())])));
        let has = |wanted| returns.contains(&wanted);
        let all = if has(SearchReturn::All) { runs(&numbers) } else { Vec::new() };
        out.data(Data::ESearch(ESearch {
            tag: Some(tag.to_owned()),
            uid,
            min: numbers.first().copied().filter(|_| has(SearchReturn::Min)),
            max: numbers.last().copied().filter(|_| has(SearchReturn::Max)),
            all,
            count: has(SearchReturn::Count).then_some(numbers.len() as u64),
            modseq,
            partial: page,
        }));
        Ok(())
    }

    /// What `$` stands for afterwards (RFC 9051 section 6.4.4.1, RFC 9394 section 3.2): all, or only what is told.
    fn kept(&self, found: &[u32], returns: &[SearchReturn]) -> Result<NumberSet, Trouble> {
        let kept = match returns.iter().all(|wanted| *wanted == SearchReturn::Save) {
            true => found.to_vec(),
            false => told(found, returns),
        };
        Ok(self.numbered(&kept, true)?.into_iter().collect())
    }

    /// Sequence numbers as they are told.
    fn numbered(&self, numbers: &[u32], uid: bool) -> Result<Vec<u32>, Trouble> {
        if !uid {
            return Ok(numbers.to_vec());
        }
        let view = &self.selected()?.view;
        Ok(numbers.iter().filter_map(|number| view.get(*number)).map(|seen| seen.uid).collect())
    }

    fn highest(&self, numbers: &[u32]) -> Result<Option<u64>, Trouble> {
        let view = &self.selected()?.view;
        Ok(numbers.iter().filter_map(|number| view.get(*number)).map(|seen| seen.modseq).max())
    }

    /// What was found; where nothing could be, what was to be saved stands for nothing (RFC 5182 section 2.1).
    fn or_forget(
        &mut self,
        found: Result<Vec<u32>, Trouble>,
        returns: Option<&[SearchReturn]>,
    ) -> Result<Vec<u32>, Trouble> {
        if found.is_err() && returns.is_some_and(|returns| returns.contains(&SearchReturn::Save)) {
            self.selected_mut()?.forget_saved();
        }
        found
    }

    /// The sequence numbers of the messages searched for, in the mailbox as it is now; in the order of `criteria`, if there
    /// are any.
    async fn found<S: Sink>(
        &mut self,
        key: &SearchKey,
        criteria: Option<&[SortCriterion]>,
        now: Timestamp,
        out: &mut Output<'_, S>,
    ) -> Result<Vec<u32>, Trouble> {
        self.catch_up(&[], out).await?;
        let selected = self.selected()?;
        let candidates = selected.candidates();
        let searched = selected.searched(&self.accounts, &candidates, now);
        let work = async {
            let places = searched.find(key).await?;
            match criteria {
                Some(criteria) => searched.sort(places, criteria).await,
                None => Ok(places),
            }
        };
        let places = out.meanwhile(work).await??;
        let there = places.into_iter().filter(|place| !selected.is_gone(*place));
        Ok(there.filter_map(|place| u32::try_from(place + 1).ok()).collect())
    }

    /// `SORT` (RFC 5256, RFC 5267).
    pub(super) async fn sort<S: Sink>(
        &mut self,
        tag: &str,
        uid: bool,
        sort: Sort,
        now: Timestamp,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let Sort { returns, criteria, key } = sort;
        let has_modseq = self.heeds_modseq(&key, out).await?;
        let held = self.hold_messages(FOUND);
        let found = match &held {
            Ok(_) => self.found(&key, Some(&criteria), now, out).await,
            Err(spent) => Err((*spent).into()),
        };
        let found = self.or_forget(found, returns.as_deref())?;
        let modseq = if has_modseq { self.highest(&found)? } else { None };
        match returns {
            None => {
                let numbers = self.numbered(&found, uid)?;
                out.data(Data::Sort { numbers, modseq });
            }
            Some(returns) => self.tell_found(tag, uid, &returns, &found, modseq, out)?,
        }
        out.pause().await?;
        Ok(Status::ok("That is what was found"))
    }

    /// `THREAD` (RFC 5256).
    pub(super) async fn thread<S: Sink>(
        &mut self,
        uid: bool,
        thread: Thread,
        now: Timestamp,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        self.heeds_modseq(&thread.key, out).await?;
        self.catch_up(&[], out).await?;
        let _held = self.hold_messages(FOUND)?;
        let selected = self.selected()?;
        let candidates = selected.candidates();
        let searched = selected.searched(&self.accounts, &candidates, now);
        let work = async {
            let mut places = searched.find(&thread.key).await?;
            places.retain(|place| !selected.is_gone(*place));
            searched.thread(places, thread.algorithm, uid).await
        };
        let (threads, _held) = out.meanwhile(work).await??;
        out.data(Data::Thread(threads));
        out.pause().await?;
        Ok(Status::ok("That is what was found"))
    }
}

impl Selected {
    /// Whether the message at a place, counted from 0, left.
    fn is_gone(&self, place: usize) -> bool {
        self.view.messages().get(place).is_none_or(|seen| seen.gone)
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        let numbered = self.view.messages().iter().zip(1u32..);
        let candidates = numbered.map(|(seen, number)| Candidate {
            number,
            uid: seen.uid,
            modseq: seen.modseq,
            flags: seen.flags,
            keywords: self.view.keywords(seen),
            recent: self.view.is_recent(seen.uid),
        });
        candidates.collect()
    }

    fn searched<'a>(
        &'a self,
        accounts: &'a Accounts,
        candidates: &'a [Candidate<'a>],
        now: Timestamp,
    ) -> Searched<'a> {
        Searched {
            mailboxes: accounts.mailboxes(),
            index: accounts.index(),
            account: self.account,
            mailbox: self.mailbox,
            candidates,
            keywords: &self.keywords,
            saved: &self.saved,
            now,
            limits: SearchLimits::default(),
            budget: self.budget.clone(),
        }
    }
}

/// The page that is asked for.
fn partial(returns: &[SearchReturn]) -> Option<PartialRange> {
    returns.iter().find_map(|wanted| match wanted {
        SearchReturn::Partial(range) => Some(*range),
        _ => None,
    })
}

/// What of `found` an answer is about: all where `ALL` or `COUNT` is asked for, else the page and the ends.
fn told(found: &[u32], returns: &[SearchReturn]) -> Vec<u32> {
    if returns.iter().any(|wanted| matches!(wanted, SearchReturn::All | SearchReturn::Count)) {
        return found.to_vec();
    }
    let first = found.first().filter(|_| returns.contains(&SearchReturn::Min));
    let last = found.last().filter(|_| returns.contains(&SearchReturn::Max));
    let page = partial(returns).map_or(&[][..], |range| &found[range.within(found.len())]);
    first.into_iter().chain(last).chain(page).copied().collect()
}

/// Numbers as ranges, in their order.
fn runs(numbers: &[u32]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    runs
}
