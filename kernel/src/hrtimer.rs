//! hrtimers as `bpf_timer` uses them (kernel/time/hrtimer.c, v5.15 to v6.19; the soft bases only).
//!
//! A section under `hrtimer_cpu_base.lock` is one step: nothing that the modelled code shares is touched inside it by
//! others. Where a program runs on a tracepoint inside, [`crate::hrtimer_locked`] has the section in steps.
//!
//! Which CPU a start goes to: this CPU, or that on which the timer's function runs (`switch_hrtimer_base`, rule 3). The
//! heuristic of `get_nohz_timer_target` (idle CPUs hand their timers to busy ones) is not modelled: the assumption is
//! that the starting CPU is not idle, which holds for a CPU that runs a program.
//!
//! Explored runs have no clock. Each CPU then has a time of its own, which advances to the expiry of each timer that it
//! expires; relative starts count from it. An armed timer may expire at any moment, those of one base in the order of
//! expiry. A timer that can never expire (`KTIME_MAX`, or negative absolute times, which wait for another timer's pass)
//! counts as queued and is never run.

use crate::kernel::Kernel;
use crate::objects::{Armed, ClockBase, MIGRATION_BASE, Timer};
use crate::{promises, trace};
use timerace_core::Site;
use timerace_core::mem::Mem;
use timerace_core::step::Rel;
use timerace_core::{Cx, Var, Word, site, step};

/// `KTIME_MAX`
pub(crate) const KTIME_MAX: i64 = i64::MAX;

/// When a start asks for the expiry.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Expiry {
    /// Nanoseconds as the helper gets them.
    pub nsecs: u64,
    /// `HRTIMER_MODE_ABS_SOFT`
    pub abs: bool,
    /// `HRTIMER_MODE_PINNED`
    pub pinned: bool,
}

/// What a locked section found.
pub(crate) const MOVED: i64 = -3;
pub(crate) const RUNNING: i64 = -1;
const SWITCH: i64 = -2;
const SWITCH_ARMED: i64 = -4;

impl Kernel {
    /// Which base the timer points to: `lock_hrtimer_base()`, first half, or `hrtimer_active()` before a cancel. The locked
    /// step checks it again.
    async fn timer_base(&self, cx: Cx<'_>, t: Timer, site: &'static Site) -> usize {
        if let Some(base) = self.timer_base_at_once(cx, t) {
            return base;
        }
        let v = t.base();
        let word =
            cx.step(site).when(v.obj(), Rel::Ne, MIGRATION_BASE).run(move |m| m.load(v)).await;
        self.base_index(word)
    }

    /// The same in a timed run, unless the timer is between two bases. A step of its own matters to the order of steps only; a
    /// timed run has one order, and looks at once.
    fn timer_base_at_once(&self, cx: Cx<'_>, t: Timer) -> Option<usize> {
        let word = self.timed.then(|| cx.machine().with_mem(|m| m.peek(t.base().obj())))?;
        (word != MIGRATION_BASE).then(|| self.base_index(word))
    }

    /// A freed timer may hold anything in a mutant or an old kernel; a wrong base is then as good as any.
    fn base_index(&self, word: u64) -> usize {
        (word as usize).min(self.bases.len() - 1)
    }

    /// `hrtimer_cancel()`: 1 if it was queued, 0 if not; waits while its function runs on another CPU.
    ///
    /// `hrtimer_try_to_cancel` is one step (the lock-less test of `hrtimer_active` gives the same answer as the locked
    /// one at that moment), the wait between two tries another, which keeps the CPU.
    pub(crate) async fn hrtimer_cancel(&self, cx: Cx<'_>, t: Timer, promise: u64) -> i64 {
        let f = cx.enter_leaf("hrtimer_cancel");
        let active = site!("hrtimer_active(&t->timer)", Memory);
        loop {
            let at = self.timer_base(cx, t, active).await;
            let ret = self.try_to_cancel(cx, t, at, promise).await;
            match ret {
                MOVED => {}
                RUNNING if let Some(lock) = self.cpus[self.bases[at].cpu].expiry_lock => {
                    self.hrtimer_cancel_wait_running(cx, lock).await;
                }
                RUNNING => {
                    let running = self.bases[at].running;
                    cx.step(site!("while (base->running == timer)", Memory))
                        .when(running.obj(), Rel::Ne, t.0.to_word())
                        .run(|_| ())
                        .await;
                }
                ret => return f.ret(ret),
            }
        }
    }

