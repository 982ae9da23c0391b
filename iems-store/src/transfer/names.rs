//! Mailboxes and the folders that stand for them, in our own exports and with other servers.

use std::path::{Path, PathBuf};

use super::{Progress, TransferError, entries};
use crate::mailbox::fit_name;

/// How deep folders are looked into.
const DEPTH: usize = 20;
/// What is written with `%` and two digits: what would mean something else otherwise. No mailbox has a `%`.
const ESCAPED: [char; 8] = ['.', '&', '\\', 'c', 'n', 't', 'd', 's'];

/// The folder of a mailbox below `root`.
pub(super) fn folder_of(root: &Path, path: &str) -> PathBuf {
    path.split('/').fold(root.to_owned(), |folder, part| folder.join(escaped(part)))
}

/// The name of a folder that stands for a part of a path.
pub(super) fn escaped(part: &str) -> String {
    let escape = |c: char| format!("%{:02X}", u32::from(c));
    // What reads like a name in modified UTF-7 or with escapes of Dovecot's.
    let mut name: String = match decoded(part) != part {
        true => part.chars().map(|c| if matches!(c, '&' | '\\') { escape(c) } else { c.into() }).collect(),
        false => part.to_owned(),
    };
    if let Some(stem) = name.strip_suffix(".mbox") {
        name = format!("{stem}{}mbox", escape('.'));
    }
    match name.chars().next() {
        Some(first) if first == '.' || is_taken(&name) => {
            name.replace_range(..1, &escape(first));
        }
        _ => {}
    }
    name
}

/// Whether something else than a mailbox has this name in a folder of an export.
fn is_taken(name: &str) -> bool {
    matches!(name, "cur" | "new" | "tmp") || name.starts_with("dovecot-") || name.starts_with("subscriptions")
}

/// The part of a mailbox's path that a file or folder stands for: out of modified UTF-7 (RFC 3501 section 5.1.3), out of the
/// escapes of Dovecot's `listescape`, and out of our own.
fn decoded(name: &str) -> String {
    let name = unshifted(name).unwrap_or_else(|| name.to_owned());
    let name = unescaped(&name, '\\', |c| !c.is_control());
    unescaped(&name, '%', |c| ESCAPED.contains(&c))
}

/// With the characters for which two digits behind `mark` stand, where they may.
fn unescaped(name: &str, mark: char, may: fn(char) -> bool) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((plain, escape)) = rest.split_once(mark) {
        text.push_str(plain);
        let hex = escape.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let c = hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(u8::is_ascii).map(char::from);
        match c.filter(|c| may(*c)) {
            Some(c) => {
                text.push(c);
                rest = escape.get(2..).unwrap_or_default();
            }
            None => {
                text.push(mark);
                rest = escape;
            }
        }
    }
    text.push_str(rest);
    text
}

/// A name out of modified UTF-7; `None` if it is none.
fn unshifted(name: &str) -> Option<String> {
    if !name.is_ascii() {
        return None;
    }
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
        // What is shifted without need is a name in UTF-8 that looks like one in UTF-7.
        if units.is_empty() || held >= 6 || bits != 0 || units.iter().any(|unit| matches!(unit, 0x20..=0x7E))
        {
            return None;
        }
        text.push_str(&String::from_utf16(&units).ok()?);
    }
    text.push_str(rest);
    Some(text)
}

/// The part of a mailbox's path that a file or folder stands for, as a mailbox here may be called.
pub(super) fn part_of(name: &str) -> String {
    fit_name(&decoded(name))
}

/// The parts of a name in a Maildir++, such as `.Work.2026`.
fn maildir_parts(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix('.').filter(|rest| !rest.is_empty())?;
    Some(rest.split('.').filter(|part| !part.is_empty()).map(part_of).collect())
}

