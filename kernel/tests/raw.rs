//! Raw steps of scenarios, with the numbers of schedules that are known for them.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use timerace_kernel::World;
use timerace_kernel::world::*;

fn var(w: &mut World, name: &str, kind: VarKind) -> VarId {
    w.vars.push(VarDef { name: name.into(), kind, at: LineId(0) });
    VarId(w.vars.len() as u32 - 1)
}

fn write(v: VarId, n: i64) -> Op {
    let to = Place::Var(v);
    op(OpKind::Write { order: Order::Once, to, value: Operand::Int(n) })
}

fn is(v: VarId, n: i64) -> Cond {
    Cond::Cmp(Operand::Place(Place::Var(v)), CmpOp::Eq, Operand::Int(n))
}

#[test]
fn ring_of_three() {
    let mut w = World::new("ring", kernel("v6.9"), 3);
    let v: Vec<VarId> =
        (0..3).map(|i| var(&mut w, &format!("running{i}"), VarKind::Int(0))).collect();
    for i in 0..3 {
        let wait = op(OpKind::WaitUntil(is(v[(i + 1) % 3], 0)));
        task(&mut w, &format!("p{i}"), i as u16, vec![write(v[i], 1), wait, write(v[i], 0)]);
    }
    let x = search(&w);
    assert_eq!((x.schedules, x.failing, x.stuck), (7, 1, 1));
    assert_eq!(x.findings[0].class.name(), "DEADLOCK");
}

/// R07 in raw steps: one context frees, one cancels.
fn freer_and_canceller(fixed: bool) -> World {
    let mut w = World::new("r07-raw", kernel("v6.9"), 2);
    let word = FieldDef { name: "word".into(), offset: 0, size: 8, kind: FieldKind::Unsigned };
    w.types.push(TypeDef { name: "obj".into(), size: 8, fields: vec![word] });
    let lock = var(&mut w, "L", VarKind::RawSpinlock);
    let slot = Place::Var(var(&mut w, "slot", VarKind::New(TypeIx(0))));
    let (p, r) = (LocalId(0), LocalId(1));
    let member = Place::Member(p, FieldIx(0));
    let found = || Cond::Cmp(Operand::Local(p), CmpOp::Ne, Operand::Null);
    let count = || op(OpKind::FetchAdd { into: r, on: member, by: Operand::Int(1) });
    let free = if fixed { OpKind::CallRcuFree(p) } else { OpKind::Free(p) };
    let freer = vec![
        op(OpKind::Lock(lock)),
        op(OpKind::Xchg { into: p, on: slot, value: Operand::Null }),
        op(OpKind::Unlock(lock)),
        op(OpKind::If { cond: found(), then: vec![count(), op(free)], otherwise: vec![] }),
    ];
    let read = |into, from| op(OpKind::Read { order: Order::Once, into, from });
    let mut canceller = vec![
        op(OpKind::Lock(lock)),
        read(p, slot),
        op(OpKind::Unlock(lock)),
        op(OpKind::If { cond: found(), then: vec![count(), read(r, member)], otherwise: vec![] }),
    ];
    if fixed {
        canceller.insert(0, op(OpKind::RcuReadLock));
        canceller.push(op(OpKind::RcuReadUnlock));
    }
    task(&mut w, "freer", 0, freer);
    task(&mut w, "canceller", 1, canceller);
    w.tasks.iter_mut().for_each(|t| t.body.locals = vec!["p".into(), "r".into()]);
    w
}

#[test]
fn free_and_use_in_raw_steps() {
    let x = search(&freer_and_canceller(false));
    assert_eq!((x.schedules, x.failing), (7, 3));
    let f = &x.findings[0];
    assert_eq!(
        (f.class.name(), &f.functions[0][..], &f.functions[1][..]),
        ("USE_AFTER_FREE", "canceller", "freer")
    );
    let x = search(&freer_and_canceller(true));
    assert_eq!(x.failing, 0, "{:?}", x.findings);
}

