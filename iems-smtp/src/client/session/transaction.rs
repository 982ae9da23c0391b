//! One message over an open connection (RFC 5321 section 3.3, RFC 2920, RFC 3030, RFC 2033).
//!
//! Knows what was said, which replies are still owed, and what became of each recipient. Every recipient has an
//! outcome at the end: the one the peer gave, or deferred. The fate of a message whose end was sent and not
//! answered is unknown, hence deferred (RFC 5321 section 4.5.3.2.6).

use std::collections::VecDeque;

use iems_core::deliver::{Arrival, Outcome};
use iems_core::message::{EnhancedStatus, Reply};

use crate::client::settings::Protocol;
use crate::client::trouble::{Peer, Phase};
use crate::proto::{Command, Response};

/// How a message is sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Manner {
    /// One reply, or one per recipient.
    pub(in crate::client) protocol: Protocol,
    /// Whether commands may be sent before the replies to those before them.
    pub(in crate::client) pipelining: bool,
    /// The size to announce in BDAT; `None` for DATA.
    pub(in crate::client) chunk: Option<u64>,
    /// Whether the body goes along with the commands, unasked.
    pub(in crate::client) at_once: bool,
    /// Whether an earlier transaction may still be open at the server.
    pub(in crate::client) reset: bool,
    /// What acceptance means.
    pub(in crate::client) arrival: Arrival,
}

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum Step {
    /// Write these lines.
    Write(String),
    /// Write these lines, and the body behind them as it is, if possible in one go.
    WriteWithBody(String),
    /// Write the body with dots stuffed, and its end.
    WriteText,
    /// Read a reply.
    Read(Phase),
    /// Nothing is left to do.
    End,
}

/// A reply that is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    Rset,
    Mail,
    /// For the n-th recipient.
    Rcpt(usize),
    Data,
    /// The end of the body.
    End,
    /// LMTP: the end of the body, for the n-th accepted recipient.
    EndFor(usize),
    /// The end of a body that was never there.
    EmptyEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Envelope,
    Body,
    AfterData,
    Text,
    EmptyText,
    Over,
}

/// A message on its way.
#[derive(Debug)]
pub(in crate::client) struct Transaction {
    manner: Manner,
    commands: VecDeque<(Owed, String)>,
    owed: VecDeque<Owed>,
    stage: Stage,
    outcomes: Vec<Option<Outcome>>,
    accepted: Vec<usize>,
    cut_short: bool,
    clean: bool,
    broken: bool,
    bad_chunking: bool,
}

impl Transaction {
    /// `outcomes` has a place for every destination of the attempt, filled where there is nothing to do; `rcpts`
    /// are the others, by their place, with their command lines.
    pub(in crate::client) fn new(
        manner: Manner,
        mail: String,
        rcpts: Vec<(usize, String)>,
        outcomes: Vec<Option<Outcome>>,
    ) -> Self {
        let mut commands = VecDeque::with_capacity(rcpts.len() + 2);
        if manner.reset {
            commands.push_back((Owed::Rset, Command::Rset.to_string()));
        }
        commands.push_back((Owed::Mail, mail));
        commands.extend(rcpts.into_iter().map(|(at, line)| (Owed::Rcpt(at), line)));
        Self {
            manner,
            commands,
            owed: VecDeque::new(),
            stage: Stage::Envelope,
            outcomes,
            accepted: Vec::new(),
            cut_short: false,
            clean: false,
            broken: false,
            bad_chunking: false,
        }
    }

    /// What to do next.
    pub(in crate::client) fn step(&mut self) -> Step {
        if let Some(owed) = self.owed.front() {
            return Step::Read(phase(*owed));
        }
        match self.stage {
            Stage::Envelope if self.manner.pipelining => self.envelope_at_once(),
            Stage::Envelope => match self.commands.pop_front() {
                Some((owed, line)) => self.write(owed, line + "\r\n"),
                None => self.begin_body(),
            },
            Stage::Body => self.begin_body(),
            Stage::Text => {
                self.stage = Stage::Over;
                self.owed.push_back(Owed::End);
                Step::WriteText
            }
            Stage::EmptyText => {
                self.stage = Stage::Over;
                self.write(Owed::EmptyEnd, ".\r\n".into())
            }
            Stage::AfterData | Stage::Over => Step::End,
        }
    }

