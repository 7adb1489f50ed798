//! Simulates the rounds of a recording.

use super::ftrace::Event;
use super::measure;
use super::rounds::{Plan, TIMERS, text_of_rounds};
use super::{Measure, Recording};
use crate::{load, lower};
use std::collections::{BTreeMap, VecDeque};
use timerace_core::ids::{CpuId, CtxId, Nanos};
use timerace_core::result::Expiry;
use timerace_core::step::CostClass;
use timerace_core::timed::trace::{TraceEvent, Tracer};
use timerace_core::timed::{Cause, Costs, TimedOptions, Watch, run_timed};
use timerace_kernel::{Kernel, KernelVersion, World, boot};

/// Simulated expiries that a check looks at, about; and the fewest rounds they come from: so many, because the timers of a
/// round share its delays.
const EXPIRIES: usize = 10_000;
const ROUNDS: usize = 4_000;
/// The same for passes.
const PASS_EXPIRIES: usize = 10_000;
const PASS_ROUNDS: usize = 2_000;
/// Under a load, which is simulated all the time, fewer if these would take more steps than that, but a quarter at least.
const LOADED_STEPS: u64 = 3_000_000;
/// Rounds that take so many times as long as they should are starved by the load.
const STARVED: u64 = 8;
/// Rounds from which the steps are known.
const PILOT_ROUNDS: usize = 64;
/// A round takes some thousand steps; one that does not end is an error of the program.
const MAX_STEPS: u64 = 10_000_000;
const LATE_SEED: u64 = 1;
const PASS_SEED: u64 = 2;
const PILOT_SEED: u64 = 4;
/// What the model calls the context of the clock event's interrupt.
const HRTIMER_INTERRUPT: &str = "hrtimer interrupt";

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

/// Rounds of timers on one CPU, one after the other in one run: started by one run of a program, each with a callback that
/// does nothing. The CPU is idle but for the load, if there is one.
pub(super) struct Rounds {
    world: World,
    /// Of a round.
    timers: usize,
    /// Under a load, which goes on all the time.
    loaded: Option<Loaded>,
}

/// What a round under a load takes, of virtual time and of ours.
struct Loaded {
    round_ns: u64,
    steps: u64,
}

/// Sees the expiries of the rounds' own timers: a load can have others.
struct Seen<'m, F> {
    model: &'m Kernel,
    /// Those that have not come.
    left: usize,
    /// By the number of a timer; nothing where all are.
    own: Option<Vec<Option<bool>>>,
    /// Where they are wanted.
    interrupts: Option<Interrupts>,
    each: F,
}

impl<F: FnMut(&Expiry, u64)> Watch for Seen<'_, F> {
    fn wants_causes(&self) -> bool {
        self.interrupts.is_some()
    }

    fn expiry(&mut self, e: &Expiry, _: &[(Cause, u64)]) {
        let is_own = self.own.as_mut().is_none_or(|own| {
            let i = e.timer as usize;
            own.resize(own.len().max(i + 1), None);
            *own[i].get_or_insert_with(|| self.model.timer_name(e.timer).starts_with(TIMERS))
        });
        if !is_own || self.left == 0 {
            return;
        }
        self.left -= 1;
        let irq = e.irq.map_or(0, |began| match &mut self.interrupts {
            Some(all) => all.from(began),
            None => e.softirq.since(began),
        });
        (self.each)(e, irq);
    }

    fn go_on(&mut self) -> bool {
        self.left > 0
    }

    fn doing(&mut self, _: CpuId, at: u64, ctx: Option<CtxId>, _: Cause) {
        if let Some(all) = &mut self.interrupts {
            all.doing(at, ctx);
        }
    }
}

/// The interrupts of the clock event, one after the other, as far as they are not seen to.
struct Interrupts {
    /// Whether a context is one.
    is_one: Vec<bool>,
    /// From when to when; the last may not be over.
    all: VecDeque<(u64, Option<u64>)>,
}

impl Interrupts {
    fn doing(&mut self, at: u64, ctx: Option<CtxId>) {
        let is_one = ctx.is_some_and(|c| self.is_one[c.index()]);
        match (is_one, self.all.back_mut()) {
            (true, Some((_, None))) | (false, None) => {}
            (true, _) => self.all.push_back((at, None)),
            (false, Some((_, end))) => *end = end.or(Some(at)),
        }
    }

    /// How long the one took that began then; those before are forgotten.
    fn from(&mut self, began: Nanos) -> u64 {
        while self.all.get(1).is_some_and(|(next, _)| *next <= began.0) {
            self.all.pop_front();
        }
        match self.all.front() {
            Some((from, Some(to))) if *from <= began.0 => to.saturating_sub(began.0),
            _ => 0,
        }
    }
}

/// A pass of the softirq: how long the interrupt before it took, and how late its callbacks were, in nanoseconds.
pub(super) struct Pass {
    /// 0: no interrupt began it.
    pub irq: u64,
    pub late: Vec<u64>,
}

