//! Bodies as flat code: conditions and loops become jumps, so that running them needs no recursion.

use crate::world::{Call, Cond, KeyRef, LocalId, Op, OpKind, Operand, Place, ValueRef};

/// The most locals of a body, those of loops included.
pub(crate) const MAX_LOCALS: usize = 24;

/// In place of a local that nobody reads.
pub(crate) const FORGOTTEN: LocalId = LocalId(u32::MAX);

/// An instruction.
#[derive(Clone, Debug)]
pub(crate) enum Ins {
    /// A step of the scenario.
    Do(Box<Op>),
    /// Goes on there unless the condition holds.
    Unless(Cond, usize),
    /// Goes on there.
    Jump(usize),
    /// Sets a local.
    Set(usize, u64),
    /// Takes 1 from a local and goes on there unless it is 0 now.
    Again(usize, usize),
}

/// A compiled body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    /// Its name among the machine's.
    pub name: u32,
    pub ins: Vec<Ins>,
    /// Locals, those of loops included.
    pub locals: usize,
    /// Whether it asks for `*key`.
    pub reads_key: bool,
    /// Whether it asks how often it has run.
    pub counts_runs: bool,
}

impl Code {
    /// Compiles a body.
    pub fn of(name: u32, ops: &[Op], locals: usize) -> Code {
        let mut code = Code { name, locals, ..Code::default() };
        code.emit(ops);
        code.forget();
        code
    }

    /// What a step reads into a local that nothing in the body asks for is not kept. The context learns nothing then, and
    /// states that differ in nothing else are one. Only in bodies of raw steps: calls use locals in many ways.
    fn forget(&mut self) {
        let mut read = Vec::new();
        for ins in &self.ins {
            match ins {
                Ins::Unless(cond, _) => in_cond(cond, &mut read),
                Ins::Do(op) if !reads(&op.kind, &mut read) => return,
                _ => {}
            }
        }
        for ins in &mut self.ins {
            let Ins::Do(op) = ins else { continue };
            if let OpKind::Read { into, .. }
            | OpKind::FetchAdd { into, .. }
            | OpKind::Xchg { into, .. }
            | OpKind::Cmpxchg { into, .. } = &mut op.kind
                && !read.contains(into)
            {
                *into = FORGOTTEN;
            }
        }
    }

    fn emit(&mut self, ops: &[Op]) {
        for op in ops {
            self.look_at(op);
            match &op.kind {
                OpKind::If { cond, then, otherwise } => self.emit_if(cond, then, otherwise),
                OpKind::Repeat { times, body } => {
                    let counter = self.locals;
                    self.locals += 1;
                    self.ins.push(Ins::Set(counter, *times));
                    let skip = self.ins.len();
                    self.ins.push(Ins::Jump(0));
                    let top = self.ins.len();
                    if *times > 0 {
                        self.emit(body);
                        self.ins.push(Ins::Again(counter, top));
                    }
                    self.ins[skip] = Ins::Jump(if *times > 0 { top } else { self.ins.len() });
                }
                _ => self.ins.push(Ins::Do(Box::new(op.clone()))),
            }
        }
    }

    fn emit_if(&mut self, cond: &Cond, then: &[Op], otherwise: &[Op]) {
        let branch = self.ins.len();
        self.ins.push(Ins::Jump(0));
        self.emit(then);
        let mut end = self.ins.len();
        if !otherwise.is_empty() {
            self.ins.push(Ins::Jump(0));
            let at = self.ins.len();
            self.emit(otherwise);
            self.ins[end] = Ins::Jump(self.ins.len());
            end = at;
        }
        self.ins[branch] = Ins::Unless(cond.clone(), end);
    }

    fn look_at(&mut self, op: &Op) {
        let mut keyed = false;
        if let OpKind::Call { call, .. } = &op.kind {
            each_key(call, &mut |k| keyed |= *k == KeyRef::Itself);
        }
        self.reads_key |= keyed;
        if let OpKind::If { cond, .. } | OpKind::Assert(cond) = &op.kind {
            self.look_at_cond(cond);
        }
    }

    fn look_at_cond(&mut self, cond: &Cond) {
        match cond {
            Cond::Cmp(a, _, b) => {
                for o in [a, b] {
                    self.reads_key |= *o == Operand::Key;
                    self.counts_runs |= *o == Operand::RunNumber;
                }
            }
            Cond::All(all) | Cond::Any(all) => all.iter().for_each(|c| self.look_at_cond(c)),
        }
    }

    /// All operations, in the order of the source.
    pub fn ops(&self) -> impl Iterator<Item = &Op> {
        self.ins.iter().filter_map(|i| match i {
            Ins::Do(op) => Some(op.as_ref()),
            _ => None,
        })
    }
}

