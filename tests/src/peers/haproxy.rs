//! HAProxy: a real proxy in front of our listeners, that says in a PROXY header whose a connection is.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};

use tempfile::TempDir;

use crate::address;
use crate::process::{Daemon, command, need, tail};
use crate::wait::{secs, wait_for};

/// A running HAProxy.
pub struct Haproxy {
    /// Where it listens, in the order of the ways.
    pub at: Vec<SocketAddrV4>,
    _daemon: Daemon,
    _dir: TempDir,
}

impl Haproxy {
    /// Starts one that connects from `source`. Each way is a server of ours, and the word for its PROXY header: `send-proxy` or
    /// `send-proxy-v2`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(source: Ipv4Addr, ways: &[(SocketAddrV4, &str)]) -> Self {
        let program = need("haproxy", "haproxy");
        let dir = TempDir::with_prefix("haproxy-").expect("a temporary folder");
        let ip = address::fresh();
        let mut text =
            "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n"
                .to_owned();
        let mut at = Vec::new();
        for (number, (server, header)) in ways.iter().enumerate() {
            let here = SocketAddrV4::new(ip, 3000 + u16::try_from(number).expect("few ways"));
            let _ = write!(
                text,
                "listen way{number}\n  bind {here}\n  source {source}\n  server ours {server} {header}\n"
            );
            at.push(here);
        }
        let file = dir.path().join("haproxy.cfg");
        std::fs::write(&file, text).expect("a file");
        let log = dir.path().join("haproxy.log");
        let mut daemon = Daemon::start(command(&program, ["-db", "-f"]).arg(&file), &log);
        for here in &at {
            wait_for("HAProxy to listen", secs(10), || {
                assert!(daemon.ended().is_none(), "HAProxy ended: {}", tail(&log, 20));
                std::net::TcpStream::connect(here).ok()
            });
        }
        Self { at, _daemon: daemon, _dir: dir }
    }
}
