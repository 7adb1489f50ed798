//! Which contexts keep to their CPU in a timed run ([`Setup::keeps_to_its_cpu`]).
//!
//! The clock event's interrupt and HRTIMER_SOFTIRQ of a CPU do, where callbacks do no more than start their own timer
//! again. A timer is queued on one CPU or its callback runs on one CPU, and what it touches besides is read only: its
//! map's state, its program's text. Tasks and everything else may touch any timer; while one of them is at work, the CPUs
//! wait for each other.

use crate::kernel::{Kernel, Role};
use crate::world::{Call, Op, OpKind, ProgDef, ProgKind, ValueRef, World};
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
    let mut named = true;
    super::need::each_op_of(w, &mut |op| {
        if let OpKind::Call { call: Call::TimerSetCallback(_, p), .. } = &op.kind {
            named &= callbacks.contains(&p.index());
        }
    });
    // The commands of v7.0 and later, threaded softirqs and locks of bases that programs take are shared more widely.
    let plain = !k.flags.lock_free
        && k.attached.is_empty()
        && k.callbacks_begun.is_none()
        && k.cpus.iter().all(|c| c.base_lock.is_none() && c.expiry_lock.is_none());
    named
        && plain
        && callbacks.iter().all(|p| k.progs[*p].runs.is_none() && starts_itself(&w.progs[*p]))
}

fn starts_itself(p: &ProgDef) -> bool {
    let mut only = true;
    super::need::each_op(&p.body.ops, &mut |op: &Op| {
        only &= match &op.kind {
            OpKind::Call { call: Call::TimerStart(timer, ..), .. } => {
                timer.value == ValueRef::Value
            }
            OpKind::If { .. }
            | OpKind::Repeat { .. }
            | OpKind::Assert(_)
            | OpKind::Work(_)
            | OpKind::Return(_) => true,
            _ => false,
        };
    });
    only
}
