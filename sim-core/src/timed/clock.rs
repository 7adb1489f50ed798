//! What a step of a timed run needs at hand: its cost, the digest of its lane, and whether it may happen right away.
//!
//! The driver picks the lane whose next step comes first. Three kinds of steps need not come back to it: the result is
//! the same when they follow the step before them at once, as long as nothing comes in between on their own CPU. This
//! saves the way out of and back into the context's nested functions. For the same reasons the driver stays with a lane,
//! whose data then is at hand, as long as the next step there is one of the third kind. Tests compare the digests with and
//! without it.
//!
//! 1. Steps that nobody else can see until their context has gone on: they mask interrupts, say, or read what the lock
//!    that the context holds protects ([`crate::ctx::Decl::exclusive`]).
//! 2. Steps that come before the next step of every other lane: the driver would pick them.
//! 3. Steps of a context that keeps to its CPU ([`crate::machine::Setup::keeps_to_its_cpu`]), while all that can happen
//!    are steps of such contexts: on different CPUs these touch nothing in common.

use super::costs::Even;
use super::draws::Draws;
use super::watchers::Watchers;
use super::{Costs, Dist, NEVER, TimedOptions};
use crate::ids::{CtxId, Obj};
use crate::machine::Machine;
use crate::mem::Mem;
use crate::queue::TimerQueue;
use crate::step::{COST_CLASSES, Cost, CostClass, Declared, Gate, Slot, Status};
use sha2::{Digest, Sha256};

/// No CPU's word.
const NO_WORD: u64 = u64::MAX;

/// The clock of a timed run; one without lanes when there is none.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    lanes: Vec<LaneClock>,
    costs: Costs,
    even: [Even; COST_CLASSES],
    pub watchers: Watchers,
    /// Who waits for what the last step has written.
    pub woken: Vec<CtxId>,
    /// By context: its lane, and whether it is a daemon of a CPU.
    homes: Vec<(usize, bool)>,
    /// Who waits in the middle of something, where that is wanted: each change of what is waited for counts.
    pub waiting: Vec<CtxId>,
    /// The lane that steps.
    lane: usize,
    /// Nobody else can see yet what its step does.
    hidden: bool,
    /// Its last step: when it began, and what it costs.
    pub at: u64,
    pub cost: u64,
    /// Steps that begin before this may happen right away: those that nobody else can see, and any.
    unseen: u64,
    any: u64,
    /// What these are where no daemon enters the CPU.
    limits: (u64, u64),
    /// The CPU's word was written: who may enter it must be found anew.
    pub masks: bool,
    /// The last step may have let somebody in: before another one may happen right away, it must be known when.
    unmasked: bool,
    /// The CPU's word for which the limits were found: while nobody is woken they are right whenever it is this again.
    looked_at: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Where the run ends.
    pub max_steps: u64,
    pub max_expiries: u64,
}

#[derive(Debug)]
struct LaneClock {
    own: Option<Obj>,
    daemons: Vec<CtxId>,
    draws: Draws,
    trail: Trail,
}

/// A digest of the steps of a lane: who, when. Each step is a bijection of the state, and different steps are different
/// ones, so that two runs are told apart as well as 64 bits can.
#[derive(Copy, Clone, Debug, Default)]
struct Trail(u64);

