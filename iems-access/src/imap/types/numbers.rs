//! Sets of numbers that are known: sorted ranges that neither overlap nor touch (RFC 9051 section 9, `uid-set`).

use std::fmt;

/// Message sequence numbers or UIDs. As large as the count of its ranges, not of its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct NumberSet {
    ranges: Vec<(u32, u32)>,
}

impl NumberSet {
    /// The set of all numbers in `ranges`, whose ends are included and may be in either order.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
        ranges.sort_unstable();
        let mut set = Self { ranges: Vec::with_capacity(ranges.len()) };
        ranges.into_iter().for_each(|range| set.add_behind(range));
        set
    }

    /// Puts in a number. Cheap where it is the greatest yet.
    pub fn insert(&mut self, number: u32) {
        match self.ranges.last() {
            Some(last) if number < last.0 => self.insert_within(number),
            _ => self.add_behind((number, number)),
        }
    }

    /// Adds a range that begins at or behind the beginning of the last one.
    fn add_behind(&mut self, range: (u32, u32)) {
        match self.ranges.last_mut() {
            Some(last) if range.0 <= last.1.saturating_add(1) => last.1 = last.1.max(range.1),
            _ => self.ranges.push(range),
        }
    }

    fn insert_within(&mut self, number: u32) {
        let at = self.ranges.partition_point(|range| range.1 < number);
        match self.ranges.get(at) {
            Some(range) if range.0 <= number => {}
            _ => {
                self.ranges.insert(at, (number, number));
                self.join(at);
            }
        }
    }

    /// Joins the range at `at` with its neighbours where they touch.
    fn join(&mut self, at: usize) {
        if let [range, next] = self.ranges.get(at..at + 2).unwrap_or_default()
            && range.1.saturating_add(1) == next.0
        {
            let joined = (range.0, next.1);
            self.ranges.splice(at..at + 2, [joined]);
        }
        if let Some([before, range]) = at.checked_sub(1).and_then(|before| self.ranges.get(before..=at))
            && before.1.saturating_add(1) == range.0
        {
            let joined = (before.0, range.1);
            self.ranges.splice(at - 1..=at, [joined]);
        }
    }

    /// The ranges, least first; both ends are included.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Whether `number` is in it.
    pub fn contains(&self, number: u32) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < number);
        self.ranges.get(at).is_some_and(|range| range.0 <= number)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(start, end)| u64::from(end - start) + 1).sum()
    }

    /// The least number.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|range| range.0)
    }

    /// The greatest number.
    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|range| range.1)
    }

    /// All numbers, least first. There may be four milliards: cut the set to what exists before.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|&(start, end)| start..=end)
    }

    /// What of it is from `least` to `most`, both included.
    #[must_use]
    pub fn within(&self, least: u32, most: u32) -> Self {
        let cut = self.ranges.iter().map(|&(start, end)| (start.max(least), end.min(most)));
        Self { ranges: cut.filter(|(start, end)| start <= end).collect() }
    }
}

impl FromIterator<u32> for NumberSet {
    /// In any order: what is sorted by something else is as large as a mailbox.
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self::from_ranges(numbers.into_iter().map(|number| (number, number)))
    }
}

impl fmt::Display for NumberSet {
    /// `1:4,7`; empty if it is (the grammar has no empty set).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (start, end)) in self.ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match start == end {
                true => write!(f, "{comma}{start}")?,
                false => write!(f, "{comma}{start}:{end}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(numbers in prop::collection::vec(1u32..60, 0..80)) {
            let set: NumberSet = numbers.iter().copied().collect();
            let model: BTreeSet<u32> = numbers.iter().copied().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.count(), model.len() as u64);
            prop_assert!(set.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            prop_assert!((0..62).all(|number| set.contains(number) == model.contains(&number)));
            prop_assert_eq!(&NumberSet::from_ranges(numbers.iter().map(|number| (*number, *number))), &set);
            let within = set.within(10, 20);
            prop_assert!((0..62).all(|n| within.contains(n) == ((10..=20).contains(&n) && model.contains(&n))));
        }
    }

    #[test]
    fn a_set_out_of_order_costs_no_more() {
        // Put in one by one, each would move all others: hours.
        let set: NumberSet = (1..2_000_000u32).rev().map(|number| number * 2).collect();
        assert_eq!((set.ranges().len(), set.first(), set.last()), (1_999_999, Some(2), Some(3_999_998)));
    }

    #[test]
    fn the_greatest_numbers_overflow_nothing() {
        let mut set = NumberSet::from_ranges([(u32::MAX, 1)]);
        set.insert(u32::MAX);
        set.insert(7);
        assert_eq!((set.to_string(), set.count()), ("1:4294967295".into(), u64::from(u32::MAX)));
        assert_eq!((set.first(), set.last()), (Some(1), Some(u32::MAX)));
    }
}
