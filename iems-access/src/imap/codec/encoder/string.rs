//! Strings (RFC 9051 section 4.3), as [`iems_store::told`] tells them, and names.

use std::fmt::{Display, Write};

use bytes::BytesMut;

use super::super::cursor::is_astring;
use super::super::mutf7;
use super::Encoder;

pub(super) use iems_store::told::{announce, list, literal, literal8, number, quoted, spaced};

/// Longest atom that is told; longer ones are strings, for clients that bound their lines.
const ATOM: usize = 2048;

/// Appends something that prints as the grammar wants it.
pub(super) fn print(what: impl Display, out: &mut BytesMut) {
    // A BytesMut grows, so this cannot fail.
    let _ = write!(out, "{what}");
}

impl Encoder {
    /// `string`.
    pub(super) fn string(self, octets: &[u8], out: &mut BytesMut) {
        self.teller().string(octets, out);
    }

    /// `nstring`.
    pub(super) fn nstring(self, octets: Option<&[u8]>, out: &mut BytesMut) {
        self.teller().nstring(octets, out);
    }

    /// `astring`: an atom where it is one.
    pub(super) fn astring(self, text: &str, out: &mut BytesMut) {
        let atom = !text.is_empty()
            && text.bytes().all(is_astring)
            && !text.eq_ignore_ascii_case("NIL")
            && text.len() <= ATOM;
        match atom {
            true => out.extend_from_slice(text.as_bytes()),
            false => self.string(text.as_bytes(), out),
        }
    }

    /// `mailbox`.
    pub(super) fn mailbox(self, name: &str, out: &mut BytesMut) {
        match self.utf8 {
            true => self.astring(name, out),
            false => self.astring(&mutf7::encode(name), out),
        }
    }
}
