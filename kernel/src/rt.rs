//! PREEMPT_RT: HRTIMER_SOFTIRQ is a thread, and who waits for a callback sleeps on the lock that the thread holds
//! (kernel/time/hrtimer.c, under CONFIG_PREEMPT_RT). Explored runs only.
//!
//! The thread can be preempted inside a callback, by tasks of its own CPU as well; `hrtimer_running` of the CPU stays set
//! meanwhile. Raw spinlocks, the timer's and those of maps, are as everywhere.

use crate::kernel::Kernel;
use crate::objects::Timer;
use timerace_core::detect::Class;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::step::Rel;
use timerace_core::{CtxId, Cx, Var, Word, site};

impl Kernel {
    /// `hrtimer_run_softirq()` in the softirq's thread: `softirq_expiry_lock`, one timer, unlock. That bottom halves are off
    /// in the thread makes it a reader of RCU and nothing more.
    pub(crate) async fn rt_softirq(
        &self,
        cx: Cx<'_>,
        base: usize,
        expiry_lock: Var<Option<CtxId>>,
    ) {
        let b = self.bases[base];
        let now = self.cpus[b.cpu].now;
        let me = cx.id();
        loop {
            let site = site!("spin_lock(&cpu_base->softirq_expiry_lock)", SoftirqEntry);
            let step = self.under_base_lock(cx.step(site), b.cpu, true);
            let t = step
                .when(expiry_lock.obj(), Rel::Eq, 0)
                .when(b.queue.obj(), Rel::Ne, 0)
                .writes(expiry_lock.obj())
                .writes(b.queue.obj())
                .writes(b.running.obj())
                .writes(now.obj())
                .asleep()
                .idle()
                .run(move |m: &mut Mem| {
                    m.store(expiry_lock, Some(me));
                    crate::softirq::pop_first(m, b, now)
                })
                .await;
            let f = cx.enter("hrtimer_run_softirq");
            self.rcu_read_lock(cx).await;
            if let Some(t) = t {
                self.run_hrtimer(cx, t).await;
            }
            let end = cx.step(site!("base->running = NULL", SoftirqExit));
            let end = self.under_base_lock(end, b.cpu, false).writes(b.running.obj());
            end.run(move |m| m.store(b.running, None)).await;
            self.rcu_read_unlock(cx).await;
            drop(f);
            cx.unlock(site!("spin_unlock(&cpu_base->softirq_expiry_lock)", Lock), expiry_lock)
                .await;
        }
    }

    /// `hrtimer_cancel_wait_running()`: sleeps until the softirq drops its lock. With interrupts or preemption off that is
    /// "scheduling while atomic".
    pub(crate) async fn hrtimer_cancel_wait_running(
        &self,
        cx: Cx<'_>,
        expiry_lock: Var<Option<CtxId>>,
    ) {
        let _f = cx.enter_leaf("hrtimer_cancel_wait_running");
        let lock = site!("spin_lock_bh(&cpu_base->softirq_expiry_lock)", Lock);
        let atomic = cx.irqs_disabled() || cx.preempt_depth() > 0;
        if atomic {
            cx.step(lock).run(|m| m.report(Class::SleepInAtomic, None)).await;
        }
        let wait = if atomic { site!("schedule()", Lock) } else { lock };
        cx.step(wait).asleep().when(expiry_lock.obj(), Rel::Eq, 0).run(|_| ()).await;
    }

    /// The two steps of 58f038e6d209 in `bpf_timer_cancel_and_free()`: a timer whose callback runs is left to a kworker.
    pub(crate) async fn rt_cancel_and_free(&self, cx: Cx<'_>, t: Timer, promise: u64) -> bool {
        let cancelled = self.hrtimer_try_to_cancel(cx, t, promise).await >= 0;
        if !cancelled {
            let site = site!("queue_work(.., &t->delete_work)", Wakeup);
            self.queue_work(cx, site, Ptr::to_word(t.0)).await;
        }
        cancelled
    }
}
