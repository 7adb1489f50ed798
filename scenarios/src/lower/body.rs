//! Steps of bodies.

use std::collections::BTreeMap;

use timerace_kernel::world::{Barrier, Body, ContextOp, Op, OpKind, Order, Signal};

use super::Lowering;
use super::objects::Ty;
use super::sections::ns;
use crate::ast::{self, Access, Clock, LockOp, ReadKind, Step, StepKind, Value, WriteKind};
use crate::span::{Sp, Span};

/// Whose body it is.
#[derive(Copy, Clone)]
pub(super) enum Who<'b> {
    /// A program's or callback's.
    Prog(&'b str),
    /// A task's or interrupt's.
    Task,
}

/// A body in the making: its locals, and what they hold.
pub(super) struct Scope<'b> {
    pub who: Who<'b>,
    /// Its steps are not in it until the end.
    pub body: Body,
    pub types: BTreeMap<String, Ty>,
}

impl<'b> Scope<'b> {
    pub fn new(who: Who<'b>) -> Self {
        Scope { who, body: Body::default(), types: BTreeMap::new() }
    }

    /// A local gets a value.
    pub fn set(&mut self, name: &str, ty: Ty) -> timerace_kernel::world::LocalId {
        let known = self.types.entry(name.to_string()).or_insert(Ty::Nothing);
        *known = known.join(ty);
        self.body.local(name)
    }
}

impl Lowering<'_> {
    /// Appends what a step comes to: one operation, or two for `at(D, step)`.
    pub(super) fn step(&mut self, scope: &mut Scope<'_>, step: &Step, out: &mut Vec<Op>) {
        let at = self.source.line(step.span);
        let kind = match &step.node {
            StepKind::At { when, step: inner } => {
                let text = self.source.text(step.span);
                out.push(Op { kind: OpKind::SleepUntilTime(ns(when)), at, text });
                return self.step(scope, inner, out);
            }
            StepKind::If { .. } | StepKind::Repeat { .. } => self.flow(scope, step),
            _ => self.single(scope, step),
        };
        if let Some(kind) = kind {
            let text = self.source.head(step.span, head_end(step));
            out.push(Op { kind, at, text });
        }
    }

    fn steps(&mut self, scope: &mut Scope<'_>, steps: &[Step]) -> Vec<Op> {
        let mut ops = Vec::new();
        for step in steps {
            self.step(scope, step, &mut ops);
        }
        ops
    }

    fn flow(&mut self, scope: &mut Scope<'_>, step: &Step) -> Option<OpKind> {
        match &step.node {
            StepKind::If { cond, then, otherwise } => {
                let cond = self.cond(scope, cond);
                let then = self.steps(scope, then);
                let otherwise = self.steps(scope, otherwise);
                Some(OpKind::If { cond: cond?, then, otherwise })
            }
            StepKind::Repeat { times, body } => {
                // The second round sees what the first one has set: what locals hold is settled before.
                let found = self.diags.len();
                loop {
                    let before = scope.types.clone();
                    let body = self.steps(scope, body);
                    if scope.types == before {
                        return Some(OpKind::Repeat { times: times.node, body });
                    }
                    self.diags.truncate(found);
                }
            }
            _ => None,
        }
    }

    /// A step that is one operation.
    fn single(&mut self, scope: &mut Scope<'_>, step: &Step) -> Option<OpKind> {
        Some(match &step.node {
            StepKind::Invoke(invoke) => self.invoke(scope, invoke)?,
            StepKind::Assert(cond) => OpKind::Assert(self.cond(scope, cond)?),
            StepKind::Work(length) => OpKind::Work(ns(length)),
            StepKind::Sleep(length) => OpKind::Sleep(ns(length)),
            StepKind::Suspend(length) => OpKind::Suspend(ns(length)),
            StepKind::ClockStep { clock, by } => self.clock_step(clock, by)?,
            StepKind::Signal(sent) => OpKind::Signal(signal(sent.node)),
            StepKind::Exit(code) => OpKind::Exit(code.node),
            StepKind::Unblock(task) => OpKind::Unblock(self.task_named(task)?),
            StepKind::Access(access) => self.access(scope, access)?,
            StepKind::Barrier(barrier) => OpKind::Barrier(match barrier {
                ast::Barrier::Full => Barrier::Full,
                ast::Barrier::Read => Barrier::Read,
                ast::Barrier::Write => Barrier::Write,
            }),
            StepKind::Lock { op, lock, into } => self.lock(scope, *op, lock, into.as_ref())?,
            StepKind::Context(op) => OpKind::Context(context_op(*op)),
            StepKind::Alloc { into, type_name } => {
                let ty = self.type_named(type_name)?;
                OpKind::Alloc(scope.set(into, Ty::Pointer(ty)), ty)
            }
            StepKind::Free(local) => OpKind::Free(scope.body.local(local)),
            StepKind::CallRcuFree(local) => OpKind::CallRcuFree(scope.body.local(local)),
            StepKind::RcuReadLock => OpKind::RcuReadLock,
            StepKind::RcuReadUnlock => OpKind::RcuReadUnlock,
            StepKind::SynchronizeRcu => OpKind::SynchronizeRcu,
            StepKind::WaitUntil(cond) => OpKind::WaitUntil(self.cond(scope, cond)?),
            StepKind::SleepUntil(cond) => OpKind::SleepUntil(self.cond(scope, cond)?),
            // More than one operation: see `step`.
            StepKind::If { .. } | StepKind::Repeat { .. } | StepKind::At { .. } => return None,
        })
    }

    fn clock_step(&mut self, clock: &Sp<Clock>, by: &Sp<ast::SignedDuration>) -> Option<OpKind> {
        if by.min_ns != by.max_ns {
            let help = "write one difference";
            return self.unsupported(by.span, "a range as the step of a clock", help);
        }
        Some(OpKind::ClockStep { clock: clock.id(), by_ns: by.min_ns })
    }

    fn lock(
        &mut self,
        scope: &mut Scope<'_>,
        op: LockOp,
        lock: &Sp<String>,
        into: Option<&Sp<String>>,
    ) -> Option<OpKind> {
        let var = self.var_named(lock, lock.span)?;
        Some(match op {
            LockOp::Lock => OpKind::Lock(var),
            LockOp::Unlock => OpKind::Unlock(var),
            LockOp::Trylock => OpKind::Trylock(scope.set(into?, Ty::Plain), var),
            LockOp::LockIrqsave => OpKind::LockIrqsave(var),
            LockOp::UnlockIrqrestore => OpKind::UnlockIrqrestore(var),
        })
    }

    fn access(&mut self, scope: &mut Scope<'_>, access: &Access) -> Option<OpKind> {
        Some(match access {
            Access::Read { kind, into, from } => {
                let from_place = self.place(scope, from)?;
                let into = scope.set(into, self.content(from));
                OpKind::Read { order: read_order(*kind), into, from: from_place }
            }
            Access::Write { kind, to, value } => {
                self.remember(scope, to, value);
                let to = self.place(scope, to)?;
                let value = self.operand_of(scope, value)?;
                OpKind::Write { order: write_order(*kind), to, value }
            }
            Access::FetchAdd { into, on, by } => {
                let on = self.place(scope, on)?;
                let by = self.operand_of(scope, by)?;
                OpKind::FetchAdd { into: scope.set(into, Ty::Plain), on, by }
            }
            Access::Xchg { into, on, value } => {
                let (place, value) = self.exchanged(scope, on, value)?;
                let into = scope.set(into, self.content(on));
                OpKind::Xchg { into, on: place, value }
            }
            Access::Cmpxchg { into, on, old, new } => {
                let old = self.operand_of(scope, old)?;
                let (place, new) = self.exchanged(scope, on, new)?;
                let into = scope.set(into, self.content(on));
                OpKind::Cmpxchg { into, on: place, old, new }
            }
        })
    }

    fn exchanged(
        &mut self,
        scope: &mut Scope<'_>,
        on: &Sp<ast::ObjExpr>,
        value: &Sp<Value>,
    ) -> Option<(timerace_kernel::world::Place, timerace_kernel::world::Operand)> {
        self.remember(scope, on, value);
        Some((self.place(scope, on)?, self.operand_of(scope, value)?))
    }
}

