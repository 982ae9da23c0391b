//! Where two servers may answer `FETCH` differently about the same message: by rule, never by message.
//!
//! Each rule names the standard that makes ours right or leaves both free, and is in `docs/deviations.md`.

use iems_store::structure::{Kind, Structure, Transfer};

use crate::fetched::Value;

/// A message about which two servers were asked.
pub struct Subject<'a> {
    message: &'a [u8],
    structure: Structure,
    /// Line ends that Dovecot's Maildir does not keep: LF alone, CR in front of CRLF.
    ends: bool,
    /// A part ends in the header of its message.
    cut: bool,
    /// A message within has parts.
    nested: bool,
    /// A part has two fields `Content-Disposition`.
    doubled: bool,
}

impl<'a> Subject<'a> {
    /// This message.
    pub fn new(message: &'a [u8]) -> Self {
        let structure = Structure::of(message);
        let ends = with_crlf(message) != message;
        let mut subject = Self { message, structure, ends, cut: false, nested: false, doubled: false };
        let parts = subject.structure.parts.len();
        subject.cut = (1..parts).any(|at| subject.is_cut(at));
        subject.nested =
            (1..parts).any(|at| subject.structure.parts[at].envelope.is_some() && subject.has_parts(at));
        subject.doubled = (0..parts).any(|at| subject.has_two_dispositions(at));
        subject
    }

    /// The structure that we read out of it.
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// Whether both say the same, or differ as a rule lets them. `name` is what was asked, without `.PEEK`.
    pub fn alike(&self, name: &str, ours: &Value, theirs: &Value) -> bool {
        if ours == theirs {
            return true;
        }
        match name {
            "ENVELOPE" => self.envelopes(ours, theirs),
            "BODY" | "BODYSTRUCTURE" => self.structures(ours, theirs),
            "RFC822.SIZE" => self.ends,
            _ => self.sections(name, ours, theirs),
        }
    }

    /// Dovecot squeezes space in subjects and names, which RFC 5322 (2.2.3) does not; NUL becomes something else at both;
    /// nothing between commas of a group is nobody (RFC 5322 section 4.4).
    fn envelopes(&self, ours: &Value, theirs: &Value) -> bool {
        let missing = Value::Text(b"MISSING_MAILBOX".to_vec());
        let nobody = |value: &Value| matches!(value, Value::List(all) if all.get(2) == Some(&missing));
        let theirs = theirs.map(&|text| replace(text, "\u{fffd}".as_bytes(), b"\x80")).squeezed(false);
        let ours = ours.map(&|text| replace(text, "\u{fffd}".as_bytes(), b"\x80")).squeezed(false);
        ours == theirs || (self.has_group_with_nobody() && ours == theirs.without(&nobody))
    }

    /// Whether a group has nothing between two commas, or behind the last.
    fn has_group_with_nobody(&self) -> bool {
        let header = &self.message[..self.structure.parts[0].header.end() as usize];
        let tight: Vec<u8> = header.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        tight.windows(2).any(|two| two == b",;" || two == b",,")
    }

    /// Whether structures are the same but for what rules allow.
    fn structures(&self, ours: &Value, theirs: &Value) -> bool {
        let (Value::List(ours), Value::List(theirs)) = (ours, theirs) else {
            return self.leaves(ours, theirs);
        };
        if is_no_type(theirs) {
            // What is no type is text/plain, and one with something wrong behind it is that type (RFC 2045 section 5.2).
            let told = type_of(ours);
            return told == b"text/plain" || contains(&self.message.to_ascii_lowercase(), &told);
        }
        if is_too_deep(ours, theirs) || self.doubled && is_disposition(ours) && is_disposition(theirs) {
            return true;
        }
        let most = match is_global(ours) {
            // A message/global has an envelope and a body (RFC 9051 section 7.5.2).
            true => 7,
            false if ours.len() != theirs.len() => return false,
            false => usize::MAX,
        };
        let mut before: &[u8] = b"";
        ours.iter().zip(theirs).take(most).all(|(ours, theirs)| {
            let parameter = matches!((ours, theirs), (Value::Text(ours), Value::Text(theirs)) if is_parameter(before, ours, theirs));
            before = match ours {
                Value::Text(text) => text,
                _ => b"",
            };
            parameter || self.structures(ours, theirs)
        })
    }

