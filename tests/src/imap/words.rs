//! The words of a response: atoms, strings, lists; and whether they are those of a pattern.
//!
//! In a pattern, `{}` stands for any word or list, and `{name}` for what it was at its first place. The order makes no
//! difference among flags, attributes and items: where the standards leave it open.

use std::collections::BTreeMap;

/// What names stand for.
pub(super) type Names = BTreeMap<String, String>;

/// A word of a response.
#[derive(Clone, PartialEq, Eq)]
pub enum Word {
    /// An atom, a number, a flag; with what is in brackets behind it.
    Atom(String),
    /// A quoted string or a literal.
    Text(String),
    /// Words in parentheses, or of a response code.
    List(Vec<Word>),
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Atom(atom) => f.write_str(atom),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(words) => f.debug_list().entries(words).finish(),
        }
    }
}

/// The words of a response without its tag. Of a status, only the code is read.
pub(super) fn words(octets: &[u8]) -> Vec<Word> {
    let mut all = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let status = all.len() == 1 && matches!(&all[0], Word::Atom(a) if is_status(a));
        if status && rest[0] != b'[' {
            break;
        }
        if status {
            all.push(list(&rest[1..], b']').0);
            break;
        }
        let (word, behind) = word(rest);
        all.push(word);
        rest = behind.strip_prefix(b" ").unwrap_or(behind);
    }
    all
}

fn is_status(word: &str) -> bool {
    ["OK", "NO", "BAD", "BYE", "PREAUTH"].iter().any(|status| status.eq_ignore_ascii_case(word))
}

fn word(octets: &[u8]) -> (Word, &[u8]) {
    match octets {
        [b'(', rest @ ..] => list(rest, b')'),
        [b'"', rest @ ..] => quoted(rest),
        [b'{', digit, ..] if digit.is_ascii_digit() => literal(octets),
        [b'~', b'{', ..] => literal(&octets[1..]),
        _ => atom(octets),
    }
}

fn list(mut rest: &[u8], end: u8) -> (Word, &[u8]) {
    let mut words = Vec::new();
    loop {
        match rest.first() {
            None => return (Word::List(words), rest),
            Some(octet) if *octet == end => return (Word::List(words), &rest[1..]),
            Some(b' ') => rest = &rest[1..],
            // Within a code there may be a set in parentheses, or none at all.
            Some(_) => {
                let (one, behind) = if end == b']' { code_word(rest) } else { word(rest) };
                words.push(one);
                rest = behind;
            }
        }
    }
}

fn code_word(octets: &[u8]) -> (Word, &[u8]) {
    match octets[0] {
        b'(' | b'"' => word(octets),
        _ => {
            let end = octets.iter().position(|o| matches!(o, b' ' | b']' | b')')).unwrap_or(octets.len());
            (Word::Atom(String::from_utf8_lossy(&octets[..end]).into_owned()), &octets[end.max(1)..])
        }
    }
}

fn quoted(octets: &[u8]) -> (Word, &[u8]) {
    let mut text = Vec::new();
    let mut at = 0;
    while at < octets.len() && octets[at] != b'"' {
        at += usize::from(octets[at] == b'\\');
        text.extend(octets.get(at));
        at += 1;
    }
    (Word::Text(String::from_utf8_lossy(&text).into_owned()), octets.get(at + 1..).unwrap_or_default())
}

fn literal(octets: &[u8]) -> (Word, &[u8]) {
    let end = octets.iter().position(|o| *o == b'\n').expect("a literal's line end");
    let length = std::str::from_utf8(&octets[1..end - 2]).ok().and_then(|n| n.parse::<usize>().ok());
    let start = end + 1;
    let stop = start + length.expect("a literal's length");
    (Word::Text(String::from_utf8_lossy(&octets[start..stop]).into_owned()), &octets[stop..])
}

