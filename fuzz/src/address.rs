//! Addresses and paths: what is read can be printed and read again, and is never two things.

use std::fmt::Display;
use std::str::FromStr;

use iems_core::message::{Domain, ForwardPath, Mailbox, ReversePath};

pub(crate) const SEEDS: &[&[u8]] = &[
    b"user@example.org",
    b"\"a b\\\"c\"@[192.0.2.1]",
    b"<@a.example,@b.example:u@c.example>",
    b"<>",
    b"<postmaster>",
    b"u@[IPv6:2001:db8::1]",
    "\u{43f}\u{43e}\u{447}\u{442}\u{430}@b\u{fc}cher.example".as_bytes(),
    b"xn--bcher-kva.example",
];

pub(crate) fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    again::<Domain>(text);
    if let Some(mailbox) = again::<Mailbox>(text) {
        assert!(mailbox.local().as_str().len() <= 64 && mailbox.domain().as_str().len() <= 255);
    }
    if let Ok(path) = text.parse::<ReversePath>() {
        assert_eq!(format!("<{path}>").parse(), Ok(path));
    }
    if let Ok(ForwardPath::Mailbox(mailbox)) = text.parse() {
        assert_eq!(format!("<{mailbox}>").parse(), Ok(ForwardPath::Mailbox(mailbox)));
    }
}

/// Reads, prints and reads again.
fn again<T: FromStr + Display + PartialEq>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let printed = value.to_string();
    assert!(!printed.contains(['\r', '\n', '\0']), "{printed:?} holds what ends a line");
    assert!(
        printed.parse::<T>().ok().as_ref() == Some(&value),
        "{text:?} prints as {printed:?}, which is not it"
    );
    Some(value)
}
