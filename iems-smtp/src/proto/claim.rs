//! `XCLIENT` (Postfix's XCLIENT_README): a trusted host says for whom it speaks.
//!
//! Whoever is announced may say its own name in an `EHLO` that follows; what `HELO` and `PROTO` say holds until then.

use std::fmt;
use std::net::IpAddr;

use super::attributes::{self, told, written};

/// For whom a trusted host speaks. What is not told, or not known, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// `NAME`: the name that its address has; `Some(None)` if it has none, or it cannot be found out now.
    pub name: Option<Option<String>>,
    /// `ADDR`.
    pub address: Option<IpAddr>,
    /// `PORT`.
    pub port: Option<u16>,
    /// `HELO`: what it calls itself.
    pub helo: Option<String>,
    /// `PROTO`: whether it speaks ESMTP, and not SMTP.
    pub extended: Option<bool>,
    /// `LOGIN`: who it has proved to be; `Some(None)` for nobody.
    pub login: Option<Option<String>>,
    /// `DESTADDR`: the address of ours that it has connected to.
    pub destination: Option<IpAddr>,
    /// `DESTPORT`: the port there.
    pub destination_port: Option<u16>,
}

/// The attributes, as the reply to `EHLO` has them.
pub(crate) const ATTRIBUTES: &str = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

/// The longest login, in octets: what is longer could not be written.
const LOGIN: usize = 255;

impl Claim {
    /// Reads the attributes; `None` if one is not known, or not well-formed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut claim = Self::default();
        for (name, value) in attributes::words(text)? {
            claim.take(&name, value).ok()?;
        }
        Some(claim)
    }

    fn take(&mut self, name: &str, value: Option<String>) -> Result<(), ()> {
        match name {
            "NAME" => self.name = Some(attributes::word(value)?),
            "ADDR" => self.address = attributes::address(value)?,
            "PORT" => self.port = attributes::port(value)?,
            "HELO" => self.helo = attributes::word(value)?,
            "PROTO" => {
                self.extended = match value.map(|value| value.to_ascii_uppercase()).as_deref() {
                    None => None,
                    Some("ESMTP") => Some(true),
                    Some("SMTP") => Some(false),
                    Some(_) => return Err(()),
                }
            }
            "LOGIN" => {
                let fits = |login: &String| !login.is_empty() && login.len() <= LOGIN;
                self.login = Some(match value {
                    Some(login) => Some(Some(login).filter(fits).ok_or(())?),
                    None => None,
                });
            }
            "DESTADDR" => self.destination = attributes::address(value)?,
            "DESTPORT" => self.destination_port = attributes::port(value)?,
            _ => return Err(()),
        }
        Ok(())
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XCLIENT")?;
        if let Some(name) = &self.name {
            write!(f, " {}", told("NAME", name.as_deref()))?;
        }
        write!(f, " {}", told("ADDR", self.address.as_ref().map(written).as_deref()))?;
        if let Some(port) = self.port {
            write!(f, " PORT={port}")?;
        }
        if let Some(extended) = self.extended {
            write!(f, " PROTO={}", if extended { "ESMTP" } else { "SMTP" })?;
        }
        if let Some(helo) = &self.helo {
            write!(f, " {}", told("HELO", Some(helo)))?;
        }
        if let Some(login) = &self.login {
            write!(f, " {}", told("LOGIN", login.as_deref()))?;
        }
        if let Some(address) = &self.destination {
            write!(f, " DESTADDR={}", written(address))?;
        }
        match self.destination_port {
            Some(port) => write!(f, " DESTPORT={port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_print_as_they_are_read() {
        for (text, printed) in [
            ("NAME=spike.example.org ADDR=192.0.2.1", "XCLIENT NAME=spike.example.org ADDR=192.0.2.1"),
            ("port=40000 addr=ipv6:2001:db8::1", "XCLIENT ADDR=IPV6:2001:db8::1 PORT=40000"),
            ("NAME=[tempunavail] ADDR=[UNAVAILABLE]", "XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]"),
            ("NAME=a+2Bb  ADDR=192.0.2.1", "XCLIENT NAME=a+2Bb ADDR=192.0.2.1"),
            (
                "ADDR=192.0.2.1 LOGIN=ann+40example.org HELO=x PROTO=esmtp DESTADDR=IPV6:::1 DESTPORT=25",
                "XCLIENT ADDR=192.0.2.1 PROTO=ESMTP HELO=x LOGIN=ann@example.org DESTADDR=IPV6:::1 DESTPORT=25",
            ),
            ("ADDR=192.0.2.1 LOGIN=[UNAVAILABLE]", "XCLIENT ADDR=192.0.2.1 LOGIN=[UNAVAILABLE]"),
        ] {
            let claim = Claim::parse(text).unwrap();
            assert_eq!(claim.to_string(), printed);
            assert_eq!(Claim::parse(&printed[8..]), Some(claim));
        }
        for text in [
            "",
            "ADDR",
            "ADDR=x",
            "ADDR=192.0.2.1 WHO=ann",
            "PORT=70000",
            "NAME=a+20b",
            "NAME=+0A",
            "ADDR=IPV6:192.0.2.1",
            "NAME=",
            "HELO=a+20b",
            "PROTO=LMTP",
            "LOGIN=",
            "DESTPORT=x",
        ] {
            assert_eq!(Claim::parse(text), None, "{text}");
        }
    }
}
