//! Files of Dovecot and Courier beside the mail: keywords, order, subscriptions, rights.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::names::{escaped, part_of};
use crate::mailbox::Uid;

/// The file that says which letter is which keyword.
pub(super) const KEYWORDS: &str = "dovecot-keywords";
/// The file that says which UID a file has.
pub(super) const UIDLIST: &str = "dovecot-uidlist";
/// The most of such a file that is read, in octets.
const MOST: u64 = 64 << 20;

fn text_of(file: &Path) -> Option<String> {
    let size = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?.len();
    (size <= MOST).then_some(())?;
    Some(String::from_utf8_lossy(&std::fs::read(file).ok()?).into_owned())
}

/// Which letter is which keyword in a Maildir.
pub(super) fn keywords(folder: &Path) -> BTreeMap<char, String> {
    let text = text_of(&folder.join(KEYWORDS)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let (number, name) = line.split_once(' ')?;
        let letter = number.parse::<u8>().ok().filter(|number| *number < 26)?;
        Some((char::from(b'a' + letter), name.to_owned()))
    });
    lines.collect()
}

/// What a server says of the UIDs of a Maildir.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UidList {
    /// The UIDVALIDITY, if it is said.
    pub(super) validity: Option<u32>,
    /// The UIDNEXT, at least.
    pub(super) next: u64,
    /// UIDs by the names of files without flags.
    pub(super) uids: HashMap<String, u32>,
}

/// The UIDs of the files of a Maildir (`dovecot-uidlist` in its versions 1 and 3, `courierimapuiddb`).
pub(super) fn uidlist_of(folder: &Path) -> UidList {
    let text = [UIDLIST, "courierimapuiddb"].iter().find_map(|name| text_of(&folder.join(name)));
    let text = text.unwrap_or_default();
    let mut lines = text.lines();
    let head: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let field = |letter| head.iter().find_map(|field| field.strip_prefix(letter)).unwrap_or_default();
    let (validity, next) = match head[..] {
        ["3", ..] => (field('V').parse().ok(), field('N').parse().ok()),
        ["1", validity, next, ..] => (validity.parse().ok(), next.parse().ok()),
        _ => (None, None),
    };
    let mut list = UidList { validity, next: next.unwrap_or(1), uids: HashMap::new() };
    let mut taken = HashSet::new();
    for line in lines {
        let Some((uid, rest)) = line.split_once(' ') else { continue };
        let name = match rest.split_once(" :") {
            Some((_, name)) => name,
            None => rest.strip_prefix(':').unwrap_or(rest),
        };
        // What has the UID of another has none.
        let Some(uid) = uid.parse().ok().filter(|uid| *uid > 0 && taken.insert(*uid)) else { continue };
        list.next = list.next.max(u64::from(uid) + 1);
        list.uids.insert(bare(name).to_owned(), uid);
    }
    list
}

/// Such a file, for the messages of a mailbox in the order of their UIDs.
pub(super) fn uidlist(validity: u32, next: u64, files: &[(Uid, String)]) -> String {
    use std::fmt::Write;
    let mut text = format!("3 V{validity} N{next}\n");
    for (uid, name) in files {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} :{name}", uid.0);
    }
    text
}

/// The name of a file without its flags.
pub(super) fn bare(name: &str) -> &str {
    name.rsplit_once(":2,").map_or(name, |(name, _)| name)
}

/// The mailboxes that an account subscribed to; `None` if nothing says so. `dots` tells that names in old files of Dovecot
/// have dots between their parts.
pub(super) fn subscriptions(root: &Path, dots: bool) -> Option<BTreeSet<String>> {
    let courier = || {
        let text = text_of(&root.join("courierimapsubscribed"))?;
        let names = text.lines().map(|line| line.strip_prefix("INBOX.").unwrap_or(line));
        Some(names.map(|name| path(name.split('.'))).collect())
    };
    let Some(text) = ["subscriptions", ".subscriptions"].iter().find_map(|name| text_of(&root.join(name)))
    else {
        return courier();
    };
    let mut lines = text.lines().peekable();
    let delimiter = match lines.next_if(|line| line.starts_with("V\t")) {
        Some(_) => '\t',
        None if dots => '.',
        None => '/',
    };
    Some(lines.filter(|line| !line.is_empty()).map(|line| path(line.split(delimiter))).collect())
}

