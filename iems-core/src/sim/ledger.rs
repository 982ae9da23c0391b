//! The ledger: all that the world knows, kept up to date with what is seen. The rules read it, and it decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::letter::{End, Fate, Letter, Track, Way};
use super::peers::{Answer, Contact, Step};
use super::{Seen, SimDirectory, Tally, Told};
use crate::message::{Notify, QueueId};
use crate::queue::Entry;
use crate::seam::Timestamp;

/// A message that arrived somewhere.
#[derive(Debug)]
pub(super) struct Arrived<'a> {
    pub(super) id: QueueId,
    pub(super) to: &'a str,
    pub(super) seen: &'a Seen,
    /// When, by the clock on the wall, or when that was seen.
    pub(super) at: Timestamp,
    pub(super) local: bool,
}

/// The ledger.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) letters: BTreeMap<u64, Letter>,
    pub(super) ways: BTreeMap<(u64, String), Way>,
    /// Letters, and copies that lists made, by the id of their message.
    pub(super) numbers: HashMap<QueueId, u64>,
    /// Ways of accepted letters that have not ended.
    pub(super) open: BTreeSet<(u64, String)>,
    pub(super) tracks: HashMap<(QueueId, String), Track>,
    /// Reports that were seen.
    pub(super) reports: HashSet<QueueId>,
    /// When each group is given up, as it was first seen.
    pub(super) expiries: HashMap<(QueueId, u16), Timestamp>,
    /// Places that once took no mail at all.
    pub(super) closed: BTreeSet<String>,
    /// Engines whose storage failed or stalled not long ago: another one may have taken them for dead.
    pub(super) shaky: BTreeSet<u64>,
    /// Several engines share the store.
    pub(super) shared: bool,
    /// How long an engine waits for an attempt.
    pub(super) patience: Duration,
    /// Mailboxes may refuse for good.
    pub(super) boxes_refuse: bool,
    /// How far the wall clock was set forwards, in all.
    pub(super) leapt: Duration,
    /// How far it was set back, in all.
    pub(super) set_back: Duration,
    /// How long a message is tried.
    pub(super) lifetime: Duration,
    /// The time that really passed.
    pub(super) elapsed: Duration,
    pub(super) tally: Tally,
}

impl Ledger {
    /// The way of a letter to an address.
    pub(super) fn way(&self, number: u64, to: &str) -> Option<&Way> {
        self.ways.get(&(number, to.to_owned()))
    }

    /// The ways that the sender knows under one recipient.
    pub(super) fn ways_of(&self, number: u64, recipient: &str) -> impl Iterator<Item = &Way> {
        let recipient = recipient.to_owned();
        let all = self.ways.range((number, String::new())..(number + 1, String::new()));
        all.map(|(_, way)| way).filter(move |way| way.recipient == recipient)
    }

    /// Whether this is whom reports about a letter, or about the copies that a list made of it, go to.
    pub(super) fn is_told_about(&self, number: u64, address: &str) -> bool {
        let mut ways = self.ways.range((number, String::new())..(number + 1, String::new()));
        ways.any(|(_, way)| way.sender.as_deref() == Some(address))
    }

    /// The message of a way, if it was accepted.
    pub(super) fn id_of(&self, way: &Way) -> Option<QueueId> {
        way.id.or_else(|| self.letters.get(&way.number).and_then(|letter| letter.id))
    }

    /// The way of a message that is known by its id.
    pub(super) fn known(&self, id: QueueId, to: &str) -> Option<&Way> {
        self.way(*self.numbers.get(&id)?, to)
    }

    pub(super) fn track(&self, id: QueueId, to: &str) -> Track {
        self.tracks.get(&(id, to.to_owned())).copied().unwrap_or_default()
    }

    /// A letter is on its way to the door.
    pub(super) fn send(&mut self, number: u64, digest: [u8; 32], release: Option<Timestamp>) {
        let (id, fate, accepted) = (None, Fate::Pending, Duration::ZERO);
        let letter = Letter { id, digest, fate, accepted, release, set_back: self.set_back };
        self.letters.insert(number, letter);
    }

