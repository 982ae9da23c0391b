//! The device fails for a moment, at every operation: the engine recovers by itself.

use super::crash::a_day;
use super::world::{Op, World};
use crate::engine::Fault;

/// Runs a day during which `fault` strikes `times` from operation `at` on.
async fn survive(at: u64, times: u64, fault: Fault) {
    let mut world = World::new();
    world.disk.fail_after(at, times, fault);
    for op in a_day() {
        if world.perform(&op).await == super::world::Went::Wrong {
            if !matches!(op, Op::Write(_)) {
                world.disk.heal();
                world.insist(&Op::Checkpoint).await;
                world.check_unchanged().await;
            }
            redo(&mut world, &op).await;
        }
    }
    world.disk.heal();
    world.check_unchanged().await;
    world.crash(at);
    world.check_unchanged().await;
}

/// Does again what failed. A body that was finished may have been lost with the failed write.
async fn redo(world: &mut World, op: &Op) {
    world.disk.heal();
    if let Op::Commit(steps) = op {
        for step in steps {
            if let super::world::Step::Link(number) = step {
                world.insist(&Op::Write(*number)).await;
            }
        }
    }
    world.insist(op).await;
}

fn everywhere(first: u64, times: u64, fault: Fault) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for at in (first..960).step_by(13) {
        runtime.block_on(survive(at, times, fault));
    }
}

#[test]
fn a_device_that_fails_once_is_survived() {
    everywhere(3, 1, Fault::Io);
}

#[test]
fn a_device_that_fails_for_a_while_is_survived() {
    everywhere(5, 4, Fault::Io);
}

#[test]
fn a_full_disk_writes_nothing_and_is_survived() {
    everywhere(1, 3, Fault::NoSpace);
}
