//! The terminal: taken over, drawn on, and given back as it was, also when the program panics.

use std::io::{self, IsTerminal, Stdout, Write};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};

/// The terminal while it is ours.
pub(super) struct Screen {
    out: Stdout,
}

impl Screen {
    /// Takes the terminal over. Fails where there is none.
    pub(super) fn take() -> io::Result<Self> {
        let mut out = io::stdout();
        if !out.is_terminal() || !io::stdin().is_terminal() {
            return Err(io::Error::other("not a terminal"));
        }
        enable_raw_mode()?;
        let screen = Self { out: io::stdout() }; // from here on it is given back
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back(); // first, so that the words about the panic are seen
            usual(panic);
        }));
        execute!(out, EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Columns and rows; a terminal that does not know is taken for an old one.
    pub(super) fn size() -> (usize, usize) {
        match size() {
            Ok((columns, rows)) if columns > 0 && rows > 0 => (columns.into(), rows.into()),
            _ => (80, 24),
        }
    }

    /// Draws the lines; the one at `marked` stands out.
    pub(super) fn draw(&mut self, lines: &[String], marked: Option<usize>) -> io::Result<()> {
        for (row, line) in lines.iter().enumerate() {
            queue!(self.out, MoveTo(0, u16::try_from(row).unwrap_or(u16::MAX)))?;
            if marked == Some(row) {
                queue!(self.out, SetAttribute(Attribute::Reverse))?;
            }
            queue!(self.out, Print(line), SetAttribute(Attribute::Reset), Clear(ClearType::UntilNewLine))?;
        }
        queue!(
            self.out,
            MoveTo(0, u16::try_from(lines.len()).unwrap_or(u16::MAX)),
            Clear(ClearType::FromCursorDown)
        )?;
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whoever cannot be given the terminal back has none any more.
fn give_back() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}
