//! Known numbers of inequivalent schedules.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Op, Program, boot};
use timerace_core::dpor::{Ignore, Options, explore};
use timerace_core::exec::Exec;
use timerace_core::result::Exploration;

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
    Program { cpus: n as u16, vars: n, locks: 1, tasks, ..Program::default() }
}

#[test]
fn a_ring_of_n_has_two_to_the_n_minus_one() {
    for n in 2..=8 {
        let r = all(&ring(n));
        assert_eq!((r.schedules, r.stuck, r.blocked), ((1 << n) - 1, 1, 0), "n = {n}");
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
