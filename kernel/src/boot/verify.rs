//! What the verifier refuses (maps.md section 7), as far as a world can say it.

use super::need::each_op;
use crate::errno::{EACCES, EINVAL};
use crate::flags::Flags;
use crate::world::{
    Call, FieldKind, MapRef, ObjRef, OpKind, ProgDef, ProgKind, TypeDef, ValueRef, World,
};

/// What loading the program gives.
pub(super) fn load_ret(w: &World, p: &ProgDef, flags: &Flags) -> i64 {
    let refused = if flags.verifier_einval { EINVAL } else { EACCES };
    let mut ret = 0;
    each_op(&p.body.ops, &mut |op| {
        let OpKind::Call { call, .. } = &op.kind else { return };
        let Some(obj) = timer_of(call) else { return };
        // 5e0bc3082e2e
        let classic = matches!(p.kind, ProgKind::Kprobe | ProgKind::PerfEvent);
        let unknown = matches!(call, Call::TimerCancelAsync(_)) && !flags.cancel_async;
        if unknown || classic && flags.no_timers_in_tracing {
            ret = EINVAL;
        } else if let Some(ty) = value_type(w, obj)
            && !names_the_timer(ty, obj)
        {
            ret = refused;
        }
    });
    if sleeps_where_it_must_not(w, p, flags) {
        ret = EINVAL;
    }
    ret
}

/// Helpers that sleep are for sleepable programs. A timer callback runs in softirq, but was judged as the program that
/// sets it (469d638d1520).
fn sleeps_where_it_must_not(w: &World, p: &ProgDef, flags: &Flags) -> bool {
    if matches!(p.kind, ProgKind::TimerCb | ProgKind::WqCb) {
        // A subprogram: judged with each program that sets it.
        return false;
    }
    let sleepable = p.sleepable || p.kind == ProgKind::Syscall;
    let mut refused = !sleepable && sleeps(p);
    each_op(&p.body.ops, &mut |op| {
        if let OpKind::Call { call: Call::TimerSetCallback(_, f), .. } = &op.kind {
            let accepted = sleepable && !flags.callback_not_sleepable;
            refused |= !accepted && w.progs.get(f.index()).is_some_and(sleeps);
        }
    });
    refused
}

/// Whether the body calls a helper that may sleep.
fn sleeps(p: &ProgDef) -> bool {
    let mut sleeps = false;
    each_op(&p.body.ops, &mut |op| {
        sleeps |= matches!(&op.kind, OpKind::Call { call: Call::CopyFromUser, .. });
    });
    sleeps
}

fn timer_of(call: &Call) -> Option<&ObjRef> {
    match call {
        Call::TimerInit(o, _)
        | Call::TimerSetCallback(o, _)
        | Call::TimerStart(o, ..)
        | Call::TimerCancel(o)
        | Call::TimerCancelAsync(o) => Some(o),
        _ => None,
    }
}

fn value_type<'w>(w: &'w World, o: &ObjRef) -> Option<&'w TypeDef> {
    let ValueRef::Elem(e) = &o.value else { return None };
    let MapRef::Map(m) = e.map else { return None };
    w.types.get(w.maps.get(m.index())?.value.index())
}

/// One timer in the value, and the argument points to it.
fn names_the_timer(ty: &TypeDef, o: &ObjRef) -> bool {
    let timers: Vec<_> = ty.fields.iter().filter(|f| f.kind == FieldKind::BpfTimer).collect();
    let [timer] = timers[..] else { return false };
    let field = o.field.and_then(|f| ty.fields.get(f.index()));
    field.is_none_or(|f| f == timer) && o.byte.is_none_or(|b| b == timer.offset)
}
