//! From one address to its targets: exact match, subaddress, role, catch-all; then aliases and forwards.
//!
//! Breadth first, each address once. An address that leads back to itself is a circle, unless an account on the way keeps
//! a copy: two accounts that forward to each other are harmless.

use std::collections::HashSet;
use std::sync::Arc;

use iems_core::message::{LocalPart, Mailbox, Reply};
use iems_core::seam::{DirectoryError, Resolution, Target};
use iems_core::storage::{Scan, StoreError};

use super::cache::Entry;
use super::schema::{self, Of};
use super::{AccountInfo, ChangeError, DomainInfo, StoreDirectory, accounts, aliases, fold};

/// What separates account and detail (RFC 5233).
pub(crate) const SEPARATOR: char = '+';
/// How many of the oldest accounts are asked to be postmaster.
const ELDERS: usize = 20;
/// How many addresses on the way do not count as targets.
const STEPS: usize = 100;

/// Why an address could not be expanded.
#[derive(Debug)]
pub(super) enum ExpandError {
    Circle(String),
    Store(StoreError),
}

impl From<StoreError> for ExpandError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl From<ExpandError> for DirectoryError {
    fn from(e: ExpandError) -> Self {
        match e {
            ExpandError::Circle(text) => Self::Circle(text),
            ExpandError::Store(e) => Self::Unavailable(e.to_string()),
        }
    }
}

/// Somebody found for an address.
enum Found {
    Foreign,
    Account(Arc<AccountInfo>, Option<String>),
    Others(Arc<[Mailbox]>, Option<String>),
    Unknown,
}

struct Node {
    /// As it was written: at a foreign address case may matter.
    mailbox: Mailbox,
    /// The detail that came with the address that led here.
    detail: Option<String>,
    parent: Option<usize>,
    depth: usize,
    keeps_copy: bool,
}

impl StoreDirectory {
    /// Where mail for a folded address goes. `instead` stands for what the directory holds under it.
    pub(super) async fn expand(
        &self,
        mailbox: &Mailbox,
        instead: Option<Entry>,
    ) -> Result<Resolution, ExpandError> {
        let mut expansion = Expansion::new(self, mailbox.clone());
        let found = match instead {
            Some(entry) => found(entry, None),
            None => self.find(mailbox).await?,
        };
        match found {
            Found::Foreign => return Ok(Resolution::Foreign),
            found => expansion.visit(0, found)?,
        }
        let mut at = 1;
        while at < expansion.nodes.len() {
            let found = self.find(&fold(&expansion.nodes[at].mailbox)).await?;
            expansion.visit(at, found)?;
            at += 1;
        }
        Ok(expansion.finish())
    }

    /// Checks a change before it is made: mail for `mailbox` must arrive somewhere, or be refused cleanly.
    pub(super) async fn check_leads_somewhere(
        &self,
        mailbox: &Mailbox,
        instead: Option<Entry>,
    ) -> Result<(), ChangeError> {
        match self.expand(&fold(mailbox), instead).await {
            Ok(_) => Ok(()),
            Err(ExpandError::Circle(text)) => Err(ChangeError::Circle(mailbox.clone(), text)),
            Err(ExpandError::Store(e)) => Err(e.into()),
        }
    }

    /// Who has exactly this folded address.
    pub(super) async fn entry(&self, mailbox: &Mailbox) -> Result<Entry, StoreError> {
        let epoch = match self.cache.entry(mailbox) {
            Ok(entry) => return Ok(entry),
            Err(epoch) => epoch,
        };
        let store = &self.storage.store;
        let entry = match store.get(&schema::one(Of::Account, mailbox)).await? {
            Some(row) => {
                let mut info = accounts::read(mailbox.clone(), &row)?;
                if let Some(inbox) = store.get(&schema::inbox(info.id)).await? {
                    info.inbox = crate::mailbox::inbox_of(&inbox)?;
                }
                Entry::Account(Arc::new(info))
            }
            None => match store.get(&schema::one(Of::Alias, mailbox)).await? {
                Some(row) => aliases::entry(&row)?,
                None => Entry::Nobody,
            },
        };
        self.cache.put_entry(epoch, mailbox, entry.clone());
        Ok(entry)
    }

    async fn find(&self, mailbox: &Mailbox) -> Result<Found, StoreError> {
        let Some(domain) = self.domain(mailbox.domain()).await? else {
            return Ok(Found::Foreign);
        };
        match self.entry(mailbox).await? {
            Entry::Nobody => {}
            entry => return Ok(found(entry, None)),
        }
        if let Some((base, detail)) = split_detail(mailbox) {
            match self.entry(&base).await? {
                Entry::Nobody => {}
                entry => return Ok(found(entry, Some(detail))),
            }
        }
        let instead = match is_role(mailbox.local()) {
            true => self.role(&domain).await?,
            false => domain.settings.catch_all.clone(),
        };
        Ok(match instead.filter(|instead| fold(instead) != *mailbox) {
            Some(instead) => Found::Others(Arc::from([instead]), None),
            None => Found::Unknown,
        })
    }

    /// Who gets mail for `postmaster@` and `abuse@`, where nobody has these addresses.
    async fn role(&self, domain: &DomainInfo) -> Result<Option<Mailbox>, StoreError> {
        let settings = &domain.settings;
        let configured = [&settings.postmaster, &settings.catch_all, &self.options.postmaster];
        if let Some(mailbox) = configured.into_iter().flatten().next() {
            return Ok(Some(mailbox.clone()));
        }
        let oldest = Scan::prefix(&schema::by_age(&domain.domain), ELDERS);
        for (_, local) in self.storage.store.scan(oldest).await? {
            let mailbox = schema::local(&local, &domain.domain)?;
            if let Entry::Account(info) = self.entry(&mailbox).await?
                && info.settings.enabled
            {
                return Ok(Some(mailbox));
            }
        }
        Ok(None)
    }
}

