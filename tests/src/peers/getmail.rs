//! getmail: reads by POP3 or IMAP into a Maildir, and remembers what it has seen by UIDL and UID.

use std::net::SocketAddrV4;
use std::path::Path;

use super::private_file;
use crate::process::{Said, command, need, run};

/// Fetches once by POP3 into `dir/maildir`; `delete` removes messages from the server afterwards, and only new
/// messages are read.
pub fn fetch(dir: &Path, server: SocketAddrV4, user: &str, password: &str, delete: bool) -> Said {
    fetch_with(dir, server, user, password, "SimplePOP3Retriever", delete)
}

/// The same by IMAP, from all `mailboxes`.
pub fn fetch_imap(
    dir: &Path,
    server: SocketAddrV4,
    user: &str,
    password: &str,
    mailboxes: &[&str],
    delete: bool,
) -> Said {
    let mailboxes: String = mailboxes.iter().map(|name| format!("{name:?},")).collect();
    let retriever = format!("SimpleIMAPRetriever\nmailboxes = ({mailboxes})");
    fetch_with(dir, server, user, password, &retriever, delete)
}

fn fetch_with(
    dir: &Path,
    server: SocketAddrV4,
    user: &str,
    password: &str,
    retriever: &str,
    delete: bool,
) -> Said {
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(dir.join("maildir").join(part)).expect("a folder");
    }
    // It refuses to write as root, so a child of it writes; now and then it misses that child's end, and waits for as long
    // as its time for the network is.
    run(command("chown", ["-R", "nobody"]).arg(dir.join("maildir")), b"").good();
    let text = format!(
        "[retriever]\ntype = {retriever}\nserver = {}\nport = {}\nusername = {user}\npassword = {password}\ntimeout = 20\n\
         [destination]\ntype = Maildir\npath = {}/maildir/\nuser = nobody\n\
         [options]\nread_all = false\ndelete = {delete}\ndelivered_to = false\nreceived = false\n",
        server.ip(),
        server.port(),
        dir.display()
    );
    private_file(&dir.join("getmailrc"), &text);
    let program = need("getmail", "getmail6");
    let mut getmail = command(&program, ["--getmaildir"]);
    run(getmail.arg(dir).args(["--rcfile", "getmailrc"]).env("HOME", dir), b"")
}

/// What has been fetched, in no particular order.
pub fn fetched(dir: &Path) -> Vec<Vec<u8>> {
    files(&dir.join("maildir/new"))
}

/// The contents of all files in a folder; none if there is no folder.
pub fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    // A file may be moved between listing and reading: it is seen at the next look.
    entries.filter_map(|entry| std::fs::read(entry.ok()?.path()).ok()).collect()
}
