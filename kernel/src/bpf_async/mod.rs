//! The lock-free `bpf_timer` (kernel/bpf/helpers.c, v7.0 and later), one file for each idea.
//!
//! There is no lock in the map value. The slot is published with cmpxchg and taken away with xchg; who operates on the
//! heap object holds a reference of it; the last reference is followed by a grace period of RCU-tasks-trace, after which
//! the timer is cancelled once more and freed. Where interrupts are off, an operation becomes a command on the object's
//! list, which an irq_work performs.
//!
//! Bodies of their own stand beside those of [`crate::bpf_timer`]; what happens in `bpf_timer_cb` is the same in both.

mod cancel;
mod cancel_and_free;
mod init;
mod prog_callback;
mod schedule_op;
mod start;

pub(crate) use schedule_op::AsyncOp;

use crate::kernel::Kernel;
use crate::objects::{AsyncCb, Elem, Timer};
use timerace_core::step::Site;
use timerace_core::{CtxKind, Cx, site};

impl Kernel {
    /// `READ_ONCE(async->cb)`, without any lock.
    async fn async_cb(&self, cx: Cx<'_>, e: Elem) -> Option<Timer> {
        let read = cx.step(site!("cb = READ_ONCE(async->cb)", Memory)).reads(e.slot().obj());
        read.run(move |m| crate::bpf_timer::load_slot(m, e)).await.map(Timer)
    }

    /// `defer_timer_wq_op()`: whether an operation must be left to an irq_work. As first merged only in hard interrupts
    /// and NMIs; with 7d49635e3775 wherever interrupts are off.
    pub(crate) fn defer_timer_wq_op(&self, cx: Cx<'_>) -> bool {
        let in_hardirq = matches!(cx.kind(), CtxKind::Hardirq | CtxKind::Nmi);
        in_hardirq || self.flags.defer_irqs_off && cx.irqs_disabled()
    }

    /// `refcount_inc_not_zero(&cb->refcnt)`: false if the object is about to be freed.
    pub(crate) async fn async_get(&self, cx: Cx<'_>, cb: AsyncCb) -> bool {
        let site: &'static Site = site!("refcount_inc_not_zero(&cb->refcnt)", Atomic);
        cx.step(site)
            .writes(cb.refcnt.obj())
            .run(move |m| {
                let n: i64 = m.load(cb.refcnt);
                if n > 0 {
                    m.store(cb.refcnt, n + 1);
                }
                n > 0
            })
            .await
    }
}
