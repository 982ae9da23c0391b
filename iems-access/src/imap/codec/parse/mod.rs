//! From the octets of a command to the command (RFC 9051 section 9, `command`, and the extensions named).

mod access;
mod append;
mod fetch;
mod list;
mod mailbox;
mod notify;
mod search;
mod sort;

use crate::imap::types::{Command, CommandBody};

use super::cursor::Cursor;
use super::error::{Parsed, SyntaxError};
use super::limits::{ID_FIELDS, TAG};

pub(super) use append::{Segment, Stage, segment};
pub(super) use fetch::bare_section;

/// What a command's beginning says.
#[derive(Debug)]
pub(super) enum Head {
    /// It is whole.
    Command(Command),
    /// It is `APPEND` or `REPLACE`: its messages follow.
    Append(Command, Segment),
}

/// The tag at the beginning of a command, if there is one. Bounded, for it is repeated.
pub(super) fn tag(octets: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(octets, true, false);
    let tag = cursor.tag().ok().filter(|tag| tag.len() <= TAG)?;
    matches!(cursor.peek(), Some(b' ') | None).then(|| tag.into())
}

/// Reads a command, or the beginning of one with messages.
pub(super) fn head(cursor: &mut Cursor<'_>) -> Parsed<Head> {
    let tag = cursor.tag()?;
    if tag.len() > TAG {
        return Err(SyntaxError::bad("The tag is too long", 0).into());
    }
    let tag = tag.to_owned();
    cursor.sp()?;
    let at = cursor.at();
    let word = cursor.word("A command is wanted")?;
    let body = match word.as_str() {
        "APPEND" => {
            let body = append::append(cursor)?;
            let segment = append::segment(cursor, Stage::First)?;
            return Ok(Head::Append(
                Command { composed: cursor.composed.take(), ..Command::new(tag, body) },
                segment,
            ));
        }
        "UID" => {
            cursor.sp()?;
            let word = cursor.word("A command is wanted behind UID")?;
            if word == "REPLACE" {
                return replace(cursor, tag, true);
            }
            by_uid(cursor, &word, at)?
        }
        "REPLACE" => return replace(cursor, tag, false),
        word => body(cursor, word, at)?,
    };
    cursor.end()?;
    Ok(Head::Command(Command { composed: cursor.composed.take(), ..Command::new(tag, body) }))
}

fn replace(cursor: &mut Cursor<'_>, tag: String, uid: bool) -> Parsed<Head> {
    let body = append::replace(cursor, uid)?;
    let segment = append::segment(cursor, Stage::Only)?;
    Ok(Head::Append(Command { composed: cursor.composed.take(), ..Command::new(tag, body) }, segment))
}

fn by_uid(cursor: &mut Cursor<'_>, word: &str, at: usize) -> Parsed<CommandBody> {
    match word {
        "EXPUNGE" => {
            cursor.sp()?;
            Ok(CommandBody::Expunge { uids: Some(cursor.sequence_set()?) })
        }
        _ => numbered(cursor, word, true, at),
    }
}

/// The commands that go with and without `UID`.
fn numbered(cursor: &mut Cursor<'_>, word: &str, uid: bool, at: usize) -> Parsed<CommandBody> {
    Ok(match word {
        "FETCH" => CommandBody::Fetch { uid, fetch: fetch::fetch(cursor, uid)? },
        "STORE" => CommandBody::Store { uid, store: fetch::store(cursor)? },
        "SEARCH" => CommandBody::Search { uid, search: search::search(cursor)? },
        "SORT" => CommandBody::Sort { uid, sort: sort::sort(cursor)? },
        "THREAD" => CommandBody::Thread { uid, thread: sort::thread(cursor)? },
        "COPY" => {
            let (messages, mailbox) = mailbox::transfer(cursor)?;
            CommandBody::Copy { uid, messages, mailbox }
        }
        "MOVE" => {
            let (messages, mailbox) = mailbox::transfer(cursor)?;
            CommandBody::Move { uid, messages, mailbox }
        }
        _ => return Err(SyntaxError::bad(unknown(word, uid), at).into()),
    })
}

fn unknown(word: &str, uid: bool) -> String {
    let word: String = word.chars().take(32).collect();
    let uid = if uid { "UID " } else { "" };
    format!("There is no command {uid}{word}")
}

