//! What durations allow: against timed runs of random programs, and against all durations of small ones.

use super::common::{Op, Program, boot};
use super::program;
use std::collections::{BTreeMap, BTreeSet};
use timerace_core::CtxId;
use timerace_core::dpor::{Events, Observer, Options, View, explore};
use timerace_core::exec::Exec;
use timerace_core::machine::Model;
use timerace_core::policy::Limits;
use timerace_core::result::Expiry;
use timerace_core::schedule::Pick;
use timerace_core::step::CostClass;
use timerace_core::timed::{Cause, Costs, Dist, TimedEnd, TimedOptions, Watch, run_timed};
use timerace_core::timing::Times;

/// The order in which the steps of a timed run act.
#[derive(Default)]
struct Order(Vec<Pick>);

impl Watch for Order {
    fn expiry(&mut self, _: &Expiry, _: &[(Cause, u64)]) {}
    fn before<M: Model>(&mut self, _: &Exec<'_, M>, pick: Pick) {
        self.0.push(pick);
    }
}

#[test]
fn what_a_timed_run_does_is_possible() {
    let (mut runs, mut steps) = (0, 0);
    for seed in 0..3_000 {
        let p = program(seed);
        let mut costs = match seed % 3 {
            0 => Costs::default(),
            1 => Costs::free(),
            _ => all_uniform(1, 1 + seed % 7),
        };
        if seed % 5 < 2 {
            // Tasks take turns after a few steps.
            costs.slice_ns = 1 + seed % 11;
        }
        let (machine, toy) = boot(&p);
        let options = TimedOptions {
            seed,
            costs: costs.clone(),
            max_steps: 10_000,
            goes_on: false,
            ..TimedOptions::default()
        };
        let mut order = Order::default();
        let (run, _) = run_timed(&machine, &toy, &options, &mut order);
        if run.ended != TimedEnd::Idle {
            continue;
        }
        let (machine, toy) = boot(&p);
        let mut exec = Exec::new(&machine, &toy);
        let times = Times::of(&mut exec, &order.0, &costs);
        assert!(times.possible(), "seed {seed}: {:?} on {p:#?}", order.0);
        assert_eq!(times.delay_needed(), Some(0));
        runs += 1;
        steps += order.0.len();
    }
    assert!(runs > 500 && steps > 4_000, "{runs} runs, {steps} steps");
}

fn all_uniform(lo: u64, hi: u64) -> Costs {
    let mut costs = Costs::free();
    for class in CostClass::ALL {
        costs.set(class, Dist::Uniform(lo, hi));
    }
    costs
}

/// Keeps a schedule of each trace.
#[derive(Default)]
struct Traces(BTreeMap<u64, Vec<Pick>>);

impl Observer for Traces {
    fn needs_marks(&self) -> bool {
        false
    }
    fn execution(&mut self, view: &View<'_>) {
        let picks = view.events.unwrap().picks().collect();
        self.0.insert(view.trace_digest(), picks);
    }
}

/// Two or three tasks on CPUs of their own, which never wait.
fn free_running(seed: u64) -> Program {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |n: u64| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    };
    let n = 2 + below(2);
    let tasks = (0..n)
        .map(|t| {
            let ops = (0..if n == 2 { 3 } else { 2 })
                .map(|_| match (below(3), below(2) as usize) {
                    (0, v) => Op::Read(v),
                    (1, v) => Op::Write(v, t),
                    (_, v) => Op::Add(v, 1),
                })
                .collect();
            (t as u16, ops)
        })
        .collect();
    Program { cpus: n as u16, vars: 2, tasks, ..Program::default() }
}

/// All orders in which steps act whose times are given by the durations of the steps before them; at one time any order.
fn orders(durations: &[Vec<u64>], taken: &mut Vec<CtxId>, out: &mut BTreeSet<Vec<CtxId>>) {
    let at = |c: usize| {
        let n = taken.iter().filter(|t| t.index() == c).count();
        (n < durations[c].len()).then(|| durations[c][..n].iter().sum::<u64>())
    };
    let Some(first) = (0..durations.len()).filter_map(at).min() else {
        out.insert(taken.clone());
        return;
    };
    let next: Vec<usize> = (0..durations.len()).filter(|c| at(*c) == Some(first)).collect();
    for c in next {
        taken.push(CtxId(c as u16));
        orders(durations, taken, out);
        taken.pop();
    }
}

#[test]
fn what_never_waits_is_told_exactly() {
    let (lo, hi) = (2, 3);
    let costs = all_uniform(lo, hi);
    let (mut possible, mut not) = (0, 0);
    for seed in 0..150 {
        let p = free_running(seed);
        let (machine, toy) = boot(&p);
        let mut exec = Exec::new(&machine, &toy);
        // Every combination of durations.
        let steps: Vec<usize> = p.tasks.iter().map(|t| t.1.len()).collect();
        let all: usize = steps.iter().sum();
        let mut reached = BTreeSet::new();
        for word in 0..1u64 << all {
            let mut bits = (0..all).map(|i| if word >> i & 1 == 1 { hi } else { lo });
            let durations: Vec<Vec<u64>> =
                steps.iter().map(|n| bits.by_ref().take(*n).collect()).collect();
            orders(&durations, &mut Vec::new(), &mut reached);
        }
        let picks = |o: &Vec<CtxId>| o.iter().map(|c| Pick { ctx: *c, alt: 0 }).collect::<Vec<_>>();
        let digests: BTreeSet<u64> = reached
            .iter()
            .map(|o| Events::log(&mut exec, &picks(o), Limits::default()).digest())
            .collect();
        let mut traces = Traces::default();
        let keep_going = Options { keep_going: true, ..Options::default() };
        explore(&mut exec, &keep_going, &mut traces);
        for (digest, picks) in &traces.0 {
            let times = Times::of(&mut exec, picks, &costs);
            assert_eq!(times.possible(), digests.contains(digest), "{picks:?} on {p:#?}");
            if digests.contains(digest) {
                possible += 1;
            } else {
                not += 1;
                let needed = times.delay_needed();
                assert!(needed != Some(0), "{picks:?} on {p:#?}");
            }
        }
    }
    assert!(possible > 200 && not > 200, "{possible} possible, {not} not");
}

/// A reader that looks twice and a writer that comes between: the second look must be held up until the write.
#[test]
fn the_smallest_delay_is_the_gap() {
    let mut costs = Costs::free();
    costs.set(CostClass::Memory, Dist::Const(10));
    costs.set(CostClass::Atomic, Dist::Const(100));
    let reader = vec![Op::Read(0), Op::Read(0)];
    // Its write comes 200 ns after the start.
    let writer = vec![Op::Add(1, 1), Op::Add(1, 1), Op::Write(0, 1)];
    let tasks = vec![(0, reader), (1, writer)];
    let p = Program { cpus: 2, vars: 2, tasks, ..Program::default() };
    let (machine, toy) = boot(&p);
    let mut exec = Exec::new(&machine, &toy);
    let mut delay = |order: &[u16]| {
        let picks: Vec<Pick> = order.iter().map(|c| Pick { ctx: CtxId(*c), alt: 0 }).collect();
        Times::of(&mut exec, &picks, &costs).delay_needed()
    };
    assert_eq!(delay(&[0, 0, 1, 1, 1]), Some(0));
    // The second look would come at 10 ns, the write at 200.
    assert_eq!(delay(&[0, 1, 1, 1, 0]), Some(190));
    // Both looks behind the write: the first is held up from the start.
    assert_eq!(delay(&[1, 1, 1, 0, 0]), Some(200));
}
