//! `SORT` and `THREAD` (RFC 5256, RFC 5267, RFC 5957).

use crate::imap::types::{Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm};

use super::super::cursor::Cursor;
use super::super::error::{Parsed, SyntaxError};
use super::search::{charset, keys, returns, unknown_charset};

/// `[SP "RETURN" SP "(" ... ")"] SP "(" criteria ")" SP charset SP search-key *(SP search-key)`.
pub(super) fn sort(cursor: &mut Cursor<'_>) -> Parsed<Sort> {
    cursor.sp()?;
    let returns = returns(cursor)?;
    let criteria = cursor.list1("Sort criteria in parentheses are wanted", criterion)?;
    cursor.sp()?;
    let known = charset(cursor)?;
    cursor.sp()?;
    let sort = Sort { returns, criteria, key: keys(cursor)? };
    match known {
        true => Ok(sort),
        false => Err(unknown_charset(sort.returns.as_deref())),
    }
}

fn criterion(cursor: &mut Cursor<'_>) -> Parsed<SortCriterion> {
    let reverse = cursor.keyword("REVERSE");
    if reverse {
        cursor.sp()?;
    }
    let at = cursor.at();
    let key = match cursor.word("A sort criterion is wanted")?.as_str() {
        "ARRIVAL" => SortKey::Arrival,
        "CC" => SortKey::Cc,
        "DATE" => SortKey::Date,
        "DISPLAYFROM" => SortKey::DisplayFrom,
        "DISPLAYTO" => SortKey::DisplayTo,
        "FROM" => SortKey::From,
        "SIZE" => SortKey::Size,
        "SUBJECT" => SortKey::Subject,
        "TO" => SortKey::To,
        _ => return Err(SyntaxError::bad("SORT does not know this criterion", at).into()),
    };
    Ok(SortCriterion { reverse, key })
}

/// `SP algorithm SP charset SP search-key *(SP search-key)`.
pub(super) fn thread(cursor: &mut Cursor<'_>) -> Parsed<Thread> {
    cursor.sp()?;
    let at = cursor.at();
    let algorithm = match cursor.word("An algorithm is wanted")?.as_str() {
        "ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
        "REFERENCES" => ThreadAlgorithm::References,
        "REFS" => ThreadAlgorithm::Refs,
        _ => return Err(SyntaxError::bad("THREAD does not know this algorithm", at).into()),
    };
    cursor.sp()?;
    let known = charset(cursor)?;
    cursor.sp()?;
    let thread = Thread { algorithm, key: keys(cursor)? };
    match known {
        true => Ok(thread),
        false => Err(unknown_charset(None)),
    }
}
