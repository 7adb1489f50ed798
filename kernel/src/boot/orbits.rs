//! Tasks that can be told apart by nothing but their names, found by comparing what the scenario declares.
//!
//! Two tasks of raw steps are interchangeable if the world is the same after exchanging them, their CPUs, and the
//! variables in which their bodies differ. Only worlds of raw steps are looked at, in which no value and no local names a
//! context: whatever calls the kernel, allocates or waits for grace periods is left alone.

use crate::kernel::Kernel;
use crate::world::{Cond, LineId, Op, OpKind, Operand, Place, TaskDef, VarId, VarKind, World};
use std::collections::BTreeMap;
use timerace_core::machine::{Member, Orbit};
use timerace_core::{CpuId, CtxId, Setup};

/// Which variable takes whose place.
type Renaming = BTreeMap<VarId, VarId>;

/// Declares the orbits of a world. To be called when its contexts and variables are there.
pub(super) fn orbits(setup: &mut Setup, k: &Kernel) {
    let w = &k.world;
    let other = !w.progs.is_empty() || !w.maps.is_empty() || !w.cpu_events.is_empty();
    // Contexts beside the tasks belong to what is left alone.
    if other || setup.contexts().len() != w.tasks.len() || !w.tasks.iter().all(is_simple) {
        return;
    }
    let bodies: Vec<Vec<Op>> = w.tasks.iter().map(|t| normal(&t.body.ops)).collect();
    let mut taken = vec![false; w.tasks.len()];
    for first in 0..w.tasks.len() {
        if taken[first] || !alone(w, first) {
            continue;
        }
        let mut members = vec![first];
        let mut own: Vec<Vec<VarId>> = Vec::new();
        for other in first + 1..w.tasks.len() {
            let Some(names) = exchange(w, &bodies, first, other) else { continue };
            let mine: Vec<VarId> = differing(&bodies[first], &names);
            let theirs = mine.iter().map(|v| names[v]).collect();
            match own.first() {
                None => own.extend([mine, theirs]),
                Some(known) if *known == mine => own.push(theirs),
                Some(_) => continue,
            }
            members.push(other);
        }
        if members.len() < 2 {
            continue;
        }
        let member = |(t, own): (&usize, &Vec<VarId>)| {
            let vars = own.iter().flat_map(|v| k.vars[v.index()].objs.iter().copied());
            let cpu = setup.own(CpuId(w.tasks[*t].cpu));
            Member { contexts: vec![CtxId(*t as u16)], objects: vars.chain([cpu]).collect() }
        };
        let all = members.iter().zip(&own).map(member).collect();
        setup.interchangeable(Orbit { members: all });
        members.iter().for_each(|t| taken[*t] = true);
    }
}

fn is_simple(t: &TaskDef) -> bool {
    fn simple(ops: &[Op]) -> bool {
        ops.iter().all(|op| match &op.kind {
            OpKind::If { then, otherwise, .. } => simple(then) && simple(otherwise),
            OpKind::Repeat { body, .. } => simple(body),
            OpKind::Assert(_)
            | OpKind::Work(_)
            | OpKind::Read { .. }
            | OpKind::Write { .. }
            | OpKind::FetchAdd { .. }
            | OpKind::Xchg { .. }
            | OpKind::Cmpxchg { .. }
            | OpKind::Barrier(_)
            | OpKind::Lock(_)
            | OpKind::Unlock(_)
            | OpKind::Trylock(..)
            | OpKind::LockIrqsave(_)
            | OpKind::UnlockIrqrestore(_)
            | OpKind::Context(_)
            | OpKind::Free(_)
            | OpKind::WaitUntil(_)
            | OpKind::SleepUntil(_) => true,
            _ => false,
        })
    }
    !t.blocked && simple(&t.body.ops)
}

/// Whether no other task is on its CPU.
fn alone(w: &World, task: usize) -> bool {
    w.tasks.iter().filter(|t| t.cpu == w.tasks[task].cpu).count() == 1
}

