//! Grace periods that cannot end.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Op, Program, boot};
use timerace_core::Class;
use timerace_core::dpor::{Ignore, Options, explore};
use timerace_core::exec::Exec;
use timerace_core::policy::{Limits, Replay};
use timerace_core::record::record;

fn found(tasks: Vec<Vec<Op>>) -> Vec<(Class, Vec<(u16, u16)>)> {
    let tasks: Vec<_> = tasks.into_iter().enumerate().map(|(i, b)| (i as u16, b)).collect();
    let p = Program { cpus: tasks.len() as u16, vars: 1, locks: 1, tasks, ..Program::default() };
    let (machine, toy) = boot(&p);
    let mut exec = Exec::new(&machine, &toy);
    let options = Options { keep_going: true, ..Options::default() };
    let e = explore(&mut exec, &options, &mut Ignore);
    assert!(e.complete);
    let mut shown = |f: &timerace_core::result::Found| {
        let r = record(&mut exec, &mut Replay::new(&f.schedule), Limits::default());
        let f = r.findings.iter().find(|x| x.class == f.class).unwrap();
        (f.class, f.waits.iter().map(|w| (w.waiter.0, w.holder.0)).collect())
    };
    e.findings.iter().map(&mut shown).collect()
}

/// The reader waits for a lock whose holder waits for the reader.
#[test]
fn a_grace_period_under_a_lock_that_readers_take() {
    let updater = vec![Op::Lock(0), Op::Sync, Op::Unlock(0)];
    let reader = vec![Op::RcuLock, Op::Lock(0), Op::Unlock(0), Op::RcuUnlock];
    let stall = found(vec![updater.clone(), reader]);
    assert_eq!(stall, [(Class::RcuStall, vec![(0, 1), (1, 0)])]);
    let short = vec![Op::RcuLock, Op::RcuUnlock, Op::Lock(0), Op::Unlock(0)];
    assert_eq!(found(vec![updater, short]), []);
}

/// The reader spins for what the updater does after the grace period. Nobody has written that yet, so there is no circle to
/// be seen.
#[test]
fn a_reader_that_spins_for_the_updater() {
    let updater = vec![Op::Sync, Op::Write(0, 1)];
    let reader = vec![Op::RcuLock, Op::WaitEq(0, 1), Op::RcuUnlock];
    let stall = found(vec![updater, reader]);
    assert_eq!(stall, [(Class::RcuStall, vec![(0, 1)])]);
}

/// Readers that cannot go on for another reason are a deadlock, whoever waits for them.
#[test]
fn a_deadlock_of_readers_is_a_deadlock() {
    let a = vec![Op::RcuLock, Op::Lock(0), Op::Lock(0), Op::RcuUnlock];
    let classes: Vec<_> = found(vec![a, vec![Op::Sync]]).iter().map(|f| f.0).collect();
    assert_eq!(classes, [Class::SelfDeadlock]);
}