    /// `hrtimer_try_to_cancel()`: 1 if it was queued, 0 if not, -1 while its function runs.
    pub(crate) async fn hrtimer_try_to_cancel(&self, cx: Cx<'_>, t: Timer, promise: u64) -> i64 {
        let f = cx.enter_leaf("hrtimer_try_to_cancel");
        let active = site!("hrtimer_active(&t->timer)", Memory);
        loop {
            let at = self.timer_base(cx, t, active).await;
            let ret = self.try_to_cancel(cx, t, at, promise).await;
            if ret != MOVED {
                return f.ret(ret);
            }
        }
    }

    async fn try_to_cancel(&self, cx: Cx<'_>, t: Timer, at: usize, promise: u64) -> i64 {
        let b = self.bases[at];
        if self.cpus[b.cpu].base_lock.is_some() {
            return self.try_to_cancel_locked(cx, t, at, promise).await;
        }
        let held = self.bucket_waits(cx);
        let mut step = cx.step(site!("hrtimer_try_to_cancel(&t->timer)", Hrtimer));
        if let Some(waits) = held {
            step = step.writes(waits.obj());
        }
        step.writes(b.queue.obj())
            .reads(b.running.obj())
            .reads(t.base().obj())
            .writes(t.parked().obj())
            .writes(t.promise().obj())
            .run(move |m| {
                if m.load(t.base()) != at as u64 {
                    return MOVED;
                }
                let running = m.load(b.running) == Some(t.0);
                if let Some(waits) = held {
                    m.store(waits, running);
                }
                if running {
                    return m.returns(RUNNING);
                }
                m.store(t.promise(), promise);
                let queued = i64::from(dequeue(m, b, t));
                if queued != 0 {
                    trace::hrtimer_cancel(m, t);
                }
                m.returns(queued)
            })
            .await
    }

    /// The ghost of the bucket lock that this context holds, if waiting under it can end in a time-out of others.
    pub(crate) fn bucket_waits(&self, cx: Cx<'_>) -> Option<timerace_core::Var<bool>> {
        let rq = self.flags.rqspinlock_buckets;
        self.held_bucket[cx.id().index()].get().filter(|_| rq)
    }

    /// `hrtimer_start_range_ns()` with slack 0.
    ///
    /// v6.x: `lock_hrtimer_base`; dequeue; if the function runs on another CPU stay there; else move to this CPU
    /// through `migration_base`; enqueue. Locked sections are one step each.
    pub(crate) async fn hrtimer_start(&self, cx: Cx<'_>, t: Timer, e: Expiry) {
        let _f = cx.enter_leaf("hrtimer_start");
        let base = site!("base = READ_ONCE(timer->base)", Memory);
        loop {
            let at = match self.timer_base_at_once(cx, t) {
                Some(at) => at,
                None => self.timer_base(cx, t, base).await,
            };
            let here = cx.cpu().map_or(0, |c| c.index());
            let cpu = match &self.cpus[here].hotplug {
                None => here,
                Some(h) => self.timer_target_cpu(cx, here, h).await,
            };
            let clock = at - self.bases[at].cpu * self.clocks;
            let target = cpu * self.clocks + clock;
            if self.cpus[self.bases[at].cpu].base_lock.is_some() {
                if self.start_under_base_lock(cx, t, at, target, e).await == MOVED {
                    continue;
                }
                return;
            }
            let done = self.start_locked(cx, t, at, target, e).await;
            if done == MOVED {
                continue;
            }
            if done == SWITCH || done == SWITCH_ARMED {
                self.start_switched(cx, t, target, e, done == SWITCH_ARMED).await;
            }
            return;
        }
    }

    async fn start_locked(&self, cx: Cx<'_>, t: Timer, at: usize, target: usize, e: Expiry) -> i64 {
        let b = self.bases[at];
        let now = self.cpus[b.cpu].now;
        let (timed, locks) = (self.timed, self.timer_locks());
        step!(
            cx.step(site!("hrtimer_start(&t->timer, expires)", Hrtimer))
                .writes(b.queue.obj())
                .reads(b.running.obj())
                .reads(now.obj())
                .writes(t.base().obj())
                .writes(t.parked().obj())
                .writes(t.expires().obj())
                .writes(t.armed().obj())
                .writes(t.promise().obj()),
            move |m| {
                if m.load(t.base()) != at as u64 {
                    return MOVED;
                }
                m.store(t.promise(), promises::NONE);
                if at != target && m.load(b.running) != Some(t.0) {
                    let armed = dequeue(m, b, t);
                    m.store(t.base(), MIGRATION_BASE);
                    return if armed { SWITCH_ARMED } else { SWITCH };
                }
                enqueue(m, b, t, e, Start { now, timed, locks, armed: false });
                0
            }
        )
    }