/// How folders are looked through.
pub(super) struct Search<'a> {
    /// Whether a folder is one of those that are looked for.
    pub is_one: &'a dyn Fn(&Path) -> bool,
    /// Whether they are Maildirs, where `.a.b` stands for `a/b`, and messages are in `cur` and `new`; else what begins with a dot is passed over.
    pub dots: bool,
    /// The end of a folder's name that says nothing.
    pub ending: &'a str,
}

impl Search<'_> {
    /// Every folder below `root` that is one, and the mailbox it stands for; `into` stands for `root` itself.
    pub(super) fn folders(
        &self,
        root: &Path,
        into: &str,
        progress: &mut Progress,
    ) -> Result<Vec<(PathBuf, String)>, TransferError> {
        let mut found = Vec::new();
        let mut next = vec![(root.to_owned(), Vec::<String>::new())];
        while let Some((folder, parts)) = next.pop() {
            if (self.is_one)(&folder) {
                found
                    .push((folder.clone(), if parts.is_empty() { into.to_owned() } else { parts.join("/") }));
            }
            let inner = match entries(&folder) {
                Ok(inner) => inner,
                Err(TransferError::File { error, .. }) if folder != root => {
                    progress.refuse(&folder, format!("the folder cannot be read: {error}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for entry in inner.into_iter().filter(|entry| entry.is_dir()) {
                let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let Some(more) = self.parts(&name) else {
                    // Dovecot has its indexes of mboxes in `.imap`.
                    if !self.dots && name != ".imap" {
                        progress.note(&entry, "a folder whose name begins with a dot is left out");
                    }
                    continue;
                };
                if entry.is_symlink() {
                    progress
                        .refuse(&entry, "a symbolic link to a folder is not followed; import it by itself");
                } else if parts.len() >= DEPTH {
                    progress.refuse(&entry, "it is more than 20 levels deep");
                } else {
                    next.push((entry, parts.iter().cloned().chain(more).collect()));
                }
            }
        }
        found.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        Ok(found)
    }

    /// What a folder adds to the path; `None` if it is passed over.
    fn parts(&self, name: &str) -> Option<Vec<String>> {
        match name.starts_with('.') {
            true if self.dots => maildir_parts(name),
            true => None,
            false if self.dots && matches!(name, "cur" | "new" | "tmp") => None,
            false => Some(vec![part_of(name.strip_suffix(self.ending).unwrap_or(name))]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let odd = ["R&-D", "a&APw-b", "a\\2eb", "100&", "c:\\", "ü.mbox", ".mbox", "..", "a.mbox.mbox", "&-"];
        for part in [
            "Work",
            ".hidden",
            "cur",
            "dovecot-uidlist",
            "subscriptions",
            "subscriptions.part",
            "a.b",
            "ü",
            "x.mbox",
        ]
        .into_iter()
        .chain(odd)
        {
            assert_eq!(part_of(&escaped(part)), part, "{}", escaped(part));
            assert!(!escaped(part).starts_with('.') && !is_taken(&escaped(part)));
            assert!(!escaped(part).ends_with(".mbox"));
        }
        assert_eq!(escaped("R&D"), "R&D");
    }

    #[test]
    fn names_of_others_are_understood() {
        assert_eq!(maildir_parts(".Entw&APw-rfe.a&-b").unwrap(), ["Entwürfe", "a&b"]);
        assert_eq!(maildir_parts(".&U,BTFw-").unwrap(), ["台北"]);
        assert_eq!(maildir_parts(".Entwürfe.R&D").unwrap(), ["Entwürfe", "R&D"]);
        assert_eq!(maildir_parts(".Work.A\\2eB.c\\2Fd").unwrap(), ["Work", "A.B", "c_d"]);
        assert_eq!(maildir_parts(".A&B-C.x&AGE-").unwrap(), ["A&B-C", "x&AGE-"]);
        assert_eq!(maildir_parts("..a.").unwrap(), ["a"]);
        assert_eq!(maildir_parts(".100%.a*").unwrap(), ["100_", "a_"]);
        assert_eq!(maildir_parts("plain"), None);
    }
}
