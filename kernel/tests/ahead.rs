//! CPUs that run ahead of each other change nothing: not the steps, not the samples, not where a limit cuts the run off.

#[path = "../benches/world/mod.rs"]
#[allow(dead_code)]
mod world;

use timerace_core::result::Expiry;
use timerace_core::timed::{Cause, Costs, TimedOptions, TimedRun, Watch, run_timed};
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
        costs: Costs::default(),
        until: None,
        expiries: Some(expiries),
        max_steps: 10_000_000,
        goes_on,
    };
    let mut watch = Samples(causes, Vec::new());
    let (run, _) = run_timed(&machine, &kernel, &options, &mut watch);
    (run, watch.1)
}

#[test]
fn each_callback_that_starts_its_timer_again() {
    for (timers, cpus, period_ns) in [(200, 4, 30_000), (40, 8, 1_000_000), (64, 2, 9_000)] {
        let size = Size { timers, cpus, period_ns, expiries: 0 };
        let w = world(size);
        for expiries in [1, 2, 37, 500, 3_000] {
            let slow = run(&w, expiries, expiries, false, false);
            assert_eq!(slow.0.expiries, expiries);
            assert_eq!(run(&w, expiries, expiries, true, false), slow, "{size:?} {expiries}");
            assert_eq!(run(&w, expiries, expiries, true, true), slow, "{size:?} {expiries}");
        }
    }
}
