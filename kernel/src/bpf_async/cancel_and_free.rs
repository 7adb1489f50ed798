//! How a timer goes: taken out of its element, cancelled without waiting, freed after its last reference and a grace
//! period.

use super::AsyncOp;
use crate::kernel::Kernel;
use crate::objects::{AsyncCb, Elem, Timer};
use crate::promises;
use timerace_core::{Cx, site};

impl Kernel {
    /// `bpf_async_cancel_and_free()`, v7.0 and later. Never waits, not even for a callback that runs.
    ///
    /// 1. Slot NULL: return. 2. xchg of the slot with NULL; NULL: somebody else was first. 3. Clear program and callback.
    ///    4. `hrtimer_try_to_cancel`, put the map's reference; with interrupts off a command takes it along. If there is
    ///    none to be had, the cancel is left to the free callback.
    pub(crate) async fn bpf_async_cancel_and_free(&self, cx: Cx<'_>, e: Elem) {
        let _f = cx.enter("bpf_async_cancel_and_free");
        // 1.
        if self.async_cb(cx, e).await.is_none() {
            return;
        }
        // 2.
        let taken = cx
            .step(site!("cb = xchg(&async->cb, NULL)", Atomic))
            .writes(e.slot().obj())
            .writes(e.owned().obj())
            .run(move |m| {
                let was = crate::bpf_timer::load_slot(m, e);
                m.store(e.slot(), None);
                m.store(e.owned(), false);
                was
            })
            .await;
        let Some(t) = taken.map(Timer) else { return };
        // 3.
        self.bpf_async_update_prog_callback(cx, t.cb(), None).await;
        // 4.
        if self.defer_timer_wq_op(cx) {
            self.bpf_async_schedule_op(cx, t.cb(), AsyncOp::Cancel).await;
            return;
        }
        self.hrtimer_try_to_cancel(cx, t, promises::FREED).await;
        self.bpf_async_refcount_put(cx, t.cb()).await;
    }

    /// `bpf_async_refcount_put()`, of timers and work queues: after the last reference a grace period, then the free callback. With interrupts off
    /// an irq_work begins it, for which the object's own is used once more (1ace9bac1ad2).
    pub(crate) async fn bpf_async_refcount_put(&self, cx: Cx<'_>, cb: AsyncCb) {
        let left = cx
            .step(site!("refcount_dec_and_test(&cb->refcnt)", Atomic))
            .writes(cb.refcnt.obj())
            .run(move |m| crate::objects::put(m, cb.refcnt))
            .await;
        if left != 0 {
            return;
        }
        if self.flags.rcu_not_irqs_off && cx.irqs_disabled() {
            self.init_irq_work(cx, cb, crate::irq_work::RCU_TASKS_TRACE).await;
            self.irq_work_queue(cx, cb).await;
        } else {
            self.bpf_async_call_rcu(cx, cb).await;
        }
    }

    /// `call_rcu_tasks_trace(&cb->rcu, bpf_async_cb_rcu_tasks_trace_free)`
    pub(crate) async fn bpf_async_call_rcu(&self, cx: Cx<'_>, cb: AsyncCb) {
        let site = site!("call_rcu_tasks_trace(&cb->rcu, ..)", Memory);
        self.call_rcu_tasks_trace(cx, site, cb.word()).await;
    }

    /// `bpf_async_cb_rcu_tasks_trace_free()`: nobody can start the timer any more. Its function runs: again after another
    /// grace period (D8 did not look). Otherwise put the program that a late `bpf_timer_set_callback` may have left, and free.
    pub(crate) async fn bpf_async_cb_rcu_tasks_trace_free(&self, cx: Cx<'_>, t: Timer) {
        let _f = cx.enter("bpf_async_cb_rcu_tasks_trace_free");
        let cancels = !self.flags.free_without_cancel;
        if cancels && self.hrtimer_try_to_cancel(cx, t, promises::FREED).await < 0 {
            self.bpf_async_call_rcu(cx, t.cb()).await;
            return;
        }
        let prog = cx.read(site!("cb->prog", Memory), t.prog()).await;
        if let Some(prog) = (prog as usize).checked_sub(1) {
            self.bpf_prog_put(cx, prog).await;
        }
        let _k = cx.enter_leaf("kfree_nolock");
        cx.free(site!("kfree_nolock(cb)", Alloc), t.0).await;
    }
}
