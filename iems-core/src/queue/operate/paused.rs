//! Stopping hops and letting them go on: durable orders of an operator.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{Queue, QueueError};
use crate::message::{ChannelId, NextHop};
use crate::queue::key::HopKey;
use crate::queue::pause::{self, Pause, Pauses};

/// A hop in an operator's words: a channel, a colon, and a next hop in the words of the channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HopName {
    /// The channel or agent.
    pub channel: ChannelId,
    /// The next hop.
    pub hop: NextHop,
}

/// The text names no hop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no hop: expected a channel, a colon and a next hop, such as \"smtp:example.org\"")]
pub struct HopNameError(String);

impl FromStr for HopName {
    type Err = HopNameError;

    fn from_str(text: &str) -> Result<Self, HopNameError> {
        let fits = |part: &str| !part.is_empty() && part.len() <= 255 && !part.contains(char::is_control);
        match text.split_once(':') {
            Some((channel, hop)) if fits(channel) && fits(hop) => {
                Ok(Self { channel: ChannelId::new(channel), hop: NextHop::new(hop) })
            }
            _ => Err(HopNameError(text.chars().take(60).collect())),
        }
    }
}

impl fmt::Display for HopName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.channel, self.hop)
    }
}

impl HopName {
    pub(super) fn key(&self) -> HopKey {
        HopKey { channel: self.channel.clone(), hop: self.hop.clone() }
    }
}

/// A hop that is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PausedHop {
    /// Its name; `None` means all hops.
    pub hop: Option<String>,
    /// Since when, and why.
    #[serde(flatten)]
    pub pause: Pause,
}

impl Queue {
    /// Stops a hop, or all of them, until [`Queue::resume`], whatever restarts meanwhile. Attempts under way end; warnings
    /// and expiry go on. A second pause replaces the reason.
    ///
    /// # Errors
    /// If the store fails; it may have taken effect then. [`QueueError::NoChannel`] if an engine knows of no such channel or agent.
    pub async fn pause(&self, hop: Option<&HopName>, reason: &str) -> Result<(), QueueError> {
        if let (Some(hop), Some(engine)) = (hop, &self.engine) {
            engine.channel_named(&hop.channel)?;
        }
        let pause = Pause { since: self.clock.now(), reason: reason.into() };
        self.set(hop, Some(&pause)).await?;
        let name = hop.map_or_else(|| "all".into(), HopName::to_string);
        tracing::info!(hop = name, reason, "paused by an operator");
        Ok(())
    }

    /// Lets a hop, or all of them, go on; whether it was stopped. A hop that was stopped by itself stays so when all go on.
    ///
    /// # Errors
    /// As [`Queue::pause`].
    pub async fn resume(&self, hop: Option<&HopName>) -> Result<bool, QueueError> {
        let name = hop.map(HopName::to_string);
        let was = self.paused().await?.iter().any(|paused| paused.hop == name);
        self.set(hop, None).await?;
        tracing::info!(hop = name.as_deref().unwrap_or("all"), "resumed by an operator");
        Ok(was)
    }

    /// Every hop that is stopped.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn paused(&self) -> Result<Vec<PausedHop>, QueueError> {
        let pauses = Pauses::read(&*self.storage.store).await?;
        let hop = |hop: Option<&HopKey>| hop.map(HopKey::to_string);
        let mut all: Vec<PausedHop> =
            pauses.iter().map(|(key, pause)| PausedHop { hop: hop(key), pause: pause.clone() }).collect();
        all.sort_by(|a, b| a.hop.cmp(&b.hop));
        Ok(all)
    }

    pub(super) async fn paused_hops(&self) -> Result<Vec<HopKey>, QueueError> {
        let pauses = Pauses::read(&*self.storage.store).await?;
        Ok(pauses.iter().filter_map(|(hop, _)| hop.cloned()).collect())
    }

    async fn set(&self, hop: Option<&HopName>, pause: Option<&Pause>) -> Result<(), QueueError> {
        let store = &*self.storage.store;
        pause::set(store, hop.map(HopName::key).as_ref(), pause).await?;
        if let Some(engine) = &self.engine {
            engine.runner.set_pauses(Pauses::read(store).await?);
        }
        Ok(())
    }
}
