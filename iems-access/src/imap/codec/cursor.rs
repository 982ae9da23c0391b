//! A place in the octets of a command, and what can be read there: the small productions of the grammar
//! (RFC 9051 section 9).
//!
//! Literals stand in the octets as they came, behind their announcements. Where the grammar has one space, more are
//! taken, as Dovecot does; and spaces inside of parentheses and before the end.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::imap::types::LiteralInfo;

use super::error::{Parsed, SyntaxError, Trouble};
use super::limits::{ITEMS, KEYS};

/// A place in a command.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
    /// Whether all octets of the command are there; otherwise the last of them announce a literal.
    whole: bool,
    /// Whether mailbox names are UTF-8.
    pub(super) utf8: bool,
    /// Search keys that may still come.
    pub(super) keys: usize,
    /// What the texts of a search are in; elsewhere, they are UTF-8. What is said to be UTF-8 and is not is taken for
    /// Windows-1252: Jakarta Mail sends that once UTF-8 is enabled.
    pub(super) charset: Option<&'static Encoding>,
    /// The last mailbox name whose letters were not composed, as it came, and composed.
    pub(super) composed: Option<(String, String)>,
}

/// `atom-specials` and what is no printable ASCII (RFC 9051 section 9, `ATOM-CHAR`).
pub(super) const fn is_atom(octet: u8) -> bool {
    octet > b' ' && octet < 0x7f && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR`.
pub(super) const fn is_astring(octet: u8) -> bool {
    is_atom(octet) || octet == b']'
}

/// `list-char`.
const fn is_list(octet: u8) -> bool {
    is_astring(octet) || matches!(octet, b'%' | b'*')
}

impl<'a> Cursor<'a> {
    pub(super) fn new(octets: &'a [u8], whole: bool, utf8: bool) -> Self {
        Self { octets, at: 0, whole, utf8, keys: KEYS, charset: None, composed: None }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Goes back to a place that was passed.
    pub(super) const fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    /// An error here.
    pub(super) fn wrong<T>(&self, message: &'static str) -> Parsed<T> {
        Err(SyntaxError::bad(message, self.at).into())
    }

    pub(super) fn take(&mut self, octet: u8) -> bool {
        let there = self.peek() == Some(octet);
        self.at += usize::from(there);
        there
    }

    pub(super) fn expect(&mut self, octet: u8, wanted: &'static str) -> Parsed<()> {
        if self.take(octet) { Ok(()) } else { self.wrong(wanted) }
    }

    /// Passes over spaces, which may be missing.
    pub(super) fn spaces(&mut self) {
        while self.take(b' ') {}
    }

    /// A space, or more.
    pub(super) fn sp(&mut self) -> Parsed<()> {
        self.expect(b' ', "A space and an argument are wanted")?;
        self.spaces();
        Ok(())
    }

    /// A space, and something behind it: whether there is one more argument.
    pub(super) fn more(&mut self) -> bool {
        let before = self.at;
        self.spaces();
        let more = self.at > before && self.at < self.octets.len();
        if !more {
            self.at = before;
        }
        more
    }

    /// The end of the command.
    pub(super) fn end(&mut self) -> Parsed<()> {
        self.spaces();
        if self.at == self.octets.len() { Ok(()) } else { self.wrong("The command should end here") }
    }

    /// Octets that `belongs` knows; none is an error.
    fn run(&mut self, belongs: impl Fn(u8) -> bool, wanted: &'static str) -> Parsed<&'a str> {
        let rest = self.rest();
        let length = rest.iter().position(|octet| !belongs(*octet)).unwrap_or(rest.len());
        let run = rest.get(..length).unwrap_or_default();
        match std::str::from_utf8(run) {
            Ok(text) if length > 0 => {
                self.at += length;
                Ok(text)
            }
            _ => self.wrong(wanted),
        }
    }

    /// `tag`: any `ASTRING-CHAR` but `+`.
    pub(super) fn tag(&mut self) -> Parsed<&'a str> {
        self.run(|octet| is_astring(octet) && octet != b'+', "A command begins with a tag")
    }

    /// `atom`.
    pub(super) fn atom(&mut self, wanted: &'static str) -> Parsed<&'a str> {
        self.run(is_atom, wanted)
    }

    /// A word of the grammar, in upper case: the octets of an atom up to a bracket.
    pub(super) fn word(&mut self, wanted: &'static str) -> Parsed<String> {
        self.run(|octet| is_atom(octet) && !matches!(octet, b'[' | b'<'), wanted).map(str::to_ascii_uppercase)
    }

    /// Passes over `word` (in upper case) if it is here as a word of its own.
    pub(super) fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let here = rest.get(..word.len()).is_some_and(|here| here.eq_ignore_ascii_case(word.as_bytes()))
            && !rest.get(word.len()).is_some_and(|next| is_astring(*next));
        self.at += if here { word.len() } else { 0 };
        here
    }

    /// `number`.
    pub(super) fn number(&mut self) -> Parsed<u32> {
        let at = self.at;
        let number = self.number64()?;
        u32::try_from(number).map_err(|_| SyntaxError::bad("The number is too large", at).into())
    }

    /// `nz-number`.
    pub(super) fn nz_number(&mut self) -> Parsed<u32> {
        let at = self.at;
        match self.number()? {
            0 => Err(SyntaxError::bad("0 is no number here", at).into()),
            number => Ok(number),
        }
    }

    /// `number64`, `mod-sequence-valzer`: 63 bits.
    pub(super) fn number64(&mut self) -> Parsed<u64> {
        let at = self.at;
        let digits = self.run(|octet| octet.is_ascii_digit(), "A number is wanted")?;
        let number = digits.parse().ok().filter(|number| *number <= i64::MAX as u64);
        number.ok_or_else(|| SyntaxError::bad("The number is too large", at).into())
    }

    /// `nz-number64`.
    pub(super) fn nz_number64(&mut self) -> Parsed<u64> {
        let at = self.at;
        match self.number64()? {
            0 => Err(SyntaxError::bad("0 is no number here", at).into()),
            number => Ok(number),
        }
    }

    /// `"(" item *(SP item) ")"`, or `"()"`.
    pub(super) fn list<T>(
        &mut self,
        wanted: &'static str,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.expect(b'(', wanted)?;
        self.spaces();
        let mut items = Vec::new();
        while !self.take(b')') {
            if items.len() == ITEMS {
                return Err(SyntaxError::limit("The list is too long").into());
            }
            items.push(item(self)?);
            if self.peek() != Some(b')') {
                self.expect(b' ', "A space or a parenthesis is wanted")?;
                self.spaces();
            }
        }
        Ok(items)
    }

    /// A list with one item at least.
    pub(super) fn list1<T>(
        &mut self,
        wanted: &'static str,
        item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let at = self.at;
        let items = self.list(wanted, item)?;
        if items.is_empty() { Err(SyntaxError::bad("The list is empty", at).into()) } else { Ok(items) }
    }

    /// `astring`: octets without NUL.
    pub(super) fn astring(&mut self) -> Parsed<Vec<u8>> {
        self.string_or(is_astring, "An atom or a string is wanted")
    }

    /// `list-mailbox`: as `astring`, with wildcards.
    pub(super) fn list_mailbox(&mut self) -> Parsed<Vec<u8>> {
        self.string_or(is_list, "A mailbox name or pattern is wanted")
    }

    fn string_or(&mut self, belongs: fn(u8) -> bool, wanted: &'static str) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self.run(belongs, wanted).map(|text| text.as_bytes().to_vec()),
        }
    }

    /// `string`: octets without NUL.
    pub(super) fn string(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => self.wrong("A string is wanted"),
        }
    }

    /// `nstring`.
    pub(super) fn nstring(&mut self) -> Parsed<Option<Vec<u8>>> {
        if self.keyword("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// `astring` as text.
    pub(super) fn text(&mut self) -> Parsed<String> {
        let at = self.at;
        let octets = self.astring()?;
        let text = match self.charset {
            Some(charset) if charset == UTF_8 => Ok(String::from_utf8(octets).unwrap_or_else(|error| {
                WINDOWS_1252.decode_without_bom_handling(error.as_bytes()).0.into_owned()
            })),
            None => String::from_utf8(octets).map_err(|_| "The text is not UTF-8"),
            Some(charset) => charset
                .decode_without_bom_handling_and_without_replacement(&octets)
                .map(Cow::into_owned)
                .ok_or("The text is not in the character set that was named"),
        };
        text.map_err(|wrong| SyntaxError::bad(wrong, at).into())
    }

    /// `quoted`. UTF-8 is taken also before it is enabled: what it means cannot be mistaken.
    fn quoted(&mut self) -> Parsed<Vec<u8>> {
        let at = self.at;
        self.at += 1;
        let mut octets = Vec::new();
        loop {
            let Some(octet) = self.peek() else { return self.wrong("The quoted string does not end") };
            self.at += 1;
            match octet {
                b'"' => break,
                b'\\' => match self.peek() {
                    Some(quoted @ (b'"' | b'\\')) => {
                        self.at += 1;
                        octets.push(quoted);
                    }
                    _ => return self.wrong("Only \" and \\ may be quoted by \\"),
                },
                0 | b'\r' | b'\n' => return self.wrong("A quoted string holds no line end and no NUL"),
                octet => octets.push(octet),
            }
        }
        match self.charset.is_some() || std::str::from_utf8(&octets).is_ok() {
            true => Ok(octets),
            false => Err(SyntaxError::bad("The quoted string is not UTF-8", at).into()),
        }
    }

    /// `literal`.
    fn literal(&mut self) -> Parsed<Vec<u8>> {
        let octets = self.literal_octets()?;
        match octets.contains(&0) {
            true => self.wrong("A literal holds no NUL; literal8 does"),
            false => Ok(octets.to_vec()),
        }
    }

    /// `nstring / literal8`: a value that may hold anything.
    pub(super) fn value(&mut self) -> Parsed<Option<Vec<u8>>> {
        match self.peek() {
            Some(b'~') => self.literal_octets().map(|octets| Some(octets.to_vec())),
            _ => self.nstring(),
        }
    }

    fn literal_octets(&mut self) -> Parsed<&'a [u8]> {
        let (info, length) = self.announced()?;
        self.at += length;
        if !self.whole && self.at == self.octets.len() {
            return Err(Trouble::More);
        }
        let length = usize::try_from(info.octets).unwrap_or(usize::MAX);
        match self.rest().get(..length) {
            Some(octets) => {
                self.at += length;
                Ok(octets)
            }
            None => self.wrong("The literal is not whole"),
        }
    }

    /// The announcement of a literal here, with its line end, and its length.
    fn announced(&self) -> Parsed<(LiteralInfo, usize)> {
        let rest = self.rest();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let info = announcement(line).filter(|(_, start)| *start == 0 && end < rest.len());
        match info {
            Some((info, _)) => Ok((info, end + 1)),
            None => self.wrong("A literal is wanted: {octets} at the end of a line"),
        }
    }

    /// The literal of a message, announced by the last octets of those that are here.
    pub(super) fn message_literal(&mut self) -> Parsed<LiteralInfo> {
        let (info, length) = self.announced()?;
        match !self.whole && self.at + length == self.octets.len() {
            true => {
                self.at += length;
                Ok(info)
            }
            false => self.wrong("A literal is wanted: {octets} at the end of a line"),
        }
    }
}

/// The literal that the end of a line (without its end) announces, and where the announcement begins.
pub(super) fn announcement(line: &[u8]) -> Option<(LiteralInfo, usize)> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, sync) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let digits = inner.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, digits) = inner.split_at_checked(inner.len() - digits)?;
    let before = before.strip_suffix(b"{")?;
    let octets = std::str::from_utf8(digits).ok().filter(|digits| !digits.is_empty())?;
    let binary = before.ends_with(b"~");
    // A length beyond all limits is refused as one; it is not the syntax that is wrong.
    let octets = octets.parse().unwrap_or(u64::MAX);
    let start = before.len() - usize::from(binary);
    Some((LiteralInfo { octets, sync, binary, utf8: false }, start))
}
