//! Names and patterns with `*` and `%` (RFC 9051 section 6.3.9).

use std::collections::HashMap;

use iems_store::mailbox::DELIMITER;

/// The most letters of a pattern besides wildcards: more than any name has, also one of another user.
const LONGEST: usize = 1500;

/// A pattern, with one wildcard where several stand together. Letters of a name are compared with 64 places of it at once, so
/// that no pattern costs much, whatever its wildcards.
#[derive(Debug)]
pub(super) struct Pattern {
    /// For each letter of the pattern, the places where it stands.
    letters: HashMap<char, Places>,
    /// Where `*` and where `%` stands.
    stars: Places,
    percents: Places,
    /// How many letters are no wildcards; no shorter name fits.
    least: usize,
    places: usize,
}

impl Pattern {
    /// What a reference and a pattern mean together.
    pub(super) fn new(reference: &str, pattern: &str) -> Self {
        let mut joined: Vec<char> = Vec::new();
        for c in reference.chars().chain(pattern.chars()) {
            match (joined.last_mut(), c) {
                (Some('*'), '*' | '%') | (Some('%'), '%') => {}
                (Some(last @ '%'), '*') => *last = '*',
                _ => joined.push(c),
            }
        }
        let least = joined.iter().filter(|c| !matches!(c, '*' | '%')).count();
        if least > LONGEST {
            // No name is as long.
            joined = Vec::new();
        }
        let places = joined.len();
        let mut new = Self {
            letters: HashMap::new(),
            stars: Places::new(places),
            percents: Places::new(places),
            least,
            places,
        };
        for (at, c) in joined.into_iter().enumerate() {
            match c {
                '*' => new.stars.set(at),
                '%' => new.percents.set(at),
                c => new.letters.entry(c).or_insert_with(|| Places::new(places)).set(at),
            }
        }
        new
    }

    /// Whether a name fits.
    pub(super) fn fits(&self, name: &str) -> bool {
        if self.least > name.len() {
            return false;
        }
        let inbox = name == "INBOX" || name.starts_with("INBOX/");
        // Which beginnings of the pattern fit the name so far.
        let mut fitting = Places::new(self.places);
        fitting.set(0);
        self.spread(&mut fitting);
        for (at, c) in name.chars().enumerate() {
            let any_case = inbox && at < 5;
            let other = if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            let same = [Some(c), (any_case && other != c).then_some(other)];
            let same = same.map(|c| c.and_then(|c| self.letters.get(&c)));
            let mut carried = 0;
            let mut left = 0;
            for (word, fitting) in fitting.0.iter_mut().enumerate() {
                let at_word = |places: Option<&Places>| places.map_or(0, |places| places.word(word));
                let stays = self.stars.word(word) | if c == DELIMITER { 0 } else { self.percents.word(word) };
                let goes_on = *fitting & (at_word(same[0]) | at_word(same[1]));
                *fitting = *fitting & stays | goes_on << 1 | carried;
                carried = goes_on >> 63;
                left |= *fitting;
            }
            if left == 0 {
                return false;
            }
            self.spread(&mut fitting);
        }
        fitting.has(self.places)
    }

    /// A wildcard may stand for nothing. No two stand together.
    fn spread(&self, fitting: &mut Places) {
        let mut carried = 0;
        for (word, fitting) in fitting.0.iter_mut().enumerate() {
            let behind = *fitting & (self.stars.word(word) | self.percents.word(word));
            *fitting |= behind << 1 | carried;
            carried = behind >> 63;
        }
    }
}

/// Places in a pattern, and the one behind its end.
#[derive(Debug)]
struct Places(Vec<u64>);

impl Places {
    fn new(places: usize) -> Self {
        Self(vec![0; places / 64 + 1])
    }

    fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    fn has(&self, at: usize) -> bool {
        self.word(at / 64) >> (at % 64) & 1 == 1
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or_default()
    }
}

/// The names above a name, the nearest first.
pub(super) fn above(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(name.rsplit_once(DELIMITER), |(head, _)| head.rsplit_once(DELIMITER))
        .map(|(head, _)| head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_levels_or_all() {
        for (pattern, name, fits) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("%/%", "a/b", true),
            ("inbox", "INBOX", true),
            ("inb*", "INBOX/x", true),
            ("Inbox/X", "INBOX/x", false),
            ("x", "X", false),
            ("", "", true),
            ("**%%*", "", true),
        ] {
            assert_eq!(Pattern::new("", pattern).fits(name), fits, "{pattern} {name}");
        }
        assert!(Pattern::new("a/", "%").fits("a/b"));
    }

    #[test]
    fn no_pattern_costs_much() {
        // Each letter of the name may be compared with each of the pattern: without bounds, these take hours.
        let name = "a".repeat(900);
        for pattern in [
            "*a%".repeat(300) + "b",
            "a*".repeat(500_000),
            "*".repeat(1_000_000) + "b",
            "%a".repeat(700) + "b",
        ] {
            let bomb = Pattern::new("", &pattern);
            assert!((0..100).all(|_| !bomb.fits(&name)));
        }
        assert!(Pattern::new("", &("*".repeat(100_000) + "a%")).fits(&name));
        assert!(Pattern::new("", &"a%".repeat(900)).fits(&name));
        assert!(!Pattern::new("", &"x".repeat(2000)).fits(""));
    }

    /// By trying everything.
    fn slowly(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            (['*', rest @ ..], name) => (0..=name.len()).any(|at| slowly(rest, &name[at..])),
            (['%', rest @ ..], name) => {
                let most = name.iter().position(|c| *c == '/').unwrap_or(name.len());
                (0..=most).any(|at| slowly(rest, &name[at..]))
            }
            ([c, rest @ ..], [first, behind @ ..]) => c == first && slowly(rest, behind),
            _ => false,
        }
    }

    proptest::proptest! {
        #[test]
        fn what_fits_is_what_trying_everything_finds(
            pattern in "[ab/%*]{0,9}",
            name in "[ab/]{0,9}",
            before in "[x]{0,70}",
        ) {
            let (p, n) = (format!("{before}{pattern}"), format!("{before}{name}"));
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            proptest::prop_assert_eq!(Pattern::new("", &p).fits(&n), slowly(&chars(&p), &chars(&n)));
        }
    }

    #[test]
    fn all_names_above_are_there() {
        assert_eq!(above("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(above("a").next(), None);
    }
}
