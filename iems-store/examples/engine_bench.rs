//! Measures the embedded engine: messages a second, CPU and bytes written, by concurrent committers.
//!
//! Each message is a body of 10 KiB and a batch that links it with three small rows; every fourth
//! commit later, the message is delivered: its rows and its link go. Run with `--release`, with a
//! folder on a real disk, seconds per step, and the numbers of committers as arguments.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iems_core::storage::{Batch, Storage};
use iems_store::engine::{Embedded, EmbeddedOptions};

const BODY: usize = 10 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: engine_bench FOLDER [SECONDS] [COMMITTERS...]")?;
    let seconds = arguments.next().unwrap_or("5".into()).parse()?;
    let mut counts: Vec<usize> = arguments.map(|count| count.parse()).collect::<Result<_, _>>()?;
    if counts.is_empty() {
        counts = vec![1, 16, 64, 256];
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("committers  msgs/s  commits/s  p50 ms  p99 ms  cpu ms/msg  log B/B  index B/B  group  syncs/s");
    for keep in [false, true] {
        println!("{}", if keep { "kept in a mailbox" } else { "delivered at once" });
        for count in &counts {
            let path = std::path::Path::new(&folder).join(format!("{keep}-{count}"));
            let engine = Embedded::open(&path, EmbeddedOptions::default())?;
            // Segments that are written over are what a server has after its first minutes.
            runtime.block_on(run(&engine, *count, Duration::from_secs(2), keep));
            let line = runtime.block_on(run(&engine, *count, Duration::from_secs(seconds), keep));
            println!("{line}");
            engine.close()?;
            std::fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

async fn run(engine: &Arc<Embedded>, count: usize, time: Duration, keep: bool) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (before, cpu, start) = (engine.stats(), cpu_seconds(), Instant::now());
    let deadline = start + time;
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let storage = engine.storage();
            tokio::spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < deadline {
                    let number = NEXT.fetch_add(1, Ordering::Relaxed);
                    let begun = Instant::now();
                    let body = accept(&storage, number).await;
                    took.push(begun.elapsed());
                    deliver(&storage, number, body, keep).await;
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap_or_default());
    }
    took.sort();
    let (after, wall) = (engine.stats(), start.elapsed().as_secs_f64());
    let messages = took.len() as f64;
    let percentile = |p: f64| took.get((messages * p) as usize).map_or(0.0, |t| t.as_secs_f64() * 1e3);
    let bodies = messages * BODY as f64;
    let commits = (after.commits - before.commits) as f64;
    format!(
        "{count:>10}  {:>6.0}  {:>9.0}  {:>6.2}  {:>6.2}  {:>10.4}  {:>7.2}  {:>9.3}  {:>5.1}  {:>7.0}",
        messages / wall,
        commits / wall,
        percentile(0.5),
        percentile(0.99),
        (cpu_seconds() - cpu) * 1e3 / messages,
        (after.log_bytes - before.log_bytes) as f64 / bodies,
        (after.index_bytes - before.index_bytes) as f64 / bodies,
        commits / (after.groups - before.groups).max(1) as f64,
        (after.syncs - before.syncs) as f64 / wall,
    )
}

async fn accept(storage: &Storage, number: u64) -> iems_core::storage::BlobId {
    let mut content = vec![b'x'; BODY];
    content[..8].copy_from_slice(&number.to_le_bytes());
    let mut writer = storage.blobs.create().await.expect("a writer");
    for piece in Bytes::from(content).chunks(4096) {
        writer.write(Bytes::copy_from_slice(piece)).await.expect("room");
    }
    let body = writer.finish().await.expect("room");
    let mut batch = Batch::new();
    batch.require_absent(&key(b"q/m/", number));
    batch.put(key(b"q/m/", number), vec![1; 400]);
    batch.put(key(b"q/r/", number), vec![2; 120]);
    batch.put(key(b"q/due/", number), b"");
    batch.link(body);
    storage.store.commit(batch).await.expect("a commit");
    body
}

/// The rows of the queue go; the body goes too, or stays in one of some mailboxes.
async fn deliver(storage: &Storage, number: u64, body: iems_core::storage::BlobId, keep: bool) {
    let mut batch = Batch::new();
    batch.require_present(&key(b"q/r/", number));
    batch.delete(&key(b"q/m/", number));
    batch.delete(&key(b"q/r/", number));
    batch.delete(&key(b"q/due/", number));
    if keep {
        let mailbox = key(b"box/", number % 100);
        let uid = batch.allocate(&[&mailbox[..], b"/uid"].concat(), 1);
        let row = iems_core::storage::Template::from([&mailbox[..], b"/m/"].concat()).number(uid, 0);
        batch.put(row, [&body.0[..], &[7; 300]].concat());
    } else {
        batch.unlink(body);
    }
    storage.store.commit(batch).await.expect("a commit");
}

fn key(prefix: &[u8], number: u64) -> Vec<u8> {
    [prefix, &number.to_be_bytes()].concat()
}

/// CPU seconds of this process, user and system.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
