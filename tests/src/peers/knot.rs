//! Knot DNS: the authoritative server that answers for the zones of a story, and refuses all others. Signed, it is the root of a
//! world of its own.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::address;
use crate::iems::open_to_all;
use crate::process::{Daemon, need, run, tail};
use crate::wait::{secs, wait_for};

/// How a zone is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// Not at all.
    No,
    /// With NSEC, as the root is.
    Nsec,
    /// With NSEC3.
    Nsec3,
    /// With NSEC3 and opt-out, as most top-level domains are: a delegation that is not signed has no record of its own.
    OptOut,
}

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
        let zones: Vec<_> =
            zones.iter().map(|(zone, lines)| (*zone, (*lines).to_owned(), Signed::No)).collect();
        Self::serve(&zones)
    }

    /// A signed root with these lines, whose key is [`Self::anchor`], and `zones` that are not signed. The root delegates
    /// only what its lines say.
    ///
    /// # Panics
    /// If it does not start, or does not sign.
    pub fn signed(root: &str, zones: &[(&str, &str)]) -> Self {
        let zones = zones.iter().map(|(zone, lines)| (*zone, (*lines).to_owned(), Signed::No));
        let all: Vec<_> = [("", root.to_owned(), Signed::Nsec)].into_iter().chain(zones).collect();
        Self::serve(&all)
    }

    /// A tree of zones, the root first, each delegated by the one above it, with DS records where it is signed.
    ///
    /// # Panics
    /// If it does not start, or does not sign.
    pub fn tree(zones: &[(&str, &str, Signed)]) -> Self {
        let all: Vec<_> =
            zones.iter().map(|(zone, lines, signed)| (*zone, (*lines).to_owned(), *signed)).collect();
        Self::lay(&all, true)
    }

    fn serve(zones: &[(&str, String, Signed)]) -> Self {
        Self::lay(zones, false)
    }

    /// The key-signing key of the signed root, as a record.
    pub fn anchor(&self) -> String {
        self.ask(".", "DNSKEY")
            .lines()
            .filter(|line| line.contains("DNSKEY\t257 "))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    fn lay(zones: &[(&str, String, Signed)], delegate: bool) -> Self {
        let dir = TempDir::with_prefix("knot-").expect("a temporary folder");
        open_to_all(dir.path());
        let at = SocketAddrV4::new(address::fresh(), 5353);
        let file = dir.path().join("knot.conf");
        std::fs::write(&file, configuration(dir.path(), at, zones)).expect("a file in the story's folder");
        for (zone, lines, _) in zones {
            let below = zones.iter().filter(|(name, ..)| delegate && parent(name, zones) == Some(*zone));
            let delegations: String =
                below.map(|(name, _, signed)| delegation(&file, name, at.ip(), *signed)).collect();
            write_zone(&dir, zone, at.ip(), &format!("{lines}\n{delegations}"));
        }
        let mut command = Command::new(need("knotd", "knot"));
        let daemon = Daemon::start(command.arg("-c").arg(&file), &dir.path().join("knot.log"));
        let mut knot = Self { at, dir, daemon };
        for (zone, _, signed) in zones {
            knot.wait(zone, *signed);
        }
        knot
    }

    fn wait(&mut self, zone: &str, signed: Signed) {
        wait_for("knot to answer", secs(10), || {
            if let Some(code) = self.daemon.ended() {
                panic!("knotd ended with {code}:\n{}", tail(&self.dir.path().join("knot.log"), 20));
            }
            let kind = if signed == Signed::No { "SOA" } else { "DNSKEY" };
            self.ask(&format!("{zone}."), kind).contains(kind).then_some(())
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

fn configuration(dir: &Path, at: SocketAddrV4, zones: &[(&str, String, Signed)]) -> String {
    let place = dir.display();
    let mut conf = format!(
        "server:\n    rundir: {place}\n    listen: {}@{}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\ndatabase:\n    storage: {place}\nlog:\n  - target: stderr\n    any: info\n\
         policy:\n  - id: nsec\n    nsec3: off\n  - id: nsec3\n    nsec3: on\n  - id: opt-out\n    nsec3: on\n    \
         nsec3-opt-out: on\ntemplate:\n  - id: default\n    storage: {place}\nzone:\n",
        at.ip(),
        at.port()
    );
    for (zone, _, signed) in zones {
        conf.push_str(&format!("  - domain: {zone}.\n    file: {zone}.zone\n"));
        let policy = match signed {
            Signed::No => continue,
            Signed::Nsec => "nsec",
            Signed::Nsec3 => "nsec3",
            Signed::OptOut => "opt-out",
        };
        conf.push_str(&format!("    dnssec-signing: on\n    dnssec-policy: {policy}\n"));
    }
    conf
}

/// The nearest zone above `name`.
fn parent<'a>(name: &str, zones: &[(&'a str, String, Signed)]) -> Option<&'a str> {
    let above = |zone: &&str| !name.is_empty() && (zone.is_empty() || name.ends_with(&format!(".{zone}")));
    zones.iter().map(|(zone, ..)| *zone).filter(above).max_by_key(|zone| zone.len())
}

/// The records that delegate a zone, with those of new keys if it is to be signed.
fn delegation(conf: &Path, zone: &str, ip: &Ipv4Addr, signed: Signed) -> String {
    let mut lines = format!("{zone}. NS ns.{zone}.\nns.{zone}. A {ip}\n");
    if signed != Signed::No {
        let keymgr = |words: &[&str]| {
            let mut command = Command::new(need("keymgr", "knot"));
            run(command.arg("-c").arg(conf).arg(zone).args(words), b"").good().out
        };
        keymgr(&["generate", "algorithm=ECDSAP256SHA256", "ksk=yes", "zsk=no"]);
        keymgr(&["generate", "algorithm=ECDSAP256SHA256", "ksk=no", "zsk=yes"]);
        lines.push_str(&keymgr(&["ds"]));
    }
    lines
}

fn write_zone(dir: &TempDir, zone: &str, ip: &Ipv4Addr, lines: &str) {
    let text = format!(
        "$ORIGIN {zone}.\n$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A {ip}\n{lines}\n"
    );
    std::fs::write(dir.path().join(format!("{zone}.zone")), text).expect("a file in the story's folder");
}
