//! Fields in which servers and mail programs keep flags, keywords and numbers of an mbox. They are not the message's.

use crate::mailbox::Flags;

/// Letters in `Status` and `X-Status`.
pub(super) const LETTERS: [(char, Flags); 5] = [
    ('R', Flags::SEEN),
    ('A', Flags::ANSWERED),
    ('F', Flags::FLAGGED),
    ('T', Flags::DRAFT),
    ('D', Flags::DELETED),
];
/// Bits of `X-Mozilla-Status`.
const BITS: [(u32, Flags); 3] = [(1, Flags::SEEN), (2, Flags::ANSWERED), (4, Flags::FLAGGED)];
/// The bit of a message that was deleted, and stands there until the folder is compacted.
const EXPUNGED: u32 = 8;
/// The bit of a message that was passed on.
const FORWARDED: u32 = 0x1000;

/// How the subject ends of the first message of c-client's mailboxes, which holds their numbers.
const INTERNAL: &[u8] = b"FOLDER INTERNAL DATA";

/// Who wrote a message into the file, as far as that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// We: such fields are the first three lines.
    Ours,
    /// Thunderbird and its like: what they set is theirs.
    Mozilla,
    /// Anybody else: fields of Mozilla came with the message, and say nothing.
    Other,
}

/// What the fields say.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) flags: Flags,
    pub(super) keywords: Vec<String>,
    /// It is no message any more, or never was.
    pub(super) gone: bool,
}

/// The header section without such fields, and what they say.
pub(super) fn sifted(header: &[u8], writer: Writer) -> (Vec<u8>, Marks) {
    let internal = memchr::memmem::find(header, INTERNAL).is_some();
    let (mut kept, mut marks, mut dropped) = (Vec::with_capacity(header.len()), Marks::default(), false);
    for (nth, line) in header.split_inclusive(|b| *b == b'\n').enumerate() {
        let continues = line.starts_with(b" ") || line.starts_with(b"\t");
        if !continues {
            let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(colon);
            let name = name.trim_ascii_end();
            dropped = match name.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"X-Mozilla-")) {
                true => writer == Writer::Mozilla && marks.take(name, value),
                false => (writer != Writer::Ours || nth < 3) && marks.take(name, value),
            };
            marks.gone |= internal && name.eq_ignore_ascii_case(b"X-IMAP");
        }
        if !dropped {
            kept.extend_from_slice(line);
        }
    }
    marks.keywords.dedup();
    (kept, marks)
}

impl Marks {
    /// Whether this is such a field; notes what it says.
    fn take(&mut self, name: &[u8], value: &[u8]) -> bool {
        let value = String::from_utf8_lossy(value.get(1..).unwrap_or_default());
        let value = value.trim();
        match name.to_ascii_lowercase().as_slice() {
            b"status" | b"x-status" => {
                let set = LETTERS.iter().filter(|(letter, _)| value.contains(*letter));
                self.flags = set.fold(self.flags, |all, (_, flag)| all | *flag);
            }
            b"x-keywords" | b"x-mozilla-keys" => {
                self.keywords.extend(value.split_ascii_whitespace().map(str::to_owned));
            }
            b"x-mozilla-status" => {
                let bits = u32::from_str_radix(value, 16).unwrap_or(0);
                let set = BITS.iter().filter(|(bit, _)| bits & bit != 0);
                self.flags = set.fold(self.flags, |all, (_, flag)| all | *flag);
                self.gone |= bits & EXPUNGED != 0;
                if bits & FORWARDED != 0 {
                    self.keywords.push("$Forwarded".into());
                }
            }
            b"x-imapbase" | b"x-uid" | b"content-length" | b"x-mozilla-status2" => {}
            _ => return false,
        }
        true
    }
}

/// How long the body is, as the first `Content-Length` of a header section has it.
pub(super) fn content_length(header: &[u8]) -> Option<usize> {
    header.split(|b| *b == b'\n').find_map(|line| {
        let colon = line.iter().position(|b| *b == b':')?;
        let (name, value) = line.split_at(colon);
        name.eq_ignore_ascii_case(b"Content-Length").then_some(())?;
        std::str::from_utf8(value.get(1..)?).ok()?.trim().parse().ok()
    })
}
