//! What `BODY[...]` and `BINARY[...]` name: ranges of octets (RFC 9051 section 6.4.5.1), and fields cut out of a header.

use smallvec::SmallVec;

use super::Structure;
use super::model::{Kept, Kind, Span};
use super::parse::{is_kept, name_of, value_of};

/// What of a part is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// All of it: a part's body, or the message with its header.
    All,
    /// `HEADER`, also where only some fields are wanted.
    Header,
    /// `TEXT`.
    Text,
    /// `MIME`.
    Mime,
}

impl<B: AsRef<[u8]>> Structure<B> {
    /// The part with these numbers, by its place in [`Structure::parts`]; without numbers, the message.
    ///
    /// A message that is no multipart has one part, 1, which is itself.
    pub fn part(&self, numbers: &[u32]) -> Option<usize> {
        let mut at = 0;
        // Whether `at` was reached by a number; if not, it is a message whose parts are to be counted.
        let mut named = false;
        for number in numbers {
            if named && self.parts.get(at)?.kind == Kind::Message {
                at += 1;
                named = false;
            }
            at = match self.parts.get(at)?.kind {
                Kind::Multipart => self.children(at).nth(usize::try_from(number.checked_sub(1)?).ok()?)?,
                _ if !named && *number == 1 => at,
                _ => return None,
            };
            named = true;
        }
        Some(at)
    }

    /// The octets that a section names; `None` if the message has no such part, or the part no such thing.
    pub fn section(&self, numbers: &[u32], text: Text) -> Option<Span> {
        let at = self.part(numbers)?;
        let part = self.parts.get(at)?;
        if numbers.is_empty() {
            return match text {
                Text::All => Some(Span { start: 0, length: self.size }),
                Text::Header => Some(part.header),
                Text::Text => Some(part.body),
                Text::Mime => None,
            };
        }
        let enclosed = || self.parts.get(at + 1).filter(|_| part.kind == Kind::Message);
        match text {
            Text::All => Some(part.body),
            Text::Mime => Some(part.header),
            Text::Header => enclosed().map(|message| message.header),
            Text::Text => enclosed().map(|message| message.body),
        }
    }

    /// `HEADER.FIELDS` of the message, if it can be told without reading it.
    pub fn kept_fields<N: AsRef<str>>(&self, names: &[N]) -> Option<Vec<u8>> {
        self.kept.picked(names)
    }
}

impl<B: AsRef<[u8]>> Kept<B> {
    /// `HEADER.FIELDS` of the message, if it can be told without reading it.
    pub fn picked<N: AsRef<str>>(&self, names: &[N]) -> Option<Vec<u8>> {
        if self.incomplete || !self.has_body {
            return None;
        }
        let names = Names::kept(names)?;
        let fields = self.fields.iter().map(AsRef::as_ref).filter(|field| names.has_field(field));
        let mut picked: Vec<u8> = fields.flatten().copied().collect();
        picked.extend_from_slice(b"\r\n");
        Some(picked)
    }
}

/// Whether a field has this name, in any case. Quicker than to look for the end of its own.
pub(super) fn is_named(field: &[u8], name: &[u8]) -> bool {
    let begins = field.first().map(u8::to_ascii_lowercase) == name.first().map(u8::to_ascii_lowercase);
    begins
        && field.split_at_checked(name.len()).is_some_and(|(head, rest)| {
            head.eq_ignore_ascii_case(name) && rest.trim_ascii_start().first() == Some(&b':')
        })
}

/// Names of fields that are asked for. Where there are many they are in order, so that a header costs little more for a
/// thousand of them than for one.
pub(super) struct Names<'a> {
    names: SmallVec<[&'a [u8]; Names::FEW]>,
    sorted: bool,
}

impl<'a> Names<'a> {
    /// So many are compared one by one.
    const FEW: usize = 8;

    /// If fields of all these names are kept.
    pub(super) fn kept<N: AsRef<str>>(names: &'a [N]) -> Option<Self> {
        names.iter().all(|name| is_kept(name.as_ref().as_bytes())).then(|| Self::new(names))
    }

    fn new<N: AsRef<str>>(names: &'a [N]) -> Self {
        let mut names: SmallVec<[&[u8]; Names::FEW]> =
            names.iter().map(|name| name.as_ref().as_bytes()).collect();
        let sorted = names.len() > Self::FEW;
        if sorted {
            names.sort_unstable_by(|one, other| in_any_case(one, other));
            names.dedup_by(|one, other| one.eq_ignore_ascii_case(other));
        }
        Self { names, sorted }
    }

    /// Whether a field has one of them.
    pub(super) fn has_field(&self, field: &[u8]) -> bool {
        name_of(field).is_some_and(|name| self.has(name))
    }

    fn has(&self, name: &[u8]) -> bool {
        match self.sorted {
            true => self.names.binary_search_by(|wanted| in_any_case(wanted, name)).is_ok(),
            false => self.names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)),
        }
    }
}

fn in_any_case(one: &[u8], other: &[u8]) -> std::cmp::Ordering {
    let order = || one.iter().map(u8::to_ascii_lowercase).cmp(other.iter().map(u8::to_ascii_lowercase));
    one.len().cmp(&other.len()).then_with(order)
}

/// `HEADER.FIELDS`, or `HEADER.FIELDS.NOT` if `except`: the fields of `header` with (or without) one of the names, as
/// they stand, and the empty line if there is one (RFC 9051 section 6.4.5.1).
pub fn header_fields<N: AsRef<str>>(header: &[u8], names: &[N], except: bool) -> Vec<u8> {
    let names = Names::new(names);
    let mut found = Vec::new();
    // A line without a name is no field, so it is not excepted either.
    let mut wanted = except;
    let mut empty_line: &[u8] = b"";
    for line in header.split_inclusive(|octet| *octet == b'\n') {
        if matches!(line, b"\r\n" | b"\n") {
            empty_line = line;
            break;
        }
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            wanted = name_of(line).map_or(except, |name| names.has(name) != except);
        }
        if wanted {
            found.extend_from_slice(line);
        }
    }
    found.extend_from_slice(empty_line);
    found
}

/// The fields of a header: name and value without folding, in order. Lines that are no field are left out.
pub fn unfolded(header: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    fields_of(header).filter_map(field).collect()
}

/// The fields of a header, as they stand; lines that are no field stand by themselves.
pub(crate) fn fields_of(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let mut end = 0;
        loop {
            end += memchr::memchr(b'\n', rest.get(end..)?).map_or(rest.len() - end, |at| at + 1);
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (field, behind) = rest.split_at(end);
        rest = behind;
        (!field.is_empty()).then_some(field)
    })
}

/// Name and value of one field as it stands.
fn field(octets: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    Some((name_of(octets)?, value_of(octets)))
}
