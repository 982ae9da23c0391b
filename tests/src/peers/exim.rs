//! Exim: next hop and sender, in a place of its own, on a loopback address of its own. Otherwise as Debian builds it.

use std::net::{SocketAddrV4, TcpStream};

use super::apart::Apart;
use super::getmail::files;
use crate::address;
use crate::certificates::Certificates;
use crate::process::{Daemon, Said, run, tail};
use crate::wait::{secs, wait_for};

const PACKAGE: &str = "exim4-daemon-light";
const USER: (&str, u32) = ("Debian-exim", 42_501);

/// A running Exim. Mail for `user1` to `user9` at `example.org` goes into one Maildir a user.
pub struct Exim {
    /// Where it listens.
    pub at: SocketAddrV4,
    /// Its certificates.
    pub certificates: Certificates,
    daemon: Daemon,
    apart: Apart,
}

/// What an Exim does beside delivering.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Mail for this domain goes to this server.
    pub route: Option<(String, SocketAddrV4)>,
    /// Mail for this domain goes into a file as a batch (`use_bsmtp`); and lines of that transport, such as `use_crlf`.
    pub batch: Option<(String, String)>,
    /// Lines of the main section, such as `chunking_advertise_hosts =`.
    pub main: String,
    /// Whether users log in by PLAIN under TLS, with the password `secret`.
    pub logins: bool,
    /// Lines of the transport, such as `hosts_require_tls = *`.
    pub transport: String,
}

impl Exim {
    /// Starts it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(wishes: &Wishes) -> Self {
        let apart = Apart::new(PACKAGE, &[USER]);
        let at = SocketAddrV4::new(address::fresh(), 2525);
        let names = ["peer.example.org".to_owned(), at.ip().to_string()];
        let certificates = Certificates::write(apart.root(), &names);
        ["spool", "log", "mail"].iter().for_each(|folder| apart.folder(folder, Some(USER.1)));
        apart.folder("etc/exim4", None);
        apart.write("etc/exim4/exim4.conf", &conf(&apart, at, wishes));
        let log = apart.path("exim.log");
        let daemon = Daemon::start(&mut apart.command("/usr/sbin/exim4", &["-bdf", "-q1s"]), &log);
        let mut exim = Self { at, certificates, daemon, apart };
        wait_for("Exim to listen", secs(10), || {
            assert!(exim.daemon.ended().is_none(), "Exim ended:\n{}\n{}", tail(&log, 20), exim.log());
            TcpStream::connect(at).ok()
        });
        exim
    }

    /// What it calls itself, such as `Exim 4.96`.
    pub fn version() -> String {
        let said = run(&mut Apart::new(PACKAGE, &[USER]).command("/usr/sbin/exim4", &["-bV"]), b"");
        let word = said.out.split_whitespace().nth(2).unwrap_or("?");
        format!("Exim {word}")
    }

    /// The process id of its daemon.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// The messages of a user of `example.org`, in no particular order.
    pub fn messages(&self, user: &str) -> Vec<Vec<u8>> {
        files(&self.apart.path("mail").join(user).join("new"))
    }

    /// Reads a batch from standard input (`-bS`), and delivers at once what is in it.
    pub fn feed(&self, batch: &[u8]) -> Said {
        run(&mut self.apart.command("/usr/sbin/exim4", &["-odi", "-bS"]), batch)
    }

    /// The batch that it has written, if it has.
    pub fn batch(&self) -> Vec<u8> {
        std::fs::read(self.apart.path("mail/batch")).unwrap_or_default()
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        tail(&self.apart.path("log/mainlog"), 60)
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Exim's log ends\n{}", self.log());
        }
    }
}

fn conf(apart: &Apart, at: SocketAddrV4, wishes: &Wishes) -> String {
    let dir = apart.root().display();
    let user = USER.0;
    let users: Vec<String> = (1..10).map(|n| format!("user{n}")).collect();
    let (domain, router, port) = match &wishes.route {
        Some((domain, to)) => {
            let lines = format!(
                "way:\n  driver = manualroute\n  domains = {domain}\n  transport = out\n  self = send\n  \
                 route_list = * {} byname\n  host_find_failed = defer\n",
                to.ip()
            );
            (domain.as_str(), lines, to.port())
        }
        None => ("example.org", String::new(), 25),
    };
    let (batched, router, batches) = match &wishes.batch {
        Some((batched, lines)) => (
            format!(" : {batched}"),
            format!("{router}batch:\n  driver = accept\n  domains = {batched}\n  transport = batch\n"),
            format!(
                "batch:\n  driver = appendfile\n  file = {dir}/mail/batch\n  use_bsmtp\n  batch_max = 100\n  mode = 0644\n  \
                 user = {user}\n  group = {user}\n{lines}\n"
            ),
        ),
        None => (String::new(), router, String::new()),
    };
    let text = format!(
        "primary_hostname = peer.example.org\nspool_directory = {dir}/spool\nlog_file_path = {dir}/log/%slog\n\
         pid_file_path = {dir}/exim.pid\nlocal_interfaces = {ip}.{at_port}\nexim_user = {user}\nexim_group = {user}\n\
         keep_environment =\nhost_lookup =\nrfc1413_hosts =\nmessage_size_limit = 50M\nsmtp_accept_max = 20000\n\
         smtp_connect_backlog = 1000\nacl_smtp_rcpt = rcpt\nacl_smtp_data = data\ndsn_advertise_hosts = *\n\
         smtputf8_advertise_hosts = *\ntls_advertise_hosts = *\ntls_certificate = {dir}/cert.pem\n\
         tls_privatekey = {dir}/key.pem\ntrusted_users = {user}\nlog_selector = +all -arguments\n{main}\n\
         begin acl\nrcpt:\n  accept domains = example.org : *.example.org : {domain}{batched}\n  accept authenticated = *\n  deny\ndata:\n  accept\n\
         begin routers\n{router}boxes:\n  driver = accept\n  domains = example.org : *.example.org\n  local_parts = {users}\n  \
         transport = boxes\n\
         begin transports\nboxes:\n  driver = appendfile\n  maildir_format\n  create_directory\n  mode = 0644\n  \
         directory = {dir}/mail/${{local_part_data}}\n  user = {user}\n  group = {user}\n\
         out:\n  driver = smtp\n  allow_localhost\n  port = {port}\n  tls_verify_certificates =\n{transport}\n{batches}\
         begin retry\n* * F,1h,1s\n{logins}",
        ip = at.ip(),
        at_port = at.port(),
        main = wishes.main,
        users = users.join(" : "),
        transport = wishes.transport,
        logins = if wishes.logins { LOGINS } else { "" },
    );
    last_wins(&text)
}

/// Anybody with the right password.
const LOGINS: &str = "begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  \
                      server_condition = ${if eq{$auth3}{secret}}\n  server_set_id = $auth2\n  \
                      server_advertise_condition = ${if def:tls_in_cipher}\n";

/// Exim wants each option once in a section: the last one counts here.
fn last_wins(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let option = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let opens = |line: &str| line.starts_with("begin ") || (!line.starts_with(' ') && line.ends_with(':'));
    let again = |at: usize, name: &String| {
        let section = lines[at + 1..].iter().take_while(|line| !opens(line));
        section.filter_map(|line| option(line)).any(|later| later == *name)
    };
    let kept =
        lines.iter().enumerate().filter(|(at, line)| option(line).is_none_or(|name| !again(*at, &name)));
    kept.map(|(_, line)| format!("{line}\n")).collect()
}
