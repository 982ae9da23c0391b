//! A random site: its configuration as a file, its directory, its engine; and what the oracle knows of them.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use iems_core::Engine;
use iems_core::message::{ChannelId, Mailbox};
use iems_core::receive::{Connection, SenderMatch, Upstream};
use iems_core::seam::{Account, NoResolver, Resolver, SeededRandom, SystemClock};
use iems_core::storage::MemoryStorage;
use iems_store::agent::LocalAgent;
use iems_store::directory::{AccountSettings, DirectoryOptions, DomainSettings, NewAccount, StoreDirectory};

use super::oracle::is_named;
use super::text::Dice;

/// A site.
pub(super) struct World {
    pub(super) engine: Engine,
    /// The configuration file.
    pub(super) config: String,
    /// Domains that are ours.
    pub(super) domains: Vec<String>,
    /// Patterns of `[relay] domains`.
    pub(super) relayed: Vec<String>,
    /// Networks that may relay: address and length.
    pub(super) networks: Vec<(String, usize)>,
    /// Local parts that are in use somewhere.
    pub(super) locals: Vec<String>,
    /// Addresses that anybody may write to and that are never refused.
    pub(super) open: BTreeSet<String>,
    /// Where the administrator or a user sends mail on to.
    pub(super) sent_on: HashSet<String>,
    known: HashSet<String>,
    everything: HashSet<String>,
    accounts: Vec<String>,
    protocols: Vec<&'static str>,
}

const DOMAINS: &[&str] =
    &["one.example", "two.example", "mail.one.example", "xn--bcher-kva.example", "[192.0.2.7]"];
const RELAYED: &[&str] = &["backup.example", "*.gate.example", "one.example.backup.test", "*.one.example"];
const NAMES: &[&str] = &["ann", "bob", "carl", "a.b", "x-y", "list", "postmaster"];
const ELSEWHERE: &[&str] = &["ann@home.test", "list@lists.test", "x%y@odd.test"];
const VIAS: &[&str] = &[
    "mx",
    "local",
    "smtp:mx.test",
    "smtp:127.0.0.1:26",
    "lmtp:/run/lmtp",
    "lmtp:127.0.0.1:24",
    "error:5.1.2 no",
];

impl World {
    pub(super) async fn make(dice: &mut Dice) -> Self {
        let some = |dice: &mut Dice, of: &[&str]| -> Vec<String> {
            of.iter().filter(|_| dice.once_in(2)).map(|text| (*text).to_owned()).collect()
        };
        let domains = some(dice, &DOMAINS[..4]);
        let relayed = some(dice, RELAYED);
        let networks: Vec<(String, usize)> = (0..dice.below(4)).map(|_| network(dice)).collect();
        let mut protocols = vec!["smtp"];
        ["submission", "submissions", "lmtp"].iter().for_each(|p| {
            if dice.once_in(2) {
                protocols.push(p);
            }
        });
        let config = config(dice, &relayed, &networks, &protocols, &domains);
        let understood = crate::config::of(&config).unwrap_or_else(|why| panic!("{why}\n{config}"));
        let mut folk = Folk::default();
        let (memory, clock) = (MemoryStorage::new(), Arc::new(SystemClock));
        let directory = StoreDirectory::new(memory.storage(), clock, DirectoryOptions::default());
        let directory = Arc::new(directory);
        for domain in &domains {
            folk.settle(&directory, domain, dice).await;
        }
        let (resolver, random): (Arc<dyn Resolver>, _) =
            (Arc::new(NoResolver), Arc::new(SeededRandom::new(1)));
        let mut builder = Engine::builder(understood.hostname.as_str(), memory.storage(), directory.clone())
            .settings(understood.settings.clone())
            .agent(Arc::new(LocalAgent::new(directory)));
        for client in
            crate::site::assemble::clients(&understood, &resolver, random, (None, None)).expect("clients")
        {
            builder = builder.output(client);
        }
        let engine = builder.build().expect("an engine");
        // A route may refuse them, or send them on.
        let open = if config.contains("[[route]]") { BTreeSet::new() } else { folk.open };
        Self {
            engine,
            config,
            domains,
            relayed,
            networks,
            locals: folk.locals,
            open,
            sent_on: folk.sent_on,
            known: folk.known,
            everything: folk.everything,
            accounts: folk.accounts,
            protocols,
        }
    }

