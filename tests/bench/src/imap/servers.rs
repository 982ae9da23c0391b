//! The servers whose mailboxes are read: iems, and Dovecot with its two formats.

use std::net::SocketAddrV4;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use iems_tests::address;
use iems_tests::certificates::Certificates;
use iems_tests::iems::{HOST, Iems, open_to_all};
use iems_tests::process::{Daemon, need, run, tail};
use iems_tests::wait::wait_for;
use rustls::ClientConfig;
use tempfile::TempDir;

/// Where users are.
pub(super) const DOMAIN: &str = "example.org";

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Iems,
    Maildir,
    Mdbox,
}

impl Who {
    pub(super) const ALL: [Self; 3] = [Self::Iems, Self::Maildir, Self::Mdbox];

    /// On the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Iems => "iems",
            Self::Maildir => "maildir",
            Self::Mdbox => "mdbox",
        }
    }

    /// For tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Iems => "iems",
            Self::Maildir => "Dovecot, Maildir",
            Self::Mdbox => "Dovecot, mdbox",
        }
    }
}

enum Held {
    Iems(Box<Iems>),
    Dovecot(Daemon, TempDir),
}

/// A running server.
pub(super) struct Server {
    /// IMAP in the clear.
    pub(super) imap: SocketAddrV4,
    /// IMAP with TLS from the first octet.
    pub(super) imaps: SocketAddrV4,
    /// LMTP.
    pub(super) lmtp: SocketAddrV4,
    /// What a client needs to trust it.
    pub(super) tls: Arc<ClientConfig>,
    held: Held,
}

/// A user's address.
pub(super) fn user(number: usize) -> String {
    format!("user{number}@{DOMAIN}")
}

impl Server {
    /// Starts one with nothing in it, and with so many users. What the one before it left to be written is none of its business.
    pub(super) fn open(who: Who, users: usize) -> Self {
        rustix::fs::sync();
        match who {
            Who::Iems => Self::iems(users),
            Who::Maildir => Self::dovecot("maildir:~/Maildir"),
            Who::Mdbox => Self::dovecot("mdbox:~/mdbox"),
        }
    }

    fn iems(users: usize) -> Self {
        let mut site = Box::new(Iems::new());
        site.config.listeners = ["lmtp", "imap", "imaps"].map(str::to_owned).to_vec();
        site.config.more =
            "[log]\nlevel = \"error\"\n[limits]\nconnections = 20000\nconnections_per_address = 20000\n[imap]\nconnections_per_account = 20000\n[search]\nindex = false\n"
                .to_owned();
        site.write();
        site.start();
        let all: Vec<String> = (0..users).map(user).collect();
        site.accounts(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let [imap, imaps, lmtp] = ["imap", "imaps", "lmtp"].map(|protocol| site.at(protocol));
        Self { imap, imaps, lmtp, tls: site.certificates.client(), held: Held::Iems(site) }
    }

    /// Makes an index of all texts, and uses it from now on. Returns how many octets it has; `None` where there is none to
    /// be had without further programs.
    pub(super) fn index(&mut self) -> Option<u64> {
        let Held::Iems(site) = &mut self.held else { return None };
        site.stop();
        site.config.more = site.config.more.replace("index = false", "index = true");
        site.start();
        let built = site.admin(&["search", "build", "--quiet", "--json"]).good();
        let built: serde_json::Value = serde_json::from_str(&built.out).expect("JSON");
        built[0]["octets"].as_u64()
    }

    fn dovecot(location: &str) -> Self {
        let program = need("dovecot", "dovecot-core");
        let dir = TempDir::with_prefix("dovecot-").expect("a temporary folder");
        open_to_all(dir.path());
        let ip = address::fresh();
        let certificates = Certificates::write(dir.path(), &[HOST.to_owned(), ip.to_string()]);
        let place = dir.path().to_string_lossy().into_owned();
        for folder in ["mail", "run"] {
            std::fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        let id =
            |flag: &str| run(Command::new("id").args([flag, "nobody"]), b"").good().out.trim().to_owned();
        let (uid, gid) = (id("-u"), id("-g"));
        run(Command::new("chown").arg(format!("{uid}:{gid}")).arg(dir.path().join("mail")), b"").good();
        let processes = |service: &str, more: &str| {
            format!("service {service} {{\n  process_limit = 12000\n  client_limit = 20000\n{more}}}\n")
        };
        let listener = |name: &str, port: u16, more: &str| {
            format!("  inet_listener {name} {{\n    address = {ip}\n    port = {port}\n{more}  }}\n")
        };
        // Logins in few processes that stay, as Dovecot's manual advises for speed.
        let logins = listener("imap", 2143, "") + &listener("imaps", 2993, "    ssl = yes\n");
        let login = format!(
            "service imap-login {{\n  service_count = 0\n  process_min_avail = 2\n  process_limit = 2\n  client_limit = 20000\n{logins}}}\n"
        );
        let conf = format!(
            "base_dir = {place}/run\nstate_dir = {place}/run\nlog_path = {place}/dovecot.log\nprotocols = imap lmtp\n\
             ssl = yes\nssl_cert = <{place}/cert.pem\nssl_key = <{place}/key.pem\ndisable_plaintext_auth = no\n\
             listen = {ip}\nmail_location = {location}\nmail_home = {place}/mail/%n\nmail_uid = {uid}\nmail_gid = {gid}\n\
             first_valid_uid = 1\ndefault_internal_user = dovecot\nmail_max_userip_connections = 20000\nmail_fsync = always\n\
             passdb {{\n  driver = static\n  args = password=secret\n}}\n\
             userdb {{\n  driver = static\n  args = uid={uid} gid={gid} home={place}/mail/%n allow_all_users=yes\n}}\n\
             protocol lmtp {{\n  postmaster_address = postmaster@{DOMAIN}\n}}\n\
             namespace inbox {{\n  inbox = yes\n}}\n{login}{}{}service stats {{\n  client_limit = 20000\n}}\n\
             service anvil {{\n  client_limit = 20000\n}}\nservice log {{\n  client_limit = 20000\n}}\n\
             service lmtp {{\n  process_min_avail = 4\n{}}}\n",
            "service imap {\n  process_limit = 12000\n  service_count = 200\n  process_min_avail = 4\n}\n",
            processes("auth", "").replace("  process_limit = 12000\n", ""),
            listener("lmtp", 2424, ""),
        );
        std::fs::write(dir.path().join("dovecot.conf"), conf).expect("a file");
        let mut command = Command::new(program);
        command.arg("-F").arg("-c").arg(dir.path().join("dovecot.conf"));
        let mut daemon = Daemon::start(&mut command, &dir.path().join("start.log"));
        let [imap, imaps, lmtp] = [2143, 2993, 2424].map(|port| SocketAddrV4::new(ip, port));
        wait_for("Dovecot", Duration::from_secs(10), || {
            if let Some(code) = daemon.ended() {
                let log = |name| tail(&dir.path().join(name), 20);
                panic!("dovecot ended with {code}:\n{}\n{}", log("start.log"), log("dovecot.log"));
            }
            [imap, lmtp].iter().all(|at| std::net::TcpStream::connect(at).is_ok()).then_some(())
        });
        Self { imap, imaps, lmtp, tls: certificates.client(), held: Held::Dovecot(daemon, dir) }
    }

    /// The process id of its master.
    pub(super) fn roots(&mut self) -> Vec<u32> {
        match &mut self.held {
            Held::Iems(site) => vec![site.daemon().id()],
            Held::Dovecot(daemon, dir) => {
                debug_assert!(dir.path().exists());
                vec![daemon.id()]
            }
        }
    }
}
