//! Which contexts keep to their CPU in a timed run ([`Setup::keeps_to_its_cpu`]).
//!
//! The clock event's interrupt and HRTIMER_SOFTIRQ of a CPU do, where callbacks do no more than start their own timer
//! again. A timer is queued on one CPU or its callback runs on one CPU, and what it touches besides is read only: its
//! map's state, its program's text. A look-up in an array computes an address. Tasks and everything else may touch any timer; while one of them is at work, the CPUs
//! wait for each other.

use crate::kernel::{Kernel, Role};
use crate::world::{
    Call, ElemInit, ElemRef, KeyRef, MapId, MapKind, MapRef, Op, OpKind, ProgDef, ProgKind,
    ValueRef, World,
};
use timerace_core::step::CostClass;
use timerace_core::{CtxId, Setup};

/// Tells the machine.
pub(super) fn homebound(s: &mut Setup, k: &Kernel) {
    if !k.timed {
        return;
    }
    // `callback_fn = t->callback_fn` lies between two expiries.
    s.between_expiries(&[CostClass::Memory]);
    if !keep_to_their_timer(&k.world, k) {
        return;
    }
    for (c, role) in k.roles.iter().enumerate() {
        if matches!(role, Role::Interrupt(_) | Role::Softirq(_)) {
            s.keeps_to_its_cpu(CtxId(c as u16));
        }
    }
}

/// Whether every callback touches its own timer only.
fn keep_to_their_timer(w: &World, k: &Kernel) -> bool {
    let callbacks: Vec<usize> =
        (0..w.progs.len()).filter(|p| w.progs[*p].kind == ProgKind::TimerCb).collect();
    let owners = owners(w);
    let named = owners.iter().all(|(p, _)| callbacks.contains(p));
    // The commands of v7.0 and later, threaded softirqs and locks of bases that programs take are shared more widely.
    let plain = !k.flags.lock_free
        && k.attached.is_empty()
        && k.callbacks_begun.is_none()
        && k.cpus.iter().all(|c| c.base_lock.is_none() && c.expiry_lock.is_none());
    named
        && plain
        && callbacks.iter().all(|p| {
            let own: Vec<ValueRef> = owners.iter().filter(|o| o.0 == *p).map(|o| o.1).collect();
            k.progs[*p].runs.is_none() && starts_itself(w, &w.progs[*p], &own)
        })
}

/// Which programs are callbacks of which timers, as these are named there.
fn owners(w: &World) -> Vec<(usize, ValueRef)> {
    let mut owners = Vec::new();
    super::need::each_op_of(w, &mut |op| {
        if let OpKind::Call { call: Call::TimerSetCallback(timer, p), .. } = &op.kind {
            owners.push((p.index(), timer.value));
        }
    });
    for (m, map) in w.maps.iter().enumerate() {
        for (key, init) in &map.init {
            if let ElemInit::Armed { callback, .. } = init {
                let elem = ElemRef { map: MapRef::Map(MapId(m as u32)), key: KeyRef::Int(*key) };
                owners.push((callback.index(), ValueRef::Elem(elem)));
            }
        }
    }
    owners
}

/// Whether a callback of the timers `own` touches no other one.
fn starts_itself(w: &World, p: &ProgDef, own: &[ValueRef]) -> bool {
    let mut only = true;
    super::need::each_op(&p.body.ops, &mut |op: &Op| {
        only &= match &op.kind {
            OpKind::Call { call: Call::TimerStart(timer, ..), .. } => is_own(w, timer.value, own),
            OpKind::Call { call: Call::KtimeGetNs, .. }
            | OpKind::If { .. }
            | OpKind::Repeat { .. }
            | OpKind::Assert(_)
            | OpKind::Work(_)
            | OpKind::Return(_) => true,
            _ => false,
        };
    });
    only
}

/// Whether in a callback of the timers `own` this is the one that has expired.
fn is_own(w: &World, timer: ValueRef, own: &[ValueRef]) -> bool {
    let ValueRef::Elem(elem) = timer else { return timer == ValueRef::Value };
    let MapRef::Map(map) = elem.map else { return false };
    if w.maps[map.index()].kind != MapKind::Array {
        return false;
    }
    match elem.key {
        KeyRef::Itself => {
            own.iter().all(|o| matches!(o, ValueRef::Elem(e) if e.map == MapRef::Map(map)))
        }
        KeyRef::Int(_) => own.iter().all(|o| *o == timer),
        KeyRef::Local(_) => false,
    }
}
