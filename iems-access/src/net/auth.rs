//! Who may authenticate, and how: the same for every protocol.

use std::sync::Arc;
use std::time::Duration;

use iems_core::seam::Directory;
use iems_core::seam::sasl::{Beneath, Entropy, Mechanism};

use super::Believed;

/// The longest wait after a failure.
const LONGEST_DELAY: Duration = Duration::from_secs(16);

/// Makes fresh octets nobody can guess; `None` if there are none now.
pub type Nonce = Arc<dyn Fn() -> Option<[u8; 18]> + Send + Sync>;

/// What holds for a connection as long as it lasts, or until TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Whether TLS is in force.
    pub tls: bool,
    /// Whether TLS can be started.
    pub tls_available: bool,
    /// Whether the peer is on this machine, so that nobody can listen.
    pub local: bool,
}

/// Why a mechanism is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unoffered {
    /// There is none of this name, or it is switched off, or the channel gives nothing for it.
    Unknown,
    /// It shows the password, and others could listen.
    NeedsTls,
}

/// Who may authenticate, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthOptions {
    /// Who is asked whether passwords, certificates and tokens are good: a directory of one's own, for accounts whose passwords
    /// are elsewhere. Whom it proves has to be an account of the directory whose mailboxes are shown. Default `None`: that
    /// directory itself.
    pub directory: Option<Arc<dyn Directory>>,
    /// The mechanisms of `AUTH`, in the order in which they are offered. Default: those that need nothing but a password. Those
    /// that the channel gives nothing for are not offered.
    pub mechanisms: Vec<Mechanism>,
    /// Whom certificates of peers are believed from. Default: none is believed.
    pub believed: Option<Believed>,
    /// Whether passwords may come without TLS from peers that are not on this machine. Default no.
    pub without_tls: bool,
    /// From this secret come the verifiers that `SCRAM` makes up for unknown logins. Keep it over restarts, so that they
    /// stay the same. Default: a new one for each server.
    pub secret: Option<[u8; 32]>,
    /// The iteration count of made-up verifiers: the one the directory uses. Default 10,000, as the directory's.
    pub iterations: u32,
    /// Failures after which a connection is closed. Default 5.
    pub max_failures: u32,
    /// How late the first failure is answered; each further one twice as late, up to 16 s. Default 1 s: too slow for
    /// guessing, unnoticed after a slip of the finger.
    pub failure_delay: Duration,
}

impl AuthOptions {
    /// Who is asked; `shown` is the directory whose mailboxes are shown.
    pub(crate) fn asked<'a>(&'a self, shown: &'a dyn Directory) -> &'a dyn Directory {
        self.directory.as_deref().unwrap_or(shown)
    }

    /// Whether a password may be said over this link.
    pub fn passwords_may_pass(&self, link: Link) -> bool {
        link.tls || link.local || self.without_tls
    }

    /// The mechanisms that are offered over this link.
    pub fn offered<'a>(&'a self, link: Link, beneath: &'a Beneath) -> impl Iterator<Item = Mechanism> + 'a {
        let clear = self.passwords_may_pass(link);
        let mechanisms = self.mechanisms.iter().copied();
        mechanisms.filter(move |mechanism| (clear || !mechanism.shows_password()) && mechanism.fits(beneath))
    }

    /// The mechanism called `name`.
    ///
    /// # Errors
    /// [`Unoffered`].
    pub fn choose(&self, name: &str, link: Link, beneath: &Beneath) -> Result<Mechanism, Unoffered> {
        let known = name.parse().ok();
        let known = known.filter(|m: &Mechanism| self.mechanisms.contains(m) && m.fits(beneath));
        let mechanism = known.ok_or(Unoffered::Unknown)?;
        match mechanism.shows_password() && !self.passwords_may_pass(link) {
            true => Err(Unoffered::NeedsTls),
            false => Ok(mechanism),
        }
    }

    /// What an exchange needs, for a service in the words of credentials; `None` while there is nothing unguessable.
    pub fn entropy(&self, nonce: &Nonce, beneath: &Arc<Beneath>, service: &'static str) -> Option<Entropy> {
        let (nonce, secret) = (nonce()?, self.secret?);
        // Without the mechanism that binds, nothing to bind to was offered.
        let beneath = match self.mechanisms.contains(&Mechanism::ScramSha256Plus) {
            true => beneath.clone(),
            false => {
                let certificate = beneath.certificate.clone();
                Arc::new(Beneath { bindings: Vec::new(), certificate })
            }
        };
        Some(Entropy { nonce, secret, iterations: self.iterations, beneath, service })
    }

    /// How late a failure is answered after so many others.
    pub fn delay(&self, failures: u32) -> Duration {
        let doubled = 1u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.failure_delay.saturating_mul(doubled).min(LONGEST_DELAY)
    }
}

impl std::fmt::Debug for AuthOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthOptions").field("mechanisms", &self.mechanisms).finish_non_exhaustive()
    }
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            directory: None,
            mechanisms: Mechanism::WITH_PASSWORD.to_vec(),
            believed: None,
            without_tls: false,
            secret: None,
            iterations: 10_000,
            max_failures: 5,
            failure_delay: Duration::from_secs(1),
        }
    }
}
