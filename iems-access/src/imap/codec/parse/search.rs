//! `SEARCH` (RFC 9051 section 6.4.4, and the extensions named in the types).

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::imap::types::{Code, EntryType, Search, SearchKey, SearchReturn};

use super::super::cursor::Cursor;
use super::super::error::{Parsed, SyntaxError, Trouble};
use super::super::limits::DEPTH;

/// `[SP "RETURN" SP "(" ... ")"] SP ["CHARSET" SP charset SP] search-key *(SP search-key)`.
pub(super) fn search(cursor: &mut Cursor<'_>) -> Parsed<Search> {
    cursor.sp()?;
    let returns = returns(cursor)?;
    cursor.charset = Some(UTF_8);
    let mut known = true;
    if cursor.keyword("CHARSET") {
        cursor.sp()?;
        known = charset(cursor)?;
        cursor.sp()?;
    }
    let search = Search { returns, key: keys(cursor)? };
    match known {
        true => Ok(search),
        false => Err(unknown_charset(search.returns.as_deref())),
    }
}

/// `["RETURN" SP "(" [option *(SP option)] ")" SP]`.
pub(super) fn returns(cursor: &mut Cursor<'_>) -> Parsed<Option<Vec<SearchReturn>>> {
    if !cursor.keyword("RETURN") {
        return Ok(None);
    }
    cursor.sp()?;
    let (mut options, at) = (Vec::new(), cursor.at());
    cursor.list("Return options in parentheses are wanted", |cursor| {
        let option = return_option(cursor)?;
        if !options.contains(&option) {
            options.push(option);
        }
        Ok(())
    })?;
    // Either one page or all (RFC 9394 section 3.1).
    let pages = |option: &&SearchReturn| matches!(option, SearchReturn::All | SearchReturn::Partial(_));
    if options.iter().filter(pages).count() > 1 {
        return Err(SyntaxError::bad("One of PARTIAL and ALL is enough", at).into());
    }
    cursor.sp()?;
    if options.is_empty() {
        options.push(SearchReturn::All);
    }
    Ok(Some(options))
}

fn return_option(cursor: &mut Cursor<'_>) -> Parsed<SearchReturn> {
    let at = cursor.at();
    Ok(match cursor.word("A return option is wanted")?.as_str() {
        "MIN" => SearchReturn::Min,
        "MAX" => SearchReturn::Max,
        "ALL" => SearchReturn::All,
        "COUNT" => SearchReturn::Count,
        "SAVE" => SearchReturn::Save,
        "PARTIAL" => {
            cursor.sp()?;
            SearchReturn::Partial(cursor.partial_range()?)
        }
        _ => return Err(SyntaxError::bad("SEARCH does not know this return option", at).into()),
    })
}

/// `charset`: what the texts behind it are in, and whether that is known. As text, US-ASCII is UTF-8.
pub(super) fn charset(cursor: &mut Cursor<'_>) -> Parsed<bool> {
    let name = cursor.text()?;
    let is_ascii = ["US-ASCII", "ASCII"].iter().any(|ascii| name.eq_ignore_ascii_case(ascii));
    let known = match is_ascii {
        true => Some(UTF_8),
        false => Encoding::for_label_no_replacement(name.as_bytes()),
    };
    // The grammar of what follows is the same in any; Windows-1252 takes all octets.
    cursor.charset = known.or(Some(WINDOWS_1252));
    Ok(known.is_some())
}

/// What a whole command is told whose texts nobody can read.
pub(super) fn unknown_charset(returns: Option<&[SearchReturn]>) -> Trouble {
    let known = Code::BadCharset(vec!["US-ASCII".into(), "UTF-8".into()]);
    let error = SyntaxError::no(known, "This character set is not known; UTF-8 is");
    let forgets = returns.is_some_and(|returns| returns.contains(&SearchReturn::Save));
    SyntaxError { forgets, ..error }.into()
}

/// `search-key *(SP search-key)`: one, or all of them together.
pub(super) fn keys(cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
    let first = key(cursor, DEPTH)?;
    let mut keys = vec![first];
    while cursor.more() {
        keys.push(key(cursor, DEPTH)?);
    }
    Ok(together(keys))
}

fn together(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

fn key(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(SyntaxError::limit("Search keys are nested too deep").into());
    };
    cursor.keys = match cursor.keys.checked_sub(1) {
        Some(keys) => keys,
        None => return Err(SyntaxError::limit("Too many search keys").into()),
    };
    match cursor.peek() {
        Some(b'(') => {
            let mut keys = Vec::new();
            parenthesised(cursor, depth, &mut keys)?;
            Ok(together(keys))
        }
        Some(b'0'..=b'9' | b'*' | b'$') => cursor.sequence_set().map(SearchKey::Sequence),
        _ => worded(cursor, depth),
    }
}

