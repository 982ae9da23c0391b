//! Ruby's own library for IMAP, `net/imap`.

use std::net::SocketAddrV4;
use std::path::Path;

use crate::process::{Said, command, need, run};

/// Plays a day of a program that uses it, under TLS, at an account with a quota of 1 GiB, which shares a mailbox with
/// `other`; both have the same password.
pub fn day(server: SocketAddrV4, authority: &Path, user: &str, other: &str, password: &str) -> Said {
    let what = serde_json::json!([server.ip().to_string(), server.port(), authority, user, other, password]);
    let script = include_str!("netimap.rb");
    run(&mut command(&need("ruby", "ruby"), ["-EUTF-8", "-e", script, "--", &what.to_string()]), b"")
}
