//! A channel of one's own, both sides: messages are files in a folder.
//!
//! Run it with `cargo run --bin custom_channel`. A file laid into the folder `in` becomes a message; every message
//! leaves as a file in the folder `out`, below the name of its next hop. Both look alike, so that the one's `out`
//! can be the other's `in`:
//!
//! ```text
//! ann@here.example                     the sender; empty for a notification
//! ben@there.example carl@there.example the recipients
//!                                      an empty line, then the message
//! ```

mod input;
mod output;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iems_core::message::ChannelId;
use iems_core::route::{RouteTable, Via};
use iems_core::storage::MemoryStorage;
use iems_core::{Engine, Settings};
use iems_examples::FixedDirectory;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::create_dir_all(&inside)?;

    let mut settings = Settings::default();
    let by_folder = Via::Channel { channel: ChannelId::new("folder"), hop: None };
    settings.routes = RouteTable::new().with("*".parse()?, by_folder);
    let nobody = Arc::new(FixedDirectory::new());
    let engine = Engine::builder("switch.example", MemoryStorage::new().storage(), nobody)
        .input(Arc::new(input::FolderInput::new("folder-in", &inside)))
        .output(Arc::new(output::FolderOutput::new("folder", &outside)))
        .settings(settings)
        .build()?;
    engine.start();

    let message = "ann@here.example\nben@there.example\n\nSubject: by folder\r\n\r\nIt arrived.\r\n";
    std::fs::write(inside.join("one.tmp"), message)?;
    std::fs::rename(inside.join("one.tmp"), inside.join("one.mail"))?;

    let arrived = wait_for(&outside.join("there.example")).await?;
    println!("{arrived}");
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// The first message that appears in `folder`.
async fn wait_for(folder: &Path) -> Result<String, Box<dyn Error>> {
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        if let Some(file) = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "mail")) {
            return Ok(std::fs::read_to_string(file)?);
        }
    }
    Err("nothing arrived".into())
}
