//! `iems account`: the people and programs that have a mailbox and a password here.

use std::io::{BufRead, Read};
use std::path::Path;

use clap::Subcommand;
use iems_core::message::{Domain, Mailbox};
use iems_core::seam::CertificateMark;

use super::output::{Table, octets, say, show};
use crate::admin::answer::AccountAnswer;
use crate::admin::request::{AccountChange, Mark, Owner, Request, Secret};
use crate::admin::{ask, order};
use crate::config::size;
use crate::exit::Failure;
use crate::services::Services;

/// The longest password, in octets.
const LONGEST_PASSWORD: u64 = 1024;

/// Accounts: a mailbox, and a password to send and read mail with.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  printf '%s\\n' \"$PASSWORD\" | iems account add ann@example.org --password-stdin\n  iems account add ann@example.org --hash-stdin < ann.hash\n  iems account set ann@example.org --quota 2GiB\n  iems account set ann@example.org --forward ann@example.net --keep\n  iems account list --domain example.org --json"
)]
pub(super) enum Args {
    /// Create an account; its domain must exist
    Add {
        /// Its address, which is also the login name
        address: Mailbox,
        #[command(flatten)]
        from: Input,
        /// The most its mailbox may hold, such as 2GiB
        #[arg(long, value_parser = octets_of)]
        quota: Option<u64>,
    },
    /// Remove an account and its mailbox
    Remove {
        /// Its address
        address: Mailbox,
    },
    /// List all accounts
    List {
        /// Only those of this domain
        #[arg(long)]
        domain: Option<Domain>,
        /// As JSON: an array of accounts
        #[arg(long)]
        json: bool,
    },
    /// Show one account
    Show {
        /// Its address
        address: Mailbox,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change an account
    Set {
        /// Its address
        address: Mailbox,
        #[command(flatten)]
        change: Set,
    },
    /// Set another password
    Password {
        /// Its address
        address: Mailbox,
        #[command(flatten)]
        from: Input,
    },
    /// Passwords for one program each
    #[command(subcommand)]
    AppPassword(super::app_password::Args),
    /// Certificates that the account logs in with (EXTERNAL)
    #[command(subcommand)]
    Certificate(Certificate),
}

/// What stands on standard input.
#[derive(Debug, clap::Args)]
#[group(id = "input", required = true, multiple = false)]
pub(super) struct Input {
    /// Read the password from standard input, one line
    #[arg(long)]
    password_stdin: bool,
    /// Read the hash that another server made of it, as it stands in a passwd-file or in LDAP, such as {SSHA512}... or $6$...
    #[arg(long)]
    hash_stdin: bool,
}

/// What is done with certificates.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  iems account certificate add ann@example.org \"$(openssl x509 -in ann.pem -noout -fingerprint -sha256 | cut -d= -f2)\""
)]
pub(super) enum Certificate {
    /// Bind a certificate to the account
    Add {
        /// The account
        address: Mailbox,
        /// The SHA-256 of the certificate, 64 hexadecimal digits
        fingerprint: CertificateMark,
    },
    /// Take it away from the account
    Remove {
        /// The account
        address: Mailbox,
        /// The SHA-256 of the certificate
        fingerprint: CertificateMark,
    },
    /// List the certificates of the account
    List {
        /// The account
        address: Mailbox,
        /// As JSON: an array of fingerprints
        #[arg(long)]
        json: bool,
    },
}

impl Certificate {
    fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let (address, mark, add) = match self {
            Self::Add { address, fingerprint } => (address, fingerprint, true),
            Self::Remove { address, fingerprint } => (address, fingerprint, false),
            Self::List { address, json } => {
                let all: Vec<String> = ask(file, Request::AccountCertificates { address })?;
                return show(&all, json, |all| all.iter().map(|mark| format!("{mark}\n")).collect());
            }
        };
        order(file, Request::AccountCertificate { address: address.clone(), mark: Mark(mark), add })?;
        say(format!("certificate {} {address}", if add { "bound to" } else { "taken away from" }))
    }
}

