//! Runs that get nowhere: a timer is due, or a task could go on, and its CPU never gets to it.
//!
//! Nobody can tell whether a load ends some day, so this is a bound: so many steps of the run in which no timer's function
//! returned anywhere while the same victim waited for its CPU. It is looked at at full seconds of virtual time, where all
//! CPUs are at one instant, so neither the machine nor short cuts of the run make a difference.

use super::{Cause, Driver, END_OF_TIME, Watch};
use crate::ids::{CpuId, CtxId, Nanos};
use crate::machine::{CtxKind, Model};
use crate::step::Status;

/// How often a run looks whether it gets anywhere, in nanoseconds of virtual time.
const EVERY_NS: u64 = 1_000_000_000;

/// A timer that was due for less is late, not starved.
const LATE_NS: u64 = 10_000_000;

/// Who waits for a CPU that does something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Starved {
    /// The timer as people write it, or a task.
    pub who: Victim,
    /// The CPU that does not get to it.
    pub cpu: Option<CpuId>,
    /// Since when, in nanoseconds of virtual time: when the timer was due, or when the task was first seen to wait.
    pub since: Nanos,
    /// What the CPU did lately, in nanoseconds, the most first; empty if causes were not wanted.
    pub doing: Vec<(Cause, u64)>,
}

/// See [`Starved`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Victim {
    /// A timer, as people write it.
    Timer(String),
    /// A task.
    Task(CtxId),
}

/// What is remembered of the last look at which the run got somewhere.
#[derive(Debug, Default)]
pub(super) struct Progress {
    at: u64,
    steps: u64,
    expiries: u64,
    /// By context: its steps, and the work that its last one had left.
    contexts: Vec<(u32, u64)>,
}

impl<M: Model, W: Watch> Driver<'_, '_, M, W> {
    /// Before which instant the run is looked at next, if a step comes at `at`.
    pub(super) fn next_look(&self, at: u64) -> u64 {
        let until = self.options.until.map_or(END_OF_TIME - 1, |n| n.0);
        match self.options.patience {
            None => until,
            Some(_) => until.min((at / EVERY_NS).saturating_add(1).saturating_mul(EVERY_NS)),
        }
    }

    /// All steps up to `now` have been taken: whether the run gets nowhere any more.
    #[cold]
    pub(super) fn is_stuck(&mut self, now: u64) -> bool {
        let Some(patience) = self.options.patience else { return false };
        let (steps, expiries) = {
            let mem = self.machine.mem.borrow();
            (mem.clock.steps, mem.expiries_over)
        };
        let waits = expiries == self.progress.expiries
            && (self.overdue(self.progress.at).is_some() || self.starved_task(now).is_some());
        if waits {
            return steps - self.progress.steps >= patience;
        }
        let of = |c: usize| (self.machine.slots[c].borrow().taken, self.left[c]);
        let contexts = (0..self.left.len()).map(of).collect();
        self.progress = Progress { at: now, steps, expiries, contexts };
        false
    }

    /// Who is starved at the end of a run.
    pub(super) fn starved(&self, now: u64, stuck: bool) -> Option<Starved> {
        let late = now.checked_sub(LATE_NS)?;
        if let Some((queue, due)) = self.overdue(late) {
            let mem = self.machine.mem.borrow();
            let timer = mem.queues[queue].first().map_or(0, |e| e.timer);
            let (name, cpu) = self.exec.model().render_queued(&mem, queue as u32, timer);
            let doing = cpu.map_or_else(Vec::new, |c| self.did(c, due, now));
            return Some(Starved { who: Victim::Timer(name), cpu, since: Nanos(due), doing });
        }
        let task = self.starved_task(now).filter(|_| stuck)?;
        let cpu = self.machine.specs[task.index()].cpu;
        let since = self.progress.at;
        let doing = cpu.map_or_else(Vec::new, |c| self.did(c, since, now));
        Some(Starved { who: Victim::Task(task), cpu, since: Nanos(since), doing })
    }

    /// The timer that is due longest, if it was due at this time already: its queue, and when it was due.
    fn overdue(&self, at: u64) -> Option<(usize, u64)> {
        let mem = self.machine.mem.borrow();
        let due = mem.queues.iter().enumerate().filter_map(|(i, q)| Some((q.first_due()?, i)));
        due.min().filter(|(due, _)| *due <= at).map(|(due, i)| (i, due))
    }

    /// A task that could go on, and neither it nor another one of its CPU has done anything since the run got somewhere.
    fn starved_task(&self, now: u64) -> Option<CtxId> {
        let mem = self.machine.mem.borrow();
        let idled = |c: &CtxId| {
            let now = (self.machine.slots[c.index()].borrow().taken, self.left[c.index()]);
            self.progress.contexts.get(c.index()) == Some(&now)
        };
        let starves = |c: &CtxId| {
            let slot = self.machine.slots[c.index()].borrow();
            let kind = self.machine.specs[c.index()].kind;
            matches!(kind, CtxKind::Task | CtxKind::Kworker)
                && slot.status == Status::Waiting
                && self.lanes[self.lane_of[c.index()]].tasks.iter().all(idled)
                && slot.step.gate.opens(&mem.queues) <= now
                && slot.guard.holds(*c, None, &|o| mem.values[o.index()])
        };
        (0..self.left.len() as u16).map(CtxId).find(starves)
    }

    fn did(&self, cpu: CpuId, from: u64, to: u64) -> Vec<(Cause, u64)> {
        let Some(history) = self.history.get(cpu.index()) else { return Vec::new() };
        let mut doing = history.lately(from, to);
        doing.sort_by_key(|d| (std::cmp::Reverse(d.1), d.0));
        doing
    }
}
