//! A text with places for values: `{name}`, and `{{` for a brace. What a place may hold is a list, so a name that is
//! not in it is found when the text is read, not when a report is due.

use std::fmt::Write as _;

/// What a place stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The name of this system.
    Host,
    /// The queue id of the message.
    Id,
    /// When the message arrived.
    Arrived,
    /// When delivery will be given up.
    Until,
    /// Whom it is about, with reasons; several lines.
    Recipients,
    /// How many.
    Count,
    /// Since when.
    Since,
}

impl Place {
    const ALL: [Self; 7] =
        [Self::Host, Self::Id, Self::Arrived, Self::Until, Self::Recipients, Self::Count, Self::Since];

    /// Its name in a text.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Id => "id",
            Self::Arrived => "arrived",
            Self::Until => "until",
            Self::Recipients => "recipients",
            Self::Count => "count",
            Self::Since => "since",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Words(String),
    Place(Place),
}

/// A text, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Template(Vec<Piece>);

/// Why a text cannot be read, and in which of its lines (0 for the first).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) line: usize,
    pub(super) what: String,
}

impl Template {
    /// Reads a text in which only `known` places may stand.
    pub(super) fn read(text: &str, known: &[Place]) -> Result<Self, Flaw> {
        let mut pieces = Vec::new();
        let mut words = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            words.push_str(&rest[..at]);
            let line = rest_line(text, rest, at);
            let brace = &rest[at..];
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                words.push_str(&brace[..1]);
                rest = after;
                continue;
            }
            let (name, after) =
                brace[1..].split_once('}').filter(|_| brace.starts_with('{')).ok_or_else(|| Flaw {
                    line,
                    what: "a brace that stands for nothing; write {{ or }} for a brace".into(),
                })?;
            let place = known.iter().copied().find(|place| place.name() == name);
            let place = place.ok_or_else(|| Flaw { line, what: unknown(name, known) })?;
            pieces.push(Piece::Words(std::mem::take(&mut words)));
            pieces.push(Piece::Place(place));
            rest = after;
        }
        words.push_str(rest);
        pieces.push(Piece::Words(words));
        Ok(Self(pieces))
    }

    /// Whether `place` stands in it.
    pub(super) fn has(&self, place: Place) -> bool {
        self.0.contains(&Piece::Place(place))
    }

    /// The text with its places filled. A value with control characters other than line ends loses them.
    pub(super) fn fill(&self, value: impl Fn(Place) -> String) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) => out.push_str(words),
                Piece::Place(place) => {
                    out.extend(value(*place).chars().filter(|c| !c.is_control() || *c == '\n'));
                }
            }
        }
        out
    }
}

/// The line of `text` in which the brace at `at` of its tail `rest` stands.
fn rest_line(text: &str, rest: &str, at: usize) -> usize {
    text[..text.len() - rest.len() + at].matches('\n').count()
}

fn unknown(name: &str, known: &[Place]) -> String {
    let name: String = name.chars().take(40).collect();
    let mut what = format!("unknown placeholder {{{}}}; known here:", name.escape_debug());
    for place in known {
        let _ = write!(what, " {{{}}}", place.name());
    }
    if known.is_empty() {
        what.push_str(" none");
    }
    if Place::ALL.iter().any(|place| place.name() == name) {
        what.push_str(" (it is known elsewhere)");
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_braces_stay() {
        let text = Template::read("{{x}} at {host}: {count}", &[Place::Host, Place::Count]).unwrap();
        let filled =
            text.fill(|place| if place == Place::Host { "a\r\0\nb".into() } else { "{host}".into() });
        assert_eq!(filled, "{x} at a\nb: {host}", "a value is never read as a text");
        assert!(text.has(Place::Host) && !text.has(Place::Id));
    }

    #[test]
    fn what_stands_for_nothing_is_named_with_its_line() {
        for (text, line, what) in [
            ("a\nb {hots}", 1, "unknown placeholder {hots}; known here: {host}"),
            ("{until}", 0, "unknown placeholder {until}; known here: {host} (it is known elsewhere)"),
            ("a }", 0, "a brace that stands for nothing; write {{ or }} for a brace"),
            ("\n\n{host", 2, "a brace that stands for nothing; write {{ or }} for a brace"),
        ] {
            let flaw = Template::read(text, &[Place::Host]).unwrap_err();
            assert_eq!((flaw.line, flaw.what.as_str()), (line, what), "{text:?}");
        }
    }
}