/// What can be changed.
#[derive(Debug, clap::Args)]
#[group(id = "changes", required = true, multiple = true)]
pub(super) struct Set {
    /// The most its mailbox may hold, such as 2GiB; 0 lifts the bound
    #[arg(long, value_parser = octets_of)]
    quota: Option<u64>,
    /// Send its mail on to this address; may be given several times
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_forward")]
    forward: Vec<Mailbox>,
    /// Keep a copy of forwarded mail in the mailbox
    #[arg(long, requires = "forward")]
    keep: bool,
    /// Send its mail on no more
    #[arg(long)]
    no_forward: bool,
    /// Let it name this address, or every address of this domain, as sender; may be given several times
    #[arg(long, value_name = "ADDRESS|DOMAIN", conflicts_with = "no_senders")]
    sender: Vec<Owner>,
    /// Let it name only itself and aliases that lead to it alone as sender
    #[arg(long)]
    no_senders: bool,
    /// Take mail and logins again
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Take no mail and no logins
    #[arg(long)]
    disable: bool,
    /// For these services take app passwords only, and not the main one: a list with commas between, all, or none
    #[arg(long, value_name = "SERVICES")]
    only_app_passwords: Option<Services>,
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::Add { address, from, quota } => {
                let (password, hashed) = (secret()?, from.hash_stdin);
                order(file, Request::AccountAdd { address: address.clone(), password, hashed, quota })?;
                say(format!("account {address} added"))
            }
            Self::Remove { address } => {
                order(file, Request::AccountRemove { address: address.clone() })?;
                say(format!("account {address} removed"))
            }
            Self::List { domain, json } => {
                let all: Vec<AccountAnswer> = ask(file, Request::AccountList { domain })?;
                show(&all, json, |all| table(all))
            }
            Self::Show { address, json } => {
                let one: AccountAnswer = ask(file, Request::AccountShow { address })?;
                show(&one, json, |one| table(std::slice::from_ref(one)))
            }
            Self::Set { address, change } => change.run(file, address),
            Self::AppPassword(what) => what.run(file),
            Self::Certificate(what) => what.run(file),
            Self::Password { address, from } => {
                let (password, hashed) = (secret()?, from.hash_stdin);
                order(file, Request::AccountPassword { address: address.clone(), password, hashed })?;
                say(format!("password of {address} changed"))
            }
        }
    }
}

impl Set {
    fn run(self, file: Option<&Path>, address: Mailbox) -> Result<(), Failure> {
        let forwards = self.no_forward || !self.forward.is_empty();
        let senders = self.no_senders || !self.sender.is_empty();
        let change = AccountChange {
            quota: self.quota,
            enabled: (self.enable || self.disable).then_some(self.enable),
            forward: forwards.then_some(self.forward),
            keep: self.keep,
            senders: senders.then_some(self.sender),
            only_app_passwords: self.only_app_passwords.map(|services| services.0),
        };
        order(file, Request::AccountSet { address: address.clone(), change })?;
        say(format!("account {address} changed"))
    }
}

/// One line of standard input, without its end.
fn secret() -> Result<Secret, Failure> {
    let mut line = String::new();
    let mut input = std::io::stdin().lock().take(LONGEST_PASSWORD + 3);
    input.read_line(&mut line).map_err(|e| Failure::io(format!("cannot read the password: {e}")))?;
    let password = line.trim_end_matches(['\r', '\n']);
    match password.len() as u64 {
        0 => Err(Failure::data("there is no password on standard input: write it there as one line")),
        1..=LONGEST_PASSWORD => Ok(Secret(password.to_owned())),
        _ => Err(Failure::data(format!("a password may have at most {LONGEST_PASSWORD} octets"))),
    }
}

fn octets_of(text: &str) -> Result<u64, String> {
    size(text).ok_or_else(|| "expected a size such as 500MiB or 2GiB".into())
}

fn table(accounts: &[AccountAnswer]) -> String {
    let mut table = Table::new(&["ACCOUNT", "STATE", "MESSAGES", "USED", "QUOTA", "FORWARD"]);
    for account in accounts {
        let forward: Vec<String> = account.forward.iter().map(ToString::to_string).collect();
        let kept = if account.keep && !forward.is_empty() { " (and kept)" } else { "" };
        table.row([
            account.address.to_string(),
            if account.enabled { "enabled" } else { "disabled" }.into(),
            account.messages.to_string(),
            octets(account.used),
            account.quota.map_or("-".into(), octets),
            if forward.is_empty() { "-".into() } else { format!("{}{kept}", forward.join(", ")) },
        ]);
    }
    table.to_string()
}
