//! Timed runs of the library: a step that happens right after the one before it changes nothing but the time it takes.

use timerace_core::Nanos;
use timerace_core::result::Expiry;
use timerace_core::timed::{Cause, Costs, TimedOptions, TimedRun, Unwatched, Watch, run_timed};
use timerace_kernel::{KernelVersion, World, boot};
use timerace_scenarios::library::LIBRARY;
use timerace_scenarios::{load, lower};

fn run(world: &World, seed: u64, goes_on: bool) -> TimedRun {
    watched(world, seed, goes_on, &mut Unwatched)
}

fn watched(world: &World, seed: u64, goes_on: bool, watch: &mut impl Watch) -> TimedRun {
    let (machine, kernel) = boot(world, true).expect("the library boots");
    let options = TimedOptions {
        seed,
        costs: Costs::default(),
        until: Some(Nanos(20_000_000)),
        expiries: None,
        max_steps: 200_000,
        goes_on,
    };
    run_timed(&machine, &kernel, &options, watch).0
}

/// The scenarios of the library that a kernel can run.
fn worlds() -> Vec<(&'static str, World)> {
    let kernels = ["v6.8", "v7.1", "v5.15", "v6.18"]
        .map(|v| KernelVersion::parse(v).expect("the table has it"));
    let world = |entry: &timerace_scenarios::library::Entry| {
        let scenario = load::parse(entry.source, &[]).expect("the library is right");
        // Some scenarios are about kernels that have or lack something, and some are for searches only.
        kernels.iter().find_map(|kernel| {
            let world = lower::lower(&scenario, &entry.open().text, *kernel).ok()?;
            boot(&world, true).ok()?;
            Some((entry.path, world))
        })
    };
    LIBRARY.iter().filter_map(world).collect()
}

struct AddUp {
    path: &'static str,
    expiries: u64,
    late: u64,
}

impl Watch for AddUp {
    fn wants_causes(&self) -> bool {
        true
    }

    fn expiry(&mut self, e: &Expiry, causes: &[(Cause, u64)]) {
        let sum: u64 = causes.iter().map(|c| c.1).sum();
        assert_eq!(sum, e.late_ns(), "{}: {e:?} {causes:?}", self.path);
        self.expiries += 1;
        self.late += e.late_ns();
    }
}

#[test]
fn the_causes_of_lateness_add_up_to_it() {
    let mut all = (0, 0);
    for (path, world) in worlds() {
        for seed in 1..=5 {
            let mut w = AddUp { path, expiries: 0, late: 0 };
            let run = watched(&world, seed, true, &mut w);
            assert_eq!(run.digest, watched(&world, seed, true, &mut Unwatched).digest);
            all = (all.0 + w.expiries, all.1 + w.late);
        }
    }
    assert!(all.0 > 1_000 && all.1 > 1_000_000, "{all:?}");
}

#[test]
fn steps_that_nobody_can_see_between_may_happen_at_once() {
    let mut steps = 0;
    for (path, world) in worlds() {
        for seed in 1..=5 {
            let (at_once, one_by_one) = (run(&world, seed, true), run(&world, seed, false));
            let key = |r: &TimedRun| (r.digest, r.steps, r.expiries, r.virtual_ns, r.ended);
            assert_eq!(key(&at_once), key(&one_by_one), "{path} seed {seed}");
            steps += at_once.steps;
        }
    }
    assert!(steps > 20_000, "{steps} steps show nothing");
}
