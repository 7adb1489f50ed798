//! What a step of a timed run needs at hand: its cost, the digest of its lane, and whether it may happen right away.
//!
//! The driver picks the lane whose next step comes first. A step that nobody else can see until its context has gone on
//! (it masks interrupts, say, or reads what the lock that it holds protects: [`crate::ctx::Decl::exclusive`]) need not
//! come back to the driver: the result is the same when it follows the step before it at once, as long as nothing comes
//! in between on its own CPU. This saves the way out of and back into the context's nested functions. A test compares
//! the digests with and without it.

use super::{Costs, Dist, NEVER, TimedOptions, later};
use crate::ids::{CtxId, Obj};
use crate::machine::Machine;
use crate::mem::Mem;
use crate::step::{Access, Cost, CostClass, Gate, Slot, Status};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// Bytes of a lane's record that are digested at once.
const RECORD: usize = 4 * 1024;

/// The clock of a timed run; one without lanes when there is none.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    lanes: Vec<LaneClock>,
    costs: Costs,
    /// By object, one bit: some context waits for a change of it.
    watched: Vec<u64>,
    /// The lane that steps.
    lane: usize,
    /// Its last step: when it began, and what it costs.
    pub at: u64,
    pub cost: u64,
    /// Steps that begin before this may happen right away.
    horizon: u64,
    /// The CPU's word was written: who may enter it must be found anew.
    pub masks: bool,
    /// The last step wrote it: before another one may happen right away, it must be known when somebody could enter.
    unmasked: bool,
    /// Steps of the run.
    pub steps: u64,
}

#[derive(Debug)]
struct LaneClock {
    own: Option<Obj>,
    daemons: Vec<CtxId>,
    rng: ChaCha8Rng,
    record: Vec<u8>,
    hash: Sha256,
}

impl Clock {
    pub(super) fn new(options: &TimedOptions, lanes: &[super::Lane]) -> Clock {
        let lane = |(l, lane): (usize, &super::Lane)| {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream(l as u64 + 1);
            LaneClock {
                own: lane.own,
                daemons: lane.daemons.clone(),
                rng,
                record: Vec::with_capacity(RECORD),
                hash: Sha256::new(),
            }
        };
        Clock {
            lanes: lanes.iter().enumerate().map(lane).collect(),
            costs: options.costs.clone(),
            ..Clock::default()
        }
    }

    /// Some context waits for the object, or none does any more.
    pub(super) fn watch(&mut self, obj: Obj, on: bool) {
        let (word, bit) = (obj.index() / 64, 1u64 << (obj.index() % 64));
        if self.watched.len() <= word {
            self.watched.resize(word + 1, 0);
        }
        if on {
            self.watched[word] |= bit;
        } else {
            self.watched[word] &= !bit;
        }
    }

    /// Whether some context waits for the object.
    pub(super) fn is_watched(&self, obj: Obj) -> bool {
        self.watched.get(obj.index() / 64).is_some_and(|w| w & 1 << (obj.index() % 64) != 0)
    }

    /// A declared step of a lane begins: its cost and its alternative are drawn. Steps after it that begin before
    /// `horizon` may follow right away.
    pub(super) fn begin(
        &mut self,
        lane: usize,
        at: u64,
        ctx: CtxId,
        slot: &Slot,
        horizon: u64,
    ) -> u8 {
        self.lane = lane;
        self.masks = false;
        self.horizon = horizon;
        self.note(at, ctx, slot.cost, slot.fp.as_slice());
        self.unmasked = self.masks;
        let rng = &mut self.lanes[lane].rng;
        if slot.alts > 1 { crate::policy::below(rng, u64::from(slot.alts)) as u8 } else { 0 }
    }

    /// A draw of a cost that comes on top of a step's own.
    pub(super) fn draw(&mut self, lane: usize, class: CostClass) -> u64 {
        self.costs.get(class).draw(&mut self.lanes[lane].rng)
    }

