//! Addresses: the productions of RFC 5321 section 4.1.2 and RFC 6531 section 3.3 as types.
//!
//! Built once from text with `TryFrom`/`FromStr`; afterwards valid by construction.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The local part breaks `Local-part = Dot-string / Quoted-string` or is over 64 octets.
    #[error("the part before @ is not valid")]
    LocalPart,
    /// The domain breaks `Domain / address-literal`, IDNA, or a length limit.
    #[error("the domain is not valid")]
    Domain,
    /// There is no `@domain`.
    #[error("the address has no domain")]
    NoDomain,
    /// The text is not enclosed as the production demands, or has something after its end.
    #[error("not a path of the form <local@domain>")]
    Path,
}

/// `Domain / address-literal`: a name in lower case (internationalized names as A-labels),
/// or a literal such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Arc<str>);

impl Domain {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, if this is an address literal.
    pub fn literal(&self) -> Option<IpAddr> {
        let inner = self.0.strip_prefix('[')?.strip_suffix(']')?;
        match inner.strip_prefix("IPv6:") {
            Some(v6) => v6.parse().ok().map(IpAddr::V6),
            None => inner.parse().ok().map(IpAddr::V4),
        }
    }

    /// Whether this is `parent` or a name below it.
    pub fn is_within(&self, parent: &Domain) -> bool {
        match self.0.strip_suffix(&*parent.0) {
            Some(head) => head.is_empty() || head.ends_with('.'),
            None => false,
        }
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(inner) = text.strip_prefix('[') {
            return literal(inner.strip_suffix(']').ok_or(AddressError::Domain)?);
        }
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'));
        let name: Arc<str> = match plain {
            true => text.into(),
            false if text.is_ascii() => text.to_ascii_lowercase().into(),
            false => idna::domain_to_ascii_strict(text).map_err(|_| AddressError::Domain)?.into(),
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(AddressError::Domain);
        }
        Ok(Self(name))
    }
}

fn literal(inner: &str) -> Result<Domain, AddressError> {
    let v6 = inner.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let text = match v6 {
        true => {
            format!("[IPv6:{}]", inner[5..].parse::<std::net::Ipv6Addr>().map_err(|_| AddressError::Domain)?)
        }
        false => format!("[{}]", inner.parse::<std::net::Ipv4Addr>().map_err(|_| AddressError::Domain)?),
    };
    Ok(Domain(text.into()))
}

/// RFC 5321 `sub-domain`, with the underscore that is seen in practice.
fn is_label(label: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let bytes = label.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl From<IpAddr> for Domain {
    fn from(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(v4) => format!("[{v4}]").into(),
            IpAddr::V6(v6) => format!("[IPv6:{v6}]").into(),
        })
    }
}

impl TryFrom<String> for Domain {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0.to_string()
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `Local-part = Dot-string / Quoted-string`, kept without the quotes, in the case it came in.
///
/// Two local parts compare with case; the directory decides whether case matters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalPart(Arc<str>);

impl LocalPart {
    /// The content, unquoted.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The local part whose content is `content`; `Display` quotes it where needed.
    pub fn from_content(content: &str) -> Result<Self, AddressError> {
        let fits = !content.is_empty() && content.len() <= 64 && !content.chars().any(char::is_control);
        if fits { Ok(Self(content.into())) } else { Err(AddressError::LocalPart) }
    }

    /// Whether it needs SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }
}

impl FromStr for LocalPart {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix('"') {
            Some(rest) => unquote(rest.strip_suffix('"').ok_or(AddressError::LocalPart)?),
            None if is_dot_string(text) => Self::from_content(text),
            None => Err(AddressError::LocalPart),
        }
    }
}

/// RFC 5321 `QcontentSMTP`, with the characters RFC 6531 adds.
fn unquote(inner: &str) -> Result<LocalPart, AddressError> {
    let mut content = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => content.push(chars.next().ok_or(AddressError::LocalPart)?),
            '"' => return Err(AddressError::LocalPart),
            c => content.push(c),
        }
    }
    LocalPart::from_content(&content)
}

fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

impl TryFrom<String> for LocalPart {
    type Error = AddressError;

    fn try_from(content: String) -> Result<Self, AddressError> {
        Self::from_content(&content)
    }
}

impl From<LocalPart> for String {
    fn from(local: LocalPart) -> Self {
        local.0.to_string()
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.0) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Debug for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`.
///
/// ```
/// use iems_core::message::Mailbox;
/// let mailbox: Mailbox = "\"a b\"@Example.ORG".parse().unwrap();
/// assert_eq!(mailbox.local().as_str(), "a b");
/// assert_eq!(mailbox.to_string(), "\"a b\"@example.org");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mailbox {
    local: LocalPart,
    domain: Domain,
}

impl Mailbox {
    /// The mailbox of these two parts.
    pub const fn new(local: LocalPart, domain: Domain) -> Self {
        Self { local, domain }
    }

    /// The part before `@`.
    pub const fn local(&self) -> &LocalPart {
        &self.local
    }