    fn write(&mut self, owed: Owed, lines: String) -> Step {
        self.owed.push_back(owed);
        Step::Write(lines)
    }

    /// RFC 2920 section 3.1: DATA may only stand at the end of a group; BDAT and what follows it, anywhere
    /// (RFC 3030 section 4.2).
    fn envelope_at_once(&mut self) -> Step {
        let mut lines = String::new();
        for (owed, line) in self.commands.drain(..) {
            self.owed.push_back(owed);
            lines.push_str(&line);
            lines.push_str("\r\n");
        }
        match self.manner.chunk {
            Some(size) if self.manner.at_once => {
                self.owed.push_back(Owed::End);
                self.stage = Stage::Over;
                lines.push_str(&bdat(size));
                Step::WriteWithBody(lines)
            }
            Some(_) => {
                self.stage = Stage::Body;
                Step::Write(lines)
            }
            None => {
                self.owed.push_back(Owed::Data);
                self.stage = Stage::AfterData;
                lines.push_str("DATA\r\n");
                Step::Write(lines)
            }
        }
    }

    /// All recipients were answered: go on if anybody is left who wants the message.
    fn begin_body(&mut self) -> Step {
        if self.accepted.is_empty() {
            self.stage = Stage::Over;
            return Step::End;
        }
        match self.manner.chunk {
            Some(size) => {
                self.stage = Stage::Over;
                self.owed.push_back(Owed::End);
                Step::WriteWithBody(bdat(size))
            }
            None => {
                self.stage = Stage::AfterData;
                self.write(Owed::Data, "DATA\r\n".into())
            }
        }
    }

    /// Takes in a reply.
    pub(in crate::client) fn reply(&mut self, response: &Response, peer: &Peer) {
        let Some(owed) = self.owed.pop_front() else {
            self.broken = true;
            return;
        };
        if response.code == 421 {
            return self.give_up(peer.said(response, phase(owed)));
        }
        if response.is_intermediate() != (owed == Owed::Data && response.code == 354) {
            return self.give_up(peer.out_of_turn(response, phase(owed)));
        }
        match owed {
            Owed::Rset if !response.is_success() => self.give_up(peer.out_of_turn(response, Phase::Rset)),
            Owed::Rset | Owed::EmptyEnd => {}
            Owed::Mail if response.is_success() => {}
            Owed::Mail => self.refuse_all(response, peer),
            Owed::Rcpt(at) => self.rcpt(at, response, peer),
            Owed::Data => self.data(response, peer),
            Owed::End => self.end(response, peer),
            Owed::EndFor(n) => self.end_for(n, response, peer),
        }
    }

    fn refuse_all(&mut self, response: &Response, peer: &Peer) {
        self.fill(&Outcome::from_reply(self.manner.arrival, peer.said(response, Phase::Mail)));
        if !self.manner.pipelining {
            self.commands.clear();
        }
    }

    fn rcpt(&mut self, at: usize, response: &Response, peer: &Peer) {
        if self.outcomes[at].is_some() {
            return;
        }
        if response.is_success() {
            return self.accepted.push(at);
        }
        let mut response = response.clone();
        if self.is_too_many(&response) {
            response.code = 452;
        }
        self.outcomes[at] = Some(Outcome::from_reply(self.manner.arrival, peer.said(&response, Phase::Rcpt)));
    }

    /// 552 after accepted recipients means "not so many at once", not "never" (RFC 5321 section 4.5.3.1.10), unless the
    /// enhanced code says otherwise (a full mailbox).
    fn is_too_many(&self, response: &Response) -> bool {
        let many = EnhancedStatus::new(5, 5, 3);
        response.code == 552
            && !self.accepted.is_empty()
            && response.enhanced.is_none_or(|status| status == many)
    }

