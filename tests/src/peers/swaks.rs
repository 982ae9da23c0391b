//! swaks: the testing client that administrators use.

use std::net::SocketAddrV4;

use crate::process::{Said, command, need, run};

/// Runs swaks against a server with more arguments; `data` is the message (LF line ends are fine).
pub fn swaks(server: SocketAddrV4, args: &[&str], data: &[u8]) -> Said {
    let program = need("swaks", "swaks");
    let mut swaks = command(&program, ["--server", &server.ip().to_string(), "--port"]);
    swaks.arg(server.port().to_string()).args(["--helo", "client.example.test", "--timeout", "20"]);
    swaks.args(args);
    if !data.is_empty() {
        swaks.args(["--data", "-"]);
    }
    run(&mut swaks, data)
}
