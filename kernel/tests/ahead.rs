//! CPUs that run ahead of each other change nothing: not the steps, not the samples, not where a limit cuts the run off.

#[path = "../benches/world/mod.rs"]
#[allow(dead_code)]
mod world;

use timerace_core::result::Expiry;
use timerace_core::timed::{Cause, TimedOptions, TimedRun, Watch, run_timed};
use timerace_kernel::world::{Call, ElemRef, KeyRef, MapId, MapRef, OpKind, ValueRef};
use timerace_kernel::{World, boot};
use world::{Size, world};

struct Samples(bool, Vec<Expiry>);

impl Watch for Samples {
    fn wants_causes(&self) -> bool {
        self.0
    }

    fn expiry(&mut self, e: &Expiry, causes: &[(Cause, u64)]) {
        let sum: u64 = causes.iter().map(|c| c.1).sum();
        assert!(!self.0 || sum == e.late_ns(), "{e:?} {causes:?}");
        self.1.push(*e);
    }
}

fn run(
    w: &World,
    seed: u64,
    expiries: u64,
    goes_on: bool,
    causes: bool,
) -> (TimedRun, Vec<Expiry>) {
    let (machine, kernel) = boot(w, true).expect("the world boots");
    let options = TimedOptions {
        seed,
        expiries: Some(expiries),
        max_steps: 10_000_000,
        goes_on,
        ..TimedOptions::default()
    };
    let mut watch = Samples(causes, Vec::new());
    let (run, _) = run_timed(&machine, &kernel, &options, &mut watch);
    (run, watch.1)
}

/// The same world, with callbacks that name their timer by a look-up.
fn by_lookup(mut w: World, key: KeyRef) -> World {
    let elem = ElemRef { map: MapRef::Map(MapId(0)), key };
    let tick = w.progs.last_mut().expect("the callback comes last");
    for op in &mut tick.body.ops {
        if let OpKind::Call { call: Call::TimerStart(timer, ..), .. } = &mut op.kind {
            timer.value = ValueRef::Elem(elem);
        }
    }
    w
}

#[test]
fn each_callback_that_starts_its_timer_again() {
    for (timers, cpus, period_ns) in [(200, 4, 30_000), (40, 8, 1_000_000), (64, 2, 9_000)] {
        let size = Size { timers, cpus, period_ns, expiries: 0 };
        for w in [world(size), by_lookup(world(size), KeyRef::Itself)] {
            for expiries in [1, 2, 37, 500, 3_000] {
                the_same_whatever_comes_first(&w, expiries, expiries);
            }
        }
    }
}

/// Callbacks on many CPUs that all start the timer of one element: it wanders, and CPUs wait for each other.
#[test]
fn callbacks_that_start_the_timer_of_another() {
    for (timers, cpus, period_ns) in [(20, 4, 30_000), (8, 8, 3_000)] {
        let size = Size { timers, cpus, period_ns, expiries: 0 };
        let w = by_lookup(world(size), KeyRef::Int(0));
        for seed in 1..6 {
            the_same_whatever_comes_first(&w, seed, 500);
        }
    }
}

fn the_same_whatever_comes_first(w: &World, seed: u64, expiries: u64) {
    let slow = run(w, seed, expiries, false, false);
    assert_eq!(slow.0.expiries, expiries);
    assert_eq!(run(w, seed, expiries, true, false), slow, "{seed} {expiries}");
    assert_eq!(run(w, seed, expiries, true, true), slow, "{seed} {expiries}");
}
