//! What is wrong with a configuration: where, what was found, what would be right.
//!
//! Problems are collected, never thrown at the first: whoever mends a file wants to see all of them.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// 1 for the first line; 0 if the problem has no place in the file.
    pub(crate) line: usize,
    /// 1 for the first character of a line.
    pub(crate) column: usize,
    /// The key it is about, such as `queue.expire`; empty for the file as a whole.
    pub(crate) key: String,
    /// What is wrong and what would be right, in one line.
    pub(crate) message: String,
}

impl Problem {
    /// One line: `file:line:column: message`.
    pub(crate) fn at(&self, file: &Path) -> String {
        let (file, message) = (file.display(), &self.message);
        match self.line {
            0 => format!("{file}: {message}"),
            line => format!("{file}:{line}:{}: {message}", self.column),
        }
    }
}

/// All that is wrong with one file.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problems {
    /// The file.
    pub(crate) file: PathBuf,
    /// In the order of the file; never empty.
    pub(crate) problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    /// One line each: `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{}", problem.at(&self.file))?;
        }
        let (many, count) = (self.problems.len() > 1, self.problems.len());
        write!(f, "{count} {} in the configuration", if many { "problems" } else { "problem" })
    }
}

impl std::error::Error for Problems {}

/// Collects problems while a file is read and resolved.
#[derive(Debug)]
pub(crate) struct Notes<'a> {
    file: &'a Path,
    text: &'a str,
    found: Vec<(usize, Problem)>,
    warned: Vec<Problem>,
}

impl<'a> Notes<'a> {
    /// For a file with this content.
    pub(crate) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, found: Vec::new(), warned: Vec::new() }
    }

    /// For a second look at the same file, whose problems are noted already.
    pub(crate) fn ignored(&self) -> Self {
        Self::new(self.file, self.text)
    }

    /// File and line of something, for explanations: `iems.toml:34 [[peer]] example.org`.
    pub(crate) fn place(&self, span: Option<&Range<usize>>, what: &str) -> String {
        let line = span.map_or(0, |span| position(self.text, span.start).0);
        format!("{}:{line} {what}", self.file.display())
    }

    /// Notes a problem at a place in the file, or with the file as a whole.
    pub(crate) fn add(&mut self, span: Option<&Range<usize>>, key: &str, message: impl Into<String>) {
        let problem = self.problem(span, key, message.into());
        self.found.push((span.map_or(usize::MAX, |span| span.start), problem));
    }

    /// Notes that a value is not what was expected: it was read, and is out of bounds. Tells what stands there.
    pub(crate) fn expected(&mut self, span: Option<&Range<usize>>, key: &str, expected: &str) {
        let found = span.and_then(|span| self.text.get(span.clone())).unwrap_or("nothing");
        let short: String = found.chars().take(60).collect();
        let more = if short.len() < found.len() { "…" } else { "" };
        self.add(span, key, format!("{key}: expected {expected}, found {short}{more}"));
    }

    /// Notes what is dangerous and does not keep the file from being used.
    pub(crate) fn warn(&mut self, span: Option<&Range<usize>>, key: &str, message: impl Into<String>) {
        let warning = self.problem(span, key, message.into());
        self.warned.push(warning);
    }

    /// All warnings.
    pub(crate) fn warnings(&self) -> Vec<Problem> {
        self.warned.clone()
    }

    fn problem(&self, span: Option<&Range<usize>>, key: &str, message: String) -> Problem {
        let (line, column) = span.map_or((0, 0), |span| position(self.text, span.start));
        Problem { line, column, key: key.to_owned(), message }
    }

    /// Whether a problem with `key` is noted in the section that begins at `start`. If it is one of a list, the next one's
    /// heading ends it.
    pub(crate) fn has(&self, key: &str, start: usize) -> bool {
        let heading = format!("[[{}]]", key.split('.').next().unwrap_or_default());
        let rest = self.text.get(start + 1..).unwrap_or_default();
        let end = rest.find(&heading).map_or(usize::MAX, |at| start + 1 + at);
        self.found.iter().any(|(at, problem)| (start..end).contains(at) && problem.key == key)
    }

    /// All problems as one error, if there are any.
    pub(crate) fn finish(mut self) -> Result<(), Problems> {
        self.found.sort_by_key(|(at, _)| *at);
        let problems: Vec<_> = self.found.into_iter().map(|(_, problem)| problem).collect();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Problems { file: self.file.to_owned(), problems }),
        }
    }
}

/// Line and column, both from 1, of an offset in octets.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

/// The word among `valid` that is most like `found`.
pub(crate) fn nearest<'v>(found: &str, valid: &[&'v str]) -> Option<&'v str> {
    let likeness = |word: &&str| (strsim::jaro_winkler(found, word) * 1e6) as u64;
    valid.iter().copied().max_by_key(likeness)
}
