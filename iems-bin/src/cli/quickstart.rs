//! `iems quickstart`: from nothing to a server for a domain, in one command.

use std::path::{Path, PathBuf};

use iems_core::message::{Domain, Mailbox};

use super::output::say;
use crate::admin::ask_of;
use crate::admin::request::{Request, Secret};
use crate::config;
use crate::exit::Failure;
use crate::{password, tls};

/// Set up a server for a domain: writes a configuration, creates the domain and an account, and says which DNS
/// records to publish and how to try it.
///
/// Nothing that exists is overwritten. The certificate is one that nobody vouches for, enough for other servers;
/// put a real one in its place for mail programs, and send SIGHUP.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  iems quickstart you@example.org\n  iems quickstart you@example.org --hostname mail.example.org\n  iems --config /etc/iems/iems.toml quickstart you@example.org\n  iems quickstart you@example.org --high-ports     to try it without root"
)]
pub(super) struct Args {
    /// The first account; its domain becomes ours
    address: Mailbox,
    /// The server's own name [default: mx.DOMAIN]
    #[arg(long)]
    hostname: Option<Domain>,
    /// Ports above 1024 on loopback, to try it without root: 2525, 2587, 2465, 2110, 2995, 2143, 2993
    #[arg(long)]
    high_ports: bool,
}

/// Where peers connect: protocol, port, port without root.
const LISTENERS: [(&str, u16, u16); 7] = [
    ("smtp", 25, 2525),
    ("submission", 587, 2587),
    ("submissions", 465, 2465),
    ("pop3", 110, 2110),
    ("pop3s", 995, 2995),
    ("imap", 143, 2143),
    ("imaps", 993, 2993),
];

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let file = file.map_or_else(|| PathBuf::from("iems.toml"), Path::to_owned);
        if file.exists() {
            return Err(Failure::cannot_create(format!(
                "{} is there already: quickstart overwrites nothing. Move it away, or name another file with --config",
                file.display()
            )));
        }
        let hostname = self.hostname()?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cannot = |e| Failure::cannot_create(format!("cannot write {}: {e}", file.display()));
        std::fs::create_dir_all(folder).map_err(cannot)?;
        tls::self_signed(folder, &[hostname.to_string()])?;
        std::fs::write(&file, self.configuration(&hostname)).map_err(cannot)?;
        let password = password::fresh()?;
        let config = config::load_for_service(Some(&file))?.config;
        let name = self.address.domain().clone();
        let _: serde_json::Value = ask_of(&config, Request::DomainAdd { name })?;
        let (address, secret) = (self.address.clone(), Secret(password.clone()));
        let _: serde_json::Value =
            ask_of(&config, Request::AccountAdd { address, password: secret, hashed: false, quota: None })?;
        say(self.next_steps(&file, &hostname, &password))
    }

    fn hostname(&self) -> Result<Domain, Failure> {
        match &self.hostname {
            Some(hostname) => Ok(hostname.clone()),
            None => format!("mx.{}", self.address.domain()).parse().map_err(|_| {
                Failure::usage(format!(
                    "mx.{} is no host name: give one with --hostname",
                    self.address.domain()
                ))
            }),
        }
    }

    fn port(&self, (_, port, high): (&str, u16, u16)) -> u16 {
        if self.high_ports { high } else { port }
    }

    fn configuration(&self, hostname: &Domain) -> String {
        let ip = if self.high_ports { "127.0.0.1" } else { "0.0.0.0" };
        let mut text = format!(
            "# Written by iems quickstart. Every key, its default and its reason: docs/config.md.\n\
             # After a change: iems config check, then SIGHUP.\n\
             hostname = \"{hostname}\"\n\
             data = \"iems-data\"\n"
        );
        for listener in LISTENERS {
            let (protocol, port) = (listener.0, self.port(listener));
            text.push_str(&format!("\n[[listener]]\nprotocol = \"{protocol}\"\naddress = \"{ip}:{port}\"\n"));
        }
        text.push_str("\n[[listener]]\nprotocol = \"metrics\"\naddress = \"127.0.0.1:2112\"\n");
        text.push_str(
            "\n# Nobody vouches for this certificate: put one for the name above in its place.\n\
             [tls]\ncertificate = \"self-signed.pem\"\nkey = \"self-signed.key\"\n",
        );
        text
    }

    fn next_steps(&self, file: &Path, hostname: &Domain, password: &str) -> String {
        let (me, domain, shown) = (&self.address, self.address.domain(), file.display());
        let [smtp, _, submissions, _, pop3s, imap, imaps] = LISTENERS.map(|listener| self.port(listener));
        format!(
            "iems: {shown} is written, domain and account are made.\n\
             \n\
             account:  {me}\n\
             password: {password}\n\
             (shown only now)\n\
             \n\
             DNS records to publish:\n\
             \n\
             {hostname}.  A      the public IPv4 address of this machine (and AAAA, if it has an IPv6 address)\n\
             {domain}.  MX     10 {hostname}.\n\
             {domain}.  TXT    \"v=spf1 mx -all\"\n\
             _dmarc.{domain}.  TXT    \"v=DMARC1; p=none; rua=mailto:{me}\"\n\
             _submissions._tcp.{domain}.  SRV    0 1 {submissions} {hostname}.\n\
             _imaps._tcp.{domain}.  SRV    0 1 {imaps} {hostname}.\n\
             _pop3s._tcp.{domain}.  SRV    0 1 {pop3s} {hostname}.\n\
             \n\
             Ask whoever gave you the address to let it resolve back to {hostname} (PTR): many servers refuse mail otherwise.\n\
             Mail is not signed with DKIM by this version: publish no DKIM record.\n\
             \n\
             Start it, send a message, read it:\n\
             \n\
             iems --config {shown} serve\n\
             printf 'Subject: hello\\n\\nIt works.\\n' | curl -s --crlf smtp://127.0.0.1:{smtp}/localhost --mail-from {me} --mail-rcpt {me} -T -\n\
             curl -s --user '{me}:{password}' 'imap://127.0.0.1:{imap}/INBOX;MAILINDEX=1'"
        )
    }
}