    /// Whether a domain is ours.
    pub(super) fn is_ours(&self, domain: &str) -> bool {
        self.domains.iter().any(|ours| ours == domain)
    }

    /// Whether mail for a domain is taken from anybody.
    pub(super) fn takes_for(&self, domain: &str) -> bool {
        self.relayed.iter().any(|pattern| is_named(domain, pattern))
    }

    /// Whether somebody has an address of ours, perhaps with a detail, or all of its domain.
    pub(super) fn knows(&self, mailbox: &Mailbox) -> bool {
        let (local, domain) = (mailbox.local().as_str().to_lowercase(), mailbox.domain().as_str());
        let base = local.split('+').next().unwrap_or_default();
        let has = |local: &str| self.known.contains(&format!("{local}@{domain}"));
        has(&local)
            || has(base)
            || self.everything.contains(domain)
            || matches!(&*local, "postmaster" | "abuse")
    }

    /// Somebody who connects.
    pub(super) fn connection(&self, dice: &mut Dice) -> Connection {
        let protocol = dice.word(&self.protocols);
        let peer = SocketAddr::new(self.peer(dice), 1024 + dice.below(60_000) as u16);
        let mut connection = Connection::new(ChannelId::new(protocol), Some(peer));
        connection.submission = protocol.starts_with("submission");
        connection.answers_each = protocol == "lmtp";
        let may_log_in = protocol != "lmtp" && dice.once_in(if connection.submission { 2 } else { 10 });
        if may_log_in && !self.accounts.is_empty() {
            connection.account = Some(Account::new(dice.one(&self.accounts).parse().expect("an address")));
        }
        connection.senders =
            [SenderMatch::Own, SenderMatch::Off, SenderMatch::Strict][dice.below(3) as usize];
        // What is said of where a message first came in gives no right.
        connection.upstream = dice.once_in(4).then(|| Upstream {
            address: Some(self.peer(dice).to_string()),
            local: Some(true),
            ..Upstream::default()
        });
        connection
    }

    /// An address: anywhere, within one of the networks, or just beside it.
    fn peer(&self, dice: &mut Dice) -> IpAddr {
        let near = (!self.networks.is_empty() && dice.once_in(2)).then(|| dice.one(&self.networks).clone());
        let Some((text, length)) = near else { return anywhere(dice) };
        let noise = u128::from(dice.number()) << 64 | u128::from(dice.number());
        let (base, size): (u128, usize) = match text.parse().expect("an address") {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        let host = size - length;
        let mut bits = base | (noise & (1_u128.checked_shl(host as u32).unwrap_or(0).wrapping_sub(1)));
        // Beside: the last bit of the network turned, or any other of it.
        if dice.once_in(2) && length > 0 {
            let bit = if dice.once_in(2) { host } else { host + dice.below(length as u64) as usize };
            bits ^= 1 << bit;
        }
        match size {
            32 => {
                let v4 = std::net::Ipv4Addr::from_bits(bits as u32);
                if dice.once_in(4) { v4.to_ipv6_mapped().into() } else { v4.into() }
            }
            _ => std::net::Ipv6Addr::from_bits(bits).into(),
        }
    }
}

fn anywhere(dice: &mut Dice) -> IpAddr {
    let number = dice.number();
    match dice.below(6) {
        0 => IpAddr::from([127, 0, 0, 1]),
        1 => std::net::Ipv6Addr::LOCALHOST.into(),
        2 => std::net::Ipv4Addr::from_bits(number as u32).to_ipv6_mapped().into(),
        3 => std::net::Ipv6Addr::from_bits(u128::from(number) << 64 | u128::from(dice.number())).into(),
        // An IPv4 address in the deprecated IPv6 form: nobody's network.
        4 => std::net::Ipv6Addr::from_bits(u128::from(number as u32)).into(),
        _ => std::net::Ipv4Addr::from_bits(number as u32).into(),
    }
}

fn network(dice: &mut Dice) -> (String, usize) {
    let number = dice.number();
    if dice.once_in(2) {
        let length = 8 + dice.below(25) as usize;
        let base = (number as u32) & u32::MAX.checked_shl(32 - length as u32).unwrap_or(0);
        return (std::net::Ipv4Addr::from_bits(base).to_string(), length);
    }
    let length = 16 + dice.below(113) as usize;
    let base = (u128::from(number) << 64 | u128::from(dice.number()))
        & u128::MAX.checked_shl(128 - length as u32).unwrap_or(0);
    (std::net::Ipv6Addr::from_bits(base).to_string(), length)
}

fn config(
    dice: &mut Dice,
    relayed: &[String],
    networks: &[(String, usize)],
    protocols: &[&str],
    domains: &[String],
) -> String {
    let networks: Vec<String> =
        networks.iter().map(|(address, length)| format!("{address}/{length}")).collect();
    let mut text = "hostname = \"mx.one.example\"\n".to_owned();
    if dice.once_in(3) && !domains.is_empty() {
        text += &format!("login_domain = \"{}\"\n", domains[0]);
    }
    text += "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    for (n, protocol) in protocols.iter().enumerate() {
        text += &format!("[[listener]]\nprotocol = \"{protocol}\"\naddress = \"127.0.0.1:{}\"\n", 2500 + n);
    }
    text += &format!("[relay]\nnetworks = {networks:?}\ndomains = {relayed:?}\n");
    let patterns: &[&str] =
        &["*", "*.example", "one.example", "victim.test", "backup.example", "*.gate.example", "home.test"];
    for pattern in patterns {
        if dice.once_in(4) {
            text += &format!("[[route]]\ndomain = \"{pattern}\"\nvia = \"{}\"\n", dice.word(VIAS));
        }
    }
    text
}

