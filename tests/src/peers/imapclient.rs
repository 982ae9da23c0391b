//! IMAPClient, a library for Python: from PyPI, kept in the cache folder.

use std::fs::File;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use crate::process::{Said, command, need, run};

/// Plays a day of a program that uses it, under TLS.
///
/// # Panics
/// If it is not there and cannot be fetched.
pub fn day(server: SocketAddrV4, authority: &Path, user: &str, password: &str) -> Said {
    let what = serde_json::json!([server.ip().to_string(), server.port(), authority, user, password]);
    let script = include_str!("imapclient.py");
    let mut python = command(&need("python3", "python3"), ["-c", script, &what.to_string()]);
    run(python.env("PYTHONPATH", fetched()), b"")
}

fn fetched() -> PathBuf {
    let folder = crate::cache().join("python");
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let lock = File::create(folder.join("lock")).expect("a lock in the cache");
    lock.lock().expect("the lock");
    if !folder.join("imapclient").is_dir() {
        let pip = need("pip3", "python3-pip");
        let mut pip =
            command(&pip, ["install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target"]);
        run(pip.arg(&folder).arg("IMAPClient"), b"").good();
    }
    folder
}
