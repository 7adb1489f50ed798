//! How far CPUs may run ahead of each other.
//!
//! The rule of a timed run is that the CPU whose step comes first goes on. Where the order of two CPUs' steps makes no
//! difference, one may take many steps at once: the run is the same, step by step, and so is its digest. Two things end
//! such a stretch: a context that may touch what others touch ([`crate::machine::Setup::keeps_to_its_cpu`]), and a limit
//! of the run, which must cut all CPUs off at one instant.

use super::{NEVER, TimedOptions};
use crate::ids::{CtxId, Obj};
use crate::machine::Machine;
use crate::mem::Mem;
use crate::step::{Gate, Status, Waiting};

/// No CPU is ahead by more than this, so that few expiries wait for it.
const LONGEST_NS: u64 = 100_000;

#[derive(Debug)]
pub(super) struct Ahead {
    homebound: Vec<bool>,
    /// The other contexts.
    roaming: Vec<CtxId>,
    /// One of them that could step when it was last looked at.
    active: usize,
    /// Before this none of them steps, as far as they have been looked at; one has stepped since.
    alone: u64,
    stale: bool,
    /// Before this no limit of the run can be reached.
    pub unlimited: u64,
    /// The least time between two expiries of one CPU.
    gap: u64,
    lanes: u64,
}

impl Ahead {
    pub fn new(machine: &Machine, options: &TimedOptions, lanes: usize) -> Ahead {
        let mut homebound = vec![false; machine.specs.len()];
        machine.homebound.iter().for_each(|c| homebound[c.index()] = true);
        let all = (0..machine.specs.len() as u16).map(CtxId);
        let least = |c: &crate::step::CostClass| options.costs.get(*c).least();
        Ahead {
            roaming: all.filter(|c| !homebound[c.index()]).collect(),
            homebound,
            active: 0,
            alone: 0,
            stale: true,
            unlimited: 0,
            gap: machine.between_expiries.iter().map(least).sum(),
            lanes: lanes as u64,
        }
    }

    /// A context has stepped, or was given something to do.
    #[inline]
    pub fn stepped(&mut self, c: CtxId) {
        self.stale |= !self.homebound[c.index()];
    }

    /// Whether the context keeps to its CPU.
    #[inline]
    pub fn is_homebound(&self, c: CtxId) -> bool {
        self.homebound.get(c.index()).is_some_and(|h| *h)
    }

    /// Until when a step of `c` at `now`, which no other CPU's comes before, may be followed by others of it, whatever
    /// the other CPUs do. Also finds [`Ahead::unlimited`].
    #[inline]
    pub fn until(&mut self, machine: &Machine, mem: &Mem, c: CtxId, now: u64) -> u64 {
        if now >= self.unlimited {
            self.unlimited = now.saturating_add(self.length(mem));
        }
        if !self.homebound[c.index()] {
            return 0;
        }
        if self.stale {
            self.alone = self.nobody_until(machine, mem);
            self.stale = false;
        }
        // What is torn may touch anything.
        if mem.findings.is_empty() { self.alone } else { 0 }
    }

    /// For how long no limit of the run can be reached.
    fn length(&self, mem: &Mem) -> u64 {
        let clock = &mem.clock;
        let mut ns = LONGEST_NS;
        if clock.max_expiries != u64::MAX {
            let left = clock.max_expiries.saturating_sub(mem.expiries_over) / self.lanes;
            ns = ns.min(left.saturating_sub(2).saturating_mul(self.gap));
        }
        if clock.max_steps != u64::MAX {
            // Steps that cost nothing again and again are a hang, and are cut off anywhere.
            ns = ns.min(clock.max_steps.saturating_sub(clock.steps) / (16 * self.lanes));
        }
        ns
    }

    /// When the first of the roaming contexts may step, as things are.
    fn nobody_until(&mut self, machine: &Machine, mem: &Mem) -> u64 {
        let mut first = NEVER;
        let n = self.roaming.len();
        for i in 0..n {
            // The one that was active last time is active still, as a rule.
            let i = (self.active + i) % n;
            let at = earliest(machine, mem, self.roaming[i]);
            if at == 0 {
                self.active = i;
                return 0;
            }
            first = first.min(at);
        }
        first
    }
}

/// A time before which the context does not step, unless somebody gives it something to do; 0 if it is at work.
fn earliest(machine: &Machine, mem: &Mem, c: CtxId) -> u64 {
    let slot = machine.slots[c.index()].borrow();
    let sleeps = matches!((slot.step.waiting, slot.step.gate), (Waiting::Sleep, Gate::At(_)));
    let works = slot.guard.holds(c, None, &|o: Obj| mem.values[o.index()]);
    match slot.status {
        Status::Done => NEVER,
        Status::Idle if !works => NEVER,
        Status::Idle => slot.step.gate.opens(&mem.queues),
        Status::Waiting if sleeps && works => slot.step.gate.opens(&mem.queues),
        Status::Waiting | Status::Unborn => 0,
    }
}
