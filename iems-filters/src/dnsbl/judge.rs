//! The judge itself: asks all lists at once, within one time limit, and writes down what they say.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use iems_core::message::{CheckResult, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::seam::{Clock, ResolveError, Resolver, Timestamp};

use super::answer::{Reading, read};
use super::query::{Query, is_judged, query};
use super::{List, Settings};
use crate::common::line;

/// The DNS-list judge.
///
/// At the reverse-path it gives one verdict for each list that has something to be asked about:
///
/// | the list | result | score |
/// |---|---|---|
/// | knows the peer, and its scores add up to more than zero | `fail` | the sum |
/// | knows the peer, and they add up to less than zero | `pass` | the sum |
/// | knows the peer, and they add up to zero | `neutral` | 0 |
/// | does not know it, or gave an answer that no list gives | `neutral` | 0 |
/// | refused the question, or did not answer in time | `temperror` | 0 |
///
/// ```
/// use std::sync::Arc;
/// use iems_core::preprocess::{Policy, Preprocessor, Rule, Scope};
/// use iems_core::seam::{NoResolver, SystemClock};
/// use iems_filters::dnsbl::{About, Dnsbl, List, Settings};
///
/// let mut settings = Settings::default();
/// settings.lists = vec![List::new("zen.example".parse()?, About::Address)?.score(5.0)];
/// let judge = Dnsbl::new(settings, Arc::new(NoResolver), Arc::new(SystemClock));
/// assert_eq!(judge.id(), "dnsbl");
///
/// // The judge finds; a policy decides.
/// let rule = Rule { check: "dnsbl/*".into(), results: vec![], score: Some(5.0), action: "refuse".parse()? };
/// let policy = Policy::new().rule(Scope::Site, rule);
/// # assert!(!policy.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Dnsbl {
    settings: Settings,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
}

impl Dnsbl {
    /// A judge that asks through `resolver` and measures its time by `clock`.
    pub fn new(settings: Settings, resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self { settings, resolver, clock }
    }

    /// What one list says, by `deadline` at the latest.
    async fn ask(&self, list: &List, query: Query, deadline: Timestamp) -> Verdict {
        let answer = tokio::select! {
            biased;
            answer = self.resolver.addresses(&query.name) => answer,
            () = self.clock.sleep_until(deadline) => Err(ResolveError::Temporary("it took too long".into())),
        };
        let from = format!("from {} for {}", list.zone(), query.about);
        let (result, score, evidence) = match answer.map(|answer| read(list, &answer.records)) {
            Ok(Reading::Listed { score, codes }) => {
                let reason = self.reason(&query.name, deadline).await;
                (side(score), score, format!("{codes} {from}{reason}"))
            }
            Ok(Reading::Meaningless(answers)) => {
                (CheckResult::Neutral, 0.0, format!("{answers} {from} means nothing"))
            }
            Ok(Reading::Refused(refusal)) => (CheckResult::TempError, 0.0, format!("{refusal} {from}")),
            Err(ResolveError::NoName | ResolveError::NoRecords) => {
                (CheckResult::Neutral, 0.0, format!("nothing {from}"))
            }
            Err(trouble) => {
                (CheckResult::TempError, 0.0, format!("no answer {from}: {}", line(&trouble.to_string())))
            }
        };
        Verdict { check: format!("dnsbl/{}", list.zone()), result, score, evidence }
    }

    /// Why the list says so, in its own words, if it tells in time.
    async fn reason(&self, name: &str, deadline: Timestamp) -> String {
        if !self.settings.reasons {
            return String::new();
        }
        let answer = tokio::select! {
            biased;
            answer = self.resolver.txt(name) => answer.ok(),
            () = self.clock.sleep_until(deadline) => None,
        };
        answer.and_then(|answer| Some(format!(": {}", line(answer.records.first()?)))).unwrap_or_default()
    }
}

#[async_trait]
impl Preprocessor for Dnsbl {
    fn id(&self) -> &str {
        &self.settings.name
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Mail]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        if !is_judged(subject, &self.settings) {
            return Findings::default();
        }
        let deadline = self.clock.now().after(self.settings.timeout);
        let mut questions = Vec::with_capacity(self.settings.lists.len());
        for list in &self.settings.lists {
            questions
                .extend(query(list, subject, &self.settings).map(|query| self.ask(list, query, deadline)));
        }
        let verdicts = stream::iter(questions).buffered(self.settings.parallel.max(1)).collect().await;
        Findings { verdicts, edits: Vec::new() }
    }
}

impl std::fmt::Debug for Dnsbl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dnsbl").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// For or against.
fn side(score: f32) -> CheckResult {
    match score {
        score if score > 0.0 => CheckResult::Fail,
        score if score < 0.0 => CheckResult::Pass,
        _ => CheckResult::Neutral,
    }
}
