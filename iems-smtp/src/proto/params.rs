//! Parameters of `MAIL` and `RCPT`: `SIZE BODY SMTPUTF8 RET ENVID MT-PRIORITY REQUIRETLS BY HOLDFOR HOLDUNTIL AUTH` and
//! `NOTIFY ORCPT`.
//!
//! Unknown ones are refused with 555, known ones with a wrong value, or given twice, with 501.

use iems_core::message::{BodyType, Notify, OriginalRecipient, Ret, ReversePath, Secrecy};

use super::command::{CommandError, Mail, Rcpt};
use super::wishes::{By, Hold};
use super::xtext;

pub(super) fn mail(mut mail: Mail, rest: &str) -> Result<Mail, CommandError> {
    let mut seen = Seen::default();
    for (keyword, value) in words(rest) {
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("SIZE") {
            mail.size = seen.once("SIZE", value.and_then(number))?;
        } else if is("BODY") {
            mail.envelope.body = seen.once("BODY", value.and_then(body))?;
        } else if is("SMTPUTF8") {
            mail.envelope.smtputf8 = seen.once("SMTPUTF8", value.is_none().then_some(true))?;
        } else if is("RET") {
            mail.envelope.ret = Some(seen.once("RET", value.and_then(ret))?);
        } else if is("ENVID") {
            mail.envelope.id = Some(seen.once("ENVID", value.and_then(envid))?);
        } else if is("MT-PRIORITY") {
            mail.envelope.priority = Some(seen.once("MT-PRIORITY", value.and_then(priority))?);
        } else if is("REQUIRETLS") {
            mail.envelope.secrecy = seen.once("REQUIRETLS", value.is_none().then_some(Secrecy::Required))?;
        } else if is("BY") {
            mail.by = Some(seen.once("BY", value.and_then(By::read))?);
        } else if is("HOLDFOR") {
            mail.hold = Some(seen.once("HOLDFOR or HOLDUNTIL", value.and_then(Hold::interval))?);
        } else if is("HOLDUNTIL") {
            mail.hold = Some(seen.once("HOLDFOR or HOLDUNTIL", value.and_then(Hold::moment))?);
        } else if is("AUTH") {
            mail.auth = Some(seen.once("AUTH", value.and_then(auth))?);
        } else {
            return Err(unknown(keyword));
        }
    }
    Ok(mail)
}

pub(super) fn rcpt(mut rcpt: Rcpt, rest: &str) -> Result<Rcpt, CommandError> {
    let mut seen = Seen::default();
    for (keyword, value) in words(rest) {
        if keyword.eq_ignore_ascii_case("NOTIFY") {
            rcpt.notify = Some(seen.once("NOTIFY", value.and_then(notify))?);
        } else if keyword.eq_ignore_ascii_case("ORCPT") {
            rcpt.original = Some(seen.once("ORCPT", value.and_then(orcpt))?);
        } else {
            return Err(unknown(keyword));
        }
    }
    Ok(rcpt)
}

/// `1*20DIGIT`; a number beyond `u64` is as good as the largest.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Which parameters were there already.
#[derive(Default)]
struct Seen(smallvec::SmallVec<[&'static str; 6]>);

impl Seen {
    fn once<T>(&mut self, name: &'static str, value: Option<T>) -> Result<T, CommandError> {
        if self.0.contains(&name) {
            return Err(CommandError::Duplicate(name));
        }
        self.0.push(name);
        value.ok_or(CommandError::ParameterValue(name))
    }
}

fn words(rest: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    rest.split(' ').filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    })
}

fn unknown(keyword: &str) -> CommandError {
    CommandError::UnknownParameter(keyword.chars().filter(char::is_ascii_graphic).take(40).collect())
}

fn body(value: &str) -> Option<BodyType> {
    match () {
        () if value.eq_ignore_ascii_case("7BIT") => Some(BodyType::SevenBit),
        () if value.eq_ignore_ascii_case("8BITMIME") => Some(BodyType::EightBitMime),
        () if value.eq_ignore_ascii_case("BINARYMIME") => Some(BodyType::BinaryMime),
        () => None,
    }
}

fn ret(value: &str) -> Option<Ret> {
    match () {
        () if value.eq_ignore_ascii_case("FULL") => Some(Ret::Full),
        () if value.eq_ignore_ascii_case("HDRS") => Some(Ret::Headers),
        () => None,
    }
}

/// At most 100 characters of xtext (RFC 3461 section 4.4) that stand for printable ASCII.
fn envid(value: &str) -> Option<String> {
    let fits = (1..=100).contains(&value.len());
    fits.then(|| xtext::decode(value).ok()).flatten().filter(|id| id.is_ascii())
}

/// A digit, with a minus sign or without, and no `-0` (RFC 6710 section 7).
fn priority(value: &str) -> Option<i8> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let fits = digits.len() == 1 && digits.bytes().all(|b| b.is_ascii_digit()) && value != "-0";
    fits.then(|| value.parse().ok()).flatten()
}

/// `AUTH=<>` or a mailbox in xtext.
fn auth(value: &str) -> Option<ReversePath> {
    if value == "<>" {
        return Some(ReversePath::Null);
    }
    xtext::decode(value).ok()?.parse().ok().map(ReversePath::Mailbox)
}

/// `"NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )`, each at most once.
fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::NEVER);
    }
    let mut notify = Notify::NEVER;
    for word in value.split(',') {
        let wish = match () {
            () if word.eq_ignore_ascii_case("SUCCESS") => &mut notify.success,
            () if word.eq_ignore_ascii_case("FAILURE") => &mut notify.failure,
            () if word.eq_ignore_ascii_case("DELAY") => &mut notify.delay,
            () => return None,
        };
        if std::mem::replace(wish, true) {
            return None;
        }
    }
    Some(notify)
}

/// `addr-type ";" xtext`, at most 500 characters (RFC 3461 section 4.2, RFC 6533 section 3).
fn orcpt(value: &str) -> Option<OriginalRecipient> {
    let (kind, address) = value.split_once(';').filter(|_| value.len() <= 500)?;
    let named = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let address = match kind.eq_ignore_ascii_case("utf-8") {
        true => xtext::decode_utf8_address(address),
        false => xtext::decode(address),
    };
    let address = address.ok().filter(|a| named && !a.is_empty())?;
    Some(OriginalRecipient { kind: kind.to_ascii_lowercase(), address })
}
