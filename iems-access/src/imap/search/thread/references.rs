//! `REFERENCES` (RFC 5256 section 3), by the steps of the RFC; `REFS` leaves out the joining by subject.

use std::collections::{HashMap, HashSet};

use crate::imap::types::ThreadNode;

use super::Letter;
use super::forest::Forest;

/// The ids in a field: what is in angle brackets with an `@` in it, without space.
pub(super) fn ids(value: &[u8]) -> Vec<Vec<u8>> {
    let inside = value.split(|octet| *octet == b'<').skip(1).filter_map(|piece| {
        let end = piece.iter().position(|octet| *octet == b'>')?;
        let id: Vec<u8> = piece[..end].iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        id.contains(&b'@').then_some(id)
    });
    inside.collect()
}

/// Threads of letters whose ids have numbers below `ids`.
pub(super) fn by_references(letters: &[Letter], ids: usize, subjects: bool) -> Vec<ThreadNode> {
    let mut forest = Forest::default();
    link(letters, ids, &mut forest);
    let mut roots = prune(&mut forest);
    sort_all(letters, &mut forest, &mut roots);
    if subjects {
        join(letters, &mut forest, &mut roots);
        sort_all(letters, &mut forest, &mut roots);
    }
    forest.told(&roots, |letter| letters[letter].number)
}

/// Step 1: every letter under the nearest that it refers to, and those under each other.
fn link(letters: &[Letter], ids: usize, forest: &mut Forest) {
    let mut named: Vec<Option<usize>> = vec![None; ids];
    for (place, letter) in letters.iter().enumerate() {
        let node = own_node(place, letter, &mut named, forest);
        let mut above = None;
        for reference in &letter.references {
            let Some(named) = named.get_mut(*reference) else { continue };
            let next = *named.get_or_insert_with(|| forest.add(None));
            if above.is_some_and(|above| forest.0[next].parent.is_none() && forest.fits(next, above)) {
                forest.put(next, above);
            }
            above = Some(next);
        }
        // What a letter says of itself counts more than what others said of it.
        let above = above.filter(|above| forest.fits(node, *above));
        forest.put(node, above);
    }
}

/// The node of a letter: where others referred to it, or a new one. Who has an id that another has already is as
/// somebody without one.
fn own_node(place: usize, letter: &Letter, named: &mut [Option<usize>], forest: &mut Forest) -> usize {
    let Some(named) = letter.id.and_then(|id| named.get_mut(id)) else { return forest.add(Some(place)) };
    match *named {
        Some(node) if forest.0[node].letter.is_none() => {
            forest.0[node].letter = Some(place);
            node
        }
        Some(_) => forest.add(Some(place)),
        None => *named.insert(forest.add(Some(place))),
    }
}

/// Steps 2 and 3: places without a letter go, and their parents take their children; at the top, only where there is
/// one child. Gives the roots.
fn prune(forest: &mut Forest) -> Vec<usize> {
    let roots = forest.grow();
    let mut gone = HashSet::new();
    for node in forest.under(&roots) {
        let of = &forest.0[node];
        if let (None, Some(parent)) = (of.letter, of.parent) {
            gone.insert(node);
            for child in of.children.clone() {
                forest.0[child].parent = Some(parent);
            }
        }
    }
    for node in &gone {
        forest.0[*node].parent = None;
    }
    let mut roots = forest.grow();
    roots.retain(|root| !gone.contains(root));
    for root in &mut roots {
        if let (None, [only]) = (forest.0[*root].letter, &forest.0[*root].children[..]) {
            *root = *only;
            forest.0[*root].parent = None;
        }
    }
    roots.retain(|root| forest.0[*root].letter.is_some() || !forest.0[*root].children.is_empty());
    roots
}

/// Steps 4 and 6: siblings by date; a place without a letter has the date of its first child.
fn sort_all(letters: &[Letter], forest: &mut Forest, roots: &mut [usize]) {
    let mut keys = vec![(0, 0); forest.0.len()];
    for node in forest.under(roots).into_iter().rev() {
        let mut children = std::mem::take(&mut forest.0[node].children);
        children.sort_by_key(|child| keys[*child]);
        keys[node] = match forest.0[node].letter {
            Some(letter) => (letters[letter].sent, letters[letter].number),
            None => children.first().map_or((0, 0), |first| keys[*first]),
        };
        forest.0[node].children = children;
    }
    roots.sort_by_key(|root| keys[*root]);
}

/// What step 5 wants to know of a tree.
struct Top<'a> {
    subject: &'a str,
    /// Its root answers or forwards.
    answer: bool,
    /// Its root is a place without a letter.
    empty: bool,
}

fn top<'a>(letters: &'a [Letter], forest: &Forest, root: usize) -> Option<Top<'a>> {
    let of = &forest.0[root];
    let first = || of.children.first().and_then(|child| forest.0[*child].letter);
    let letter = letters.get(of.letter.or_else(first)?)?;
    let empty = of.letter.is_none();
    let top = Top { subject: &letter.subject, answer: !empty && letter.answer, empty };
    Some(top).filter(|top| !top.subject.is_empty())
}

