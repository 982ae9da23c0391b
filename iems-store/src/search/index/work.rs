//! The background: takes account after account, and brings its index to where its mail is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::queue::Why;
use super::run::{Ended, Going, Run};
use super::{IndexError, SearchIndex, Shared};
use crate::mailbox::AccountId;

impl SearchIndex {
    /// Starts the background, if it does not run, on the runtime that this is called in.
    pub fn start(&self) {
        if !std::mem::replace(&mut self.shared.state().started, true) {
            tokio::spawn(work(self.shared.clone()));
        }
    }

    /// Stops the background, and returns when it changes nothing any more. What was indexed so far is kept.
    pub async fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.shared.stop.notify_one();
        drop(self.shared.turn.lock().await);
    }
}

async fn work(shared: Arc<Shared>) {
    shared.sweep().await;
    while !shared.is_stopped() {
        tokio::select! {
            biased;
            () = shared.stop.notified() => {}
            (account, why) = shared.queue.next() => shared.index(account, why).await,
        }
    }
}

impl Shared {
    /// Removes indexes of accounts that are not there any more.
    pub(super) async fn sweep(&self) {
        for account in self.shelf.all() {
            let _turn = self.turn.lock().await;
            if self.is_stopped() {
                return;
            }
            match self.mailboxes.has_account(account).await {
                Ok(true) => {}
                Ok(false) => {
                    if let Err(error) = self.shelf.remove(account) {
                        tracing::warn!(account = account.0, %error, "the index of a removed account is still there");
                    }
                }
                // Nobody knows: it stays.
                Err(_) => return,
            }
        }
    }

    /// Indexes one account.
    pub(super) async fn index(&self, account: AccountId, why: Why) {
        let _turn = self.turn.lock().await;
        if self.is_stopped() {
            return;
        }
        let going = Arc::new(Going::default());
        self.state().running = Some((account, going.clone()));
        let ended = self.try_index(account, why, &going).await;
        self.state().running = None;
        match ended {
            Ok(Some(Ended::Whole(modseq))) => {
                self.counters.runs.fetch_add(1, Ordering::Relaxed);
                self.state().fresh.insert(account, (modseq, why > Why::Left));
            }
            Ok(_) => {}
            Err(error) => {
                self.queue.rest(account, self.options.pause);
                self.failed(account, &error);
            }
        }
    }

    async fn try_index(
        &self,
        account: AccountId,
        why: Why,
        going: &Going,
    ) -> Result<Option<Ended>, IndexError> {
        let damaged = self.state().damaged.contains(&account);
        if damaged {
            self.readers.forget(account);
            self.shelf.remove(account)?;
            self.state().fresh.remove(&account);
            self.state().damaged.remove(&account);
        }
        let fresh = self.state().fresh.get(&account).copied();
        let enough =
            fresh.filter(|(_, thorough)| *thorough || why == Why::Left).filter(|_| why != Why::Asked);
        if let Some((modseq, _)) = enough
            && modseq == self.mailboxes.modseq(account).await?
        {
            return Ok(None);
        }
        Run::new(self, account, going, why).run().await.map(Some)
    }
}
