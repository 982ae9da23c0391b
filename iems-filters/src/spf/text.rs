//! Macros (RFC 7208 section 7): how they are written, and what becomes of them. Pure: whoever expands gives the values.

/// A text with macros in it, read once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(String),
    Macro(Macro),
}

/// `"%{" macro-letter transformers *delimiter "}"`.
#[derive(Debug, Clone, PartialEq)]
struct Macro {
    letter: char,
    /// Whether the letter is upper case: the value is escaped as in a URL.
    escaped: bool,
    /// How many parts are kept, from the right; all, if 0.
    keep: usize,
    reversed: bool,
    delimiters: String,
}

/// What macros stand for.
pub(super) struct Values<'a> {
    /// `s`.
    pub(super) sender: &'a str,
    /// `l`.
    pub(super) local: &'a str,
    /// `o`.
    pub(super) sender_domain: &'a str,
    /// `d`.
    pub(super) domain: &'a str,
    /// `i`.
    pub(super) dotted_ip: &'a str,
    /// `p`.
    pub(super) validated: &'a str,
    /// `v`.
    pub(super) version: &'a str,
    /// `h`.
    pub(super) helo: &'a str,
    /// `c`: in explanations.
    pub(super) ip: &'a str,
    /// `r`: in explanations.
    pub(super) receiver: &'a str,
    /// `t`: in explanations.
    pub(super) seconds: &'a str,
}

/// The longest name in the DNS, as text without its last dot.
const MAX_NAME: usize = 253;
/// The longest text that an expansion may become.
const MAX_TEXT: usize = 4096;

impl Text {
    /// `domain-spec`: a macro-string that ends in a top label or in a macro. `c`, `r` and `t` have no place in it.
    pub(super) fn domain_spec(text: &str) -> Option<Self> {
        let read = read(text, |c| ('\u{21}'..='\u{7E}').contains(&c))?;
        let plain = read.0.iter().all(|piece| match piece {
            Piece::Macro(m) => !matches!(m.letter, 'c' | 'r' | 't'),
            Piece::Literal(_) => true,
        });
        let ends = match read.0.last()? {
            Piece::Macro(_) => true,
            Piece::Literal(_) => ends_in_label(text),
        };
        (plain && ends).then_some(read)
    }

    /// `macro-string`: for modifiers that are not known.
    pub(super) fn macro_string(text: &str) -> Option<Self> {
        read(text, |c| ('\u{21}'..='\u{7E}').contains(&c))
    }

    /// `explain-string`: what the TXT record behind `exp` holds.
    pub(super) fn explanation(text: &str) -> Option<Self> {
        read(text, |c| (' '..='\u{7E}').contains(&c))
    }

    /// Whether `%{p}` is in it, whose value is expensive.
    pub(super) fn needs_validated(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Macro(m) if m.letter == 'p'))
    }

    /// The text with its macros replaced.
    pub(super) fn expand(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Macro(m) => m.expand(values, &mut out),
            }
            if out.len() > MAX_TEXT {
                break;
            }
        }
        out
    }

    /// The name: expanded, and cut from the left to what the DNS takes (section 7.3).
    pub(super) fn expand_name(&self, values: &Values<'_>) -> String {
        let expanded = self.expand(values);
        let mut name = expanded.strip_suffix('.').unwrap_or(&expanded);
        while name.len() > MAX_NAME {
            match name.split_once('.') {
                Some((_, rest)) => name = rest,
                None => break,
            }
        }
        name.to_owned()
    }
}

/// `toplabel [ "." ]` behind a dot.
fn ends_in_label(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let Some((_, label)) = text.rsplit_once('.') else { return false };
    let bytes = label.as_bytes();
    let edges = [bytes.first(), bytes.last()];
    edges.iter().all(|b| b.is_some_and(|b| b.is_ascii_alphanumeric()))
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && !bytes.iter().all(u8::is_ascii_digit)
}

