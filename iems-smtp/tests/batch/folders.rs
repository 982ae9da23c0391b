//! Batches that lie in folders: carried out once, reported about, packed, collected, cut off.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use iems_core::message::ChannelId;
use iems_core::route::{RouteTable, Via};
use iems_core::seam::{Random, SeededRandom, SystemClock};
use iems_core::storage::MemoryStorage;
use iems_core::{Engine, Settings};
use iems_smtp::batch::{BatchChannel, FolderIn, FolderInSettings, Inflate, Spool, SpoolSettings};
use tempfile::TempDir;

use crate::support::{Boxes, builder, message, wait};

fn random() -> Arc<dyn Random> {
    Arc::new(SeededRandom::unpredictable())
}

/// An engine that takes batches from `folder`.
fn taking(
    memory: &Arc<MemoryStorage>,
    boxes: &Arc<Boxes>,
    folder: &Path,
    change: impl Fn(&mut FolderInSettings),
) -> Engine {
    let mut settings = FolderInSettings::new("uucp", folder.to_owned());
    (settings.interval, settings.retry) = (Duration::from_millis(20), Duration::from_millis(50));
    change(&mut settings);
    let clock = Arc::new(SystemClock);
    let from = FolderIn::new(settings, ChannelId::new("batch"), clock.clone(), random());
    let channel = BatchChannel::new(clock).with_folder_in(from);
    let engine = builder(memory.storage(), boxes).input(Arc::new(channel)).build().unwrap();
    engine.start();
    engine
}

fn lay(folder: &Path, name: &str, octets: &[u8]) {
    let draft = folder.join(format!(".{name}"));
    std::fs::write(&draft, octets).unwrap();
    std::fs::rename(draft, folder.join(name)).unwrap();
}

/// The answers to the batch called `name`, once it is in `place`.
async fn answers(folder: &Path, place: &str, name: &str) -> String {
    let place = folder.join(place);
    wait(&format!("{name} in {}", place.display()), || {
        let names: Vec<String> = std::fs::read_dir(&place)
            .ok()?
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|found| !found.starts_with('.') && found.contains(name))
            .collect();
        let answers = names.iter().find(|found| found.ends_with(".answers"))?;
        (names.len() == 2).then(|| std::fs::read_to_string(place.join(answers)).unwrap())
    })
    .await
}

