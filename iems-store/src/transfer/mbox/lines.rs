//! Lines of a file, with a way back.

use std::io::{BufRead, Read};

/// The longest piece that is read as a line, in octets.
const LONGEST: u64 = 1 << 20;

/// A line, or a piece of a long one.
pub(super) struct Line {
    pub(super) octets: Vec<u8>,
    /// Whether it is the beginning of a line.
    pub(super) begins: bool,
}

impl Line {
    pub(super) fn is_blank(&self) -> bool {
        self.begins && matches!(&self.octets[..], b"\n" | b"\r\n")
    }
}

/// Reads lines.
pub(super) struct Lines<R> {
    input: R,
    /// What was put back, and how much of it was read again.
    back: Vec<u8>,
    at: usize,
    /// The last line has not ended.
    within: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, back: Vec::new(), at: 0, within: false }
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Line>> {
        let mut octets = Vec::new();
        let held = self.back.get(self.at..).unwrap_or_default();
        if !held.is_empty() {
            let end = memchr::memchr(b'\n', held).map_or(held.len(), |at| at + 1).min(LONGEST as usize);
            octets.extend_from_slice(held.get(..end).unwrap_or_default());
            self.at += end;
        }
        if !octets.ends_with(b"\n") {
            let room = LONGEST.saturating_sub(octets.len() as u64);
            self.input.by_ref().take(room).read_until(b'\n', &mut octets)?;
        }
        if octets.is_empty() {
            return Ok(None);
        }
        let begins = !self.within;
        self.within = !octets.ends_with(b"\n");
        Ok(Some(Line { octets, begins }))
    }

    /// So many octets, or fewer at the end.
    pub(super) fn take(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        let held = self.back.get(self.at..).unwrap_or_default();
        let mut octets = held.get(..count.min(held.len())).unwrap_or_default().to_vec();
        self.at += octets.len();
        let room = count.saturating_sub(octets.len()) as u64;
        self.input.by_ref().take(room).read_to_end(&mut octets)?;
        self.within = octets.last().is_some_and(|last| *last != b'\n');
        Ok(octets)
    }

    /// Puts back what was read last. It begins a line.
    pub(super) fn put_back(&mut self, mut octets: Vec<u8>) {
        octets.extend_from_slice(self.back.get(self.at..).unwrap_or_default());
        (self.back, self.at, self.within) = (octets, 0, false);
    }
}
