//! Access control lists (RFC 4314), quota (RFC 9208) and annotations (RFC 5464).

use crate::imap::types::{
    AclChange, CommandBody, EntryValue, MetadataDepth, MetadataOptions, QuotaLimit, QuotaResource,
};

use super::super::cursor::Cursor;
use super::super::error::{Parsed, SyntaxError};
use super::mailbox::one;

/// `SETACL`, `DELETEACL`, `LISTRIGHTS`: `SP mailbox SP identifier [SP mod-rights]`.
pub(super) fn acl(cursor: &mut Cursor<'_>, word: &str) -> Parsed<CommandBody> {
    let mailbox = one(cursor)?;
    cursor.sp()?;
    let identifier = cursor.text()?;
    match word {
        "DELETEACL" => return Ok(CommandBody::DeleteAcl { mailbox, identifier }),
        "LISTRIGHTS" => return Ok(CommandBody::ListRights { mailbox, identifier }),
        _ => cursor.sp()?,
    }
    let at = cursor.at();
    let rights = cursor.text()?;
    let (change, rights) = match (rights.strip_prefix('+'), rights.strip_prefix('-')) {
        (Some(rights), _) => (AclChange::Add, rights),
        (_, Some(rights)) => (AclChange::Remove, rights),
        _ => (AclChange::Replace, &*rights),
    };
    match rights.bytes().all(|right| right.is_ascii_lowercase() || right.is_ascii_digit()) {
        true => Ok(CommandBody::SetAcl { mailbox, identifier, change, rights: rights.into() }),
        false => Err(SyntaxError::bad("Rights are lower-case letters and digits", at).into()),
    }
}

/// `GETQUOTA SP root`, `SETQUOTA SP root SP "(" *(resource SP limit) ")"`.
pub(super) fn quota(cursor: &mut Cursor<'_>, word: &str) -> Parsed<CommandBody> {
    cursor.sp()?;
    let root = cursor.text()?;
    if word == "GETQUOTA" {
        return Ok(CommandBody::GetQuota(root));
    }
    cursor.sp()?;
    let limits = cursor.list("Limits in parentheses are wanted", |cursor| {
        let resource = match cursor.atom("A resource is wanted")?.to_ascii_uppercase().as_str() {
            "STORAGE" => QuotaResource::Storage,
            "MESSAGE" => QuotaResource::Message,
            "MAILBOX" => QuotaResource::Mailbox,
            "ANNOTATION-STORAGE" => QuotaResource::AnnotationStorage,
            other => QuotaResource::Other(other.into()),
        };
        cursor.sp()?;
        Ok(QuotaLimit { resource, limit: cursor.number64()? })
    })?;
    Ok(CommandBody::SetQuota { root, limits })
}

/// `[SP options] SP mailbox [SP options] SP entries`: the standard's examples have the options in both places.
pub(super) fn get_metadata(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mut options = MetadataOptions::default();
    cursor.sp()?;
    let first = cursor.peek() == Some(b'(');
    if first {
        metadata_options(cursor, &mut options)?;
        cursor.sp()?;
    }
    let mailbox = cursor.mailbox()?;
    cursor.sp()?;
    if !first && options_here(cursor) {
        metadata_options(cursor, &mut options)?;
        cursor.sp()?;
    }
    let entries = match cursor.peek() {
        Some(b'(') => cursor.list1("Entries are wanted", entry)?,
        _ => vec![entry(cursor)?],
    };
    Ok(CommandBody::GetMetadata { mailbox, options, entries })
}

/// Whether a list of options begins here, and not one of entries, which begin with a slash or as a string.
fn options_here(cursor: &mut Cursor<'_>) -> bool {
    let at = cursor.at();
    let list = cursor.take(b'(');
    cursor.spaces();
    let options = list && cursor.peek().is_some_and(|octet| octet.is_ascii_alphabetic());
    cursor.back_to(at);
    options
}

fn metadata_options(cursor: &mut Cursor<'_>, options: &mut MetadataOptions) -> Parsed<()> {
    cursor.list1("Options are wanted", |cursor| {
        let at = cursor.at();
        match cursor.word("An option is wanted")?.as_str() {
            "MAXSIZE" => {
                cursor.sp()?;
                options.max_size = Some(cursor.number64()?);
            }
            "DEPTH" => {
                cursor.sp()?;
                options.depth = depth(cursor)?;
            }
            _ => return Err(SyntaxError::bad("GETMETADATA knows MAXSIZE and DEPTH", at).into()),
        }
        Ok(())
    })?;
    Ok(())
}

fn depth(cursor: &mut Cursor<'_>) -> Parsed<MetadataDepth> {
    let at = cursor.at();
    match cursor.word("A depth is wanted")?.as_str() {
        "0" => Ok(MetadataDepth::Zero),
        "1" => Ok(MetadataDepth::One),
        "INFINITY" => Ok(MetadataDepth::Infinity),
        _ => Err(SyntaxError::bad("A depth is 0, 1 or infinity", at).into()),
    }
}

/// `entry` (RFC 5464 section 3.1): printable ASCII, levels behind slashes, none empty, no wildcards.
pub(super) fn entry(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let at = cursor.at();
    let entry = cursor.text()?;
    let levels = entry.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|level| !level.is_empty()));
    let printable = entry.bytes().all(|octet| (b' '..0x7f).contains(&octet) && !matches!(octet, b'*' | b'%'));
    match levels && printable {
        true => Ok(entry),
        false => Err(SyntaxError::bad("An entry is wanted: /private/comment", at).into()),
    }
}

/// `SP mailbox SP "(" entry SP value ... ")"`.
pub(super) fn set_metadata(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mailbox = one(cursor)?;
    cursor.sp()?;
    let entries = cursor.list1("Entries and values are wanted", |cursor| {
        let entry = entry(cursor)?;
        cursor.sp()?;
        Ok(EntryValue { entry, value: cursor.value()?.map(Into::into) })
    })?;
    Ok(CommandBody::SetMetadata { mailbox, entries })
}