    fn data(&mut self, response: &Response, peer: &Peer) {
        match (response.code, self.accepted.is_empty()) {
            (354, false) => self.stage = Stage::Text,
            // It wants a message for nobody: an empty one ends that.
            (354, true) => self.stage = Stage::EmptyText,
            (200..=399, _) => self.give_up(peer.out_of_turn(response, Phase::Data)),
            (_, true) => self.stage = Stage::Over,
            (_, false) => {
                self.fill(&Outcome::from_reply(self.manner.arrival, peer.said(response, Phase::Data)));
                self.stage = Stage::Over;
            }
        }
    }

    /// The reply to the end of the body: for everybody, or, by LMTP, for the first of those accepted.
    fn end(&mut self, response: &Response, peer: &Peer) {
        if self.accepted.is_empty() {
            return;
        }
        if self.manner.chunk.is_some() && matches!(response.code, 500 | 502 | 503 | 504) {
            // It offered CHUNKING and does not know BDAT. What it made of the body, nobody knows.
            self.bad_chunking = true;
            return self.give_up(peer.out_of_turn(response, Phase::End));
        }
        if self.cut_short && response.is_success() {
            return self.give_up(peer.out_of_turn(response, Phase::End));
        }
        match self.manner.protocol {
            Protocol::Smtp => {
                self.clean = response.is_success();
                self.fill(&Outcome::from_reply(self.manner.arrival, peer.said(response, Phase::End)));
            }
            Protocol::Lmtp => {
                self.owed.extend((1..self.accepted.len()).map(Owed::EndFor));
                self.end_for(0, response, peer);
            }
        }
    }

    fn end_for(&mut self, n: usize, response: &Response, peer: &Peer) {
        self.clean = response.is_success();
        let outcome = Outcome::from_reply(self.manner.arrival, peer.said(response, Phase::End));
        if let Some(at) = self.accepted.get(n) {
            self.outcomes[*at] = Some(outcome);
        }
    }

    /// A reply to the end of the body that came before the end was sent. A refusal may; who says yes cannot know to what.
    /// Either way another answer may follow.
    pub(in crate::client) fn early(&mut self, response: &Response, peer: &Peer) {
        match response.is_success() && !self.accepted.is_empty() {
            true => self.give_up(peer.out_of_turn(response, Phase::End)),
            false => self.reply(response, peer),
        }
        self.broken = true;
    }

    /// The body was not written to its end. Only a refusal can be believed from now on.
    pub(in crate::client) fn cut_short(&mut self) {
        self.cut_short = true;
        self.broken = true;
    }

    /// Whether the body was not written to its end.
    pub(in crate::client) fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    /// Nothing more will be heard: whoever has no outcome yet is deferred.
    pub(in crate::client) fn give_up(&mut self, reply: Reply) {
        let reply = match reply.is_temporary() {
            true => reply,
            false => Reply { code: 451, enhanced: reply.enhanced.with_class(4), ..reply },
        };
        self.fill(&Outcome::Deferred(reply));
        self.owed.clear();
        self.commands.clear();
        self.stage = Stage::Over;
        self.broken = true;
    }

    fn fill(&mut self, outcome: &Outcome) {
        self.outcomes.iter_mut().filter(|o| o.is_none()).for_each(|o| *o = Some(outcome.clone()));
    }

    /// Whether the connection is of no further use.
    pub(in crate::client) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the server has certainly forgotten the transaction.
    pub(in crate::client) fn is_clean(&self) -> bool {
        self.clean
    }

    /// Whether the server offered CHUNKING and then did not understand BDAT.
    pub(in crate::client) fn has_bad_chunking(&self) -> bool {
        self.bad_chunking
    }

    /// One outcome per destination.
    pub(in crate::client) fn into_outcomes(self) -> Vec<Outcome> {
        let unknown = || Outcome::deferred(4, 0, "the outcome is not known");
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect()
    }
}

fn bdat(size: u64) -> String {
    format!("{}\r\n", Command::Bdat { size, last: true })
}

fn phase(owed: Owed) -> Phase {
    match owed {
        Owed::Rset => Phase::Rset,
        Owed::Mail => Phase::Mail,
        Owed::Rcpt(_) => Phase::Rcpt,
        Owed::Data => Phase::Data,
        Owed::End | Owed::EndFor(_) | Owed::EmptyEnd => Phase::End,
    }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