fn body(cursor: &mut Cursor<'_>, word: &str, at: usize) -> Parsed<CommandBody> {
    use CommandBody::*;
    Ok(match word {
        "CAPABILITY" => Capability,
        "NOOP" => Noop,
        "LOGOUT" => Logout,
        "STARTTLS" => StartTls,
        "UNAUTHENTICATE" => Unauthenticate,
        "NAMESPACE" => Namespace,
        "IDLE" => Idle,
        "CLOSE" => Close,
        "UNSELECT" => Unselect,
        "CHECK" => Check,
        "EXPUNGE" => Expunge { uids: None },
        "ID" => Id(id(cursor)?),
        "AUTHENTICATE" => authenticate(cursor)?,
        "LOGIN" => login(cursor)?,
        "ENABLE" => Enable(enable(cursor)?),
        "COMPRESS" => {
            cursor.sp()?;
            Compress(cursor.atom("A mechanism is wanted")?.to_ascii_uppercase())
        }
        "SELECT" => {
            let (mailbox, parameters) = mailbox::select(cursor)?;
            Select { mailbox, parameters }
        }
        "EXAMINE" => {
            let (mailbox, parameters) = mailbox::select(cursor)?;
            Examine { mailbox, parameters }
        }
        "CREATE" => mailbox::create(cursor)?,
        "DELETE" => Delete(mailbox::one(cursor)?),
        "RENAME" => mailbox::rename(cursor)?,
        "SUBSCRIBE" => Subscribe(mailbox::one(cursor)?),
        "UNSUBSCRIBE" => Unsubscribe(mailbox::one(cursor)?),
        "LIST" => List(list::list(cursor)?),
        "LSUB" => list::lsub(cursor)?,
        "STATUS" => mailbox::status(cursor)?,
        "GETACL" => GetAcl(mailbox::one(cursor)?),
        "MYRIGHTS" => MyRights(mailbox::one(cursor)?),
        "GETQUOTAROOT" => GetQuotaRoot(mailbox::one(cursor)?),
        "SETACL" | "DELETEACL" | "LISTRIGHTS" => access::acl(cursor, word)?,
        "GETQUOTA" | "SETQUOTA" => access::quota(cursor, word)?,
        "GETMETADATA" => access::get_metadata(cursor)?,
        "SETMETADATA" => access::set_metadata(cursor)?,
        "NOTIFY" => Notify(notify::notify(cursor)?),
        _ => numbered(cursor, word, false, at)?,
    })
}

type IdFields = Option<Vec<(String, Option<String>)>>;

/// `SP "(" field SP value ... ")"` or `SP NIL` (RFC 2971 section 4).
fn id(cursor: &mut Cursor<'_>) -> Parsed<IdFields> {
    cursor.sp()?;
    if cursor.keyword("NIL") {
        return Ok(None);
    }
    let fields = cursor.list("A list or NIL is wanted", |cursor| {
        let field = cursor.string()?;
        cursor.sp()?;
        let value = cursor.nstring()?;
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        Ok((text(field), value.map(text)))
    })?;
    match fields.len() > ID_FIELDS {
        true => Err(SyntaxError::limit("ID has 30 fields at most").into()),
        false => Ok(Some(fields)),
    }
}

fn authenticate(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.sp()?;
    let mechanism = match cursor.peek() {
        // An atom, by the grammar; some write it as all other arguments.
        Some(b'"') => String::from_utf8_lossy(&cursor.string()?).to_ascii_uppercase(),
        _ => cursor.atom("A mechanism is wanted")?.to_ascii_uppercase(),
    };
    let initial = match cursor.more() {
        true => Some(cursor.atom("An initial response in base 64 is wanted")?.to_owned()),
        false => None,
    };
    Ok(CommandBody::Authenticate { mechanism, initial })
}

fn login(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.sp()?;
    let login = cursor.text()?;
    cursor.sp()?;
    let password = cursor.text()?.into();
    Ok(CommandBody::Login { login, password })
}

fn enable(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    let mut names = Vec::new();
    cursor.sp()?;
    loop {
        names.push(cursor.atom("A capability is wanted")?.to_ascii_uppercase());
        if !cursor.more() {
            return Ok(names);
        }
    }
}
