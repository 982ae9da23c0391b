//! Thunderbird, without a screen, driven by its own remote control.

use std::net::SocketAddrV4;
use std::path::Path;

use crate::process::{Said, command, need, run};

/// Plays a day of it at the account, under TLS; its profile goes into `dir`.
pub fn day(dir: &Path, server: SocketAddrV4, authority: &Path, user: &str, password: &str) -> Said {
    need("thunderbird", "thunderbird");
    let what = serde_json::json!([server.ip().to_string(), server.port(), authority, user, password, dir]);
    let script = include_str!("thunderbird.py");
    run(&mut command(&need("python3", "python3"), ["-c", script, &what.to_string()]), b"")
}
