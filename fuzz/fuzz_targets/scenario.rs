//! Scenario files: read, checked, put on a machine of an old and a new kernel, and played for a few steps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use timerace_core::exec::Exec;
use timerace_core::policy::{Limits, Random, run};
use timerace_kernel::{KernelVersion, boot};
use timerace_scenarios::diag::{self, Style};
use timerace_scenarios::{load, lower};

fuzz_target!(|source: &str| {
    let checked = load::check(source, &[]);
    for d in &checked.diagnostics {
        for (span, _) in std::iter::once(&d.primary).chain(&d.secondary) {
            assert!(span.start <= span.end && span.end <= source.len(), "outside of the file");
        }
        let _ = diag::render(d, "x.ron", source, Style::Plain);
    }
    let Some(scenario) = checked.scenario else {
        assert!(!checked.diagnostics.is_empty(), "refused without a word");
        return;
    };
    // What is read is written so that it reads the same.
    let text = scenario.canonical();
    let again = load::parse(&text, &[]).expect("a canonical text is a scenario");
    assert_eq!(again.canonical(), text);
    for version in ["v5.15", "v6.12", "v7.3"] {
        let kernel = KernelVersion::parse(version).expect("a release of the table");
        let Ok(world) = lower::lower(&scenario, source, kernel) else { continue };
        let Ok((machine, model)) = boot(&world, false) else { continue };
        let mut exec = Exec::new(&machine, &model);
        exec.restart();
        run(&mut exec, &mut Random::new(1), Limits { steps: 500, expiries: 20 });
    }
});
