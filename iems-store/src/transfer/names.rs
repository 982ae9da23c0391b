//! Mailboxes and the folders that stand for them.

use std::path::{Path, PathBuf};

use super::{TransferError, entries};

/// How deep folders are looked into.
const DEPTH: usize = 20;

/// The folder of a mailbox below `root`. Parts that would mean something else are written with `%`, which no mailbox has.
pub(super) fn folder_of(root: &Path, path: &str) -> PathBuf {
    path.split('/').fold(root.to_owned(), |folder, part| folder.join(escaped(part)))
}

fn escaped(part: &str) -> String {
    let special = part.starts_with('.') || matches!(part, "cur" | "new" | "tmp") || part.ends_with(".mbox");
    match part.as_bytes().first() {
        Some(first) if special => format!("%{first:02X}{}", part.get(1..).unwrap_or_default()),
        _ => part.to_owned(),
    }
}

/// The part of a mailbox's path that a file or folder stands for.
pub(super) fn part_of(name: &str) -> String {
    let escape = name.strip_prefix('%').and_then(|rest| rest.split_at_checked(2));
    let letter = escape.and_then(|(digits, rest)| Some((u8::from_str_radix(digits, 16).ok()?, rest)));
    match letter {
        Some((letter, rest)) => format!("{}{rest}", char::from(letter)),
        None => name.to_owned(),
    }
}

/// The parts of a name in a Maildir++, such as `.Work.2026`, which are in modified UTF-7 (RFC 3501 section 5.1.3).
pub(super) fn maildir_parts(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix('.').filter(|rest| !rest.is_empty())?;
    Some(rest.split('.').map(|part| decoded(part).unwrap_or_else(|| part.to_owned())).collect())
}

/// A name out of modified UTF-7; `None` if it is none.
fn decoded(name: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = name;
    while let Some((plain, shifted)) = rest.split_once('&') {
        text.push_str(plain);
        let (letters, after) = shifted.split_once('-')?;
        rest = after;
        if letters.is_empty() {
            text.push('&');
            continue;
        }
        let (mut bits, mut held, mut units) = (0u32, 0, Vec::new());
        for letter in letters.bytes() {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b',' => 63,
                _ => return None,
            };
            (bits, held) = (bits << 6 | u32::from(value), held + 6);
            if held >= 16 {
                held -= 16;
                units.push((bits >> held & 0xFFFF) as u16);
                bits &= (1 << held) - 1;
            }
        }
        text.push_str(&String::from_utf16(&units).ok()?);
    }
    text.push_str(rest);
    Some(text)
}

/// Every folder below `root` for which `is_one` says so, and the mailbox it stands for; `into` stands for `root` itself.
pub(super) fn folders(
    root: &Path,
    into: &str,
    is_one: &dyn Fn(&Path) -> bool,
) -> Result<Vec<(PathBuf, String)>, TransferError> {
    let mut found = Vec::new();
    let mut next = vec![(root.to_owned(), Vec::<String>::new())];
    while let Some((folder, parts)) = next.pop() {
        if is_one(&folder) {
            found.push((folder.clone(), if parts.is_empty() { into.to_owned() } else { parts.join("/") }));
        }
        for entry in entries(&folder)? {
            let Some(name) = entry.file_name().and_then(|name| name.to_str()) else { continue };
            if !entry.is_dir()
                || entry.is_symlink()
                || matches!(name, "cur" | "new" | "tmp")
                || parts.len() >= DEPTH
            {
                continue;
            }
            let more = maildir_parts(name).unwrap_or_else(|| vec![part_of(name)]);
            next.push((entry.clone(), parts.iter().cloned().chain(more).collect()));
        }
    }
    found.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for part in ["Work", ".hidden", "cur", "a.b", "ü", "x.mbox"] {
            assert_eq!(part_of(&escaped(part)), part);
            assert!(!escaped(part).starts_with('.') && escaped(part) != "cur");
        }
        assert_eq!(maildir_parts(".Entw&APw-rfe.a&-b").unwrap(), ["Entwürfe", "a&b"]);
        assert_eq!(maildir_parts(".&U,BTFw-").unwrap(), ["台北"]);
        assert_eq!(maildir_parts("plain"), None);
    }
}