/// The locals that a raw step asks for; false if it is none.
fn reads(kind: &OpKind, out: &mut Vec<LocalId>) -> bool {
    match kind {
        OpKind::Read { from, .. } => in_place(from, out),
        OpKind::Write { to, value, .. } => {
            in_place(to, out);
            in_operand(value, out);
        }
        OpKind::FetchAdd { on, by, .. } => {
            in_place(on, out);
            in_operand(by, out);
        }
        OpKind::Xchg { on, value, .. } => {
            in_place(on, out);
            in_operand(value, out);
        }
        OpKind::Cmpxchg { on, old, new, .. } => {
            in_place(on, out);
            in_operand(old, out);
            in_operand(new, out);
        }
        OpKind::Assert(cond) | OpKind::WaitUntil(cond) | OpKind::SleepUntil(cond) => {
            in_cond(cond, out);
        }
        OpKind::Free(l) | OpKind::CallRcuFree(l) => out.push(*l),
        OpKind::Alloc(..)
        | OpKind::Work(_)
        | OpKind::Barrier(_)
        | OpKind::Context(_)
        | OpKind::Lock(_)
        | OpKind::Unlock(_)
        | OpKind::Trylock(..)
        | OpKind::LockIrqsave(_)
        | OpKind::UnlockIrqrestore(_)
        | OpKind::RcuReadLock
        | OpKind::RcuReadUnlock
        | OpKind::SynchronizeRcu => {}
        _ => return false,
    }
    true
}

fn in_cond(cond: &Cond, out: &mut Vec<LocalId>) {
    match cond {
        Cond::Cmp(a, _, b) => [a, b].into_iter().for_each(|o| in_operand(o, out)),
        Cond::All(all) | Cond::Any(all) => all.iter().for_each(|c| in_cond(c, out)),
    }
}

fn in_operand(operand: &Operand, out: &mut Vec<LocalId>) {
    match operand {
        Operand::Local(l) => out.push(*l),
        Operand::Place(p) => in_place(p, out),
        _ => {}
    }
}

fn in_place(place: &Place, out: &mut Vec<LocalId>) {
    match place {
        Place::Member(l, _) => out.push(*l),
        Place::ValueMember(ValueRef::Local(l), _) => out.push(*l),
        Place::ValueMember(ValueRef::Elem(e), _) => {
            if let KeyRef::Local(l) = e.key {
                out.push(l);
            }
        }
        Place::Var(_) | Place::ValueMember(..) => {}
    }
}

/// Calls `f` for each key that a call names.
pub(crate) fn each_key(call: &Call, f: &mut dyn FnMut(&KeyRef)) {
    match call {
        Call::TimerInit(o, _)
        | Call::TimerInitOf { timer: o, .. }
        | Call::SpinLock(o)
        | Call::SpinUnlock(o)
        | Call::TimerSetCallback(o, _)
        | Call::TimerStart(o, ..)
        | Call::TimerCancel(o)
        | Call::TimerCancelAsync(o)
        | Call::WqInit(o, _)
        | Call::WqSetCallback(o, _)
        | Call::WqStart(o, _) => {
            if let ValueRef::Elem(e) = &o.value {
                f(&e.key);
            }
        }
        Call::MapLookup(e)
        | Call::MapUpdate { elem: e, .. }
        | Call::MapDelete(e)
        | Call::MapLookupAndDelete(e) => f(&e.key),
        Call::Pin(call, _) => each_key(call, f),
        _ => {}
    }
}

/// The index of a local.
pub(crate) fn local(l: LocalId) -> usize {
    l.index().min(MAX_LOCALS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{CmpOp, LineId};

    fn op(kind: OpKind) -> Op {
        Op { kind, at: LineId(0), text: String::new() }
    }

    fn yes() -> Cond {
        Cond::Cmp(Operand::Int(1), CmpOp::Eq, Operand::RunNumber)
    }

    #[test]
    fn branches_and_loops_become_jumps() {
        let inner = vec![op(OpKind::SynchronizeRcu)];
        let ops = vec![
            op(OpKind::Repeat { times: 2, body: inner.clone() }),
            op(OpKind::If { cond: yes(), then: inner.clone(), otherwise: inner }),
        ];
        let code = Code::of(0, &ops, 3);
        assert_eq!(code.locals, 4);
        assert!(code.counts_runs && !code.reads_key);
        let shape: Vec<String> = code
            .ins
            .iter()
            .map(|i| match i {
                Ins::Do(_) => "do".into(),
                Ins::Unless(_, t) => format!("unless->{t}"),
                Ins::Jump(t) => format!("jump->{t}"),
                Ins::Set(l, v) => format!("set {l} {v}"),
                Ins::Again(l, t) => format!("again {l}->{t}"),
            })
            .collect();
        let want = ["set 3 2", "jump->2", "do", "again 3->2", "unless->7", "do", "jump->8", "do"];
        assert_eq!(shape, want);
    }
}
