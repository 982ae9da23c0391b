//! msmtp: a sendmail-like client with many authentication mechanisms.

use std::net::SocketAddrV4;
use std::path::Path;

use super::private_file;
use crate::process::{Said, command, need, run};

/// How msmtp shall talk.
#[derive(Debug, Clone)]
pub struct Msmtp<'a> {
    /// The server.
    pub server: SocketAddrV4,
    /// `off`, `starttls` or `smtps`.
    pub tls: &'a str,
    /// The mechanism, such as `plain`, `login`, `scram-sha-256`; `off` for none.
    pub auth: &'a str,
    /// The account.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
}

impl Msmtp<'_> {
    /// Sends a message; the configuration goes into `dir`, which also has the authority's `ca.pem`.
    pub fn send(&self, dir: &Path, to: &[&str], message: &[u8]) -> Said {
        let file = dir.join("msmtprc");
        let tls = match self.tls {
            "off" => "tls off".to_owned(),
            how => {
                let starttls = if how == "starttls" { "on" } else { "off" };
                format!("tls on\ntls_starttls {starttls}\ntls_trust_file {}/ca.pem", dir.display())
            }
        };
        let text = format!(
            "account default\nhost {}\nport {}\nfrom {}\ndomain client.example.test\nauth {}\nuser {}\n\
             password {}\n{tls}\n",
            self.server.ip(),
            self.server.port(),
            self.user,
            self.auth,
            self.user,
            self.password
        );
        private_file(&file, &text);
        let program = need("msmtp", "msmtp");
        let mut msmtp = command(&program, [format!("--file={}", file.display()), "--".to_owned()]);
        run(msmtp.args(to), message)
    }
}
