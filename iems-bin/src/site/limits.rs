//! What limits say of the site, and bans that an administrator makes and lifts.

use std::time::Duration;

use iems_core::limits::{Keeper, Key};

use super::Site;
use crate::admin::limits::{HitAnswer, LimitAnswer, LimitsAnswer};
use crate::exit::Failure;

impl Site {
    /// Reads the bans in the store, if no server does that.
    async fn kept(&self) -> Option<Keeper> {
        match self.running {
            Some(_) => None,
            None => Some(Keeper::open(self.limits.clone(), self.store.storage().store).await),
        }
    }

    pub(super) async fn limits(&self) -> LimitsAnswer {
        self.kept().await;
        let totals = self.limits.totals();
        let limits = self.limits.list().into_iter().map(|(listener, limit)| LimitAnswer {
            hits: totals.iter().find(|(name, _)| *name == limit.name).map_or(0, |(_, hits)| *hits),
            name: limit.name.to_string(),
            origin: limit.origin.to_string(),
            listener: listener.to_string(),
            most: limit.bound.to_string(),
        });
        let hits = self.limits.hits().into_iter().map(|hit| HitAnswer {
            limit: hit.limit.to_string(),
            origin: hit.origin.to_string(),
            of: hit.act.to_owned(),
            key: hit.key,
            count: hit.count,
            last: hit.last.to_string(),
        });
        LimitsAnswer { limits: limits.collect(), hits: hits.collect(), bans: self.limits.bans() }
    }

    pub(super) async fn ban(&self, key: Key, span: Duration, reason: &str) {
        let kept = self.kept().await;
        self.limits.ban(reason, "iems limits ban", key, span);
        write(kept).await;
    }

    /// Lifts bans, all of them unless a key is named, and forgets what was counted. How many bans there were.
    pub(super) async fn clear_limits(&self, key: Option<Key>) -> Result<usize, Failure> {
        let kept = self.kept().await;
        let lifted = match key {
            Some(key) => usize::from(self.limits.clear(&key)),
            None => self.limits.bans().iter().filter(|ban| self.limits.clear(&ban.key)).count(),
        };
        write(kept).await;
        Ok(lifted)
    }
}

async fn write(kept: Option<Keeper>) {
    if let Some(mut keeper) = kept {
        keeper.write().await;
    }
}
