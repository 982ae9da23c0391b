//! Reading the texts of a language: a few settings, then sections, each with a subject and a text.
//!
//! ```text
//! language: en
//! sender: Mail Delivery System
//!
//! [failed]
//! subject: Your message could not be delivered
//!
//! The text.
//! ```

use super::template::{Place, Template};
use super::text::{Language, TextError, Words};

const SETTINGS: [&str; 4] = ["language", "sender", "more", "elsewhere"];
const SECTIONS: [&str; 6] = ["opening", "failed", "delayed", "delivered", "double bounce", "summary"];

/// A part of the file and the line in which it stands, 1 for the first.
#[derive(Clone, Copy)]
struct Part<'a> {
    line: usize,
    text: &'a str,
}

impl Part<'_> {
    fn wrong(self, what: impl Into<String>) -> TextError {
        TextError { line: self.line, what: what.into() }
    }

    fn template(self, known: &[Place]) -> Result<Template, TextError> {
        Template::read(self.text, known)
            .map_err(|flaw| TextError { line: self.line + flaw.line, what: flaw.what })
    }
}

/// See [`Language::parse`].
pub(super) fn parse(text: &str) -> Result<Language, TextError> {
    let file = File::split(text)?;
    let mut language = Language {
        tag: file.setting("language")?.text.to_owned(),
        sender: file.setting("sender")?.text.to_owned(),
        more: file.setting("more")?.template(&[Place::Count])?,
        elsewhere: file.setting("elsewhere")?.text.to_owned(),
        opening: file.section("opening")?.template(&[Place::Host])?,
        ..Language::default()
    };
    let tag = file.setting("language")?;
    if !tag.text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') || tag.text.len() > 35 {
        return Err(tag.wrong("expected a language tag such as de or pt-BR"));
    }
    let about = [Place::Recipients, Place::Host, Place::Id, Place::Arrived];
    let late = [Place::Recipients, Place::Host, Place::Id, Place::Arrived, Place::Until];
    language.failed = file.words("failed", &about)?;
    language.delayed = file.words("delayed", &late)?;
    language.delivered = file.words("delivered", &about)?;
    language.double_bounce = file.words("double bounce", &about)?;
    language.summary = file.words("summary", &[Place::Count, Place::Since, Place::Host])?;
    Ok(language)
}

/// A file in its parts.
struct File<'a> {
    settings: Vec<(&'a str, Part<'a>)>,
    sections: Vec<(&'a str, Part<'a>)>,
    lines: usize,
}

impl<'a> File<'a> {
    fn split(text: &'a str) -> Result<Self, TextError> {
        let mut file = Self { settings: Vec::new(), sections: Vec::new(), lines: text.lines().count() };
        let mut at = 0;
        for (number, whole) in text.split_inclusive('\n').enumerate() {
            let part = Part { line: number + 1, text: whole.trim() };
            at += whole.len();
            match part.text.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
                Some(name) if whole.starts_with('[') => {
                    let rest = &text[at..];
                    let end =
                        if rest.starts_with('[') { Some(0) } else { rest.find("\n[").map(|end| end + 1) };
                    let body = Part { line: number + 2, text: &rest[..end.unwrap_or(rest.len())] };
                    enter(&mut file.sections, name, (part, body), &SECTIONS, "section")?;
                }
                _ if whole.starts_with('[') => {
                    return Err(part.wrong("a line that begins with [ must be a section such as [failed]"));
                }
                _ if file.sections.is_empty() && !part.text.is_empty() && !part.text.starts_with('#') => {
                    let (name, value) = part.text.split_once(':').ok_or_else(|| {
                        part.wrong("expected a setting such as `sender: Mail Delivery System`, or a section")
                    })?;
                    let value = Part { line: part.line, text: value.trim() };
                    enter(&mut file.settings, name.trim(), (part, value), &SETTINGS, "setting")?;
                }
                _ => {}
            }
        }
        Ok(file)
    }

    fn setting(&self, name: &str) -> Result<Part<'a>, TextError> {
        let found = self.settings.iter().find(|(known, _)| *known == name).map(|(_, part)| *part);
        found.ok_or_else(|| TextError {
            line: self.lines.max(1),
            what: format!("the setting `{name}:` is missing"),
        })
    }

    fn section(&self, name: &str) -> Result<Part<'a>, TextError> {
        let found = self.sections.iter().find(|(known, _)| *known == name).map(|(_, part)| trimmed(*part));
        found.ok_or_else(|| TextError {
            line: self.lines.max(1),
            what: format!("the section [{name}] is missing"),
        })
    }

    /// A section with a subject. What a report is about must stand in its text.
    fn words(&self, name: &str, known: &[Place]) -> Result<Words, TextError> {
        let section = self.section(name)?;
        let (subject, text) = section.text.split_once('\n').unwrap_or((section.text, ""));
        let subject = subject.trim().strip_prefix("subject:").map(str::trim).filter(|text| !text.is_empty());
        let subject = subject.ok_or_else(|| section.wrong(format!("[{name}] must begin with `subject:`")))?;
        let text = trimmed(Part { line: section.line + 1, text });
        let one_line: Vec<Place> =
            known.iter().copied().filter(|place| *place != Place::Recipients).collect();
        let words = Words {
            subject: Part { line: section.line, text: subject }.template(&one_line)?,
            text: text.template(known)?,
        };
        match known.first().filter(|place| !words.text.has(**place)) {
            Some(missing) => Err(text.wrong(format!("the text of [{name}] needs {{{}}}", missing.name()))),
            None => Ok(words),
        }
    }
}

