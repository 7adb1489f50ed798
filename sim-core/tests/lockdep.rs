//! Lock order and irq safety: what is found, what is not, and that it is the same for every engine.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Line, Op, Program, Toy, boot};
use timerace_core::bounded::explore_bounded;
use timerace_core::dpor::{Ignore, Observer, Options, explore};
use timerace_core::exec::Exec;
use timerace_core::exhaustive::{self, Team};
use timerace_core::machine::CtxKind;
use timerace_core::policy::{Limits, Random, Replay};
use timerace_core::record::{FindingRecord, record, record_after};
use timerace_core::result::{Exploration, Found};
use timerace_core::sample::sample;
use timerace_core::states::explore_states;
use timerace_core::{Class, Machine};

const ON: Options = Options {
    forgets: false,
    keep_going: true,
    max_schedules: None,
    max_memory: None,
    limits: Limits { steps: 100_000, expiries: 1_000 },
};

fn all(p: &Program) -> Exploration {
    let (machine, toy) = boot(p);
    explore(&mut Exec::new(&machine, &toy), &ON, &mut Ignore)
}

fn order(e: &Exploration) -> Vec<&Found> {
    e.findings.iter().filter(|f| f.class == Class::LockOrder).collect()
}

/// The finding as the record of its schedules shows it.
fn shown(p: &Program, f: &Found) -> FindingRecord {
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    let r = record_after(&mut exec, &f.before, &mut Replay::new(&f.schedule), Limits::default());
    r.findings.into_iter().find(|x| x.class == Class::LockOrder).unwrap()
}

fn nested(a: usize, b: usize) -> Vec<Op> {
    vec![Op::Lock(a), Op::Lock(b), Op::Unlock(b), Op::Unlock(a)]
}

fn tasks(bodies: Vec<Vec<Op>>) -> Program {
    let tasks: Vec<_> = bodies.into_iter().enumerate().map(|(i, b)| (i as u16, b)).collect();
    Program { cpus: tasks.len() as u16, vars: 1, locks: 3, tasks, ..Program::default() }
}

/// One task takes two locks in both orders: nothing can hang, and nothing does.
#[test]
fn both_orders_in_a_run_that_cannot_hang() {
    let p = tasks(vec![[nested(0, 1), nested(1, 0)].concat()]);
    let e = all(&p);
    assert_eq!((e.schedules, e.stuck, e.failing, e.complete), (1, 0, 0, true));
    let found = order(&e);
    assert_eq!(found.len(), 1);
    assert!(found[0].before.is_empty());
    let f = shown(&p, found[0]);
    assert_eq!((f.at.step, f.other.as_ref().unwrap().step), (6, 2));
    let arrows: Vec<_> = f
        .locks
        .iter()
        .map(|a| (a.from.as_str(), a.to.as_str(), a.held.step, a.taken.step))
        .collect();
    assert_eq!(arrows, [("L0", "L1", 1, 2), ("L1", "L0", 5, 6)]);
}

#[test]
fn one_order_is_fine_and_so_is_one_lock_after_the_other() {
    let chain = tasks(vec![nested(0, 1), nested(0, 1), nested(1, 2)]);
    assert!(order(&all(&chain)).is_empty());
    let one_by_one = vec![Op::Lock(1), Op::Unlock(1), Op::Lock(0), Op::Unlock(0)];
    assert!(order(&all(&tasks(vec![nested(0, 1), one_by_one]))).is_empty());
}

#[test]
fn three_locks_in_a_circle() {
    let p = tasks(vec![[nested(0, 1), nested(1, 2), nested(2, 0)].concat()]);
    let e = all(&p);
    let f = shown(&p, order(&e)[0]);
    let circle: Vec<_> = f.locks.iter().map(|a| a.to.as_str()).collect();
    assert_eq!(circle, ["L1", "L2", "L0"]);
}

/// Where a run does hang, the deadlock is the finding, and the order is not said again.
#[test]
fn a_deadlock_is_not_said_twice() {
    let e = all(&tasks(vec![nested(0, 1), nested(1, 0)]));
    let classes: Vec<_> = e.findings.iter().map(|f| f.class).collect();
    assert_eq!(classes, [Class::Deadlock]);
    // The graph has both orders all the same.
    let edges: Vec<_> = e.locks.edges.iter().map(|x| (x.from.as_str(), x.to.as_str())).collect();
    assert_eq!(edges, [("L0", "L1"), ("L1", "L0")]);
}

/// A trylock waits for nobody, so it makes no order; what is waited for under it does.
#[test]
fn trylocks() {
    let tried = |a, b| {
        vec![Op::Lock(a), Op::TryLock(b), Op::SkipUnless(1, 1), Op::Unlock(b), Op::Unlock(a)]
    };
    let p = tasks(vec![[nested(0, 1), tried(1, 0)].concat()]);
    assert!(order(&all(&p)).is_empty());
    let under = |a, b| {
        vec![Op::TryLock(a), Op::SkipUnless(1, 3), Op::Lock(b), Op::Unlock(b), Op::Unlock(a)]
    };
    let p = tasks(vec![[nested(0, 1), under(1, 0)].concat()]);
    assert_eq!(order(&all(&p)).len(), 1);
}

/// Which order a task takes depends on a choice: no schedule has both.
#[test]
fn orders_of_different_executions() {
    let mut body = vec![Op::Choose(2), Op::SkipUnless(0, 4)];
    body.extend(nested(0, 1));
    body.push(Op::SkipUnless(1, 4));
    body.extend(nested(1, 0));
    let p = tasks(vec![body]);
    let e = all(&p);
    assert_eq!((e.schedules, e.failing), (2, 0));
    let found = order(&e);
    assert_eq!((found.len(), found[0].before.len()), (1, 1));
    let f = shown(&p, found[0]);
    assert!(f.at.step > 0 && f.other.unwrap().step == 0, "the other place is in another run");
}