/// `"(" search-key *(SP search-key) ")"`.
fn parenthesised(cursor: &mut Cursor<'_>, depth: usize, keys: &mut Vec<SearchKey>) -> Parsed<()> {
    cursor.expect(b'(', "A search key is wanted")?;
    cursor.spaces();
    loop {
        keys.push(key(cursor, depth)?);
        let at = cursor.at();
        cursor.spaces();
        if cursor.take(b')') {
            return Ok(());
        }
        if cursor.at() == at {
            return cursor.wrong("A space or a parenthesis is wanted");
        }
    }
}

fn worded(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
    use SearchKey::*;
    let at = cursor.at();
    let word = cursor.word("A search key is wanted")?;
    Ok(match word.as_str() {
        "ALL" => All,
        "ANSWERED" => Answered,
        "DELETED" => Deleted,
        "DRAFT" => Draft,
        "FLAGGED" => Flagged,
        "NEW" => New,
        "OLD" => Old,
        "RECENT" => Recent,
        "SEEN" => Seen,
        "UNANSWERED" => Unanswered,
        "UNDELETED" => Undeleted,
        "UNDRAFT" => Undraft,
        "UNFLAGGED" => Unflagged,
        "UNSEEN" => Unseen,
        "SAVEDATESUPPORTED" => SaveDateSupported,
        _ => {
            if cursor.peek() != Some(b' ') {
                let why = "SEARCH does not know this key, or it wants an argument";
                return Err(SyntaxError::bad(why, at).into());
            }
            cursor.sp()?;
            return with_argument(cursor, &word, depth, at);
        }
    })
}

fn with_argument(cursor: &mut Cursor<'_>, word: &str, depth: usize, at: usize) -> Parsed<SearchKey> {
    use SearchKey::*;
    Ok(match word {
        "BCC" => Bcc(cursor.text()?),
        "BODY" => Body(cursor.text()?),
        "CC" => Cc(cursor.text()?),
        "FROM" => From(cursor.text()?),
        "SUBJECT" => Subject(cursor.text()?),
        "TEXT" => Text(cursor.text()?),
        "TO" => To(cursor.text()?),
        "HEADER" => {
            let field = cursor.text()?;
            cursor.sp()?;
            Header(field, cursor.text()?)
        }
        "KEYWORD" => Keyword(cursor.atom("A keyword is wanted")?.into()),
        "UNKEYWORD" => Unkeyword(cursor.atom("A keyword is wanted")?.into()),
        "BEFORE" => Before(cursor.date()?),
        "ON" => On(cursor.date()?),
        "SINCE" => Since(cursor.date()?),
        "SENTBEFORE" => SentBefore(cursor.date()?),
        "SENTON" => SentOn(cursor.date()?),
        "SENTSINCE" => SentSince(cursor.date()?),
        "SAVEDBEFORE" => SavedBefore(cursor.date()?),
        "SAVEDON" => SavedOn(cursor.date()?),
        "SAVEDSINCE" => SavedSince(cursor.date()?),
        "LARGER" => Larger(cursor.number64()?),
        "SMALLER" => Smaller(cursor.number64()?),
        "OLDER" => Older(cursor.nz_number()?),
        "YOUNGER" => Younger(cursor.nz_number()?),
        "UID" => Uid(cursor.sequence_set()?),
        "EMAILID" => EmailId(object_id(cursor)?),
        "THREADID" => ThreadId(object_id(cursor)?),
        "MODSEQ" => modseq(cursor)?,
        "NOT" => Not(Box::new(key(cursor, depth)?)),
        "OR" => {
            let one = key(cursor, depth)?;
            cursor.sp()?;
            Or(Box::new(one), Box::new(key(cursor, depth)?))
        }
        _ => return Err(SyntaxError::bad("SEARCH does not know this key", at).into()),
    })
}

/// `objectid` (RFC 8474 section 7): 1 to 255 letters, digits, `_` and `-`.
fn object_id(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let at = cursor.at();
    let id = cursor.text()?;
    let valid = id.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-'));
    match valid && (1..=255).contains(&id.len()) {
        true => Ok(id),
        false => Err(SyntaxError::bad("An object id is wanted", at).into()),
    }
}

/// `[entry-name SP entry-type SP] mod-sequence-valzer` (RFC 7162 section 3.1.5).
fn modseq(cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
    if cursor.peek() != Some(b'"') {
        return Ok(SearchKey::ModSeq { entry: None, modseq: cursor.number64()? });
    }
    let at = cursor.at();
    let name = cursor.text()?;
    let Some(flag) = name.strip_prefix("/flags/").filter(|flag| !flag.is_empty()) else {
        return Err(SyntaxError::bad("MODSEQ knows entries /flags/...", at).into());
    };
    cursor.sp()?;
    let at = cursor.at();
    let entry_type = match cursor.word("all, priv or shared is wanted")?.as_str() {
        "ALL" => EntryType::All,
        "PRIV" => EntryType::Private,
        "SHARED" => EntryType::Shared,
        _ => return Err(SyntaxError::bad("all, priv or shared is wanted", at).into()),
    };
    cursor.sp()?;
    Ok(SearchKey::ModSeq { entry: Some((flag.into(), entry_type)), modseq: cursor.number64()? })
}
