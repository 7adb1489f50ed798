//! Texts of schedules: what a run of a library scenario prints, read again, gives the same run.

use timerace_core::exec::Exec;
use timerace_core::policy::{Ended, Limits, Pct, Policy, Random};
use timerace_core::record::{Record, record};
use timerace_core::schedule::{Pick, ShortSchedule};
use timerace_kernel::KernelVersion;
use timerace_scenarios::library::LIBRARY;
use timerace_scenarios::{load, lower};

fn picks(rec: &Record) -> Vec<Pick> {
    rec.steps.iter().map(|s| Pick { ctx: s.ctx, alt: s.alt }).collect()
}

#[test]
fn texts_of_library_runs_give_the_same_runs() {
    let (mut runs, mut events) = (0, 0);
    for entry in LIBRARY.iter().filter(|e| !e.path.starts_with("common/")) {
        let scenario = load::parse(entry.source, &[]).expect("built-in scenarios load");
        for kernel in ["v5.15", "v6.7", "v6.12", "v7.3"] {
            let kernel = KernelVersion::parse(kernel).expect("the table has it");
            let Ok(world) = lower::lower(&scenario, &entry.open().text, kernel) else { continue };
            let Ok((machine, model)) = timerace_kernel::boot(&world, false) else { continue };
            let mut exec = Exec::new(&machine, &model);
            let policies: [&mut dyn Policy; 2] = [&mut Random::new(1), &mut Pct::new(2, 3)];
            for policy in policies {
                for _ in 0..8 {
                    let limits = Limits { steps: 1_000, ..Limits::default() };
                    let rec = record(&mut exec, policy, limits);
                    let name = format!("{} on {kernel}: {}", entry.name(), rec.text);
                    let mut text = ShortSchedule::parse(&rec.text, &machine)
                        .unwrap_or_else(|e| panic!("{name}: {e}"));
                    let again = record(&mut exec, &mut text, limits);
                    assert!(
                        !matches!(again.ended, Ended::Diverged(_)),
                        "{name}: {:?}",
                        again.ended
                    );
                    assert_eq!(picks(&again), picks(&rec), "{name}");
                    assert_eq!(again.text, rec.text, "{name}");
                    runs += 1;
                    events += rec.text.matches('!').count();
                }
            }
        }
    }
    assert!(runs > 2_000 && events > 10_000, "{runs} runs with {events} events");
}