/// The renaming of variables that exchanges two tasks and leaves the world as it is.
fn exchange(w: &World, bodies: &[Vec<Op>], a: usize, b: usize) -> Option<Renaming> {
    let (x, y) = (&w.tasks[a], &w.tasks[b]);
    if !alone(w, b) || (x.sched, x.cap_bpf, x.memcg) != (y.sched, y.cap_bpf, y.memcg) {
        return None;
    }
    let (mine, theirs) = (variables(&bodies[a]), variables(&bodies[b]));
    if mine.len() != theirs.len() {
        return None;
    }
    let mut names = Renaming::new();
    for (v, u) in mine.iter().zip(&theirs) {
        for (from, to) in [(v, u), (u, v)] {
            if *names.entry(*from).or_insert(*to) != *to {
                return None;
            }
        }
        let (kind, other) = (w.vars[v.index()].kind, w.vars[u.index()].kind);
        if kind != other || matches!(kind, VarKind::PerCpu(_)) || (v != u && names_object(kind)) {
            return None;
        }
    }
    let same = (0..bodies.len()).all(|t| {
        let image = if t == a {
            b
        } else if t == b {
            a
        } else {
            t
        };
        renamed(&bodies[t], &names) == bodies[image]
    });
    same.then_some(names)
}

/// A pointer to an object of its own: the object would have to be exchanged as well.
fn names_object(kind: VarKind) -> bool {
    matches!(kind, VarKind::New(_))
}

/// The variables of a body that the renaming moves, in the order in which they occur.
fn differing(body: &[Op], names: &Renaming) -> Vec<VarId> {
    let mut own = Vec::new();
    for v in variables(body) {
        if names[&v] != v && !own.contains(&v) {
            own.push(v);
        }
    }
    own
}

/// A body without places in the source, its conjunctions in one order.
fn normal(ops: &[Op]) -> Vec<Op> {
    let mut ops = ops.to_vec();
    each(&mut ops, &mut |op| {
        op.at = LineId::default();
        op.text.clear();
        sort(op);
    });
    ops
}

fn renamed(ops: &[Op], names: &Renaming) -> Vec<Op> {
    let mut ops = ops.to_vec();
    each(&mut ops, &mut |op| {
        each_variable(op, &mut |v| *v = names.get(v).copied().unwrap_or(*v));
        sort(op);
    });
    ops
}

fn variables(ops: &[Op]) -> Vec<VarId> {
    let mut all = Vec::new();
    each(&mut ops.to_vec(), &mut |op| each_variable(op, &mut |v| all.push(*v)));
    all
}

fn each(ops: &mut [Op], f: &mut dyn FnMut(&mut Op)) {
    for op in ops {
        f(op);
        match &mut op.kind {
            OpKind::If { then, otherwise, .. } => {
                each(then, f);
                each(otherwise, f);
            }
            OpKind::Repeat { body, .. } => each(body, f),
            _ => {}
        }
    }
}

/// The order of terms that must all hold, or of which one must, does not matter.
fn sort(op: &mut Op) {
    if let OpKind::WaitUntil(Cond::All(terms) | Cond::Any(terms))
    | OpKind::SleepUntil(Cond::All(terms) | Cond::Any(terms)) = &mut op.kind
    {
        terms.sort_by_cached_key(|t| format!("{t:?}"));
    }
}

fn each_variable(op: &mut Op, f: &mut dyn FnMut(&mut VarId)) {
    let mut place = |p: &mut Place| {
        if let Place::Var(v) = p {
            f(v);
        }
    };
    match &mut op.kind {
        OpKind::Read { from: p, .. }
        | OpKind::Write { to: p, .. }
        | OpKind::FetchAdd { on: p, .. }
        | OpKind::Xchg { on: p, .. }
        | OpKind::Cmpxchg { on: p, .. } => place(p),
        OpKind::WaitUntil(c) | OpKind::SleepUntil(c) => in_cond(c, &mut place),
        OpKind::Lock(v)
        | OpKind::Unlock(v)
        | OpKind::Trylock(_, v)
        | OpKind::LockIrqsave(v)
        | OpKind::UnlockIrqrestore(v) => f(v),
        _ => {}
    }
}

fn in_cond(c: &mut Cond, f: &mut dyn FnMut(&mut Place)) {
    match c {
        Cond::Cmp(a, _, b) => {
            for side in [a, b] {
                if let Operand::Place(p) = side {
                    f(p);
                }
            }
        }
        Cond::All(terms) | Cond::Any(terms) => terms.iter_mut().for_each(|t| in_cond(t, f)),
    }
}
