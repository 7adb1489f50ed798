//! Known numbers of inequivalent schedules.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Op, Oracle, Program, Toy, boot};
use timerace_core::dpor::{Ignore, Observer, Options, explore, explore_every_branch};
use timerace_core::ends::MOST_ENDS;
use timerace_core::exec::Exec;
use timerace_core::exhaustive::{self, Team};
use timerace_core::policy::{Limits, Replay};
use timerace_core::record::record;
use timerace_core::result::{Engine, Exploration};
use timerace_core::states::explore_states;
use timerace_core::{Class, Machine};

fn all(p: &Program) -> Exploration {
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    let options = Options { keep_going: true, ..Options::default() };
    let r = explore(&mut exec, &options, &mut Ignore);
    assert!(r.complete);
    r
}

/// Each marks itself running, waits until the next one's callback has ended, then ends.
fn ring(n: usize) -> Program {
    let task = |i: usize| {
        let body = vec![Op::Write(i, 1), Op::WaitEq((i + 1) % n, 0), Op::Write(i, 0)];
        (i as u16, body)
    };
    Program { cpus: n as u16, vars: n, tasks: (0..n).map(task).collect(), ..Program::default() }
}

/// R07 in raw steps: one frees, n - 1 cancel. Variable 0 is the slot (0: the pointer, 1: NULL), the others
/// are flags.
fn uaf(n: usize, fixed: bool) -> Program {
    let mut freer = vec![Op::Lock(0), Op::Xchg(0, 1), Op::Unlock(0), Op::UseAdd];
    if fixed {
        freer.push(Op::WaitAllZero(1, n - 1));
    }
    freer.push(Op::Free);
    let mut tasks = vec![(0, freer)];
    for i in 1..n {
        let mut body = vec![Op::Lock(0), Op::Read(0), Op::Unlock(0), Op::SkipUnless(0, 2)];
        body.extend([Op::UseAdd, Op::Use]);
        if fixed {
            body.insert(0, Op::Write(i, 1));
            body.push(Op::Write(i, 0));
        }
        tasks.push((i as u16, body));
    }
    let orbit = if fixed { (1..n).map(|i| (i, i)).collect() } else { Vec::new() };
    Program { cpus: n as u16, vars: n, locks: 1, tasks, orbit, ..Program::default() }
}

#[test]
fn a_ring_of_n_has_two_to_the_n_minus_one() {
    for n in 2..=12 {
        let r = all(&ring(n));
        assert_eq!((r.schedules, r.stuck, r.blocked), ((1 << n) - 1, 1, 0), "n = {n}");
    }
}

/// So many schedules, and so many of them with a finding, end in each final state, and the schedule that is kept of it does.
#[test]
fn schedules_are_counted_by_where_they_end() {
    let writers = |n: usize| {
        let task = |i: usize| (i as u16, vec![Op::Write(0, i as u64 + 1)]);
        Program { cpus: n as u16, vars: 1, tasks: (0..n).map(task).collect(), ..Program::default() }
    };
    // Who writes last, with all orders of the others. And: the cancel sees the pointer, then its two uses come before, between
    // and after the two steps of the other; or it sees none.
    for (p, expected) in [(writers(4), vec![(6, 0); 4]), (uaf(2, false), vec![(6, 3), (1, 0)])] {
        let (machine, toy) = boot(&p);
        let mut exec = Exec::new(&machine, &toy);
        let options = Options { keep_going: true, ..Options::default() };
        let r = explore(&mut exec, &options, &mut Ignore);
        let counts: Vec<_> = r.ends.iter().map(|e| (e.schedules, e.failing)).collect();
        assert_eq!(counts, expected);
        let states: std::collections::BTreeSet<u64> = r
            .ends
            .iter()
            .map(|e| record(&mut exec, &mut Replay::new(&e.schedule), Limits::default()).state)
            .collect();
        assert_eq!((states.len(), r.final_states), (r.ends.len(), r.ends.len() as u64));
        let failing = r.ends.iter().filter(|e| e.failing > 0);
        failing.for_each(|e| assert_eq!(e.classes, [Class::UseAfterFree].into()));
    }
}

#[test]
fn too_many_final_states_are_not_told_apart() {
    // Pairs that write a variable of their own: each doubles the number.
    let pairs = |n: usize| {
        let task = |i: usize| (i as u16, vec![Op::Write(i / 2, i as u64 % 2 + 1)]);
        let tasks = (0..2 * n).map(task).collect();
        Program { cpus: 2 * n as u16, vars: n, tasks, ..Program::default() }
    };
    for (n, kept) in [(8, MOST_ENDS), (9, 0)] {
        let r = all(&pairs(n));
        assert_eq!((r.final_states, r.ends.len()), (1 << n, kept));
        assert!(r.ends.iter().all(|e| e.schedules == 1));
    }
}

/// The same traces with every branch tried, so that no race need be found.
fn counted(p: &Program) -> Exploration {
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    let options = Options { keep_going: true, ..Options::default() };
    explore_every_branch(&mut exec, &options, &mut Ignore)
}

