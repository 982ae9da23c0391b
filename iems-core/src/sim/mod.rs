//! Sim: a test kit. A whole world around an engine, from one seed: time, names, far systems, storage with faults,
//! crashes, an operator; and rules that are checked after every step.
//!
//! Behind the feature `sim`, for tests only. The parts ([`SimClock`], [`SimStorage`], [`SimPeers`], [`SimBoxes`], [`SimResolver`])
//! serve whoever tests an engine with channels and agents of their own; [`simulate`] puts them together. Everything stands on
//! the public contracts of this crate. `docs/simulation.md` tells the whole.
//!
//! A simulation runs on one thread with tokio's paused time, so a seed repeats its run.

mod boxes;
mod channel;
mod clock;
mod dice;
mod ledger;
mod letter;
mod life;
mod manner;
mod names;
mod peers;
mod plan;
mod report;
mod resolver;
mod rules;
mod seen;
mod storage;
mod world;

pub use boxes::{BoxManners, Delivered, SimBoxes};
pub use channel::{Links, SimChannel};
pub use clock::SimClock;
pub use dice::Dice;
pub use life::Life;
pub use manner::{Manner, Mood};
pub use names::SimDirectory;
pub use peers::{Answer, Contact, SimPeers, Step};
pub use plan::Plan;
pub use report::{Day, Report, Tally, Violation};
pub use resolver::{NameTrouble, SimResolver};
pub use seen::{Seen, Told, digest, letter};
pub use storage::{Fault, SimStorage};

/// Plays the world of `seed` as `plan` says, to its end or to the first rule that is broken.
///
/// Builds a runtime of its own: call it from a thread that is not inside of one.
///
/// # Errors
/// That of the operating system, if the runtime cannot be built.
pub fn simulate(seed: u64, plan: &Plan) -> std::io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(async { world::World::new(seed, plan.clone()).run().await }))
}
