//! Names and patterns with `*` and `%` (RFC 9051 section 6.3.9).

use iems_store::mailbox::DELIMITER;

/// A pattern. Comparing costs the product of both lengths, whatever the wildcards.
#[derive(Debug)]
pub(super) struct Pattern(Vec<char>);

impl Pattern {
    /// What a reference and a pattern mean together.
    pub(super) fn new(reference: &str, pattern: &str) -> Self {
        Self(reference.chars().chain(pattern.chars()).collect())
    }

    /// Whether a name fits.
    pub(super) fn fits(&self, name: &str) -> bool {
        let inbox = name == "INBOX" || name.starts_with("INBOX/");
        // Which beginnings of the pattern fit the name so far.
        let mut fitting = vec![false; self.0.len() + 1];
        self.start(&mut fitting);
        for (at, c) in name.chars().enumerate() {
            let mut next = vec![false; self.0.len() + 1];
            for (place, p) in self.0.iter().enumerate().filter(|(place, _)| fitting[*place]) {
                let same = match p {
                    '*' => true,
                    '%' => c != DELIMITER,
                    p if inbox && at < 5 => p.eq_ignore_ascii_case(&c),
                    p => *p == c,
                };
                if same {
                    next[if matches!(p, '*' | '%') { place } else { place + 1 }] = true;
                }
            }
            self.spread(&mut next);
            fitting = next;
        }
        fitting.last().copied().unwrap_or_default()
    }

    fn start(&self, fitting: &mut [bool]) {
        fitting[0] = true;
        self.spread(fitting);
    }

    /// A wildcard may stand for nothing.
    fn spread(&self, fitting: &mut [bool]) {
        for (place, p) in self.0.iter().enumerate() {
            if fitting[place] && matches!(p, '*' | '%') {
                fitting[place + 1] = true;
            }
        }
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
        let bomb = Pattern::new("", &"*a%".repeat(300));
        assert!(!bomb.fits(&"a".repeat(200)));
    }

    #[test]
    fn all_names_above_are_there() {
        assert_eq!(above("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(above("a").next(), None);
    }
}
