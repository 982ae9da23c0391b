//! The index of texts in the words of the administration.

use iems_core::message::Mailbox;
use iems_store::directory::AccountInfo;
use iems_store::search::{IndexError, IndexState, SearchIndex, SearchOptions};

use super::Site;
use crate::admin::search::SearchAnswer;
use crate::config::Config;
use crate::exit::Failure;

/// The indexes of a site. Nothing is done before they are asked, or started.
pub(super) fn open(config: &Config, mailboxes: &iems_store::mailbox::Mailboxes) -> SearchIndex {
    let mut options = SearchOptions::default();
    options.memory = config.search.memory;
    SearchIndex::open(mailboxes.clone(), config.search.folder.clone(), options)
}

impl Site {
    /// How the indexes of some accounts are; of all that have one, if none are named.
    pub(super) async fn search_status(&self, addresses: Vec<Mailbox>) -> Result<Vec<SearchAnswer>, Failure> {
        let all = addresses.is_empty();
        let mut answers = Vec::new();
        for account in self.named(addresses).await? {
            let answer = self.search_answer(&account).await?;
            if !all || answer.state != "none" {
                answers.push(answer);
            }
        }
        Ok(answers)
    }

    /// Has some accounts indexed, or all; returns how they are.
    pub(super) async fn search_build(&self, addresses: Vec<Mailbox>) -> Result<Vec<SearchAnswer>, Failure> {
        if !self.searches {
            return Err(Failure::config("there is no index of texts: set index = true in [search]"));
        }
        let accounts = self.named(addresses).await?;
        accounts.iter().for_each(|account| self.search.want(account.id));
        self.search.start();
        let mut answers = Vec::new();
        for account in &accounts {
            answers.push(self.search_answer(account).await?);
        }
        Ok(answers)
    }

    /// Removes the indexes of some accounts, or all; returns how many there were.
    pub(super) async fn search_drop(&self, addresses: Vec<Mailbox>) -> Result<u64, Failure> {
        let accounts = match addresses.is_empty() {
            true => self.search.accounts(),
            false => self.named(addresses).await?.iter().map(|account| account.id).collect(),
        };
        let mut dropped = 0;
        for account in accounts {
            dropped += u64::from(self.search.remove(account).await?);
        }
        Ok(dropped)
    }

    /// The accounts of some addresses, or all.
    async fn named(&self, addresses: Vec<Mailbox>) -> Result<Vec<AccountInfo>, Failure> {
        if addresses.is_empty() {
            return self.every_account().await;
        }
        let mut accounts = Vec::new();
        for address in addresses {
            let account = self.directory.account(&address).await?;
            let account =
                account.ok_or_else(|| Failure::no_user(format!("there is no account {address} here")))?;
            accounts.push(account.as_ref().clone());
        }
        Ok(accounts)
    }

    async fn search_answer(&self, account: &AccountInfo) -> Result<SearchAnswer, Failure> {
        let status = self.search.status(account.id).await?;
        let (state, done, total) = match status.as_ref().map(|status| status.state) {
            None => ("none", None, None),
            Some(IndexState::Current) => ("current", None, None),
            Some(IndexState::Waiting) => ("waiting", None, None),
            Some(IndexState::Running { done, total }) => ("running", Some(done), Some(total)),
            Some(IndexState::Damaged) => ("damaged", None, None),
            Some(_) => ("behind", None, None),
        };
        let (messages, octets) = status.map(|status| (status.messages, status.octets)).unwrap_or_default();
        let address = account.mailbox.to_string();
        Ok(SearchAnswer { address, messages, octets, state: state.into(), done, total })
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Store(error) => error.into(),
            error => Self::io(error),
        }
    }
}