    /// When the work of the last step is done.
    pub(crate) fn done_at(&self) -> crate::ids::Nanos {
        crate::ids::Nanos(self.at.saturating_add(self.cost))
    }

    /// No step follows right away any more.
    pub(super) fn stop(&mut self) {
        self.horizon = 0;
    }

    fn note(&mut self, at: u64, ctx: CtxId, cost: Cost, fp: &[Access]) {
        let lane = &mut self.lanes[self.lane];
        self.at = at;
        self.cost = match cost {
            Cost::Class(class) => self.costs.get(class).draw(&mut lane.rng),
            Cost::Range(lo, hi) => Dist::Uniform(lo, hi).draw(&mut lane.rng),
        };
        // A step that writes its CPU's word has it as its first access.
        self.masks |= lane.own.is_some()
            && fp.first().is_some_and(|a| a.is_write() && Some(a.obj()) == lane.own);
        self.steps += 1;
        let mut entry = [0; 10];
        entry[..2].copy_from_slice(&ctx.0.to_le_bytes());
        entry[2..].copy_from_slice(&at.to_le_bytes());
        lane.record.extend_from_slice(&entry);
        if lane.record.len() + 16 > RECORD {
            lane.hash.update(&lane.record);
            lane.record.clear();
        }
    }

    /// SHA-256 over the digests of the lanes' steps.
    pub(super) fn digest(&mut self) -> [u8; 32] {
        let mut all = Sha256::new();
        for mut lane in self.lanes.drain(..) {
            lane.hash.update(&lane.record);
            all.update(lane.hash.finalize());
        }
        all.finalize().into()
    }
}

impl Machine {
    /// In a timed run: whether the step that the context has just declared may happen right away. If so it has begun.
    pub(crate) fn goes_on(&self, ctx: CtxId) -> bool {
        let clock = &mut *self.clock.borrow_mut();
        let mut slot = self.slots[ctx.index()].borrow_mut();
        let at = later(clock.at, clock.cost);
        if !slot.exclusive || at >= clock.horizon {
            return false;
        }
        let mem = &mut *self.mem.borrow_mut();
        if clock.unmasked {
            clock.unmasked = false;
            clock.horizon =
                clock.horizon.min(self.first_entry(&clock.lanes[clock.lane].daemons, ctx, mem));
            if at >= clock.horizon {
                return false;
            }
        }
        if slot.fp.iter().any(|a| a.is_write() && clock.is_watched(a.obj())) {
            return false;
        }
        debug_assert!(slot.guard.cmps.is_empty() && slot.gate == Gate::Open && slot.alts == 1);
        let masks = std::mem::take(&mut clock.masks);
        clock.note(at, ctx, slot.cost, slot.fp.as_slice());
        clock.unmasked = clock.masks;
        clock.masks |= masks;
        mem.now = crate::ids::Nanos(at);
        slot.begin(ctx, 0, mem);
        true
    }

    /// When the first daemon of a CPU other than `me`, which is running, could enter it, were nothing masked.
    fn first_entry(&self, daemons: &[CtxId], me: CtxId, mem: &Mem) -> u64 {
        let gate = |c: &CtxId| {
            let slot = self.slots[c.index()].borrow();
            let idle = slot.status == Status::Idle;
            let works = idle && slot.guard.holds(*c, None, &|o: Obj| mem.values[o.index()]);
            if works { slot.gate.opens(mem) } else { NEVER }
        };
        daemons.iter().filter(|c| **c != me).map(gate).min().unwrap_or(NEVER)
    }
}

impl Gate {
    /// When the gate opens, as things are; `u64::MAX` for never.
    pub(crate) fn opens(self, mem: &Mem) -> u64 {
        match self {
            Gate::Open => 0,
            Gate::At(t) => t.0,
            Gate::Queues(from, to) => {
                let due = |q: &crate::queue::TimerQueue| q.first().map(|e| q.due(e.expires));
                mem.queues[from as usize..=to as usize]
                    .iter()
                    .filter_map(due)
                    .min()
                    .unwrap_or(NEVER)
            }
        }
    }
}
