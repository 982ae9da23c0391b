//! What people read in a report, by language. English and German are built in; others are files of the same form.

use std::sync::Arc;

use super::language;
use super::template::Template;

/// The languages that are built in.
const BUILT_IN: [&str; 2] = [include_str!("texts/en.txt"), include_str!("texts/de.txt")];

/// A subject and a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Words {
    pub(super) subject: Template,
    pub(super) text: Template,
}

/// The texts of one language.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Language {
    /// The language tag (RFC 5646).
    pub(super) tag: String,
    /// The name beside the sender's address.
    pub(super) sender: String,
    /// Stands below a list that is too long.
    pub(super) more: Template,
    /// Stands for the words of a system that the sender must not know of.
    pub(super) elsewhere: String,
    /// How every report begins.
    pub(super) opening: Template,
    pub(super) failed: Words,
    pub(super) delayed: Words,
    pub(super) delivered: Words,
    pub(super) double_bounce: Words,
    pub(super) summary: Words,
}

/// Why a file of texts cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TextError {
    /// 1 for the first line.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Language {
    /// Reads the texts of a language; `docs/reports.md` describes the form.
    ///
    /// ```
    /// use iems_core::report::Language;
    /// let error = Language::parse("language: fr\nsendr: Courrier\n").unwrap_err();
    /// assert_eq!(error.line, 2);
    /// ```
    pub fn parse(text: &str) -> Result<Self, TextError> {
        language::parse(text)
    }

    /// The language tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

/// The languages that reports are written in. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    first: Arc<Language>,
    others: Vec<Arc<Language>>,
}

impl Default for Texts {
    /// What is built in: English, German.
    fn default() -> Self {
        let mut built_in = BUILT_IN.iter().filter_map(|text| Language::parse(text).ok()).map(Arc::new);
        Self { first: built_in.next().unwrap_or_default(), others: built_in.collect() }
    }
}

impl Texts {
    /// The same with one more language, instead of the one with the same tag if there is one.
    #[must_use]
    pub fn with(mut self, language: Language) -> Self {
        let same = |known: &Arc<Language>| known.tag.eq_ignore_ascii_case(&language.tag);
        match same(&self.first) {
            true => self.first = Arc::new(language),
            false => {
                self.others.retain(|known| !same(known));
                self.others.push(Arc::new(language));
            }
        }
        self
    }

    /// The language with this tag, or with its beginning: `de` for `de-AT` (RFC 4647 section 3.4).
    pub fn get(&self, tag: &str) -> Option<&Language> {
        let mut tag = tag;
        loop {
            if let Some(found) = self.all().find(|language| language.tag.eq_ignore_ascii_case(tag)) {
                return Some(found);
            }
            tag = &tag[..tag.rfind('-')?];
        }
    }

    /// The tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.all().map(Language::tag)
    }

    pub(super) fn first(&self) -> &Language {
        &self.first
    }

    fn all(&self) -> impl Iterator<Item = &Language> {
        std::iter::once(&*self.first).chain(self.others.iter().map(|language| &**language))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_can_be_read() {
        for text in BUILT_IN {
            Language::parse(text).unwrap();
        }
        assert_eq!(Texts::default().tags().collect::<Vec<_>>(), ["en", "de"]);
    }

    #[test]
    fn a_language_is_found_by_the_beginning_of_a_tag_and_can_be_replaced() {
        let texts = Texts::default();
        assert_eq!(texts.get("de-AT-1996").map(Language::tag), Some("de"));
        assert_eq!(texts.get("EN").map(Language::tag), Some("en"));
        assert_eq!(texts.get("fr"), None);
        let own = Language::parse(&BUILT_IN[1].replace("Mail-Zustellung", "Postamt")).unwrap();
        assert_eq!(texts.with(own).get("de").map(|language| language.sender.as_str()), Some("Postamt"));
    }
}