#[tokio::test]
async fn a_batch_is_carried_out_and_senders_are_told_what_a_reply_would_have_said() {
    let (dir, memory, boxes) = (TempDir::new().unwrap(), MemoryStorage::new(), Boxes::new());
    let engine = taking(&memory, &boxes, dir.path(), |settings| {
        settings.terms.domains = vec!["here.example".parse().unwrap()];
    });
    let good = message("x@far.example", &["ann@here.example", "ben@here.example"], "one");
    let mixed =
        message("ben@here.example", &["ann@here.example", "nobody@here.example", "z@far.example"], "two");
    let none = message("ben@here.example", &["nobody@here.example"], "three");
    lay(dir.path(), "good.bsmtp", good.as_bytes());
    let text = answers(dir.path(), "done", "good.bsmtp").await;
    assert!(text.starts_with("line 1: 250 2.1.0") && text.contains("1 messages taken\n"), "{text}");
    assert_eq!(boxes.of("ann").len(), 1);
    assert!(boxes.of("ben")[0].ends_with("Subject: one\r\n\r\n.text\r\n"));
    lay(dir.path(), "mixed.bsmtp", format!("HELO x\r\n{mixed}{none}QUIT\r\n").as_bytes());
    let text = answers(dir.path(), "failed", "mixed.bsmtp").await;
    assert!(text.contains("line 4: 550 5.1.1") && text.contains("line 5: 550 5.7.1"), "{text}");
    assert!(text.contains("1 messages taken; 3 recipients refused"), "{text}");
    assert_eq!(boxes.of("ann").len(), 2);
    let reports = wait("the reports", || Some(boxes.of("ben")).filter(|all| all.len() == 3)).await;
    assert!(
        reports[1].contains("nobody@here.example") && reports[1].contains("z@far.example"),
        "{}",
        reports[1]
    );
    assert!(reports[2].contains("Subject: three"), "{}", reports[2]);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_cannot_be_taken_now_waits_alone_and_nothing_is_taken_twice() {
    let (dir, memory, boxes) = (TempDir::new().unwrap(), MemoryStorage::new(), Boxes::new());
    let engine = taking(&memory, &boxes, dir.path(), |_| {});
    let batch =
        ["ann", "full", "ben"].map(|to| message("x@far.example", &[&format!("{to}@here.example")], to));
    lay(dir.path(), "b.bsmtp", batch.concat().as_bytes());
    wait("ben's message", || boxes.of("ben").pop()).await;
    // A crash: whatever runs is dropped. The batch is in `work`, and is carried out again.
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(engine);
    boxes.full.store(false, Ordering::SeqCst);
    let engine = taking(&memory, &boxes, dir.path(), |_| {});
    let text = answers(dir.path(), "done", "b.bsmtp").await;
    assert!(text.contains("1 messages taken, 2 taken before"), "{text}");
    for name in ["ann", "full", "ben"] {
        assert_eq!(boxes.of(name).len(), 1, "{name}");
    }
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_waits_for_too_long_is_refused_and_told() {
    let (dir, memory, boxes) = (TempDir::new().unwrap(), MemoryStorage::new(), Boxes::new());
    let engine = taking(&memory, &boxes, dir.path(), |settings| settings.expire = Duration::from_millis(200));
    lay(dir.path(), "b.bsmtp", message("ben@here.example", &["full@here.example"], "s").as_bytes());
    let text = answers(dir.path(), "failed", "b.bsmtp").await;
    assert!(text.contains("452 4.2.2"), "{text}");
    let report = wait("the report", || boxes.of("ben").pop()).await;
    assert!(report.contains("full@here.example") && report.contains("Action: failed"), "{report}");
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn errors_bombs_and_strange_files_end_in_failed_or_are_left_alone() {
    let (dir, memory, boxes) = (TempDir::new().unwrap(), MemoryStorage::new(), Boxes::new());
    let one = message("x@far.example", &["ann@here.example"], "one");
    let pack = |octets: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(octets).unwrap();
        encoder.finish().unwrap()
    };
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link.bsmtp")).unwrap();
    std::fs::write(dir.path().join("other.txt"), &one).unwrap();
    let bomb = pack(&[one.as_bytes(), &vec![b'x'; 64 << 20]].concat());
    for (name, octets, told) in [
        ("broken.bsmtp", format!("{one}JUNK\r\n{one}").into_bytes(), "line 8: 500 5.5.1"),
        ("cut.bsmtp.gz", pack(one.as_bytes())[..60].to_vec(), "554 5.6.0 the packed batch is damaged"),
        ("bomb.bsmtp.gz", bomb, "554 5.6.0 the packed batch grows to more than 200 times its size"),
        ("mixed.bsmtp", one.replacen("..text\r\n", "..text\n.\n", 1).into_bytes(), "550 5.5.2"),
    ] {
        lay(dir.path(), name, &octets);
        let engine = taking(&memory, &boxes, dir.path(), |_| {});
        let text = answers(dir.path(), "failed", name).await;
        assert!(text.contains(told), "{name}: {text}");
        engine.shutdown(Duration::from_secs(5)).await;
    }
    // What stood before the error was taken.
    assert_eq!(boxes.of("ann").len(), 1, "{:?}", boxes.of("ann"));
    lay(dir.path(), "packed.bsmtp.gz", &pack(one.as_bytes()));
    let engine = taking(&memory, &boxes, dir.path(), |_| {});
    answers(dir.path(), "done", "packed.bsmtp.gz").await;
    assert_eq!(boxes.of("ann").len(), 2);
    assert!(dir.path().join("link.bsmtp").is_symlink() && dir.path().join("other.txt").exists());
    engine.shutdown(Duration::from_secs(5)).await;
}

/// An engine whose mail for everybody else goes into a folder of batches.
fn collecting(memory: &Arc<MemoryStorage>, boxes: &Arc<Boxes>, settings: SpoolSettings) -> Engine {
    let clock = Arc::new(SystemClock);
    let spool = Spool::new(settings, clock.clone(), random());
    let channel = Arc::new(BatchChannel::new(clock).with_folder_out("branch", Arc::new(spool)));
    let mut routes = Settings::default();
    let via = Via::Channel {
        channel: ChannelId::new("batch"),
        hop: Some(iems_core::message::NextHop::new("branch")),
    };
    routes.routes = RouteTable::new().with("*".parse().unwrap(), via);
    let engine = builder(memory.storage(), boxes)
        .input(channel.clone())
        .output(channel)
        .settings(routes)
        .build()
        .unwrap();
    engine.start();
    engine
}

fn files(folder: &Path, ending: &str) -> Vec<String> {
    let names = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}

async fn send(engine: &Engine, to: &str, subject: &str) {
    use iems_core::message::Envelope;
    use iems_core::receive::Connection;
    let mut session = engine.intake().open(Connection::new(ChannelId::new("x"), None)).await.unwrap();
    let sender = "<ben@here.example>".parse().unwrap();
    let mut transaction = session.begin(Envelope::new(sender), 0).await.unwrap();
    transaction.recipient(format!("<{to}>").parse().unwrap(), None, None).await.unwrap();
    transaction.write(format!("Subject: {subject}\r\n\r\n.x\r\n").into()).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn idle(engine: &Engine) {
    for _ in 0..1000 {
        if engine.queue().page(&Default::default(), None, 10).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the queue does not get empty");
}

#[tokio::test]
async fn messages_are_collected_and_what_a_crash_left_half_is_cut_off() {
    for gzip in [false, true] {
        let (dir, memory, boxes) = (TempDir::new().unwrap(), MemoryStorage::new(), Boxes::new());
        let mut settings = SpoolSettings::new("branch", dir.path().to_owned(), "mx.here.example");
        (settings.gzip, settings.messages, settings.age) = (gzip, 3, Duration::from_secs(3600));
        let ending = if gzip { ".bsmtp.gz" } else { ".bsmtp" };
        let engine = collecting(&memory, &boxes, settings.clone());
        for n in 0..4 {
            send(&engine, "z@far.example", &format!("n{n}")).await;
            idle(&engine).await;
        }
        let whole = files(dir.path(), ending);
        assert_eq!((whole.len(), files(dir.path(), ".open").len()), (1, 1));
        drop(engine);
        // The crash came in the middle of a fifth message.
        let open = dir.path().join(&files(dir.path(), ".open")[0]);
        let before = std::fs::read(&open).unwrap();
        let half = if gzip {
            before[..before.len() / 2].to_vec()
        } else {
            b"MAIL FROM:<>\r\nRCPT TO:<q@r.ex".to_vec()
        };
        std::fs::write(&open, [&before[..], &half].concat()).unwrap();
        let engine = collecting(&memory, &boxes, settings);
        wait("the cut batch", || (files(dir.path(), ending).len() == 2).then_some(())).await;
        assert!(files(dir.path(), ".open").is_empty());
        // What was written is what another site reads.
        let other = MemoryStorage::new();
        let there = TempDir::new().unwrap();
        for name in files(dir.path(), ending) {
            let packed = std::fs::read(dir.path().join(&name)).unwrap();
            let (mut inflate, mut text) = (Inflate::new(1 << 20), Vec::new());
            inflate.push(&packed, &mut |octets| text.extend_from_slice(&octets)).unwrap();
            inflate.finish(&mut |octets| text.extend_from_slice(&octets)).unwrap();
            let text = String::from_utf8(text).unwrap().replace("z@far.example", "ann@here.example");
            lay(there.path(), name.trim_end_matches(".gz"), text.as_bytes());
        }
        let reader = taking(&other, &boxes, there.path(), |_| {});
        let got = wait("all messages", || Some(boxes.of("ann")).filter(|all| all.len() == 4)).await;
        for n in 0..4 {
            let subject = format!("Subject: n{n}\r\n\r\n.x\r\n");
            assert_eq!(got.iter().filter(|text| text.ends_with(&subject)).count(), 1, "{got:?}");
        }
        reader.shutdown(Duration::from_secs(5)).await;
        engine.shutdown(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_batch_is_whole_when_it_is_old_and_when_the_engine_stops() {
    let (dir, memory, boxes) = (TempDir::new().unwrap(), MemoryStorage::new(), Boxes::new());
    let mut settings = SpoolSettings::new("branch", dir.path().to_owned(), "mx.here.example");
    settings.age = Duration::from_millis(1);
    let engine = collecting(&memory, &boxes, settings.clone());
    send(&engine, "z@far.example", "old").await;
    wait("the old batch", || (files(dir.path(), ".bsmtp").len() == 1).then_some(())).await;
    engine.shutdown(Duration::from_secs(5)).await;
    settings.age = Duration::from_secs(3600);
    let engine = collecting(&memory, &boxes, settings);
    send(&engine, "z@far.example", "stop").await;
    idle(&engine).await;
    engine.shutdown(Duration::from_secs(5)).await;
    assert_eq!(files(dir.path(), ".bsmtp").len(), 2);
    assert!(files(dir.path(), ".open").is_empty());
}
