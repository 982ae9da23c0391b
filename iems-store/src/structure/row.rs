//! The row of a structure: in sections, so that nobody reads more of it than is asked for.
//!
//! The size and the lengths, then the structure as IMAP tells it, the kept fields, the envelope, the parts: whoever looks for
//! a section touches no other, which counts where rows are in memory and in no processor's cache. All follows from the octets of the
//! message; what cannot be read is damage, and can be made again.

use bytes::{Bytes, BytesMut};
use iems_core::storage::StoreError;
use serde::{Deserialize, Serialize};

use super::fields::Fields;
use super::model::{Address, Envelope, Kind, Media, Parameters, Part, Span, Structure};
use crate::rows;
use crate::told::{self, Teller};

/// The longest structure that is kept as it is told, in octets. Few messages have more than ten parts.
const TOLD: usize = 8 << 10;
/// The longest head of a row, with its version, in octets.
const HEAD: usize = 1 + 10 + 3 * 5;
/// What the sections of most messages take, in octets.
const ROOM: usize = 1024;
/// What a row is, in errors.
const WHAT: &str = "a message's structure";

/// What a row begins with: the size, and the lengths of all sections but the last.
type Head = (u64, [u32; 3]);

/// Which addresses of an envelope, in the order in which they stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// `From`.
    From,
    /// `To`.
    To,
    /// `Cc`.
    Cc,
    /// `Bcc`.
    Bcc,
}

impl Addresses {
    /// The name of their field.
    pub const fn name(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Cc => "cc",
            Self::Bcc => "bcc",
        }
    }
}

/// The row of a structure.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    size: u64,
    /// `BODYSTRUCTURE`; empty if it is long, or not the same for all clients.
    told: &'a [u8],
    kept: &'a [u8],
    envelope: &'a [u8],
    /// The first one without its envelope.
    parts: &'a [u8],
}

impl Structure {
    /// As a row: a version, and postcard behind it, in sections. At most 512 KiB with the default [`super::Limits`].
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] if postcard cannot express it.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let root = self.parts.first();
        let mut sections = told(self);
        let told = sections.len();
        sections = section(sections, &self.kept)?;
        let kept = sections.len() - told;
        sections = section(sections, &root.and_then(|root| root.envelope.as_deref()))?;
        let envelope = sections.len() - told - kept;
        sections = section(sections, &self.parts.len())?;
        if let Some(root) = root {
            sections = section(sections, &Bare::of(root))?;
        }
        for part in self.parts.iter().skip(1) {
            sections = section(sections, part)?;
        }
        let length =
            |length: usize| u32::try_from(length).map_err(|_| StoreError::TooLarge(format!("a row: {WHAT}")));
        let head: Head = (self.size, [length(told)?, length(kept)?, length(envelope)?]);
        let mut row = Vec::with_capacity(HEAD + sections.len());
        row.push(rows::VERSION);
        row = section(row, &head)?;
        row.extend_from_slice(&sections);
        Ok(row)
    }

    /// The structure of a row, with octets of its own.
    ///
    /// # Errors
    /// As for [`Row::of`].
    pub fn decode(row: &[u8]) -> Result<Self, StoreError> {
        Row::of(row)?.whole()
    }
}

/// The outermost part as a row has it, without the envelope: that is a section of its own.
#[derive(Serialize)]
struct Bare<'a> {
    header: Span,
    body: Span,
    lines: u64,
    within: u32,
    kind: Kind,
    envelope: Option<()>,
    media: &'a Option<Media>,
    encoding: &'a Option<Bytes>,
    id: &'a Option<Bytes>,
    description: &'a Option<Bytes>,
    md5: &'a Option<Bytes>,
    disposition: &'a Option<(Bytes, Parameters)>,
    language: &'a [Bytes],
    location: &'a Option<Bytes>,
}

impl<'a> Bare<'a> {
    fn of(root: &'a Part) -> Self {
        // Every field by name: one that is new is not to be forgotten here.
        let Part {
            header,
            body,
            lines,
            within,
            kind,
            envelope: _,
            media,
            encoding,
            id,
            description,
            md5,
            disposition,
            language,
            location,
        } = root;
        let (header, body, lines, within, kind) = (*header, *body, *lines, *within, *kind);
        let envelope = None;
        Self {
            header,
            body,
            lines,
            within,
            kind,
            envelope,
            media,
            encoding,
            id,
            description,
            md5,
            disposition,
            language,
            location,
        }
    }
}

