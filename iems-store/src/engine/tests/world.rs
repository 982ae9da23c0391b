//! An engine on a simulated disk beside a model of it, doing the same things.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use iems_core::seam::{Random, SeededRandom};
use iems_core::storage::{
    Batch, BlobId, CommitError, Committed, MemoryStorage, Scan, Storage, StoreError, Template, Write,
};

use crate::engine::{Embedded, EmbeddedOptions, OpenError, SimDisk};

/// Sizes of the bodies that exist: none, small, one piece, one byte more, several pieces.
const SIZES: [usize; 7] = [0, 10, 3000, 20_000, 65_536, 65_537, 150_000];

/// Something to do to both.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Commit(Vec<Step>),
    /// Writes the body with this number.
    Write(usize),
    Checkpoint,
    Collect,
    /// Ends the engine in good order and opens it again.
    Reopen,
    /// Cuts the power; what is left of unsynced writes depends on the number.
    Crash(u64),
}

/// A step of a batch.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Put(u8, u16),
    Delete(u8),
    Add(u8, i8),
    Number(u8),
    Link(usize),
    Unlink(usize),
    Absent(u8),
}

/// Both, and what is known about them.
pub(super) struct World {
    pub(super) disk: SimDisk,
    engine: Option<Arc<Embedded>>,
    model: Arc<MemoryStorage>,
    /// A batch whose outcome is unknown until the engine was opened again.
    open: Option<Batch>,
}

/// Everything that can be seen: rows, and bodies with owners.
#[derive(Debug, PartialEq, Eq, Default)]
struct Seen {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bodies that have owners.
    bodies: Vec<bool>,
}

/// Whether to go on.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Went {
    Well,
    /// The device failed: the outcome is unknown or nothing.
    Wrong,
}

pub(super) fn small() -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 128 << 10,
        spare_segments: 2,
        pending_bytes: 30_000,
        recent_bytes: 3_000,
        // Whoever commits small things after the first writes by himself, however slow this machine is.
        quick: Duration::from_secs(10),
        background: false,
        ..EmbeddedOptions::default()
    }
}

fn body(number: usize) -> &'static [u8] {
    &ALL[number].0
}

fn id(number: usize) -> BlobId {
    ALL[number].1
}

static ALL: LazyLock<Vec<(Vec<u8>, BlobId)>> = LazyLock::new(|| {
    let make = |(seed, size): (usize, &usize)| {
        let random = SeededRandom::new(seed as u64);
        let mut bytes: Vec<u8> =
            (0..size.div_ceil(8)).flat_map(|_| random.next_u64().to_le_bytes()).collect();
        bytes.truncate(*size);
        let id = BlobId(*blake3::hash(&bytes).as_bytes());
        (bytes, id)
    };
    SIZES.iter().enumerate().map(make).collect()
});

/// How many bodies there are.
pub(super) const BODIES: usize = SIZES.len();

impl World {
    pub(super) fn new() -> Self {
        let disk = SimDisk::new();
        let engine = Embedded::open_on(Arc::new(disk.clone()), small()).expect("an empty disk opens");
        Self { disk, engine: Some(engine), model: MemoryStorage::new(), open: None }
    }

    pub(super) fn engine(&self) -> &Arc<Embedded> {
        self.engine.as_ref().expect("the engine is open")
    }

    fn storage(&self) -> Storage {
        self.engine().storage()
    }

    /// Does `op` to both and compares what they say.
    pub(super) async fn perform(&mut self, op: &Op) -> Went {
        match op {
            Op::Commit(steps) => self.commit(batch(steps)).await,
            Op::Write(number) => self.write(*number).await,
            Op::Checkpoint => went(self.engine().checkpoint()),
            Op::Collect => {
                self.model.storage().blobs.collect().await.expect("memory collects");
                went(self.storage().blobs.collect().await)
            }
            Op::Reopen => {
                self.engine.take().expect("open").close().expect("a sound disk");
                self.open().expect("a sound disk");
                self.check().await;
                Went::Well
            }
            Op::Crash(seed) => {
                self.crash(*seed);
                self.check().await;
                Went::Well
            }
        }
    }

    async fn commit(&mut self, batch: Batch) -> Went {
        let said = self.storage().store.commit(batch.clone()).await;
        if matches!(&said, Err(CommitError::Store(StoreError::NoSpace(_)))) {
            return Went::Wrong;
        }
        if matches!(&said, Err(CommitError::Store(StoreError::Io(_) | StoreError::Closed))) {
            self.open = Some(batch);
            return Went::Wrong;
        }
        let expected = self.model.storage().store.commit(batch.clone()).await;
        assert_eq!(outcome(&said), outcome(&expected), "for {batch:?}");
        Went::Well
    }

    async fn write(&mut self, number: usize) -> Went {
        let written = write(&self.storage(), body(number)).await;
        if written.is_ok() {
            write(&self.model.storage(), body(number)).await.expect("memory writes");
        }
        went(written)
    }

