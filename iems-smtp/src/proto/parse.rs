//! From a line to a [`Command`].
//!
//! Strict where it matters (paths stand in angle brackets, one space between words), lenient where practice is:
//! any case, spaces after the colon of `FROM:` and `TO:`, spaces at the end of a line.

use iems_core::message::{AddressError, Envelope, ForwardPath, ReversePath};

use super::claim::Claim;
use super::command::{Command, CommandError, Mail, Rcpt};
use super::forward::Forward;
use super::params;

pub(super) fn command(line: &[u8]) -> Result<Command, CommandError> {
    let line = std::str::from_utf8(line).map_err(|_| CommandError::NotText)?;
    if line.chars().any(char::is_control) {
        return Err(CommandError::NotText);
    }
    let line = line.trim_end_matches(' ');
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    if verb.len() > 8 || !verb.is_ascii() {
        return Err(CommandError::Unknown);
    }
    let mut upper = [0; 8];
    let upper = &mut upper[..verb.len()];
    upper.copy_from_slice(verb.as_bytes());
    upper.make_ascii_uppercase();
    dispatch(upper, rest)
}

fn dispatch(verb: &[u8], rest: &str) -> Result<Command, CommandError> {
    match verb {
        b"EHLO" => Ok(Command::Ehlo(name(rest, "EHLO name")?)),
        b"HELO" => Ok(Command::Helo(name(rest, "HELO name")?)),
        b"LHLO" => Ok(Command::Lhlo(name(rest, "LHLO name")?)),
        b"MAIL" => Ok(Command::Mail(Box::new(mail(rest)?))),
        b"RCPT" => Ok(Command::Rcpt(Box::new(rcpt(rest)?))),
        b"DATA" => alone(rest, Command::Data, "DATA"),
        b"BDAT" => bdat(rest),
        b"RSET" => alone(rest, Command::Rset, "RSET"),
        b"NOOP" => Ok(Command::Noop),
        b"QUIT" => alone(rest, Command::Quit, "QUIT"),
        b"VRFY" if rest.is_empty() => Err(CommandError::Syntax("VRFY address")),
        b"VRFY" => Ok(Command::Vrfy(rest.into())),
        b"HELP" => Ok(Command::Help),
        b"STARTTLS" => alone(rest, Command::StartTls, "STARTTLS"),
        b"AUTH" => auth(rest),
        b"XCLIENT" => match Claim::parse(rest) {
            Some(claim) => Ok(Command::Claim(Box::new(claim))),
            None => {
                Err(CommandError::Syntax("XCLIENT and the attributes that EHLO announced, as NAME=value"))
            }
        },
        b"XFORWARD" => match Forward::parse(rest) {
            Some(forward) => Ok(Command::Forward(Box::new(forward))),
            None => {
                Err(CommandError::Syntax("XFORWARD and the attributes that EHLO announced, as NAME=value"))
            }
        },
        b"EXPN" => Err(CommandError::Expand),
        b"ETRN" if rest.is_empty() => Err(CommandError::Syntax("ETRN domain")),
        // `@` asks for names below the domain as well: those have queues of their own here, and are asked for by name.
        b"ETRN" => {
            let domain = rest.strip_prefix('@').unwrap_or(rest).parse();
            domain.map(Command::Etrn).map_err(|_| CommandError::Syntax("ETRN domain"))
        }
        b"ATRN" => {
            let words = rest.split(',').map(str::trim).filter(|_| !rest.is_empty());
            let domains = words.map(str::parse).collect::<Result<_, _>>();
            domains.map(Command::Atrn).map_err(|_| CommandError::Syntax("ATRN [domain,domain...]"))
        }
        b"TURN" => Err(CommandError::NotImplemented("TURN")),
        b"SEND" | b"SOML" | b"SAML" => Err(CommandError::NotImplemented("sending to terminals")),
        _ => Err(CommandError::Unknown),
    }
}

fn alone(rest: &str, command: Command, usage: &'static str) -> Result<Command, CommandError> {
    if rest.is_empty() { Ok(command) } else { Err(CommandError::Syntax(usage)) }
}

/// The name a peer gives itself: one word of visible ASCII. Whether it is a good name is a judge's question.
fn name(rest: &str, usage: &'static str) -> Result<String, CommandError> {
    let fits = !rest.is_empty() && rest.len() <= 255 && rest.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(rest.into()) } else { Err(CommandError::Syntax(usage)) }
}

fn mail(rest: &str) -> Result<Mail, CommandError> {
    let after = keyword(rest, "FROM:").ok_or(CommandError::Syntax("MAIL FROM:<address> [parameters]"))?;
    let (path, rest) = split_path(after).map_err(CommandError::Sender)?;
    let sender: ReversePath = path.parse().map_err(CommandError::Sender)?;
    let mail = params::mail(Mail::new(Envelope::new(sender)), rest)?;
    let ascii = path.is_ascii() && rest.is_ascii();
    if ascii || mail.envelope.smtputf8 { Ok(mail) } else { Err(CommandError::NeedsUtf8) }
}

fn rcpt(rest: &str) -> Result<Rcpt, CommandError> {
    let after = keyword(rest, "TO:").ok_or(CommandError::Syntax("RCPT TO:<address> [parameters]"))?;
    let (path, rest) = split_path(after).map_err(CommandError::Recipient)?;
    let forward: ForwardPath = path.parse().map_err(CommandError::Recipient)?;
    let mut rcpt = params::rcpt(Rcpt::new(forward), rest)?;
    rcpt.international = !path.is_ascii() || !rest.is_ascii();
    Ok(rcpt)
}

fn keyword<'a>(rest: &'a str, keyword: &str) -> Option<&'a str> {
    let head = rest.get(..keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then(|| rest[keyword.len()..].trim_start_matches(' '))
}

/// Cuts `<path>` from what follows it; `>` in a quoted string does not end the path.
fn split_path(text: &str) -> Result<(&str, &str), AddressError> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => {
                let (path, rest) = text.split_at(at + 1);
                let parted = rest.is_empty() || rest.starts_with(' ');
                return if parted { Ok((path, rest)) } else { Err(AddressError::Path) };
            }
            _ => {}
        }
    }
    Err(AddressError::Path)
}

/// `BDAT 1*20DIGIT [LAST]`.
fn bdat(rest: &str) -> Result<Command, CommandError> {
    let error = CommandError::Syntax("BDAT size [LAST]");
    let (size, end) = rest.split_once(' ').unwrap_or((rest, ""));
    let last = match end {
        "" => false,
        end if end.eq_ignore_ascii_case("LAST") => true,
        _ => return Err(error),
    };
    match params::number(size) {
        Some(size) => Ok(Command::Bdat { size, last }),
        None => Err(error),
    }
}

/// `AUTH mechanism [initial-response]`; a mechanism is 1 to 20 of `A-Z 0-9 - _` (RFC 4422 section 3.1).
fn auth(rest: &str) -> Result<Command, CommandError> {
    let error = CommandError::Syntax("AUTH mechanism [initial-response]");
    let (mechanism, initial) = match rest.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial)),
        None => (rest, None),
    };
    let named = (1..=20).contains(&mechanism.len())
        && mechanism.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let answered = initial.is_none_or(|i| !i.is_empty() && i.bytes().all(|b| b.is_ascii_graphic()));
    match named && answered {
        true => Ok(Command::Auth {
            mechanism: mechanism.to_ascii_uppercase(),
            initial: initial.map(String::from),
        }),
        false => Err(error),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
