//! Programs that read mail by IMAP: Python's `imaplib`, curl, mbsync.

use std::net::SocketAddrV4;
use std::path::Path;

use super::private_file;
use crate::process::{Said, command, need, run};

/// Plays a whole day of a mail program with two sessions under TLS.
pub fn imaplib(server: SocketAddrV4, authority: &Path, user: &str, password: &str) -> Said {
    let what =
        serde_json::json!([server.ip().to_string(), server.port(), authority, user, password]).to_string();
    run(&mut command(&need("python3", "python3"), ["-c", include_str!("imaplib.py"), &what]), b"")
}

/// Runs Python with a connection `imap` that is logged in without TLS.
pub fn python(server: SocketAddrV4, user: &str, password: &str, script: &str) -> Said {
    const BEGIN: &str = "
import sys, json, imaplib
host, port, user, password = json.loads(sys.argv[1])
imap = imaplib.IMAP4(host, port, timeout=60)
imap.login(user, password)
";
    let what = serde_json::json!([server.ip().to_string(), server.port(), user, password]).to_string();
    let script = format!("{BEGIN}{script}");
    run(&mut command(&need("python3", "python3"), ["-c", &script, &what]), b"")
}

/// Runs Python with a client that speaks to `server` octet by octet; see `imap_raw.py`. Mail is delivered at `smtp`.
pub fn raw(server: SocketAddrV4, smtp: SocketAddrV4, script: &str) -> Said {
    let both = [server, smtp].map(|at| serde_json::json!([at.ip().to_string(), at.port()]));
    let script = format!("{}{script}", include_str!("imap_raw.py"));
    let what = serde_json::json!(both).to_string();
    run(&mut command(&need("python3", "python3"), ["-c", &script, &what]), b"")
}

/// Synchronizes INBOX with the Maildir `dir/mail`, in both ways.
pub fn mbsync(dir: &Path, server: SocketAddrV4, user: &str, password: &str) -> Said {
    for folder in ["mail", "state"] {
        std::fs::create_dir_all(dir.join(folder)).expect("a folder");
    }
    let text = format!(
        "FSync no\n\nIMAPAccount here\nHost {}\nPort {}\nUser {user}\nPass {password}\nSSLType None\nAuthMechs PLAIN\n\n\
         IMAPStore far\nAccount here\n\n\
         MaildirStore near\nPath {dir}/mail/\nInbox {dir}/mail/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Both\nExpunge Both\nSyncState {dir}/state/\n",
        server.ip(),
        server.port(),
        dir = dir.display()
    );
    private_file(&dir.join("mbsyncrc"), &text);
    let program = need("mbsync", "isync");
    let mut mbsync = command(&program, ["--config"]);
    run(mbsync.arg(dir.join("mbsyncrc")).arg("--all").env("HOME", dir), b"")
}
