//! A short run of every target over mutated seeds: the same octets each time, so a failure repeats.

use std::panic::catch_unwind;

use iems_fuzz::{Mutator, TARGETS};

/// Octets per target; a second or two in a debug build.
const RUNS: u64 = 20_000;

#[test]
fn no_octets_break_a_promise() {
    for target in TARGETS {
        target.seeds.iter().for_each(|seed| (target.run)(seed));
        let mutator = Mutator::new(1);
        for number in 0..RUNS / target.cost {
            let octets = mutator.next(target.seeds);
            let (run, given) = (target.run, octets.clone());
            if catch_unwind(move || run(&given)).is_err() {
                panic!("{} broke at run {number} with \"{}\"", target.name, octets.escape_ascii());
            }
        }
    }
}
