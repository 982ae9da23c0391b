//! `[reports]` and `[[report_language]]`: who is told, how, and in which language. Texts of one's own are read and checked
//! with the configuration, so that a report that is due never meets a text that cannot be filled.

use std::path::Path;

use iems_core::report::{DoubleBounces, Language, Reports, Texts};
use toml::Spanned;
use toml::de::DeValue;

use super::problem::{Notes, nearest};
use super::read::{At, FromToml, mismatch};
use super::resolve::need;
use super::written::File;

/// Reads a file of texts; `None` where files are not looked at. The error is for people.
pub(super) type ReadTexts = fn(&Path) -> Result<Option<String>, String>;

/// The largest file of texts, keys or certificates, in octets.
const LARGEST: u64 = 1024 * 1024;

/// Reads it from the file system.
pub(super) fn read_texts(file: &Path) -> Result<Option<String>, String> {
    let size = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
    match size > LARGEST {
        true => Err(format!("it has {size} octets; no more than {LARGEST} are read")),
        false => std::fs::read_to_string(file).map(Some).map_err(|e| e.to_string()),
    }
}

/// What the sections mean.
pub(super) fn resolve(file: &File, folder: &Path, read: ReadTexts, notes: &mut Notes<'_>) -> Reports {
    let written = &file.reports;
    let mut reports = Reports::default();
    reports.double_bounces = written.double_bounces.value.clone();
    reports.double_bounce_rate = written.double_bounce_rate.value;
    reports.return_message = written.return_message.0;
    reports.return_header = written.return_header.0;
    reports.spam_expire = written.spam_expire.value;
    reports.language = written.language.value.clone();
    let all_read = texts(&mut reports, &written.texts, folder, read, notes);
    languages(&mut reports, file, notes);
    if all_read {
        let of_domains = file.report_language.iter().filter_map(|entry| entry.language.as_ref());
        let of_domains = of_domains.map(|tag| (tag, "report_language.language"));
        for (tag, key) in of_domains.chain([(&written.language, "reports.language")]) {
            known(&reports.texts, tag, key, notes);
        }
    }
    reports
}

/// Adds the texts of all files; says whether all could be read.
fn texts(
    reports: &mut Reports,
    files: &[At<String>],
    folder: &Path,
    read: ReadTexts,
    notes: &mut Notes<'_>,
) -> bool {
    let mut all_read = true;
    for file in files {
        match language(&folder.join(&file.value), read) {
            Ok(Some(language)) => reports.texts = std::mem::take(&mut reports.texts).with(language),
            Ok(None) => all_read = false,
            Err(why) => {
                all_read = false;
                notes.add(file.span.as_ref(), "reports.texts", format!("reports.texts: {why}"));
            }
        }
    }
    all_read
}

fn language(file: &Path, read: ReadTexts) -> Result<Option<Language>, String> {
    let shown = file.display();
    let Some(text) = read(file).map_err(|why| format!("{shown}: {why}"))? else { return Ok(None) };
    let language = Language::parse(&text);
    language.map(Some).map_err(|error| format!("{shown}:{}: {}", error.line, error.what))
}

fn languages(reports: &mut Reports, file: &File, notes: &mut Notes<'_>) {
    const SECTION: &str = "report_language";
    for entry in file.report_language.iter() {
        let domain = need(entry.domain.clone(), "domain", SECTION, &entry.span, notes);
        let tag = need(entry.language.clone(), "language", SECTION, &entry.span, notes);
        reports.languages.extend(domain.zip(tag));
    }
}

/// Notes that there are no texts in a language.
fn known(texts: &Texts, tag: &At<String>, key: &str, notes: &mut Notes<'_>) {
    if texts.get(&tag.value).is_none() {
        let tags: Vec<&str> = texts.tags().collect();
        let near = nearest(&tag.value, &tags).unwrap_or_default();
        let (found, all) = (&tag.value, tags.join(", "));
        let message =
            format!("{key}: there are no texts in {found:?}: did you mean {near:?}? There are: {all}");
        notes.add(tag.span.as_ref(), key, message);
    }
}

impl FromToml for DoubleBounces {
    const EXPECTED: &'static str = "\"postmaster\", \"nobody\" or an address such as \"ann@example.org\"";

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some("postmaster") => return Some(Self::Postmaster),
            Some("nobody") => return Some(Self::Nobody),
            Some(text) => {
                if let Ok(mailbox) = text.parse() {
                    return Some(Self::To(mailbox));
                }
            }
            None => {}
        }
        mismatch::<Self>(value, key, notes);
        None
    }
}
