//! Knot DNS: the authoritative server that answers for the zones of a story, and refuses all others. Signed, it is the root of a
//! world of its own.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;

use tempfile::TempDir;

use crate::address;
use crate::iems::open_to_all;
use crate::process::{Daemon, need, run, tail};
use crate::wait::{secs, wait_for};

/// A running knotd.
pub struct Knot {
    /// Where it answers, by UDP and TCP.
    pub at: SocketAddrV4,
    dir: TempDir,
    daemon: Daemon,
}

impl Knot {
    /// Answers for `zones`: a name without a final dot, and lines in master file form without SOA and NS.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(zones: &[(&str, &str)]) -> Self {
        Self::serve(zones, "")
    }

    /// A signed root with these lines, whose key is [`Self::anchor`], and `zones` that are signed only where the root has
    /// their DS records. All names below the root exist as the lines say; none is delegated but by them.
    ///
    /// # Panics
    /// If it does not start, or does not sign.
    pub fn signed(root: &str, zones: &[(&str, &str)]) -> Self {
        let all: Vec<(&str, &str)> = [("", root)].into_iter().chain(zones.iter().copied()).collect();
        let knot = Self::serve(&all, "dnssec-signing: on");
        wait_for("the root to be signed", secs(20), || {
            knot.ask(".", "DNSKEY").contains("DNSKEY").then_some(()).filter(|()| !knot.anchor().is_empty())
        });
        knot
    }

    /// The key-signing key of the signed root, as a record.
    pub fn anchor(&self) -> String {
        self.ask(".", "DNSKEY")
            .lines()
            .filter(|line| line.contains("DNSKEY\t257 "))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    fn serve(zones: &[(&str, &str)], root: &str) -> Self {
        let dir = TempDir::with_prefix("knot-").expect("a temporary folder");
        open_to_all(dir.path());
        let at = SocketAddrV4::new(address::fresh(), 5353);
        let place = dir.path().display();
        let mut conf = format!(
            "server:\n    rundir: {place}\n    listen: {}@{}\n    udp-workers: 1\n    tcp-workers: 1\n    \
             background-workers: 1\ndatabase:\n    storage: {place}\nlog:\n  - target: stderr\n    any: info\n\
             template:\n  - id: default\n    storage: {place}\nzone:\n",
            at.ip(),
            at.port()
        );
        for (zone, lines) in zones {
            conf.push_str(&format!("  - domain: {zone}.\n    file: {zone}.zone\n"));
            if zone.is_empty() {
                conf.push_str(&format!("    {root}\n"));
            }
            write_zone(&dir, zone, at.ip(), lines);
        }
        let file = dir.path().join("knot.conf");
        std::fs::write(&file, conf).expect("a file in the story's folder");
        let mut command = Command::new(need("knotd", "knot"));
        let daemon = Daemon::start(command.arg("-c").arg(&file), &dir.path().join("knot.log"));
        let mut knot = Self { at, dir, daemon };
        knot.wait(zones[0].0);
        knot
    }

    fn wait(&mut self, zone: &str) {
        wait_for("knot to answer", secs(10), || {
            if let Some(code) = self.daemon.ended() {
                panic!("knotd ended with {code}:\n{}", tail(&self.dir.path().join("knot.log"), 20));
            }
            self.ask(&format!("{zone}."), "SOA").contains("SOA").then_some(())
        });
    }

    /// Asks it with kdig; the answer in short form.
    pub fn ask(&self, name: &str, kind: &str) -> String {
        let server = format!("@{}", self.at.ip());
        let mut kdig = Command::new(need("kdig", "knot-dnsutils"));
        kdig.args([&server, "-p", "5353", "+time=1", "+retry=0", "+noall", "+answer", name, kind]);
        run(&mut kdig, b"").out
    }
}

fn write_zone(dir: &TempDir, zone: &str, ip: &Ipv4Addr, lines: &str) {
    let text = format!(
        "$ORIGIN {zone}.\n$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A {ip}\n{lines}\n"
    );
    std::fs::write(dir.path().join(format!("{zone}.zone")), text).expect("a file in the story's folder");
}