/// Notes a setting or section, if it is known and new. `part` is where it stands, `value` what it holds.
fn enter<'a>(
    all: &mut Vec<(&'a str, Part<'a>)>,
    name: &'a str,
    (part, value): (Part<'a>, Part<'a>),
    known: &[&str],
    kind: &str,
) -> Result<(), TextError> {
    if !known.contains(&name) {
        let name = name.escape_debug();
        return Err(part.wrong(format!("unknown {kind} `{name}`; expected one of {}", known.join(", "))));
    }
    if all.iter().any(|(there, _)| *there == name) {
        return Err(part.wrong(format!("a second {kind} `{name}`")));
    }
    if value.text.trim().is_empty() {
        return Err(part.wrong(format!("the {kind} `{name}` is empty")));
    }
    all.push((name, value));
    Ok(())
}

/// Without the empty lines around it.
fn trimmed(part: Part<'_>) -> Part<'_> {
    let start = part.text.len() - part.text.trim_start().len();
    let before = part.text[..start].matches('\n').count();
    Part { line: part.line + before, text: part.text.trim() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = include_str!("texts/en.txt");

    fn line_of(text: &str) -> usize {
        ENGLISH.lines().position(|line| line.starts_with(text)).unwrap() + 1
    }

    #[test]
    fn every_flaw_is_said_with_its_line() {
        let cases = [
            (ENGLISH.replace("sender:", "sendr:"), line_of("sender:"), "unknown setting `sendr`"),
            (ENGLISH.replace("[failed]", "[faild]"), line_of("[failed]"), "unknown section `faild`"),
            (ENGLISH.replace("[delayed]", "[failed]"), line_of("[delayed]"), "a second section `failed`"),
            (ENGLISH.replace("sender: Mail Delivery System", "sender:"), line_of("sender:"), "is empty"),
            (ENGLISH.replace("{until}", "{untill}"), line_of("You need not"), "unknown placeholder {untill}"),
            (ENGLISH.replace("language: en", "language: en/us"), line_of("language:"), "a language tag"),
            (ENGLISH.replace("language: en\n", ""), ENGLISH.lines().count() - 1, "`language:` is missing"),
            (
                ENGLISH.replace("[summary]\n", "[summary]\nx\n"),
                line_of("[summary]") + 1,
                "must begin with `subject:`",
            ),
            (
                ENGLISH.replace("It waits for", "[x\nIt waits for"),
                line_of("It waits for"),
                "must be a section",
            ),
            (ENGLISH.replace("{count} more", "{conut} more"), line_of("more:"), "known here: {count}"),
        ];
        for (text, line, what) in cases {
            let error = Language::parse(&text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.what.contains(what), "{error}");
        }
        let bare = ENGLISH.replacen("{recipients}", "", 1);
        assert!(Language::parse(&bare).unwrap_err().what.contains("[failed] needs {recipients}"));
    }
}