/// The file that says so.
pub(super) fn subscribed(paths: &[String]) -> String {
    let line = |path: &String| path.split('/').map(escaped).collect::<Vec<_>>().join("\t") + "\n";
    format!("V\t2\n\n{}", paths.iter().map(line).collect::<String>())
}

fn path<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let path = parts.map(part_of).collect::<Vec<_>>().join("/");
    match path.eq_ignore_ascii_case("INBOX") {
        true => "INBOX".into(),
        false => path,
    }
}

/// The lines of the access control list of a mailbox: the first 500.
pub(super) fn rights(folder: &Path) -> Vec<String> {
    let text = text_of(&folder.join("dovecot-acl")).unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.chars().take(500).collect()).take(500).collect()
}

/// What a folder without mail for us holds, if it is known, and what to do then.
pub(super) fn other_store(folder: &Path) -> Option<&'static str> {
    let has = |name: &str| folder.join(name).exists();
    if has("storage") || has("mailboxes") || has("dbox-Mails") {
        return Some(
            "it is Dovecot's dbox; let `doveadm backup -u USER maildir:FOLDER:LAYOUT=fs` make a Maildir of it",
        );
    }
    if ["cyrus.index", "cyrus.header"].iter().any(|name| has(name)) {
        return Some("it is the spool of Cyrus; bring its mail over by IMAP, with imapsync for example");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_both_versions_are_read() {
        let folder = tempfile::TempDir::new().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("dovecot-uidlist", "3 V1 N21 Gabc\n1 G17.a :17.a,S=1\n7 W9 :18.b:2,S\n9 :19.c\nx\n");
        let UidList { validity, next, uids } = uidlist_of(folder.path());
        assert_eq!((uids["17.a,S=1"], uids["18.b"], uids["19.c"], uids.len()), (1, 7, 9, 3));
        assert_eq!((validity, next), (Some(1), 21));
        write("dovecot-uidlist", "1 1275660208 25006\n25005 1276528487.M.x,S=1\n25005 twice\n0 x\n");
        let UidList { validity, next, uids } = uidlist_of(folder.path());
        assert_eq!((uids["1276528487.M.x,S=1"], uids.len()), (25005, 1));
        assert_eq!((validity, next), (Some(1275660208), 25006));
        std::fs::rename(folder.path().join("dovecot-uidlist"), folder.path().join("courierimapuiddb"))
            .unwrap();
        assert_eq!(uidlist_of(folder.path()).validity, Some(1275660208));
        write("dovecot-uidlist", "3 Vx N5\n9 :19.c\n");
        let UidList { validity, next, uids } = uidlist_of(folder.path());
        assert_eq!((validity, next, uids.len()), (None, 10, 1));
        write("courierimapsubscribed", "INBOX\nINBOX.Sent.2025\n");
        let told = |dots| subscriptions(folder.path(), dots).unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(told(true), ["INBOX", "Sent/2025"]);
        write("subscriptions", "V\t2\n\nInbox\nProjekte\tA\\2eB\nEntw&APw-rfe\n");
        assert_eq!(told(true), ["Entwürfe", "INBOX", "Projekte/A.B"]);
        write("subscriptions", "Work.2026\na/b\n");
        assert_eq!(told(true), ["Work/2026", "a_b"]);
        assert_eq!(told(false), ["Work.2026", "a/b"]);
        assert_eq!(rights(folder.path()), Vec::<String>::new());
        write("dovecot-acl", "# all\nuser=bob lrs\nanyone l\n");
        assert_eq!(rights(folder.path()), ["user=bob lrs", "anyone l"]);
    }
}
