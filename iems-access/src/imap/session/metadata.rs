//! Annotations (RFC 5464): of mailboxes, and of the account where no mailbox is named. Private ones are one user's; shared ones
//! all see who see the mailbox.

use iems_store::mailbox::{
    AccountId, Annotation, MAX_ANNOTATION, MAX_ANNOTATIONS, MailboxError, MailboxId, Rights,
};

use super::place::permits;
use super::{Outcome, Output, Session, Sink, Trouble};
use crate::imap::types::{Code, Data, EntryValue, MetadataDepth, MetadataOptions, Status};

/// What annotations take, in octets: as they are read, as they are picked, and as they are told.
pub(super) fn octets_of(annotations: &[Annotation]) -> usize {
    3 * annotations
        .iter()
        .map(|one| one.entry.len() + one.value.len() + size_of::<Annotation>())
        .sum::<usize>()
}

impl Session {
    /// `GETMETADATA`. An entry that is asked for by itself and has no value is told as `NIL`.
    pub(super) async fn get_metadata<S: Sink>(
        &mut self,
        path: &str,
        options: MetadataOptions,
        entries: Vec<String>,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        entries.iter().try_for_each(|entry| known(entry))?;
        let (owner, mailbox, _) = self.annotated(path).await?;
        let user = self.user()?.info.id;
        let mut there = self.accounts.mailboxes().annotations(owner, mailbox, user, true).await?;
        self.tell_use(owner, mailbox, &mut there).await?;
        let _held = self.lend(octets_of(&there))?;
        let mut longest = None;
        let mut told: Vec<EntryValue> = Vec::new();
        for asked in entries {
            for value in found(&there, asked, options.depth) {
                let octets = value.value.as_ref().map_or(0, |value| value.len() as u64);
                if options.max_size.is_some_and(|most| octets > most) {
                    longest = longest.max(Some(octets));
                } else if told.iter().all(|before| !before.entry.eq_ignore_ascii_case(&value.entry)) {
                    told.push(value);
                }
            }
        }
        if !told.is_empty() {
            out.data(Data::Metadata { mailbox: path.to_owned(), entries: told });
            out.pause().await?;
        }
        let status = Status::ok("Those are the annotations");
        Ok(match longest {
            Some(octets) => status.with(Code::MetadataLongEntries(octets)),
            None => status,
        })
    }

    /// `SETMETADATA`: what cannot be set is found before anything is.
    pub(super) async fn set_metadata(&mut self, path: &str, mut entries: Vec<EntryValue>) -> Outcome {
        entries.iter().try_for_each(|entry| known(&entry.entry))?;
        let (owner, mailbox, rights) = self.annotated(path).await?;
        let names: Vec<String> = entries.iter().map(|entry| entry.entry.clone()).collect();
        let special = self.take_use(owner, path, &mut entries)?;
        if mailbox.is_some() && entries.iter().any(|entry| is_shared(&entry.entry)) {
            permits(rights, Rights::WRITE)?;
        }
        if mailbox.is_none() && entries.iter().any(|entry| is_shared(&entry.entry)) {
            return Err(Status::no("What all users see, the administrator sets").with(Code::NoPerm).into());
        }
        let long =
            |entry: &EntryValue| entry.value.as_ref().is_some_and(|value| value.len() > MAX_ANNOTATION);
        if entries.iter().any(long) {
            let most = Code::MetadataMaxSize(MAX_ANNOTATION as u64);
            return Err(Status::no("An annotation has 16 KiB at most").with(most).into());
        }
        let mailboxes = self.accounts.mailboxes();
        let user = self.user()?.info.id;
        let there = mailboxes.annotations(owner, mailbox, user, true).await?;
        if [false, true].into_iter().any(|shared| counted(&there, &entries, shared) > MAX_ANNOTATIONS) {
            return Err(too_many());
        }
        for EntryValue { entry, value } in &entries {
            match mailboxes.annotate(owner, mailbox, user, entry, value.as_deref()).await {
                Err(MailboxError::TooMany(..)) => return Err(too_many()),
                done => done?,
            }
        }
        if let (Some(special), Some(mailbox)) = (special, mailbox) {
            mailboxes.set_special(owner, mailbox, special).await?;
        }
        self.changed_notes(path, names.iter().map(String::as_str));
        Ok(Status::ok("Noted"))
    }

