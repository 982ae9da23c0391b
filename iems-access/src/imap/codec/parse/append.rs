//! `APPEND` and `REPLACE` (RFC 9051 section 6.3.12, RFC 3502, RFC 4469, RFC 8508), piece by piece: what stands between
//! the literals of their messages.

use crate::imap::types::{AppendPart, CommandBody, LiteralInfo};

use super::super::cursor::Cursor;
use super::super::error::Parsed;
use super::mailbox::one;

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Stage {
    /// The first message of `APPEND`.
    First,
    /// The one message of `REPLACE`.
    Only,
    /// Behind a message that was one literal.
    Behind {
        /// Whether another may come.
        multiple: bool,
    },
    /// Behind the literal of `UTF8 (`.
    Utf8 {
        /// Whether another message may come.
        multiple: bool,
    },
    /// Behind a literal of `CATENATE (`.
    Catenate {
        /// Whether another message may come.
        multiple: bool,
    },
    /// Behind the literal of `CATENATE (UTF8 (`.
    CatenateUtf8 {
        /// Whether another message may come.
        multiple: bool,
    },
}

/// What stands between two literals of messages, or behind the last.
#[derive(Debug)]
pub(in super::super) struct Segment {
    /// What it says, in order.
    pub(in super::super) parts: Vec<AppendPart>,
    /// The literal at its end, and what may come behind that; `None` at the end of the command.
    pub(in super::super) literal: Option<(LiteralInfo, Stage)>,
}

/// `SP mailbox`.
pub(super) fn append(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    Ok(CommandBody::Append { mailbox: one(cursor)? })
}

/// `SP seq-number SP mailbox`.
pub(super) fn replace(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<CommandBody> {
    cursor.sp()?;
    let message = match cursor.take(b'*') {
        true => None,
        false => Some(cursor.nz_number()?),
    };
    Ok(CommandBody::Replace { uid, message, mailbox: one(cursor)? })
}

/// Reads on from `stage` to the next literal of a message, or to the end.
pub(in super::super) fn segment(cursor: &mut Cursor<'_>, stage: Stage) -> Parsed<Segment> {
    let mut parts = Vec::new();
    let (mut step, multiple) = match stage {
        Stage::First => (begin(cursor, true, &mut parts)?, true),
        Stage::Only => (begin(cursor, false, &mut parts)?, false),
        Stage::Behind { multiple } => (Step::Whole, multiple),
        Stage::Utf8 { multiple } => {
            utf8_end(cursor)?;
            (Step::Whole, multiple)
        }
        Stage::CatenateUtf8 { multiple } => {
            utf8_end(cursor)?;
            (catenated(cursor, multiple, false, &mut parts)?, multiple)
        }
        Stage::Catenate { multiple } => (catenated(cursor, multiple, false, &mut parts)?, multiple),
    };
    loop {
        if let Step::Literal(info, stage) = step {
            return Ok(Segment { parts, literal: Some((info, stage)) });
        }
        parts.push(AppendPart::MessageEnd);
        if !multiple || !cursor.more() {
            cursor.end()?;
            parts.push(AppendPart::End);
            return Ok(Segment { parts, literal: None });
        }
        step = message(cursor, multiple, &mut parts)?;
    }
}

/// How far a message is read.
enum Step {
    /// To a literal, behind which this may come.
    Literal(LiteralInfo, Stage),
    /// To its end.
    Whole,
}

fn begin(cursor: &mut Cursor<'_>, multiple: bool, parts: &mut Vec<AppendPart>) -> Parsed<Step> {
    cursor.sp()?;
    message(cursor, multiple, parts)
}

/// `[flag-list SP] [date-time SP] append-data`.
fn message(cursor: &mut Cursor<'_>, multiple: bool, parts: &mut Vec<AppendPart>) -> Parsed<Step> {
    let mut flags = Vec::new();
    if cursor.peek() == Some(b'(') {
        flags = cursor.flags()?;
        cursor.sp()?;
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        date = Some(cursor.date_time()?);
        cursor.sp()?;
    }
    let catenate = cursor.keyword("CATENATE");
    parts.push(AppendPart::Message { flags, date, catenate });
    if catenate {
        cursor.sp()?;
        cursor.expect(b'(', "Parts in parentheses are wanted")?;
        cursor.spaces();
        return catenated(cursor, multiple, true, parts);
    }
    if cursor.keyword("UTF8") {
        return Ok(Step::Literal(utf8(cursor)?, Stage::Utf8 { multiple }));
    }
    Ok(Step::Literal(cursor.message_literal()?, Stage::Behind { multiple }))
}

/// Behind `UTF8`: `SP "(" literal8` (RFC 6855 section 4).
fn utf8(cursor: &mut Cursor<'_>) -> Parsed<LiteralInfo> {
    cursor.sp()?;
    cursor.expect(b'(', "A literal in parentheses is wanted")?;
    cursor.spaces();
    Ok(LiteralInfo { utf8: true, ..cursor.message_literal()? })
}

fn utf8_end(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.spaces();
    cursor.expect(b')', "A parenthesis is wanted behind the literal of UTF8")
}

/// Parts of `CATENATE`, from the first or behind one, and its end: `"URL" SP url`, `"TEXT" SP literal`,
/// `"UTF8" SP "(" literal8 ")"`.
fn catenated(
    cursor: &mut Cursor<'_>,
    multiple: bool,
    mut first: bool,
    parts: &mut Vec<AppendPart>,
) -> Parsed<Step> {
    loop {
        let at = cursor.at();
        cursor.spaces();
        if !first && cursor.take(b')') {
            return Ok(Step::Whole);
        }
        if !first && cursor.at() == at {
            return cursor.wrong("A space or a parenthesis is wanted");
        }
        first = false;
        if cursor.keyword("TEXT") {
            cursor.sp()?;
            return Ok(Step::Literal(cursor.message_literal()?, Stage::Catenate { multiple }));
        }
        if cursor.keyword("UTF8") {
            return Ok(Step::Literal(utf8(cursor)?, Stage::CatenateUtf8 { multiple }));
        }
        if !cursor.keyword("URL") {
            return cursor.wrong("TEXT, UTF8 or URL is wanted");
        }
        cursor.sp()?;
        parts.push(AppendPart::Url(cursor.text()?));
    }
}
