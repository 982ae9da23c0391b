//! Sets of messages as clients name them (RFC 9051 section 9, `sequence-set`): ranges, never expanded.

use std::fmt;

use super::NumberSet;

/// A set of sequence numbers or UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SequenceSet {
    /// Ranges in the order given; they may overlap. One at least.
    Ranges(Vec<SequenceRange>),
    /// `$`: what the last `SEARCH ... SAVE` found (RFC 9051 section 6.4.4.1).
    Saved,
}

/// A range. Both ends are included, and either may be the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceRange {
    /// One end.
    pub start: Bound,
    /// The other; the same for a single number.
    pub end: Bound,
}

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A number; not 0.
    Number(u32),
    /// `*`: the greatest there is.
    Last,
}

impl Bound {
    /// The number, where `last` is the greatest there is.
    const fn number(self, last: u32) -> u32 {
        match self {
            Self::Number(number) => number,
            Self::Last => last,
        }
    }
}

impl SequenceSet {
    /// The set of one number.
    pub fn single(number: u32) -> Self {
        Self::Ranges(vec![SequenceRange { start: Bound::Number(number), end: Bound::Number(number) }])
    }

    /// The numbers, sorted and without overlaps, where `last` is the greatest there is and `*` stands for it. Numbers
    /// above `last` stay (they may be UIDs to come), except that `*` of an empty mailbox (`last` is 0) is nothing.
    /// `saved` is what `$` stands for.
    ///
    /// `559:*` holds `last` also where `last` is below 559 (RFC 9051 section 6.4.9).
    pub fn resolve(&self, last: u32, saved: &NumberSet) -> NumberSet {
        let ranges = match self {
            Self::Ranges(ranges) => ranges,
            Self::Saved => return saved.clone(),
        };
        let ends = ranges.iter().map(|range| (range.start.number(last), range.end.number(last)));
        NumberSet::from_ranges(ends.filter(|ends| ends.0 != 0 && ends.1 != 0))
    }

    /// The greatest number that is named; 0 if only `*` or `$` is.
    pub fn greatest(&self) -> u32 {
        let Self::Ranges(ranges) = self else { return 0 };
        ranges.iter().map(|range| range.start.number(0).max(range.end.number(0))).max().unwrap_or(0)
    }

    /// Whether `*` is in it.
    pub fn has_last(&self) -> bool {
        let Self::Ranges(ranges) = self else { return false };
        ranges.iter().any(|range| range.start == Bound::Last || range.end == Bound::Last)
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ranges(ranges) = self else { return f.write_str("$") };
        for (at, range) in ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match range.start == range.end {
                true => write!(f, "{comma}{}", range.start)?,
                false => write!(f, "{comma}{}:{}", range.start, range.end)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Last => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(Bound, Bound)]) -> SequenceSet {
        SequenceSet::Ranges(ranges.iter().map(|&(start, end)| SequenceRange { start, end }).collect())
    }

    #[test]
    fn sets_resolve_without_being_expanded() {
        use Bound::{Last, Number};
        let none = NumberSet::default();
        let all = set(&[(Number(1), Number(u32::MAX))]);
        assert_eq!(all.resolve(5, &none).to_string(), "1:4294967295");
        assert_eq!(set(&[(Number(559), Last)]).resolve(100, &none).to_string(), "100:559");
        assert_eq!(set(&[(Last, Last)]).resolve(7, &none).to_string(), "7");
        assert_eq!(set(&[(Last, Number(3)), (Number(2), Number(4))]).resolve(6, &none).to_string(), "2:6");
        assert!(set(&[(Number(1), Last), (Last, Last)]).resolve(0, &none).is_empty());
        let saved = NumberSet::from_iter([4, 2]);
        assert_eq!(SequenceSet::Saved.resolve(9, &saved), saved);
    }

    #[test]
    fn sets_print_as_they_were() {
        use Bound::{Last, Number};
        let given = set(&[(Number(5), Number(3)), (Number(2), Number(2)), (Number(4), Last)]);
        assert_eq!(given.to_string(), "5:3,2,4:*");
        assert_eq!((given.greatest(), given.has_last()), (5, true));
        assert_eq!(SequenceSet::Saved.to_string(), "$");
    }
}
