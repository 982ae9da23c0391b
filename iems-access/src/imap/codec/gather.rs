//! What the decoder does with the lines of a command: which literals it takes, and what they are read as.

use super::cursor::Cursor;
use super::decoder::{Append, Decoder, Event, State};
use super::error::{SyntaxError, Trouble};
use super::limits::LITERALS;
use super::parse::{self, Head, Segment, Stage};
use crate::imap::types::{AppendPart, Code, Command, LiteralInfo};

/// What was read of a command: its beginning, if it is that, and its parts.
struct Read {
    command: Option<Command>,
    segment: Segment,
}

impl Decoder {
    /// A line ended with the announcement of a literal; all lines of the command are in `command`.
    pub(super) fn announced(&mut self, info: LiteralInfo) {
        let command = std::mem::take(&mut self.command);
        let error = match self.parse(&command, false) {
            Err(Trouble::More) => match self.argument(&command, info) {
                Ok(()) => {
                    self.command = command;
                    return;
                }
                Err(error) => error,
            },
            Err(Trouble::Wrong(error)) => *error,
            Ok(head) => match self.message(head, info) {
                Ok(()) => return,
                Err(error) => error,
            },
        };
        let tag = self.tag(&command);
        self.refused(tag, error, (!info.sync).then_some(info.octets));
    }

    /// An argument is a literal.
    fn argument(&mut self, command: &[u8], info: LiteralInfo) -> Result<(), SyntaxError> {
        self.unasked(info)?;
        self.literals += 1;
        let room = self.limits.command.saturating_sub(command.len());
        let length = usize::try_from(info.octets).ok().filter(|length| *length <= room);
        let Some(left) = length.filter(|_| self.literals <= LITERALS) else {
            return Err(SyntaxError::limit("The command is too long"));
        };
        self.weigh(command.len() + left)?;
        if info.sync {
            self.events.push_back(Event::Continue);
        }
        self.state = State::Fill { left };
        Ok(())
    }

    /// The literal of a message begins.
    fn message(&mut self, head: Read, info: LiteralInfo) -> Result<(), SyntaxError> {
        let Some((announced, stage)) = head.segment.literal else {
            return Err(SyntaxError::bad("No literal is wanted here", 0));
        };
        if self.limits.append == 0 {
            return Err(SyntaxError {
                at: None,
                ..SyntaxError::bad("No message is taken before the login", 0)
            });
        }
        self.unasked(info)?;
        if info.octets > self.limits.append {
            return Err(SyntaxError::no(Code::TooBig, "The message is too large"));
        }
        self.told(head.command, head.segment.parts, stage);
        self.events.push_back(Event::Append(AppendPart::Literal(announced)));
        self.state = State::Decide { info: announced };
        Ok(())
    }

    /// Whether the literal may come without being asked for (RFC 7888 section 5).
    fn unasked(&self, info: LiteralInfo) -> Result<(), SyntaxError> {
        match self.limits.unasked {
            Some(most) if !info.sync && info.octets > most => Err(SyntaxError {
                code: Some(Code::TooBig),
                ..SyntaxError::limit("A literal of this size waits for leave: {octets} without +")
            }),
            _ => Ok(()),
        }
    }

    /// The last line of a command is there.
    pub(super) fn whole(&mut self, command: &[u8]) {
        self.literals = 0;
        let parsed = match self.weigh_whole(command.len()) {
            Ok(()) => self.parse(command, true),
            Err(spent) => Err(spent.into()),
        };
        match parsed {
            Ok(head) => {
                self.told(head.command, head.segment.parts, Stage::Only);
                if self.events.back() == Some(&Event::Append(AppendPart::End)) {
                    self.append = None;
                }
            }
            Err(Trouble::Wrong(error)) => self.refused(self.tag(command), *error, None),
            Err(Trouble::More) => {
                let error = SyntaxError::bad("A literal is missing", command.len());
                self.refused(self.tag(command), error, None);
            }
        }
    }

    fn told(&mut self, command: Option<Command>, parts: Vec<AppendPart>, stage: Stage) {
        if let Some(command) = command {
            if !parts.is_empty() {
                self.append = Some(Append { tag: command.tag.clone(), stage });
            }
            self.events.push_back(Event::Command(command));
        } else if let Some(append) = &mut self.append {
            append.stage = stage;
        }
        self.events.extend(parts.into_iter().map(Event::Append));
    }

    fn parse(&self, octets: &[u8], whole: bool) -> Result<Read, Trouble> {
        let mut cursor = Cursor::new(octets, whole, self.utf8);
        if let Some(append) = &self.append {
            let segment = parse::segment(&mut cursor, append.stage).map_err(Trouble::nowhere)?;
            return Ok(Read { command: None, segment });
        }
        Ok(match parse::head(&mut cursor)? {
            Head::Command(command) => {
                Read { command: Some(command), segment: Segment { parts: Vec::new(), literal: None } }
            }
            Head::Append(command, segment) => Read { command: Some(command), segment },
        })
    }
}