/// What clients are told of a structure, if all are told the same: what is no ASCII is quoted to some. With room for what stands
/// behind it.
fn told(structure: &Structure) -> Vec<u8> {
    let mut out = BytesMut::with_capacity(ROOM);
    Teller::default().body(&told::body_structure(structure, 0), true, &mut out);
    match out.len() <= TOLD && out.is_ascii() {
        true => out.into(),
        false => Vec::with_capacity(ROOM),
    }
}

/// Appends a value.
fn section(out: Vec<u8>, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(value, out).map_err(|e| StoreError::TooLarge(format!("a row: {e}")))
}

fn read<'a, T: Deserialize<'a>>(section: &'a [u8]) -> Result<T, StoreError> {
    postcard::from_bytes(section).map_err(|e| StoreError::Corrupt(format!("{WHAT}: {e}")))
}

/// The first value of a section, and what is behind it.
fn front<'a, T: Deserialize<'a>>(section: &'a [u8]) -> Result<(T, &'a [u8]), StoreError> {
    postcard::take_from_bytes(section).map_err(|e| StoreError::Corrupt(format!("{WHAT}: {e}")))
}

impl<'a> Row<'a> {
    /// The sections of a row.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is none, or of a version that this release does not know: then it has to be made
    /// again from the message. The same of all that is read of it.
    pub fn of(row: &'a [u8]) -> Result<Self, StoreError> {
        let ((size, lengths), mut rest): (Head, _) = front(rows::versioned(row, WHAT)?)?;
        let mut sections = [&rest[..0]; 3];
        for (section, length) in sections.iter_mut().zip(lengths) {
            let split = rest.split_at_checked(length as usize);
            let short = || StoreError::Corrupt(format!("{WHAT} is cut short"));
            (*section, rest) = split.ok_or_else(short)?;
        }
        let [told, kept, envelope] = sections;
        Ok(Self { size, told, kept, envelope, parts: rest })
    }

    /// Octets of the message.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// `BODYSTRUCTURE` as every client is told it; `None` if it has to be made of [`Self::structure`].
    pub fn body_structure(&self) -> Option<&'a [u8]> {
        Some(self.told).filter(|told| !told.is_empty())
    }

    /// Fields of the message's header.
    pub fn kept(&self) -> Fields<'a> {
        Fields::of(self.kept)
    }

    /// The message's envelope.
    ///
    /// # Errors
    /// As for [`Row::of`].
    pub fn envelope(&self) -> Result<Option<Box<Envelope<&'a [u8]>>>, StoreError> {
        read(self.envelope)
    }

    /// Whether one of a list of addresses of the message's envelope is as `holds` wants it; nothing behind is looked at.
    ///
    /// # Errors
    /// As for [`Row::of`].
    pub fn any_address(
        &self,
        which: Addresses,
        mut holds: impl FnMut(&Address<&'a [u8]>) -> bool,
    ) -> Result<bool, StoreError> {
        // Whether there is an envelope, then its first lists.
        let (is_there, mut rest) = front::<bool>(self.envelope)?;
        if !is_there {
            return Ok(false);
        }
        for list in [Addresses::From, Addresses::To, Addresses::Cc, Addresses::Bcc] {
            let count: usize;
            (count, rest) = front(rest)?;
            for _ in 0..count {
                let address;
                (address, rest) = front(rest)?;
                if list == which && holds(&address) {
                    return Ok(true);
                }
            }
            if list == which {
                break;
            }
        }
        Ok(false)
    }

    /// All of it. Its octets are the row's.
    ///
    /// # Errors
    /// As for [`Row::of`].
    pub fn structure(&self) -> Result<Structure<&'a [u8]>, StoreError> {
        self.whole()
    }

    fn whole<B: Deserialize<'a>>(&self) -> Result<Structure<B>, StoreError> {
        let mut parts: Vec<Part<B>> = read(self.parts)?;
        match parts.first_mut() {
            Some(root) => root.envelope = read(self.envelope)?,
            None => return Err(StoreError::Corrupt(format!("{WHAT} has no part"))),
        }
        Ok(Structure { size: self.size, kept: read(self.kept)?, parts })
    }
}
