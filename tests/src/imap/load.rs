//! Many clients on one mailbox, each doing something at random, and each keeping account of what it was told: whatever
//! contradicts that is an error. Given a seed, each client does the same again; when, the threads decide.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;

use super::client::{Answer, Client};
use super::words::Word;
use crate::dice::Dice;

/// A message as it was told; `None` for what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: Option<u32>,
    /// Its flags without `\Recent`.
    pub flags: Option<BTreeSet<String>>,
    /// Whether it was ever told as `\Recent`.
    pub recent: bool,
}

/// A client and what it believes.
pub struct Believer {
    client: Client,
    dice: Dice,
    mailbox: String,
    /// What there is, by sequence number.
    pub messages: Vec<Message>,
    /// The greatest UID ever told.
    last_uid: u32,
    /// UIDs that were told as `\Recent`, also of messages that left.
    pub recent: BTreeSet<u32>,
    /// What was told that cannot be.
    pub errors: Vec<String>,
}

const FLAGS: [&str; 6] = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$One", "two"];

impl Believer {
    /// Logs in and opens the mailbox.
    ///
    /// # Panics
    /// If that does not go.
    pub fn new(at: SocketAddrV4, user: &str, mailbox: &str, seed: u64, who: u64) -> Self {
        let client = Client::login(at, user);
        let mut believer = Self {
            client,
            dice: Dice::new(seed, who),
            mailbox: mailbox.to_owned(),
            messages: Vec::new(),
            last_uid: 0,
            recent: BTreeSet::new(),
            errors: Vec::new(),
        };
        believer.open();
        believer
    }

    fn open(&mut self) {
        self.messages.clear();
        self.last_uid = 0;
        self.ask(&format!("SELECT {}", self.mailbox), true);
        self.ask("FETCH 1:* (UID FLAGS)", false);
    }

    /// Hears of everything, and asks for everything.
    pub fn catch_up(&mut self) {
        self.ask("NOOP", true);
        self.ask("UID FETCH 1:* (UID FLAGS)", true);
    }

    /// Does one thing.
    pub fn act(&mut self) {
        let count = self.messages.len();
        let one = self.dice.roll(count) + 1;
        let two = self.dice.roll(count) + 1;
        let range = format!("{}:{}", one.min(two), one.max(two));
        let flag = FLAGS[self.dice.roll(FLAGS.len())];
        let sign = ["+", "-", ""][self.dice.roll(3)];
        let silent = ["", ".SILENT"][self.dice.roll(2)];
        match self.dice.roll(18) {
            0..4 if count < 40 => {
                let mailbox = &self.mailbox;
                let text = format!("Subject: {one}\\r\\n\\r\\nSomething\\r\\n");
                self.ask(&format!("APPEND {mailbox} ({flag}) «{text}»"), true);
            }
            4 => self.ask("NOOP", true),
            5 => self.idle(),
            6 if self.dice.roll(4) == 0 => {
                self.ask("CLOSE", true);
                self.open();
            }
            7 => self.ask("EXPUNGE", true),
            8 => self.ask("UID SEARCH ALL", true),
            _ if count == 0 => self.ask("NOOP", true),
            9 | 10 => self.ask(&format!("FETCH {range} (UID FLAGS)"), false),
            11 => self.ask(&format!("FETCH {one} (UID BODY[])"), false),
            12 => self.ask(&format!("SEARCH {range} SEEN"), false),
            13 => self.ask(&format!("STORE {range} +FLAGS{silent} (\\Deleted)"), false),
            14 => self.ask(&format!("COPY {one} {}", self.mailbox), true),
            15 => self.ask(&format!("MOVE {one} {}", self.mailbox), true),
            _ => {
                self.ask(&format!("STORE {range} {sign}FLAGS{silent} ({flag})"), false);
                self.ask(&format!("FETCH {range} (UID FLAGS)"), false);
            }
        }
    }

    fn idle(&mut self) {
        let tag = self.client.send("IDLE");
        loop {
            let answer = self.client.read();
            if answer.tag == "+" {
                break;
            }
            self.take(&answer, true);
        }
        std::thread::yield_now();
        self.client.say(b"DONE\r\n");
        let (told, _) = self.client.finish(&tag);
        told.iter().for_each(|answer| self.take(answer, true));
    }

    fn ask(&mut self, command: &str, may_shrink: bool) {
        let tag = self.client.send(command);
        let (told, end) = self.client.finish(&tag);
        for answer in &told {
            self.take(answer, may_shrink);
        }
        let said = String::from_utf8_lossy(&end.octets);
        if !said.starts_with("OK") && !said.contains("[EXPUNGEISSUED]") {
            self.errors.push(format!("{command}: {said}"));
        }
    }