fn found(entry: Entry, detail: Option<String>) -> Found {
    match entry {
        Entry::Account(info) => Found::Account(info, detail),
        Entry::Alias(targets) => Found::Others(targets, detail),
        Entry::Nobody => Found::Unknown,
    }
}

/// The addresses of RFC 5321 section 4.5.1 and RFC 2142 section 2 that a domain always has.
fn is_role(local: &LocalPart) -> bool {
    matches!(local.as_str(), "postmaster" | "abuse")
}

/// The address without detail, and the detail, if there is one.
pub(crate) fn split_detail(mailbox: &Mailbox) -> Option<(Mailbox, String)> {
    let (base, detail) = mailbox.local().as_str().split_once(SEPARATOR)?;
    let base = LocalPart::from_content(base).ok()?;
    Some((Mailbox::new(base, mailbox.domain().clone()), detail.to_owned()))
}

struct Expansion<'a> {
    directory: &'a StoreDirectory,
    nodes: Vec<Node>,
    seen: HashSet<Mailbox>,
    taken: HashSet<Mailbox>,
    targets: Vec<Target>,
    refused: Option<Reply>,
}

impl<'a> Expansion<'a> {
    fn new(directory: &'a StoreDirectory, mailbox: Mailbox) -> Self {
        let seen = HashSet::from([mailbox.clone()]);
        let root = Node { mailbox, detail: None, parent: None, depth: 0, keeps_copy: false };
        let (taken, targets) = (HashSet::new(), Vec::new());
        Self { directory, nodes: vec![root], seen, taken, targets, refused: None }
    }

    fn visit(&mut self, at: usize, found: Found) -> Result<(), ExpandError> {
        match found {
            Found::Foreign => {
                let mailbox = self.nodes[at].mailbox.clone();
                self.add(mailbox.clone(), Target::Forward(mailbox))
            }
            Found::Account(info, detail) => self.account(at, &info, detail),
            Found::Others(targets, detail) => self.follow(at, &targets, detail),
            Found::Unknown => {
                if at > 0 {
                    let (from, to) = (&self.nodes[0].mailbox, &self.nodes[at].mailbox);
                    tracing::warn!(%from, %to, "an alias or forward leads to an unknown local address");
                }
                Ok(())
            }
        }
    }

    fn account(&mut self, at: usize, info: &AccountInfo, detail: Option<String>) -> Result<(), ExpandError> {
        if !info.settings.enabled {
            self.refused =
                Some(Reply::refuse(2, 1, "This mailbox is disabled; reach its owner in another way"));
            return Ok(());
        }
        let detail = detail.or_else(|| self.nodes[at].detail.clone());
        if info.settings.forwards.is_empty() || info.settings.keep_copy {
            self.nodes[at].keeps_copy = true;
            let (agent, mailbox) = (self.directory.agent.clone(), info.mailbox.clone());
            self.add(mailbox.clone(), Target::Agent { agent, mailbox, detail })?;
        }
        self.follow(at, &info.settings.forwards, None)
    }

    fn follow(&mut self, at: usize, targets: &[Mailbox], detail: Option<String>) -> Result<(), ExpandError> {
        let depth = self.nodes[at].depth + 1;
        if !targets.is_empty() && depth > self.directory.options.depth {
            let from = &self.nodes[0].mailbox;
            return Err(ExpandError::Circle(format!("more than {} steps from {from}", depth - 1)));
        }
        let detail = detail.or_else(|| self.nodes[at].detail.clone());
        for target in targets {
            if self.seen.insert(fold(target)) {
                let (mailbox, parent, detail) = (target.clone(), Some(at), detail.clone());
                self.nodes.push(Node { mailbox, detail, parent, depth, keeps_copy: false });
                self.bound(self.nodes.len().saturating_sub(STEPS))?;
            } else if let Some(circle) = self.circle(at, &fold(target)) {
                return Err(ExpandError::Circle(circle));
            }
        }
        Ok(())
    }

    /// The way from `target` to the node that leads back to it, if mail would run in it without being kept anywhere.
    fn circle(&self, at: usize, target: &Mailbox) -> Option<String> {
        let mut way = format!("{target}");
        let mut next = Some(at);
        while let Some(node) = next.map(|at| &self.nodes[at]) {
            if node.keeps_copy {
                return None;
            }
            way = format!("{} → {way}", node.mailbox);
            if fold(&node.mailbox) == *target {
                return Some(way);
            }
            next = node.parent;
        }
        None
    }

    fn add(&mut self, mailbox: Mailbox, target: Target) -> Result<(), ExpandError> {
        if self.taken.insert(mailbox) {
            self.targets.push(target);
        }
        self.bound(self.targets.len())
    }

    fn bound(&self, number: usize) -> Result<(), ExpandError> {
        let most = self.directory.options.targets;
        match number > most {
            true => {
                let from = &self.nodes[0].mailbox;
                Err(ExpandError::Circle(format!("{from} leads to more than {most} addresses")))
            }
            false => Ok(()),
        }
    }

    fn finish(self) -> Resolution {
        match (self.targets.is_empty(), self.refused) {
            (false, _) => Resolution::Targets(self.targets),
            (true, Some(reply)) => Resolution::Refused(reply),
            (true, None) => Resolution::Unknown,
        }
    }
}