    /// Texts and numbers of structures. Dovecot writes what it takes for plain text in small letters.
    fn leaves(&self, ours: &Value, theirs: &Value) -> bool {
        if ours.squeezed(true) == theirs.squeezed(true) {
            return true;
        }
        let number = |value: &Value| match value {
            Value::Atom(atom) => atom.parse::<u64>().ok(),
            _ => None,
        };
        match (number(ours), number(theirs)) {
            // The line end in front of a boundary is not of the part (RFC 2046 section 5.1.1).
            (Some(ours), Some(theirs)) => {
                self.ends || ((self.cut || self.nested) && (1..=2).contains(&theirs.saturating_sub(ours)))
            }
            _ => false,
        }
    }

    /// Whether `BINARY` of a part differs from `BODY` at all: the encoding of what is named is taken away, not that of
    /// parts within (RFC 3516 section 4.2). What is not there counts as a leaf.
    pub fn is_leaf(&self, path: &[u32]) -> bool {
        let part = self.structure.part(path);
        !path.is_empty() && part.is_none_or(|at| self.structure.parts[at].kind == Kind::Single)
    }

    /// Octets of sections.
    fn sections(&self, name: &str, ours: &Value, theirs: &Value) -> bool {
        let (kind, rest) = name.split_once('[').unwrap_or((name, ""));
        let (section, partial) = rest.rsplit_once(']').unwrap_or((rest, ""));
        let path = path_of(section);
        if self.is_within_global(&path) {
            return true;
        }
        let part = self.structure.part(&path);
        if kind.starts_with("BINARY") {
            let refused = *theirs == Value::Atom("NO".into());
            let broken = part.is_some_and(|at| self.is_badly_encoded(at));
            if !self.is_leaf(&path) || (refused && (broken || self.has_odd_encoding())) {
                return true;
            }
        }
        if is_missing(ours, theirs) || self.ends && (!partial.is_empty() || kind == "BINARY.SIZE") {
            return true;
        }
        let (Value::Text(ours), Value::Text(theirs)) = (ours, theirs) else { return false };
        if self.ends && with_crlf(ours) == *theirs
            || theirs.strip_suffix(b"\r\n") == Some(&ours[..])
                && (ours.ends_with(b"--") || part.is_some_and(|at| self.has_parts(at)))
        {
            // The line end behind the last part or boundary belongs to the outer boundary that follows (RFC 2046 section 5.1.1).
            return true;
        }
        let within = part.map(|at| if path.is_empty() { at } else { at + 1 });
        let headless = within.is_some_and(|at| self.is_without_empty_line(at));
        let is_fields = section.contains("HEADER.FIELDS");
        // No empty line where there is none (RFC 9051 section 6.4.5.1), and none of the boundary that cuts a header off.
        headless
            && (theirs.strip_suffix(b"\r\n") == Some(&ours[..])
                || self.cut && is_fields && theirs.ends_with(b"\r\n"))
    }

    /// Whether the header of a part is one without an empty line behind it.
    fn is_without_empty_line(&self, at: usize) -> bool {
        self.structure.parts.get(at).is_some_and(|part| {
            let header = &self.message[part.header.start as usize..part.header.end() as usize];
            header != b"\r\n" && !header.ends_with(b"\r\n\r\n")
        })
    }

    /// Whether a part is a multipart, or a message that is one.
    fn has_parts(&self, at: usize) -> bool {
        let is_multipart =
            |at: usize| self.structure.parts.get(at).is_some_and(|part| part.kind == Kind::Multipart);
        is_multipart(at) || self.structure.parts[at].kind == Kind::Message && is_multipart(at + 1)
    }