    async fn start_switched(&self, cx: Cx<'_>, t: Timer, target: usize, e: Expiry, armed: bool) {
        let b = self.bases[target];
        let now = self.cpus[b.cpu].now;
        let (timed, locks) = (self.timed, self.timer_locks());
        cx.step(site!("timer->base = new_base; enqueue", Hrtimer))
            .writes(b.queue.obj())
            .reads(now.obj())
            .writes(t.base().obj())
            .writes(t.parked().obj())
            .writes(t.expires().obj())
            .writes(t.armed().obj())
            .run(move |m| {
                m.store(t.base(), target as u64);
                enqueue(m, b, t, e, Start { now, timed, locks, armed });
            })
            .await;
    }
}

/// The time from which relative starts count. In a timed run never that of the current pass: a timer started with 0 is
/// due in the next pass, however fast the model's CPU is.
fn clock(m: &mut Mem, timed: bool, now: Var<i64>) -> i64 {
    let local = m.load(now);
    if timed { (m.now().0 as i64).max(local + 1) } else { local }
}

pub(crate) fn dequeue(m: &mut Mem, b: ClockBase, t: Timer) -> bool {
    if m.load(t.parked()) {
        m.store(t.parked(), false);
        return true;
    }
    let index = t.0.number();
    m.queue(b.queue).contains(index) && m.with_queue(b.queue, |q| q.remove(index))
}

/// How a timer is started.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Start {
    /// The time of the base's CPU.
    pub now: Var<i64>,
    pub timed: bool,
    /// Spinlocks held, for tracers.
    pub locks: u8,
    /// It was queued elsewhere up to now.
    pub armed: bool,
}

/// The expiry, then the queue, which a timer that is in it leaves first, and the tracepoint.
pub(crate) fn enqueue(m: &mut Mem, b: ClockBase, t: Timer, e: Expiry, start: Start) {
    let since = clock(m, start.timed, start.now);
    let was_queued = put_in_queue(m, b, t, e, since, start.timed);
    trace::hrtimer_start(m, t, e, since, (start.armed || was_queued, start.locks));
}

/// Whether it was queued there.
fn put_in_queue(m: &mut Mem, b: ClockBase, t: Timer, e: Expiry, now: i64, timed: bool) -> bool {
    let (soft, hard) = expiry(e, now);
    m.store(t.expires(), hard);
    let armed = Armed { at: m.now().0, abs: e.abs && timed };
    m.store(t.armed(), armed);
    if hard == KTIME_MAX && (soft == KTIME_MAX || !timed) {
        let was_queued = dequeue(m, b, t);
        m.store(t.parked(), true);
        return was_queued;
    }
    let was_parked = m.load(t.parked());
    if was_parked {
        m.store(t.parked(), false);
    }
    let index = t.0.number();
    let was_queued = m.with_queue(b.queue, |q| q.insert(t.0.to_word(), index, hard, soft));
    if e.abs && !timed {
        m.queued_for_a_time(b.queue, index);
    }
    was_parked || was_queued
}

/// Soft and hard expiry. Relative times saturate, also those of 2^63 and more; a negative absolute time keeps its soft
/// expiry, while the hard one becomes `KTIME_MAX`.
pub(crate) fn expiry(e: Expiry, now: i64) -> (i64, i64) {
    let nsecs = e.nsecs as i64;
    if !e.abs {
        let at = match now.checked_add(nsecs) {
            Some(at) if nsecs >= 0 => at,
            _ => KTIME_MAX,
        };
        return (at, at);
    }
    if nsecs < 0 { (nsecs, KTIME_MAX) } else { (nsecs, nsecs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times_saturate() {
        let rel = |nsecs, now| expiry(Expiry { nsecs, abs: false, pinned: false }, now);
        assert_eq!(rel(5, 10), (15, 15));
        assert_eq!(rel(i64::MAX as u64, 10), (KTIME_MAX, KTIME_MAX));
        assert_eq!(rel(1 << 63, 10), (KTIME_MAX, KTIME_MAX));
        assert_eq!(rel(u64::MAX, 10), (KTIME_MAX, KTIME_MAX));
    }

    #[test]
    fn a_negative_absolute_time_is_due_but_last() {
        let abs = |nsecs| expiry(Expiry { nsecs, abs: true, pinned: false }, 10);
        assert_eq!(abs(3), (3, 3));
        assert_eq!(abs(1 << 63), (i64::MIN, KTIME_MAX));
        assert_eq!(abs(i64::MAX as u64), (KTIME_MAX, KTIME_MAX));
    }
}
