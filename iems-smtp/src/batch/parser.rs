//! Reads a batch: octets in, events out.
//!
//! ```text
//! Idle --MAIL--> Open --RCPT--> Open --DATA--> Text --"."--> Idle          QUIT, anywhere but in Text: Closed
//! ```
//! `EHLO`, `HELO` and `RSET` end what is open; `NOOP`, `HELP`, `VRFY`, `EXPN`, `ETRN` and `ATRN` do nothing, as in Exim.
//! After an error nothing more comes out: what is behind it may be part of a message, not a command.

use bytes::{Bytes, BytesMut};
use iems_core::message::Domain;

use super::fault::{BatchError, Fault};
use crate::proto::{Command, CommandError, DataDecoder, LineReader, Mail, Piece, Rcpt};

/// Which octets end a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BatchLineEnds {
    /// CRLF and nothing else: what arrived as mail, or from another system.
    #[default]
    Crlf,
    /// LF as well, as local programs write it into a pipe; comes out as CRLF. A bare CR is an error still.
    LfToo,
    /// LF and nothing else, as in files of Unix; comes out as CRLF. Any CR is an error.
    Lf,
    /// As the first line has it, from then on strictly: CRLF, or LF. So there is one reading of a file, whoever wrote it.
    AsFirst,
}

/// Bounds of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchLimits {
    /// Messages. A million is a batch of a day of a large site.
    pub messages: u64,
    /// Recipients of a message: 50,000, far beyond what lists have, so that an envelope stays bounded.
    pub recipients: usize,
    /// Octets of a message; unlimited, since who takes the message has a limit of its own.
    pub octets: u64,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { messages: 1_000_000, recipients: 50_000, octets: u64::MAX }
    }
}

/// What a batch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A transaction begins. One that was open without text is gone.
    Mail(Box<Mail>),
    /// A recipient of it.
    Rcpt(Box<Rcpt>),
    /// Its text begins.
    Text,
    /// Octets of the text, dots unstuffed, lines ended by CRLF.
    Octets(Bytes),
    /// The text is complete.
    End,
    /// The transaction is given up.
    Reset,
    /// Nothing of what follows counts.
    Quit,
}

#[derive(Debug)]
enum State {
    Idle,
    Open { recipients: usize },
    Text { decoder: DataDecoder, octets: u64 },
    Closed,
}

/// Reads a batch. Holds what was pushed and not yet read, and no more.
#[derive(Debug)]
pub struct BatchParser {
    input: BytesMut,
    reader: LineReader,
    state: State,
    ends: BatchLineEnds,
    after_cr: bool,
    limits: BatchLimits,
    qualify: Option<Domain>,
    /// Octets that were pushed while only CRLF counted.
    pushed: u64,
    /// Lines that are read.
    lines: u64,
    started: Option<u64>,
    messages: u64,
    failed: Option<BatchError>,
}

impl BatchParser {
    /// A parser at the beginning of a batch.
    pub fn new(ends: BatchLineEnds, limits: BatchLimits) -> Self {
        Self {
            input: BytesMut::new(),
            reader: LineReader::default(),
            state: State::Idle,
            ends,
            after_cr: false,
            limits,
            qualify: None,
            pushed: 0,
            lines: 0,
            started: None,
            messages: 0,
            failed: None,
        }
    }

    /// Addresses without a domain get this one, for batches of local programs.
    #[must_use]
    pub fn qualify(mut self, domain: Domain) -> Self {
        self.qualify = Some(domain);
        self
    }

    /// The next octets of the batch. Take all events out before more is pushed: that bounds the memory.
    pub fn push(&mut self, octets: &[u8]) {
        if matches!(self.state, State::Closed) || self.failed.is_some() {
            return;
        }
        match self.ends {
            BatchLineEnds::AsFirst => self.look_at_first(octets),
            BatchLineEnds::Crlf => {
                self.pushed += octets.len() as u64;
                self.input.extend_from_slice(octets);
            }
            BatchLineEnds::LfToo | BatchLineEnds::Lf => self.push_lines(octets),
        }
    }

