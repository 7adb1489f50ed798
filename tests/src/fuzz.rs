//! What the fuzz targets do with an input: whatever people hand to the program must never make it panic, hang or eat
//! memory. Here, and not in `fuzz/`, so that the kept inputs are tried by a plain test too.

use std::cell::OnceCell;
use timerace_core::Machine;
use timerace_core::exec::Exec;
use timerace_core::policy::{Limits, Random, Replay, run};
use timerace_core::record::record;
use timerace_core::schedule::ShortSchedule;
use timerace_kernel::{Kernel, KernelVersion, boot};
use timerace_scenarios::diag::Style;
use timerace_scenarios::recording::{self, Options};
use timerace_scenarios::source::Source;
use timerace_scenarios::{calibrate, library, load, lower};

/// What is done with an input.
pub type Target = fn(&str);

/// The targets, by the names of their folders in `fuzz/corpus/`.
pub const TARGETS: [(&str, Target); 4] =
    [("recording", recording), ("scenario", scenario), ("schedule", schedule), ("trace", trace)];

/// Scenario files: read, checked, put on a machine of an old and a new kernel, and played for a few steps.
pub fn scenario(text: &str) {
    let source = Source::of("x.ron", text);
    let checked = load::check_source(&source, &[]);
    for d in &checked.diagnostics {
        for (span, _) in std::iter::once(&d.primary).chain(&d.secondary) {
            assert!(span.start <= span.end && span.end <= source.text.len(), "outside of the file");
        }
        let _ = source.render(d, Style::Plain);
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
        let Ok(world) = lower::lower(&scenario, &source.text, kernel) else { continue };
        let Ok((machine, model)) = boot(&world, false) else { continue };
        let mut exec = Exec::new(&machine, &model);
        exec.restart();
        run(&mut exec, &mut Random::new(1), Limits { steps: 500, expiries: 20 });
    }
}

thread_local! {
    static BOOTED: OnceCell<(Machine, Kernel)> = const { OnceCell::new() };
}

fn booted() -> (Machine, Kernel) {
    let entry = library::find("r09-mutual-cancel").expect("it is built in");
    let scenario = load::parse(entry.source, &[]).expect("built-in scenarios load");
    let kernel = KernelVersion::parse("v6.8").expect("a release of the table");
    let world = lower::lower(&scenario, entry.source, kernel).expect("built-in scenarios lower");
    boot(&world, false).expect("built-in scenarios boot")
}

/// Schedules: the short text on a machine with all kinds of contexts, and `schedule.ron`.
pub fn schedule(text: &str) {
    let saved = timerace_reports::schedule_ron::read(text).ok();
    if let Some(saved) = &saved {
        let written = saved.write();
        let again = timerace_reports::schedule_ron::read(&written).expect("what is written reads");
        assert_eq!(again.write(), written);
    }
    BOOTED.with(|b| {
        let (machine, model) = b.get_or_init(booted);
        let mut exec = Exec::new(machine, model);
        if let Some(Ok(picks)) = saved.map(|s| s.picks(machine.contexts())) {
            record(&mut exec, &mut Replay::new(&picks), Limits::default());
        }
        // A schedule that does not fit is left at the step where it does not.
        if let Ok(mut short) = ShortSchedule::parse(text, machine) {
            record(&mut exec, &mut short, Limits::default());
        }
    });
}

/// Recordings of real kernels: read, and played on the model of their kernel.
pub fn recording(text: &str) {
    if let Ok(report) = recording::conform(text, &Options::default()) {
        let counts = report.counts();
        assert_eq!(counts.agree + counts.disagree + counts.unsupported, report.cases.len());
        let _ = report.text();
    }
}

/// What `calibrate` reads: ftrace text and tables of latencies.
pub fn trace(text: &str) {
    for name in ["trace.txt", "samples.csv"] {
        if let Ok(recording) = calibrate::read(name, text) {
            assert!(recording.samples() > 0, "an empty recording was accepted");
        }
    }
}