    /// A mailbox that the user may read, or the account itself.
    async fn annotated(&self, path: &str) -> Result<(AccountId, Option<MailboxId>, Rights), Trouble> {
        if path.is_empty() {
            return Ok((self.user()?.info.id, None, Rights::all()));
        }
        let place = self.known_place(path).await?;
        place.permits(Rights::READ)?;
        Ok((place.owner.id, Some(place.mailbox), place.rights))
    }
}

fn too_many() -> Trouble {
    Status::no("There are 100 annotations already; remove some").with(Code::MetadataTooMany).into()
}

fn is_shared(entry: &str) -> bool {
    entry.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("/shared"))
}

/// Entries are in `/private` and `/shared` (RFC 5464 section 3.2).
fn known(entry: &str) -> Result<(), Status> {
    let head = entry.split('/').nth(1).unwrap_or_default();
    match head.eq_ignore_ascii_case("private") || head.eq_ignore_ascii_case("shared") {
        true => Ok(()),
        false => Err(Status::bad("Entries begin with /private or /shared")),
    }
}

/// What there is of an entry and, as far as `depth` says, below it (RFC 5464 section 4.2.2).
fn found(there: &[Annotation], asked: String, depth: MetadataDepth) -> Vec<EntryValue> {
    let lower = asked.to_ascii_lowercase();
    let levels = |entry: &str| match entry.strip_prefix(&*lower)? {
        "" => Some(0),
        below => below.starts_with('/').then(|| below.matches('/').count()),
    };
    let most = match depth {
        MetadataDepth::Zero => 0,
        MetadataDepth::One => 1,
        MetadataDepth::Infinity => usize::MAX,
    };
    let found =
        there.iter().filter(|annotation| levels(&annotation.entry).is_some_and(|levels| levels <= most));
    let told = found.map(|a| EntryValue { entry: a.entry.clone(), value: Some(a.value.clone()) });
    let mut told: Vec<_> = told.collect();
    if told.is_empty() && depth == MetadataDepth::Zero {
        told.push(EntryValue { entry: asked, value: None });
    }
    told
}

/// What there is of one entry, which is `NIL` if there is nothing.
pub(super) fn noted(there: &[Annotation], entry: &str) -> Vec<EntryValue> {
    found(there, entry.to_owned(), MetadataDepth::Zero)
}

/// How many annotations there will be.
fn counted(there: &[Annotation], entries: &[EntryValue], shared: bool) -> usize {
    let mut names: std::collections::BTreeSet<String> =
        there.iter().filter(|a| is_shared(&a.entry) == shared).map(|a| a.entry.clone()).collect();
    for entry in entries.iter().filter(|entry| is_shared(&entry.entry) == shared) {
        let name = entry.entry.to_ascii_lowercase();
        match entry.value {
            Some(_) => names.insert(name),
            None => names.remove(&name),
        };
    }
    names.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(entries: &[&str]) -> Vec<Annotation> {
        entries.iter().map(|entry| Annotation { entry: (*entry).into(), value: "x".into() }).collect()
    }

    #[test]
    fn depth_says_how_far_below() {
        let there = annotations(&["/private/a", "/private/a/b", "/private/a/b/c", "/private/ab"]);
        let names = |asked: &str, depth| -> Vec<String> {
            found(&there, asked.into(), depth).into_iter().map(|entry| entry.entry).collect()
        };
        assert_eq!(names("/PRIVATE/A", MetadataDepth::Zero), ["/private/a"]);
        assert_eq!(names("/private/a", MetadataDepth::One), ["/private/a", "/private/a/b"]);
        assert_eq!(names("/private/a", MetadataDepth::Infinity).len(), 3);
        assert_eq!(names("/private", MetadataDepth::One), ["/private/a", "/private/ab"]);
        assert_eq!(names("/Private/X", MetadataDepth::Zero), ["/Private/X"]);
        assert!(names("/private/x", MetadataDepth::Infinity).is_empty());
    }

    #[test]
    fn annotations_are_counted_before_they_are_set() {
        let there = annotations(&["/private/a", "/shared/b"]);
        let set = |entry: &str, value: Option<&'static str>| EntryValue {
            entry: entry.into(),
            value: value.map(Into::into),
        };
        let entries = [set("/private/A", Some("y")), set("/private/c", Some("y")), set("/shared/b", None)];
        assert_eq!((counted(&there, &entries, false), counted(&there, &entries, true)), (2, 0));
    }

    #[test]
    fn entries_are_private_or_shared() {
        assert!(known("/private/a").is_ok() && known("/SHARED").is_ok());
        assert!(known("/other/a").is_err() && known("/privately/a").is_err());
    }
}
