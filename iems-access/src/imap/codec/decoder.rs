//! From the octets that arrive to commands, piece by piece. Bounded whatever arrives.
//!
//! ```text
//!           line ends                 literal announced, within limits
//!   Line ──────────────► Command      Line ────────────────► Fill ──all octets──► Line
//!    │  message literal of APPEND            accept
//!    ├──────────────► Decide ─────────────────► Pieces ──all octets──► Line
//!    │ refused, octets still come │ refuse      │ refuse
//!    └──────────────► Skip ◄──────┴─────────────┘   Skip ──end of the command──► Line
//! ```
//!
//! A literal that waits for leave (`{n}`) and is refused is never sent: the command ends there. One that comes unasked
//! (`{n+}`, RFC 7888) is read over, and so is the rest of its command.
//!
//! Lines may end in LF alone, and empty lines between commands are passed over, as Dovecot does: nothing can be
//! smuggled between commands of one client.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use super::cursor::announcement;
use super::error::{Refusal, SyntaxError};
use super::limits::Limits;
use super::parse::{self, Stage};
use super::skip::{Skip, Skipped};
use crate::imap::types::{AppendPart, Code, Command, LiteralInfo, Status};
use crate::net::{Budget, Loan};

/// Longest piece of a message that is handed over.
const PIECE: usize = 64 * 1024;

/// Commands of so many octets at most are not counted.
const SHORT: usize = 8 * 1024;
/// How many octets one octet of a command takes at most as it is read and carried out: in sets of messages.
const READ: usize = 24;
/// What is told where there is no memory for a command.
const SPENT: &str =
    "Your sessions hold all the memory that your account may have; wait until others are done";

/// What the decoder found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A command. Of `APPEND` and `REPLACE` the beginning: [`Event::Append`] follows.
    Command(Command),
    /// `+` has to be sent: the client waits with a literal that is wanted.
    Continue,
    /// What follows `APPEND` and `REPLACE`. Behind [`AppendPart::Literal`] nothing comes until [`Decoder::accept`] or
    /// [`Decoder::refuse`].
    Append(AppendPart),
    /// The line that [`Decoder::expect_line`] asked for, without its end.
    Line(Vec<u8>),
    /// No command, or one over its limits: to be answered so. It ends an `APPEND` that has begun, and stands for a line
    /// asked for that is too long.
    Refused(Refusal),
    /// More had to be read over than can be: to be answered so, and the connection closed. Nothing follows.
    Fatal(Status),
}

/// Where in the dialogue.
#[derive(Debug)]
pub(super) enum State {
    Line,
    Fill { left: usize },
    Decide { info: LiteralInfo },
    Pieces { left: u64 },
    Skip(Skip),
    Dead,
}

/// An `APPEND` or `REPLACE` whose parts arrive.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) tag: String,
    pub(super) stage: Stage,
}

/// Reads what one client sends. No I/O: octets are given, events taken.
#[derive(Debug)]
pub struct Decoder {
    pub(super) limits: Limits,
    pub(super) utf8: bool,
    raw: bool,
    pub(super) state: State,
    /// The lines and literals of the command before the line that arrives.
    pub(super) command: Vec<u8>,
    pub(super) literals: usize,
    /// Octets of the input that hold no line end.
    searched: usize,
    pub(super) append: Option<Append>,
    pub(super) events: VecDeque<Event>,
    /// Memory for what is kept of a command.
    pub(super) loan: Loan,
}

