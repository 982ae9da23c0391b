//! `LIST` and `LSUB` (RFC 9051 section 6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 8440, RFC 9590).

use std::mem::discriminant;

use crate::imap::types::{CommandBody, ListCommand, ListReturn, ListSelection};

use super::super::cursor::Cursor;
use super::super::error::{Parsed, SyntaxError};
use super::{access, mailbox};

/// `[SP select-opts] SP mailbox SP mbox-or-pat [SP return-opts]`.
pub(super) fn list(cursor: &mut Cursor<'_>) -> Parsed<ListCommand> {
    let mut list = ListCommand::default();
    cursor.sp()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.selection = selection(cursor)?;
        cursor.sp()?;
    }
    list.reference = cursor.reference()?;
    cursor.sp()?;
    list.patterns = match cursor.peek() {
        Some(b'(') => {
            list.extended = true;
            cursor.list1("Patterns are wanted", Cursor::pattern)?
        }
        _ => vec![cursor.pattern()?],
    };
    if cursor.more() {
        if !cursor.keyword("RETURN") {
            return cursor.wrong("RETURN is wanted, or nothing");
        }
        list.extended = true;
        cursor.sp()?;
        let returns = &mut list.returns;
        cursor.list("Return options in parentheses are wanted", |cursor| {
            let option = return_option(cursor)?;
            once(option, returns);
            Ok(())
        })?;
    }
    Ok(list)
}

fn selection(cursor: &mut Cursor<'_>) -> Parsed<Vec<ListSelection>> {
    use ListSelection::{RecursiveMatch, Remote};
    let at = cursor.at();
    let options = cursor.list("Selection options are wanted", select_option)?;
    let based = options.iter().any(|option| !matches!(option, RecursiveMatch | Remote));
    match options.contains(&RecursiveMatch) && !based {
        true => Err(SyntaxError::bad("RECURSIVEMATCH wants another selection option with it", at).into()),
        false => Ok(options),
    }
}

fn select_option(cursor: &mut Cursor<'_>) -> Parsed<ListSelection> {
    let at = cursor.at();
    Ok(match cursor.word("A selection option is wanted")?.as_str() {
        "SUBSCRIBED" => ListSelection::Subscribed,
        "REMOTE" => ListSelection::Remote,
        "RECURSIVEMATCH" => ListSelection::RecursiveMatch,
        "SPECIAL-USE" => ListSelection::SpecialUse,
        _ => return Err(SyntaxError::bad("LIST does not know this selection option", at).into()),
    })
}

fn return_option(cursor: &mut Cursor<'_>) -> Parsed<ListReturn> {
    let at = cursor.at();
    Ok(match cursor.word("A return option is wanted")?.as_str() {
        "SUBSCRIBED" => ListReturn::Subscribed,
        "CHILDREN" => ListReturn::Children,
        "SPECIAL-USE" => ListReturn::SpecialUse,
        "MYRIGHTS" => ListReturn::MyRights,
        "STATUS" => {
            cursor.sp()?;
            ListReturn::Status(mailbox::status_items(cursor)?)
        }
        "METADATA" => {
            cursor.sp()?;
            ListReturn::Metadata(cursor.list1("Entries are wanted", access::entry)?)
        }
        _ => return Err(SyntaxError::bad("LIST does not know this return option", at).into()),
    })
}

/// Adds an option, each once: what a second one of a kind asks for is asked for with the first.
fn once(option: ListReturn, returns: &mut Vec<ListReturn>) {
    let kind = discriminant(&option);
    let at = returns.iter().position(|before| discriminant(before) == kind);
    match (at.and_then(|at| returns.get_mut(at)), option) {
        (Some(ListReturn::Status(items)), ListReturn::Status(more)) => add(items, more, |a, b| a == b),
        (Some(ListReturn::Metadata(entries)), ListReturn::Metadata(more)) => {
            add(entries, more, |a, b| a.eq_ignore_ascii_case(b))
        }
        (Some(_), _) => {}
        (None, ListReturn::Metadata(entries)) => {
            let mut each = Vec::new();
            add(&mut each, entries, |a, b| a.eq_ignore_ascii_case(b));
            returns.push(ListReturn::Metadata(each));
        }
        (None, option) => returns.push(option),
    }
}

fn add<T>(items: &mut Vec<T>, more: Vec<T>, same: fn(&T, &T) -> bool) {
    for item in more {
        if items.iter().all(|before| !same(before, &item)) {
            items.push(item);
        }
    }
}

/// `SP mailbox SP list-mailbox` (RFC 3501 section 6.3.9).
pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.sp()?;
    let reference = cursor.reference()?;
    cursor.sp()?;
    Ok(CommandBody::Lsub { reference, pattern: cursor.pattern()? })
}
