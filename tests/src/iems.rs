//! The server under test: a folder, a configuration, the real binary, started and ended from outside.

mod binary;
mod config;

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::address;
use crate::certificates::Certificates;
use crate::process::{Daemon, Said, command, run, tail};
use crate::wait::{secs, wait_for};

pub use binary::binary;
pub use config::{Config, port};

/// The name every site of a story goes by.
pub const HOST: &str = "mx.example.test";

/// One server: its folder, configuration and, while it runs, its process.
pub struct Iems {
    /// Its folder: configuration, certificates, data, log.
    pub dir: TempDir,
    /// The loopback address it alone listens on.
    pub ip: Ipv4Addr,
    /// What its configuration file says; written again at each start.
    pub config: Config,
    /// Its certificates, signed by an authority of its own.
    pub certificates: Certificates,
    wrapper: Vec<String>,
    daemon: Option<Daemon>,
}

impl Iems {
    /// A folder with certificates and a configuration that has every listener; nothing runs yet.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn new() -> Self {
        let dir = TempDir::with_prefix("iems-story-").expect("a temporary folder");
        open_to_all(dir.path());
        let ip = address::fresh();
        let names = [HOST.to_owned(), "localhost".to_owned(), ip.to_string()];
        let certificates = Certificates::write(dir.path(), &names);
        let site = Self { config: Config::new(ip), dir, ip, certificates, wrapper: Vec::new(), daemon: None };
        site.write();
        site
    }

    /// The same, with a domain and accounts in it. Each address gets the password `secret`.
    pub fn with_accounts(addresses: &[&str]) -> Self {
        let site = Self::new();
        site.accounts(addresses);
        site
    }

    /// Adds accounts, and their domains where they are new.
    #[track_caller]
    pub fn accounts(&self, addresses: &[&str]) {
        let mut domains: Vec<&str> = addresses.iter().filter_map(|a| a.split('@').nth(1)).collect();
        domains.sort_unstable();
        domains.dedup();
        for domain in domains {
            self.admin(&["domain", "add", domain]).good();
        }
        for address in addresses {
            self.admin_with(&["account", "add", address, "--password-stdin"], b"secret\n").good();
        }
    }

    /// Runs `iems --config FILE` with these arguments, to its end.
    pub fn admin(&self, args: &[&str]) -> Said {
        self.admin_with(args, b"")
    }

    /// The same, with something to read.
    pub fn admin_with(&self, args: &[&str], input: &[u8]) -> Said {
        run(&mut self.command(args), input)
    }

    fn command(&self, args: &[&str]) -> Command {
        let program = binary().to_string_lossy().into_owned();
        let file = self.file().to_string_lossy().into_owned();
        let fixed = [program, "--config".to_owned(), file];
        let words: Vec<String> = fixed.into_iter().chain(args.iter().map(ToString::to_string)).collect();
        let mut command = command(&words[0], &words[1..]);
        command.current_dir(self.dir.path());
        command
    }

    /// Runs the server under another program, such as `strace -o FILE -f` or `prlimit --fsize=N`.
    pub fn under(&mut self, words: &[&str]) {
        self.wrapper = words.iter().map(ToString::to_string).collect();
    }

    /// Writes the configuration file as [`Self::config`] says now.
    pub fn write(&self) {
        std::fs::write(self.file(), self.config.text()).expect("the configuration file");
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("iems.toml")
    }

    /// What the server writes to its standard output and error.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("iems.log")
    }

    /// Writes the configuration, starts the server, and waits until every listener answers.
    ///
    /// # Panics
    /// If it ends, or does not get ready within 20 seconds.
    #[track_caller]
    pub fn start(&mut self) {
        self.launch();
        self.wait_ready();
    }

    /// Starts the server and does not wait.
    pub fn launch(&mut self) {
        self.write();
        let serve = self.command(&["serve"]);
        let mut command = match self.wrapper.split_first() {
            None => serve,
            Some((program, words)) => {
                let mut outer = command(program, words);
                outer.arg(serve.get_program()).args(serve.get_args()).current_dir(self.dir.path());
                outer
            }
        };
        self.daemon = Some(Daemon::start(&mut command, &self.log()));
    }

    /// Waits until every listener answers.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        let addresses = self.config.addresses();
        let log = self.log();
        let daemon = self.daemon.as_mut().expect("the server was launched");
        wait_for("the server to listen", secs(20), || {
            if let Some(code) = daemon.ended() {
                panic!("the server ended with {code}:\n{}", tail(&log, 40));
            }
            addresses.iter().all(|to| TcpStream::connect(to).is_ok()).then_some(())
        });
    }

    /// The running process.
    ///
    /// # Panics
    /// If none runs.
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("the server runs")
    }

    /// Sends SIGTERM and waits; the server must end with 0.
    ///
    /// # Panics
    /// If it does not end within 20 seconds, or not with 0.
    #[track_caller]
    pub fn stop(&mut self) {
        let daemon = self.daemon.as_mut().expect("the server runs");
        daemon.signal(Signal::TERM);
        let code = daemon.wait(Duration::from_secs(20));
        self.daemon = None;
        assert_eq!(code, Some(0), "the end of the server:\n{}", tail(&self.log(), 40));
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// Where a listener of `protocol` is.
    pub fn at(&self, protocol: &str) -> SocketAddrV4 {
        SocketAddrV4::new(self.ip, port(protocol))
    }
}

impl Default for Iems {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Iems {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.file().display(), self.config.text());
            eprintln!("--- the server's log ends\n{}", tail(&self.log(), 60));
        }
    }
}

/// Lets peers that gave up root go through a temporary folder.
///
/// # Panics
/// If the folder is not ours.
pub fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("our own folder");
}