impl Trail {
    #[inline]
    fn note(&mut self, at: u64, ctx: CtxId) {
        let ctx = u64::from(ctx.0) + 1;
        self.0 = (self.0.rotate_left(23) ^ at ^ ctx << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Clock {
    pub(super) fn new(
        options: &TimedOptions,
        lanes: &[super::Lane],
        homes: Vec<(usize, bool)>,
    ) -> Clock {
        let lane = |(l, lane): (usize, &super::Lane)| LaneClock {
            own: lane.own,
            daemons: lane.daemons.clone(),
            draws: Draws::new(options.seed, l as u64 + 1),
            trail: Trail::default(),
        };
        Clock {
            lanes: lanes.iter().enumerate().map(lane).collect(),
            costs: options.costs.clone(),
            even: CostClass::ALL.map(|c| Even::of(options.costs.get(c))),
            max_steps: options.max_steps,
            max_expiries: options.expiries.unwrap_or(u64::MAX),
            watchers: Watchers::new(homes.len()),
            homes,
            ..Clock::default()
        }
    }

    /// A declared step of a lane begins: its cost and its alternative are drawn. Steps after it that begin before these
    /// limits, those that nobody else can see and any, may follow right away if they come before `irq_at`.
    pub(super) fn begin(
        &mut self,
        lane: usize,
        at: u64,
        ctx: CtxId,
        slot: &Slot,
        irq_at: u64,
        limits: (u64, u64),
    ) -> u8 {
        self.lane = lane;
        self.woken.clear();
        self.limits = limits;
        self.hidden = false;
        self.masks = slot.step.masks;
        self.unmasked = slot.step.opens;
        self.looked_at = NO_WORD;
        self.nobody_before(irq_at);
        self.note(at, ctx, slot.step.cost);
        self.alternative(slot.step.alts)
    }

    /// Collects who waits for what the step has written. Daemons of its CPU that wait for new work matter only in that one
    /// may enter it. Anybody else is woken by the driver, before another step of the lane; but of a step that nobody else
    /// can see there is nothing yet that could wake them.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_for(&mut self, obj: Obj) {
        for i in 0..self.watchers.of(obj).len() {
            let c = self.watchers.of(obj)[i];
            let at_home = self.homes[c.index()] == (self.lane, true) && !self.waiting.contains(&c);
            if self.hidden && !at_home || self.woken.contains(&c) {
                continue;
            }
            self.woken.push(c);
            if !at_home {
                self.limits = (0, 0);
                self.stop();
            }
        }
    }

    /// The word of the CPU that steps; 0 for contexts without one.
    #[inline]
    fn word(&self, values: &[u64]) -> u64 {
        self.lanes[self.lane].own.map_or(0, |own| values[own.index()])
    }

    #[inline]
    fn nobody_before(&mut self, entry: u64) {
        self.unseen = self.limits.0.min(entry);
        self.any = self.limits.1.min(entry);
    }

    #[inline(always)]
    fn alternative(&mut self, alts: u8) -> u8 {
        if alts <= 1 { 0 } else { self.drawn_alternative(alts) }
    }

    #[cold]
    fn drawn_alternative(&mut self, alts: u8) -> u8 {
        crate::policy::below(&mut self.lanes[self.lane].draws, u64::from(alts)) as u8
    }

    /// A draw of a cost that comes on top of a step's own.
    pub(super) fn draw(&mut self, lane: usize, class: CostClass) -> u64 {
        self.costs.get(class).draw(&mut self.lanes[lane].draws)
    }

    /// The same for the lane that steps.
    pub(crate) fn draw_here(&mut self, class: CostClass) -> u64 {
        self.draw(self.lane, class)
    }

    /// When the work of the last step is done.
    pub(crate) fn done_at(&self) -> crate::ids::Nanos {
        crate::ids::Nanos(self.at.saturating_add(self.cost))
    }

    /// What comes on the CPU of the last step before this may follow it, whatever else there is.
    pub(super) fn until(&self) -> u64 {
        self.limits.1
    }

    /// No step follows right away any more.
    pub(super) fn stop(&mut self) {
        (self.unseen, self.any) = (0, 0);
    }

    /// A step begins: its cost is drawn.
    #[inline(always)]
    fn note(&mut self, at: u64, ctx: CtxId, cost: Cost) {
        match cost {
            Cost::Class(class) => self.note_class(at, ctx, class),
            Cost::Range(lo, hi) => self.note_dist(at, ctx, &Dist::Uniform(lo, hi)),
        }
    }

    #[inline(never)]
    fn note_class(&mut self, at: u64, ctx: CtxId, class: CostClass) {
        let lane = &mut self.lanes[self.lane];
        if lane.draws.are_used_up() {
            return self.note_refilled(at, ctx, class);
        }
        match self.even[class as usize].draw(&mut lane.draws) {
            Some(ns) => self.begun(at, ctx, ns),
            None => self.note_shaped(at, ctx, class),
        }
    }

    /// Apart, so that the common way has no call in it.
    #[cold]
    #[inline(never)]
    fn note_refilled(&mut self, at: u64, ctx: CtxId, class: CostClass) {
        self.lanes[self.lane].draws.refill();
        self.note_class(at, ctx, class);
    }

    #[cold]
    #[inline(never)]
    fn note_shaped(&mut self, at: u64, ctx: CtxId, class: CostClass) {
        let ns = self.draw(self.lane, class);
        self.begun(at, ctx, ns);
    }

    #[inline(never)]
    fn note_dist(&mut self, at: u64, ctx: CtxId, dist: &Dist) {
        let ns = dist.draw(&mut self.lanes[self.lane].draws);
        self.begun(at, ctx, ns);
    }

    #[inline(always)]
    fn begun(&mut self, at: u64, ctx: CtxId, ns: u64) {
        (self.at, self.cost) = (at, ns);
        self.steps += 1;
        self.lanes[self.lane].trail.note(at, ctx);
    }

    /// Whether a limit of the run is reached.
    #[inline]
    pub(super) fn is_over(&self, expiries: u64) -> bool {
        expiries >= self.max_expiries || self.steps >= self.max_steps
    }

    /// SHA-256 over the digests of the lanes' steps.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        self.lanes.iter().for_each(|l| all.update(l.trail.0.to_le_bytes()));
        all.finalize().into()
    }
}

impl Machine {
    /// In a timed run without store buffers: whether the step that the context has just declared may happen right away. If
    /// so it has begun.
    #[inline(always)]
    pub(crate) fn goes_on(&self, ctx: CtxId, step: &Declared, mem: &mut Mem) -> bool {
        let clock = &mem.clock;
        let at = clock.at.saturating_add(clock.cost);
        let before = if step.exclusive { clock.unseen } else { clock.any };
        if at >= before || step.idle || !matches!(step.gate, Gate::Open) {
            return false;
        }
        // Before the limits in force no other bound of the run is reached.
        if clock.steps >= clock.max_steps {
            return false;
        }
        let looked = (!clock.unmasked || clock.word(&mem.values) == clock.looked_at)
            && clock.woken.is_empty();
        if !looked && !self.nobody_enters(ctx, step.exclusive, mem, at) {
            return false;
        }
        let clock = &mut mem.clock;
        clock.hidden = step.exclusive;
        clock.unmasked = step.opens;
        clock.masks |= step.masks;
        clock.note(at, ctx, step.cost);
        mem.alt = clock.alternative(step.alts);
        mem.now = crate::ids::Nanos(at);
        mem.label = step.label;
        mem.step_no += 1;
        mem.taken += 1;
        true
    }