impl Rounds {
    /// The rounds of a recording on an idle CPU. `kernel`: v6.7 or later, for BPF_F_TIMER_CPU_PIN.
    pub fn idle(r: &Recording, kernel: KernelVersion) -> Rounds {
        Rounds::lonely(r.timers(), r.same_expiry, kernel)
    }

    /// The same with one expiry for all, so that one pass has all callbacks.
    pub fn in_one_pass(r: &Recording, kernel: KernelVersion) -> Rounds {
        Rounds::lonely(r.timers(), true, kernel)
    }

    fn lonely(timers: usize, same_expiry: bool, kernel: KernelVersion) -> Rounds {
        let text = text_of_rounds(&Plan::idle(timers, same_expiry), None);
        let tree = load::parse(&text, &[]).expect("the text of a round is right");
        let world = lower::lower(&tree, &text, kernel).expect("v6.7 and later can play a round");
        Rounds { world, timers, loaded: None }
    }

    /// The rounds of a recording under a load. As many are simulated as their steps allow.
    pub fn loaded(plan: &Plan, world: World) -> Rounds {
        let loaded = Loaded { round_ns: plan.round_ns(), steps: 1 };
        let mut rounds = Rounds { world, timers: plan.timers, loaded: Some(loaded) };
        let steps = rounds.play(&Costs::default(), PILOT_SEED, PILOT_ROUNDS, false, |_, _| ());
        rounds.loaded = Some(Loaded { round_ns: plan.round_ns(), steps: steps.max(1) });
        rounds
    }

    /// The expiries of so many rounds, in the order of the callbacks; fewer under a load that starves them.
    pub fn run(&self, costs: &Costs, seed: u64, rounds: usize) -> Vec<Expiry> {
        let mut all = Vec::with_capacity(rounds * self.timers);
        self.play(costs, seed, rounds, false, |e, _| all.push(*e));
        all
    }

    /// The passes of the softirq in a number of rounds. Their seed is another one than that of [`Rounds::lateness`].
    pub fn passes(&self, costs: &Costs) -> Vec<Pass> {
        let mut all: Vec<Pass> = Vec::new();
        let mut began = None;
        // Only under a load the interrupt is not all that there is before the pass; to see it takes long.
        let loaded = self.loaded.is_some();
        let rounds = self.rounds_of(PASS_EXPIRIES, PASS_ROUNDS);
        self.play(costs, PASS_SEED, rounds, loaded, |e, irq| {
            if began.replace(e.softirq) != Some(e.softirq) {
                all.push(Pass { irq, late: Vec::new() });
            }
            if let Some(pass) = all.last_mut() {
                pass.late.push(e.late_ns());
            }
        });
        all
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

    /// Gives each own expiry, in the order of the callbacks, with the length of the interrupt that noticed it; under a load
    /// only if it is wanted. Returns the steps of a round.
    fn play(
        &self,
        costs: &Costs,
        seed: u64,
        rounds: usize,
        interrupts: bool,
        each: impl FnMut(&Expiry, u64),
    ) -> u64 {
        let (machine, model) = boot(&self.world, true).expect("a round boots");
        let is_one = || machine.contexts().iter().map(|c| c.name == HRTIMER_INTERRUPT).collect();
        let mut seen = Seen {
            model: &model,
            left: rounds * self.timers,
            own: self.loaded.as_ref().map(|_| Vec::new()),
            interrupts: interrupts.then(|| Interrupts { is_one: is_one(), all: VecDeque::new() }),
            each,
        };
        let (run, _) = run_timed(&machine, &model, &self.options(costs, seed, rounds), &mut seen);
        assert!(seen.left == 0 || self.loaded.is_some(), "timers expire on an idle CPU");
        run.steps / (rounds - seen.left / self.timers).max(1) as u64
    }

    /// Rounds that have so many expiries, but not fewer than `least`; under a load, as many as its steps allow.
    fn rounds_of(&self, expiries: usize, least: usize) -> usize {
        let wanted = (expiries / self.timers.max(1)).max(least);
        match &self.loaded {
            Some(l) => {
                let allowed = (LOADED_STEPS / l.steps) as usize;
                wanted.min(allowed.max(wanted / 4))
            }
            None => wanted,
        }
    }

    fn options(&self, costs: &Costs, seed: u64, rounds: usize) -> TimedOptions {
        let n = rounds as u64;
        TimedOptions {
            seed,
            costs: costs.clone(),
            until: self.loaded.as_ref().map(|l| Nanos(l.round_ns.saturating_mul(STARVED * n))),
            expiries: self.loaded.is_none().then_some(n * self.timers as u64),
            max_steps: MAX_STEPS.saturating_mul(n),
            patience: None,
            goes_on: true,
        }
    }
}

impl<'e> From<&'e TraceEvent> for Event<'e> {
    fn from(e: &'e TraceEvent) -> Event<'e> {
        let cpu = u32::from(e.cpu.0);
        Event { line: &e.args, cpu, ns: e.at.0, name: e.name, args: &e.args }
    }
}
