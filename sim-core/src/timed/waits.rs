//! What contexts wait for in a timed run: locks, callbacks that run, grace periods, work; spinning or asleep.
//!
//! A wait lasts from when the work of a context's last step is done until its next one begins, if the conditions of that
//! one kept it from it meanwhile. At each instant of it one thing is waited for, so the parts add up to the whole, exactly.

use super::{Driver, Lane, Watch, later};
use crate::Mem;
use crate::ids::{CtxId, Nanos, Obj};
use crate::machine::{CtxKind, Model};
use crate::mem::FrameName;
use crate::step::Waiting;

/// What a context waits for.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Awaited {
    /// A lock.
    Lock {
        /// Which.
        lock: Obj,
        /// What the model says of it ([`crate::Model::awaited`]).
        what: u64,
        /// Who holds it.
        holder: Option<CtxId>,
    },
    /// A change of an object: that it no longer says what runs, say.
    Change {
        /// Of which.
        of: Obj,
        /// What the model says of it ([`crate::Model::awaited`]).
        what: u64,
        /// Who is to change it, where that is known.
        by: Option<CtxId>,
    },
    /// A grace period that has not seen this reader outside its section.
    Reader(Option<CtxId>),
    /// The length of the grace period itself: all readers have been outside.
    GracePeriod,
    /// It was over, and the cache line that says so was on its way.
    Handover,
    /// It was over, and the waiter woke up.
    Wakeup,
    /// It was over, and the waiter's CPU did something else.
    Cpu(Option<CtxId>),
}

/// A wait.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Wait {
    /// Who waited.
    pub ctx: CtxId,
    /// Since when, in nanoseconds of virtual time.
    pub from: Nanos,
    /// Until when.
    pub to: Nanos,
    /// The function that waits, as a finding would blame it.
    pub func: FrameName,
    /// The outermost kernel function of the call that waits.
    pub call: FrameName,
    /// It had given its CPU away.
    pub sleeps: bool,
    /// It came to its end; else that of the run was first.
    pub over: bool,
}

impl Wait {
    /// How long it took.
    pub fn ns(&self) -> u64 {
        self.to.0 - self.from.0
    }
}

/// The waits that have begun.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// By context. Empty: nobody wants to know.
    of: Vec<Option<Box<Open>>>,
    /// How many there are.
    pub open: usize,
    parts: Vec<(Awaited, u64)>,
}

#[derive(Debug)]
struct Open {
    func: FrameName,
    call: FrameName,
    sleeps: bool,
    /// When the work of the last step was done, once it is.
    from: Option<u64>,
    /// What is waited for, from when on.
    stretches: Vec<(u64, Awaited)>,
}

impl Waits {
    pub fn new(contexts: usize) -> Waits {
        Waits { of: (0..contexts).map(|_| None).collect(), ..Waits::default() }
    }

    pub fn are_wanted(&self) -> bool {
        !self.of.is_empty()
    }

    pub fn is_open(&self, c: CtxId) -> bool {
        self.open > 0 && self.of[c.index()].is_some()
    }

    /// A context is kept from its next step. `done`: when the work of its last one was, if it is.
    pub fn begin(
        &mut self,
        c: CtxId,
        (func, call): (FrameName, FrameName),
        sleeps: bool,
        done: Option<u64>,
    ) {
        self.of[c.index()] =
            Some(Box::new(Open { func, call, sleeps, from: done, stretches: Vec::new() }));
        self.open += 1;
    }

    /// The work of the context's last step was done at this time.
    #[cold]
    pub fn done(&mut self, c: CtxId, at: u64) {
        if let Some(w) = &mut self.of[c.index()] {
            w.from.get_or_insert(at);
        }
    }

    /// From `at` on the context waits for this.
    pub fn waits_for(&mut self, c: CtxId, at: u64, what: Awaited) {
        let Some(w) = &mut self.of[c.index()] else { return };
        while w.stretches.last().is_some_and(|last| last.0 >= at) {
            w.stretches.pop();
        }
        if w.stretches.last().is_none_or(|last| last.1 != what) {
            w.stretches.push((at, what));
        }
    }

