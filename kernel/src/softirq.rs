//! HRTIMER_SOFTIRQ and the interrupt that raises it.

use crate::attach::Point;
use crate::kernel::Kernel;
use crate::objects::{ClockBase, TIMER_FIELDS_OF_EXPIRIES, Timer};
use crate::trace;
use timerace_core::mem::Mem;
use timerace_core::step::{Gate, Rel};
use timerace_core::{CtxKind, Cx, Ptr, Var, Word, site, step};

/// `hrtimer_softirq`: nothing is due.
const QUIET: u64 = 0;
/// The softirq is raised.
const RAISED: u64 = 1;
/// The softirq runs.
const ACTIVE: u64 = 2;

impl Kernel {
    /// Explored runs: the softirq of one clock base of a CPU. Each pass expires one timer; that it comes at any moment
    /// covers all passes. The hard interrupt before it touches nothing that can be observed and is left out, and so are
    /// the moments between the softirq's entry and the base lock, and between unlocking and its exit.
    pub(crate) async fn explored_softirq(&self, cx: Cx<'_>, base: usize) {
        let b = self.bases[base];
        if let Some(lock) = self.cpus[b.cpu].expiry_lock {
            return self.rt_softirq(cx, base, lock).await;
        }
        let now = self.cpus[b.cpu].now;
        loop {
            let t = cx
                .enter_level(
                    site!("base->running = timer", SoftirqEntry),
                    CtxKind::Softirq,
                    |d| {
                        self.under_base_lock(d, b.cpu, true)
                            .when(b.queue.obj(), Rel::Ne, 0)
                            .writes(b.queue.obj())
                            .writes(b.running.obj())
                            .writes(now.obj())
                            .gate(Gate::Queues(b.queue.index(), b.queue.index()))
                    },
                    move |m| pop_first(m, b, now),
                )
                .await;
            cx.entered_level(CtxKind::Softirq);
            if let Some(t) = t {
                let _f = cx.enter("hrtimer_run_softirq");
                self.run_hrtimer(cx, t).await;
            }
            cx.exit_level(
                site!("base->running = NULL", SoftirqExit),
                CtxKind::Softirq,
                |d| self.under_base_lock(d, b.cpu, false).writes(b.running.obj()),
                move |m| m.store(b.running, None),
            )
            .await;
        }
    }

    /// Timed runs: the clock event's interrupt (`hrtimer_interrupt`) of a CPU. Each of its bases has a context for it, so
    /// that each waits for its own queue; together they are the one device.
    pub(crate) async fn hrtimer_interrupt(&self, cx: Cx<'_>, base: usize) {
        let b = self.bases[base];
        let (raised, irq_at) = (self.cpus[b.cpu].hrtimer_softirq, self.cpus[b.cpu].irq_at);
        let gate = Gate::Queues(b.queue.index(), b.queue.index());
        loop {
            cx.enter_level(
                site!("raise_softirq_irqoff(HRTIMER_SOFTIRQ)", IrqEntry),
                CtxKind::Hardirq,
                |d| {
                    self.under_base_lock(d, b.cpu, true)
                        .when(raised.obj(), Rel::Eq, QUIET)
                        .when(b.queue.obj(), Rel::Ne, 0)
                        .writes(raised.obj())
                        .writes(irq_at.obj())
                        .gate(gate)
                },
                move |m| {
                    m.store(raised, RAISED);
                    let at = m.now().0;
                    m.store(irq_at, at);
                },
            )
            .await;
            cx.entered_level(CtxKind::Hardirq);
            trace::hrtimer_interrupt(cx);
            cx.exit_level(site!("iret", IrqExit, quiet), CtxKind::Hardirq, |d| d, |_| ()).await;
        }
    }

