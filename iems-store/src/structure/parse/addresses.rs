//! Address lists (RFC 5322 section 3.4) for envelopes: groups, routes, comments in the place of names, and what is
//! broken as Dovecot reads it, so that a client sees the same sender wherever the message is.
//!
//! A host that is missing is told as `MISSING_DOMAIN`, a mailbox as `MISSING_MAILBOX`: without one, an address would be
//! the mark of a group (RFC 9051 section 7.5.2).

use bytes::Bytes;

use super::budget::Budget;
use super::lex::{Broken, Lexer, More};
use crate::structure::Address;

/// Adds the addresses of a field to `list`, as far as `budget` goes.
pub(super) fn addresses(value: &[u8], list: &mut Vec<Address>, budget: &mut Budget) {
    let mut reader = Reader { lexer: Lexer::new(value), list, budget, full: false };
    if reader.lexer.skip() == Ok(true) {
        reader.all();
    }
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    list: &'a mut Vec<Address>,
    budget: &'a mut Budget,
    full: bool,
}

fn some(text: Vec<u8>) -> Option<Bytes> {
    Some(text.into())
}

impl Reader<'_> {
    fn all(&mut self) {
        while !self.full {
            let place = self.lexer.place();
            let more = match self.group() {
                Ok(more) => more,
                Err(Broken) => {
                    self.lexer.back(place);
                    self.mailbox()
                }
            };
            if more == Ok(false) || !self.lexer.is(b',') {
                return;
            }
            self.lexer.bump();
            match self.lexer.skip() {
                Ok(true) => {}
                Ok(false) => return,
                Err(Broken) => return self.add(filled(Address::default())),
            }
        }
    }

    fn add(&mut self, address: Address) {
        let texts = [&address.name, &address.route, &address.mailbox, &address.host];
        let cost = texts.into_iter().flatten().map(Bytes::len).sum::<usize>() + 12;
        match self.budget.take(cost) {
            true => self.list.push(address),
            false => self.full = true,
        }
    }

    /// `name: mailbox, mailbox;`. Broken if it is none; from the colon on it is one, whatever follows.
    fn group(&mut self) -> Result<More, Broken> {
        let mut name = Vec::new();
        if !self.lexer.phrase(&mut name)? || !self.lexer.is(b':') {
            return Err(Broken);
        }
        self.lexer.bump();
        let mut more = self.lexer.skip();
        self.add(Address { mailbox: some(name), ..Address::default() });
        while more == Ok(true) && !self.lexer.is(b';') && !self.full {
            let _ = self.mailbox();
            if !self.lexer.is(b',') {
                break;
            }
            self.lexer.bump();
            more = self.lexer.skip();
            if more != Ok(true) {
                more = Err(Broken);
            }
        }
        if more.is_ok() {
            more = Err(Broken);
            if self.lexer.is(b';') {
                self.lexer.bump();
                more = self.lexer.skip();
            }
        }
        self.add(Address::default());
        Ok(more)
    }

    fn mailbox(&mut self) -> More {
        let place = self.lexer.place();
        let mut address = Address::default();
        let more = match self.named(&mut address) {
            Ok(more) => Ok(more),
            Err(Broken) => {
                self.lexer.back(place);
                address = Address::default();
                self.bare(&mut address)
            }
        };
        self.add(filled(address));
        more
    }

    /// `name <mailbox@host>`. Broken if there is no `<`.
    fn named(&mut self, address: &mut Address) -> More {
        let mut name = Vec::new();
        if !self.lexer.phrase(&mut name)? || !self.lexer.is(b'<') {
            return Err(Broken);
        }
        if !name.is_empty() {
            address.name = some(name);
        }
        if self.angle(address).is_err() {
            address.host = Some(Bytes::from_static(b"SYNTAX_ERROR"));
        }
        Ok(self.lexer.peek().is_some())
    }

    fn angle(&mut self, address: &mut Address) -> More {
        self.lexer.bump();
        if !self.lexer.skip()? {
            return Err(Broken);
        }
        if self.lexer.is(b'@') {
            let route = self.route();
            match route {
                Ok(route) if self.lexer.is(b':') => {
                    address.route = some(route);
                    self.lexer.bump();
                }
                _ => {
                    address.route = Some(Bytes::from_static(b"INVALID_ROUTE"));
                    if self.lexer.peek().is_none_or(|next| next == b'>') {
                        return Err(Broken);
                    }
                }
            }
            if !self.lexer.skip()? {
                return Err(Broken);
            }
        }
        if !self.lexer.is(b'>') {
            if !self.local(address)? {
                return Err(Broken);
            }
            if self.lexer.is(b'@') && !self.domain(address)? {
                return Err(Broken);
            }
        }
        if !self.lexer.is(b'>') {
            return Err(Broken);
        }
        self.lexer.bump();
        self.lexer.skip()
    }

    /// `@a,@b` up to the colon.
    fn route(&mut self) -> Result<Vec<u8>, Broken> {
        let mut route = Vec::new();
        while self.lexer.is(b'@') {
            if !route.is_empty() {
                route.push(b',');
            }
            route.push(b'@');
            if !self.host(&mut route)? {
                return Err(Broken);
            }
            while self.lexer.is(b',') {
                self.lexer.bump();
                self.lexer.skip()?;
            }
        }
        Ok(route)
    }

    /// `mailbox@host`, with a name in a comment; or a name without any address.
    fn bare(&mut self, address: &mut Address) -> More {
        self.lexer.comment.clear();
        let mut more = self.local(address);
        let mut has_host = false;
        if more != Ok(false) && self.lexer.is(b'@') {
            has_host = true;
            let behind = self.domain(address);
            more = more.and(behind);
        }
        if !self.lexer.comment.is_empty() {
            address.name = some(self.lexer.comment.clone());
        } else if !has_host {
            // A word is a mailbox; several are a name.
            let mut rest = Vec::new();
            let _ = self.lexer.phrase(&mut rest);
            if !rest.is_empty() {
                let first = address.mailbox.take().unwrap_or_default();
                address.name = some([&first[..], b" ", &rest].concat());
            }
            return Err(Broken);
        }
        more
    }

    fn local(&mut self, address: &mut Address) -> More {
        let mut text = Vec::new();
        let more = match self.lexer.is(b'"') {
            true => self.lexer.quoted(&mut text),
            false => self.lexer.dotted(&mut text, true),
        }?;
        address.mailbox = some(text);
        Ok(more)
    }

    fn domain(&mut self, address: &mut Address) -> More {
        let mut text = Vec::new();
        let more = self.host(&mut text)?;
        address.host = some(text);
        Ok(more)
    }

    fn host(&mut self, text: &mut Vec<u8>) -> More {
        self.lexer.bump();
        if !self.lexer.skip()? {
            return Err(Broken);
        }
        match self.lexer.is(b'[') {
            true => self.lexer.literal(text),
            false => self.lexer.dotted(text, false),
        }
    }
}

/// With words in the place of what is missing.
fn filled(mut address: Address) -> Address {
    let absent = |text: &Option<Bytes>| text.as_ref().is_none_or(Bytes::is_empty);
    if address.mailbox.is_none() {
        address.mailbox = Some(Bytes::from_static(b"MISSING_MAILBOX"));
    }
    if absent(&address.host) {
        address.host = Some(Bytes::from_static(b"MISSING_DOMAIN"));
    }
    address
}
