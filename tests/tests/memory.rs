//! Long timed runs: what is kept does not grow with them.

use std::io;
use timerace_core::result::Expiry;
use timerace_core::timed::{Cause, TimedOptions, Watch, run_timed};
use timerace_core::{CpuId, CtxId, Nanos};
use timerace_kernel::{KernelVersion, World, boot};
use timerace_reports::causes::Causes;
use timerace_reports::latency::LatencyRecorder;
use timerace_reports::rows::Rows;
use timerace_scenarios::{load, lower};

struct Sinks<'m> {
    latencies: LatencyRecorder,
    causes: Causes,
    rows: Rows<'m>,
}

impl Watch for Sinks<'_> {
    fn wants_causes(&self) -> bool {
        true
    }

    fn expiry(&mut self, e: &Expiry, causes: &[(Cause, u64)]) {
        self.latencies.record(e);
        self.causes.record(e, causes);
        self.rows.expiry(e, causes);
    }
}

fn world() -> World {
    let source = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../scenarios/library/periodic-under-net-rx.ron"
    ))
    .expect("the library has it");
    let tree = load::parse(&source, &[]).expect("it is right");
    let kernel = KernelVersion::parse("v6.12").expect("the table has v6.12");
    lower::lower(&tree, &source, kernel).expect("v6.12 can run it")
}

/// The most bytes that are allocated at a time while so many expiries happen and their rows are written.
fn peak(world: &World, expiries: u64) -> u64 {
    let (machine, kernel) = boot(world, true).expect("it boots");
    let options =
        TimedOptions { expiries: Some(expiries), max_steps: u64::MAX, ..TimedOptions::default() };
    let info = allocation_counter::measure(|| {
        let name = |t| kernel.timer_name(t);
        let rows =
            Rows::new(&machine, name, Some(Box::new(io::sink())), Some(Box::new(io::sink())));
        let rows = rows.expect("a sink takes everything");
        let mut sinks =
            Sinks { latencies: LatencyRecorder::default(), causes: Causes::default(), rows };
        let (run, _) = run_timed(&machine, &kernel, &options, &mut sinks);
        let counted = sinks.latencies.finish().overall().count();
        assert_eq!((run.expiries, counted), (expiries, expiries));
        sinks.rows.finish().expect("a sink takes everything");
    });
    info.bytes_max
}

#[test]
fn a_run_of_twenty_times_the_length_needs_no_more_memory() {
    let world = world();
    let (short, long) = (peak(&world, 10_000), peak(&world, 200_000));
    assert!(short < 2 << 20, "{short} bytes");
    // A histogram has a few more buckets when more values have come.
    assert!(
        long < 2 << 20 && long < short + (512 << 10),
        "{short} bytes for a short run, {long} for a long one"
    );
}

#[test]
fn ten_million_expiries_are_counted_in_bounded_memory() {
    let world = world();
    let (machine, _) = boot(&world, true).expect("it boots");
    let info = allocation_counter::measure(|| {
        let rows = Rows::new(&machine, |t| format!("timers[{t}]"), None, None);
        let rows = rows.expect("nothing is written");
        let mut sinks =
            Sinks { latencies: LatencyRecorder::default(), causes: Causes::default(), rows };
        let mut x = 1u64;
        for i in 0..10_000_000u64 {
            x = timerace_core::mix::mix(x);
            let (due, late) = (100_000 * i, x % 65_536 + x % 7 * 1_000);
            let callback = Nanos(due + late);
            let e = Expiry {
                timer: (i % 8) as u32,
                cpu: CpuId((i % 4) as u16),
                armed: Nanos(due.saturating_sub(100_000)),
                abs: false,
                programmed: Nanos(due),
                irq: Some(Nanos(due)),
                softirq: callback,
                taken: callback,
                callback,
                exit: callback,
            };
            sinks.expiry(
                &e,
                &[(Cause::IdleExit, late / 2), (Cause::Task(CtxId(0)), late - late / 2)],
            );
        }
        assert_eq!(sinks.latencies.finish().overall().count(), 10_000_000);
        sinks.rows.finish().expect("a sink takes everything");
    });
    assert!(info.bytes_max < 4 << 20, "{} bytes", info.bytes_max);
}
