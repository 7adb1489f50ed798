//! Timed runs of the library: a step that happens right after the one before it changes nothing but the time it takes.

use timerace_core::Nanos;
use timerace_core::timed::{Costs, TimedOptions, TimedRun, Unwatched, run_timed};
use timerace_kernel::{KernelVersion, World, boot};
use timerace_scenarios::library::LIBRARY;
use timerace_scenarios::{load, lower};

fn run(world: &World, seed: u64, goes_on: bool) -> TimedRun {
    let (machine, kernel) = boot(world, true).expect("the library boots");
    let options = TimedOptions {
        seed,
        costs: Costs::default(),
        until: Some(Nanos(20_000_000)),
        expiries: None,
        max_steps: 200_000,
        goes_on,
    };
    run_timed(&machine, &kernel, &options, &mut Unwatched).0
}

#[test]
fn steps_that_nobody_can_see_between_may_happen_at_once() {
    let kernel = KernelVersion::parse("v6.8").expect("the table has v6.8");
    let mut steps = 0;
    for entry in LIBRARY {
        let scenario = load::parse(entry.source, &[]).expect("the library is right");
        // Some scenarios are about kernels that have or lack something.
        let Ok(world) = lower::lower(&scenario, entry.source, kernel) else { continue };
        for seed in 1..=5 {
            let (at_once, one_by_one) = (run(&world, seed, true), run(&world, seed, false));
            let key = |r: &TimedRun| (r.digest, r.steps, r.expiries, r.virtual_ns, r.ended);
            assert_eq!(key(&at_once), key(&one_by_one), "{} seed {seed}", entry.path);
            steps += at_once.steps;
        }
    }
    assert!(steps > 20_000, "{steps} steps show nothing");
}