impl Decoder {
    /// A decoder for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            utf8: false,
            raw: false,
            state: State::Line,
            command: Vec::new(),
            literals: 0,
            searched: 0,
            append: None,
            events: VecDeque::new(),
            loan: Loan::default(),
        }
    }

    /// From now on, what is kept of long commands takes the memory of `budget`.
    pub fn charge(&mut self, budget: &Budget) {
        if !self.loan.is_from(budget) {
            self.loan = budget.loan();
        }
    }

    /// Memory for a command that is whole, as long as it is carried out.
    pub(super) fn weigh_whole(&mut self, octets: usize) -> Result<(), SyntaxError> {
        let read = if octets <= SHORT { 0 } else { READ * octets };
        self.loan.resize(read).map_err(|_| SyntaxError::no(Code::Limit, SPENT))
    }

    /// Sees to it that what is kept of a command is counted, if it is much; `more` octets of it are about to come.
    pub(super) fn weigh(&mut self, more: usize) -> Result<(), SyntaxError> {
        let kept = self.command.len() + more;
        // As it came, and once more as it is joined.
        let kept = if kept <= SHORT { 0 } else { 2 * kept };
        self.loan.resize(kept).map_err(|_| SyntaxError::no(Code::Limit, SPENT))
    }

    /// Sets the limits.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Says whether mailbox names are UTF-8 (`IMAP4rev2` or `UTF8=ACCEPT` is enabled) or modified UTF-7.
    pub const fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    /// Says that what comes next is a line of an authentication exchange or the end of `IDLE`, and no command. To be
    /// called before [`Decoder::next`] is, and again for each line.
    pub const fn expect_line(&mut self) {
        self.raw = true;
    }

    /// Whether a command has begun and is not whole: a pause here is the client's.
    pub fn is_within(&self, input: &BytesMut) -> bool {
        !matches!(self.state, State::Line)
            || !self.command.is_empty()
            || self.append.is_some()
            || !input.is_empty()
    }

    /// Octets of a literal that are to come and are handed over as they come.
    pub fn announced_octets(&self) -> u64 {
        match self.state {
            State::Pieces { left } => left,
            _ => 0,
        }
    }

    /// Octets that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.command.capacity() + self.events.capacity() * size_of::<Event>()
    }

    /// Takes the literal that [`AppendPart::Literal`] told of.
    pub fn accept(&mut self) {
        if let State::Decide { info } = self.state {
            if info.sync {
                self.events.push_back(Event::Continue);
            }
            self.state = State::Pieces { left: info.octets };
        }
    }

    /// Gives up the `APPEND` or `REPLACE` whose parts arrive, at any point before [`AppendPart::End`]. What the client
    /// still sends of it is read over; the answer is the caller's, and may be sent at once. Messages may hold NUL, also
    /// where no `literal8` was announced: programs that move mail send them.
    pub fn refuse(&mut self) {
        self.events.retain(|event| !matches!(event, Event::Append(_) | Event::Continue));
        if self.append.take().is_none() {
            return;
        }
        self.command = Vec::new();
        let left = match self.state {
            State::Decide { info } if info.sync => None,
            State::Decide { info } => Some(info.octets),
            State::Pieces { left } => Some(left),
            State::Fill { left } => Some(left as u64),
            _ => Some(0),
        };
        match left {
            Some(left) => self.skip_from(left),
            None => self.state = State::Line,
        }
    }

    /// What is next in `input`, which it takes octets from; `None` if more octets (or a decision) are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let went_on = match &mut self.state {
                State::Line => self.line(input),
                State::Fill { left } => {
                    let taken = (*left).min(input.len());
                    self.command.extend_from_slice(&input.split_to(taken));
                    *left -= taken;
                    let whole = *left == 0;
                    if whole {
                        self.state = State::Line;
                    }
                    whole
                }
                State::Decide { .. } => false,
                State::Pieces { .. } => self.piece(input),
                State::Skip(skip) => {
                    let skipped = skip.next(input);
                    self.skipped(skipped)
                }
                State::Dead => {
                    input.clear();
                    false
                }
            };
            if !went_on {
                // Who says nothing for an hour keeps no room for what was said before.
                self.events = VecDeque::new();
                return None;
            }
        }
    }

    fn line(&mut self, input: &mut BytesMut) -> bool {
        let found = memchr::memchr(b'\n', input.get(self.searched..).unwrap_or_default());
        let end = found.map_or(input.len(), |at| self.searched + at + 1);
        if self.command.len() + end > self.limits.command {
            self.too_long(input);
            return true;
        }
        if let Err(spent) = self.weigh(end) {
            self.give_up(input, spent);
            return true;
        }
        if found.is_none() {
            self.searched = end;
            return false;
        }
        self.searched = 0;
        let line = input.split_to(end);
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if std::mem::take(&mut self.raw) {
            self.events.push_back(Event::Line(content.to_vec()));
        } else if let Some((info, _)) = announcement(content) {
            self.command.extend_from_slice(&line);
            self.announced(info);
        } else if !self.command.is_empty() || self.append.is_some() {
            self.command.extend_from_slice(content);
            let command = std::mem::take(&mut self.command);
            self.whole(&command);
        } else if !content.is_empty() {
            self.whole(content);
        }
        true
    }

    fn too_long(&mut self, input: &BytesMut) {
        self.give_up(input, SyntaxError::limit("The line is too long"));
    }

    /// Reads over the line that arrives.
    fn give_up(&mut self, input: &BytesMut, error: SyntaxError) {
        self.searched = 0;
        let raw = std::mem::take(&mut self.raw);
        let begun = if self.command.is_empty() { input } else { &self.command[..] };
        let tag = if raw { None } else { self.tag(begun) };
        self.refused(tag, error, Some(0));
    }

    /// The tag of the command that arrives, which begins with `begun`.
    pub(super) fn tag(&self, begun: &[u8]) -> Option<String> {
        match &self.append {
            Some(append) => Some(append.tag.clone()),
            None => parse::tag(begun),
        }
    }

    /// Answers a command with an error, and reads over `left` octets of a literal and what is behind it; `None` if nothing
    /// more comes of it.
    pub(super) fn refused(&mut self, tag: Option<String>, error: SyntaxError, left: Option<u64>) {
        self.events.push_back(Event::Refused(Refusal::new(tag, error)));
        self.command = Vec::new();
        self.append = None;
        self.literals = 0;
        match left {
            Some(left) => self.skip_from(left),
            None => self.state = State::Line,
        }
    }

    fn skip_from(&mut self, left: u64) {
        self.literals = 0;
        self.state = State::Skip(Skip::new(left, self.limits.skip));
    }

    fn piece(&mut self, input: &mut BytesMut) -> bool {
        let State::Pieces { left } = &mut self.state else { return false };
        if *left == 0 {
            self.state = State::Line;
            self.events.push_back(Event::Append(AppendPart::LiteralEnd));
            return true;
        }
        let most = usize::try_from(*left).unwrap_or(usize::MAX).min(PIECE).min(input.len());
        if most == 0 {
            return false;
        }
        let piece = input.split_to(most).freeze();
        *left -= most as u64;
        self.events.push_back(Event::Append(AppendPart::Piece(piece)));
        true
    }

    fn skipped(&mut self, skipped: Skipped) -> bool {
        match skipped {
            Skipped::More => false,
            Skipped::End => {
                self.state = State::Line;
                true
            }
            Skipped::TooMuch => {
                self.state = State::Dead;
                self.events.push_back(Event::Fatal(Status::bye("Too much came unasked").with(Code::TooBig)));
                true
            }
        }
    }
}

impl Skip {
    fn next(&mut self, input: &mut BytesMut) -> Skipped {
        loop {
            match self.step(input.chunk()) {
                (taken, Some(skipped)) => {
                    input.advance(taken);
                    return skipped;
                }
                (0, None) => return Skipped::More,
                (taken, None) => input.advance(taken),
            }
        }
    }
}
