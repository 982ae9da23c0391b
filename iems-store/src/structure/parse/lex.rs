//! Words of structured fields: atoms, quoted strings, comments (RFC 5322 section 3.2, RFC 2045 section 5.1).
//!
//! Each reader takes the space and the comments behind its word, and says whether more follows. It never looks back,
//! so a field costs its length. Octets above 127 are letters: old and internationalised messages hold them.

/// A word that is none, or that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// Whether anything follows.
pub(super) type More = Result<bool, Broken>;

/// Reads words of a field's value.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    octets: &'a [u8],
    at: usize,
    /// The last comment, without parentheses.
    pub(super) comment: Vec<u8>,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0, comment: Vec::new() }
    }

    /// The next octet.
    pub(super) fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    /// Whether the next octet is `octet`.
    pub(super) fn is(&self, octet: u8) -> bool {
        self.peek() == Some(octet)
    }

    /// Passes over one octet.
    pub(super) fn bump(&mut self) {
        self.at += usize::from(self.at < self.octets.len());
    }

    /// Where the reader stands, to come back to.
    pub(super) const fn place(&self) -> usize {
        self.at
    }

    /// Back to a place.
    pub(super) const fn back(&mut self, place: usize) {
        self.at = place;
    }

    fn more(&self) -> More {
        Ok(self.at < self.octets.len())
    }

    /// Passes over space and comments.
    pub(super) fn skip(&mut self) -> More {
        while let Some(octet) = self.peek() {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'(' => self.skip_comment()?,
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    fn skip_comment(&mut self) -> Result<(), Broken> {
        self.comment.clear();
        let mut depth = 0usize;
        while let Some(octet) = self.peek() {
            self.at += 1;
            match octet {
                b'(' => {
                    depth += 1;
                    if depth == 1 {
                        continue;
                    }
                }
                b')' if depth == 1 => return Ok(()),
                b')' => depth -= 1,
                b'\r' | b'\n' => continue,
                b'\\' => {
                    let escaped = self.peek().ok_or(Broken)?;
                    self.at += 1;
                    self.comment.push(escaped);
                    continue;
                }
                _ => {}
            }
            self.comment.push(octet);
        }
        Err(Broken)
    }

    /// Takes octets as long as `belongs` says.
    fn take(&mut self, into: &mut Vec<u8>, belongs: impl Fn(u8) -> bool) -> usize {
        let rest = self.octets.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|octet| !belongs(*octet)).unwrap_or(rest.len());
        into.extend_from_slice(&rest[..length]);
        self.at += length;
        length
    }

    /// A token of MIME; it may be empty.
    pub(super) fn token(&mut self, into: &mut Vec<u8>) -> More {
        self.take(into, is_token);
        self.skip()
    }

    /// An atom; it may be empty.
    pub(super) fn atom(&mut self, into: &mut Vec<u8>) -> More {
        self.take(into, is_atext);
        self.skip()
    }

    /// Everything up to a space or a semicolon, for values that are no token.
    pub(super) fn until_space(&mut self, into: &mut Vec<u8>) -> More {
        self.take(into, |octet| !matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | b';'));
        self.more()
    }

    /// A quoted string, whose opening quote is next.
    pub(super) fn quoted(&mut self, into: &mut Vec<u8>) -> More {
        self.bump();
        loop {
            self.take(into, |octet| !matches!(octet, b'"' | b'\\' | b'\r' | b'\n'));
            let octet = self.peek().ok_or(Broken)?;
            self.at += 1;
            match octet {
                b'"' => return self.skip(),
                b'\\' => {
                    into.push(self.peek().ok_or(Broken)?);
                    self.at += 1;
                }
                _ => {}
            }
        }
    }

    /// Words that belong together, with one space between them (`phrase`, RFC 5322 section 3.2.5). A dot is a letter
    /// here (`obs-phrase`).
    pub(super) fn phrase(&mut self, into: &mut Vec<u8>) -> More {
        if self.peek().is_none() {
            return Ok(false);
        }
        if self.is(b'.') {
            return Err(Broken);
        }
        loop {
            let more = match self.is(b'"') {
                true => self.quoted(into)?,
                false => {
                    self.take(into, |octet| octet == b'.' || is_atext(octet));
                    self.skip()?
                }
            };
            match self.peek() {
                Some(next) if more && (is_atext(next) || matches!(next, b'"' | b'.')) => into.push(b' '),
                _ => return Ok(more),
            }
        }
    }

    /// Atoms with dots between them, or `anywhere`. Space around dots is passed over, as RFC 822 had it.
    pub(super) fn dotted(&mut self, into: &mut Vec<u8>, anywhere: bool) -> More {
        let belongs = |octet| is_atext(octet) || (anywhere && octet == b'.');
        if !self.peek().is_some_and(belongs) {
            return Err(Broken);
        }
        loop {
            self.take(into, is_atext);
            if !self.skip()? {
                return Ok(false);
            }
            if !self.is(b'.') {
                return Ok(true);
            }
            into.push(b'.');
            self.bump();
            if !self.skip()? || !(anywhere || self.peek().is_some_and(is_atext)) {
                return Err(Broken);
            }
        }
    }

    /// A domain literal, whose opening bracket is next; with its brackets.
    pub(super) fn literal(&mut self, into: &mut Vec<u8>) -> More {
        loop {
            let octet = self.peek().ok_or(Broken)?;
            self.at += 1;
            match octet {
                b'\\' => {
                    into.push(self.peek().ok_or(Broken)?);
                    self.at += 1;
                }
                b'\r' | b'\n' => {}
                b']' => {
                    into.push(octet);
                    return self.skip();
                }
                _ => into.push(octet),
            }
        }
    }
}

/// `atext`, and octets above 127.
fn is_atext(octet: u8) -> bool {
    octet > b' ' && octet != 0x7f && !b"()<>[]:;@\\,.\"".contains(&octet)
}

/// `token` of MIME, and octets above 127.
fn is_token(octet: u8) -> bool {
    octet == b'.' || (is_atext(octet) && !matches!(octet, b'/' | b'?' | b'='))
}
