//! The power goes at every disk operation of a day in the life of a store, and again while it starts.

use std::collections::BTreeSet;

use iems_core::seam::{Random, SeededRandom};

use crate::engine::{Fault, OpenError};

use super::world::{Op, Step, Went, World};

/// Rows, bodies of all sizes, owners that come and go, checkpoints, compaction, recycled segments.
pub(super) fn a_day() -> Vec<Op> {
    let mut ops = Vec::new();
    for round in 0..5u8 {
        for number in [2, 6, 3, 5, 1] {
            ops.push(Op::Write(number));
            ops.push(Op::Commit(vec![Step::Link(number), Step::Put(number as u8, 500), Step::Number(0)]));
        }
        ops.push(Op::Commit(vec![Step::Link(2), Step::Unlink(6), Step::Delete(6), Step::Add(round, 1)]));
        ops.push(Op::Commit(vec![Step::Absent(2), Step::Put(9, 9)]));
        if round % 2 == 1 {
            let small = |key| Op::Commit(vec![Step::Put(key, 900), Step::Add(round, 1)]);
            ops.extend((20..32).map(small));
        }
        if round % 2 == 0 {
            ops.push(Op::Checkpoint);
        }
        ops.push(Op::Commit(vec![Step::Unlink(3), Step::Unlink(5), Step::Unlink(1)]));
        ops.push(Op::Checkpoint);
        ops.push(Op::Collect);
    }
    ops
}

/// Runs the day until something fails or it is over.
async fn live(world: &mut World) {
    for op in a_day() {
        if world.perform(&op).await == Went::Wrong {
            return;
        }
    }
}

fn in_runtime(run: impl AsyncFnOnce()) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run());
}

/// How many disk operations a day takes.
fn operations_of_a_day() -> u64 {
    let mut operations = 0;
    in_runtime(async || {
        let mut world = World::new();
        live(&mut world).await;
        operations = world.disk.operations();
        let stats = world.engine().stats();
        assert!(
            stats.segments_recycled > 0 && stats.bytes_moved > 0 && stats.bytes_filled > 0,
            "the day exercises too little: {stats:?}"
        );
    });
    operations
}

/// Cuts the power at operation `at` and checks what is left, and that life goes on.
async fn cut_at(at: u64, seed: u64, during_start: u64) {
    let mut world = World::new();
    world.disk.fail_after(at.saturating_sub(world.disk.operations()), u64::MAX, Fault::PowerCut);
    live(&mut world).await;
    world.cut(seed);
    // The power goes again while the store starts.
    world.disk.fail_after(during_start, u64::MAX, Fault::PowerCut);
    match world.open() {
        Ok(()) => world.cut(seed ^ 1),
        Err(OpenError::Io(_)) => world.disk.crash(seed ^ 1),
        Err(e) => panic!("the power went twice: {e}"),
    }
    world.open().unwrap_or_else(|e| panic!("after a crash at {at}, seed {seed}, then {during_start}: {e}"));
    world.check().await;
    world.perform(&Op::Commit(vec![Step::Put(1, 10), Step::Number(1)])).await;
    world.perform(&Op::Write(4)).await;
    world.perform(&Op::Commit(vec![Step::Link(4)])).await;
    world.perform(&Op::Checkpoint).await;
    world.perform(&Op::Collect).await;
    world.check().await;
    world.perform(&Op::Reopen).await;
}

/// Kills the process at operation `at`. What the next one finds and shows must survive a power cut, even
/// what the first one had written but not made durable.
async fn killed_at(at: u64, seed: u64) {
    let mut world = World::new();
    world.disk.fail_after(at.saturating_sub(world.disk.operations()), u64::MAX, Fault::PowerCut);
    live(&mut world).await;
    world.kill();
    world.open().unwrap_or_else(|e| panic!("after a kill at {at}: {e}"));
    world.check().await;
    world.crash(seed);
    world.check().await;
}

/// Every `stride`-th operation, beginning with `first`.
fn cut_everywhere(first: u64, stride: usize) {
    let random = SeededRandom::new(first);
    for at in (first..operations_of_a_day()).step_by(stride) {
        let (seed, during_start) = (random.next_u64(), random.next_u64() % 60);
        in_runtime(async || cut_at(at, seed, during_start).await);
    }
}

#[test]
fn power_cuts_lose_nothing_acknowledged_1() {
    cut_everywhere(0, 2);
}

#[test]
fn power_cuts_lose_nothing_acknowledged_2() {
    cut_everywhere(1, 2);
}

#[test]
fn what_a_killed_process_left_is_made_durable_before_it_is_shown() {
    for at in (0..operations_of_a_day()).step_by(3) {
        in_runtime(async || killed_at(at, at).await);
    }
}

#[test]
fn damage_before_the_end_is_refused_and_a_torn_end_is_not() {
    in_runtime(async || {
        let mut refused = BTreeSet::new();
        for at in (0..60_000).step_by(997) {
            let mut world = World::new();
            for number in [2, 3, 1, 4] {
                world.perform(&Op::Write(number)).await;
                world.perform(&Op::Commit(vec![Step::Link(number)])).await;
            }
            world.cut(0);
            assert!(world.disk.rot("log/00000001.seg", at), "there is such a byte");
            match world.open() {
                Err(OpenError::Corrupt(_)) => drop(refused.insert(at)),
                Ok(()) => {
                    // Only the last group may be taken for a torn one.
                    assert!(at > 23_000, "damage at {at} went unnoticed");
                }
                Err(e) => panic!("{e}"),
            }
        }
        assert!(refused.len() > 20, "damage was refused at {refused:?} only");
    });
}
