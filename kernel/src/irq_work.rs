//! irq_work: functions that run in a hard interrupt of the CPU that queued them (kernel/irq_work.c).
//!
//! One kind of object has an irq_work here, the lock-free timer or work queue. The interrupt comes at any moment at which the CPU's
//! interrupts are on: not every architecture can interrupt itself, and where it cannot, the next tick does it.

use crate::kernel::Kernel;
use crate::objects::AsyncCb;
use timerace_core::{CtxKind, Cx, site};

/// `IRQ_WORK_PENDING`
const PENDING: u64 = 1;
/// `IRQ_WORK_BUSY`
const BUSY: u64 = 2;

/// The function is `bpf_async_irq_worker`.
pub(crate) const ASYNC_WORKER: u64 = 0;
/// The function only calls `call_rcu_tasks_trace` (1ace9bac1ad2).
pub(crate) const RCU_TASKS_TRACE: u64 = 1;

impl Kernel {
    /// `init_irq_work()` of an object that nobody else uses any more.
    pub(crate) async fn init_irq_work(&self, cx: Cx<'_>, cb: AsyncCb, func: u64) {
        cx.step(site!("cb->worker = IRQ_WORK_INIT(..)", Memory))
            .writes(cb.worker.obj())
            .writes(cb.worker_func.obj())
            .run(move |m| {
                m.store(cb.worker, 0);
                m.store(cb.worker_func, func);
            })
            .await;
    }

    /// `irq_work_queue()`: false if it is pending already. Claim and queueing are one step: what comes between them on this
    /// CPU finds the work pending either way.
    pub(crate) async fn irq_work_queue(&self, cx: Cx<'_>, cb: AsyncCb) -> bool {
        let (list, word) = (self.cpu(cx).irq_work, cb.word());
        cx.step(site!("irq_work_queue(&cb->worker)", Wakeup))
            .writes(cb.worker.obj())
            .writes(list.obj())
            .run(move |m| {
                let was = m.update(cb.worker, |flags| flags | PENDING | BUSY);
                if was & PENDING == 0 {
                    m.push_back(list, word);
                }
                was & PENDING == 0
            })
            .await
    }

    /// The interrupt of a CPU, `irq_work_run()`: takes the list, then each work in turn.
    pub(crate) async fn irq_work_run(&self, cx: Cx<'_>, cpu: usize) {
        let list = self.cpus[cpu].irq_work;
        loop {
            let works = cx
                .enter_level(
                    site!("llist_del_all(raised_list)", IrqEntry),
                    CtxKind::Hardirq,
                    |d| d.when(list.obj(), timerace_core::step::Rel::Ne, 0).writes(list.obj()),
                    move |m| {
                        let mut all = Vec::new();
                        while let Some(word) = m.pop_front(list) {
                            all.push(word);
                        }
                        crate::raw::Words(all)
                    },
                )
                .await;
            cx.entered_level(CtxKind::Hardirq);
            for word in works.0 {
                self.irq_work_single(cx, AsyncCb::of_word(word)).await;
            }
            cx.exit_level(site!("iret", IrqExit, quiet), CtxKind::Hardirq, |d| d, |_| ()).await;
        }
    }

    /// `irq_work_single()`: clear PENDING, call the function, clear BUSY unless it was queued again.
    async fn irq_work_single(&self, cx: Cx<'_>, cb: AsyncCb) {
        let _f = cx.enter("irq_work_single");
        let func = cx
            .step(site!("work->flags &= ~IRQ_WORK_PENDING", Atomic))
            .writes(cb.worker.obj())
            .reads(cb.worker_func.obj())
            .run(move |m| {
                m.update(cb.worker, |flags| flags & !PENDING);
                m.load(cb.worker_func)
            })
            .await;
        if func == ASYNC_WORKER {
            self.bpf_async_irq_worker(cx, cb).await;
        } else {
            self.bpf_async_call_rcu(cx, cb).await;
        }
        cx.step(site!("cmpxchg(&work->flags, flags, flags & ~IRQ_WORK_BUSY)", Atomic))
            .writes(cb.worker.obj())
            .run(move |m| {
                m.update(
                    cb.worker,
                    |flags| if flags & PENDING == 0 { flags & !BUSY } else { flags },
                );
            })
            .await;
    }
}