    /// The part after `@`.
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether it can be written without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii()
    }

    /// A key under which spellings that differ only in case meet.
    pub fn folded(&self) -> String {
        let mut text = self.local.as_str().to_lowercase();
        text.push('@');
        text.push_str(self.domain.as_str());
        text
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let at = match text.starts_with('"') {
            true => 1 + end_of_quoted(&text[1..]).ok_or(AddressError::LocalPart)? + 1,
            false => text.find('@').ok_or(AddressError::NoDomain)?,
        };
        let domain = text.get(at..).and_then(|rest| rest.strip_prefix('@')).ok_or(AddressError::NoDomain)?;
        Ok(Self { local: text[..at].parse()?, domain: domain.parse()? })
    }
}

/// The position of the quote that closes a quoted string whose opening quote is cut off.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|b| {
        let closes = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        closes
    })
}

impl TryFrom<String> for Mailbox {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Mailbox> for String {
    fn from(mailbox: Mailbox) -> Self {
        mailbox.to_string()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `Reverse-path = Path / "<>"`: who is told about failures; nobody, if null.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReversePath {
    /// `<>`: a notification, never answered (RFC 5321 section 4.5.5).
    Null,
    /// A sender.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// The sender's mailbox, if there is one.
    pub const fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(m) => Some(m),
        }
    }

    /// Whether this is `<>`.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl FromStr for ReversePath {
    type Err = AddressError;

    /// `<>` or `<local@domain>`; a source route is dropped (RFC 5321 appendix C).
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match inside(text)? {
            "" => Ok(Self::Null),
            path => Ok(Self::Mailbox(without_route(path)?.parse()?)),
        }
    }
}

impl fmt::Display for ReversePath {
    /// Without the angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Mailbox(m) => m.fmt(f),
        }
    }
}

/// `Forward-path`: a recipient. `<Postmaster>` without a domain is valid (RFC 5321 section 4.5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>`: whoever looks after this system.
    Postmaster,
    /// A recipient.
    Mailbox(Mailbox),
}

impl FromStr for ForwardPath {
    type Err = AddressError;

    /// `<local@domain>` or `<postmaster>`; a source route is dropped (RFC 5321 appendix C).
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match inside(text)? {
            path if path.eq_ignore_ascii_case("postmaster") => Ok(Self::Postmaster),
            path => Ok(Self::Mailbox(without_route(path)?.parse()?)),
        }
    }
}

fn inside(text: &str) -> Result<&str, AddressError> {
    text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).ok_or(AddressError::Path)
}

/// `[ A-d-l ":" ] Mailbox`, without the `A-d-l`.
fn without_route(path: &str) -> Result<&str, AddressError> {
    if !path.starts_with('@') {
        return Ok(path);
    }
    let (route, mailbox) = path.split_once(':').ok_or(AddressError::Path)?;
    let hops = route.split(',').all(|hop| hop.strip_prefix('@').is_some_and(|d| d.parse::<Domain>().is_ok()));
    if hops { Ok(mailbox) } else { Err(AddressError::Path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_grammar_allows() {
        for (text, printed) in [
            ("user@example.org", "user@example.org"),
            ("a.b+c@EXAMPLE.org", "a.b+c@example.org"),
            ("\"quoted\"@example.org", "quoted@example.org"),
            ("\"with \\\"quote\\\" @ at\"@example.org", "\"with \\\"quote\\\" @ at\"@example.org"),
            ("u@[192.0.2.1]", "u@[192.0.2.1]"),
            ("u@[ipv6:2001:DB8::1]", "u@[IPv6:2001:db8::1]"),
            ("пример@bücher.example", "пример@xn--bcher-kva.example"),
            ("u@localhost", "u@localhost"),
        ] {
            let mailbox: Mailbox = text.parse().unwrap();
            assert_eq!(mailbox.to_string(), printed);
            assert_eq!(mailbox.to_string().parse::<Mailbox>().unwrap(), mailbox);
        }
    }

    #[test]
    fn refuses_what_it_does_not() {
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a..b@c",
            ".a@c",
            "a.@c",
            "a@b@c",
            "a@-b",
            "a@b..c",
            "a@b.",
            "\"a@b",
            "\"a\"b@c",
            "a@[1.2.3]",
            "a@[::1]",
            "a@b\r\n",
            "a\0@b",
            "a<b@c",
            "a@b c",
            "\"a\r\nb\"@c",
            "a@[IPv6:zz]",
        ] {
            assert!(text.parse::<Mailbox>().is_err(), "{text:?}");
        }
        let long = format!("{}@example.org", "x".repeat(65));
        assert!(long.parse::<Mailbox>().is_err());
    }

    #[test]
    fn paths() {
        assert_eq!("<>".parse::<ReversePath>().unwrap(), ReversePath::Null);
        assert_eq!(
            "<@a.example,@b.example:u@c.example>".parse::<ReversePath>().unwrap().to_string(),
            "u@c.example"
        );
        assert_eq!("<PostMaster>".parse::<ForwardPath>().unwrap(), ForwardPath::Postmaster);
        for text in ["<", ">", "", "u@c", "<u@c", "<@a:>", "<@a u@c>", "<<u@c>>"] {
            assert!(text.parse::<ReversePath>().is_err(), "{text:?}");
        }
        assert!("<>".parse::<ForwardPath>().is_err());
    }
}
