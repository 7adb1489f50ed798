//! Work of unbound workqueues: per CPU a list and two workers, the second of which helps while the first is busy.
//!
//! An item is off the list before its function is called, so that it may be queued again. That an item is not queued
//! twice while it waits (`PENDING`) needs no flag for most: they are queued once in their lives. That of a `bpf_wq` has one.

use crate::kernel::Kernel;
use crate::objects::{BpfWork, Timer};
use crate::rcu::{TAG_WQ_DELETE, TAG_WQ_WORK};
use timerace_core::step::{Rel, Site};
use timerace_core::{CtxKind, Cx, site};

const KIND_SHIFT: u32 = 16;
/// `bpf_prog_put_deferred`
const PROG_PUT: u64 = 1;
/// `bpf_prog_free_deferred`
const PROG_FREE: u64 = 2;
/// `bpf_map_free_deferred`
const MAP_FREE: u64 = 3;

/// The work that drops a program whose last reference went with interrupts off.
pub(crate) fn prog_put_work(prog: usize) -> u64 {
    PROG_PUT << KIND_SHIFT | prog as u64
}

/// The work that frees a program.
pub(crate) fn prog_free_work(prog: usize) -> u64 {
    PROG_FREE << KIND_SHIFT | prog as u64
}

/// The work that frees a map.
pub(crate) fn map_free_work(map: usize) -> u64 {
    MAP_FREE << KIND_SHIFT | map as u64
}

impl Kernel {
    /// `queue_work()` onto this CPU's lane, under the lock of its pool, which is an object of its own where an NMI can find
    /// it held.
    pub(crate) async fn queue_work(&self, cx: Cx<'_>, site: &'static Site, item: u64) {
        let (list, lock) = (self.cpu(cx).work, self.cpu(cx).pool_lock);
        if let Some(lock) = lock {
            cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
            cx.lock(site!("raw_spin_lock(&pool->lock)", Lock), lock).await;
        }
        cx.step(site).writes(list.obj()).run(move |m| m.push_back(list, item)).await;
        if let Some(lock) = lock {
            cx.unlock(site!("raw_spin_unlock(&pool->lock)", Lock), lock).await;
            cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
        }
    }

    /// A kworker.
    pub(crate) async fn worker(&self, cx: Cx<'_>, cpu: usize, second: bool) {
        let (list, busy) = (self.cpus[cpu].work, self.cpus[cpu].worker_busy);
        loop {
            let mut step = cx.step(site!("process_one_work(worker, work)", Wakeup));
            if let Some(lock) = self.cpus[cpu].pool_lock {
                step = step.when(lock.obj(), Rel::Eq, 0);
            }
            step = step.when(list.obj(), Rel::Ne, 0).writes(list.obj()).idle().asleep();
            step = if second { step.when(busy.obj(), Rel::Ne, 0) } else { step.writes(busy.obj()) };
            let current = self.cpus[cpu].current_work.map(|c| c[usize::from(second)]);
            if let Some(current) = current {
                step = step.writes(current.obj());
            }
            let item = step
                .run(move |m| {
                    if !second {
                        m.store(busy, true);
                    }
                    let item = m.pop_front(list).unwrap_or(0);
                    if let Some(current) = current {
                        m.store(current, item);
                    }
                    item
                })
                .await;
            let section = self.enter_kernel(cx, site!("worker_thread()", Mask, quiet)).await;
            self.do_work(cx, item).await;
            self.leave_kernel(cx, section).await;
            if let Some(current) = current {
                cx.write(site!("worker->current_work = NULL", Free, quiet), current, 0).await;
            }
            if !second {
                cx.write(site!("worker_enter_idle(worker)", Free, quiet), busy, false).await;
            }
        }
    }

    async fn do_work(&self, cx: Cx<'_>, item: u64) {
        if let Some(p) = crate::rcu::pointer(item) {
            return match item {
                _ if item & TAG_WQ_WORK != 0 => self.bpf_wq_work(cx, BpfWork(p)).await,
                _ if item & TAG_WQ_DELETE != 0 => self.bpf_wq_delete_work(cx, BpfWork(p)).await,
                _ => self.bpf_timer_delete_work(cx, Timer(p)).await,
            };
        }
        let index = (item & ((1 << KIND_SHIFT) - 1)) as usize;
        match item >> KIND_SHIFT {
            PROG_PUT => self.bpf_prog_put_deferred(cx, index).await,
            PROG_FREE => self.bpf_prog_free_deferred(cx, index).await,
            _ => self.bpf_map_free_deferred(cx, index).await,
        }
    }

    /// Kernel code of a task begins: on a kernel that is not preemptible, a section without preemption. Whether it is
    /// one.
    pub(crate) async fn enter_kernel(
        &self,
        cx: Cx<'_>,
        label: impl Into<timerace_core::Label>,
    ) -> bool {
        let section = !self.preemptible;
        if section {
            cx.preempt_disable(label).await;
        } else {
            cx.step(label).run(|_| ()).await;
        }
        section
    }

    /// A helper sleeps: in atomic context that is a finding, else the kernel code around it gives the CPU away here.
    pub(crate) async fn helper_sleeps(&self, cx: Cx<'_>) {
        let thread = matches!(cx.kind(), CtxKind::Task | CtxKind::Kworker);
        let section = thread && !self.preemptible;
        if cx.atomic_depth() > u16::from(section) {
            return self.may_sleep(cx).await;
        }
        self.leave_kernel(cx, section).await;
        self.enter_kernel(cx, site!("schedule()", Free)).await;
    }

    /// `cond_resched()` in kernel code of a task that holds nothing: on a kernel that is not preemptible another task of
    /// this CPU may run here, and grace periods see that the CPU has been outside.
    pub(crate) async fn cond_resched(&self, cx: Cx<'_>) {
        if !self.preemptible {
            self.leave_kernel(cx, true).await;
            self.enter_kernel(cx, site!("cond_resched()", Mask, quiet)).await;
        }
    }

    /// The end of such a section, or a place in it where the task sleeps.
    pub(crate) async fn leave_kernel(&self, cx: Cx<'_>, section: bool) {
        if section {
            cx.preempt_enable(site!("return", Mask, quiet)).await;
        }
    }
}
