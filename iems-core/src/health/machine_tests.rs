//! The latches by themselves: each one closes and opens as its row says, none for ever, none too early.

use proptest::prelude::*;

use super::*;

const SLOW: Duration = Duration::from_secs(5);
const QUICK_ONE: Duration = Duration::from_millis(3);
const MIB: u64 = 1 << 20;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + millis)
}

fn broken() -> StoreError {
    StoreError::Io("broken".into())
}

fn no_space() -> StoreError {
    StoreError::NoSpace("a test".into())
}

fn good() -> Probed {
    Probed { rows: Ok(QUICK_ONE), body: Ok(()) }
}

fn probe(machine: &mut Machine, now: Timestamp, probed: &Probed) {
    let begun = machine.begin_probe();
    machine.probed(now, begun, probed, SLOW, false);
}

#[test]
fn a_failed_write_is_over_when_a_probe_worked() {
    let mut machine = Machine::new(at(0));
    machine.failed(at(0), &broken(), Held::Body);
    assert_eq!(
        (machine.worst(), machine.reason(Condition::Failing)),
        (Condition::Failing, "storage failed: broken")
    );
    assert_eq!(machine.probe_due(at(0)), Some(at(1000)));
    probe(&mut machine, at(1000), &Probed { rows: Err(broken()), body: Err(broken()) });
    assert_eq!((machine.worst(), machine.probe_due(at(1000))), (Condition::Failing, Some(at(3000))));
    probe(&mut machine, at(3000), &good());
    assert_eq!((machine.worst(), machine.probe_due(at(3000))), (Condition::Healthy, None));
    assert_eq!((machine.since(), machine.changes()), (at(3000), 2));
}

#[test]
fn no_space_for_bodies_stops_no_delivery_and_no_space_for_rows_does() {
    let mut machine = Machine::new(at(0));
    machine.failed(at(0), &no_space(), Held::Body);
    assert_eq!(machine.worst(), Condition::Full);
    machine.failed(at(10), &no_space(), Held::Rows);
    assert!(machine.worst() == Condition::Failing && machine.holds(Condition::Full));
    probe(&mut machine, at(1000), &Probed { rows: Ok(QUICK_ONE), body: Err(no_space()) });
    assert_eq!(machine.worst(), Condition::Full, "rows go again, bodies do not");
    probe(&mut machine, at(3000), &good());
    assert_eq!(machine.worst(), Condition::Healthy);
}

#[test]
fn what_is_not_the_devices_fault_changes_nothing() {
    let mut machine = Machine::new(at(0));
    machine.failed(at(0), &StoreError::TooLarge("a value".into()), Held::Rows);
    machine.failed(at(0), &StoreError::Corrupt("a body".into()), Held::Body);
    assert_eq!((machine.worst(), machine.probe_due(at(0))), (Condition::Healthy, None));
}

#[test]
fn a_probe_opens_nothing_that_failed_after_it_began() {
    let mut machine = Machine::new(at(0));
    machine.failed(at(0), &broken(), Held::Body);
    let begun = machine.begin_probe();
    machine.failed(at(1001), &broken(), Held::Body);
    machine.probed(at(1002), begun, &good(), SLOW, false);
    assert_eq!(machine.worst(), Condition::Failing);
    probe(&mut machine, at(2002), &good());
    assert_eq!(machine.worst(), Condition::Healthy);
}

#[test]
fn slow_storage_has_to_be_quick_twice() {
    let mut machine = Machine::new(at(0));
    machine.slow(at(0), || "7s".into());
    let slow = Probed { rows: Ok(SLOW), body: Ok(()) };
    for (seconds, probed, still) in
        [(1, good(), true), (2, slow, true), (3, good(), true), (4, good(), false)]
    {
        probe(&mut machine, at(seconds * 1000), &probed);
        assert_eq!(machine.holds(Condition::Slow), still, "after {seconds} s");
    }
    machine.slow(at(5000), || "a commit hangs".into());
    for seconds in 6..9 {
        let begun = machine.begin_probe();
        machine.probed(at(seconds * 1000), begun, &good(), SLOW, true);
    }
    assert!(machine.holds(Condition::Slow), "a commit still hangs");
}

#[test]
fn measurements_have_a_margin() {
    let mut machine = Machine::new(at(0));
    for (free, low) in [(100, false), (99, true), (100, true), (124, true), (125, false), (100, false)] {
        machine.room(at(0), free * MIB, 100 * MIB);
        assert_eq!(machine.holds(Condition::Low), low, "{free} MiB");
    }
    for (used, high) in [(100, false), (101, true), (100, true), (91, true), (90, false), (100, false)] {
        machine.memory(at(0), used * MIB, 100 * MIB);
        assert_eq!(machine.holds(Condition::Memory), high, "{used} MiB");
    }
    machine.room(at(0), 0, 0);
    machine.memory(at(0), 1 << 60, u64::MAX);
    assert_eq!(machine.worst(), Condition::Healthy, "there are no marks");
}