    /// The wait ends; `over`: because the context goes on. `None`: there was none, all was done in time.
    pub fn end(&mut self, c: CtxId, to: u64, over: bool) -> Option<(Wait, &[(Awaited, u64)])> {
        let w = self.of[c.index()].take()?;
        self.open -= 1;
        let from = w.from.filter(|from| *from < to)?;
        self.parts.clear();
        for (i, (begin, what)) in w.stretches.iter().enumerate() {
            let until = w.stretches.get(i + 1).map_or(to, |next| next.0.min(to));
            // What was before the work was done belongs to nobody; the first reason goes back to its end.
            let begin = if i == 0 { from } else { (*begin).max(from) };
            let ns = until.saturating_sub(begin);
            match self.parts.iter_mut().find(|p| p.0 == *what) {
                _ if ns == 0 => {}
                Some(p) => p.1 += ns,
                None => self.parts.push((*what, ns)),
            }
        }
        let (from, to) = (Nanos(from), Nanos(to));
        let wait = Wait { ctx: c, from, to, func: w.func, call: w.call, sleeps: w.sleeps, over };
        Some((wait, &self.parts))
    }

    /// Who waits.
    pub fn waiting(&self) -> impl Iterator<Item = CtxId> + '_ {
        (0..self.of.len() as u16).map(CtxId).filter(|c| self.of[c.index()].is_some())
    }
}

impl<M: Model, W: Watch> Driver<'_, '_, M, W> {
    /// The conditions of a context's next step were looked at: whether it waits, and for what, from `at` on.
    #[cold]
    pub(super) fn look(&mut self, mem: &mut Mem, c: CtxId, at: u64) {
        let slot = self.machine.slots[c.index()].borrow();
        let kept = mem.clock.watchers.is_blocked(c);
        if !self.waits.is_open(c) {
            // Who has not begun waits for nothing, and a grace period is nobody.
            let helper = self.machine.specs[c.index()].kind == CtxKind::Helper;
            if !kept || slot.taken == 0 || helper {
                return;
            }
            mem.clock.waiting.push(c);
            let sleeps = slot.step.waiting == Waiting::Sleep;
            let done = (self.left[c.index()] == 0).then_some(at);
            self.waits.begin(c, (mem.blamed(c), call(mem, c)), sleeps, done);
        }
        if kept {
            let what = self.awaited(mem, c);
            return self.waits.waits_for(c, at, what);
        }
        let opens = slot.step.gate.opens(&mem.queues);
        if opens > at {
            self.waits.waits_for(c, at, Awaited::GracePeriod);
        }
        let other = self.other_on(self.lane_of[c.index()], c);
        self.waits.waits_for(c, opens.max(at), Awaited::Cpu(other));
    }

    /// The context goes on: its step has begun at this time.
    #[cold]
    pub(super) fn wait_is_over(&mut self, c: CtxId, at: u64) {
        let mut to = at;
        let cost = {
            let clock = &mut self.machine.mem.borrow_mut().clock;
            clock.waiting.retain(|x| *x != c);
            clock.cost
        };
        if self.machine.slots[c.index()].borrow().step.waiting == Waiting::Sleep {
            // The step after a sleep is the wake-up.
            self.waits.waits_for(c, at, Awaited::Wakeup);
            to = later(at, cost);
        }
        if let Some((wait, parts)) = self.waits.end(c, to, true) {
            self.watch.wait(&wait, parts);
        }
    }

    /// What it waited for is there, and the cache line that says so is on its way for so long. `done`: when the work of its
    /// last step was.
    pub(super) fn look_at_handover(&mut self, c: CtxId, (done, at): (u64, u64), ns: u64) {
        if !self.waits.is_open(c) {
            return;
        }
        self.waits.done(c, done);
        self.waits.waits_for(c, at, Awaited::Handover);
        let other = self.other_on(self.lane_of[c.index()], c);
        self.waits.waits_for(c, later(at, ns), Awaited::Cpu(other));
    }

    /// Who else has the CPU.
    fn other_on(&self, lane: usize, c: CtxId) -> Option<CtxId> {
        let l = &self.lanes[lane];
        l.holder().filter(|x| *x != c && !l.idle)
    }

