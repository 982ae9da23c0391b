//! Traffic by next hop: attempts, outcomes and times since the engine was built.
//!
//! Bounded: the busiest hops have numbers of their own, the others of a channel share one set. A hop that becomes
//! busier than the least busy of those takes its place, and the numbers of the one that goes are added to the shared set:
//! so sums over a channel never fall.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::deliver::Outcome;
use crate::message::{ChannelId, NextHop};

/// Hops with numbers of their own.
const HOPS: usize = 50;
/// Hops that are watched for whether they become one of those.
const WATCHED: usize = 1000;

/// How long something took, counted in steps.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Histogram {
    /// How often it took at most [`Histogram::STEPS`] of the same place, and longer than the step before; the last one is
    /// for all that took longer.
    pub counts: [u64; Self::STEPS.len() + 1],
    /// All times together, in seconds.
    pub sum: f64,
}

impl Histogram {
    /// Seconds, from a local delivery to the end of patience.
    pub const STEPS: [f64; 12] =
        [0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 28_800.0, 86_400.0, 432_000.0];

    /// How often in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        self.counts[Self::STEPS.partition_point(|step| *step < seconds)] += 1;
        self.sum += seconds;
    }

    fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(own, other)| *own += other);
        self.sum += other.sum;
    }
}

/// What went to one hop, or to all hops of a channel without numbers of their own.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Attempts.
    pub attempts: u64,
    /// Recipients delivered or relayed.
    pub delivered: u64,
    /// Recipients put off, once for each attempt.
    pub deferred: u64,
    /// Recipients that failed for good.
    pub failed: u64,
    /// From acceptance to delivery, for each recipient.
    pub delivery: Histogram,
    /// From the beginning to the end of an attempt.
    pub attempt: Histogram,
}

impl Traffic {
    fn add(&mut self, outcomes: &[Outcome], recipients: usize, (age, took): (Duration, Duration)) {
        self.attempts += 1;
        self.attempt.add(took);
        for at in 0..recipients {
            match outcomes.get(at) {
                Some(Outcome::Done(..)) => {
                    self.delivered += 1;
                    self.delivery.add(age);
                }
                Some(Outcome::Failed(_)) => self.failed += 1,
                Some(Outcome::Deferred(_)) | None => self.deferred += 1,
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.delivered += other.delivered;
        self.deferred += other.deferred;
        self.failed += other.failed;
        self.delivery.merge(&other.delivery);
        self.attempt.merge(&other.attempt);
    }
}

type Hop = (ChannelId, NextHop);

/// The book of all traffic.
#[derive(Debug, Default)]
pub(crate) struct TrafficBook(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    own: HashMap<Hop, Traffic>,
    shared: HashMap<ChannelId, Traffic>,
    /// Attempts of hops without numbers of their own, lately.
    watched: HashMap<Hop, u64>,
}

impl TrafficBook {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt. No hop: it has no numbers of its own, as with agents.
    pub(crate) fn count(
        &self,
        channel: &ChannelId,
        hop: Option<&NextHop>,
        (outcomes, recipients): (&[Outcome], usize),
        (age, took): (Duration, Duration),
    ) {
        let mut book = self.lock();
        let numbers = match hop {
            Some(hop) => book.of((channel.clone(), hop.clone())),
            None => book.shared.entry(channel.clone()).or_default(),
        };
        numbers.add(outcomes, recipients, (age, took));
    }

    /// All of it: a hop, or `None` for the others of its channel. In the order of names.
    pub(crate) fn read(&self) -> Vec<(ChannelId, Option<NextHop>, Traffic)> {
        let book = self.lock();
        let own = book.own.iter().map(|((channel, hop), t)| (channel.clone(), Some(hop.clone()), t.clone()));
        let shared = book.shared.iter().map(|(channel, t)| (channel.clone(), None, t.clone()));
        let mut all: Vec<_> = own.chain(shared).collect();
        drop(book);
        all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        all
    }
}

impl Book {
    /// The numbers that an attempt for the hop belongs to.
    fn of(&mut self, hop: Hop) -> &mut Traffic {
        if !self.own.contains_key(&hop) && self.own.len() >= HOPS && !self.overtakes(&hop) {
            return self.shared.entry(hop.0).or_default();
        }
        self.own.entry(hop).or_default()
    }

    /// Whether the hop is busier now than the least busy one with numbers of its own, which goes then.
    fn overtakes(&mut self, hop: &Hop) -> bool {
        if self.watched.len() >= WATCHED && !self.watched.contains_key(hop) {
            self.watched.values_mut().for_each(|attempts| *attempts /= 2);
            self.watched.retain(|_, attempts| *attempts > 0);
        }
        if self.watched.len() >= WATCHED {
            return false;
        }
        let attempts = self.watched.entry(hop.clone()).or_default();
        *attempts += 1;
        let (attempts, least) = (*attempts, self.own.iter().min_by_key(|(_, traffic)| traffic.attempts));
        let Some(least) =
            least.filter(|(_, traffic)| traffic.attempts < attempts).map(|(hop, _)| hop.clone())
        else {
            return false;
        };
        self.watched.remove(hop);
        if let Some(gone) = self.own.remove(&least) {
            self.shared.entry(least.0).or_default().merge(&gone);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::Arrival;
    use crate::message::{EnhancedStatus, Reply};

    fn count(book: &TrafficBook, hop: &str) {
        let done = Outcome::Done(Arrival::Relayed, Reply::new(250, EnhancedStatus::new(2, 0, 0), "ok"));
        let outcomes = [done, Outcome::deferred(4, 1, "later")];
        let times = (Duration::from_secs(2), Duration::from_millis(250));
        book.count(&ChannelId::new("smtp"), Some(&NextHop::new(hop)), (&outcomes, 3), times);
    }

    #[test]
    fn outcomes_and_times_are_counted() {
        let book = TrafficBook::default();
        count(&book, "a.example");
        let (_, hop, traffic) = book.read().remove(0);
        assert_eq!(hop.unwrap().as_str(), "a.example");
        assert_eq!((traffic.attempts, traffic.delivered, traffic.deferred, traffic.failed), (1, 1, 2, 0));
        assert_eq!(
            (traffic.attempt.counts[1], traffic.delivery.counts[3]),
            (1, 1),
            "a step has its own bound"
        );
        assert_eq!((traffic.delivery.count(), traffic.delivery.sum), (1, 2.0));
    }

    #[test]
    fn few_hops_have_numbers_and_the_busy_ones_get_them() {
        let book = TrafficBook::default();
        for n in 0..20_000 {
            count(&book, &format!("d{n}.example"));
        }
        for _ in 0..100 {
            count(&book, "busy.example");
        }
        let all = book.read();
        assert_eq!(all.len(), HOPS + 1);
        let sum: u64 = all.iter().map(|(.., traffic)| traffic.attempts).sum();
        assert_eq!(sum, 20_100, "nothing is lost by moving");
        let own =
            all.iter().find(|(_, hop, _)| hop.as_ref().is_some_and(|hop| hop.as_str() == "busy.example"));
        assert!(own.is_some_and(|(.., traffic)| traffic.attempts > 80));
        assert!(book.lock().watched.len() <= WATCHED);
    }
}
