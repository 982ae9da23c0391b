//! Where to ask: `https://host[:port]/path` (RFC 9110 section 4.2.2), without users, fragments and addresses.

use std::str::FromStr;

/// An `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// The host name, in lower case.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) target: String,
}

/// The longest one.
const LONGEST: usize = 2000;

impl FromStr for Url {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let scheme = text.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://")).ok_or(())?;
        let rest = &text[scheme.len()..];
        if text.len() > LONGEST || !rest.bytes().all(|b| (33..=126).contains(&b)) || rest.contains('#') {
            return Err(());
        }
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, target) = rest.split_at(at);
        let (host, port) = match place.split_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or(())?),
            None => (place, 443),
        };
        let label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if host.len() > 253 || !host.trim_end_matches('.').split('.').all(label) {
            return Err(());
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { host: host.to_ascii_lowercase(), port, target: format!("{slash}{target}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let read = |text: &str| text.parse::<Url>().map(|url| (url.host, url.port, url.target)).ok();
        let is = |host: &str, port, target: &str| Some((host.to_owned(), port, target.to_owned()));
        assert_eq!(read("https://Example.org"), is("example.org", 443, "/"));
        assert_eq!(read("HTTPS://a.example:8443/b/c?d=e"), is("a.example", 8443, "/b/c?d=e"));
        assert_eq!(read("https://a.example?x"), is("a.example", 443, "/?x"));
        for text in [
            "http://a.example/",
            "https://",
            "https://a b/",
            "https://a.example/\r\nHost: b",
            "https://u@a.example/",
            "https://a.example:0/",
            "https://[::1]/",
            "https://a..b/",
            "https://a.example/#x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
