//! A personal judge: words that its owner does not want to read.
//!
//! Run it with `cargo run --bin personal_judge`. The judge finds, with what it knows of each account; what is done about it
//! is the owner's rule, so the same message goes to Ann's junk folder and to Ben's INBOX.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_core::Engine;
use iems_core::message::{CheckResult, Verdict};
use iems_core::preprocess::{Action, Rule};
use iems_core::seam::SystemClock;
use iems_core::storage::MemoryStorage;
use iems_examples::send;
use iems_store::agent::{LocalAgent, PersonalJudge, PersonalSubject};
use iems_store::directory::{DirectoryOptions, NewAccount, StoreDirectory};

/// The judge, and for each account the words that it was told.
struct Unwanted(HashMap<String, Vec<&'static str>>);

#[async_trait]
impl PersonalJudge for Unwanted {
    async fn inspect(&self, subject: &PersonalSubject<'_>) -> Vec<Verdict> {
        let Some(words) = self.0.get(&subject.account.mailbox.to_string()) else { return Vec::new() };
        // The structure was made once for all recipients; its first part is the message itself.
        let envelope = subject.structure.parts.first().and_then(|part| part.envelope.as_deref());
        let told = envelope.and_then(|envelope| envelope.subject.as_deref()).unwrap_or_default();
        let told = String::from_utf8_lossy(told).to_lowercase();
        let found: Vec<_> = words.iter().copied().filter(|word| told.contains(word)).collect();
        let result = if found.is_empty() { CheckResult::Pass } else { CheckResult::Fail };
        let (score, evidence) = (found.len() as f32, found.join(" "));
        vec![Verdict { check: "unwanted".into(), result, score, evidence }]
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let storage = MemoryStorage::new().storage();
    let directory = StoreDirectory::new(storage.clone(), Arc::new(SystemClock), DirectoryOptions::default());
    let directory = Arc::new(directory);
    directory.add_domain(&"here.example".parse()?, Default::default()).await?;
    for name in ["ann@here.example", "ben@here.example"] {
        directory.add_account(NewAccount::new(name.parse()?)).await?;
    }
    let rule = Rule {
        check: "unwanted".into(),
        results: vec![CheckResult::Fail],
        score: None,
        action: Action::Junk,
    };
    directory.update_account(&"ann@here.example".parse()?, |ann| ann.rules = vec![rule.clone()]).await?;

    let words = HashMap::from([("ann@here.example".to_owned(), vec!["lottery", "pills"])]);
    let agent = LocalAgent::new(directory.clone()).with_judge(Arc::new(Unwanted(words)));
    let engine =
        Engine::builder("here.example", storage, directory.clone()).agent(Arc::new(agent)).build()?;
    engine.start();

    let both = ["ann@here.example", "ben@here.example"];
    for subject in ["Lunch", "You won the LOTTERY"] {
        let message = format!("Subject: {subject}\r\n\r\nHello.\r\n");
        let receipt = send(&engine.intake(), "program", "carl@there.example", &both, &message).await?;
        if let Some(story) = engine.queue().explain(receipt.id).await? {
            println!("{story}");
        }
    }
    for name in both {
        let account = directory.account(&name.parse()?).await?.ok_or("no account")?;
        for folder in directory.mailboxes().list(account.id).await? {
            let status = directory.mailboxes().status(account.id, folder.id).await?;
            println!("{name} {}: {}", folder.path, status.messages);
        }
    }
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
