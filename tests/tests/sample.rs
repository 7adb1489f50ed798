//! Samples of the built-in races: an execution through known states that is walked counts like one that is run.

use timerace_core::dpor::Options;
use timerace_core::exec::Exec;
use timerace_core::policy::{Pct, Policy, Random};
use timerace_core::result::Exploration;
use timerace_core::sample::sample;
use timerace_kernel::{KernelVersion, World, boot};
use timerace_scenarios::ast::Scenario;
use timerace_scenarios::judge::Judge;
use timerace_scenarios::library::LIBRARY;
use timerace_scenarios::{load, lower};

/// What a sample says: its numbers, what was seen of each expectation.
fn sampled<P: Policy>(
    scenario: &Scenario,
    source: &str,
    world: &World,
    mut policy: P,
    forgets: bool,
) -> Option<(Exploration, String)> {
    let (machine, model) = boot(world, false).ok()?;
    let mut exec = Exec::new(&machine, &model);
    let mut judge = Judge::new(scenario, source, world, None);
    let max_schedules = Some(250);
    let options = Options { keep_going: true, max_schedules, forgets, ..Options::default() };
    let e = sample(&mut exec, "sample", &mut policy, &options, &mut judge);
    let seen = format!("{:?} {:?}", judge.seen(), judge.results(&e));
    Some((e, seen))
}

#[test]
fn walking_through_known_states_changes_no_sample() {
    let (mut compared, mut failing) = (0, 0);
    for entry in LIBRARY {
        let scenario = load::parse(entry.source, &[]).expect("built-in scenarios load");
        for kernel in ["v5.15", "v6.8", "v7.0"] {
            let kernel = KernelVersion::parse(kernel).expect("the table has it");
            let source = entry.open().text;
            let Ok(world) = lower::lower(&scenario, &source, kernel) else { continue };
            let random =
                |forgets| sampled(&scenario, entry.source, &world, Random::new(7), forgets);
            let pct = |forgets| sampled(&scenario, entry.source, &world, Pct::new(7, 3), forgets);
            let Some(run) = random(true) else { continue };
            assert_eq!(random(false).as_ref(), Some(&run), "{} on {kernel}", entry.name());
            assert_eq!(pct(false), pct(true), "{} on {kernel}", entry.name());
            compared += 1;
            failing += u64::from(run.0.failing > 0);
        }
    }
    assert!(compared > 100 && failing > 40, "{compared} compared, {failing} with findings");
}