    fn has_two_dispositions(&self, at: usize) -> bool {
        let header = self.structure.parts[at].header;
        let header = &self.message[header.start as usize..header.end() as usize];
        let name = b"content-disposition:";
        let lines = header.split(|octet| *octet == b'\n');
        lines
            .filter(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
            .count()
            > 1
    }

    /// Whether the part is a message that ends in its header.
    fn is_cut(&self, at: usize) -> bool {
        self.structure.parts[at].envelope.is_some() && self.is_without_empty_line(at)
    }

    /// Whether a number on the way is that of a message/global.
    fn is_within_global(&self, path: &[u32]) -> bool {
        (1..=path.len()).filter_map(|end| self.structure.part(&path[..end])).any(|at| {
            let media = self.structure.parts[at].media.as_ref();
            media.is_some_and(|media| media.sub.eq_ignore_ascii_case(b"global"))
        })
    }

    /// Whether the part breaks the rules of its encoding. What can be read is told: whatever else is in base64 is to be
    /// ignored (RFC 2045 section 6.8), a wrong escape in quoted-printable is told as it stands (6.7).
    fn is_badly_encoded(&self, at: usize) -> bool {
        let part = &self.structure.parts[at];
        let octets = &self.message[part.body.start as usize..part.body.end() as usize];
        match part.transfer() {
            Some(Transfer::Base64) => !is_base64(octets),
            Some(Transfer::QuotedPrintable) => !is_quoted_printable(octets),
            _ => false,
        }
    }

    /// Whether an encoding is written in a way that Dovecot does not understand here: it counts as missing (RFC 2045
    /// section 6.1).
    fn has_odd_encoding(&self) -> bool {
        const KNOWN: [&[u8]; 5] = [b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable"];
        self.message.split(|octet| *octet == b'\n').any(|line| {
            let line = line.to_ascii_lowercase();
            let value = line.strip_prefix(b"content-transfer-encoding:").map(<[u8]>::trim_ascii);
            value.is_some_and(|value| !KNOWN.contains(&value))
        })
    }
}

/// The numbers with which a section begins.
pub fn path_of(section: &str) -> Vec<u32> {
    let end = section.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(section.len());
    section[..end].split('.').filter_map(|number| number.parse().ok()).collect()
}

/// Whether it is base64, with its end and without anything else.
fn is_base64(octets: &[u8]) -> bool {
    let octets: Vec<u8> = octets.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
    let end = octets.iter().position(|octet| *octet == b'=').unwrap_or(octets.len());
    let (digits, padding) = octets.split_at(end);
    let digit = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/');
    octets.len().is_multiple_of(4) && digits.iter().all(digit) && matches!(padding, b"" | b"=" | b"==")
}

/// Whether there are two digits or the end of a line behind each `=`.
fn is_quoted_printable(octets: &[u8]) -> bool {
    let escapes = octets.iter().enumerate().filter(|(_, octet)| **octet == b'=');
    escapes.map(|(at, _)| &octets[at + 1..]).all(|rest| match rest {
        [one, two, ..] if one.is_ascii_hexdigit() && two.is_ascii_hexdigit() => true,
        _ => {
            rest.trim_ascii_start().len() < rest.len() && {
                let space = &rest[..rest.len() - rest.trim_ascii_start().len()];
                space.contains(&b'\n')
            }
        }
    })
}

/// A part that is not there is `NIL` here and empty there (RFC 9051 section 7.5.2: `nstring`).
fn is_missing(ours: &Value, theirs: &Value) -> bool {
    *ours == Value::Atom("NIL".into()) && *theirs == Value::Text(Vec::new())
}

/// Whether a structure tells a type that is none.
fn is_no_type(values: &[Value]) -> bool {
    let none = Value::Text(Vec::new());
    values.len() > 2 && values.get(1) == Some(&none) && matches!(values.first(), Some(Value::Text(_)))
}

/// The type that a structure tells, in small letters.
fn type_of(values: &[Value]) -> Vec<u8> {
    let mut texts = values.iter().filter_map(|value| match value {
        Value::Text(text) => Some(text.to_ascii_lowercase()),
        _ => None,
    });
    let first = texts.next().unwrap_or_default();
    match values.first() {
        Some(Value::Text(_)) => [first, texts.next().unwrap_or_default()].join(&b'/'),
        _ => [&b"multipart/"[..], &first].concat(),
    }
}

/// A multipart that is deeper than Dovecot looks is a file there.
fn is_too_deep(ours: &[Value], theirs: &[Value]) -> bool {
    type_of(theirs) == b"application/octet-stream" && type_of(ours).starts_with(b"multipart/")
}

/// Of two fields `Content-Disposition`, which may be there once, the first counts here, the last there (RFC 2183 has no word on
/// it).
fn is_disposition(values: &[Value]) -> bool {
    matches!(values, [Value::Text(_), Value::List(_) | Value::Atom(_)])
}

/// An extended value has none of some octets but encoded (RFC 2231 section 7); a character set without a name is none, and
/// plain text has one (RFC 2046 section 4.1.2).
fn is_parameter(name: &[u8], ours: &[u8], theirs: &[u8]) -> bool {
    let decoded = |text: &[u8]| replace(&replace(text, b"%20", b" "), b"%27", b"'");
    name.ends_with(b"*") && decoded(ours) == decoded(theirs)
        || name.eq_ignore_ascii_case(b"charset") && theirs.is_empty() && ours == b"us-ascii"
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn is_global(values: &[Value]) -> bool {
    matches!(values, [Value::Text(main), Value::Text(sub), ..] if main == b"message" && sub.eq_ignore_ascii_case(b"global"))
}

/// Line ends as Dovecot's Maildir gives them back.
fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(octets.len());
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                lines.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                lines.extend_from_slice(b"\r\n");
            }
            None => lines.extend_from_slice(line),
        }
    }
    lines
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
