//! Simulates the rounds of a recording.

use super::ftrace::Event;
use super::measure::{self, Measure};
use crate::{load, lower};
use std::collections::BTreeMap;
use timerace_core::ids::Nanos;
use timerace_core::result::Expiry;
use timerace_core::step::CostClass;
use timerace_core::timed::trace::{TraceEvent, Tracer};
use timerace_core::timed::{Cause, Costs, TimedEnd, TimedOptions, Watch, run_timed};
use timerace_kernel::{KernelVersion, World, boot};

/// Simulated expiries that a check looks at, about; and the fewest rounds they come from: so many, because the timers of a
/// round share its delays.
const EXPIRIES: usize = 10_000;
const ROUNDS: usize = 4_000;
/// The same for passes.
const PASS_EXPIRIES: usize = 10_000;
const PASS_ROUNDS: usize = 2_000;
/// A round takes some thousand steps; one that does not end is an error of the program.
const MAX_STEPS: u64 = 10_000_000;
const LATE_SEED: u64 = 1;
const PASS_SEED: u64 = 2;

/// The largest distance between the distribution functions of two sets of samples (Kolmogorov, Smirnov), from 0 to 1.
/// Both must be sorted. Nothing is as far as can be from anything.
pub fn ks(a: &[u64], b: &[u64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 1.0;
    }
    let (mut i, mut j, mut most) = (0, 0, 0.0f64);
    let part = |i: usize, of: &[u64]| i as f64 / of.len() as f64;
    while i < a.len() && j < b.len() {
        let x = a[i].min(b[j]);
        while a.get(i).is_some_and(|v| *v <= x) {
            i += 1;
        }
        while b.get(j).is_some_and(|v| *v <= x) {
            j += 1;
        }
        most = most.max((part(i, a) - part(j, b)).abs());
    }
    most
}

/// Rounds of timers on one idle CPU, one after the other in one run: started by one run of a program, each with a callback
/// that does nothing.
pub(super) struct Rounds {
    world: World,
    /// Of a round.
    timers: usize,
}

#[derive(Default)]
struct Collect(Vec<Expiry>);

impl Watch for Collect {
    fn expiry(&mut self, e: &Expiry, _: &[(Cause, u64)]) {
        self.0.push(*e);
    }
}

/// A pass of the softirq: how long the interrupt before it took, and how late its callbacks were, in nanoseconds.
pub(super) struct Pass {
    pub irq: u64,
    pub late: Vec<u64>,
}

#[derive(Default)]
struct Passes {
    began: Option<Nanos>,
    all: Vec<Pass>,
}

impl Watch for Passes {
    fn expiry(&mut self, e: &Expiry, _: &[(Cause, u64)]) {
        if self.began.replace(e.softirq) != Some(e.softirq) {
            let irq = e.softirq.since(e.irq.unwrap_or(e.softirq));
            self.all.push(Pass { irq, late: Vec::new() });
        }
        if let Some(pass) = self.all.last_mut() {
            pass.late.push(e.late_ns());
        }
    }
}

impl Rounds {
    /// `kernel`: v6.7 or later, for BPF_F_TIMER_CPU_PIN. `same_expiry`: all have one absolute expiry, pinned to the CPU; otherwise each has the same delay.
    pub fn new(timers: usize, same_expiry: bool, kernel: KernelVersion) -> Rounds {
        let text = scenario(timers, same_expiry);
        let tree = load::parse(&text, &[]).expect("the text of a round is right");
        let world = lower::lower(&tree, &text, kernel).expect("v6.7 and later can play a round");
        Rounds { world, timers }
    }

    /// The expiries of so many rounds, in the order of the callbacks.
    pub fn run(&self, costs: &Costs, seed: u64, rounds: usize) -> Vec<Expiry> {
        let mut seen = Collect::default();
        self.play(costs, seed, rounds, &mut seen);
        seen.0
    }

    /// The passes of the softirq in a number of rounds. Their seed is another one than that of [`Rounds::lateness`].
    pub fn passes(&self, costs: &Costs) -> Vec<Pass> {
        let mut seen = Passes::default();
        self.play(costs, PASS_SEED, self.rounds_of(PASS_EXPIRIES, PASS_ROUNDS), &mut seen);
        seen.all
    }