/// Who lives there.
#[derive(Default)]
struct Folk {
    locals: Vec<String>,
    accounts: Vec<String>,
    open: BTreeSet<String>,
    known: HashSet<String>,
    everything: HashSet<String>,
    sent_on: HashSet<String>,
}

impl Folk {
    /// Accounts, aliases, forwards and a catch-all, where they make sense to the directory.
    async fn settle(&mut self, directory: &StoreDirectory, domain: &str, dice: &mut Dice) {
        let name = domain.parse().expect("a domain");
        directory.add_domain(&name, DomainSettings::default()).await.expect("a domain");
        for local in NAMES {
            let address = format!("{local}@{domain}");
            match dice.below(4) {
                0 => self.account(directory, &address, dice).await,
                1 => self.alias(directory, &address, dice).await,
                _ => continue,
            }
            self.locals.push((*local).to_owned());
        }
        if dice.once_in(3) {
            let to = self.somebody(dice);
            let mut settings = DomainSettings::default();
            settings.catch_all = Some(to.parse().expect("an address"));
            if directory.update_domain(&name, |now| now.catch_all = settings.catch_all.clone()).await.is_ok()
            {
                self.sent_on.insert(to);
                self.everything.insert(domain.to_owned());
            }
        }
    }

    async fn account(&mut self, directory: &StoreDirectory, address: &str, dice: &mut Dice) {
        let mut new = NewAccount::new(address.parse().expect("an address"));
        let mut settings = AccountSettings::default();
        settings.enabled = !dice.once_in(6);
        settings.keep_copy = dice.once_in(2);
        if dice.once_in(4) {
            let to = self.somebody(dice);
            settings.forwards.push(to.parse().expect("an address"));
        }
        let (enabled, forwards) = (settings.enabled, settings.forwards.clone());
        new.settings = settings;
        if directory.add_account(new).await.is_err() {
            return;
        }
        self.sent_on.extend(forwards.iter().map(ToString::to_string));
        self.known.insert(address.to_owned());
        if enabled {
            self.accounts.push(address.to_owned());
            if forwards.is_empty() {
                self.open.insert(address.to_owned());
            }
        }
    }

    async fn alias(&mut self, directory: &StoreDirectory, address: &str, dice: &mut Dice) {
        let targets: Vec<String> = (0..1 + dice.below(3)).map(|_| self.somebody(dice)).collect();
        let parsed: Vec<Mailbox> = targets.iter().map(|to| to.parse().expect("an address")).collect();
        if directory.add_alias(&address.parse().expect("an address"), &parsed).await.is_ok() {
            self.sent_on.extend(targets);
            self.known.insert(address.to_owned());
        }
    }

    /// Somebody to whom mail may be sent on.
    fn somebody(&self, dice: &mut Dice) -> String {
        match self.accounts.is_empty() || dice.once_in(2) {
            true => dice.word(ELSEWHERE).to_owned(),
            false => dice.one(&self.accounts).clone(),
        }
    }
}