    /// Timed runs: `hrtimer_run_softirq()` of a CPU. A pass runs what is due at its begin, base by base.
    pub(crate) async fn timed_softirq(&self, cx: Cx<'_>, cpu: usize) {
        let vars = &self.cpus[cpu];
        let (raised, now) = (vars.hrtimer_softirq, vars.now);
        let (q, n) = (self.queue_array(cpu), self.clocks);
        loop {
            let mut next = cx
                .enter_level(
                    site!("base->running = timer", SoftirqEntry),
                    CtxKind::Softirq,
                    |d| {
                        let d = self.under_base_lock(d, cpu, true);
                        let d = d.when(raised.obj(), Rel::Eq, RAISED).writes(raised.obj());
                        d.footprint(|d| {
                            q[..n].iter().fold(d.writes(now.obj()), |d, b| {
                                d.writes(b.queue.obj()).writes(b.running.obj())
                            })
                        })
                    },
                    move |m| {
                        m.store(raised, ACTIVE);
                        trace::hrtimer_softirq_entry(m);
                        let at = m.now().0 as i64;
                        m.store(now, at);
                        pop_due(m, &q[..n], at)
                    },
                )
                .await;
            cx.entered_level(CtxKind::Softirq);
            let f = cx.enter("hrtimer_run_softirq");
            while let Some(t) = next.take() {
                self.run_hrtimer(cx, t).await;
                if self.is_due(cx, cpu) {
                    // The end of one timer's function and the begin of the next one's.
                    let step = cx.step(site!("base->running = NULL", Memory)).reads(now.obj());
                    let step = self.under_base_lock(step, cpu, false).footprint(|d| {
                        q[..n]
                            .iter()
                            .fold(d, |d, b| d.writes(b.queue.obj()).writes(b.running.obj()))
                    });
                    next = step!(step, move |m| {
                        q[..n].iter().for_each(|b| m.store(b.running, None));
                        let at = m.load(now);
                        pop_due(m, &q[..n], at)
                    });
                }
            }
            drop(f);
            trace::hrtimer_softirq_exit(cx);
            // With nothing more due, `base->running = NULL` is part of the exit. A timer that another CPU makes due in
            // between gets an interrupt of its own.
            cx.exit_level(
                site!("cpu_base->softirq_activated = 0", SoftirqExit),
                CtxKind::Softirq,
                |d| {
                    let d = self.under_base_lock(d, cpu, false).writes(raised.obj());
                    d.footprint(|d| q[..n].iter().fold(d, |d, b| d.writes(b.running.obj())))
                },
                move |m| {
                    q[..n].iter().for_each(|b| m.store(b.running, None));
                    m.store(raised, QUIET);
                },
            )
            .await;
        }
    }

    /// The function of a timer, between the tracepoints of `__run_hrtimer()`: the base is not locked, interrupts are on.
    pub(crate) async fn run_hrtimer(&self, cx: Cx<'_>, t: Ptr) {
        let pass = self.cpu(cx).now;
        trace::expire_entry(cx, t, |m| m.peek(pass.obj()) as i64);
        if self.traces(Point::ExpireEntry) {
            self.trace(cx, Point::ExpireEntry).await;
        }
        self.bpf_timer_cb(cx, Timer(t)).await;
        trace::expire_exit(cx, t);
        if self.traces(Point::ExpireExit) {
            self.trace(cx, Point::ExpireExit).await;
        }
    }

    /// Whether the pass has more to do.
    fn is_due(&self, cx: Cx<'_>, cpu: usize) -> bool {
        let now = self.cpus[cpu].now;
        cx.machine().with_mem(|m| {
            let now = m.peek(now.obj()) as i64;
            let mut due = false;
            for b in self.queues_of(cpu) {
                prefetch_element(m, *b);
                due |= m.peek_queue(b.queue).is_due(now);
            }
            due
        })
    }

    /// The soft bases of a CPU, in the order in which a pass visits them.
    pub(crate) fn queues_of(&self, cpu: usize) -> &[ClockBase] {
        &self.bases[cpu * self.clocks..(cpu + 1) * self.clocks]
    }

    /// The same by value, for closures of steps; the second is of no use when there is one clock only.
    fn queue_array(&self, cpu: usize) -> [ClockBase; 2] {
        let q = self.queues_of(cpu);
        [q[0], q[q.len() - 1]]
    }
}

/// Explored: the first timer of the base expires, and the CPU's time advances to its expiry.
pub(crate) fn pop_first(m: &mut Mem, b: ClockBase, now: Var<i64>) -> Option<Ptr> {
    let e = m.with_queue(b.queue, timerace_core::queue::TimerQueue::pop)?;
    let t = Ptr::from_word(e.timer);
    m.store(b.running, Some(t));
    m.update(now, |n: i64| n.max(e.expires));
    m.count_expiry();
    Some(t)
}

/// Timed: the first timer that is due, MONOTONIC before BOOTTIME.
fn pop_due(m: &mut Mem, bases: &[ClockBase], now: i64) -> Option<Ptr> {
    for b in bases {
        if m.queue(b.queue).is_due(now)
            && let Some(timer) = m.with_queue(b.queue, timerace_core::queue::TimerQueue::pop_timer)
        {
            let t = Ptr::from_word(timer);
            m.store(b.running, Some(t));
            m.count_expiry();
            prefetch_next(m, *b);
            return Some(t);
        }
    }
    None
}

/// The timer that comes next is fetched while this one is at work.
fn prefetch_next(m: &mut Mem, b: ClockBase) {
    if let Some(next) = m.peek_queue(b.queue).prefetch_first() {
        m.prefetch(Ptr::from_word(next), TIMER_FIELDS_OF_EXPIRIES);
    }
}

/// The same for its element, a little later: by then the timer is at hand, which says where it is.
fn prefetch_element(m: &Mem, b: ClockBase) {
    if let Some(next) = m.peek_queue(b.queue).first_timer() {
        let value = Timer(Ptr::from_word(next)).value();
        if let Some(value) = Option::<Ptr>::from_word(m.peek(value.obj())) {
            m.prefetch(value, 4);
        }
    }
}