    /// What a trace of so many rounds tells.
    pub fn measured(
        &self,
        costs: &Costs,
        seed: u64,
        rounds: usize,
    ) -> BTreeMap<CostClass, Vec<Measure>> {
        let (machine, model) = boot(&self.world, true).expect("a round boots");
        let mut said = Vec::new();
        let mut tracer = Tracer::new(&machine, |e| said.push(e.clone()));
        run_timed(&machine, &model, &self.options(costs, seed, rounds), &mut tracer);
        tracer.finish();
        let events: Vec<(usize, Event<'_>)> =
            said.iter().enumerate().map(|(i, e)| (i + 1, Event::from(e))).collect();
        measure::read("round", &events).expect("the model's events are right").measured
    }

    /// How late callbacks are, sorted.
    pub fn lateness(&self, costs: &Costs) -> Vec<u64> {
        let all = self.run(costs, LATE_SEED, self.rounds_of(EXPIRIES, ROUNDS));
        let mut late: Vec<u64> = all.iter().map(Expiry::late_ns).collect();
        late.sort_unstable();
        late
    }

    fn play(&self, costs: &Costs, seed: u64, rounds: usize, seen: &mut impl Watch) {
        let (machine, model) = boot(&self.world, true).expect("a round boots");
        let (run, _) = run_timed(&machine, &model, &self.options(costs, seed, rounds), seen);
        assert_eq!(run.ended, TimedEnd::Expiries, "every timer of a round expires");
    }

    /// Rounds that have so many expiries, but not fewer than `least`.
    fn rounds_of(&self, expiries: usize, least: usize) -> usize {
        (expiries / self.timers.max(1)).max(least)
    }

    fn options(&self, costs: &Costs, seed: u64, rounds: usize) -> TimedOptions {
        TimedOptions {
            seed,
            costs: costs.clone(),
            until: None,
            expiries: Some((rounds * self.timers) as u64),
            max_steps: MAX_STEPS.saturating_mul(rounds as u64),
            patience: None,
            goes_on: true,
        }
    }
}

/// A round begins long after the one before is over; nothing happens meanwhile.
fn scenario(timers: usize, same_expiry: bool) -> String {
    let lines = |line: &dyn Fn(usize) -> String| -> String { (0..timers).map(line).collect() };
    let init = lines(&|k| {
        let init = format!("bpf_timer_init(\"timers[{k}]\", CLOCK_MONOTONIC)");
        format!("{init},\nbpf_timer_set_callback(\"timers[{k}]\", \"cb\"),\n")
    });
    let when = match same_expiry {
        true => "\"now + 20ms\", [BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN]",
        false => "\"20ms\"",
    };
    let arm = lines(&|k| format!("bpf_timer_start(\"timers[{k}]\", {when}),\n"));
    let now = if same_expiry { "let(\"now\", bpf_ktime_get_ns()),\n" } else { "" };
    format!(
        "Scenario(schema: 1, name: \"round\", machine: (cpus: 1, tick: false),\n\
         maps: {{ \"timers\": ARRAY(max_entries: {timers}) }},\n\
         progs: {{\n\
         \"init\": (type: SYSCALL, body: [\n{init}]),\n\
         \"arm\": (type: SYSCALL, body: [\n{now}{arm}]),\n\
         \"cb\": (type: TIMER_CB, body: []) }},\n\
         tasks: {{ \"user\": (cpu: 0, body: [\n\
         prog_run(\"init\"), repeat(1_000_000_000, [ prog_run(\"arm\"), sleep(\"2000s\") ]) ]) }},\n\
         stop: idle)\n"
    )
}

impl<'e> From<&'e TraceEvent> for Event<'e> {
    fn from(e: &'e TraceEvent) -> Event<'e> {
        let cpu = u32::from(e.cpu.0);
        Event { line: &e.args, cpu, ns: e.at.0, name: e.name, args: &e.args }
    }
}