fn with_handler(kind: CtxKind, task: Vec<Op>, handler: Vec<Op>) -> Program {
    let line = Line { cpu: 0, kind, body: handler };
    let arm = (1, vec![Op::Arm(0, 1)]);
    Program {
        cpus: 2,
        vars: 1,
        locks: 2,
        tasks: vec![(1, task), arm],
        lines: vec![line],
        ..Program::default()
    }
}

/// The interrupt comes on CPU 0 and the task runs on CPU 1, so nothing hangs; a machine makes no such difference.
#[test]
fn a_lock_of_an_interrupt_taken_with_interrupts_on() {
    let lock = vec![Op::Lock(0), Op::Unlock(0)];
    let off = [vec![Op::IrqOff], lock.clone(), vec![Op::IrqOn]].concat();
    let bh = [vec![Op::BhOff], lock.clone(), vec![Op::BhOn]].concat();
    let bad = |kind, task: &Vec<Op>| {
        let p = with_handler(kind, task.clone(), lock.clone());
        let e = all(&p);
        assert_eq!(e.stuck, 0);
        order(&e).first().map(|f| shown(&p, f))
    };
    let f = bad(CtxKind::Hardirq, &lock).unwrap();
    assert_eq!(f.locks[0].interrupt, Some("hard interrupt"));
    assert_eq!(bad(CtxKind::Softirq, &lock).unwrap().locks[0].interrupt, Some("softirq"));
    assert_eq!(bad(CtxKind::Nmi, &off).unwrap().locks[0].interrupt, Some("NMI"));
    assert!(bad(CtxKind::Hardirq, &bh).is_some(), "a hard interrupt comes with softirqs off");
    for (kind, task) in
        [(CtxKind::Hardirq, &off), (CtxKind::Softirq, &off), (CtxKind::Softirq, &bh)]
    {
        assert!(bad(kind, task).is_none(), "{kind:?}");
    }
}

/// lockdep's second rule: the interrupt takes A; somebody waits for B under A; B is taken with interrupts on.
#[test]
fn an_unsafe_lock_under_a_safe_one() {
    let body = |unsafe_too: bool| {
        let mut body = vec![Op::IrqOff];
        body.extend(nested(0, 1));
        body.push(Op::IrqOn);
        body.extend(if unsafe_too { vec![Op::Lock(1), Op::Unlock(1)] } else { vec![] });
        body
    };
    let handler = vec![Op::Lock(0), Op::Unlock(0)];
    assert!(order(&all(&with_handler(CtxKind::Hardirq, body(false), handler.clone()))).is_empty());
    let p = with_handler(CtxKind::Hardirq, body(true), handler);
    let e = all(&p);
    let f = shown(&p, order(&e)[0]);
    let arrows: Vec<_> =
        f.locks.iter().map(|a| (a.from.as_str(), a.to.as_str(), a.interrupt)).collect();
    assert_eq!(arrows, [("L0", "L1", None), ("L1", "L0", Some("hard interrupt"))]);
    let marks: Vec<_> = e.locks.classes.iter().map(|c| (c.name.as_str(), c.marks())).collect();
    assert_eq!(marks, [("L0", "-.".to_string()), ("L1", "++".to_string())]);
}

/// Facts depend on nothing but what each context does: every engine has the same, and finds the same.
#[test]
fn every_engine_finds_the_same() {
    let chatter = vec![Op::Add(0, 1), Op::Lock(2), Op::Add(0, 1), Op::Unlock(2)];
    let one = [nested(0, 1), chatter.clone()].concat();
    let p = tasks(vec![[one, nested(1, 0)].concat(), chatter.clone(), chatter]);
    let (machine, toy) = boot(&p);
    let mut exec = Exec::new(&machine, &toy);
    let keys = |e: &Exploration| {
        let f = e.findings.iter().map(|f| (f.class, f.functions.clone())).collect::<Vec<_>>();
        (f, e.locks.clone())
    };
    let traces = explore(&mut exec, &ON, &mut Ignore);
    assert_eq!(order(&traces).len(), 1);
    let states = explore_states(&mut exec, false, &ON, &mut Ignore);
    let bounded = explore_bounded(&mut exec, 9, &ON, &mut Ignore);
    let some = Options { max_schedules: Some(3), ..ON };
    let drawn = sample(&mut exec, "random", &mut Random::new(1), &some, &mut Ignore);
    for e in [&states, &bounded, &drawn] {
        assert_eq!(keys(e), keys(&traces), "{:?}", e.engine);
    }
    struct Crew(Program);
    impl Team for Crew {
        type Model = Toy;
        type Seen = ();
        fn boot(&self) -> (Machine, Toy) {
            boot(&self.0)
        }
        fn observe(&self, _: &Toy, search: &mut dyn FnMut(&mut dyn Observer)) {
            search(&mut Ignore);
        }
    }
    for threads in [1, 3] {
        let (e, _) = exhaustive::explore(&Crew(p.clone()), threads, true, &ON);
        assert_eq!(keys(&e), keys(&traces));
    }
    // A replay finds it at the same steps.
    let f = order(&traces)[0];
    let r = record(&mut exec, &mut Replay::new(&f.schedule), Limits::default());
    assert_eq!(r.findings.iter().filter(|x| x.class == Class::LockOrder).count(), 1);
}