/// An atom; what is in brackets belongs to it: `BODY[HEADER.FIELDS (To)]<0>`.
fn atom(octets: &[u8]) -> (Word, &[u8]) {
    let mut depth = 0;
    let mut end = octets.len();
    for (at, octet) in octets.iter().enumerate() {
        match octet {
            b'[' => depth += 1,
            b']' if depth > 0 => depth -= 1,
            b' ' | b'(' | b')' if depth == 0 => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    // What cannot be an atom is passed over, so that nothing is read for ever.
    let end = end.max(1).min(octets.len());
    (Word::Atom(String::from_utf8_lossy(&octets[..end]).into_owned()), &octets[end..])
}

/// How words of a list are compared.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Same,
    /// In any order, and no others.
    Any,
    /// In any order, and others may be there.
    Some,
    /// Pairs in any order, and others may be there.
    Pairs,
}

/// Whether a response is what a pattern says; names that are new in it are learned.
pub(super) fn fits(pattern: &[Word], said: &[Word], names: &mut Names) -> bool {
    let mut learned = names.clone();
    let long_enough = pattern.len() == said.len();
    let fits = long_enough
        && (0..pattern.len())
            .all(|at| one_fits(&pattern[at], &said[at], order_of(pattern, at), &mut learned));
    if fits {
        *names = learned;
    }
    fits
}

/// The order of the list at a place, from what is before it.
fn order_of(words: &[Word], at: usize) -> Order {
    let named = |place: Option<usize>, names: &[&str]| {
        let word = place.and_then(|place| words.get(place));
        matches!(word, Some(Word::Atom(word)) if names.iter().any(|name| name.eq_ignore_ascii_case(word)))
    };
    let before = at.checked_sub(1);
    if named(before, &["FLAGS", "PERMANENTFLAGS"]) {
        Order::Any
    } else if named(before, &["LIST", "LSUB"]) && at == 1 {
        Order::Some
    } else if named(before, &["FETCH"]) || named(at.checked_sub(2), &["STATUS"]) {
        Order::Pairs
    } else {
        Order::Same
    }
}

fn one_fits(pattern: &Word, said: &Word, order: Order, names: &mut Names) -> bool {
    match (pattern, said) {
        (Word::Atom(any), _) if any == "{}" => true,
        (Word::Atom(atom), Word::Atom(text) | Word::Text(text)) => text_fits(atom, text, names),
        (Word::Text(wanted), Word::Text(text) | Word::Atom(text)) => {
            filled(wanted, names).eq_ignore_ascii_case(text)
        }
        (Word::List(wanted), Word::List(there)) => list_fits(wanted, there, order, names),
        _ => false,
    }
}

fn text_fits(atom: &str, text: &str, names: &mut Names) -> bool {
    if let Some(name) = atom.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
        && !names.contains_key(name)
        && !name.contains('{')
    {
        names.insert(name.to_owned(), text.to_owned());
        return true;
    }
    filled(atom, names).eq_ignore_ascii_case(text)
}

/// A text with names replaced by what they stand for.
pub(super) fn filled(text: &str, names: &Names) -> String {
    names.iter().fold(text.to_owned(), |text, (name, is)| text.replace(&format!("{{{name}}}"), is))
}

fn list_fits(wanted: &[Word], there: &[Word], order: Order, names: &mut Names) -> bool {
    let step = match order {
        Order::Same => {
            let mut learned = names.clone();
            let same = wanted.len() == there.len()
                && (0..wanted.len())
                    .all(|at| one_fits(&wanted[at], &there[at], order_of(wanted, at), &mut learned));
            if same {
                *names = learned;
            }
            return same;
        }
        Order::Any if without_recent(wanted, there) => {
            let there: Vec<_> = there.iter().filter(|word| !is_recent(word)).cloned().collect();
            return list_fits(wanted, &there, Order::Any, names);
        }
        Order::Any if wanted.len() != there.len() => return false,
        Order::Pairs => 2,
        _ => 1,
    };
    let mut left: Vec<&[Word]> = there.chunks(step).collect();
    wanted.chunks(step).all(|wanted| {
        let at = left.iter().position(|there| fits(wanted, there, names));
        at.map(|at| left.swap_remove(at)).is_some()
    })
}

/// Whether flags have `\Recent` that the pattern does not speak of.
fn without_recent(wanted: &[Word], there: &[Word]) -> bool {
    there.iter().any(is_recent) && !wanted.iter().any(is_recent)
}

fn is_recent(word: &Word) -> bool {
    matches!(word, Word::Atom(flag) if flag.eq_ignore_ascii_case("\\Recent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(pattern: &str, said: &str) -> bool {
        fits(&words(pattern.as_bytes()), &words(said.as_bytes()), &mut Names::new())
    }

    #[test]
    fn responses_are_compared_by_their_words() {
        assert!(is("3 EXISTS", "3 exists") && !is("3 EXISTS", "4 EXISTS") && !is("3 EXISTS", "3 EXISTS x"));
        assert!(is("OK [UIDNEXT 3]", "OK [UIDNEXT 3] what comes next") && !is("OK [UIDNEXT 3]", "OK x"));
        assert!(is("1 FETCH (FLAGS (\\Seen a))", "1 FETCH (UID 3 FLAGS (A \\Recent \\seen))"));
        assert!(!is("1 FETCH (FLAGS (\\Seen))", "1 FETCH (FLAGS (\\Seen \\Draft))"));
        assert!(!is("1 FETCH (FLAGS (\\Recent))", "1 FETCH (FLAGS ())"));
        assert!(is("2 FETCH (BODY[TEXT]<0> \"a)\")", "2 FETCH (BODY[TEXT]<0> {2}\r\na))"));
        assert!(is("LIST (\\Noselect) {} a", "LIST (\\HasChildren \\Noselect) \"/\" \"a\""));
        assert!(is("STATUS x (UNSEEN {n} MESSAGES {n})", "STATUS \"x\" (MESSAGES 2 UNSEEN 2)"));
        assert!(!is("STATUS x (UNSEEN {n} MESSAGES {n})", "STATUS x (MESSAGES 3 UNSEEN 2)"));
        assert!(is("SEARCH 1 3", "SEARCH 1 3") && !is("SEARCH 1 3", "SEARCH 3 1"));
    }
}
