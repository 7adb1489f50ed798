//! Schedules: the short text on a machine with all kinds of contexts, and `schedule.ron`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::OnceCell;
use timerace_core::Machine;
use timerace_core::exec::Exec;
use timerace_core::policy::{Limits, Replay};
use timerace_core::record::record;
use timerace_core::schedule::ShortSchedule;
use timerace_kernel::{Kernel, KernelVersion, boot};
use timerace_scenarios::{library, load, lower};

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

fuzz_target!(|text: &str| {
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
});
