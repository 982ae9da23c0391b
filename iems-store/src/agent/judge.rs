//! The owner's own judges, and what the owner wants done.

use std::borrow::Cow;

use async_trait::async_trait;
use iems_core::deliver::Attempt;
use iems_core::message::{Reply, Verdict};
use iems_core::preprocess::{Decision, Scope};
use iems_core::seam::Directory;

use super::fields::Seen;
use super::{LocalAgent, too_late_to_refuse, trouble};
use crate::directory::AccountInfo;
use crate::structure::Structure;

/// What a personal judge may look at.
#[non_exhaustive]
pub struct PersonalSubject<'a> {
    /// Whose mail it is.
    pub account: &'a AccountInfo,
    /// The message on its way: envelope, body, and what the site found.
    pub attempt: &'a Attempt,
    /// Its structure.
    pub structure: &'a Structure,
    /// What the site's judges found, and personal ones before this.
    pub verdicts: &'a [Verdict],
}

/// A judge with its owner's settings and data.
///
/// - **Role**: finds facts about a message for one account. Never decides: the rules of the owner and the owner's domain
///   do.
/// - **Called when**: a message is delivered to an account, once for each destination, after the site has accepted it.
/// - **Ordering**: in the order in which judges were added; each sees the verdicts before it.
/// - **Cancellation**: the future is dropped when the engine stops; nothing may be left half done.
/// - **Idempotency**: may run again for the same message, as an attempt may.
/// - **Concurrency**: called for many messages at once.
/// - **Errors**: there are none: trouble is a verdict (`TempError`, `PermError`). It stands on the path of acceptance, and
///   has to bound its time itself.
/// - **Example**: `examples/personal_judge`.
#[async_trait]
pub trait PersonalJudge: Send + Sync + 'static {
    /// Looks.
    async fn inspect(&self, subject: &PersonalSubject<'_>) -> Vec<Verdict>;
}

impl LocalAgent {
    /// What the owner and the owner's domain want done; `None` if no rule of theirs matches.
    pub(super) async fn decide(
        &self,
        attempt: &Attempt,
        account: &AccountInfo,
        seen: &Seen,
    ) -> Result<Option<Decision>, Reply> {
        let mut verdicts = Cow::Borrowed(&attempt.verdicts[..]);
        for judge in &self.judges {
            let (structure, before) = (&seen.structure, &verdicts[..]);
            let subject = PersonalSubject { account, attempt, structure, verdicts: before };
            let found = judge.inspect(&subject).await;
            verdicts.to_mut().extend(found);
        }
        if verdicts.is_empty() {
            return Ok(None);
        }
        let policy = self.directory.policy(&account.mailbox).await;
        let policy = policy.map_err(|e| trouble(e.to_string()))?;
        let decision = policy.decide(&verdicts);
        Ok((decision.scope != Scope::Default).then(|| too_late_to_refuse(decision)))
    }
}
