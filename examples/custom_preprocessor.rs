//! A judge of one's own: does the subject shout?
//!
//! Run it with `cargo run --bin custom_preprocessor`. The judge only finds; what it means is in the policy: one degree of
//! shouting is marked, two are refused. The channel action matrix keeps the judge away from what our own programs
//! send. At the end the engine explains one of its decisions.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_core::message::{CheckResult, Verdict};
use iems_core::preprocess::{
    Action, Cell, Edit, Findings, Matrix, Policy, Preprocessor, Rule, Scope, Stage, Subject,
};
use iems_core::storage::{MemoryStorage, StoreError};
use iems_core::{Engine, Settings};
use iems_examples::{FixedDirectory, Shelf, send};

/// How much of a header section is read, in octets.
const HEADER: u64 = 64 * 1024;

/// The judge.
struct Shouting;

impl Shouting {
    async fn subject(&self, subject: &Subject<'_>) -> Result<String, StoreError> {
        let Some((body, blobs)) = subject.body else { return Ok(String::new()) };
        let header = String::from_utf8_lossy(&body.header(&**blobs, HEADER).await?).into_owned();
        let field = header.lines().find_map(|line| line.strip_prefix("Subject:")).unwrap_or_default();
        Ok(field.trim().to_owned())
    }
}

#[async_trait]
impl Preprocessor for Shouting {
    fn id(&self) -> &str {
        "shouting"
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Body]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let (result, score, evidence) = match self.subject(subject).await {
            Ok(words) => match degree(&words) {
                0 => (CheckResult::Pass, 0.0, words),
                degree => (CheckResult::Fail, degree as f32, words),
            },
            Err(trouble) => (CheckResult::TempError, 0.0, trouble.to_string()),
        };
        let mark = Edit::Prepend { name: "X-Shouting".into(), value: format!("{score}") };
        Findings {
            verdicts: vec![Verdict { check: "shouting".into(), result, score, evidence }],
            edits: if score > 0.0 { vec![mark] } else { Vec::new() },
        }
    }
}

/// Capitals are one degree, exclamation marks behind them another.
fn degree(words: &str) -> usize {
    let capitals = words.chars().any(char::is_alphabetic) && words.to_uppercase() == words;
    usize::from(capitals) + usize::from(capitals && words.ends_with("!!!"))
}

fn rule(score: f32, action: Action) -> Rule {
    Rule { check: "shouting".into(), results: vec![CheckResult::Fail], score: Some(score), action }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = FixedDirectory::new().with("ann@here.example".parse()?, "shelf", Policy::new());
    let storage = MemoryStorage::new().storage();
    let mut settings = Settings::default();
    settings.policy =
        Policy::new().rule(Scope::Site, rule(2.0, Action::Refuse)).rule(Scope::Site, rule(1.0, Action::Tag));
    let engine = Engine::builder("here.example", storage.clone(), Arc::new(directory))
        .agent(Arc::new(Shelf::new("shelf")))
        .preprocessor(Arc::new(Shouting), Matrix::everywhere().cell("program", "*", Cell::Skip))
        .settings(settings)
        .build()?;
    engine.start();

    let write = async |channel: &str, subject: &str| {
        let message = format!("Subject: {subject}\r\n\r\nHello.\r\n");
        send(&engine.intake(), channel, "ben@there.example", &["ann@here.example"], &message).await
    };
    println!("from a program: {:?}", write("program", "BUY NOW!!!").await.map(|_| "accepted"));
    let refused = write("web", "BUY NOW!!!").await.err().ok_or("it should have been refused")?;
    println!("from the web: {refused}");
    let marked = write("web", "BUY NOW").await?;
    if let Some(story) = engine.queue().explain(marked.id).await? {
        println!("{story}");
    }
    let shelf = Shelf::read(&storage, &"ann@here.example".parse()?).await?;
    let marks = shelf.iter().filter(|message| message.starts_with("X-Shouting: 1\r\n")).count();
    println!("Ann has {} messages, {marks} of them marked", shelf.len());
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
