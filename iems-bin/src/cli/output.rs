//! Standard output: lines, tables and JSON. A reader that went away is not an error.

use std::fmt::{self, Display};
use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;

use crate::exit::Failure;

/// Prints a line.
pub(crate) fn say(line: impl Display) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::io(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// A line about the way; on a terminal each takes the place of the one before.
pub(crate) fn note(quiet: bool, line: std::fmt::Arguments<'_>) {
    if quiet {
        return;
    }
    let mut error = std::io::stderr().lock();
    // Who cannot be told is not told.
    let _ = match error.is_terminal() {
        true => write!(error, "\r\x1b[K{line}"),
        false => writeln!(error, "{line}"),
    };
}

/// A line about something that is wrong, which does not end the command. It stays where it is.
pub(crate) fn warn(line: impl Display) {
    let mut error = std::io::stderr().lock();
    let start = if error.is_terminal() { "\r\x1b[K" } else { "" };
    // Who cannot be told is not told.
    let _ = writeln!(error, "{start}{line}");
}

/// Prints `answer` as JSON or, for people, as `text` has it.
pub(crate) fn show<T: Serialize>(
    answer: &T,
    json: bool,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let printed = match json {
        true => serde_json::to_string_pretty(answer).map_err(Failure::data)?,
        false => text(answer),
    };
    say(printed.trim_end())
}

/// Columns, each as wide as its widest cell.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    /// Adds a row. Control characters, which a peer may have chosen, are not printed.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell)));
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        for row in &self.rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// The text with control characters replaced: nothing a peer said may move the cursor of a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// A span of seconds for people: `42s`, `7m`, `3h`, `5d`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A size for people.
pub(crate) fn octets(size: u64) -> String {
    match size {
        0..10_240 => format!("{size}"),
        10_240..10_485_760 => format!("{}K", size >> 10),
        10_485_760..10_737_418_240 => format!("{}M", size >> 20),
        _ => format!("{}G", size >> 30),
    }
}
