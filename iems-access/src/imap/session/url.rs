//! URLs of messages and their parts on this server, as `CATENATE` takes them (RFC 4469 section 3, RFC 5092):
//! `/Drafts;UIDVALIDITY=3/;UID=20/;SECTION=1.2/;PARTIAL=0.1024`.

use crate::imap::codec;
use crate::imap::types::{Partial, Section};

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MessageUrl {
    /// The mailbox; `None` for the selected one.
    pub(super) mailbox: Option<String>,
    pub(super) uid_validity: Option<u32>,
    pub(super) uid: u32,
    pub(super) section: Section,
    pub(super) partial: Option<Partial>,
}

/// The message that a URL names; `None` if it names none, or one elsewhere than on `host`.
pub(super) fn parse(url: &str, host: &str) -> Option<MessageUrl> {
    let path = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("imap") => {
            let (server, path) = rest.split_once('/')?;
            let server = server.rsplit('@').next().unwrap_or_default();
            let server = server.split(':').next().unwrap_or_default();
            server.eq_ignore_ascii_case(host).then_some(path)?
        }
        Some(_) => return None,
        None => url.strip_prefix('/').unwrap_or(url),
    };
    let (mailbox, parameters) = match path.strip_prefix(';') {
        Some(parameters) => ("", parameters),
        None => path.split_once("/;")?,
    };
    let (mailbox, uid_validity) = match cut(mailbox, ";UIDVALIDITY=") {
        Some((mailbox, number)) => (mailbox, Some(number.parse().ok()?)),
        None => (mailbox, None),
    };
    let mailbox =
        (!mailbox.is_empty()).then(|| decoded(mailbox)).map_or(Some(None), |name| name.map(Some))?;
    let mut found = MessageUrl { mailbox, uid_validity, uid: 0, section: Section::default(), partial: None };
    // Old URLs have no slash before the section.
    for parameter in parameters.split(';').map(|parameter| parameter.strip_suffix('/').unwrap_or(parameter)) {
        let (name, value) = parameter.split_once('=')?;
        let value = decoded(value)?;
        match name.to_ascii_uppercase().as_str() {
            "UID" => found.uid = value.parse().ok()?,
            "SECTION" => found.section = codec::section(&value)?,
            "PARTIAL" => found.partial = Some(partial(&value)?),
            _ => return None,
        }
    }
    (found.uid > 0).then_some(found)
}

/// What stands before and behind a word, whatever its case.
fn cut<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let at = text.to_ascii_uppercase().find(word)?;
    Some((text.get(..at)?, text.get(at + word.len()..)?))
}

/// `offset` or `offset.length`.
fn partial(value: &str) -> Option<Partial> {
    let (origin, octets) = match value.split_once('.') {
        Some((origin, octets)) => (origin, octets.parse().ok()?),
        None => (value, u64::MAX),
    };
    let origin = origin.parse().ok()?;
    (octets > 0).then_some(Partial { origin, octets })
}

/// Text without its percent signs.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_once('%') {
        octets.extend_from_slice(plain.as_bytes());
        let digits =
            behind.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        octets.push(u8::from_str_radix(digits, 16).ok()?);
        rest = behind.get(2..)?;
    }
    octets.extend_from_slice(rest.as_bytes());
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::types::SectionText;

    fn url(text: &str) -> Option<MessageUrl> {
        parse(text, "mx.example.org")
    }

    #[test]
    fn urls_name_messages_and_parts() {
        let whole = MessageUrl {
            mailbox: Some("INBOX".into()),
            uid_validity: None,
            uid: 20,
            section: Section::default(),
            partial: None,
        };
        assert_eq!(url("/INBOX/;UID=20"), Some(whole.clone()));
        assert_eq!(url("imap://ann@MX.example.org:143/INBOX/;uid=20/"), Some(whole.clone()));
        assert_eq!(url(";UID=20"), Some(MessageUrl { mailbox: None, ..whole.clone() }));
        let header = Section { part: vec![1, 2], text: Some(SectionText::Header) };
        let part = MessageUrl {
            mailbox: Some("a b/\u{fc}".into()),
            uid_validity: Some(3),
            section: header,
            partial: Some(Partial { origin: 5, octets: 7 }),
            ..whole.clone()
        };
        let text = "/a%20b/%C3%BC;UIDVALIDITY=3/;UID=20/;SECTION=1.2.HEADER/;PARTIAL=5.7";
        assert_eq!(url(text), Some(part));
        let fields = url("/INBOX/;UID=20;section=HEADER.FIELDS%20(To)").unwrap();
        assert_eq!(fields.section.text, Some(SectionText::HeaderFields(vec!["To".into()])));
        assert_eq!(
            url("/INBOX/;UID=20/;PARTIAL=5").unwrap().partial,
            Some(Partial { origin: 5, octets: u64::MAX })
        );
    }

    #[test]
    fn other_urls_name_nothing() {
        for text in [
            "",
            "/",
            "/INBOX",
            "/INBOX/;UID=0",
            "/INBOX/;UID=x",
            "/INBOX/;SECTION=1",
            "/INBOX/;UID=1/;SECTION=0",
            "/INBOX/;UID=1/;SECTION=1]x[",
            "/INBOX/;UID=1/;PARTIAL=1.0",
            "/INBOX;UIDVALIDITY=x/;UID=1",
            "/IN%BOX/;UID=1",
            "/%ff/;UID=1",
            "/INBOX/;UID=1/;URLAUTH=x",
            "imap://other.example/INBOX/;UID=1",
            "http://mx.example.org/INBOX/;UID=1",
        ] {
            assert_eq!(url(text), None, "{text}");
        }
    }
}
