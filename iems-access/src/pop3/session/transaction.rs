//! The TRANSACTION state (RFC 1939 section 5), and the step from it to UPDATE.

use super::maildrop::Listing;
use super::{Event, Maildrop, Pending, Session, State};
use crate::pop3::{Command, Part};

/// How much of a listing is written before it is sent, in octets.
const PIECE: usize = 8 * 1024;

impl Session {
    /// A command for a maildrop, which it gives back as the state.
    pub(super) fn on_transaction(&mut self, mut maildrop: Maildrop, command: Command) -> Option<Event> {
        let (mut event, before) = (None, self.errors);
        match command {
            Command::Stat => {
                let (count, octets) = maildrop.totals();
                self.ok(&format!("{count} {octets}"));
            }
            Command::List(None) => return self.begin(maildrop, Listing::Sizes),
            Command::Uidl(None) => return self.begin(maildrop, Listing::Ids),
            Command::List(Some(number)) => {
                let line = maildrop.get(number).map(|(_, octets)| format!("{number} {octets}"));
                self.ok_or_no_such(line);
            }
            Command::Uidl(Some(number)) => {
                let line = maildrop.get(number).map(|(uid, _)| maildrop.unique_id(uid));
                self.ok_or_no_such(line.map(|id| format!("{number} {id}")));
            }
            Command::Retr(number) => event = self.retrieve(&maildrop, number, Part::All),
            Command::Top(number, lines) => event = self.retrieve(&maildrop, number, Part::Top(lines)),
            Command::Dele(number) => {
                let line = maildrop.delete(number).then(|| format!("Message {number} will be deleted"));
                self.ok_or_no_such(line);
            }
            Command::Rset => {
                maildrop.reset();
                let (count, octets) = maildrop.totals();
                self.ok(&format!("{count} messages ({octets} octets)"));
            }
            Command::Noop => self.ok("Here I am"),
            Command::Capa => self.capabilities(true),
            Command::Quit => return self.quit(&maildrop),
            Command::User(_) | Command::Pass(_) | Command::Auth { .. } | Command::Stls => {
                self.refuse("You are logged in already");
            }
        }
        self.state = State::Transaction(maildrop);
        // Of those that are logged in, errors in a row count.
        if self.errors == before {
            self.errors = 0;
        }
        self.count_errors();
        event
    }

    fn ok_or_no_such(&mut self, text: Option<String>) {
        match text {
            Some(text) => self.ok(&text),
            None => self.refuse("There is no such message"),
        }
    }

    fn retrieve(&mut self, maildrop: &Maildrop, number: u32, part: Part) -> Option<Event> {
        match maildrop.get(number) {
            Some((uid, _)) => {
                self.pending = Pending::Message(uid, part);
                Some(Event::Retrieve { uid, part })
            }
            None => {
                self.refuse("There is no such message");
                None
            }
        }
    }

    fn begin(&mut self, maildrop: Maildrop, kind: Listing) -> Option<Event> {
        let (count, octets) = maildrop.totals();
        self.ok(&format!("{count} messages ({octets} octets)"));
        self.listing(maildrop, kind, 0)
    }

    /// A piece of a listing, and its end.
    pub(super) fn listing(&mut self, maildrop: Maildrop, kind: Listing, from: usize) -> Option<Event> {
        let mut text = String::new();
        let next = maildrop.list(kind, from, &mut text, PIECE);
        self.output.extend_from_slice(text.as_bytes());
        match next {
            Some(next) => {
                self.state = State::Listing(maildrop, kind, next);
                Some(Event::Flush)
            }
            None => {
                self.output.extend_from_slice(b".\r\n");
                self.state = State::Transaction(maildrop);
                None
            }
        }
    }

    /// RFC 1939 section 6: only `QUIT` removes, and only then what was read counts as read.
    fn quit(&mut self, maildrop: &Maildrop) -> Option<Event> {
        let removed = maildrop.marked();
        let seen = if self.options.seen { maildrop.read() } else { Vec::new() };
        if removed.is_empty() && seen.is_empty() {
            self.ok("Bye");
            self.state = State::Closing;
            return None;
        }
        self.state = State::Update;
        self.pending = Pending::Update;
        Some(Event::Update { seen, removed })
    }
}
