//! Simulates the rounds of a recording.

use super::ftrace::Event;
use super::measure::{self, Measure};
use crate::{load, lower};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use timerace_core::ids::Nanos;
use timerace_core::result::Expiry;
use timerace_core::step::CostClass;
use timerace_core::timed::trace::{TraceEvent, Tracer};
use timerace_core::timed::{Cause, Costs, TimedOptions, Watch, run_timed};
use timerace_kernel::{KernelVersion, World, boot};

/// Simulated expiries that a check looks at, about; and the fewest rounds they come from. So many, because the timers of
/// a round share its delays.
const EXPIRIES: usize = 10_000;
const ROUNDS: usize = 6_000;
/// The same for passes.
const PASS_ROUNDS: usize = 3_000;
const FIRST_PASS_SEED: u64 = 1_000_000;
/// A round takes some thousand steps; one that does not end is an error of the program.
const MAX_STEPS: u64 = 10_000_000;

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

/// Rounds of timers on one idle CPU: started one after the other by one run of a program, each with a callback that does
/// nothing.
pub(super) struct Rounds {
    world: World,
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

    /// The expiries of a round, in the order of the callbacks.
    pub fn run(&self, costs: &Costs, seed: u64) -> Vec<Expiry> {
        let (machine, model) = boot(&self.world, true).expect("a round boots");
        let mut seen = Collect::default();
        run_timed(&machine, &model, &options(costs, seed), &mut seen);
        assert_eq!(seen.0.len(), self.timers, "every timer of a round expires");
        seen.0
    }

    /// The passes of the softirq in a number of rounds. Their seeds are other ones than those of [`Rounds::lateness`].
    pub fn passes(&self, costs: &Costs) -> Vec<Pass> {
        let rounds = (EXPIRIES / self.timers.max(1)).max(PASS_ROUNDS) as u64;
        let mut all = Vec::new();
        for seed in FIRST_PASS_SEED..FIRST_PASS_SEED + rounds {
            let (machine, model) = boot(&self.world, true).expect("a round boots");
            let mut seen = Passes::default();
            run_timed(&machine, &model, &options(costs, seed), &mut seen);
            all.append(&mut seen.all);
        }
        all
    }

    /// What a trace of a round tells.
    pub fn measured(&self, costs: &Costs, seed: u64) -> BTreeMap<CostClass, Vec<Measure>> {
        let (machine, model) = boot(&self.world, true).expect("a round boots");
        let mut said = Vec::new();
        let mut tracer = Tracer::new(&machine, |e| said.push(e.clone()));
        run_timed(&machine, &model, &options(costs, seed), &mut tracer);
        tracer.finish();
        let events: Vec<(usize, Event<'_>)> =
            said.iter().enumerate().map(|(i, e)| (i + 1, Event::from(e))).collect();
        measure::read("round", &events).expect("the model's events are right").measured
    }

    /// How late callbacks are, sorted.
    pub fn lateness(&self, costs: &Costs) -> Vec<u64> {
        let rounds = (EXPIRIES / self.timers.max(1)).max(ROUNDS) as u64;
        let mut late: Vec<u64> = Vec::new();
        for seed in 1..=rounds {
            late.extend(self.run(costs, seed).iter().map(Expiry::late_ns));
        }
        late.sort_unstable();
        late
    }
}

fn options(costs: &Costs, seed: u64) -> TimedOptions {
    TimedOptions {
        seed,
        costs: costs.clone(),
        until: None,
        expiries: None,
        max_steps: MAX_STEPS,
        patience: None,
        goes_on: true,
    }
}

fn scenario(timers: usize, same_expiry: bool) -> String {
    let lines = |line: &dyn Fn(usize) -> String| -> String { (0..timers).map(line).collect() };
    let init = lines(&|k| {
        let init = format!("bpf_timer_init(\"timers[{k}]\", CLOCK_MONOTONIC)");
        format!("{init},\nbpf_timer_set_callback(\"timers[{k}]\", \"cb\"),\n")
    });
    let flags = if same_expiry { ", [BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN]" } else { "" };
    let arm = lines(&|k| format!("bpf_timer_start(\"timers[{k}]\", \"20ms\"{flags}),\n"));
    let mut text =
        String::from("Scenario(schema: 1, name: \"round\", machine: (cpus: 1, tick: false),\n");
    let _ = writeln!(text, "maps: {{ \"timers\": ARRAY(max_entries: {timers}) }},");
    let _ = writeln!(text, "progs: {{ \"init\": (type: SYSCALL, body: [\n{init}]),");
    let _ = writeln!(text, "\"arm\": (type: SYSCALL, body: [\n{arm}]),");
    text.push_str("\"cb\": (type: TIMER_CB, body: []) },\n");
    text.push_str(
        "tasks: { \"user\": (cpu: 0, body: [prog_run(\"init\"), prog_run(\"arm\")]) },\n",
    );
    text.push_str("stop: idle)\n");
    text
}

impl<'e> From<&'e TraceEvent> for Event<'e> {
    fn from(e: &'e TraceEvent) -> Event<'e> {
        let cpu = u32::from(e.cpu.0);
        Event { line: &e.args, cpu, ns: e.at.0, name: e.name, args: &e.args }
    }
}
