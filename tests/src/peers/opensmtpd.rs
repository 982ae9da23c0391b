//! OpenSMTPD: next hop and sender, in a place of its own, on a loopback address of its own. Otherwise as Debian builds it:
//! version 6.8.0p2 with OpenSSL 3 breaks off every handshake as a server, whatever the key.

use std::net::{SocketAddrV4, TcpStream};

use super::apart::Apart;
use super::getmail::files;
use crate::address;
use crate::certificates::Certificates;
use crate::process::{Daemon, run, tail};
use crate::wait::{secs, wait_for};

const PACKAGE: &str = "opensmtpd";
const FIRST_USER: u32 = 42_510;

/// A running OpenSMTPD. Mail for `user1` to `user9` at `example.org` goes into one Maildir a user.
pub struct OpenSmtpd {
    /// Where it listens.
    pub at: SocketAddrV4,
    daemon: Daemon,
    apart: Apart,
}

impl OpenSmtpd {
    /// Starts it; mail for the domain of `route` goes where it says, such as `("example.test", "smtp+tls://127.0.0.1:2525")`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(route: Option<(&str, &str)>) -> Self {
        let boxes: Vec<String> = (1..10).map(|n| format!("user{n}")).collect();
        let mut users = vec![("opensmtpd", 42_502), ("opensmtpq", 42_503)];
        users.extend(boxes.iter().zip(FIRST_USER..).map(|(name, id)| (name.as_str(), id)));
        let apart = Apart::new(PACKAGE, &users);
        let at = SocketAddrV4::new(address::fresh(), 2525);
        let names = ["peer.example.org".to_owned(), at.ip().to_string()];
        Certificates::write(apart.root(), &names);
        apart.folder("lib/opensmtpd/empty", None);
        users[2..].iter().for_each(|(name, id)| apart.folder(&format!("mail/{name}"), Some(*id)));
        private(&apart.path("key.pem"));
        apart.write("etc/smtpd.conf", &conf(&apart, at, route));
        let log = apart.path("smtpd.log");
        let daemon = Daemon::start(&mut apart.command("/usr/sbin/smtpd", &["-d"]), &log);
        let mut opensmtpd = Self { at, daemon, apart };
        wait_for("OpenSMTPD to listen", secs(10), || {
            assert!(opensmtpd.daemon.ended().is_none(), "OpenSMTPD ended:\n{}", tail(&log, 20));
            TcpStream::connect(at).ok()
        });
        opensmtpd
    }

    /// What it calls itself, such as `OpenSMTPD 6.8.0p2`.
    pub fn version() -> String {
        let said = run(&mut Apart::new(PACKAGE, &[]).command("/usr/sbin/smtpd", &["-h"]), b"");
        let line = said.err.lines().find_map(|line| line.strip_prefix("version: "));
        line.unwrap_or("OpenSMTPD").to_owned()
    }

    /// The process id of its first process.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// The messages of a user of `example.org`, in no particular order.
    pub fn messages(&self, user: &str) -> Vec<Vec<u8>> {
        files(&self.apart.path("mail").join(user).join("new"))
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        tail(&self.apart.path("smtpd.log"), 60)
    }
}

impl Drop for OpenSmtpd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- OpenSMTPD's log ends\n{}", self.log());
        }
    }
}

/// It refuses a key that others can read.
fn private(key: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).expect("our own file");
}

fn conf(apart: &Apart, at: SocketAddrV4, route: Option<(&str, &str)>) -> String {
    let dir = apart.root().display();
    let (action, rule) = match route {
        Some((domain, host)) => (
            format!("action \"out\" relay host \"{host}\" tls no-verify helo peer.example.org\n"),
            format!("match from any for domain \"{domain}\" action \"out\"\n"),
        ),
        None => Default::default(),
    };
    let action = if route.is_some_and(|(_, host)| host.starts_with("smtp+notls")) {
        action.replace(" tls no-verify", "")
    } else {
        action
    };
    format!(
        "pki peer.example.org cert \"{dir}/cert.pem\"\npki peer.example.org key \"{dir}/key.pem\"\n\
         smtp max-message-size 50M\n\
         listen on {ip} port {port} tls pki peer.example.org hostname peer.example.org\n\
         action \"boxes\" maildir \"{dir}/mail/%{{user.username}}\"\n{action}\
         match from any for domain {{ \"example.org\", \"*.example.org\" }} action \"boxes\"\n{rule}",
        ip = at.ip(),
        port = at.port(),
    )
}
