//! Untagged data (RFC 9051 section 7.2 to 7.5, and the extensions named in the types).

use bytes::BytesMut;

use crate::imap::types::{Data, ESearch, EntryValue, PartialRange, QuotaResource, QuotaUsage};

use super::Encoder;
use super::string::{list, number, print, spaced};
use super::thread::threads;

impl Encoder {
    /// A line of data, without its end.
    pub(super) fn data(self, data: &Data, out: &mut BytesMut) {
        out.extend_from_slice(b"* ");
        match data {
            Data::Capability(names) => words(b"CAPABILITY", names, out),
            Data::Enabled(names) => words(b"ENABLED", names, out),
            Data::Id(fields) => self.id(fields.as_deref(), out),
            Data::Flags(flags) => {
                out.extend_from_slice(b"FLAGS ");
                list(flags, out, print);
            }
            Data::Exists(count) => print(format_args!("{count} EXISTS"), out),
            Data::Recent(count) => print(format_args!("{count} RECENT"), out),
            Data::Expunge(number) => print(format_args!("{number} EXPUNGE"), out),
            Data::Vanished { earlier, uids } => {
                let earlier = if *earlier { "(EARLIER) " } else { "" };
                print(format_args!("VANISHED {earlier}{uids}"), out);
            }
            Data::Fetch { number, items } => self.fetch(b"FETCH", *number, items, out),
            Data::UidFetch { uid, items } => self.fetch(b"UIDFETCH", *uid, items, out),
            Data::List(data) => self.list(b"LIST ", data, out),
            Data::Lsub(data) => self.list(b"LSUB ", data, out),
            Data::Namespace { personal, other, shared } => {
                out.extend_from_slice(b"NAMESPACE ");
                spaced([personal, other, shared], out, |names, out| self.namespaces(names, out));
            }
            Data::Status { mailbox, items } => {
                self.named(b"STATUS ", mailbox, out);
                list(items, out, super::list::status_item);
            }
            Data::Search { numbers, modseq } => found(b"SEARCH", numbers, *modseq, out),
            Data::Sort { numbers, modseq } => found(b"SORT", numbers, *modseq, out),
            Data::ESearch(result) => self.esearch(result, out),
            Data::Thread(nodes) => threads(nodes, out),
            _ => self.rights_and_limits(data, out),
        }
    }

    /// ACL, quota, annotations.
    fn rights_and_limits(self, data: &Data, out: &mut BytesMut) {
        match data {
            Data::Quota { root, usage } => {
                out.extend_from_slice(b"QUOTA ");
                self.astring(root, out);
                out.extend_from_slice(b" ");
                list(usage, out, limit);
            }
            Data::QuotaRoot { mailbox, roots } => {
                out.extend_from_slice(b"QUOTAROOT ");
                self.mailbox(mailbox, out);
                self.each(roots, out);
            }
            Data::Acl { mailbox, entries } => {
                out.extend_from_slice(b"ACL ");
                self.mailbox(mailbox, out);
                self.each(entries.iter().flat_map(|entry| [&entry.identifier, &entry.rights]), out);
            }
            Data::ListRights { mailbox, identifier, required, optional } => {
                out.extend_from_slice(b"LISTRIGHTS ");
                self.mailbox(mailbox, out);
                self.each([identifier, required].into_iter().chain(optional), out);
            }
            Data::MyRights { mailbox, rights } => {
                self.named(b"MYRIGHTS ", mailbox, out);
                self.astring(rights, out);
            }
            Data::Metadata { mailbox, entries } => {
                self.named(b"METADATA ", mailbox, out);
                list(entries, out, |entry, out| self.annotation(entry, out));
            }
            Data::MetadataChanged { mailbox, entries } => {
                self.named(b"METADATA ", mailbox, out);
                spaced(entries, out, |entry, out| self.astring(entry, out));
            }
            _ => {}
        }
    }

    /// A word, a mailbox's name, a space.
    fn named(self, word: &[u8], mailbox: &str, out: &mut BytesMut) {
        out.extend_from_slice(word);
        self.mailbox(mailbox, out);
        out.extend_from_slice(b" ");
    }