    /// Cuts the power, and opens what is left.
    pub(super) fn crash(&mut self, seed: u64) {
        self.cut(seed);
        self.open().unwrap_or_else(|e| panic!("after a crash: {e}"));
    }

    /// Kills the process; the system lives.
    pub(super) fn kill(&mut self) {
        self.disk.fail_after(0, u64::MAX, crate::engine::Fault::PowerCut);
        self.engine = None;
        self.disk.kill();
    }

    /// Cuts the power only.
    pub(super) fn cut(&mut self, seed: u64) {
        // The engine is gone before the power: what it would still write at its end is lost.
        self.disk.fail_after(0, u64::MAX, crate::engine::Fault::PowerCut);
        self.engine = None;
        self.disk.crash(seed);
    }

    pub(super) fn open(&mut self) -> Result<(), OpenError> {
        self.engine = Some(Embedded::open_on(Arc::new(self.disk.clone()), small())?);
        self.model.restart();
        Ok(())
    }

    /// Compares all that can be seen. A batch of unknown outcome is whole or absent, and known from now on.
    pub(super) async fn check(&mut self) {
        let found = self.see(&self.storage()).await;
        let expected = self.see(&self.model.storage()).await;
        if found != expected
            && let Some(open) = self.open.take()
        {
            self.reserve_again(&open).await;
            let known = self.model.storage().store.commit(open).await;
            assert!(known.is_ok(), "the state changed for a batch that could not: {known:?}");
            let expected = self.see(&self.model.storage()).await;
            assert_eq!(found, expected, "the batch of unknown outcome took effect in part");
        } else {
            assert_eq!(found, expected, "what was acknowledged is not there");
        }
        self.open = None;
    }

    /// The bodies that the batch of unknown outcome links were reserved when it was committed.
    async fn reserve_again(&self, batch: &Batch) {
        for number in 0..BODIES {
            if batch.writes().iter().any(|step| matches!(step, Write::Link(linked) if *linked == id(number)))
            {
                write(&self.model.storage(), body(number)).await.expect("memory writes");
            }
        }
    }

    /// The same while the engine runs on: after a failure nothing of the batch may be seen.
    pub(super) async fn check_unchanged(&mut self) {
        self.open = None;
        self.check().await;
    }

    /// Performs `op` again until the device works.
    pub(super) async fn insist(&mut self, op: &Op) {
        for _ in 0..100 {
            if self.perform(op).await == Went::Well {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the engine does not recover: {op:?}");
    }

    async fn see(&self, storage: &Storage) -> Seen {
        let rows = storage.store.scan(Scan::prefix(b"", usize::MAX)).await.expect("rows can be read");
        let mut seen = Seen {
            rows: rows.into_iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect(),
            bodies: Vec::new(),
        };
        for number in 0..BODIES {
            let owned = seen.rows.contains_key(&owners_key(number));
            if owned {
                let read = storage.blobs.read(id(number), 0..u64::MAX).await.expect("an owned body");
                assert!(read == body(number), "body {number} came back changed");
            }
            seen.bodies.push(owned);
        }
        seen
    }
}

fn went<T>(result: Result<T, StoreError>) -> Went {
    match result {
        Ok(_) => Went::Well,
        Err(e) => {
            assert!(!matches!(e, StoreError::Corrupt(_)), "{e}");
            Went::Wrong
        }
    }
}

async fn write(storage: &Storage, body: &[u8]) -> Result<BlobId, StoreError> {
    let mut writer = storage.blobs.create().await?;
    for piece in body.chunks(30_000) {
        writer.write(piece.to_vec().into()).await?;
    }
    writer.finish().await
}

/// What a commit said, as far as both must agree.
fn outcome(result: &Result<Committed, CommitError>) -> String {
    match result {
        Ok(committed) => format!("{:?}", committed.firsts),
        Err(e) => e.to_string(),
    }
}

fn owners_key(number: usize) -> Vec<u8> {
    format!("owners/{number}").into_bytes()
}

/// The batch of some steps. It counts the owners of bodies in rows of its own.
pub(super) fn batch(steps: &[Step]) -> Batch {
    let mut batch = Batch::new();
    for step in steps {
        match step {
            Step::Put(key, length) => batch.put(vec![b'k', *key], vec![*key; usize::from(*length)]),
            Step::Delete(key) => batch.delete(&[b'k', *key]),
            Step::Add(key, by) => batch.add(&[b'c', *key], i64::from(*by)),
            Step::Number(key) => {
                let number = batch.allocate(&[b'n', *key], 2);
                batch.put(Template::from(b"m/").number(number, 1), Template::default().number(number, 0));
            }
            Step::Link(number) => {
                batch.link(id(*number));
                batch.add(&owners_key(*number), 1);
            }
            Step::Unlink(number) => {
                batch.unlink(id(*number));
                batch.add(&owners_key(*number), -1);
            }
            Step::Absent(key) => batch.require_absent(&[b'k', *key]),
        }
    }
    batch
}