#[test]
fn what_the_steps_find() {
    let class = |ops: &dyn Fn(&mut World) -> Vec<Op>| -> Vec<String> {
        let mut w = World::new("one", kernel("v6.9"), 1);
        let body = ops(&mut w);
        task(&mut w, "t", 0, body);
        w.tasks[0].body.locals = vec!["p".into(), "r".into()];
        search(&w).findings.iter().map(|f| f.class.name().to_string()).collect()
    };
    let no = Cond::Cmp(Operand::Int(1), CmpOp::Eq, Operand::Int(2));
    assert_eq!(class(&|_| vec![op(OpKind::Assert(no.clone()))]), ["ASSERTION"]);
    let sleeps = |_: &mut World| {
        vec![op(OpKind::Context(ContextOp::PreemptDisable)), op(OpKind::Sleep(Ns::fixed(1)))]
    };
    assert_eq!(class(&sleeps), ["SLEEP_IN_ATOMIC"]);
    let below = |w: &mut World| {
        let on = Place::Var(var(w, "refs", VarKind::Refcount(0)));
        vec![op(OpKind::FetchAdd { into: LocalId(1), on, by: Operand::Int(-1) })]
    };
    assert_eq!(class(&below), ["REFCOUNT"]);
    let raw = |w: &mut World| {
        w.types.push(TypeDef { name: "obj".into(), size: 0, fields: vec![] });
        TypeIx(0)
    };
    let twice = |w: &mut World| {
        let p = LocalId(0);
        let ty = raw(w);
        vec![op(OpKind::Alloc(p, ty)), op(OpKind::Free(p)), op(OpKind::Free(p))]
    };
    assert_eq!(class(&twice), ["DOUBLE_FREE"]);
    let lost = |w: &mut World| {
        let ty = raw(w);
        vec![op(OpKind::Alloc(LocalId(0), ty))]
    };
    assert_eq!(class(&lost), ["LEAK"]);
    let locked = |w: &mut World| {
        let l = var(w, "L", VarKind::RawSpinlock);
        vec![op(OpKind::Lock(l)), op(OpKind::Lock(l))]
    };
    assert_eq!(class(&locked), ["SELF_DEADLOCK"]);
}

/// What is read and never asked for is no part of a state; nothing else changes.
#[test]
fn locals_that_nobody_reads_are_forgotten() {
    use timerace_core::dpor::{Ignore, Options, explore};
    use timerace_core::exec::Exec;
    use timerace_core::states::explore_states;
    let search = |fixed: bool, asked: bool| {
        let mut w = freer_and_canceller(fixed);
        if asked {
            let r = Operand::Local(LocalId(1));
            let any = Cond::Cmp(r, CmpOp::Ne, Operand::Int(-1));
            w.tasks.iter_mut().for_each(|t| t.body.ops.push(op(OpKind::Assert(any.clone()))));
        }
        let (machine, model) = timerace_kernel::boot(&w, false).unwrap();
        let mut exec = Exec::new(&machine, &model);
        let options = Options { keep_going: true, ..Options::default() };
        let states = explore_states(&mut exec, false, &options, &mut Ignore);
        let traces = explore(&mut exec, &options, &mut Ignore);
        assert!(states.complete && traces.complete);
        assert_eq!(states.state_digest, traces.state_digest);
        let classes = |x: &timerace_core::result::Exploration| {
            x.findings.iter().map(|f| f.class).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(classes(&states), classes(&traces));
        (states.states, traces.schedules, traces.failing, traces.trace_digest)
    };
    for fixed in [false, true] {
        let (kept, forgotten) = (search(fixed, true), search(fixed, false));
        assert!(forgotten.0 < kept.0, "{} states, {}", forgotten.0, kept.0);
        assert_eq!((forgotten.1, forgotten.2, forgotten.3), (kept.1, kept.2, kept.3));
    }
}
