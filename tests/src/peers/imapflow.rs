//! ImapFlow, a library for Node: from the npm registry, kept in the cache folder.

use std::fs::File;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Said, command, need, run};

/// Plays a day of a program that uses it, under TLS, at an account with a quota of 1 GiB.
///
/// # Panics
/// If it is not there and cannot be fetched.
pub fn day(server: SocketAddrV4, authority: &Path, user: &str, password: &str) -> Said {
    let what = serde_json::json!([server.ip().to_string(), server.port(), authority, user, password]);
    let mut node = command(&need("node", "nodejs"), ["-e", include_str!("imapflow.js"), &what.to_string()]);
    run(node.env("NODE_PATH", fetched()), b"")
}

fn fetched() -> PathBuf {
    let folder = crate::cache().join("node");
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let lock = File::create(folder.join("lock")).expect("a lock in the cache");
    lock.lock().expect("the lock");
    let modules = folder.join("node_modules");
    if !modules.join("imapflow").is_dir() {
        let mut npm = Command::new(need("npm", "npm"));
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&folder)
            .arg("imapflow");
        run(npm.current_dir(&folder), b"").good();
    }
    modules
}