/// Step 5: trees with one subject become one.
fn join(letters: &[Letter], forest: &mut Forest, roots: &mut Vec<usize>) {
    let mut table: HashMap<&str, usize> = HashMap::new();
    for root in roots.iter().copied() {
        let Some(this) = top(letters, forest, root) else { continue };
        let better = table.get(this.subject).and_then(|other| top(letters, forest, *other));
        if better.is_none_or(|other| (this.empty && !other.empty) || (other.answer && !this.answer)) {
            table.insert(this.subject, root);
        }
    }
    let mut gone = HashSet::new();
    for root in roots.clone() {
        let Some(this) = top(letters, forest, root) else { continue };
        let Some(other) = table.get(this.subject).copied().filter(|other| *other != root) else { continue };
        let that_is = top(letters, forest, other);
        let (empty, answer) = that_is.map_or((true, false), |that| (that.empty, that.answer));
        gone.insert(root);
        if this.empty && empty {
            for child in std::mem::take(&mut forest.0[root].children) {
                forest.graft(child, other);
            }
        } else if empty || (this.answer && !answer) {
            forest.graft(root, other);
        } else {
            let both = forest.add(None);
            roots.push(both);
            gone.insert(other);
            forest.graft(other, both);
            forest.graft(root, both);
            table.insert(this.subject, both);
        }
    }
    roots.retain(|root| !gone.contains(root));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of an id: what its letters and digits are.
    fn id(id: &str) -> usize {
        match id.strip_suffix("@x") {
            Some(number) => number.parse().unwrap(),
            None => usize::from(id.as_bytes()[0] - b'a'),
        }
    }

    fn letter(number: u32, own: &str, references: &[&str], subject: &str) -> Letter {
        let (answer, subject) = match subject.strip_prefix("Re: ") {
            Some(base) => (true, base),
            None => (false, subject),
        };
        let references = references.iter().map(|named| id(named)).collect();
        Letter {
            number,
            subject: subject.into(),
            answer,
            sent: i64::from(number),
            id: Some(id(own)),
            references,
        }
    }

    /// As in an answer, with `-` for what is missing.
    fn told(nodes: &[ThreadNode]) -> String {
        let one = |node: &ThreadNode| {
            let number = node.number.map_or("-".into(), |number| number.to_string());
            format!("({number}{})", told(&node.children))
        };
        nodes.iter().map(one).collect()
    }

    #[test]
    fn answers_stand_under_what_they_answer() {
        for (letters, subjects, expected) in [
            (
                vec![letter(1, "a", &[], "x"), letter(2, "b", &["a"], "y"), letter(3, "c", &["a", "b"], "z")],
                true,
                "(1(2(3)))",
            ),
            // What is missing in the midst goes, and at the top holds together.
            (vec![letter(1, "a", &[], "x"), letter(2, "b", &["a", "m"], "y")], true, "(1(2))"),
            (vec![letter(2, "b", &["m"], "x"), letter(3, "c", &["m"], "y")], true, "(-(2)(3))"),
            (vec![letter(2, "b", &["m"], "x")], true, "(2)"),
            // The answer came first.
            (vec![letter(2, "b", &["a"], "x"), letter(3, "a", &[], "y")], true, "(3(2))"),
            // By subject: an answer goes under what it answers, equals under nothing.
            (vec![letter(1, "a", &[], "x"), letter(2, "b", &[], "Re: x")], true, "(1(2))"),
            (vec![letter(1, "a", &[], "x"), letter(2, "b", &[], "x")], true, "(-(1)(2))"),
            (
                vec![letter(1, "a", &[], "Re: x"), letter(2, "b", &[], "x"), letter(3, "c", &[], "Re: x")],
                true,
                "(2(1)(3))",
            ),
            (vec![letter(1, "a", &[], "x"), letter(2, "b", &[], "Re: x")], false, "(1)(2)"),
            // One id twice, and a ring.
            (
                vec![letter(1, "a", &[], "x"), letter(2, "a", &[], "y"), letter(3, "b", &["a"], "z")],
                true,
                "(1(3))(2)",
            ),
            (vec![letter(1, "a", &["b"], "x"), letter(2, "b", &["a"], "y")], true, "(2(1))"),
            (vec![letter(1, "a", &["a"], "x")], true, "(1)"),
        ] {
            assert_eq!(told(&by_references(&letters, 26, subjects)), expected, "{letters:?}");
        }
    }

    #[test]
    fn a_chain_may_be_as_long_as_a_mailbox() {
        let name = |n: u32| format!("{n}@x");
        let chain: Vec<_> = (1..20_000).map(|n| letter(n, &name(n), &[&name(n - 1)], "")).collect();
        let threads = by_references(&chain, 30_000, true);
        assert_eq!(threads.len(), 1);
        let backwards: Vec<_> = (1..20_000).map(|n| letter(n, &name(n), &[&name(n + 1)], "")).collect();
        assert!(!by_references(&backwards, 30_000, true).is_empty());
    }

    #[test]
    fn rings_are_not_looked_for_without_end() {
        // Each letter names what is far down a chain, and its beginning, again and again: to see that this would be a ring takes
        // a way all up the chain.
        let name = |n: u32| format!("{n}@x");
        let mut letters: Vec<_> = (1..900).map(|n| letter(n, &name(n), &[&name(n - 1)], "")).collect();
        let (first, last) = (name(0), name(899));
        let around: Vec<&str> = [last.as_str(), first.as_str()].into_iter().cycle().take(100).collect();
        letters.extend((1000..31_000).map(|n| letter(n, &name(n), &around, "")));
        let mut forest = Forest::default();
        link(&letters, 40_000, &mut forest);
        // Without a bound, 1,300,000,000.
        assert!(forest.climbed() < 150_000_000, "{}", forest.climbed());
        assert!(!by_references(&letters, 40_000, true).is_empty());
    }

    #[test]
    fn ids_are_found_in_any_clutter() {
        assert_eq!(ids(b"x <a@b> (c) <d @\r\n e><f><g@h"), [b"a@b".to_vec(), b"d@e".to_vec()]);
    }
}
