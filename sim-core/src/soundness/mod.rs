//! The reduction against brute force: random programs, outcomes, numbers of traces, fewest preemptions; and planted
//! errors, each of which this comparison finds. In the crate, because only here errors can be planted.
#![allow(clippy::unwrap_used)]

mod brute;
#[path = "../../tests/common/mod.rs"]
mod common;
mod draw;
mod jobs;
mod least;
mod mutants;
mod orbits;
mod plain;
mod texts;
mod timing;

use brute::Brute;
use common::{Oracle, Outcome, Program, Toy, boot, outcome};
use draw::program;
use std::collections::BTreeSet;
use timerace_core::Class;
use timerace_core::bounded::explore_bounded;
use timerace_core::dpor::{Ignore, Observer, Options, View, explore, explore_every_branch};
use timerace_core::ends::End;
use timerace_core::exec::Exec;
use timerace_core::least::{Wanted, effort, simplify};
use timerace_core::policy::{Ended, Limits, Pct, Random, Replay};
use timerace_core::record::record;
use timerace_core::result::Exploration;
use timerace_core::sample::sample;
use timerace_core::states::explore_states;

/// How many programs: other numbers on request, and other programs (`TIMERACE_PROGRAMS=1000000 TIMERACE_FIRST=20000`).
const PROGRAMS: u64 = 20_000;

/// What the environment asks for in place of a number.
fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn stuck(exec: &Exec<'_, Toy>) -> BTreeSet<usize> {
    exec.stuck().iter().map(|c| c.index()).collect()
}

struct Collect<'a> {
    toy: &'a Toy,
    outcomes: BTreeSet<Outcome>,
    traces: BTreeSet<u64>,
    doubles: u64,
}

impl<'a> Collect<'a> {
    fn new(toy: &'a Toy) -> Collect<'a> {
        Collect { toy, outcomes: BTreeSet::new(), traces: BTreeSet::new(), doubles: 0 }
    }
}

impl Observer for Collect<'_> {
    fn needs_marks(&self) -> bool {
        false
    }
    fn execution(&mut self, view: &View<'_>) {
        assert_eq!(*view.ended, Ended::Complete);
        let stuck = view.stuck().iter().map(|c| c.index()).collect();
        self.outcomes.insert(outcome(self.toy, view.mem, stuck));
        if !self.traces.insert(view.trace_digest()) {
            self.doubles += 1;
        }
    }
    fn outcome(&self) -> Option<u64> {
        Some(0)
    }
}

/// What brute force says of a program.
struct Truth {
    outcomes: BTreeSet<Outcome>,
    traces: u64,
}

impl Truth {
    /// `None` if the program is too big.
    fn of(p: &Program) -> Option<Truth> {
        let outcomes = Oracle::new(p).outcomes(30_000)?;
        let (machine, toy) = boot(p);
        let mut brute = Brute::new(&machine, &toy);
        if !brute.run(&mut Exec::new(&machine, &toy)) {
            return None;
        }
        assert_eq!(brute.outcomes, outcomes, "the engine and the oracle differ on {p:#?}");
        Some(Truth { outcomes, traces: brute.traces })
    }
}

fn keep_going() -> Options {
    Options { keep_going: true, ..Options::default() }
}

/// Every trace, once, with the right outcomes.
fn check_traces(p: &Program, truth: &Truth) -> Exploration {
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    let mut seen = Collect::new(&toy);
    let r = explore(&mut exec, &keep_going(), &mut seen);
    assert!(r.complete);
    assert_eq!(seen.outcomes, truth.outcomes, "outcomes lost on {p:#?}");
    assert_eq!(seen.doubles, 0, "a trace was run twice on {p:#?}");
    assert_eq!(r.schedules, truth.traces, "traces lost or doubled on {p:#?}");
    r
}

/// The same numbers and digests without the reduction.
fn check_recount(p: &Program, r: &Exploration) {
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    let all = explore_every_branch(&mut exec, &keep_going(), &mut Ignore);
    let of = |e: &Exploration| {
        let counts = (e.schedules, e.failing, e.stuck, e.final_states);
        let end = |e: &End| (e.schedules, e.failing, e.classes.clone());
        let ends: Vec<_> = e.ends.iter().map(end).collect();
        (counts, ends, e.trace_digest, e.state_digest)
    };
    assert_eq!(of(&all), of(r), "another digest on {p:#?}");
}

/// Every reachable final state, by states.
fn check_states(p: &Program, truth: &Truth, traces: &Exploration) {
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    let mut seen = Collect::new(&toy);
    let r = explore_states(&mut exec, false, &keep_going(), &mut seen);
    assert!(r.complete);
    let (ends, classes) = of_states(&truth.outcomes);
    assert_eq!(of_states(&seen.outcomes).0, ends, "final states lost by states on {p:#?}");
    assert_eq!(classes_of(&r), classes, "findings lost by states on {p:#?}");
    assert_eq!(locks_of(&r), locks_of(traces), "orders of locks differ on {p:#?}");
}

