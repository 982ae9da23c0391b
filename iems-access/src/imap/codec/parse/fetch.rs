//! `FETCH` and `STORE` (RFC 9051 section 6.4.5 and 6.4.6, and the extensions named in the types).

use crate::imap::types::{Fetch, FetchAttribute, Partial, Section, SectionText, Store, StoreAction};

use super::super::cursor::Cursor;
use super::super::error::{Parsed, SyntaxError};
use super::super::limits::{ATTRIBUTES, DECODED, PARTS};

/// `SP sequence-set SP what [SP "(" modifiers ")"]`.
pub(super) fn fetch(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<Fetch> {
    cursor.sp()?;
    let messages = cursor.sequence_set()?;
    cursor.sp()?;
    let attributes = match cursor.peek() {
        Some(b'(') => attributes(cursor)?,
        _ => macro_or_one(cursor)?,
    };
    let mut fetch = Fetch { messages, attributes, changed_since: None, vanished: false, partial: None };
    if cursor.more() {
        let at = cursor.at();
        cursor.list1("Modifiers in parentheses are wanted", |cursor| modifier(cursor, &mut fetch))?;
        if fetch.vanished && (!uid || fetch.changed_since.is_none()) {
            return Err(SyntaxError::bad("VANISHED wants UID FETCH and CHANGEDSINCE", at).into());
        }
        if fetch.partial.is_some() && !uid {
            return Err(SyntaxError::bad("PARTIAL wants UID FETCH", at).into());
        }
    }
    Ok(fetch)
}

fn modifier(cursor: &mut Cursor<'_>, fetch: &mut Fetch) -> Parsed<()> {
    let at = cursor.at();
    match cursor.word("A modifier is wanted")?.as_str() {
        "VANISHED" => fetch.vanished = true,
        "CHANGEDSINCE" => {
            cursor.sp()?;
            fetch.changed_since = Some(cursor.number64()?);
        }
        "PARTIAL" => {
            cursor.sp()?;
            fetch.partial = Some(cursor.partial_range()?);
        }
        _ => return Err(SyntaxError::bad("FETCH does not know this modifier", at).into()),
    }
    Ok(())
}

/// `"(" fetch-att *(SP fetch-att) ")"`; each once.
pub(super) fn attributes(cursor: &mut Cursor<'_>) -> Parsed<Vec<FetchAttribute>> {
    let mut attributes = Vec::new();
    cursor.list1("Attributes are wanted", |cursor| {
        let attribute = attribute(cursor)?;
        if attributes.len() == ATTRIBUTES {
            return Err(SyntaxError::limit("Too much is asked of each message").into());
        }
        if attributes.contains(&attribute) {
            return Ok(());
        }
        if let Some(part) = decoded(&attribute)
            && attributes.iter().filter(|before| decoded(before) == Some(part)).count() == DECODED
        {
            return Err(
                SyntaxError::limit("Too many pieces of one part are asked for; fetch it whole").into()
            );
        }
        attributes.push(attribute);
        Ok(())
    })?;
    Ok(attributes)
}

/// The part that has to be decoded for it.
fn decoded(attribute: &FetchAttribute) -> Option<&[u32]> {
    match attribute {
        FetchAttribute::Binary { part, .. } | FetchAttribute::BinarySize { part } => Some(part),
        _ => None,
    }
}

/// `ALL`, `FAST`, `FULL`, or one attribute.
fn macro_or_one(cursor: &mut Cursor<'_>) -> Parsed<Vec<FetchAttribute>> {
    use FetchAttribute::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    let fast = [Flags, InternalDate, Rfc822Size];
    Ok(match () {
        () if cursor.keyword("FAST") => fast.into(),
        () if cursor.keyword("ALL") => fast.into_iter().chain([Envelope]).collect(),
        () if cursor.keyword("FULL") => fast.into_iter().chain([Envelope, Body]).collect(),
        () => vec![attribute(cursor)?],
    })
}

fn attribute(cursor: &mut Cursor<'_>) -> Parsed<FetchAttribute> {
    let at = cursor.at();
    let word = cursor.word("An attribute is wanted")?;
    let bracket = cursor.peek() == Some(b'[');
    Ok(match (word.as_str(), bracket) {
        ("ENVELOPE", false) => FetchAttribute::Envelope,
        ("FLAGS", false) => FetchAttribute::Flags,
        ("INTERNALDATE", false) => FetchAttribute::InternalDate,
        ("UID", false) => FetchAttribute::Uid,
        ("BODY", false) => FetchAttribute::Body,
        ("BODYSTRUCTURE", false) => FetchAttribute::BodyStructure,
        ("BODY", true) => section(cursor, false)?,
        ("BODY.PEEK", true) => section(cursor, true)?,
        ("BINARY", true) => binary(cursor, false)?,
        ("BINARY.PEEK", true) => binary(cursor, true)?,
        ("BINARY.SIZE", true) => FetchAttribute::BinarySize { part: bracketed(cursor)? },
        ("RFC822", false) => FetchAttribute::Rfc822,
        ("RFC822.HEADER", false) => FetchAttribute::Rfc822Header,
        ("RFC822.SIZE", false) => FetchAttribute::Rfc822Size,
        ("RFC822.TEXT", false) => FetchAttribute::Rfc822Text,
        ("MODSEQ", false) => FetchAttribute::ModSeq,
        ("EMAILID", false) => FetchAttribute::EmailId,
        ("THREADID", false) => FetchAttribute::ThreadId,
        ("SAVEDATE", false) => FetchAttribute::SaveDate,
        ("PREVIEW", false) => FetchAttribute::Preview { lazy: lazy(cursor)? },
        _ => return Err(SyntaxError::bad("FETCH does not know this attribute", at).into()),
    })
}

/// `[SP "(" "LAZY" ")"]` (RFC 8970 section 6).
fn lazy(cursor: &mut Cursor<'_>) -> Parsed<bool> {
    let at = cursor.at();
    cursor.spaces();
    if cursor.at() == at || !cursor.take(b'(') {
        cursor.back_to(at);
        return Ok(false);
    }
    if !cursor.keyword("LAZY") {
        // Modifiers of FETCH itself.
        cursor.back_to(at);
        return Ok(false);
    }
    cursor.expect(b')', "A parenthesis is wanted behind LAZY")?;
    Ok(true)
}

fn section(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<FetchAttribute> {
    cursor.expect(b'[', "A section is wanted")?;
    let (part, text) = part(cursor, true)?;
    let text = match text || part.is_empty() && cursor.peek() != Some(b']') {
        true => Some(section_text(cursor, !part.is_empty())?),
        false => None,
    };
    cursor.expect(b']', "The section does not end")?;
    Ok(FetchAttribute::BodySection { section: Section { part, text }, partial: partial(cursor)?, peek })
}

/// The section that a text is, as it stands between brackets.
pub(in super::super) fn bare_section(text: &str) -> Option<Section> {
    let bracketed = format!("[{text}]");
    let mut cursor = Cursor::new(bracketed.as_bytes(), true, false);
    match (section(&mut cursor, true), cursor.end()) {
        (Ok(FetchAttribute::BodySection { section, partial: None, .. }), Ok(())) => Some(section),
        _ => None,
    }
}

fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<FetchAttribute> {
    Ok(FetchAttribute::Binary { part: bracketed(cursor)?, partial: partial(cursor)?, peek })
}

/// `"[" [section-part] "]"`.
fn bracketed(cursor: &mut Cursor<'_>) -> Parsed<Vec<u32>> {
    cursor.expect(b'[', "A section is wanted")?;
    let (part, _) = part(cursor, false)?;
    cursor.expect(b']', "The section does not end")?;
    Ok(part)
}

/// `nz-number *("." nz-number)`, if it is here, and whether a dot and `text` follow.
fn part(cursor: &mut Cursor<'_>, text: bool) -> Parsed<(Vec<u32>, bool)> {
    let mut part = Vec::new();
    if !cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        return Ok((part, false));
    }
    loop {
        part.push(cursor.nz_number()?);
        if part.len() > PARTS {
            return Err(SyntaxError::limit("The part is too deep").into());
        }
        if !cursor.take(b'.') {
            return Ok((part, false));
        }
        if text && cursor.peek().is_some_and(|octet| octet.is_ascii_alphabetic()) {
            return Ok((part, true));
        }
    }
}

/// `section-text`, `section-msgtext`.
fn section_text(cursor: &mut Cursor<'_>, in_part: bool) -> Parsed<SectionText> {
    let at = cursor.at();
    Ok(match cursor.word("A section is wanted")?.as_str() {
        "HEADER" => SectionText::Header,
        "TEXT" => SectionText::Text,
        "MIME" if in_part => SectionText::Mime,
        "HEADER.FIELDS" => SectionText::HeaderFields(fields(cursor)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(fields(cursor)?),
        _ => return Err(SyntaxError::bad("There is no such section", at).into()),
    })
}

/// `SP header-list`.
fn fields(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.sp()?;
    cursor.list1("Names of header fields are wanted", Cursor::text)
}

/// `["<" number "." nz-number ">"]`.
fn partial(cursor: &mut Cursor<'_>) -> Parsed<Option<Partial>> {
    if !cursor.take(b'<') {
        return Ok(None);
    }
    let origin = cursor.number64()?;
    cursor.expect(b'.', "A dot is wanted between offset and length")?;
    let octets = cursor.nz_number64()?;
    cursor.expect(b'>', "> is wanted behind the length")?;
    Ok(Some(Partial { origin, octets }))
}

/// `SP sequence-set [SP "(" "UNCHANGEDSINCE" SP n ")"] SP action SP flags`.
pub(super) fn store(cursor: &mut Cursor<'_>) -> Parsed<Store> {
    cursor.sp()?;
    let messages = cursor.sequence_set()?;
    cursor.sp()?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list1("A modifier is wanted", |cursor| {
            if unchanged_since.is_some() || !cursor.keyword("UNCHANGEDSINCE") {
                return cursor.wrong("STORE knows the modifier UNCHANGEDSINCE, and that once");
            }
            cursor.sp()?;
            unchanged_since = Some(cursor.number64()?);
            Ok(())
        })?;
        cursor.sp()?;
    }
    let (action, silent) = store_action(cursor)?;
    cursor.sp()?;
    Ok(Store { messages, unchanged_since, action, silent, flags: store_flags(cursor)? })
}

fn store_action(cursor: &mut Cursor<'_>) -> Parsed<(StoreAction, bool)> {
    let at = cursor.at();
    let action = match () {
        () if cursor.take(b'+') => StoreAction::Add,
        () if cursor.take(b'-') => StoreAction::Remove,
        () => StoreAction::Replace,
    };
    match cursor.word("FLAGS is wanted")?.as_str() {
        "FLAGS" => Ok((action, false)),
        "FLAGS.SILENT" => Ok((action, true)),
        _ => Err(SyntaxError::bad("STORE knows FLAGS and FLAGS.SILENT, with + or - before", at).into()),
    }
}

/// `flag-list`, or flags without parentheses.
fn store_flags(cursor: &mut Cursor<'_>) -> Parsed<Vec<crate::imap::types::Flag>> {
    if cursor.peek() == Some(b'(') {
        return cursor.flags();
    }
    let mut flags = vec![cursor.flag()?];
    while cursor.more() {
        flags.push(cursor.flag()?);
    }
    Ok(flags)
}