fn read(text: &str, is_literal: impl Fn(char) -> bool) -> Option<Text> {
    let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '%' {
            if !is_literal(c) {
                return None;
            }
            literal.push(c);
            continue;
        }
        let next = rest.chars().next()?;
        rest = &rest[next.len_utf8()..];
        match next {
            '%' => literal.push('%'),
            '_' => literal.push(' '),
            '-' => literal.push_str("%20"),
            '{' => {
                let (inner, after) = rest.split_once('}')?;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Macro(inside(inner)?));
                rest = after;
            }
            _ => return None,
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Some(Text(pieces))
}

fn inside(text: &str) -> Option<Macro> {
    let first = text.chars().next()?;
    let letter = first.to_ascii_lowercase();
    if !"slodiphcrtv".contains(letter) {
        return None;
    }
    let rest = &text[1..];
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let keep = match &rest[..digits] {
        "" => 0,
        number => number.parse().map_or(usize::MAX, |n: usize| n),
    };
    if digits > 0 && keep == 0 {
        return None;
    }
    let rest = &rest[digits..];
    let reversed = rest.starts_with(['r', 'R']);
    let delimiters = if reversed { &rest[1..] } else { rest };
    let known = delimiters.chars().all(|c| ".-+,/_=".contains(c));
    let escaped = first.is_ascii_uppercase();
    known.then(|| Macro { letter, escaped, keep, reversed, delimiters: delimiters.to_owned() })
}

impl Macro {
    fn expand(&self, values: &Values<'_>, out: &mut String) {
        let value = match self.letter {
            's' => values.sender,
            'l' => values.local,
            'o' => values.sender_domain,
            'd' => values.domain,
            'i' => values.dotted_ip,
            'p' => values.validated,
            'v' => values.version,
            'h' => values.helo,
            'c' => values.ip,
            'r' => values.receiver,
            _ => values.seconds,
        };
        let delimiters = if self.delimiters.is_empty() { "." } else { &self.delimiters };
        let untouched = self.keep == 0 && !self.reversed && self.delimiters.is_empty();
        let transformed = if untouched { value.to_owned() } else { self.transform(value, delimiters) };
        match self.escaped {
            true => escape(&transformed, out),
            false => out.push_str(&transformed),
        }
    }

    fn transform(&self, value: &str, delimiters: &str) -> String {
        let mut parts: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
        if self.reversed {
            parts.reverse();
        }
        if self.keep > 0 {
            parts.drain(..parts.len().saturating_sub(self.keep));
        }
        parts.join(".")
    }
}

/// Everything but the unreserved set of RFC 3986 section 2.3.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of RFC 7208 section 7.4.
    fn values() -> Values<'static> {
        Values {
            sender: "strong-bad@email.example.com",
            local: "strong-bad",
            sender_domain: "email.example.com",
            domain: "email.example.com",
            dotted_ip: "192.0.2.3",
            validated: "unknown",
            version: "in-addr",
            helo: "mx.example.org",
            ip: "192.0.2.3",
            receiver: "mx.example.net",
            seconds: "1",
        }
    }

    #[test]
    fn macros_expand_as_in_the_rfc() {
        for (text, wanted) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{S}", "strong-bad%40email.example.com"),
            ("%{d}%%%_%-", "email.example.com% %20"),
        ] {
            assert_eq!(Text::macro_string(text).unwrap().expand(&values()), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_macro_is_refused() {
        for text in ["%", "%x", "%{", "%{}", "%{x}", "%{d0}", "%{d1", "%{dx}", "%{d.r}"] {
            assert_eq!(Text::macro_string(text), None, "{text}");
        }
        assert_eq!(Text::domain_spec("%{c}"), None);
        assert_eq!(Text::domain_spec("%{d}.a b.example"), None);
    }

    #[test]
    fn long_names_lose_their_first_labels() {
        let text = Text::macro_string(&format!("{}.example", ["abcdefgh"; 40].join("."))).unwrap();
        let name = text.expand_name(&values());
        assert!(name.len() <= 253 && name.ends_with(".example") && name.starts_with("abcdefgh."), "{name}");
    }
}
