//! Status responses and their codes (RFC 9051 section 7.1).

use bytes::BytesMut;

use crate::imap::types::{Code, Condition, PermanentFlag, Status};

use super::Encoder;
use super::string::{list, print, quoted, spaced};

pub(super) fn status(status: &Status, out: &mut BytesMut) {
    let word: &[u8] = match status.condition {
        Condition::Ok => b"OK ",
        Condition::No => b"NO ",
        Condition::Bad => b"BAD ",
        Condition::PreAuth => b"PREAUTH ",
        Condition::Bye => b"BYE ",
    };
    out.extend_from_slice(word);
    if let Some(shown) = &status.code {
        out.extend_from_slice(b"[");
        code(shown, out);
        out.extend_from_slice(b"] ");
    }
    text(&status.text, out);
}

/// `text`: what is no printable ASCII becomes `?`. It is never empty, and never looks like a code.
pub(super) fn text(text: &str, out: &mut BytesMut) {
    if text.is_empty() {
        out.extend_from_slice(b"Done");
    }
    for (at, c) in text.chars().enumerate() {
        let shown = match c {
            '[' if at == 0 => b'(',
            ' '..='~' => c as u8,
            _ => b'?',
        };
        out.extend_from_slice(&[shown]);
    }
}

fn code(code: &Code, out: &mut BytesMut) {
    match code {
        Code::AppendUid(validity, uids) => print(format_args!("APPENDUID {validity} {uids}"), out),
        Code::CopyUid(validity, from, to) => print(format_args!("COPYUID {validity} {from} {to}"), out),
        Code::Modified(set) => print(format_args!("MODIFIED {set}"), out),
        Code::HighestModSeq(modseq) => print(format_args!("HIGHESTMODSEQ {modseq}"), out),
        Code::UidNext(uid) => print(format_args!("UIDNEXT {uid}"), out),
        Code::UidValidity(validity) => print(format_args!("UIDVALIDITY {validity}"), out),
        Code::Unseen(number) => print(format_args!("UNSEEN {number}"), out),
        Code::MetadataLongEntries(octets) => print(format_args!("METADATA LONGENTRIES {octets}"), out),
        Code::MetadataMaxSize(octets) => print(format_args!("METADATA MAXSIZE {octets}"), out),
        Code::MailboxId(id) => print(format_args!("MAILBOXID ({id})"), out),
        Code::Capability(names) => {
            out.extend_from_slice(b"CAPABILITY ");
            spaced(names, out, print);
        }
        Code::BadCharset(names) => {
            out.extend_from_slice(b"BADCHARSET ");
            list(names, out, |name, out| Encoder::default().astring(name, out));
        }
        Code::BadEvent(names) => {
            out.extend_from_slice(b"BADEVENT ");
            list(names, out, print);
        }
        Code::BadUrl(url) => {
            // A client's words: no octet of them ends the code, the line or the string.
            let url: Vec<u8> = url.bytes().filter(|octet| (b' '..=b'~').contains(octet)).collect();
            out.extend_from_slice(b"BADURL ");
            quoted(&url, out);
        }
        Code::PermanentFlags(flags) => {
            out.extend_from_slice(b"PERMANENTFLAGS ");
            list(flags, out, |flag, out| match flag {
                PermanentFlag::Flag(flag) => print(flag, out),
                PermanentFlag::New => out.extend_from_slice(b"\\*"),
            });
        }
        _ => out.extend_from_slice(word(code).as_bytes()),
    }
}

/// Codes that are one word, or two.
const fn word(code: &Code) -> &'static str {
    match code {
        Code::Alert => "ALERT",
        Code::AlreadyExists => "ALREADYEXISTS",
        Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
        Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
        Code::Cannot => "CANNOT",
        Code::ClientBug => "CLIENTBUG",
        Code::Closed => "CLOSED",
        Code::CompressionActive => "COMPRESSIONACTIVE",
        Code::ContactAdmin => "CONTACTADMIN",
        Code::Corruption => "CORRUPTION",
        Code::Expired => "EXPIRED",
        Code::ExpungeIssued => "EXPUNGEISSUED",
        Code::HasChildren => "HASCHILDREN",
        Code::InUse => "INUSE",
        Code::Limit => "LIMIT",
        Code::MetadataNoPrivate => "METADATA NOPRIVATE",
        Code::MetadataTooMany => "METADATA TOOMANY",
        Code::NoModSeq => "NOMODSEQ",
        Code::NonExistent => "NONEXISTENT",
        Code::NoPerm => "NOPERM",
        Code::NotificationOverflow => "NOTIFICATIONOVERFLOW",
        Code::NotSaved => "NOTSAVED",
        Code::OverQuota => "OVERQUOTA",
        Code::PrivacyRequired => "PRIVACYREQUIRED",
        Code::ReadOnly => "READ-ONLY",
        Code::ReadWrite => "READ-WRITE",
        Code::ServerBug => "SERVERBUG",
        Code::TooBig => "TOOBIG",
        Code::TryCreate => "TRYCREATE",
        Code::UidNotSticky => "UIDNOTSTICKY",
        Code::UidRequired => "UIDREQUIRED",
        Code::Unavailable => "UNAVAILABLE",
        Code::UnknownCte => "UNKNOWN-CTE",
        Code::UseAttr => "USEATTR",
        _ => "PARSE",
    }
}
