//! `[reports]` and `[[report_language]]`: who is told, how, and in which language. Texts of one's own are read and checked
//! with the configuration, so that a report that is due never meets a text that cannot be filled.

use std::path::Path;
use std::time::Duration;

use iems_core::report::{DoubleBounces, Language, Reports, Texts};
use iems_core::route::Pattern;
use toml::Spanned;
use toml::de::DeValue;

use super::files::ReadTexts;
use super::leaf::Size;
use super::problem::{Notes, nearest};
use super::read::{At, FromToml, mismatch, need, section};

section! {
    /// Reports.
    WrittenReports {
        /// Who hears of messages without a sender that fail.
        double_bounces: DoubleBounces = r#""postmaster""#;
        /// How many of them are told one by one within an hour.
        double_bounce_rate: u32 = "10";
        /// The largest message that is returned whole.
        return_message: Size = r#""64KiB""#;
        /// The most of a header section that is returned.
        return_header: Size = r#""16KiB""#;
        /// How long a report about spam is tried.
        spam_expire: Duration = r#""4h""#;
        /// The language of reports.
        language: String = r#""en""#;
        /// Files with texts of one's own.
        texts: Vec<At<String>> = "[]";
    }

    /// A language for the readers at a domain.
    WrittenReportLanguage {
        /// For which domains.
        domain: Pattern;
        /// The language.
        language: String;
    }
}

/// What the sections mean.
pub(super) fn resolve(
    (written, by_domain): (&WrittenReports, &[At<WrittenReportLanguage>]),
    folder: &Path,
    read: ReadTexts,
    notes: &mut Notes<'_>,
) -> Reports {
    let mut reports = Reports::default();
    reports.double_bounces = written.double_bounces.value.clone();
    reports.double_bounce_rate = written.double_bounce_rate.value;
    reports.return_message = written.return_message.0;
    reports.return_header = written.return_header.0;
    reports.spam_expire = written.spam_expire.value;
    reports.language = written.language.value.clone();
    let all_read = texts(&mut reports, &written.texts, folder, read, notes);
    languages(&mut reports, by_domain, notes);
    if all_read {
        let of_domains = by_domain.iter().filter_map(|entry| entry.language.as_ref());
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

fn languages(reports: &mut Reports, by_domain: &[At<WrittenReportLanguage>], notes: &mut Notes<'_>) {
    const SECTION: &str = "report_language";
    for entry in by_domain {
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
