//! The configuration file of a story, from its parts.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};

/// What the file says. Stories change the fields; what they leave alone is as in `docs/config.md`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address of every listener.
    pub ip: Ipv4Addr,
    /// The server's own name.
    pub hostname: String,
    /// Protocols to listen for, each on its [`port`].
    pub listeners: Vec<String>,
    /// Lines that belong into every `[[listener]]` table but that of the metrics.
    pub listener: String,
    /// Whether there is a certificate.
    pub tls: bool,
    /// Resolvers. Without any, the address of this story at a port where nobody answers: nothing may
    /// ask the outside.
    pub dns: Vec<String>,
    /// Lines that belong into the `[dns]` table.
    pub dns_more: String,
    /// Networks that may relay.
    pub networks: Vec<String>,
    /// Domain and `via`, in order.
    pub routes: Vec<(String, String)>,
    /// Times between attempts.
    pub retry: Vec<String>,
    /// When to give up.
    pub expire: String,
    /// Lines that go before the first table.
    pub top: String,
    /// Lines that belong into the `[relay]` table.
    pub relay: String,
    /// Lines that belong into the `[queue]` table.
    pub queue: String,
    /// Tables at the end.
    pub more: String,
}

impl Config {
    /// Every listener, TLS, loopback may relay, quick retries.
    pub fn new(ip: Ipv4Addr) -> Self {
        let all = ["smtp", "submission", "submissions", "lmtp", "pop3", "pop3s", "imap", "imaps", "metrics"];
        Self {
            ip,
            hostname: super::HOST.to_owned(),
            listeners: all.map(str::to_owned).to_vec(),
            listener: String::new(),
            tls: true,
            dns: Vec::new(),
            dns_more: String::new(),
            networks: vec!["127.0.0.0/8".to_owned()],
            routes: Vec::new(),
            retry: vec!["1s".to_owned()],
            expire: "1h".to_owned(),
            top: String::new(),
            relay: String::new(),
            queue: String::new(),
            more: String::new(),
        }
    }

    /// Adds a route.
    pub fn route(&mut self, domain: &str, via: impl Into<String>) {
        self.routes.push((domain.to_owned(), via.into()));
    }

    /// Where the server listens.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.listeners.iter().map(|protocol| SocketAddrV4::new(self.ip, port(protocol))).collect()
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut text = format!("hostname = \"{}\"\ndata = \"data\"\n{}\n", self.hostname, self.top);
        for to in self.listeners.iter().map(|p| (p, SocketAddrV4::new(self.ip, port(p)))) {
            let _ = writeln!(text, "[[listener]]\nprotocol = \"{}\"\naddress = \"{}\"", to.0, to.1);
            if to.0 != "metrics" {
                let _ = writeln!(text, "{}", self.listener);
            }
        }
        if self.tls {
            text.push_str("[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n");
        }
        let nobody = vec![format!("{}:1", self.ip)];
        let servers = if self.dns.is_empty() { &nobody } else { &self.dns };
        let _ = writeln!(text, "[dns]\nservers = {servers:?}\n{}", self.dns_more);
        let _ = writeln!(text, "[relay]\nnetworks = {:?}\n{}", self.networks, self.relay);
        for (domain, via) in &self.routes {
            let _ = writeln!(text, "[[route]]\ndomain = {domain:?}\nvia = {via:?}");
        }
        let _ =
            writeln!(text, "[queue]\nretry = {:?}\nexpire = {:?}\n{}", self.retry, self.expire, self.queue);
        text + &self.more
    }
}

/// The port on which stories listen for `protocol`.
///
/// # Panics
/// If there is no such protocol.
pub fn port(protocol: &str) -> u16 {
    match protocol {
        "smtp" => 2525,
        "submission" => 2587,
        "submissions" => 2465,
        "odmr" => 2366,
        "lmtp" => 2424,
        "pop3" => 2110,
        "pop3s" => 2995,
        "imap" => 2143,
        "imaps" => 2993,
        "metrics" => 2999,
        other => panic!("no port for {other}"),
    }
}
