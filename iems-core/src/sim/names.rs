//! A simulated directory. `here.example` is ours:
//!
//! | address | leads to |
//! |---|---|
//! | `p0` …, `s0` …, `owner`, `postmaster` | a mailbox |
//! | `team` | the mailboxes `t1` and `t2` |
//! | `out` | `forwarded@far0.example` |
//! | `list` | the agent, which sends copies to `m1` here and `m2@far1.example`, from `owner` |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::Dice;
use crate::message::{ChannelId, Domain, Mailbox};
use crate::preprocess::Policy;
use crate::seam::{Account, Directory, DirectoryError, Resolution, ScramVerifier, Target};

/// The directory.
#[derive(Debug)]
pub struct SimDirectory {
    dice: Dice,
    failing: AtomicU64,
}

impl SimDirectory {
    /// The directory of one simulation.
    pub fn new(dice: Dice) -> Arc<Self> {
        Arc::new(Self { dice, failing: AtomicU64::new(0) })
    }

    /// From now on, so many of a thousand questions are not answered.
    pub fn set_failing(&self, permille: u64) {
        self.failing.store(permille, Ordering::SeqCst);
    }

    /// The addresses at which mail to `recipient` ends, as the table says.
    pub fn ends(recipient: &str) -> Vec<String> {
        match recipient {
            "team@here.example" => vec!["t1@here.example".into(), "t2@here.example".into()],
            "out@here.example" => vec!["forwarded@far0.example".into()],
            other => vec![other.into()],
        }
    }

    /// Who is told of what nobody else can be told of.
    pub const POSTMASTER: &str = "postmaster@here.example";

    /// The members of the list.
    pub const MEMBERS: [&str; 2] = ["m1@here.example", "m2@far1.example"];
}

fn target(address: &str) -> Result<Target, DirectoryError> {
    let mailbox: Mailbox = address.parse().map_err(|_| DirectoryError::Unavailable(address.into()))?;
    Ok(match mailbox.domain().as_str() {
        "here.example" => Target::Agent { agent: ChannelId::new("boxes"), mailbox, detail: None },
        _ => Target::Forward(mailbox),
    })
}

#[async_trait]
impl Directory for SimDirectory {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        if self.dice.chance(self.failing.load(Ordering::SeqCst)) {
            return Err(DirectoryError::Unavailable("as the simulation wants it".into()));
        }
        if !self.is_local(mailbox.domain()).await? {
            return Ok(Resolution::Foreign);
        }
        let ends = match mailbox.local().as_str() {
            "nobody" => return Ok(Resolution::Unknown),
            _ => Self::ends(&mailbox.to_string()),
        };
        Ok(Resolution::Targets(ends.iter().map(|end| target(end)).collect::<Result<_, _>>()?))
    }

    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        Ok(domain.as_str() == "here.example")
    }

    async fn may_send_as(&self, account: &Account, sender: &Mailbox) -> Result<bool, DirectoryError> {
        Ok(account.mailbox == *sender)
    }

    async fn check_password(&self, _: &str, _: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }

    async fn scram(&self, _: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        Ok(None)
    }

    async fn policy(&self, _: &Mailbox) -> Result<Policy, DirectoryError> {
        Ok(Policy::new())
    }
}
