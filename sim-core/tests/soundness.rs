//! The reduction against brute force: random programs, outcomes, numbers of traces, fewest preemptions.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Op, Oracle, Outcome, Program, boot, outcome};
use std::collections::BTreeSet;
use timerace_core::bounded::explore_bounded;
use timerace_core::dpor::{Ignore, Observer, Options, View, explore};
use timerace_core::exec::Exec;
use timerace_core::policy::{Ended, Limits, Replay};
use timerace_core::record::record;
use timerace_core::step::conflict;
use timerace_core::{CtxId, Machine};

/// A small generator of its own: tests must not change when a library does.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
    fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }
}

fn step(d: &mut Draw, p: &Program, in_task: bool, me: usize) -> Op {
    let v = d.index(p.vars);
    let x = d.below(3);
    loop {
        return match d.below(26) {
            0..=2 => Op::Read(v),
            3..=4 => Op::Write(v, x),
            5 => Op::WriteReg(v, x),
            6 => Op::Add(v, 1),
            7 => Op::SkipUnless(x, 1 + d.index(2)),
            8 => Op::Lock(d.index(p.locks)),
            9 => Op::Unlock(d.index(p.locks)),
            10 => Op::TryLock(d.index(p.locks)),
            11 => Op::Free,
            12 => [Op::Use, Op::UseAdd][d.index(2)].clone(),
            13 if in_task => Op::RcuLock,
            14 if in_task => Op::RcuUnlock,
            15 if in_task => Op::Sync,
            16 => Op::WaitEq(v, x),
            17 => Op::WaitGe(v, x),
            18 => Op::WaitAnyEq(v, x, d.index(p.vars), d.below(3)),
            19 if in_task => {
                [Op::IrqOff, Op::IrqOn, Op::PreemptOff, Op::PreemptOn][d.index(4)].clone()
            }
            20 if !p.lines.is_empty() => Op::Arm(d.index(p.lines.len()), d.below(3)),
            21 if !p.lines.is_empty() => match d.below(2) {
                0 => Op::Cancel(d.index(p.lines.len())),
                _ if in_task || p.lines.len() > 1 && me != 0 => Op::WaitHandler(0),
                _ => continue,
            },
            22 if in_task => Op::Choose(2),
            23 if p.worker => Op::Queue(1 + x),
            24 => Op::Xchg(v, x),
            25 => Op::WaitAllZero(0, v),
            _ => continue,
        };
    }
}

/// A random program: 2 to 4 contexts.
fn program(seed: u64) -> Program {
    let d = &mut Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let cpus = 1 + d.below(3) as u16;
    let lines = d.index(3);
    let mut p = Program { cpus, vars: 3, locks: 2, worker: d.below(4) == 0, ..Program::default() };
    for l in 0..lines {
        p.lines.push((l as u16 % cpus, Vec::new()));
    }
    for l in 0..lines {
        // A handler must not arm itself for ever: it writes and waits only.
        let body = (0..1 + d.index(2)).map(|_| handler_step(d, &p, l)).collect();
        p.lines[l].1 = body;
    }
    let tasks = 2 + d.index(3 - usize::from(lines > 0));
    for t in 0..tasks {
        let len = 2 + d.index(4);
        let body = (0..len).map(|_| step(d, &p, true, t)).collect();
        p.tasks.push((d.below(u64::from(cpus)) as u16, body));
    }
    p
}

fn handler_step(d: &mut Draw, p: &Program, me: usize) -> Op {
    loop {
        let op = step(d, p, false, me);
        if !matches!(op, Op::Arm(..)) {
            return op;
        }
    }
}

fn stuck(exec: &Exec<'_, common::Toy>) -> BTreeSet<usize> {
    exec.stuck().iter().map(|c| c.index()).collect()
}

/// Every complete execution by sleep sets with every branch tried: the number of traces, and the outcomes.
struct Brute<'a> {
    machine: &'a Machine,
    toy: &'a common::Toy,
    traces: u64,
    outcomes: BTreeSet<Outcome>,
}

