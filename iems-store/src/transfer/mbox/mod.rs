//! mbox: messages one behind the other, each after a line that begins with `From `. We write the variant mboxrd (lines of a
//! message that begin so have a `>` more, RFC 4155 appendix A), with flags and keywords in three fields in front. We read what others
//! write, too: lengths in `Content-Length`, flags and keywords in fields of Dovecot, c-client and Mozilla.
//!
//! `lines` with a way back · `fields` that are not the message's · `read` messages

mod fields;
mod lines;
mod read;

use iems_core::seam::Timestamp;

use crate::mailbox::Flags;
use fields::LETTERS;
pub(super) use read::{Next, Reader};

/// The sender in lines that we write.
const FROM: &str = "From MAILER-DAEMON ";

/// Appends a message.
pub(super) fn write(mbox: &mut Vec<u8>, octets: &[u8], received: Timestamp, flags: Flags, keywords: &[&str]) {
    let date = received.to_rfc5322();
    let parts: Vec<_> = date.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    if let [weekday, day, month, year, time, ..] = parts[..] {
        mbox.extend_from_slice(format!("{FROM}{weekday} {month} {day:>2} {time} {year}\n").as_bytes());
    }
    let letters = |which: &[usize]| {
        let set = which.iter().filter_map(|at| LETTERS.get(*at)).filter(|(_, flag)| flags.contains(*flag));
        set.map(|(letter, _)| *letter).collect::<String>()
    };
    let (seen, others, keywords) = (letters(&[0]), letters(&[1, 2, 3, 4]), keywords.join(" "));
    mbox.extend_from_slice(
        format!("Status: {seen}O\nX-Status: {others}\nX-Keywords: {keywords}\n").as_bytes(),
    );
    for line in octets.split_inclusive(|b| *b == b'\n') {
        let quoted = line.iter().take_while(|b| **b == b'>').count();
        if line.get(quoted..).is_some_and(|rest| rest.starts_with(b"From ")) {
            mbox.push(b'>');
        }
        let bare = line.strip_suffix(b"\r\n");
        mbox.extend_from_slice(bare.unwrap_or(line));
        if bare.is_some() {
            mbox.push(b'\n');
        }
    }
    if !mbox.ends_with(b"\n") {
        mbox.push(b'\n');
    }
    mbox.push(b'\n');
}

/// Whether a file begins as an mbox does.
pub(super) fn begins(file: &std::path::Path) -> std::io::Result<bool> {
    use std::io::Read;
    let mut start = Vec::new();
    std::fs::File::open(file)?.take(5).read_to_end(&mut start)?;
    Ok(start == b"From ")
}

#[cfg(test)]
mod tests;