/// What a state shows of outcomes: how they end, and the classes of findings that there are. Who broke what on the way is
/// no part of a state.
fn of_states(outcomes: &BTreeSet<Outcome>) -> (BTreeSet<Outcome>, BTreeSet<Class>) {
    let mut classes = BTreeSet::new();
    for o in outcomes {
        let class = |double| if double { Class::DoubleFree } else { Class::UseAfterFree };
        classes.extend(o.bugs.iter().map(|b| class(b.1)));
        if !o.stuck.is_empty() {
            classes.insert(Class::Deadlock);
        }
    }
    let bare = |o: &Outcome| Outcome { bugs: BTreeSet::new(), ..o.clone() };
    (outcomes.iter().map(bare).collect(), classes)
}

fn classes_of(r: &Exploration) -> BTreeSet<Class> {
    // Orders of locks are no outcome: see `locks_of`.
    let all = r.findings.iter().map(|f| f.class).filter(|c| *c != Class::LockOrder);
    all.map(|c| if c.is_stuck() { Class::Deadlock } else { c }).collect()
}

/// Which locks were taken under which, how each was taken, and whether that makes a circle.
fn locks_of(r: &Exploration) -> (Vec<(String, String)>, Vec<String>, bool) {
    let edges = r.locks.edges.iter().map(|e| (e.from.clone(), e.to.clone())).collect();
    let classes = r.locks.classes.iter().map(|c| format!("{} {}", c.name, c.marks())).collect();
    (edges, classes, r.findings.iter().any(|f| f.class == Class::LockOrder))
}

fn check_preemptions(p: &Program, r: &Exploration) {
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    if r.failing == 0 {
        let all = explore_bounded(&mut exec, 64, &Options::default(), &mut Ignore);
        assert!(all.failing == 0 && all.complete, "bounded by 64: {p:#?}");
        return;
    }
    let of_schedules = r.findings.iter().filter(|f| f.class != Class::LockOrder);
    let shown = of_schedules.map(|f| {
        let rec = record(&mut exec, &mut Replay::new(&f.schedule), Limits::default());
        assert!(rec.findings.iter().any(|x| x.class == f.class), "not shown again: {f:?}");
        rec.preemptions
    });
    let fewest = shown.min().unwrap();
    assert_eq!(Some(fewest), Oracle::new(p).fewest_preemptions(), "fewest preemptions on {p:#?}");
    let mut bounded = |n| explore_bounded(&mut exec, n, &Options::default(), &mut Ignore);
    let mut found = bounded(fewest);
    assert!(found.failing > 0, "bounded by {fewest}: {p:#?}");
    if let Some(less) = fewest.checked_sub(1) {
        let r = bounded(less);
        assert!(r.failing == 0 && !r.complete, "bounded by {less}: {p:#?}");
    }
    // What is shown stays within the bound.
    simplify(&mut exec, &mut found, Limits::default());
    for f in found.findings.iter().filter(|f| f.class != Class::LockOrder) {
        let wanted = Wanted { class: f.class, functions: f.functions.clone() };
        let shown = effort(&mut exec, &f.schedule, &wanted, Limits::default()).unwrap();
        assert!(shown.effort.preemptions <= fewest, "{shown:?} instead of {fewest}: {p:#?}");
    }
}

/// A sample is the same whether executions through known states are run or walked.
fn check_sample(p: &Program, truth: &Truth, s: u64) {
    let (machine, toy) = boot(p);
    type Sampled<'s> =
        &'s mut dyn FnMut(&mut Exec<'_, Toy>, &Options, &mut Collect<'_>) -> Exploration;
    let of = |run: Sampled<'_>| {
        [false, true].map(|forgets| {
            let mut exec = Exec::new(&machine, &toy);
            let mut seen = Collect::new(&toy);
            let options = Options { max_schedules: Some(300), forgets, ..keep_going() };
            let r = run(&mut exec, &options, &mut seen);
            assert!(seen.outcomes.is_subset(&truth.outcomes), "outcomes made up on {p:#?}");
            (r, seen.outcomes)
        })
    };
    let random = of(&mut |e, o, seen| sample(e, "random", &mut Random::new(s), o, seen));
    assert_eq!(random[0], random[1], "a walk is no run on {p:#?}");
    let pct = of(&mut |e, o, seen| sample(e, "pct", &mut Pct::new(s, 3), o, seen));
    assert_eq!(pct[0], pct[1], "a walk is no run on {p:#?}");
}

/// Compares one program; `None` if it is too big for brute force.
fn check(seed: u64) -> Option<Exploration> {
    let p = program(seed);
    let truth = Truth::of(&p)?;
    let r = check_traces(&p, &truth);
    check_states(&p, &truth, &r);
    if seed.is_multiple_of(16) {
        check_recount(&p, &r);
        check_sample(&p, &truth, seed);
    }
    if seed.is_multiple_of(4) {
        check_preemptions(&p, &r);
    }
    Some(r)
}

#[test]
fn random_programs_agree_with_brute_force() {
    let n = asked("TIMERACE_PROGRAMS", PROGRAMS);
    let first = asked("TIMERACE_FIRST", 0);
    let (mut done, mut traces, mut blocked) = (0, 0, 0);
    for r in (first..first + n).filter_map(check) {
        done += 1;
        traces += r.schedules;
        blocked += r.blocked;
    }
    println!("{done} of {n} programs compared: {traces} traces, {blocked} executions in vain");
    assert!(done * 10 > n * 8, "only {done} of {n} were small enough");
    assert!(blocked * 5 <= traces, "{blocked} executions in vain for {traces} traces");
}