impl Brute<'_> {
    fn go(
        &mut self,
        exec: &mut Exec<'_, common::Toy>,
        path: &mut Vec<(CtxId, u8)>,
        sleep: u128,
    ) -> bool {
        let here = |exec: &mut Exec<'_, common::Toy>, path: &[(CtxId, u8)]| {
            exec.restart();
            for (c, a) in path {
                exec.step(*c, *a);
            }
        };
        here(exec, path);
        let mut ready = Vec::new();
        exec.ready(&mut ready);
        if ready.is_empty() {
            self.traces += 1;
            let stuck = stuck(exec);
            self.outcomes.insert(self.machine.with_mem(|m| outcome(self.toy, m, stuck)));
            return self.traces < 3_000;
        }
        let mut sleep = sleep;
        for c in ready.iter().copied() {
            if sleep & (1 << c.0) != 0 {
                continue;
            }
            here(exec, path);
            let fp = exec.footprint(c);
            let below = (0..128u16)
                .filter(|s| sleep & (1 << s) != 0)
                .filter(|s| !conflict(&exec.footprint(CtxId(*s)), &fp))
                .fold(0u128, |m, s| m | 1 << s);
            for alt in 0..exec.alternatives(c) {
                path.push((c, alt));
                let go_on = self.go(exec, path, below);
                path.pop();
                if !go_on {
                    return false;
                }
                here(exec, path);
            }
            sleep |= 1 << c.0;
        }
        true
    }
}

struct Collect<'a> {
    toy: &'a common::Toy,
    outcomes: BTreeSet<Outcome>,
    traces: BTreeSet<u64>,
    doubles: u64,
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
}

/// Compares one program; false if it is too big for the oracle.
fn check(p: &Program, preemptions: bool) -> bool {
    let oracle = Oracle::new(p);
    let Some(expected) = oracle.outcomes(30_000) else { return false };
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    let mut brute = Brute { machine: &machine, toy: &toy, traces: 0, outcomes: BTreeSet::new() };
    if !brute.go(&mut exec, &mut Vec::new(), 0) {
        return false;
    }
    assert_eq!(brute.outcomes, expected, "the engine and the oracle differ on {p:#?}");
    let mut seen =
        Collect { toy: &toy, outcomes: BTreeSet::new(), traces: BTreeSet::new(), doubles: 0 };
    let options = Options { keep_going: true, ..Options::default() };
    let r = explore(&mut exec, &options, &mut seen);
    assert!(r.complete);
    assert_eq!(seen.outcomes, expected, "outcomes lost on {p:#?}");
    assert_eq!(seen.doubles, 0, "a trace was run twice on {p:#?}");
    assert_eq!(r.schedules, brute.traces, "traces lost or doubled on {p:#?}");
    if preemptions && r.failing > 0 {
        let best = r
            .findings
            .iter()
            .map(|f| {
                let rec = record(&mut exec, &mut Replay::new(&f.schedule), Limits::default());
                assert!(rec.findings.iter().any(|x| x.class == f.class), "not shown again: {f:?}");
                rec.preemptions
            })
            .min();
        assert_eq!(best, oracle.fewest_preemptions(), "fewest preemptions on {p:#?}");
        let mut bounded = |n| explore_bounded(&mut exec, n, &Options::default(), &mut Ignore);
        let fewest = best.unwrap();
        assert!(bounded(fewest).failing > 0, "bounded by {fewest}: {p:#?}");
        if let Some(less) = fewest.checked_sub(1) {
            let r = bounded(less);
            assert!(r.failing == 0 && !r.complete, "bounded by {less}: {p:#?}");
        }
    }
    if preemptions && r.failing == 0 {
        let all = explore_bounded(&mut exec, 64, &Options::default(), &mut Ignore);
        assert!(all.failing == 0 && all.complete, "bounded by 64: {p:#?}");
    }
    true
}

/// How many programs: more on request (`TIMERACE_PROGRAMS=20000`).
fn programs() -> u64 {
    std::env::var("TIMERACE_PROGRAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_500)
}

#[test]
fn random_programs_agree_with_brute_force() {
    let n = programs();
    let done = (0..n).filter(|s| check(&program(*s), s % 4 == 0)).count();
    println!("{done} of {n} programs compared");
    assert!(done as u64 * 10 > n * 8, "only {done} of {n} were small enough");
}