    fn take(&mut self, answer: &Answer, may_shrink: bool) {
        let words = answer.words();
        let [Word::Atom(number), Word::Atom(what), rest @ ..] = &words[..] else { return };
        let Ok(number) = number.parse::<usize>() else { return };
        let count = self.messages.len();
        let mut wrong = |why: &str| {
            let said = String::from_utf8_lossy(&answer.octets);
            self.errors.push(format!("{why}: {said} ({count} messages)"));
        };
        match (what.as_str(), rest) {
            ("EXISTS", _) if number < count => wrong("EXISTS shrinks"),
            ("EXISTS", _) => self.messages.resize(number, Message::default()),
            ("RECENT", _) if number > count => wrong("more are recent than there are"),
            ("EXPUNGE", _) if !may_shrink => wrong("EXPUNGE where numbers stay"),
            ("EXPUNGE", _) if number == 0 || number > count => wrong("EXPUNGE of nothing"),
            ("EXPUNGE", _) => drop(self.messages.remove(number - 1)),
            ("FETCH", _) if number == 0 || number > count => wrong("FETCH of nothing"),
            ("FETCH", [Word::List(items)]) => self.fetched(number - 1, items, answer),
            _ => {}
        }
    }

    fn fetched(&mut self, at: usize, items: &[Word], answer: &Answer) {
        let items: BTreeMap<&str, &Word> = items
            .chunks_exact(2)
            .filter_map(|pair| match &pair[0] {
                Word::Atom(name) => Some((name.as_str(), &pair[1])),
                _ => None,
            })
            .collect();
        let mut wrong = Vec::new();
        if let Some(Word::Atom(uid)) = items.get("UID") {
            let uid = uid.parse().unwrap_or_default();
            let before = self.messages[..at].iter().rev().find_map(|message| message.uid).unwrap_or(0);
            let behind = self.messages[at + 1..].iter().find_map(|message| message.uid).unwrap_or(u32::MAX);
            let message = &mut self.messages[at];
            match message.uid {
                Some(known) if known != uid => wrong.push("another UID than before"),
                _ if !(before < uid && uid < behind) => wrong.push("UIDs do not grow"),
                _ => message.uid = Some(uid),
            }
            self.last_uid = self.last_uid.max(uid);
        }
        let message = &mut self.messages[at];
        if let Some(Word::List(flags)) = items.get("FLAGS") {
            let mut flags: BTreeSet<String> = flags.iter().map(|flag| format!("{flag:?}")).collect();
            let recent = flags.remove("\\Recent");
            if message.recent && !recent {
                wrong.push("it was recent");
            }
            message.recent |= recent;
            message.flags = Some(flags);
        }
        if let (true, Some(uid)) = (message.recent, message.uid) {
            self.recent.insert(uid);
        }
        for why in wrong {
            self.errors.push(format!("{why}: {}", String::from_utf8_lossy(&answer.octets)));
        }
    }
}

/// So many clients do so many things each; what was wrong.
///
/// # Panics
/// If a client cannot go on.
pub fn load(
    at: SocketAddrV4,
    user: &str,
    mailbox: &str,
    clients: u64,
    deeds: usize,
    seed: u64,
) -> Vec<String> {
    let work = |who| {
        let (user, mailbox) = (user.to_owned(), mailbox.to_owned());
        std::thread::spawn(move || {
            let mut believer = Believer::new(at, &user, &mailbox, seed, who);
            for _ in 0..deeds {
                believer.act();
            }
            believer
        })
    };
    let threads: Vec<_> = (0..clients).map(work).collect();
    let mut believers: Vec<_> =
        threads.into_iter().map(|thread| thread.join().expect("a client that goes on")).collect();
    let fresh = Believer::new(at, user, mailbox, seed, clients);
    let mut errors = fresh.errors.clone();
    let mut recent: BTreeMap<u32, usize> = BTreeMap::new();
    for (who, believer) in believers.iter_mut().enumerate() {
        believer.catch_up();
        errors.extend(believer.errors.iter().map(|error| format!("client {who}: {error}")));
        let told = |one: &Believer| {
            one.messages.iter().map(|message| (message.uid, message.flags.clone())).collect::<Vec<_>>()
        };
        if told(believer) != told(&fresh) {
            errors.push(format!("client {who} believes {:?}, there is {:?}", told(believer), told(&fresh)));
        }
        believer.recent.iter().for_each(|uid| *recent.entry(*uid).or_default() += 1);
    }
    let twice = recent.into_iter().filter(|(_, clients)| *clients > 1);
    errors.extend(twice.map(|(uid, clients)| format!("UID {uid} was recent to {clients} clients")));
    errors
}
