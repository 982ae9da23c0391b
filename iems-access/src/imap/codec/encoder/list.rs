//! What is told of mailboxes (RFC 9051 section 7.3).

use bytes::BytesMut;

use crate::imap::types::{ListAttribute, ListData, Namespace, SpecialUse, StatusItem};

use super::Encoder;
use super::string::{list, print, quoted};

impl Encoder {
    /// `LIST`, `LSUB`.
    pub(super) fn list(self, word: &[u8], data: &ListData, out: &mut BytesMut) {
        out.extend_from_slice(word);
        list(&data.attributes, out, |attribute, out| print(attribute_name(attribute), out));
        out.extend_from_slice(b" ");
        delimiter(data.delimiter, out);
        out.extend_from_slice(b" ");
        self.mailbox(&data.mailbox, out);
        if data.child_info.is_empty() && data.old_name.is_none() {
            return;
        }
        out.extend_from_slice(b" (");
        if !data.child_info.is_empty() {
            out.extend_from_slice(b"\"CHILDINFO\" ");
            list(&data.child_info, out, |option, out| quoted(option.as_bytes(), out));
        }
        if let Some(name) = &data.old_name {
            let space: &[u8] = if data.child_info.is_empty() { b"" } else { b" " };
            out.extend_from_slice(space);
            out.extend_from_slice(b"\"OLDNAME\" (");
            self.mailbox(name, out);
            out.extend_from_slice(b")");
        }
        out.extend_from_slice(b")");
    }

    /// Namespaces of one class.
    pub(super) fn namespaces(self, names: &[Namespace], out: &mut BytesMut) {
        if names.is_empty() {
            return out.extend_from_slice(b"NIL");
        }
        out.extend_from_slice(b"(");
        for name in names {
            out.extend_from_slice(b"(");
            match self.utf8 {
                true => self.string(name.prefix.as_bytes(), out),
                false => self.string(super::super::mutf7::encode(&name.prefix).as_bytes(), out),
            }
            out.extend_from_slice(b" ");
            delimiter(name.delimiter, out);
            out.extend_from_slice(b")");
        }
        out.extend_from_slice(b")");
    }
}

fn delimiter(delimiter: Option<char>, out: &mut BytesMut) {
    match delimiter.and_then(|c| u8::try_from(c).ok()) {
        Some(octet @ b' '..=b'~') => quoted(&[octet], out),
        _ => out.extend_from_slice(b"NIL"),
    }
}

fn attribute_name(attribute: &ListAttribute) -> &str {
    match attribute {
        ListAttribute::NonExistent => "\\NonExistent",
        ListAttribute::NoSelect => "\\Noselect",
        ListAttribute::NoInferiors => "\\Noinferiors",
        ListAttribute::HasChildren => "\\HasChildren",
        ListAttribute::HasNoChildren => "\\HasNoChildren",
        ListAttribute::Marked => "\\Marked",
        ListAttribute::Unmarked => "\\Unmarked",
        ListAttribute::Subscribed => "\\Subscribed",
        ListAttribute::Remote => "\\Remote",
        ListAttribute::NoAccess => "\\NoAccess",
        ListAttribute::SpecialUse(special) => special_name(special),
    }
}

const fn special_name(special: &SpecialUse) -> &str {
    match special {
        SpecialUse::All => "\\All",
        SpecialUse::Archive => "\\Archive",
        SpecialUse::Drafts => "\\Drafts",
        SpecialUse::Flagged => "\\Flagged",
        SpecialUse::Important => "\\Important",
        SpecialUse::Junk => "\\Junk",
        SpecialUse::Sent => "\\Sent",
        SpecialUse::Trash => "\\Trash",
        SpecialUse::Other(_) => "\\Other",
    }
}

/// One item of `STATUS`.
pub(super) fn status_item(item: &StatusItem, out: &mut BytesMut) {
    match item {
        StatusItem::Messages(n) => print(format_args!("MESSAGES {n}"), out),
        StatusItem::Recent(n) => print(format_args!("RECENT {n}"), out),
        StatusItem::UidNext(n) => print(format_args!("UIDNEXT {n}"), out),
        StatusItem::UidValidity(n) => print(format_args!("UIDVALIDITY {n}"), out),
        StatusItem::Unseen(n) => print(format_args!("UNSEEN {n}"), out),
        StatusItem::Deleted(n) => print(format_args!("DELETED {n}"), out),
        StatusItem::DeletedStorage(n) => print(format_args!("DELETED-STORAGE {n}"), out),
        StatusItem::Size(n) => print(format_args!("SIZE {n}"), out),
        StatusItem::HighestModSeq(n) => print(format_args!("HIGHESTMODSEQ {n}"), out),
        StatusItem::MailboxId(id) => print(format_args!("MAILBOXID ({id})"), out),
        StatusItem::AppendLimit(Some(n)) => print(format_args!("APPENDLIMIT {n}"), out),
        StatusItem::AppendLimit(None) => out.extend_from_slice(b"APPENDLIMIT NIL"),
    }
}
