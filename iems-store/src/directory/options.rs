//! Settings of the directory, each with its default and the reason for it.

use std::time::Duration;

use iems_core::message::{Domain, Mailbox};

use super::QuotaOptions;

/// How the directory behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DirectoryOptions {
    /// Who gets mail for `postmaster@` and `abuse@` of a local domain when the domain itself does not say
    /// (see [`super::DomainSettings::postmaster`]). Default: nobody, then the oldest account of the domain gets it.
    pub postmaster: Option<Mailbox>,
    /// The domain of logins without one. Default: none, such logins are unknown.
    pub login_domain: Option<Domain>,
    /// How many aliases and forwards may stand one behind the other. Default: 10, more is a mistake.
    pub depth: usize,
    /// The most targets of one address. Default: 1000, the most recipients of one message; larger circles are lists.
    pub targets: usize,
    /// How many addresses the cache remembers. Default: 20,000, about 10 MB.
    pub cache: usize,
    /// How passwords are kept and checked.
    pub passwords: PasswordOptions,
    /// What holds for quotas.
    pub quota: QuotaOptions,
}

impl Default for DirectoryOptions {
    fn default() -> Self {
        let (postmaster, login_domain, passwords) = (None, None, PasswordOptions::default());
        let quota = QuotaOptions::default();
        Self { postmaster, login_domain, depth: 10, targets: 1000, cache: 20_000, passwords, quota }
    }
}

/// How passwords are kept and checked. The costs hold for passwords set from now on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PasswordOptions {
    /// Memory of one Argon2id run in KiB. Default: 19456, as OWASP advises with two passes.
    pub memory: u32,
    /// Passes of Argon2id over that memory. Default: 2.
    pub passes: u32,
    /// Iterations of SCRAM-SHA-256. Default: 10,000; RFC 7677 asks for at least 4096, and clients pay for them.
    pub scram_iterations: u32,
    /// How many Argon2id runs may go on at once. Default: the number of processors.
    pub at_once: usize,
    /// How many may wait for one; further logins are told to come again. Default: 1000.
    pub waiting: usize,
    /// How long a password that was right needs no Argon2id run. Default: 5 minutes; zero switches it off. A changed
    /// password, or a disabled account, counts at once.
    pub remember: Duration,
}

impl Default for PasswordOptions {
    fn default() -> Self {
        let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let remember = Duration::from_secs(300);
        Self { memory: 19_456, passes: 2, scram_iterations: 10_000, at_once, waiting: 1000, remember }
    }
}
