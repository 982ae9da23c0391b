//! Annotations that others, or other sessions, change (RFC 5465 sections 5.6 and 5.7).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use iems_store::mailbox::{AccountId, Annotation, MailboxId};

use super::{Notifying, overflow};
use crate::imap::session::{Output, Session, Sink, Trouble};
use crate::imap::types::Data;

/// How many annotations one session may watch.
const MOST: usize = 10_000;

/// The annotations that are known: of a mailbox by its name, of the account by the empty one; entries, and what stands for
/// their values.
pub(super) type Notes = BTreeMap<String, BTreeMap<String, u64>>;

impl Session {
    /// Remembers what there is, if it is to be watched.
    pub(super) async fn learn_notes(&self, notifying: &mut Notifying) -> Result<(), Trouble> {
        notifying.notes = self.read_notes(notifying).await?;
        Ok(())
    }

    /// `METADATA` of what changed: names of entries, without values (RFC 5464 section 4.4.2).
    pub(super) async fn tell_notes<S: Sink>(
        &self,
        notifying: &mut Notifying,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let now = self.read_notes(notifying).await?;
        let nothing = BTreeMap::new();
        for (path, after) in &now {
            // Of a mailbox that is new, nothing was there before.
            let before = notifying.notes.get(path).unwrap_or(&nothing);
            let changed = after.iter().filter(|(entry, value)| before.get(*entry) != Some(*value));
            let gone = before.iter().filter(|(entry, _)| !after.contains_key(*entry));
            let entries = changed.chain(gone).map(|(entry, _)| entry.clone());
            let mine = |entry: &String| notifying.mine.notes.contains(&(path.clone(), entry.clone()));
            let entries: Vec<_> = entries.filter(|entry| !mine(entry)).collect();
            if !entries.is_empty() {
                out.data(Data::MetadataChanged { mailbox: path.clone(), entries });
                out.pause().await?;
            }
        }
        notifying.notes = now;
        Ok(())
    }

    async fn read_notes(&self, notifying: &Notifying) -> Result<Notes, Trouble> {
        let mut all = Notes::new();
        let mut count = 0;
        let events = notifying.wanted.of_any();
        let user = self.user()?.info.id;
        let mut wanted: Vec<(&str, AccountId, Option<MailboxId>)> = Vec::new();
        if events.server_notes {
            wanted.push(("", user, None));
        }
        if events.notes {
            let read = notifying.places.values().map(|place| &place.name).filter(|name| self.is_open(name));
            let read = read.filter(|name| self.events(&notifying.wanted, name).notes);
            wanted.extend(read.map(|name| (&*name.path, name.owner, name.info.as_ref().map(|info| info.id))));
        }
        for (path, owner, mailbox) in wanted {
            let there = self.accounts.mailboxes().annotations(owner, mailbox, user, true).await?;
            count += there.len();
            if count > MOST {
                return Err(overflow());
            }
            all.insert(path.to_owned(), there.into_iter().map(marked).collect());
        }
        Ok(all)
    }
}

fn marked(annotation: Annotation) -> (String, u64) {
    let mut hasher = DefaultHasher::new();
    annotation.value.hash(&mut hasher);
    (annotation.entry, hasher.finish())
}