/// Where the steps inside a step begin: its text ends before them.
fn head_end(step: &Step) -> Option<Span> {
    match &step.node {
        StepKind::If { cond, .. } => Some(cond.span.after()),
        StepKind::Repeat { times, .. } => Some(times.span.after()),
        _ => None,
    }
}

pub(super) fn signal(signal: ast::Signal) -> Signal {
    match signal {
        ast::Signal::Hup => Signal::Hup,
        ast::Signal::Int => Signal::Int,
        ast::Signal::Quit => Signal::Quit,
        ast::Signal::Kill => Signal::Kill,
        ast::Signal::Usr1 => Signal::Usr1,
        ast::Signal::Segv => Signal::Segv,
        ast::Signal::Usr2 => Signal::Usr2,
        ast::Signal::Alrm => Signal::Alrm,
        ast::Signal::Term => Signal::Term,
    }
}

fn context_op(op: ast::ContextOp) -> ContextOp {
    match op {
        ast::ContextOp::IrqSave => ContextOp::IrqSave,
        ast::ContextOp::IrqRestore => ContextOp::IrqRestore,
        ast::ContextOp::BhDisable => ContextOp::BhDisable,
        ast::ContextOp::BhEnable => ContextOp::BhEnable,
        ast::ContextOp::PreemptDisable => ContextOp::PreemptDisable,
        ast::ContextOp::PreemptEnable => ContextOp::PreemptEnable,
    }
}

fn read_order(kind: ReadKind) -> Order {
    match kind {
        ReadKind::Once => Order::Once,
        ReadKind::Plain => Order::Plain,
        ReadKind::Acquire => Order::AcquireRelease,
    }
}

fn write_order(kind: WriteKind) -> Order {
    match kind {
        WriteKind::Once => Order::Once,
        WriteKind::Plain => Order::Plain,
        WriteKind::Release => Order::AcquireRelease,
    }
}
