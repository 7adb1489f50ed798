//! Calls with a return code.

use timerace_kernel::world::{self, Call, Nsecs, OpKind, Returns};

use super::Lowering;
use super::body::{Scope, Who, signal};
use super::objects::Ty;
use super::sections::ns;
use crate::ast::{self, Invoke, ObjExpr, TimerFlag, UpdateFlag};
use crate::span::Sp;

const BPF_F_TIMER_ABS: u64 = 1;
const BPF_F_TIMER_CPU_PIN: u64 = 2;

impl Lowering<'_> {
    pub(super) fn invoke(&mut self, scope: &mut Scope<'_>, invoke: &Invoke) -> Option<OpKind> {
        let returns = match &invoke.returns {
            ast::Returns::Success => Returns::Success,
            ast::Returns::OneOf(codes) => Returns::OneOf(codes.iter().map(|c| c.node).collect()),
            ast::Returns::Any => Returns::Any,
        };
        let call = self.call(scope, &invoke.call);
        let bind = invoke.bind.as_ref().map(|local| {
            let ty = self.result(scope, &invoke.call);
            scope.set(local, ty)
        });
        Some(OpKind::Call { call: call?, returns, bind })
    }

    /// What a local holds that gets the result.
    fn result(&self, scope: &Scope<'_>, call: &ast::Call) -> Ty {
        match (call, scope.who) {
            (ast::Call::MapLookup { elem }, Who::Prog(_)) => {
                let value = self.value_of(scope, elem);
                match (&elem.base.node, value) {
                    (ast::ObjBase::Map(name), Ty::Pointer(_)) if elem.keys.len() == 1 => {
                        let outer = self.scenario.map(name).is_some_and(|map| map.kind.is_outer());
                        if outer { Ty::Map } else { value }
                    }
                    _ => value,
                }
            }
            _ => Ty::Plain,
        }
    }

    fn call(&mut self, scope: &mut Scope<'_>, call: &Sp<ast::Call>) -> Option<Call> {
        match &call.node {
            ast::Call::MapLookup { elem } => Some(Call::MapLookup(self.elem(scope, elem)?)),
            ast::Call::MapUpdate { elem, flag, value } => {
                let elem = self.elem(scope, elem)?;
                let value = match value {
                    Some(value) => Some(self.operand_of(scope, value)?),
                    None => None,
                };
                Some(Call::MapUpdate { elem, flag: update_flag(flag.node), value })
            }
            ast::Call::MapDelete { elem } => Some(Call::MapDelete(self.elem(scope, elem)?)),
            ast::Call::MapLookupAndDelete { elem } => {
                Some(Call::MapLookupAndDelete(self.elem(scope, elem)?))
            }
            ast::Call::ForEachMapElem { map, callback } => {
                if let Ty::Pointer(value) = self.value_of(scope, map) {
                    self.facts.callback_value(callback, value);
                }
                let prog = self.prog_named(callback);
                Some(Call::ForEachElem(self.walked(scope, map)?, prog?))
            }
            ast::Call::KtimeGetNs => Some(Call::KtimeGetNs),
            ast::Call::CopyFromUser => Some(Call::CopyFromUser),
            ast::Call::TimerInit { .. }
            | ast::Call::TimerSetCallback { .. }
            | ast::Call::TimerStart { .. }
            | ast::Call::TimerCancel { .. }
            | ast::Call::TimerCancelAsync { .. } => self.timer_call(scope, call),
            ast::Call::WqInit { .. }
            | ast::Call::WqSetCallback { .. }
            | ast::Call::WqStart { .. } => self.wq_call(scope, call),
            _ => self.process_call(scope, call),
        }
    }

    fn timer_call(&mut self, scope: &mut Scope<'_>, call: &ast::Call) -> Option<Call> {
        Some(match call {
            ast::Call::TimerInit { timer, clock } => {
                Call::TimerInit(self.special(scope, timer)?, u64::from(clock.id()))
            }
            ast::Call::TimerSetCallback { timer, callback } => {
                let prog = self.callback(scope, timer, callback)?;
                Call::TimerSetCallback(self.special(scope, timer)?, prog)
            }
            ast::Call::TimerStart { timer, since, after, flags } => {
                let bits = flags.iter().fold(0, |bits, flag| {
                    bits | match flag.node {
                        TimerFlag::Abs => BPF_F_TIMER_ABS,
                        TimerFlag::CpuPin => BPF_F_TIMER_CPU_PIN,
                    }
                });
                let expiry = match since {
                    Some(since) => Nsecs::Local { base: scope.body.local(since), plus: ns(after) },
                    None => Nsecs::Of(ns(after)),
                };
                Call::TimerStart(self.special(scope, timer)?, expiry, bits)
            }
            ast::Call::TimerCancel { timer } => Call::TimerCancel(self.special(scope, timer)?),
            ast::Call::TimerCancelAsync { timer } => {
                Call::TimerCancelAsync(self.special(scope, timer)?)
            }
            _ => return None,
        })
    }

    fn wq_call(&mut self, scope: &mut Scope<'_>, call: &ast::Call) -> Option<Call> {
        Some(match call {
            ast::Call::WqInit { wq } => Call::WqInit(self.special(scope, wq)?, 0),
            ast::Call::WqSetCallback { wq, callback } => {
                let prog = self.callback(scope, wq, callback)?;
                Call::WqSetCallback(self.special(scope, wq)?, prog)
            }
            ast::Call::WqStart { wq } => Call::WqStart(self.special(scope, wq)?, 0),
            _ => return None,
        })
    }

    /// The callback, which is called with values of that object's map from now on.
    fn callback(
        &mut self,
        scope: &Scope<'_>,
        object: &ObjExpr,
        callback: &Sp<String>,
    ) -> Option<world::ProgId> {
        if let Ty::Pointer(value) = self.value_of(scope, object) {
            self.facts.callback_value(callback, value);
        }
        self.prog_named(callback)
    }

    fn process_call(&mut self, scope: &mut Scope<'_>, call: &Sp<ast::Call>) -> Option<Call> {
        Some(match &call.node {
            ast::Call::ProgRun { prog } => Call::ProgRun(self.prog_named(prog)?),
            ast::Call::MapCreate { map } => Call::MapCreate(self.whole_map(map)?),
            ast::Call::ProgLoad { prog } => Call::ProgLoad(self.prog_named(prog)?),
            ast::Call::LinkCreate { prog } => Call::LinkCreate(self.prog_named(prog)?),
            ast::Call::ObjPin { fd, path } => Call::ObjPin(self.fd(scope, fd)?, self.path(path)),
            ast::Call::ObjGet { path } => Call::ObjGet(self.path(path)),
            ast::Call::MapGetFdById { map } => Call::MapGetFdById(self.whole_map(map)?),
            ast::Call::IterCreate { map } => Call::IterCreate(self.whole_map(map)?),
            ast::Call::Pin(inner) => {
                let pinned = self.call(scope, inner)?;
                Call::Pin(Box::new(pinned), self.own_path(call.span))
            }
            ast::Call::Unlink { path } => Call::Unlink(self.path(path)),
            ast::Call::Dup { fd } => Call::Dup(self.fd(scope, fd)?),
            ast::Call::Close { fd } => Call::Close(self.fd(scope, fd)?),
            ast::Call::Kill { task, signal: sent } => {
                Call::Kill(self.task_named(task)?, signal(sent.node))
            }
            _ => return None,
        })
    }
}

fn update_flag(flag: UpdateFlag) -> world::UpdateFlag {
    match flag {
        UpdateFlag::Any => world::UpdateFlag::Any,
        UpdateFlag::Noexist => world::UpdateFlag::NoExist,
        UpdateFlag::Exist => world::UpdateFlag::Exist,
        UpdateFlag::Lock => world::UpdateFlag::Lock,
    }
}
