//! Dovecot: a message store that takes mail by LMTP over TCP and a Unix socket, into one Maildir a user, and gives it out by POP3 and IMAP.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::getmail::files;
use crate::address;
use crate::iems::open_to_all;
use crate::process::{Daemon, Said, command, need, run, tail};
use crate::wait::{secs, wait_for};

/// A running Dovecot; users whose names start with `user` exist, others do not.
pub struct Dovecot {
    /// LMTP by TCP.
    pub lmtp: SocketAddrV4,
    /// POP3, in the clear; everybody's password is `secret`.
    pub pop3: SocketAddrV4,
    /// IMAP; everybody's password is `secret`.
    pub imap: SocketAddrV4,
    dir: TempDir,
    daemon: Daemon,
}

impl Dovecot {
    /// Starts it with users `user1` to `user9` at any domain.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Self {
        Self::start_with("namespace inbox {\n  inbox = yes\n}\n", &[])
    }

    /// The same with more settings, and users that have their mail elsewhere than in a Maildir (`mail_location`).
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with(settings: &str, elsewhere: &[(&str, &str)]) -> Self {
        let program = need("dovecot", "dovecot-core");
        let lmtpd = Path::new("/usr/lib/dovecot/lmtp");
        assert!(
            lmtpd.exists(),
            "Dovecot has no LMTP: install the Debian package `dovecot-lmtpd` (tests/run does)"
        );
        let dir = TempDir::with_prefix("dovecot-").expect("a temporary folder");
        open_to_all(dir.path());
        let lmtp = SocketAddrV4::new(address::fresh(), 2424);
        let imap = SocketAddrV4::new(*lmtp.ip(), 2143);
        let place = dir.path().to_string_lossy().into_owned();
        let id =
            |flag: &str| run(Command::new("id").args([flag, "nobody"]), b"").good().out.trim().to_owned();
        let (uid, gid) = (id("-u"), id("-g"));
        for folder in ["mail", "run"] {
            std::fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        run(Command::new("chown").arg(format!("{uid}:{gid}")).arg(dir.path().join("mail")), b"").good();
        let users = (1..10).map(|n| format!("user{n}")).map(|user| {
            let mail = elsewhere.iter().find(|(of, _)| *of == user);
            let mail = mail.map_or_else(String::new, |(_, mail)| format!("::userdb_mail={mail}"));
            format!("{user}:{{PLAIN}}secret:{uid}:{gid}::{place}/mail/{user}{mail}\n")
        });
        let users: String = users.collect();
        std::fs::write(dir.path().join("users"), users).expect("a file in the story's folder");
        let conf = configuration(&place, lmtp) + settings;
        std::fs::write(dir.path().join("dovecot.conf"), conf).expect("a file in the story's folder");
        let mut command = Command::new(program);
        command.arg("-F").arg("-c").arg(dir.path().join("dovecot.conf"));
        let daemon = Daemon::start(&mut command, &dir.path().join("start.log"));
        let mut dovecot = Self { lmtp, imap, pop3: SocketAddrV4::new(*lmtp.ip(), 2110), dir, daemon };
        dovecot.wait();
        dovecot
    }

    fn wait(&mut self) {
        wait_for("Dovecot's LMTP", secs(10), || {
            if let Some(code) = self.daemon.ended() {
                let log = |name| tail(&self.dir.path().join(name), 20);
                panic!("dovecot ended with {code}:\n{}\n{}", log("start.log"), log("dovecot.log"));
            }
            [self.lmtp, self.imap].iter().all(|at| std::net::TcpStream::connect(at).is_ok()).then_some(())
        });
    }

    /// The folder of a user.
    pub fn home(&self, user: &str) -> PathBuf {
        self.dir.path().join("mail").join(user)
    }

    /// Runs `doveadm` with its configuration.
    pub fn doveadm(&self, args: &[&str]) -> Said {
        self.doveadm_with(args, b"")
    }

    /// The same with something on standard input.
    pub fn doveadm_with(&self, args: &[&str], input: &[u8]) -> Said {
        let mut command = command(&need("doveadm", "dovecot-core"), ["-c"]);
        run(command.arg(self.dir.path().join("dovecot.conf")).args(args), input)
    }

    /// The process id of its master.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// The Unix socket of LMTP.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("lmtp.sock")
    }

    /// The Unix socket where other servers ask about passwords; everybody's is `secret`.
    pub fn auth(&self) -> PathBuf {
        self.dir.path().join("auth.sock")
    }

    /// The new messages of a user, in no particular order.
    pub fn messages(&self, user: &str) -> Vec<Vec<u8>> {
        files(&self.dir.path().join("mail").join(user).join("Maildir/new"))
    }

    /// How many new messages all users have.
    pub fn count(&self) -> usize {
        let folder = |n: u32| self.dir.path().join(format!("mail/user{n}/Maildir/new"));
        (1..10).filter_map(|n| std::fs::read_dir(folder(n)).ok()).map(Iterator::count).sum()
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        tail(&self.dir.path().join("dovecot.log"), 40)
    }
}

fn configuration(place: &str, lmtp: SocketAddrV4) -> String {
    let (ip, port) = (lmtp.ip(), lmtp.port());
    format!(
        "base_dir = {place}/run\nstate_dir = {place}/run\nlog_path = {place}/dovecot.log\nprotocols = lmtp pop3 imap\nssl = no\ndisable_plaintext_auth = no\n\
         listen = {ip}\nmail_location = maildir:~/Maildir\nfirst_valid_uid = 1\nauth_username_format = %n\n\
         default_internal_user = dovecot\nlmtp_save_to_detail_mailbox = no\n\
         passdb {{\n  driver = passwd-file\n  args = username_format=%n {place}/users\n}}\n\
         userdb {{\n  driver = passwd-file\n  args = username_format=%n {place}/users\n}}\n\
         service lmtp {{\n  inet_listener lmtp {{\n    address = {ip}\n    port = {port}\n  }}\n\
         \x20 unix_listener {place}/lmtp.sock {{\n    mode = 0666\n  }}\n}}\n\
         service pop3-login {{\n  inet_listener pop3 {{\n    address = {ip}\n    port = 2110\n  }}\n\
         \x20 inet_listener pop3s {{\n    port = 0\n  }}\n}}\n\
         service imap-login {{\n  inet_listener imap {{\n    address = {ip}\n    port = 2143\n  }}\n\
         \x20 inet_listener imaps {{\n    port = 0\n  }}\n}}\nmail_max_userip_connections = 100\n\
         service auth {{\n  unix_listener {place}/auth.sock {{\n    mode = 0666\n  }}\n}}\n\
         protocol lmtp {{\n  postmaster_address = postmaster@example.test\n}}\n"
    )
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Dovecot's log ends\n{}", self.log());
        }
    }
}
