//! Start and cancel with `hrtimer_cpu_base.lock` as a lock of its own, for machines on which a program runs inside.
//!
//! Elsewhere a section under that lock is one step ([`crate::hrtimer`]): nobody can see it half done. A program on
//! `trace_hrtimer_start` or `trace_hrtimer_cancel` can, and all other sections then wait for the lock.

use crate::attach::Point;
use crate::hrtimer::{Expiry, MOVED, RUNNING, Start, dequeue, enqueue};
use crate::kernel::Kernel;
use crate::objects::{MIGRATION_BASE, Timer};
use crate::{promises, trace};
use timerace_core::ctx::Decl;
use timerace_core::step::Rel;
use timerace_core::{Cx, site};

/// What the section finds: the timer is queued.
const QUEUED: i64 = 1;

impl Kernel {
    /// A section under the lock of a CPU's base that is one step: it waits for the lock where that is a lock of its own.
    /// `entry`: an interrupt or softirq begins, which on an offline CPU none does.
    #[inline(always)]
    pub(crate) fn under_base_lock<'m>(&self, step: Decl<'m>, cpu: usize, entry: bool) -> Decl<'m> {
        let step = match self.cpus[cpu].base_lock {
            Some(lock) => step.when(lock.obj(), Rel::Eq, 0),
            None => step,
        };
        match &self.cpus[cpu].hotplug {
            Some(h) if entry => step.when(h.online.obj(), Rel::Ne, 0),
            _ => step,
        }
    }

    pub(crate) async fn lock_base(&self, cx: Cx<'_>, cpu: usize) {
        cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
        if let Some(lock) = self.cpus[cpu].base_lock {
            cx.lock(site!("raw_spin_lock(&cpu_base->lock)", Lock), lock).await;
        }
    }

    pub(crate) async fn unlock_base(&self, cx: Cx<'_>, cpu: usize) {
        if let Some(lock) = self.cpus[cpu].base_lock {
            cx.unlock(site!("raw_spin_unlock(&cpu_base->lock)", Lock), lock).await;
        }
        cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
    }

    /// Whether the timer is queued, runs, or has moved; `promise` is what holds from now on if it neither is nor runs.
    async fn look(&self, cx: Cx<'_>, t: Timer, at: usize, promise: Option<u64>) -> i64 {
        let b = self.bases[at];
        let held = self.bucket_waits(cx);
        let mut step = cx.step(site!("hrtimer_active(timer)", Memory));
        if let Some(waits) = held {
            step = step.writes(waits.obj());
        }
        step = step.reads(b.queue.obj()).reads(b.running.obj()).reads(t.base().obj());
        step = step.reads(t.parked().obj());
        if promise.is_some() {
            step = step.writes(t.promise().obj());
        }
        step.run(move |m| {
            if m.load(t.base()) != at as u64 {
                return MOVED;
            }
            let running = m.load(b.running) == Some(t.0);
            if let Some(waits) = held {
                m.store(waits, running);
            }
            if running {
                return RUNNING;
            }
            let index = t.0.number();
            if m.load(t.parked()) || m.queue(b.queue).contains(index) {
                return QUEUED;
            }
            if let Some(promise) = promise {
                m.store(t.promise(), promise);
            }
            0
        })
        .await
    }

    /// `remove_hrtimer()` of a queued timer: the tracepoint, then the queue. `starts`: it is queued again at once, which the
    /// text of a trace says with `was_armed`.
    async fn remove_traced(&self, cx: Cx<'_>, t: Timer, at: usize, promise: u64, starts: bool) {
        self.trace(cx, Point::TimerCancel).await;
        let b = self.bases[at];
        cx.step(site!("timerqueue_del(&base->active, &timer->node)", Hrtimer))
            .writes(b.queue.obj())
            .writes(t.parked().obj())
            .writes(t.promise().obj())
            .run(move |m| {
                m.store(t.promise(), promise);
                dequeue(m, b, t);
                if !starts {
                    trace::hrtimer_cancel(m, t);
                }
            })
            .await;
    }

    /// `hrtimer_try_to_cancel()`: 1. `hrtimer_active`, without the lock; 2. lock; 3. running: -1; 4. queued: remove; 5. unlock.
    pub(crate) async fn try_to_cancel_locked(
        &self,
        cx: Cx<'_>,
        t: Timer,
        at: usize,
        promise: u64,
    ) -> i64 {
        // 1.
        if self.look(cx, t, at, Some(promise)).await == 0 {
            return 0;
        }
        let cpu = self.bases[at].cpu;
        // 2.
        self.lock_base(cx, cpu).await;
        // 3.
        let found = self.look(cx, t, at, Some(promise)).await;
        // 4.
        if found == QUEUED {
            self.remove_traced(cx, t, at, promise, false).await;
        }
        // 5.
        self.unlock_base(cx, cpu).await;
        found
    }

    /// `hrtimer_start_range_ns()`: lock; remove if queued; to this CPU's base, unless the function runs on that of another;
    /// `enqueue_hrtimer` (the tracepoint, then the queue); unlock.
    pub(crate) async fn start_under_base_lock(
        &self,
        cx: Cx<'_>,
        t: Timer,
        at: usize,
        target: usize,
        e: Expiry,
    ) -> i64 {
        self.lock_base(cx, self.bases[at].cpu).await;
        let found = self.look(cx, t, at, None).await;
        if found == MOVED {
            self.unlock_base(cx, self.bases[at].cpu).await;
            return MOVED;
        }
        let b = self.bases[at];
        let armed = found == QUEUED || found == RUNNING && self.is_queued(cx, t, at).await;
        if armed {
            self.remove_traced(cx, t, at, promises::NONE, true).await;
        }
        let mut base = at;
        if at != target && found != RUNNING {
            let v = t.base();
            cx.write(site!("timer->base = &migration_base", Memory), v, MIGRATION_BASE).await;
            self.unlock_base(cx, b.cpu).await;
            self.lock_base(cx, self.bases[target].cpu).await;
            cx.write(site!("timer->base = new_base", Memory), v, target as u64).await;
            base = target;
        }
        self.trace(cx, Point::TimerStart).await;
        self.enqueue_locked(cx, t, base, e, armed).await;
        self.unlock_base(cx, self.bases[base].cpu).await;
        0
    }

    /// `hrtimer_is_queued()`
    async fn is_queued(&self, cx: Cx<'_>, t: Timer, at: usize) -> bool {
        let b = self.bases[at];
        let step = cx.step(site!("hrtimer_is_queued(timer)", Memory, quiet));
        step.reads(b.queue.obj())
            .reads(t.parked().obj())
            .run(move |m| {
                let index = t.0.number();
                m.load(t.parked()) || m.queue(b.queue).contains(index)
            })
            .await
    }

    async fn enqueue_locked(&self, cx: Cx<'_>, t: Timer, base: usize, e: Expiry, armed: bool) {
        let b = self.bases[base];
        let now = self.cpus[b.cpu].now;
        let (timed, locks) = (self.timed, self.timer_locks());
        cx.step(site!("timerqueue_add(&base->active, &timer->node)", Hrtimer))
            .writes(b.queue.obj())
            .reads(now.obj())
            .writes(t.parked().obj())
            .writes(t.expires().obj())
            .writes(t.armed().obj())
            .writes(t.promise().obj())
            .run(move |m| {
                m.store(t.promise(), promises::NONE);
                enqueue(m, b, t, e, Start { now, timed, locks, armed });
            })
            .await;
    }
}
