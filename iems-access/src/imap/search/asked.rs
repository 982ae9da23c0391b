//! A key that is asked of message after message: of many at once what is read of their rows, of one after the other what
//! is read of their octets.

use super::facts::{Facts, Level};
use super::query::Query;
use super::work::Work;
use super::{SearchError, Searched, Spent, there};

/// What it costs to read one row, in units of [`super::work`].
const ROW: u64 = 32;

/// A key that is asked.
pub(super) struct Asked<'a> {
    searched: &'a Searched<'a>,
    query: &'a Query,
    /// What of it asks of fields.
    fields: &'a [&'a Query],
    /// What it costs to ask it of one message.
    weight: u64,
    levels: Vec<Level>,
    spent: Spent,
    work: Work,
    /// Places of the messages that it holds for, in no order.
    pub(super) found: Vec<usize>,
    /// How many had to be read for want of an index.
    pub(super) missed: u64,
}

impl<'a> Asked<'a> {
    pub(super) fn new(searched: &'a Searched<'a>, query: &'a Query, fields: &'a [&'a Query]) -> Self {
        let mut levels: Vec<_> =
            [Level::Info, Level::Structure].into_iter().filter(|level| query.asks(*level)).collect();
        // Of what is still undecided then, the octets are read, or nothing is there any more.
        levels.extend([Level::Info, Level::Structure]);
        let (spent, work) = (Spent::default(), Work::new(searched));
        let (weight, found) = (query.weight(), Vec::new());
        Self { searched, query, fields, weight, levels, spent, work, found, missed: 0 }
    }

    /// Asks of what the session holds; whether that was enough.
    pub(super) async fn first(&mut self, place: usize, facts: &Facts<'_>) -> Result<bool, SearchError> {
        self.work.take(self.weight).await?;
        let answer = self.query.answer(facts.known());
        self.found.extend(answer.filter(|holds| *holds).map(|_| place));
        Ok(answer.is_some())
    }

    /// Asks of more and more, until there are answers for all of `open`.
    pub(super) async fn settle(&mut self, open: &mut Vec<(usize, Facts<'_>)>) -> Result<(), SearchError> {
        if open.is_empty() {
            return Ok(());
        }
        let (mut rows, mut seen) = (self.searched.budget.loan(), false);
        for level in self.levels.clone() {
            self.work.take((ROW + self.weight).saturating_mul(open.len() as u64)).await?;
            // First where the rows lie; those that are left are read to stay.
            let sees =
                level == Level::Structure && self.query.asks(level) && !std::mem::replace(&mut seen, true);
            match sees {
                true => Facts::see(open, self.query, self.fields, self.searched).await?,
                false => Facts::learn(open, level, self.searched).await?,
            }
            rows.resize(open.iter().map(|(_, facts)| facts.row_octets()).sum())?;
            for (_, facts) in open.iter_mut().filter(|_| level == Level::Structure) {
                facts.look(self.fields, &mut self.work).await?;
            }
            open.retain(|(place, facts)| {
                let answer = facts.answer.or_else(|| self.query.answer(facts.known()));
                self.found.extend(answer.filter(|holds| *holds).map(|_| *place));
                answer.is_none()
            });
        }
        for (place, mut facts) in open.drain(..) {
            self.work.take(self.weight).await?;
            let read = facts.read(self.query, self.fields, &self.spent, &mut self.work).await;
            let holds = there(read)?.unwrap_or(false);
            self.found.extend(holds.then_some(place));
            self.missed += u64::from(facts.was_missed());
        }
        Ok(())
    }
}
