//! Data races: what KCSAN would call one, and what not.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Line, Op, Program, boot};
use timerace_core::Class;
use timerace_core::dpor::{Ignore, Options, explore};
use timerace_core::exec::Exec;
use timerace_core::machine::CtxKind;
use timerace_core::policy::{Limits, Replay};
use timerace_core::record::record;

/// The numbers of the two steps of the race, in the schedule that is shown.
fn race(p: &Program) -> Option<(u32, u32)> {
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    let options = Options { keep_going: true, ..Options::default() };
    let e = explore(&mut exec, &options, &mut Ignore);
    assert!(e.complete);
    let f = e.findings.iter().find(|f| f.class == Class::DataRace)?;
    assert_eq!(f.schedules > 0, e.failing > 0);
    let r = record(&mut exec, &mut Replay::new(&f.schedule), Limits::default());
    let f = r.findings.iter().find(|f| f.class == Class::DataRace).unwrap();
    assert_eq!(f.object.as_deref(), Some("v0"));
    Some((f.at.step, f.other.as_ref().unwrap().step))
}

fn two(a: Vec<Op>, b: Vec<Op>) -> Program {
    Program { cpus: 2, vars: 2, locks: 1, tasks: vec![(0, a), (1, b)], ..Program::default() }
}

#[test]
fn two_accesses_one_writes_one_is_plain() {
    let (plain, marked) = (Op::PlainWrite(0, 1), Op::Write(0, 1));
    assert_eq!(race(&two(vec![plain.clone()], vec![Op::PlainRead(0)])), Some((2, 1)));
    assert!(race(&two(vec![plain.clone()], vec![Op::Read(0)])).is_some());
    assert!(race(&two(vec![marked.clone()], vec![Op::PlainRead(0)])).is_some());
    assert!(race(&two(vec![plain.clone()], vec![plain.clone()])).is_some());
    assert_eq!(race(&two(vec![marked], vec![Op::Read(0)])), None, "both marked");
    assert_eq!(race(&two(vec![Op::PlainRead(0)], vec![Op::PlainRead(0)])), None, "nobody writes");
    assert_eq!(race(&two(vec![plain], vec![Op::PlainRead(1)])), None, "two objects");
}

#[test]
fn a_lock_orders() {
    let locked = |op: Op| vec![Op::Lock(0), op, Op::Unlock(0)];
    assert_eq!(race(&two(locked(Op::PlainWrite(0, 1)), locked(Op::PlainRead(0)))), None);
    assert!(race(&two(locked(Op::PlainWrite(0, 1)), vec![Op::PlainRead(0)])).is_some());
}

/// Publication by a flag, and the same without waiting for it.
#[test]
fn a_flag_orders_if_it_is_looked_at() {
    let publish = vec![Op::PlainWrite(0, 1), Op::Write(1, 1)];
    let wait = vec![Op::WaitEq(1, 1), Op::PlainRead(0)];
    let look = vec![Op::Read(1), Op::SkipUnless(1, 1), Op::PlainRead(0)];
    assert_eq!(race(&two(publish.clone(), wait)), None);
    assert_eq!(race(&two(publish.clone(), look)), None);
    assert!(race(&two(publish, vec![Op::Read(1), Op::PlainRead(0)])).is_some());
}

/// Who spins on a variable reads it, also while the value is not what he waits for.
#[test]
fn spinning_on_a_plain_write() {
    let spin = vec![Op::WaitGe(0, 2)];
    assert!(race(&two(vec![Op::PlainWrite(0, 2)], spin.clone())).is_some());
    assert!(race(&two(vec![Op::PlainWrite(0, 1)], spin.clone())).is_some(), "it spins for ever");
    assert!(race(&two(vec![Op::PlainWrite(0, 1), Op::Write(0, 2)], spin.clone())).is_some());
    assert_eq!(race(&two(vec![Op::Write(0, 2)], spin)), None);
    let after = vec![Op::WaitEq(1, 1), Op::WaitGe(0, 1)];
    assert_eq!(race(&two(vec![Op::PlainWrite(0, 1), Op::Write(1, 1)], after)), None);
}

#[test]
fn a_grace_period_orders() {
    let reader = |inside| {
        let read =
            [Op::RcuLock, Op::Read(1), Op::SkipUnless(0, 1), Op::PlainRead(0), Op::RcuUnlock];
        if inside { read.to_vec() } else { read[1..4].to_vec() }
    };
    let updater = vec![Op::Write(1, 1), Op::Sync, Op::PlainWrite(0, 1)];
    assert_eq!(race(&two(updater.clone(), reader(true))), None);
    assert!(race(&two(updater, reader(false))).is_some());
}

/// An interrupt of the same CPU comes in the middle of a plain access, unless it is off.
#[test]
fn an_interrupt_races_with_what_it_interrupts() {
    let with = |task: Vec<Op>, kind| Program {
        cpus: 1,
        vars: 1,
        tasks: vec![(0, [vec![Op::Arm(0, 1)], task].concat())],
        lines: vec![Line { cpu: 0, kind, body: vec![Op::PlainWrite(0, 7)] }],
        ..Program::default()
    };
    let read = Op::PlainRead(0);
    for kind in [CtxKind::Hardirq, CtxKind::Softirq, CtxKind::Nmi] {
        assert!(race(&with(vec![read.clone()], kind)).is_some(), "{kind:?}");
        let off = race(&with(vec![Op::IrqOff, read.clone(), Op::IrqOn], kind));
        assert_eq!(off.is_some(), kind == CtxKind::Nmi, "{kind:?}");
    }
    let preempt_off = vec![Op::PreemptOff, read.clone(), Op::PreemptOn];
    assert!(race(&with(preempt_off, CtxKind::Hardirq)).is_some());
    let bh_off = vec![Op::BhOff, read, Op::BhOn];
    assert_eq!(race(&with(bh_off, CtxKind::Softirq)), None);
}