    /// The end of the first line decides.
    fn look_at_first(&mut self, octets: &[u8]) {
        match memchr::memchr(b'\n', octets) {
            None => {
                self.after_cr = octets.last().map_or(self.after_cr, |last| *last == b'\r');
                self.pushed += octets.len() as u64;
                self.input.extend_from_slice(octets);
            }
            Some(at) => {
                let has_cr =
                    at.checked_sub(1).map_or(self.after_cr, |before| octets.get(before) == Some(&b'\r'));
                self.ends = if has_cr { BatchLineEnds::Crlf } else { BatchLineEnds::Lf };
                self.push(octets);
            }
        }
    }

    fn push_lines(&mut self, octets: &[u8]) {
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(text) => {
                    let has_cr = if text.is_empty() { self.after_cr } else { text.ends_with(b"\r") };
                    self.input.extend_from_slice(text);
                    let whole = has_cr && self.ends == BatchLineEnds::LfToo;
                    self.input.extend_from_slice(if whole { b"\n" } else { b"\r\n" });
                    self.after_cr = false;
                }
                None => {
                    self.input.extend_from_slice(line);
                    self.after_cr = line.ends_with(b"\r");
                }
            }
        }
    }

    /// The next event, or `None` if more octets are needed or the batch is at its `QUIT`.
    ///
    /// # Errors
    /// If the batch is not right; the same error from then on.
    pub fn event(&mut self) -> Result<Option<Event>, BatchError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.advance(),
        }
    }

    /// There is nothing behind what was pushed. A batch without `QUIT` is complete: many writers leave it out.
    ///
    /// # Errors
    /// If the batch breaks off within a line or a message.
    pub fn finish(&mut self) -> Result<(), BatchError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.state {
            State::Closed => Ok(()),
            State::Idle if !self.reader.is_inside(&self.input) => Ok(()),
            _ => Err(self.fail(Fault::UnexpectedEnd, self.lines + 1, None)),
        }
    }

    /// Octets of a batch with CRLF line ends that are read, up to the end of the last event.
    pub fn consumed(&self) -> u64 {
        self.pushed.saturating_sub(self.input.len() as u64)
    }

    /// Messages that ended so far.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Where the batch is: the line with the `MAIL` of the open transaction, and the last line that was read.
    pub fn place(&self) -> (Option<u64>, u64) {
        (self.started, self.lines.max(1))
    }

    fn advance(&mut self) -> Result<Option<Event>, BatchError> {
        loop {
            match &mut self.state {
                State::Closed => {
                    self.input.clear();
                    return Ok(None);
                }
                State::Text { .. } => return self.text(),
                State::Idle | State::Open { .. } => {
                    let Some(found) = self.reader.next(&mut self.input, Command::line_limit) else {
                        return Ok(None);
                    };
                    self.lines += 1;
                    let length = found.map_err(|e| self.fail(e.into(), self.lines, None))?;
                    let line = self.input.get(..length).unwrap_or_default().to_vec();
                    self.reader.take(&mut self.input);
                    let event = self.command(&line);
                    if let Some(event) = event.map_err(|fault| self.fail(fault, self.lines, Some(&line)))? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    fn text(&mut self) -> Result<Option<Event>, BatchError> {
        let State::Text { decoder, octets } = &mut self.state else { return Ok(None) };
        let whole = whole_lines(&self.input);
        let found = decoder.next(&mut self.input);
        if decoder.is_broken() {
            return Err(self.fail(Fault::BareLineEnd, self.lines + whole + 1, None));
        }
        match found {
            None => Ok(None),
            Some(Piece::Octets(piece)) => {
                *octets = octets.saturating_add(piece.len() as u64);
                let too_large = *octets > self.limits.octets;
                self.lines += memchr::memchr_iter(b'\n', &piece).count() as u64;
                if too_large {
                    return Err(self.fail(Fault::TooLarge, self.lines.max(1), None));
                }
                Ok(Some(Event::Octets(piece)))
            }
            Some(Piece::End) => {
                self.lines += 1;
                self.messages += 1;
                self.state = State::Idle;
                self.started = None;
                Ok(Some(Event::End))
            }
        }
    }

    fn command(&mut self, line: &[u8]) -> Result<Option<Event>, Fault> {
        let verb = line.split(|octet| *octet == b' ').next().unwrap_or_default().to_ascii_uppercase();
        match &verb[..] {
            b"NOOP" | b"HELP" | b"VRFY" | b"EXPN" | b"ETRN" | b"ATRN" => return Ok(None),
            b"AUTH" | b"STARTTLS" | b"BDAT" | b"TURN" => return Err(Fault::NeedsAnswer),
            _ => {}
        }
        let line = self.qualified(line);
        let parsed = match Command::parse(&line) {
            // Exim takes no parameters in batches, and writes none (`use_bsmtp`).
            Err(CommandError::NeedsUtf8) => Command::parse(&[&line[..], b" SMTPUTF8"].concat()),
            parsed => parsed,
        };
        match parsed? {
            Command::Ehlo(_) | Command::Helo(_) | Command::Rset => Ok(self.reset()),
            Command::Quit => {
                self.state = State::Closed;
                self.started = None;
                Ok(Some(Event::Quit))
            }
            Command::Mail(mail) => self.mail(mail).map(Some),
            Command::Rcpt(rcpt) => self.rcpt(rcpt).map(Some),
            Command::Data => self.data().map(Some),
            _ => Err(CommandError::Unknown.into()),
        }
    }

    fn reset(&mut self) -> Option<Event> {
        self.started = None;
        let before = std::mem::replace(&mut self.state, State::Idle);
        matches!(before, State::Open { .. }).then_some(Event::Reset)
    }

    fn mail(&mut self, mail: Box<Mail>) -> Result<Event, Fault> {
        if matches!(self.state, State::Open { .. }) {
            return Err(Fault::OutOfOrder("end the transaction with DATA or RSET before the next MAIL"));
        }
        if self.messages >= self.limits.messages {
            return Err(Fault::TooManyMessages);
        }
        self.state = State::Open { recipients: 0 };
        self.started = Some(self.lines);
        Ok(Event::Mail(mail))
    }

    fn rcpt(&mut self, rcpt: Box<Rcpt>) -> Result<Event, Fault> {
        match &mut self.state {
            State::Open { recipients } if *recipients >= self.limits.recipients => {
                Err(Fault::TooManyRecipients)
            }
            State::Open { recipients } => {
                *recipients += 1;
                Ok(Event::Rcpt(rcpt))
            }
            _ => Err(Fault::OutOfOrder("send MAIL before RCPT")),
        }
    }

    fn data(&mut self) -> Result<Event, Fault> {
        match self.state {
            State::Open { recipients: 1.. } => {
                self.state = State::Text { decoder: DataDecoder::default(), octets: 0 };
                Ok(Event::Text)
            }
            State::Open { .. } => Err(Fault::OutOfOrder("send RCPT before DATA")),
            _ => Err(Fault::OutOfOrder("send MAIL and RCPT before DATA")),
        }
    }

    /// `MAIL` and `RCPT` with a domain behind an address that has none.
    fn qualified(&self, line: &[u8]) -> Vec<u8> {
        let whole = || line.to_vec();
        let Some(domain) = &self.qualify else { return whole() };
        let takes_path = line
            .get(..5)
            .is_some_and(|verb| verb.eq_ignore_ascii_case(b"MAIL ") || verb.eq_ignore_ascii_case(b"RCPT "));
        let bounds = memchr::memchr(b'<', line).zip(memchr::memchr(b'>', line));
        let Some((open, close)) = bounds.filter(|(open, close)| takes_path && open + 1 < *close) else {
            return whole();
        };
        let local = line.get(open + 1..close).unwrap_or_default();
        if local.iter().any(|octet| matches!(octet, b'@' | b'"' | b':')) {
            return whole();
        }
        let (front, back) = line.split_at(close);
        [front, b"@", domain.to_string().as_bytes(), back].concat()
    }

    fn fail(&mut self, fault: Fault, line: u64, command: Option<&[u8]>) -> BatchError {
        let shown = |octets: &[u8]| octets.escape_ascii().to_string().chars().take(200).collect();
        let error = BatchError { fault, started: self.started, line, command: command.map(shown) };
        self.input.clear();
        self.failed = Some(error.clone());
        error
    }
}

/// Lines that end before the first bare CR or LF.
fn whole_lines(input: &[u8]) -> u64 {
    let (mut at, mut lines) = (0, 0);
    while let Some(found) = input.get(at..).and_then(|rest| memchr::memchr2(b'\r', b'\n', rest)) {
        at += found;
        if !input.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            break;
        }
        at += 2;
        lines += 1;
    }
    lines
}
