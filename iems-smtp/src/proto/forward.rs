//! `XFORWARD` (Postfix's XFORWARD_README): a host of the site says where the next message first came in.

use std::fmt;

use iems_core::receive::Upstream;

use super::attributes::{self, told, written};

/// The attributes that are known, in the order in which they are told.
pub(crate) const ATTRIBUTES: [&str; 7] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"];

/// The longest line that is written, in octets, without its end.
const LINE: usize = 510;

/// What one command says: attributes, and their values where they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward(Vec<(String, Option<String>)>);

impl Forward {
    /// Reads the attributes; `None` if one is not known, or not well-formed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let forward = Self(attributes::words(text)?);
        forward.apply(&mut Upstream::default()).ok()?;
        Some(forward)
    }

    /// Changes what is known by what is said.
    pub(crate) fn apply(&self, upstream: &mut Upstream) -> Result<(), ()> {
        for (name, value) in &self.0 {
            let value = value.clone();
            match name.as_str() {
                "NAME" => upstream.name = attributes::word(value)?,
                "ADDR" => upstream.address = attributes::address(value)?.map(|address| address.to_string()),
                "PORT" => upstream.port = attributes::port(value)?,
                "PROTO" => upstream.protocol = attributes::word(value)?,
                "HELO" => upstream.helo = attributes::word(value)?,
                "IDENT" => upstream.ident = attributes::word(value)?,
                "SOURCE" => {
                    upstream.local = match value.as_deref() {
                        None => None,
                        Some(word) if word.eq_ignore_ascii_case("LOCAL") => Some(true),
                        Some(word) if word.eq_ignore_ascii_case("REMOTE") => Some(false),
                        Some(_) => return Err(()),
                    }
                }
                _ => return Err(()),
            }
        }
        Ok(())
    }

    /// The command lines, without their ends, that tell a server what it wants to know of `upstream`: as many as it takes for none to
    /// be too long.
    pub(crate) fn lines(upstream: &Upstream, wanted: &[String]) -> Vec<String> {
        let port = upstream.port.map(|port| port.to_string());
        let address = upstream.address.as_deref().and_then(|text| text.parse().ok());
        let address = address.as_ref().map(written);
        let source = upstream.local.map(|local| if local { "LOCAL" } else { "REMOTE" });
        let mut lines: Vec<String> = Vec::new();
        for name in ATTRIBUTES.into_iter().filter(|name| wanted.iter().any(|word| word == name)) {
            let value = match name {
                "NAME" => upstream.name.as_deref(),
                "ADDR" => address.as_deref(),
                "PORT" => port.as_deref(),
                "PROTO" => upstream.protocol.as_deref(),
                "HELO" => upstream.helo.as_deref(),
                "IDENT" => upstream.ident.as_deref(),
                _ => source,
            };
            let fits = |word: &String| "XFORWARD ".len() + word.len() <= LINE;
            let word = Some(told(name, value)).filter(fits).unwrap_or_else(|| told(name, None));
            match lines.last_mut() {
                Some(line) if line.len() + 1 + word.len() <= LINE => *line = format!("{line} {word}"),
                _ => lines.push(format!("XFORWARD {word}")),
            }
        }
        lines
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XFORWARD")?;
        self.0.iter().try_for_each(|(name, value)| write!(f, " {}", told(name, value.as_deref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<String> {
        ATTRIBUTES.map(str::to_owned).to_vec()
    }

    #[test]
    fn what_is_told_is_understood() {
        let whole = Upstream {
            name: Some("client.example".into()),
            address: Some("2001:db8::1".into()),
            port: Some(40000),
            helo: Some("[x]+=y".into()),
            protocol: Some("ESMTP".into()),
            ident: Some("4BC1".into()),
            local: Some(false),
        };
        for upstream in [whole, Upstream::default()] {
            let mut understood = Upstream { ident: Some("of before".into()), ..Upstream::default() };
            for line in Forward::lines(&upstream, &all()) {
                let forward = Forward::parse(line.strip_prefix("XFORWARD ").unwrap()).unwrap();
                assert_eq!(forward.to_string(), line);
                forward.apply(&mut understood).unwrap();
            }
            assert_eq!(understood, upstream);
        }
        let some = Forward::lines(&Upstream::default(), &["ADDR".into(), "XYZ".into()]);
        assert_eq!(some, ["XFORWARD ADDR=[UNAVAILABLE]"]);
    }

    #[test]
    fn no_line_is_too_long_and_nothing_breaks_out() {
        let long = |octet: &str, times| Some(octet.repeat(times));
        let hostile = Upstream {
            name: long("x", 250),
            helo: long("y", 250),
            ident: Some("a\r\nQUIT b".into()),
            protocol: long("+", 200),
            ..Upstream::default()
        };
        let lines = Forward::lines(&hostile, &all());
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= LINE), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains(['\r', '\n'])), "{lines:?}");
        assert!(lines.concat().contains("PROTO=[UNAVAILABLE]"), "{lines:?}");
        let huge = Upstream { helo: Some("x".repeat(300)), ..Upstream::default() };
        assert_eq!(Forward::lines(&huge, &["HELO".into()]), ["XFORWARD HELO=[UNAVAILABLE]"]);
    }

    #[test]
    fn what_is_no_attribute_is_refused() {
        for text in ["", "NAME", "WHO=x", "SOURCE=here", "PORT=x", "ADDR=x", "HELO=a+20b", "IDENT=+0D+0AQUIT"]
        {
            assert_eq!(Forward::parse(text), None, "{text}");
        }
    }
}
