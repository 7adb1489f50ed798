//! `bpf_wq` without a lock (v7.0 and later): published with cmpxchg, taken away with xchg, counted, and freed after a grace
//! period of RCU-tasks-trace.
//!
//! Where interrupts are off, operations become commands for an irq_work, as those of timers do; worlds in which a program
//! with a work queue can run there are refused at boot.

use crate::errno::{EBUSY, ENOMEM, EPERM};
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

    /// `refcount_inc_not_zero(&cb->refcnt)`
    pub(super) async fn wq_get(&self, cx: Cx<'_>, w: BpfWork) -> bool {
        cx.step(site!("refcount_inc_not_zero(&cb->refcnt)", Atomic))
            .writes(w.refcnt().obj())
            .run(move |m| {
                let n: i64 = m.load(w.refcnt());
                if n > 0 {
                    m.store(w.refcnt(), n + 1);
                }
                n > 0
            })
            .await
    }

    /// `bpf_async_refcount_put()`
    pub(super) async fn wq_put(&self, cx: Cx<'_>, w: BpfWork) {
        let left = cx
            .step(site!("refcount_dec_and_test(&cb->refcnt)", Atomic))
            .writes(w.refcnt().obj())
            .run(move |m| crate::objects::put(m, w.refcnt()))
            .await;
        if left == 0 {
            self.wq_call_rcu(cx, w).await;
        }
    }

    async fn wq_call_rcu(&self, cx: Cx<'_>, w: BpfWork) {
        let site = site!("call_rcu_tasks_trace(&cb->rcu, ..)", Memory);
        self.call_rcu_tasks_trace(cx, site, w.0.to_word() | TAG_WQ_WORK).await;
    }

    /// `bpf_async_cancel_and_free()` after its first test: xchg of the slot with NULL; clear program and callback; take the
    /// work off its list, without waiting for one that runs; put the map's reference.
    pub(super) async fn wq_free_lock_free(&self, cx: Cx<'_>, e: Elem) {
        let label = site!("cb = xchg(&async->cb, NULL)", Atomic);
        let Some(w) = cx.xchg(label, e.wq_slot(), None).await.map(BpfWork) else { return };
        self.bpf_async_update_prog_callback(cx, w.cb(), None).await;
        self.cancel_work(cx, w).await;
        self.wq_put(cx, w).await;
    }

    /// `cancel_work()`: whether it was pending. Does not wait.
    async fn cancel_work(&self, cx: Cx<'_>, w: BpfWork) -> bool {
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
            return self.wq_call_rcu(cx, w).await;
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
