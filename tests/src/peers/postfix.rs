//! Postfix: next hop and sender, in a folder of its own, on a loopback address of its own.

use std::fmt::Write as _;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use super::getmail::files;
use crate::address;
use crate::certificates::Certificates;
use crate::iems::open_to_all;
use crate::process::{Said, command, need, run, tail};
use crate::wait::{secs, wait_for};

/// Where Postfix's own programs are.
const PROGRAMS: &str = "/usr/lib/postfix/sbin";

/// A running Postfix. Mail for `example.org` goes into one Maildir a user; everything else as `main.cf` says.
pub struct Postfix {
    /// Where its smtpd listens.
    pub at: SocketAddrV4,
    /// Its certificates.
    pub certificates: Certificates,
    dir: TempDir,
}

impl Postfix {
    /// Starts it with more lines for `main.cf`, which win over ours.
    ///
    /// # Panics
    /// If it does not start, or the story does not run as root.
    pub fn start(more: &str) -> Self {
        Self::start_at(2525, more)
    }

    /// The same, listening on this port.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_at(port: u16, more: &str) -> Self {
        let program = need("postfix", "postfix");
        assert!(rustix::process::getuid().is_root(), "Postfix starts as root only: run the stories as root");
        let dir = TempDir::with_prefix("postfix-").expect("a temporary folder");
        open_to_all(dir.path());
        let at = SocketAddrV4::new(address::fresh(), port);
        let names = ["peer.example.org".to_owned(), at.ip().to_string()];
        let certificates = Certificates::write(dir.path(), &names);
        let postfix = Self { at, certificates, dir };
        postfix.configure(more);
        run(&mut command(&program, ["-c", &postfix.path("etc"), "start"]), b"").good();
        wait_for("Postfix to listen", secs(10), || std::net::TcpStream::connect(at).ok());
        postfix
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    fn configure(&self, more: &str) {
        for folder in ["etc", "spool", "data", "mail"] {
            std::fs::create_dir(self.path(folder)).expect("a folder");
        }
        run(Command::new("chown").args(["postfix", &self.path("data")]), b"").good();
        run(Command::new("chown").args(["nobody", &self.path("mail")]), b"").good();
        std::fs::write(self.path("etc/main.cf"), self.main_cf(more)).expect("main.cf");
        std::fs::write(self.path("etc/master.cf"), self.master_cf()).expect("master.cf");
    }

    fn main_cf(&self, more: &str) -> String {
        let id =
            |flag: &str| run(Command::new("id").args([flag, "nobody"]), b"").good().out.trim().to_owned();
        let dir = self.dir.path().display();
        let mut text = format!(
            "compatibility_level = 3.6\nqueue_directory = {dir}/spool\ndata_directory = {dir}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = {PROGRAMS}\nmaillog_file = {dir}/mail.log\n\
             maillog_file_prefixes = {dir}\nmyhostname = peer.example.org\nmydestination =\nalias_maps =\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             default_transport = error:nothing leaves this machine\nrelay_transport = error:nothing\n\
             virtual_mailbox_domains = example.org\nvirtual_mailbox_base = {dir}/mail\n\
             virtual_mailbox_maps = inline:{{ {boxes} }}\nvirtual_uid_maps = static:{uid}\n\
             virtual_gid_maps = static:{gid}\nvirtual_minimum_uid = 1\nvirtual_mailbox_limit = 0\n\
             message_size_limit = 52428800\nsmtpd_tls_cert_file = {dir}/cert.pem\n\
             smtpd_tls_key_file = {dir}/key.pem\nsmtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n\
             smtp_tls_loglevel = 1\nsmtpd_tls_received_header = yes\nsmtputf8_enable = yes\n\
             smtp_host_lookup = native\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n\
             queue_run_delay = 1s\nsmtpd_client_connection_count_limit = 1000\n\
             default_process_limit = 300\n",
            boxes = (1..10).map(|n| format!("{{ user{n}@example.org=user{n}/ }} ")).collect::<String>(),
            uid = id("-u"),
            gid = id("-g"),
        );
        text.push_str(more);
        last_wins(&text)
    }

    fn master_cf(&self) -> String {
        let mut text = format!("{} inet n - n - 300 smtpd\n", self.at);
        for line in [
            "pickup unix n - n 60 1 pickup",
            "cleanup unix n - n - 0 cleanup",
            "qmgr unix n - n 300 1 qmgr",
            "tlsmgr unix - - n 1000? 1 tlsmgr",
            "rewrite unix - - n - - trivial-rewrite",
            "bounce unix - - n - 0 bounce",
            "defer unix - - n - 0 bounce",
            "trace unix - - n - 0 bounce",
            "verify unix - - n - 1 verify",
            "flush unix n - n 1000? 0 flush",
            "proxymap unix - - n - - proxymap",
            "error unix - - n - - error",
            "retry unix - - n - - error",
            "discard unix - - n - - discard",
            "virtual unix - n n - - virtual",
            "smtp unix - - n - - smtp",
            "lmtp unix - - n - - lmtp",
            "anvil unix - - n - 1 anvil",
            "scache unix - - n - 1 scache",
            "postlog unix-dgram n - n - 1 postlogd",
            "showq unix n - n - - showq",
        ] {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// Its folder: `etc`, `spool` and the rest.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// One of its own commands, such as `postqueue`, about this Postfix.
    pub fn tool(&self, program: &str, args: &[&str]) -> Command {
        let etc = self.path("etc");
        command(&need(program, "postfix"), ["-c", &etc].iter().chain(args))
    }

    /// Hands it a message for `to` through its own sendmail command.
    pub fn sendmail(&self, from: &str, to: &str, args: &[&str], message: &[u8]) -> Said {
        let program = need("sendmail", "postfix");
        let mut sendmail = command(&program, ["-C", &self.path("etc"), "-f", from]);
        run(sendmail.args(args).arg("--").arg(to), message)
    }

    /// The messages of a user of `example.org`, in no particular order.
    pub fn messages(&self, user: &str) -> Vec<Vec<u8>> {
        files(&PathBuf::from(self.path("mail")).join(user).join("new"))
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        tail(&PathBuf::from(self.path("mail.log")), 60)
    }

    /// The process id of its master.
    ///
    /// # Panics
    /// If it does not run.
    pub fn id(&self) -> u32 {
        self.master()
            .map_or_else(|| panic!("Postfix does not run"), |pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    fn master(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.path("spool/pid/master.pid")).ok()?;
        text.trim().parse().ok().and_then(Pid::from_raw)
    }
}

/// Keeps the last line for each parameter: Postfix warns of the others, before there is anybody to log it.
fn last_wins(text: &str) -> String {
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let last = |n: usize| lines[n + 1..].iter().all(|later| key(later) != key(lines[n]));
    lines.iter().enumerate().filter(|(n, _)| last(*n)).map(|(_, line)| format!("{line}\n")).collect()
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Postfix's log ends\n{}", self.log());
        }
        let Some(master) = self.master() else { return };
        let _ = kill_process(master, Signal::TERM);
        for _ in 0..250 {
            if test_kill_process(master).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = kill_process(master, Signal::KILL);
    }
}
