//! `bpf_wq` without a lock (v7.0 and later): published with cmpxchg, taken away with xchg, counted, and freed after a grace
//! period of RCU-tasks-trace.
//!
//! Where interrupts are off, operations become commands for an irq_work, as those of timers do.

use crate::bpf_async::AsyncOp;
use crate::errno::{EBUSY, ENOENT, ENOMEM, EPERM};
use crate::hrtimer::Expiry;
use crate::kernel::Kernel;
use crate::objects::{BpfWork, Elem};
use crate::rcu::TAG_WQ_WORK;
use timerace_core::mem::ListVar;
use timerace_core::step::Rel;
use timerace_core::{Cx, Word, site};

impl Kernel {
    /// `__bpf_async_init()`: 1. Slot not NULL: -EBUSY. 2. Allocate and fill in: -ENOMEM. 3. cmpxchg of the slot; lost: free at
    /// once, -EBUSY. 4. smp_mb and `usercnt` 0: take it away again as a delete would, -EPERM.
    pub(super) async fn wq_init_lock_free(&self, cx: Cx<'_>, e: Elem, map: usize) -> i64 {
        // 1.
        if self.wq_read(cx, e).await.is_some() {
            return EBUSY;
        }
        // 2.
        let Some(w) = self.alloc_work(cx, e, map).await else { return ENOMEM };
        // 3.
        let label = site!("cmpxchg(&async->cb, NULL, cb)", Atomic);
        if cx.cmpxchg(label, e.wq_slot(), None, Some(w.0)).await.is_some() {
            let _f = cx.enter_leaf("kfree_nolock");
            cx.free(site!("kfree_nolock(cb)", Alloc), w.0).await;
            return EBUSY;
        }
        // 4.
        if self.usercnt(cx, map).await != 0 {
            return 0;
        }
        self.bpf_wq_cancel_and_free(cx, e, map).await;
        EPERM
    }

    /// `bpf_wq_start()` after the tests of slot and program: a reference, -ENOENT if there is none left; `schedule_work`, put
    /// the reference; or, with interrupts off, a command that takes it along (-EDEADLK, -ENOMEM).
    pub(super) async fn wq_start_lock_free(&self, cx: Cx<'_>, w: BpfWork) -> i64 {
        if !self.async_get(cx, w.cb()).await {
            return ENOENT;
        }
        if self.defer_timer_wq_op(cx) {
            let start = AsyncOp::Start(Expiry { nsecs: 0, abs: false, pinned: false });
            return self.bpf_async_schedule_op(cx, w.cb(), start).await;
        }
        self.schedule_work(cx, w).await;
        self.bpf_async_refcount_put(cx, w.cb()).await;
        0
    }

    /// `bpf_async_cancel_and_free()` after its first test: xchg of the slot with NULL; clear program and callback; take the
    /// work off its list, without waiting for one that runs; put the map's reference. With interrupts off a command does
    /// the last two.
    pub(super) async fn wq_free_lock_free(&self, cx: Cx<'_>, e: Elem) {
        let label = site!("cb = xchg(&async->cb, NULL)", Atomic);
        let Some(w) = cx.xchg(label, e.wq_slot(), None).await.map(BpfWork) else { return };
        self.bpf_async_update_prog_callback(cx, w.cb(), None).await;
        if self.defer_timer_wq_op(cx) {
            self.bpf_async_schedule_op(cx, w.cb(), AsyncOp::Cancel).await;
            return;
        }
        self.cancel_work(cx, w).await;
        self.bpf_async_refcount_put(cx, w.cb()).await;
    }

    /// `cancel_work()`: whether it was pending. Does not wait.
    pub(crate) async fn cancel_work(&self, cx: Cx<'_>, w: BpfWork) -> bool {
        let item = w.0.to_word() | TAG_WQ_WORK;
        let lists: Vec<ListVar> = self.cpus.iter().map(|c| c.work).collect();
        let step = cx.step(site!("cancel_work(&w->work)", Wakeup)).writes(w.pending().obj());
        lists
            .iter()
            .fold(step, |s, l| s.writes(l.obj()))
            .run(move |m| {
                let found = lists.iter().any(|l| m.list_remove(*l, item));
                if found {
                    m.store(w.pending(), false);
                }
                found
            })
            .await
    }

    /// `bpf_async_cb_rcu_tasks_trace_free()`: nobody can start the work any more. It runs, or is about to: again after
    /// another grace period. Otherwise put the program that a late set_callback may have left, and free.
    pub(crate) async fn wq_rcu_tasks_trace_free(&self, cx: Cx<'_>, w: BpfWork) {
        let _f = cx.enter("bpf_async_cb_rcu_tasks_trace_free");
        if !self.cancel_work(cx, w).await && self.work_busy(cx, w).await {
            // Turns that find it busy again pass through no state that the first does not.
            self.until_idle(cx, w).await;
            return self.bpf_async_call_rcu(cx, w.cb()).await;
        }
        if let Some(prog) = self.wq_prog(cx, w).await {
            self.bpf_prog_put(cx, prog).await;
        }
        let _k = cx.enter_leaf("kfree_nolock");
        cx.free(site!("kfree_nolock(cb)", Alloc), w.0).await;
    }

    async fn until_idle(&self, cx: Cx<'_>, w: BpfWork) {
        let item = w.0.to_word() | TAG_WQ_WORK;
        let step = cx.step(site!("until the work is idle", Free, quiet));
        let step = step.when(w.pending().obj(), Rel::Eq, 0);
        let step = self.current_works().fold(step, |s, v| s.when(v.obj(), Rel::Ne, item));
        step.run(|_| ()).await;
    }

    /// `work_busy()`: pending or running.
    async fn work_busy(&self, cx: Cx<'_>, w: BpfWork) -> bool {
        let item = w.0.to_word() | TAG_WQ_WORK;
        let current: Vec<_> = self.current_works().collect();
        let step = cx.step(site!("work_busy(&w->work)", Memory)).reads(w.pending().obj());
        current
            .iter()
            .fold(step, |s, v| s.reads(v.obj()))
            .run(move |m| {
                let runs = current.iter().any(|v| m.load(*v) == item);
                runs || m.load(w.pending())
            })
            .await
    }
}