#[test]
fn the_worst_counts_and_the_others_are_not_forgotten() {
    let mut machine = Machine::new(at(0));
    machine.room(at(0), 0, MIB);
    machine.failed(at(1), &broken(), Held::Rows);
    machine.slow(at(2), String::new);
    let all: Vec<_> = machine.troubles().iter().map(|trouble| trouble.condition).collect();
    assert_eq!(all, [Condition::Failing, Condition::Low, Condition::Slow]);
    probe(&mut machine, at(1001), &good());
    probe(&mut machine, at(2001), &good());
    assert_eq!((machine.worst(), machine.probe_due(at(2001))), (Condition::Low, None));
    machine.room(at(3000), 2 * MIB, MIB);
    assert_eq!((machine.worst(), machine.since()), (Condition::Healthy, at(3000)));
}

#[test]
fn trouble_that_returns_soon_is_probed_less_often() {
    let mut machine = Machine::new(at(0));
    let mut pauses = Vec::new();
    let mut now = 0;
    for _ in 0..6 {
        machine.failed(at(now), &broken(), Held::Body);
        let due = machine.probe_due(at(now)).unwrap();
        pauses.push(due.since(at(now)).as_secs());
        now += due.since(at(now)).as_millis() as u64;
        probe(&mut machine, at(now), &good());
        now += 100;
    }
    assert_eq!(pauses, [1, 2, 4, 5, 5, 5]);
    machine.failed(at(now + 31_000), &broken(), Held::Body);
    assert_eq!(machine.probe_due(at(now + 31_000)), Some(at(now + 32_000)), "that is new trouble");
}

#[test]
fn a_probe_that_shows_nothing_comes_again_and_changes_nothing() {
    let mut machine = Machine::new(at(0));
    machine.slow(at(0), String::new);
    machine.probe_again(at(1000));
    assert_eq!((machine.worst(), machine.probe_due(at(1000))), (Condition::Slow, Some(at(2000))));
    assert_eq!((machine.probes().good, machine.probes().failed), (0, 0));
}

#[test]
fn a_clock_that_was_set_back_keeps_nobody_waiting() {
    let mut machine = Machine::new(at(3_600_000));
    machine.failed(at(3_600_000), &broken(), Held::Body);
    assert_eq!(machine.probe_due(at(0)), Some(at(0)));
}

/// What a device does, from some moment on.
#[derive(Debug, Clone, Copy)]
struct Device {
    io: bool,
    rows: bool,
    bodies: bool,
    takes: u64,
    free: u64,
    used: u64,
}

const WELL: Device = Device { io: true, rows: true, bodies: true, takes: 3, free: 1000, used: 10 };

impl Device {
    fn write(&self, held: Held) -> Result<Duration, StoreError> {
        match self {
            Self { io: false, .. } => Err(broken()),
            Self { rows: false, .. } => Err(no_space()),
            Self { bodies: false, .. } if held == Held::Body => Err(no_space()),
            _ => Ok(Duration::from_millis(self.takes)),
        }
    }

    fn probed(&self) -> Probed {
        let rows = self.write(Held::Rows);
        let body = rows.clone().and_then(|_| self.write(Held::Body)).map(drop);
        Probed { rows, body }
    }
}

fn devices() -> impl Strategy<Value = Device> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (flags, prop_oneof![Just(3_u64), Just(9000)], 0..200_u64, 0..200_u64)
        .prop_map(|((io, rows, bodies), takes, free, used)| Device { io, rows, bodies, takes, free, used })
}

/// Lets time pass as the watch does: measures, and probes when one is due. Returns the time then.
fn pass(machine: &mut Machine, device: &Device, from: u64, millis: u64) -> Result<u64, TestCaseError> {
    for now in (from..from + millis).step_by(250).map(at) {
        machine.room(now, device.free, 100);
        machine.memory(now, device.used, 100);
        if machine.probe_due(now).is_some_and(|due| due <= now) {
            let probed = device.probed();
            probe(machine, now, &probed);
            prop_assert!(
                probed.body.is_ok() || machine.worst() >= Condition::Full,
                "open after a failed probe: {device:?}"
            );
        }
        prop_assert!(device.free >= 100 || machine.worst() >= Condition::Low);
        let waits = machine.holds(Condition::Slow) || machine.worst() >= Condition::Full;
        prop_assert_eq!(waits, machine.probe_due(now).is_some(), "a latch without a probe, or the other way");
    }
    Ok(from + millis)
}

proptest! {
    #[test]
    fn a_latch_is_never_open_too_early_and_never_closed_for_ever(
        days in proptest::collection::vec((devices(), 0..30_000_u64, any::<bool>()), 1..20)
    ) {
        let mut machine = Machine::new(at(0));
        let mut now = 0;
        for (device, millis, body) in days {
            let held = if body { Held::Body } else { Held::Rows };
            match device.write(held) {
                Err(error) => machine.failed(at(now), &error, held),
                Ok(took) if took > SLOW => machine.slow(at(now), || "slow".into()),
                Ok(_) => {}
            }
            let failed = device.write(held).is_err();
            now = pass(&mut machine, &device, now, millis)?;
            prop_assert!(!failed || machine.worst() >= Condition::Full, "open on a broken device: {:?}", device);
        }
        // The longest pause, and a second quick probe.
        pass(&mut machine, &WELL, now, 6500)?;
        prop_assert_eq!(machine.worst(), Condition::Healthy, "stuck: {:?}", machine);
    }
}