    /// After a step that may have let daemons in: whether none enters the CPU up to the step of `me` at `at`.
    #[inline(never)]
    fn nobody_enters(&self, me: CtxId, exclusive: bool, mem: &mut Mem, at: u64) -> bool {
        let mut woken = std::mem::take(&mut mem.clock.woken);
        for c in woken.drain(..).filter(|c| *c != me) {
            mem.clock.watchers.update(c, &self.slots[c.index()].borrow(), &mem.values);
        }
        mem.clock.woken = woken;
        mem.clock.unmasked = false;
        // In the end the driver looks again who may enter.
        mem.clock.masks = true;
        let (entry, _) = self.first_entry(mem, mem.clock.lane, Some(me), at);
        mem.clock.looked_at = mem.clock.word(&mem.values);
        mem.clock.nobody_before(entry);
        at < if exclusive { mem.clock.unseen } else { mem.clock.any }
    }

    /// Which daemon of a lane may enter its CPU first from `now` on, beside `me`, and when; `u64::MAX` if none may. Those that could but
    /// for their conditions watch these.
    pub(super) fn first_entry(
        &self,
        mem: &mut Mem,
        lane: usize,
        me: Option<CtxId>,
        now: u64,
    ) -> (u64, CtxId) {
        let mut first = (NEVER, super::NOBODY);
        let Clock { lanes, watchers, .. } = &mut mem.clock;
        let lane = &lanes[lane];
        let Some(own) = lane.own else { return first };
        let word = mem.values[own.index()];
        for &c in &lane.daemons {
            if Some(c) == me || watchers.is_kept(c) {
                continue;
            }
            let slot = self.slots[c.index()].borrow();
            // What the CPU's word keeps out is found anew when the word changes.
            if slot.status != Status::Idle || !slot.guard.cpu.allows(word, c) {
                continue;
            }
            let values = &mem.values;
            if slot.guard.holds(c, None, &|o: Obj| values[o.index()]) {
                let at = slot.step.gate.opens(&mem.queues).max(now);
                if at < first.0 {
                    first = (at, c);
                }
            } else if !watchers.is_blocked(c) {
                watchers.update(c, &slot, &mem.values);
            }
        }
        first
    }
}

impl Gate {
    /// When the gate opens, as things are; `u64::MAX` for never.
    #[inline]
    pub(crate) fn opens(self, queues: &[TimerQueue]) -> u64 {
        match self {
            Gate::Open => 0,
            Gate::At(t) | Gate::NotBefore(t) => t.0,
            Gate::Queues(from, to) => {
                let queues = &queues[from as usize..=to as usize];
                queues.iter().filter_map(|q| q.first_due()).min().unwrap_or(NEVER)
            }
        }
    }
}
