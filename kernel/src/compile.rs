//! Bodies as flat code: conditions and loops become jumps, so that running them needs no recursion.

use crate::world::{Call, Cond, KeyRef, LocalId, Op, OpKind, Operand};

/// The most locals of a body, those of loops included.
pub(crate) const MAX_LOCALS: usize = 24;

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
        code
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

/// Calls `f` for each key that a call names.
pub(crate) fn each_key(call: &Call, f: &mut dyn FnMut(&KeyRef)) {
    use crate::world::ValueRef;
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
