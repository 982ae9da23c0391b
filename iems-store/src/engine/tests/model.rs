//! Random operations, with restarts and power cuts, against the model.

use proptest::prelude::*;

use super::world::{BODIES, Op, Step, World};

fn step() -> impl Strategy<Value = Step> {
    let key = 0..6u8;
    prop_oneof![
        4 => (key.clone(), 0..2000u16).prop_map(|(key, length)| Step::Put(key, length)),
        2 => key.clone().prop_map(Step::Delete),
        2 => (key.clone(), -2..3i8).prop_map(|(key, by)| Step::Add(key, by)),
        2 => (0..2u8).prop_map(Step::Number),
        4 => (0..BODIES).prop_map(Step::Link),
        3 => (0..BODIES).prop_map(Step::Unlink),
        1 => key.prop_map(Step::Absent),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => prop::collection::vec(step(), 0..4).prop_map(Op::Commit),
        8 => (0..BODIES).prop_map(Op::Write),
        2 => Just(Op::Checkpoint),
        2 => Just(Op::Collect),
        1 => Just(Op::Reopen),
        1 => any::<u64>().prop_map(Op::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_the_model_does(ops in prop::collection::vec(op(), 1..60), seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for op in &ops {
                world.perform(op).await;
            }
            world.check().await;
            world.perform(&Op::Crash(seed)).await;
        });
    }
}