    /// Where a letter leads if its recipient is accepted.
    pub(super) fn expect(&mut self, number: u64, sender: Option<&str>, recipient: &str, notify: Notify) {
        for to in SimDirectory::ends(recipient) {
            self.add_way(number, sender, recipient, to, notify, false);
        }
        if recipient == "list@here.example" {
            let (owner, notify) = (Some("owner@here.example"), Notify::default());
            for member in SimDirectory::MEMBERS {
                self.add_way(number, owner, member, member.to_owned(), notify, true);
            }
        }
    }

    fn add_way(
        &mut self,
        number: u64,
        sender: Option<&str>,
        recipient: &str,
        to: String,
        notify: Notify,
        copy: bool,
    ) {
        let way = Way {
            number,
            to: to.clone(),
            recipient: recipient.to_owned(),
            sender: sender.map(str::to_owned),
            notify,
            id: None,
            early: false,
            rerouted: false,
            copy,
            copy_id: None,
            dismissed: false,
            rows: 0,
            done: false,
            never: false,
            excused: false,
            told: [0; 3],
            end: None,
        };
        self.ways.insert((number, to), way);
    }

    /// The engine owns a letter, for these recipients.
    pub(super) fn accept(&mut self, number: u64, id: QueueId, at: Duration, recipients: &BTreeSet<String>) {
        if let Some(letter) = self.letters.get_mut(&number) {
            (letter.id, letter.fate, letter.accepted) = (Some(id), Fate::Accepted, at);
        }
        self.numbers.insert(id, number);
        let range = (number, String::new())..(number + 1, String::new());
        let of_letter = self.ways.range(range).filter(|(_, way)| !way.copy);
        let (new, refused): (Vec<_>, Vec<_>) = of_letter
            .map(|(key, way)| (key.clone(), recipients.contains(&way.recipient)))
            .partition(|(_, accepted)| *accepted);
        for (key, _) in refused {
            self.ways.remove(&key);
        }
        self.tally.accepted += new.len() as u64;
        self.open.extend(new.into_iter().map(|(key, _)| key));
    }

    /// The engine does not own a letter.
    pub(super) fn refuse(&mut self, number: u64) {
        if let Some(letter) = self.letters.get_mut(&number) {
            letter.fate = Fate::Refused;
        }
        self.tally.refused += 1;
    }

    /// Takes down what happened between the engine and a far system.
    pub(super) fn contact(&mut self, contact: &Contact) {
        let track = self.tracks.entry((contact.id, contact.to.clone())).or_default();
        match &contact.step {
            Step::Begun => track.begun = Some((contact.host, contact.moment)),
            Step::Taken(seen) => {
                track.taken += 1;
                self.tally.repeated += u64::from(track.taken > 1);
                let (id, to, at) = (contact.id, &contact.to, contact.at);
                let arrived = Arrived { id, to, seen, at, local: false };
                self.arrived(&arrived);
            }
            Step::Heard(answer) => {
                track.ended = (*answer != Answer::Later).then_some(contact.host);
                track.begun = None;
                self.tally.deferred += u64::from(*answer == Answer::Later);
                self.heard(contact, *answer);
            }
        }
    }

    fn heard(&mut self, contact: &Contact, answer: Answer) {
        if let Some(way) = self.way_of(contact.id, &contact.to) {
            way.done |= answer == Answer::Done;
            way.never |= answer == Answer::Never;
        }
    }

    fn way_of(&mut self, id: QueueId, to: &str) -> Option<&mut Way> {
        let number = *self.numbers.get(&id)?;
        self.ways.get_mut(&(number, to.to_owned()))
    }

    /// Takes down a message that arrived.
    pub(super) fn arrived(&mut self, arrived: &Arrived<'_>) {
        match arrived.seen {
            Seen::Letter { number, .. } => {
                let key = (*number, arrived.to.to_owned());
                if let Some(way) = self.ways.get_mut(&key) {
                    way.rows += u64::from(arrived.local);
                    if way.copy {
                        way.copy_id = Some(arrived.id);
                        self.numbers.insert(arrived.id, *number);
                    }
                }
                if arrived.local && arrived.to == "list@here.example" {
                    self.tally.accepted += SimDirectory::MEMBERS.len() as u64;
                }
            }
            Seen::Report { about: Some(number), told } if self.reports.insert(arrived.id) => {
                self.tally.reports += 1;
                told.iter().for_each(|told| self.told(*number, told));
            }
            Seen::Notice { about, told } if self.reports.insert(arrived.id) => {
                self.tally.reports += 1;
                let Some(number) = about else { return };
                told.iter().for_each(|told| self.told(*number, told));
            }
            _ => {}
        }
    }