/// Where no number is known from elsewhere: traces as many as without the reduction, and so many of a hundred executions in
/// vain at most. With store buffers source sets give more executions up.
#[test]
fn executions_in_vain_stay_few_on_larger_patterns() {
    let sizes = [
        ("R07, n = 4", uaf(4, false), 1),
        ("R07 fixed, n = 4", uaf(4, true), 1),
        ("R09, n = 5", counted_ring(5, 0, false), 20),
        ("R09 under TSO, n = 4", counted_ring(4, 4, false), 40),
        ("R09 with a barrier under TSO, n = 3", counted_ring(3, 4, true), 40),
    ];
    for (name, p, most) in sizes {
        let (r, truth) = (all(&p), counted(&p));
        println!("{name}: {} schedules, {} failing, {} blocked", r.schedules, r.failing, r.blocked);
        let of =
            |e: &Exploration| (e.schedules, e.failing, e.stuck, e.trace_digest, e.state_digest);
        assert_eq!(of(&r), of(&truth), "{name}");
        assert!(100 * r.blocked <= most * r.schedules, "{name}: {} in vain", r.blocked);
    }
}

#[test]
fn one_freer_and_cancellers() {
    let r = all(&uaf(2, false));
    assert_eq!((r.schedules, r.failing, r.blocked), (7, 3, 0));
    let r = all(&uaf(3, false));
    assert_eq!((r.schedules, r.failing, r.blocked), (154, 102, 0));
}

#[test]
fn the_repaired_pattern_never_fails() {
    for (n, schedules) in [(2, 5), (3, 62)] {
        let r = all(&uaf(n, true));
        assert_eq!((r.schedules, r.failing, r.blocked), (schedules, 0, 0), "n = {n}");
    }
    let r = all(&uaf(4, true));
    assert!(r.failing == 0 && r.blocked * 5 <= r.schedules, "{} blocked", r.blocked);
}

/// States of the repaired pattern: as many as there are, and fewer with interchangeable cancellers.
#[test]
fn states_and_interchangeable_cancellers() {
    for (n, states, orbits) in [(2, 50, 50), (3, 350, 195)] {
        let mut p = uaf(n, true);
        // The oracle does not know the object's word.
        for op in p.tasks.iter_mut().flat_map(|t| &mut t.1).filter(|op| **op == Op::UseAdd) {
            *op = Op::Use;
        }
        assert_eq!(Oracle::new(&p).explore(10_000).unwrap().1, states, "n = {n}");
        let (machine, toy) = boot(&p);
        let mut exec = Exec::new(&machine, &toy);
        let mut count = |symmetry| {
            let r = explore_states(&mut exec, symmetry, &Options::default(), &mut Ignore);
            assert!(r.complete && r.failing == 0);
            r.states as usize
        };
        assert_eq!((count(false), count(true)), (states, orbits), "n = {n}");
    }
}

/// A team that looks at nothing.
struct Alone(Program);

impl Team for Alone {
    type Model = Toy;
    type Seen = ();
    fn boot(&self) -> (Machine, Toy) {
        boot(&self.0)
    }
    fn observe(&self, _: &Toy, search: &mut dyn FnMut(&mut dyn Observer)) {
        search(&mut Ignore);
    }
}

/// What one engine cannot finish in its turn, the other can: the answer names it.
#[test]
fn the_engine_that_is_through_first_answers() {
    let answer = |n: usize, keep_going| {
        let options = Options { keep_going, ..Options::default() };
        exhaustive::explore(&Alone(uaf(n, true)), 1, true, &options).0
    };
    let small = answer(3, true);
    assert_eq!((small.engine, small.schedules, small.complete), (Engine::Traces, 62, true));
    let big = answer(6, true);
    assert_eq!((big.engine, big.failing, big.complete), (Engine::States, 0, true));
    assert!(big.states < 20_000, "{} states", big.states);
}

/// Each counts itself on the next one's counter and waits for the next one's callback unless it is counted itself: the
/// check against mutual cancel. Variables: who runs, then counters.
fn counted_ring(n: usize, slots: u32, barrier: bool) -> Program {
    let task = |i: usize| {
        let next = (i + 1) % n;
        let mut body = vec![Op::Write(i, 1), Op::Write(n + next, 1)];
        if barrier {
            body.push(Op::Mb);
        }
        body.extend([Op::Read(n + i), Op::SkipUnless(0, 1), Op::WaitEq(next, 0)]);
        body.extend([Op::Write(n + next, 0), Op::Write(i, 0)]);
        (i as u16, body)
    };
    let tasks = (0..n).map(task).collect();
    Program { cpus: n as u16, vars: 2 * n, slots, tasks, ..Program::default() }
}

#[test]
fn without_a_barrier_stores_pass_loads() {
    for (n, schedules) in [(2, 13), (3, 57)] {
        let r = all(&counted_ring(n, 4, false));
        assert_eq!((r.schedules, r.stuck, r.failing), (schedules, 1, 1), "n = {n}");
    }
    for n in 2..=4 {
        let (machine, toy) = boot(&counted_ring(n, 4, false));
        let mut exec = Exec::new(&machine, &toy);
        let r = explore(&mut exec, &Options::default(), &mut Ignore);
        assert_eq!(r.findings.len(), 1, "n = {n}");
        let shown = record(&mut exec, &mut Replay::new(&r.findings[0].schedule), Limits::default());
        assert_eq!((shown.findings[0].class, shown.preemptions), (Class::Deadlock, 1), "n = {n}");
        assert_eq!(all(&counted_ring(n, 4, true)).failing, 0, "with the barrier, n = {n}");
        assert_eq!(all(&counted_ring(n, 0, false)).failing, 0, "without store buffers, n = {n}");
    }
}
