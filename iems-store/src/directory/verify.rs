//! Checking passwords: at most so many runs of a hash at once, the same work for logins that do not exist,
//! and a short memory of passwords that were right.
//!
//! The memory holds keyed hashes of login, password and stored hash; the key is made at start and never leaves. As the stored
//! hash is part of it, a changed password is forgotten by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iems_core::seam::{DirectoryError, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::secret::{decoy, prepared};
use super::{PasswordOptions, foreign};

/// How many right passwords are remembered.
const REMEMBERED: usize = 100_000;

pub(super) struct Verifier {
    runs: Arc<Semaphore>,
    room: Arc<Semaphore>,
    key: Option<[u8; 32]>,
    decoy: Option<String>,
    remember: Duration,
    right: Mutex<HashMap<[u8; 32], Timestamp>>,
}

impl Verifier {
    pub(super) fn new(options: &PasswordOptions) -> Self {
        let at_once = options.at_once.clamp(1, Semaphore::MAX_PERMITS / 2);
        let waiting = options.waiting.min(Semaphore::MAX_PERMITS / 2);
        let mut key = [0; 32];
        let key = getrandom::fill(&mut key).ok().map(|()| key);
        Self {
            runs: Arc::new(Semaphore::new(at_once)),
            room: Arc::new(Semaphore::new(at_once + waiting)),
            key,
            decoy: decoy(options),
            remember: options.remember,
            right: Mutex::default(),
        }
    }

    /// Whether `password` has the hash `hash`; `None` is checked as long as any, in vain.
    pub(super) async fn verify(
        &self,
        login: &str,
        password: &str,
        hash: Option<String>,
        now: Timestamp,
    ) -> Result<bool, DirectoryError> {
        let (sent, Some(password)) = (password, prepared(password)) else { return Ok(false) };
        let exists = hash.is_some();
        let Some(hash) = hash.or_else(|| self.decoy.clone()) else { return Ok(false) };
        let mark = self.mark(login, &password, &hash);
        if self.was_right(mark, now) {
            return Ok(true);
        }
        let busy = || DirectoryError::Unavailable("too many logins wait for their turn".into());
        let _place = self.room.clone().try_acquire_owned().map_err(|_| busy())?;
        let run = self.runs.clone().acquire_owned().await.map_err(|_| busy())?;
        if self.was_right(mark, now) {
            return Ok(true);
        }
        // Other servers make hashes of what is sent.
        let checked = if foreign::is_foreign(&hash) { sent.to_owned() } else { password.into_owned() };
        let matches = check(checked, hash, run).await? && exists;
        if matches {
            self.remember(mark, now);
        }
        Ok(matches)
    }

    /// Waits for a run that is not one of [`Self::verify`].
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.runs.clone().acquire_owned().await.ok()
    }

    /// Takes all room there is.
    #[cfg(test)]
    pub(super) fn fill(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.room.available_permits()).unwrap();
        self.room.clone().try_acquire_many_owned(all).unwrap()
    }

    fn mark(&self, login: &str, password: &str, hash: &str) -> Option<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_keyed(&self.key?);
        for part in [login, password, hash] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        Some(*hasher.finalize().as_bytes())
    }

    fn was_right(&self, mark: Option<[u8; 32]>, now: Timestamp) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        mark.and_then(|mark| right.get(&mark).copied()).is_some_and(|until| now < until)
    }

    fn remember(&self, mark: Option<[u8; 32]>, now: Timestamp) {
        let Some(mark) = mark.filter(|_| !self.remember.is_zero()) else { return };
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= REMEMBERED {
            right.retain(|_, until| now < *until);
        }
        if right.len() < REMEMBERED {
            right.insert(mark, now.after(self.remember));
        }
    }
}

/// One run beside the tasks. It holds its permit to the end, even if nobody waits for it any more.
async fn check(password: String, hash: String, run: OwnedSemaphorePermit) -> Result<bool, DirectoryError> {
    let checked = tokio::task::spawn_blocking(move || {
        let matches = foreign::matches(&hash, password.as_bytes());
        drop(run);
        matches
    });
    checked.await.map_err(|e| DirectoryError::Unavailable(e.to_string()))
}
