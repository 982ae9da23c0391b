//! `OAUTHBEARER` (RFC 7628) and `XOAUTH2`, the server's side: what the peer's one message says, and the way to say no.

use super::{Failure, LOGIN, PASSWORD, Password, text};

/// Separates the parts of a message.
const SEPARATOR: char = '\x01';
/// What a peer is told whose token is not good (RFC 7628 section 3.2.2), before it may be told so by the protocol.
pub(super) const REFUSED: &[u8] = br#"{"status":"invalid_token"}"#;
/// The same in the manner of `XOAUTH2`.
pub(super) const REFUSED_OLD: &[u8] = br#"{"status":"401","schemes":"bearer"}"#;

/// `gs2-header kvsep *kvpair kvsep`: who the peer says it is, if it does, and its token.
pub(super) fn bearer(message: &[u8]) -> Result<(Option<String>, Password), Failure> {
    let message = read(message)?;
    let (header, pairs) = message.split_once(SEPARATOR).ok_or(Failure::Malformed)?;
    let mut header = header.split(',');
    let (flag, identity) = (header.next(), header.next().ok_or(Failure::Malformed)?);
    match flag {
        Some("n" | "y") => {}
        Some(flag) if flag.starts_with("p=") => return Err(Failure::Unsupported),
        _ => return Err(Failure::Malformed),
    }
    if header.next() != Some("") || header.next().is_some() {
        return Err(Failure::Malformed);
    }
    let login = match identity.strip_prefix("a=") {
        Some(name) => Some(super::scram::saslname(name)?),
        None if identity.is_empty() => None,
        None => return Err(Failure::Malformed),
    };
    Ok((login, token(pairs)?))
}

/// `user=` login `auth=Bearer ` token.
pub(super) fn xoauth2(message: &[u8]) -> Result<(Option<String>, Password), Failure> {
    let message = read(message)?;
    let (user, pairs) = message.split_once(SEPARATOR).ok_or(Failure::Malformed)?;
    let user = user.strip_prefix("user=").ok_or(Failure::Malformed)?;
    Ok((Some(text(user.as_bytes(), LOGIN)?), token(pairs)?))
}

fn read(message: &[u8]) -> Result<&str, Failure> {
    // A token and a name, and what little a client adds of host and port.
    let short = message.len() <= PASSWORD + 2 * LOGIN;
    if short { std::str::from_utf8(message).map_err(|_| Failure::Malformed) } else { Err(Failure::Malformed) }
}

/// The value of `auth`, which has to be a bearer token (RFC 6750 section 2.1). Host and port are not looked at.
fn token(pairs: &str) -> Result<Password, Failure> {
    let pairs = pairs.strip_suffix("\x01\x01").ok_or(Failure::Malformed)?;
    let value =
        pairs.split(SEPARATOR).find_map(|pair| pair.strip_prefix("auth=")).ok_or(Failure::Malformed)?;
    let (scheme, token) = value.split_once(' ').ok_or(Failure::Malformed)?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Failure::Unsupported);
    }
    if token.is_empty() || token.len() > PASSWORD || !token.bytes().all(fits) {
        return Err(Failure::Malformed);
    }
    Ok(token.to_owned().into())
}
