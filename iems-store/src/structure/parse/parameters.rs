//! `Content-Type`, `Content-Disposition` and the like: a value, and parameters behind semicolons (RFC 2045 section 5.1,
//! RFC 2231 section 3).

use bytes::Bytes;

use super::lex::{Broken, Lexer, More};
use crate::structure::{Media, Parameters};

/// The most parameters of one field.
const MOST: usize = 1000;

/// `Content-Type`.
pub(super) fn media(value: &[u8]) -> Media {
    let mut lexer = Lexer::new(value);
    let (mut main, mut sub) = (Vec::new(), Vec::new());
    let whole = media_type(&mut lexer, &mut main, &mut sub);
    // Behind a type that is none, nothing is read on.
    let parameters = if whole.is_ok() { parameters(&mut lexer) } else { Parameters::new() };
    Media { main: main.into(), sub: sub.into(), parameters }
}

fn media_type(lexer: &mut Lexer<'_>, main: &mut Vec<u8>, sub: &mut Vec<u8>) -> More {
    if !lexer.skip()? || !lexer.token(main)? || !lexer.is(b'/') {
        return Err(Broken);
    }
    lexer.bump();
    if !lexer.skip()? {
        return Err(Broken);
    }
    lexer.token(sub)
}

/// `Content-Disposition`.
pub(super) fn disposition(value: &[u8]) -> Option<(Bytes, Parameters)> {
    let mut lexer = Lexer::new(value);
    let mut kind = Vec::new();
    lexer.skip().and_then(|_| lexer.token(&mut kind)).ok()?;
    let parameters = parameters(&mut lexer);
    Some((kind.into(), parameters))
}

/// `Content-Transfer-Encoding`: a single token, or nothing that can be relied on.
pub(super) fn encoding(value: &[u8]) -> Option<Bytes> {
    let mut lexer = Lexer::new(value);
    let mut token = Vec::new();
    let more = lexer.skip().and_then(|_| lexer.token(&mut token));
    (more == Ok(false) && !token.is_empty()).then(|| token.into())
}

/// `Content-Language`: tags with commas between them (RFC 3282).
pub(super) fn languages(value: &[u8]) -> Vec<Bytes> {
    let mut lexer = Lexer::new(value);
    let mut tags = Vec::new();
    let mut more = lexer.skip();
    while more == Ok(true) && tags.len() < MOST {
        let mut tag = Vec::new();
        more = lexer.atom(&mut tag);
        if !tag.is_empty() {
            tags.push(tag.into());
        }
        if more != Ok(true) || !lexer.is(b',') {
            break;
        }
        lexer.bump();
        more = lexer.skip();
    }
    tags
}

/// A piece of a parameter that RFC 2231 splits or encodes.
struct Piece {
    name: Vec<u8>,
    number: u32,
    encoded: bool,
    /// As it was written: `name*0*`.
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Parameters up to the end of the field. What cannot be read is passed over up to the next semicolon.
fn parameters(lexer: &mut Lexer<'_>) -> Parameters {
    let mut plain = Parameters::new();
    let mut pieces = Vec::new();
    while lexer.peek().is_some() && plain.len() + pieces.len() < MOST {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        if parameter(lexer, &mut key, &mut value).is_err() {
            lexer.bump();
            continue;
        }
        match split(&key) {
            Some((name, number, encoded)) => pieces.push(Piece { name, number, encoded, key, value }),
            None => plain.push((key.into(), value.into())),
        }
    }
    join(pieces, &mut plain);
    plain
}

fn parameter(lexer: &mut Lexer<'_>, key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<(), Broken> {
    if !lexer.is(b';') {
        return Err(Broken);
    }
    lexer.bump();
    if !lexer.skip()? || !lexer.token(key)? || !lexer.is(b'=') {
        return Err(Broken);
    }
    lexer.bump();
    if !lexer.skip()? {
        return Err(Broken);
    }
    match lexer.peek() {
        Some(b'"') => lexer.quoted(value)?,
        // An encoded word without quotes, which many programs write.
        Some(b'=') => lexer.until_space(value)?,
        _ => lexer.token(value)?,
    };
    Ok(())
}

/// `name*`, `name*1` or `name*1*`: the name, the number, and whether it is encoded.
fn split(key: &[u8]) -> Option<(Vec<u8>, u32, bool)> {
    let star = key.iter().position(|octet| *octet == b'*')?;
    let (name, rest) = (&key[..star], &key[star + 1..]);
    let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let number = match digits {
        0 => 0,
        _ => str::from_utf8(&rest[..digits]).ok()?.parse().ok()?,
    };
    match (digits, &rest[digits..]) {
        (0, b"") => Some((name.to_vec(), 0, true)),
        (0, _) => None,
        (_, b"") => Some((name.to_vec(), number, false)),
        (_, b"*") => Some((name.to_vec(), number, true)),
        _ => None,
    }
}

/// Joins pieces that are all there; others stay as they were written.
fn join(mut pieces: Vec<Piece>, into: &mut Parameters) {
    pieces.sort_by(|a, b| lower(&a.name).cmp(lower(&b.name)).then(a.number.cmp(&b.number)));
    for same in pieces.chunk_by(|a, b| a.name.eq_ignore_ascii_case(&b.name)) {
        let whole = same.iter().zip(0..).all(|(piece, number)| piece.number == number);
        if !whole {
            into.extend(same.iter().map(|piece| (piece.key.clone().into(), piece.value.clone().into())));
            continue;
        }
        let encoded = same.iter().any(|piece| piece.encoded);
        let mut name = same[0].name.clone();
        let mut value = Vec::new();
        if encoded && !same[0].encoded {
            // No character set and no language, whose delimiters have to be there (RFC 2231 section 4).
            value.extend_from_slice(b"''");
        }
        for piece in same {
            match encoded && !piece.encoded {
                true => percent(&piece.value, &mut value),
                false => value.extend_from_slice(&piece.value),
            }
        }
        if encoded {
            name.push(b'*');
        }
        into.push((name.into(), value.into()));
    }
}

fn lower(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

/// A plain piece among encoded ones, encoded as they are (RFC 2231 section 4.1).
fn percent(value: &[u8], into: &mut Vec<u8>) {
    for octet in value {
        match octet.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(octet) {
            true => into.push(*octet),
            false => into.extend_from_slice(format!("%{octet:02x}").as_bytes()),
        }
    }
}