    /// What keeps the context from its step, and who is to change it.
    fn awaited(&self, mem: &Mem, c: CtxId) -> Awaited {
        let over = mem.clock.watchers.watched_by(c);
        let known = |o: &Obj| Some((*o, Some(self.exec.holder(mem, *o)?)));
        let (over, holder) = over.iter().find_map(known).unwrap_or((over[0], None));
        let Some(watcher) = holder.filter(|h| self.machine.watchers.contains(h)) else {
            let what = self.exec.model().awaited(mem, over);
            return match mem.is_lock(over) {
                true => Awaited::Lock { lock: over, what, holder },
                false => Awaited::Change { of: over, what, by: holder },
            };
        };
        let mut reader = Vec::new();
        let guard = &self.machine.slots[watcher.index()].borrow().guard;
        guard.blame(watcher, None, &|o: Obj| mem.values[o.index()], &mut reader);
        Awaited::Reader(reader.first().and_then(|o| self.exec.holder(mem, *o)))
    }

    /// The run is over at this time: waits that are not.
    pub(super) fn end_waits(&mut self, at: u64) {
        if self.waits.open == 0 {
            return;
        }
        let waiting: Vec<CtxId> = self.waits.waiting().collect();
        for c in waiting {
            let l = &self.lanes[self.lane_of[c.index()]];
            if l.holder() == Some(c) {
                self.waits.done(c, later(l.t, self.left[c.index()]));
            }
            if let Some((wait, parts)) = self.waits.end(c, at, false) {
                self.watch.wait(&wait, parts);
            }
        }
    }
}

impl Lane {
    /// Who has the CPU, or had it last.
    fn holder(&self) -> Option<CtxId> {
        self.top.or(self.cur)
    }
}

/// The outermost kernel function that the context is in since its innermost body (a program, say) was entered.
fn call(mem: &Mem, c: CtxId) -> FrameName {
    let frames = mem.frames(c);
    let is_body = |n: FrameName| matches!(n, FrameName::Body(_));
    let inside = frames.iter().rposition(|f| is_body(f.name)).map_or(0, |i| i + 1);
    frames.get(inside).map_or_else(|| mem.blamed(c), |f| f.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: CtxId = CtxId(1);

    fn lock(holder: u16) -> Awaited {
        Awaited::Lock { lock: Obj(7), what: 0, holder: Some(CtxId(holder)) }
    }

    fn waits(done: Option<u64>) -> Waits {
        let mut w = Waits::new(3);
        w.begin(ME, (FrameName::Fn("f"), FrameName::Fn("g")), false, done);
        w
    }

    #[test]
    fn parts_add_up_from_when_the_work_was_done() {
        let mut w = waits(None);
        w.waits_for(ME, 10, lock(0));
        w.done(ME, 30);
        w.waits_for(ME, 50, Awaited::Handover);
        w.waits_for(ME, 55, lock(2));
        w.waits_for(ME, 90, Awaited::Handover);
        let (wait, parts) = w.end(ME, 95, true).expect("it waited");
        assert_eq!((wait.from, wait.to, wait.ns()), (Nanos(30), Nanos(95), 65));
        assert_eq!(parts, [(lock(0), 20), (Awaited::Handover, 10), (lock(2), 35)]);
        assert_eq!(w.open, 0);
    }

    #[test]
    fn what_is_over_before_the_work_is_done_is_no_wait() {
        let mut w = waits(None);
        w.waits_for(ME, 10, lock(0));
        assert_eq!(w.end(ME, 40, true), None);
        let mut w = waits(Some(40));
        w.waits_for(ME, 40, lock(0));
        assert_eq!(w.end(ME, 40, true), None);
    }

    #[test]
    fn a_reason_that_lasted_no_time_is_none() {
        let mut w = waits(Some(10));
        w.waits_for(ME, 10, lock(0));
        w.waits_for(ME, 20, Awaited::Handover);
        w.waits_for(ME, 40, Awaited::Cpu(None));
        // Another one was faster.
        w.waits_for(ME, 20, lock(2));
        let (_, parts) = w.end(ME, 50, true).expect("it waited");
        assert_eq!(parts, [(lock(0), 10), (lock(2), 30)]);
    }
}