    fn told(&mut self, number: u64, told: &Told) {
        let range = (number, String::new())..(number + 1, String::new());
        for (_, way) in self.ways.range_mut(range).filter(|(_, way)| way.recipient == told.recipient) {
            way.told[kind(&told.action)] += 1;
        }
    }

    /// The wait of one recipient ended.
    pub(super) fn end(&mut self, key: &(u64, String), end: End) {
        self.open.remove(key);
        if let Some(way) = self.ways.get_mut(key) {
            way.end = Some(end);
        }
        let count = match end {
            End::Delivered => &mut self.tally.delivered,
            End::Bounced | End::Expired => &mut self.tally.bounced,
            End::Purged => &mut self.tally.purged,
            End::Redirected => &mut self.tally.redirected,
        };
        *count += 1;
    }

    /// A process ended while these waited: an answer about one of them that it heard may have been forgotten.
    pub(super) fn process_ended(&mut self, host: u64, waiting: &[Entry]) {
        self.tally.ends += 1;
        for track in self.tracks.values_mut() {
            track.begun = track.begun.filter(|(by, _)| *by != host);
        }
        for entry in waiting {
            for to in &entry.recipients {
                let track = self.tracks.get_mut(&(entry.id, to.clone()));
                if let Some(track) = track.filter(|track| track.ended == Some(host)) {
                    track.ended = None;
                    if let Some(way) = self.way_of(entry.id, to) {
                        way.excused = true;
                    }
                }
            }
        }
    }

    /// The operator may have ended anything.
    pub(super) fn perhaps_dismissed(&mut self) {
        self.ways.values_mut().filter(|way| way.end.is_none()).for_each(|way| way.dismissed = true);
    }

    /// The operator may have removed or failed these.
    pub(super) fn dismissed(&mut self, entries: &[Entry]) {
        self.meant(entries, |way| way.dismissed = true);
    }

    /// The operator may have let these go before their time.
    pub(super) fn let_go(&mut self, entries: &[Entry]) {
        self.meant(entries, |way| way.early = true);
    }

    /// The operator may have sent these through another place.
    pub(super) fn rerouted(&mut self, entries: &[Entry]) {
        self.meant(entries, |way| way.rerouted = true);
    }

    /// An order may have been about anything that waits.
    pub(super) fn all_meant(&mut self, mark: impl Fn(&mut Way)) {
        self.ways.values_mut().filter(|way| way.end.is_none()).for_each(mark);
    }

    /// Marks the ways of these entries, all copies of lists, and letters that are still at the door: which of them is meant is not known.
    fn meant(&mut self, entries: &[Entry], mark: impl Fn(&mut Way)) {
        let meant: HashSet<(QueueId, &str)> = entries
            .iter()
            .flat_map(|entry| entry.recipients.iter().map(|to| (entry.id, to.as_str())))
            .collect();
        let letters = &self.letters;
        for way in self.ways.values_mut() {
            let id = way.id.or_else(|| letters.get(&way.number).and_then(|letter| letter.id));
            if way.copy || id.is_none_or(|id| meant.contains(&(id, way.to.as_str()))) {
                mark(way);
            }
        }
    }

    /// The operator has sent on, as this message and to this address, what waited for these recipients of a letter.
    pub(super) fn redirected(&mut self, number: u64, first: &str, id: QueueId, to: &str) {
        let Some(first) = self.way(number, first) else { return };
        let (sender, notify, early) = (first.sender.clone(), first.notify, first.early);
        self.add_way(number, sender.as_deref(), to, to.to_owned(), notify, false);
        if let Some(way) = self.ways.get_mut(&(number, to.to_owned())) {
            (way.id, way.early) = (Some(id), early);
        }
        self.numbers.insert(id, number);
        self.tally.accepted += 1;
        self.open.insert((number, to.to_owned()));
    }
}

/// The place in [`Way::told`] of an action of RFC 3464.
pub(super) fn kind(action: &str) -> usize {
    match action {
        "failed" => 0,
        "delayed" => 1,
        _ => 2,
    }
}