    /// A space and an `astring`, each.
    fn each<'a>(self, texts: impl IntoIterator<Item = &'a String>, out: &mut BytesMut) {
        for text in texts {
            out.extend_from_slice(b" ");
            self.astring(text, out);
        }
    }

    fn annotation(self, entry: &EntryValue, out: &mut BytesMut) {
        self.astring(&entry.entry, out);
        out.extend_from_slice(b" ");
        match &entry.value {
            Some(value) if value.contains(&0) => super::string::literal8(value, out),
            value => self.nstring(value.as_deref(), out),
        }
    }

    fn id(self, fields: Option<&[(String, Option<String>)]>, out: &mut BytesMut) {
        out.extend_from_slice(b"ID ");
        let Some(fields) = fields else { return out.extend_from_slice(b"NIL") };
        list(fields, out, |(field, value), out| {
            self.string(field.as_bytes(), out);
            out.extend_from_slice(b" ");
            self.nstring(value.as_deref().map(str::as_bytes), out);
        });
    }

    fn esearch(self, result: &ESearch, out: &mut BytesMut) {
        out.extend_from_slice(b"ESEARCH");
        if let Some(tag) = &result.tag {
            out.extend_from_slice(b" (TAG ");
            self.string(tag.as_bytes(), out);
            out.extend_from_slice(b")");
        }
        if result.uid {
            out.extend_from_slice(b" UID");
        }
        if let Some(min) = result.min {
            print(format_args!(" MIN {min}"), out);
        }
        if let Some(max) = result.max {
            print(format_args!(" MAX {max}"), out);
        }
        if !result.all.is_empty() {
            out.extend_from_slice(b" ALL ");
            ranges(&result.all, out);
        }
        if let Some(count) = result.count {
            print(format_args!(" COUNT {count}"), out);
        }
        if let Some((range, numbers)) = &result.partial {
            partial(*range, numbers, out);
        }
        if let Some(modseq) = result.modseq {
            print(format_args!(" MODSEQ {modseq}"), out);
        }
    }
}

fn words(word: &[u8], names: &[String], out: &mut BytesMut) {
    out.extend_from_slice(word);
    for name in names {
        print(format_args!(" {name}"), out);
    }
}

fn found(word: &[u8], numbers: &[u32], modseq: Option<u64>, out: &mut BytesMut) {
    out.extend_from_slice(word);
    for found in numbers {
        out.extend_from_slice(b" ");
        number(*found, out);
    }
    // Nothing found tells no MODSEQ (RFC 7162 section 3.1.5).
    if let Some(modseq) = modseq.filter(|_| !numbers.is_empty()) {
        print(format_args!(" (MODSEQ {modseq})"), out);
    }
}

fn ranges(ranges: &[(u32, u32)], out: &mut BytesMut) {
    for (at, (start, end)) in ranges.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        match start == end {
            true => print(format_args!("{comma}{start}"), out),
            false => print(format_args!("{comma}{start}:{end}"), out),
        }
    }
}

/// `PARTIAL (range numbers)`; `NIL` for none (RFC 9394 section 3.1).
fn partial(range: PartialRange, numbers: &[(u32, u32)], out: &mut BytesMut) {
    let sign = if range.from_end { "-" } else { "" };
    print(format_args!(" PARTIAL ({sign}{}:{sign}{} ", range.first, range.last), out);
    match numbers.is_empty() {
        true => out.extend_from_slice(b"NIL"),
        false => ranges(numbers, out),
    }
    out.extend_from_slice(b")");
}

fn limit(usage: &QuotaUsage, out: &mut BytesMut) {
    let resource = match &usage.resource {
        QuotaResource::Storage => "STORAGE",
        QuotaResource::Message => "MESSAGE",
        QuotaResource::Mailbox => "MAILBOX",
        QuotaResource::AnnotationStorage => "ANNOTATION-STORAGE",
        QuotaResource::Other(name) => name,
    };
    print(format_args!("{resource} {} {}", usage.usage, usage.limit), out);
}
