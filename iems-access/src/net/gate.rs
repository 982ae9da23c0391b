//! How often one connection may try to log in: what failed counts with the limits of the site.

use std::net::IpAddr;
use std::sync::Arc;

use iems_core::limits::{Act, Limits, Who};
use iems_core::seam::Directory;

use super::{Answer, Protocol, Question, Shared};

/// One connection's tries.
pub(crate) struct Gate {
    limits: Arc<Limits>,
    scope: Arc<str>,
    peer: IpAddr,
    /// The login that was tried last.
    login: String,
    /// Failed logins that the limits know of.
    failures: u32,
}

impl Gate {
    pub(crate) fn new<P: Protocol>(shared: &Shared<P>, peer: IpAddr) -> Self {
        let (limits, scope) = (shared.limits.clone(), shared.scope.clone());
        Self { limits, scope, peer, login: String::new(), failures: 0 }
    }

    /// Asks the directory, unless nobody may try from here any more after so many failures: the text is about the limit that was hit.
    pub(crate) async fn ask(
        &mut self,
        directory: &dyn Directory,
        question: &Question,
        failures: u32,
    ) -> Result<Answer, String> {
        if let Some(login) = question.login() {
            self.may_try(login, failures)?;
        }
        let answer = super::credentials::ask(directory, question).await;
        if let (Question::Password { password, .. }, Answer::Account(None)) = (question, &answer)
            && self.limits.is_repeated(&self.who(), password.as_str())
        {
            // No guess: it counted when it was tried first.
            self.failures += 1;
        }
        Ok(answer)
    }

    /// Whether a login may be tried from here.
    fn may_try(&mut self, login: &str, failures: u32) -> Result<(), String> {
        self.count(failures);
        login.clone_into(&mut self.login);
        self.limits.check(Act::Failure, &self.who()).map_err(|hit| hit.text())
    }

    /// Tells the limits of logins that failed; `failures` are all of this connection.
    pub(crate) fn count(&mut self, failures: u32) {
        let new = failures.saturating_sub(std::mem::replace(&mut self.failures, failures));
        if new > 0 {
            let _ = self.limits.take(Act::Failure, &self.who(), u64::from(new));
        }
    }

    fn who(&self) -> Who<'_> {
        let login = Some(self.login.as_str()).filter(|login| !login.is_empty());
        Who { scope: &self.scope, address: Some(self.peer), login, ..Who::default() }
    }
}
