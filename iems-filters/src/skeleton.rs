//! A small judge to copy: is there exactly one author field? (RFC 5322 section 3.6)
//!
//! On the path: `preprocess`, when the body has arrived. It reads the header section, bounded, and nothing
//! else. A new judge starts as this one file; once it knows more than a page, it becomes a folder:
//! `settings.rs` (what may be chosen), a file for its knowledge (pure), `judge.rs` (the only one that waits).

use async_trait::async_trait;
use iems_core::message::{CheckResult, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::storage::StoreError;

/// The settings: plain data, each default with its reason.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// How strongly a wrong number of `From` fields speaks against a message. Default 2: ordinary programs never
    /// send such a message, and it is used to show people another author than the one that was checked.
    pub score: f32,
    /// How much of the header section is read, in octets. Default 256 KiB; what is longer gets `permerror`.
    pub header: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { score: 2.0, header: 256 * 1024 }
    }
}

/// The judge: gives one verdict, `skeleton/from`.
#[derive(Debug, Default)]
pub struct Skeleton {
    settings: Settings,
}

impl Skeleton {
    /// A judge with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    async fn judge(&self, subject: &Subject<'_>) -> Result<Verdict, StoreError> {
        let Some((body, blobs)) = subject.body else {
            return Ok(verdict(CheckResult::Neutral, 0.0, "there is no body yet"));
        };
        if body.header_size > self.settings.header {
            return Ok(verdict(CheckResult::PermError, 0.0, "the header section is too long"));
        }
        let header = body.header(&**blobs, self.settings.header).await?;
        Ok(match authors(&header) {
            1 => verdict(CheckResult::Pass, 0.0, "one From field"),
            n => verdict(CheckResult::Fail, self.settings.score, &format!("{n} From fields")),
        })
    }
}

#[async_trait]
impl Preprocessor for Skeleton {
    fn id(&self) -> &str {
        "skeleton"
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Body]
    }

    /// Trouble is a verdict: a judge has no other way to fail.
    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let judged = self.judge(subject).await;
        let verdict = judged.unwrap_or_else(|e| verdict(CheckResult::TempError, 0.0, &e.to_string()));
        Findings { verdicts: vec![verdict], edits: Vec::new() }
    }
}

fn verdict(result: CheckResult, score: f32, evidence: &str) -> Verdict {
    Verdict { check: "skeleton/from".into(), result, score, evidence: evidence.into() }
}

/// How many `From` fields a header section has. Continuation lines begin with white space, so they
/// never look like one.
fn authors(header: &[u8]) -> usize {
    let name = |line: &[u8]| line.split(|b| *b == b':').next().unwrap_or_default().trim_ascii_end().to_vec();
    let fields = header.split(|b| *b == b'\n').filter(|line| line.contains(&b':'));
    fields.filter(|line| name(line).eq_ignore_ascii_case(b"From")).count()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use iems_core::message::{Body, ChannelId};
    use iems_core::receive::Connection;
    use iems_core::storage::{Blobs, MemoryStorage};

    use super::*;

    async fn stored(memory: &Arc<MemoryStorage>, message: &'static str) -> Body {
        let mut writer = memory.create().await.unwrap();
        writer.write(message.into()).await.unwrap();
        let header_size = message.find("\r\n\r\n").map_or(message.len(), |at| at + 4) as u64;
        let blob = writer.finish().await.unwrap();
        Body { prefix: Default::default(), blob, blob_size: message.len() as u64, header_size }
    }

    async fn judged(memory: &Arc<MemoryStorage>, body: &Body, settings: Settings) -> Verdict {
        let blobs: Arc<dyn Blobs> = memory.clone();
        let connection = Connection::new(ChannelId::new("smtp"), None);
        let subject = Subject {
            stage: Stage::Body,
            connection: &connection,
            envelope: None,
            recipients: &[],
            body: Some((body, &blobs)),
            verdicts: &[],
            trusted: false,
            ways: &[],
        };
        Skeleton::new(settings).inspect(&subject).await.verdicts.remove(0)
    }

    #[tokio::test]
    async fn one_author_field_and_only_one_passes() {
        let memory = MemoryStorage::new();
        for (message, result) in [
            ("From: a@b\r\nSubject: x\r\n\r\nFrom: c@d\r\n", CheckResult::Pass),
            ("FROM : a@b\r\nSubject: x\r\n From: folded\r\n\r\n", CheckResult::Pass),
            ("From: a@b\r\nfrom: c@d\r\n\r\n", CheckResult::Fail),
            ("X-From: a@b\r\nFrom\r\n\r\n", CheckResult::Fail),
        ] {
            let body = stored(&memory, message).await;
            assert_eq!(judged(&memory, &body, Settings::default()).await.result, result, "{message:?}");
        }
    }

    #[tokio::test]
    async fn trouble_and_excess_are_verdicts() {
        let memory = MemoryStorage::new();
        let body = stored(&memory, "From: a@b\r\n\r\n").await;
        let short = Settings { header: 5, ..Settings::default() };
        assert_eq!(judged(&memory, &body, short).await.result, CheckResult::PermError);
        memory.fail_after(0, StoreError::Io("gone".into()));
        assert_eq!(judged(&memory, &body, Settings::default()).await.result, CheckResult::TempError);
    }
}
