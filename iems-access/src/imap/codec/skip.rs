//! Reads over what a client sends of a command that was refused, to the command's end.

use super::cursor::announcement;

/// Octets that the announcement of a literal may have: `~{18446744073709551615+}`, and CR.
const TAIL: usize = 32;

/// What is left to be read over.
#[derive(Debug)]
pub(super) struct Skip {
    /// Of a literal.
    literal: u64,
    /// In all; beyond that it is too much.
    room: u64,
    /// The last octets of the line.
    tail: Vec<u8>,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skipped {
    /// Octets are missing.
    More,
    /// The command ended.
    End,
    /// More was announced or sent than can be read over.
    TooMuch,
}

impl Skip {
    /// Reads over `literal` octets and the rest of the command, `room` octets at most.
    pub(super) const fn new(literal: u64, room: u64) -> Self {
        Self { literal, room, tail: Vec::new() }
    }

    /// How many octets of `octets` are passed over, and whether that was all.
    pub(super) fn step(&mut self, octets: &[u8]) -> (usize, Option<Skipped>) {
        if self.literal > self.room {
            return (0, Some(Skipped::TooMuch));
        }
        if self.literal > 0 {
            let taken = usize::try_from(self.literal).unwrap_or(usize::MAX).min(octets.len());
            self.literal -= taken as u64;
            self.room -= taken as u64;
            return (taken, None);
        }
        let found = memchr::memchr(b'\n', octets);
        let taken = found.map_or(octets.len(), |at| at + 1);
        let Some(room) = self.room.checked_sub(taken as u64) else { return (taken, Some(Skipped::TooMuch)) };
        self.room = room;
        let line = octets.get(..found.unwrap_or(taken)).unwrap_or_default();
        self.tail.extend_from_slice(line.get(line.len().saturating_sub(TAIL)..).unwrap_or_default());
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        match found {
            None => (taken, None),
            Some(_) => (taken, self.line_end()),
        }
    }

    /// A line ended: with a literal that comes unasked, or with the command.
    fn line_end(&mut self) -> Option<Skipped> {
        let tail = std::mem::take(&mut self.tail);
        match announcement(tail.strip_suffix(b"\r").unwrap_or(&tail)) {
            Some((info, _)) if !info.sync => {
                self.literal = info.octets;
                (self.literal > self.room).then_some(Skipped::TooMuch)
            }
            _ => Some(Skipped::End),
        }
    }
}
