//! Commands about mailboxes (RFC 9051 section 6.3).

use crate::imap::types::{CommandBody, Resync, SelectParameters, SequenceSet, SpecialUse, StatusAttribute};

use super::super::cursor::Cursor;
use super::super::error::{Parsed, SyntaxError};

/// `SP mailbox`.
pub(super) fn one(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.sp()?;
    cursor.mailbox()
}

/// `SP mailbox SP mailbox`.
pub(super) fn rename(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let from = one(cursor)?;
    let to = one(cursor)?;
    Ok(CommandBody::Rename { from, to })
}

/// `SP sequence-set SP mailbox`.
pub(super) fn transfer(cursor: &mut Cursor<'_>) -> Parsed<(SequenceSet, String)> {
    cursor.sp()?;
    let messages = cursor.sequence_set()?;
    Ok((messages, one(cursor)?))
}

/// `SP mailbox [SP "(" "USE" SP "(" ... ")" ")"]` (RFC 6154 section 3).
pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mailbox = one(cursor)?;
    let mut special_use = Vec::new();
    if cursor.more() {
        cursor.list1("Parameters in parentheses are wanted", |cursor| {
            let at = cursor.at();
            match cursor.word("A parameter is wanted")?.as_str() {
                "USE" => {
                    cursor.sp()?;
                    special_use.extend(cursor.list("A list of uses is wanted", special)?);
                    Ok(())
                }
                _ => Err(SyntaxError::bad("CREATE knows the parameter USE", at).into()),
            }
        })?;
    }
    Ok(CommandBody::Create { mailbox, special_use })
}

fn special(cursor: &mut Cursor<'_>) -> Parsed<SpecialUse> {
    cursor.expect(b'\\', "A use is wanted: \\Sent")?;
    let name = cursor.atom("A use is wanted: \\Sent")?;
    Ok(match name.to_ascii_uppercase().as_str() {
        "ALL" => SpecialUse::All,
        "ARCHIVE" => SpecialUse::Archive,
        "DRAFTS" => SpecialUse::Drafts,
        "FLAGGED" => SpecialUse::Flagged,
        "IMPORTANT" => SpecialUse::Important,
        "JUNK" => SpecialUse::Junk,
        "SENT" => SpecialUse::Sent,
        "TRASH" => SpecialUse::Trash,
        _ => SpecialUse::Other(name.into()),
    })
}

/// `SP mailbox [SP "(" select-param ... ")"]` (RFC 4466 section 2.4).
pub(super) fn select(cursor: &mut Cursor<'_>) -> Parsed<(String, SelectParameters)> {
    let mailbox = one(cursor)?;
    let mut parameters = SelectParameters::default();
    if cursor.more() {
        cursor.list1("Parameters in parentheses are wanted", |cursor| {
            let at = cursor.at();
            match cursor.word("A parameter is wanted")?.as_str() {
                "CONDSTORE" => parameters.condstore = true,
                "QRESYNC" => {
                    cursor.sp()?;
                    parameters.qresync = Some(resync(cursor)?);
                }
                _ => return Err(SyntaxError::bad("Known are CONDSTORE and QRESYNC", at).into()),
            }
            Ok(())
        })?;
    }
    Ok((mailbox, parameters))
}

/// `"(" uidvalidity SP modseq [SP known-uids] [SP "(" set SP set ")"] ")"` (RFC 7162 section 3.2.5).
fn resync(cursor: &mut Cursor<'_>) -> Parsed<Resync> {
    cursor.expect(b'(', "Parentheses are wanted behind QRESYNC")?;
    let uid_validity = cursor.nz_number()?;
    cursor.sp()?;
    let mut resync = Resync { uid_validity, modseq: cursor.number64()?, known_uids: None, matching: None };
    if cursor.more() && !matches!(cursor.peek(), Some(b'(' | b')')) {
        resync.known_uids = Some(cursor.number_set()?);
        cursor.more();
    }
    if cursor.take(b'(') {
        let at = cursor.at();
        let numbers = cursor.number_set()?;
        cursor.sp()?;
        let uids = cursor.number_set()?;
        cursor.expect(b')', "A parenthesis is wanted behind two sets")?;
        if count(&numbers) != count(&uids) {
            return Err(SyntaxError::bad("The two sets are not of the same size", at).into());
        }
        resync.matching = Some((numbers, uids));
    }
    cursor.spaces();
    cursor.expect(b')', "A parenthesis is wanted at the end of QRESYNC")?;
    Ok(resync)
}

/// How many numbers a set names.
fn count(set: &SequenceSet) -> u64 {
    set.resolve(0, &Default::default()).count()
}

/// `SP mailbox SP "(" status-att ... ")"`.
pub(super) fn status(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mailbox = one(cursor)?;
    cursor.sp()?;
    Ok(CommandBody::Status { mailbox, items: status_items(cursor)? })
}

/// `"(" status-att *(SP status-att) ")"`; each once.
pub(super) fn status_items(cursor: &mut Cursor<'_>) -> Parsed<Vec<StatusAttribute>> {
    let mut items = Vec::new();
    cursor.list1("A list of items is wanted", |cursor| {
        let item = status_item(cursor)?;
        if !items.contains(&item) {
            items.push(item);
        }
        Ok(())
    })?;
    Ok(items)
}

fn status_item(cursor: &mut Cursor<'_>) -> Parsed<StatusAttribute> {
    let at = cursor.at();
    Ok(match cursor.word("An item is wanted")?.as_str() {
        "MESSAGES" => StatusAttribute::Messages,
        "RECENT" => StatusAttribute::Recent,
        "UIDNEXT" => StatusAttribute::UidNext,
        "UIDVALIDITY" => StatusAttribute::UidValidity,
        "UNSEEN" => StatusAttribute::Unseen,
        "DELETED" => StatusAttribute::Deleted,
        "DELETED-STORAGE" => StatusAttribute::DeletedStorage,
        "SIZE" => StatusAttribute::Size,
        "HIGHESTMODSEQ" => StatusAttribute::HighestModSeq,
        "MAILBOXID" => StatusAttribute::MailboxId,
        "APPENDLIMIT" => StatusAttribute::AppendLimit,
        _ => return Err(SyntaxError::bad("STATUS does not know this item", at).into()),
    })
}
