//! What the live view shows: the last two looks at the queue, and what is chosen. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Sort;
use crate::admin::queue::{HopAnswer, OverviewAnswer};

/// The view.
#[derive(Debug)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) overview: Option<OverviewAnswer>,
    /// The name of the chosen hop: it stays chosen wherever it moves.
    pub(super) chosen: Option<String>,
    /// A word about the last key, or what is wrong.
    pub(super) word: String,
    /// Deliveries a minute: of all, and of each hop.
    pub(super) rate: Option<f64>,
    pub(super) rates: HashMap<String, f64>,
    looked: Option<Instant>,
}

impl View {
    pub(super) fn new(sort: Sort) -> Self {
        let (overview, chosen, word) = (None, None, String::new());
        Self { sort, overview, chosen, word, rate: None, rates: HashMap::new(), looked: None }
    }

    /// Takes a new look.
    pub(super) fn look(&mut self, overview: OverviewAnswer) {
        let now = Instant::now();
        if let (Some(before), Some(looked)) = (&self.overview, self.looked) {
            let passed = now.duration_since(looked).max(Duration::from_millis(1));
            let rate =
                |before: u64, after: u64| after.saturating_sub(before) as f64 * 60.0 / passed.as_secs_f64();
            self.rate = Some(rate(before.delivered, overview.delivered));
            let of = |all: &OverviewAnswer| -> HashMap<String, u64> {
                all.first.iter().map(|hop| (hop.name.clone(), hop.delivered)).collect()
            };
            let (before, after) = (of(before), of(&overview));
            self.rates = after
                .iter()
                .map(|(name, n)| (name.clone(), rate(*before.get(name).unwrap_or(n), *n)))
                .collect();
        }
        (self.looked, self.overview) = (Some(now), Some(overview));
    }

    /// The hops in their order.
    pub(super) fn hops(&self) -> Vec<&HopAnswer> {
        let mut hops: Vec<&HopAnswer> = self.overview.iter().flat_map(|all| &all.first).collect();
        let rate = |hop: &HopAnswer| self.rates.get(&hop.name).copied().unwrap_or(0.0);
        match self.sort {
            Sort::Depth => hops.sort_by_key(|hop| std::cmp::Reverse(hop.depth.depth)),
            Sort::Oldest => hops.sort_by_key(|hop| std::cmp::Reverse(hop.oldest)),
            Sort::Rate => hops.sort_by(|a, b| rate(b).total_cmp(&rate(a))),
            Sort::Name => hops.sort_by(|a, b| a.name.cmp(&b.name)),
        }
        hops
    }
}

/// What keys do.
#[cfg(any(feature = "tui", test))]
impl View {
    /// The chosen hop.
    pub(super) fn hop(&self) -> Option<&HopAnswer> {
        let chosen = self.chosen.as_ref()?;
        self.overview.iter().flat_map(|all| &all.first).find(|hop| hop.name == *chosen)
    }

    /// Chooses the hop `by` places further down.
    pub(super) fn step(&mut self, by: isize) {
        let hops = self.hops();
        let at = hops.iter().position(|hop| Some(&hop.name) == self.chosen.as_ref());
        let next = match at {
            Some(at) => at.saturating_add_signed(by).min(hops.len().saturating_sub(1)),
            None => 0,
        };
        self.chosen = hops.get(next).map(|hop| hop.name.clone());
    }

    /// The next order, or the one before.
    pub(super) fn turn(&mut self, forward: bool) {
        const ALL: [Sort; 4] = [Sort::Depth, Sort::Oldest, Sort::Rate, Sort::Name];
        let at = ALL.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        self.sort = ALL[(at + if forward { 1 } else { ALL.len() - 1 }) % ALL.len()];
    }
}
