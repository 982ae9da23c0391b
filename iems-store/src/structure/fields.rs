//! The kept fields of a row, read where they lie: who looks for one of them mostly looks at many rows.

use smallvec::SmallVec;

use super::model::Kept;
use super::parse::KEPT;
use super::section::{Names, is_named};

/// The name of a field that is kept: one of [`super::KEPT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptName(&'static str);

impl KeptName {
    /// This name, whatever its case, if such fields are kept.
    pub fn of(name: &str) -> Option<Self> {
        KEPT.iter().find(|kept| kept.eq_ignore_ascii_case(name)).map(|kept| Self(kept))
    }
}

/// Fields of a message's header, as a row has them: see [`Kept`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields<'a>(&'a [u8]);

/// What stands behind all fields.
struct Rest {
    incomplete: bool,
    has_body: bool,
}

impl<'a> Fields<'a> {
    /// Those of a section of a row.
    pub(super) fn of(section: &'a [u8]) -> Self {
        Self(section)
    }

    /// Goes through all; the inner `None` if `each` wants no more, the outer one if the section is damaged.
    fn walk(self, mut each: impl FnMut(&'a [u8]) -> bool) -> Option<Option<Rest>> {
        let (count, mut rest): (usize, _) = postcard::take_from_bytes(self.0).ok()?;
        for _ in 0..count {
            let (field, behind): (&[u8], _) = postcard::take_from_bytes(rest).ok()?;
            if !each(field) {
                return Some(None);
            }
            rest = behind;
        }
        match rest {
            [incomplete @ 0..=1, has_body @ 0..=1] => {
                Some(Some(Rest { incomplete: *incomplete == 1, has_body: *has_body == 1 }))
            }
            _ => None,
        }
    }

    /// Whether a field with a name is as `holds` wants it, as it stands in the header; `None` if only the message can tell.
    pub fn any(self, name: KeptName, mut holds: impl FnMut(&[u8]) -> bool) -> Option<bool> {
        match self.walk(|field| !is_named(field, name.0.as_bytes()) || !holds(field))? {
            None => Some(true),
            Some(rest) => (!rest.incomplete).then_some(false),
        }
    }

    /// The fields with a name, each with its name, its folding and its line end; `None` if only the message can tell.
    pub fn named(self, name: KeptName) -> Option<Vec<&'a [u8]>> {
        let mut found = Vec::new();
        let rest = self.walk(|field| {
            found.extend(is_named(field, name.0.as_bytes()).then_some(field));
            true
        })??;
        (!rest.incomplete).then_some(found)
    }

    /// `HEADER.FIELDS` of the message; `None` if only the message can tell.
    pub fn picked<N: AsRef<str>>(self, names: &[N]) -> Option<Picked<'a>> {
        let names = Names::kept(names)?;
        let mut picked = SmallVec::new();
        let rest = self.walk(|field| {
            picked.extend(names.has_field(field).then_some(field));
            true
        })??;
        (!rest.incomplete && rest.has_body).then_some(Picked(picked))
    }

    /// Whether [`Self::picked`] can tell of all fields that are kept.
    pub fn are_whole(self) -> bool {
        self.walk(|_| true).flatten().is_some_and(|rest| !rest.incomplete && rest.has_body)
    }

    /// All of them; `None` if the section is damaged.
    pub fn all(self) -> Option<Kept<&'a [u8]>> {
        let mut fields = Vec::new();
        let Rest { incomplete, has_body } = self.walk(|field| {
            fields.push(field);
            true
        })??;
        Some(Kept { fields, incomplete, has_body })
    }
}

/// Fields that were asked for, and the empty line behind them.
#[derive(Debug)]
pub struct Picked<'a>(SmallVec<[&'a [u8]; 16]>);

impl<'a> Picked<'a> {
    /// All octets, in pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().copied().chain([&b"\r\n"[..]])
    }

    /// How many octets there are.
    pub fn octets(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// All in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        self.pieces().flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Row, Structure};
    use super::*;

    #[test]
    fn fields_are_picked_as_they_stand() {
        let message = "To: b\r\nFrom: a\r\n b\r\nX-Other: y\r\nTO: d\r\n\r\ntext";
        let row = Structure::of(message.as_bytes()).encode().unwrap();
        let fields = Row::of(&row).unwrap().kept();
        let name = |name| KeptName::of(name).unwrap();
        assert_eq!(fields.named(name("to")).unwrap(), [&b"To: b\r\n"[..], b"TO: d\r\n"]);
        assert_eq!(fields.named(name("Cc")).unwrap().len(), 0);
        assert_eq!(fields.any(name("TO"), |field| field.contains(&b'd')), Some(true));
        assert_eq!(fields.any(name("from"), |field| field.contains(&b'd')), Some(false));
        assert_eq!(KeptName::of("x-other"), None);
        let picked = fields.picked(&["from", "TO"]).unwrap();
        assert_eq!(picked.to_vec(), b"To: b\r\nFrom: a\r\n b\r\nTO: d\r\n\r\n");
        assert_eq!(picked.octets(), picked.to_vec().len());
        assert!(fields.picked(&["from", "x-other"]).is_none(), "it is in the message only");
        assert_eq!(fields.picked::<&str>(&[]).unwrap().to_vec(), b"\r\n");
        assert!(fields.are_whole());
    }

    #[test]
    fn what_is_missing_may_be_in_the_message() {
        let section = [1, 4, b'T', b'o', b':', b'\n', 1, 1];
        let (fields, to) = (Fields::of(&section), KeptName::of("to").unwrap());
        assert_eq!(fields.any(to, |_| true), Some(true), "what is there is there");
        assert_eq!((fields.any(to, |_| false), fields.named(to), fields.are_whole()), (None, None, false));
        assert!(fields.picked(&["to"]).is_none());
    }

    #[test]
    fn damage_is_seen() {
        let section = [1, 4, b'T', b'o', b':', b'\n', 0, 1];
        assert_eq!(Fields::of(&section).all().unwrap().fields, [b"To:\n"]);
        let unreadable = |section: &[u8]| {
            let fields = Fields::of(section);
            let to = KeptName::of("to").unwrap();
            fields.all().is_none() && fields.any(to, |_| false).is_none() && fields.picked(&["to"]).is_none()
        };
        assert!((0..section.len()).all(|end| unreadable(&section[..end])));
        assert!(unreadable(&[&section[..], &[0]].concat()));
        for (at, octet) in [(0, 2), (0, 0xFF), (1, 9), (6, 2), (7, 7)] {
            let mut damaged = section;
            damaged[at] = octet;
            assert!(unreadable(&damaged), "{at}");
        }
    }
}
