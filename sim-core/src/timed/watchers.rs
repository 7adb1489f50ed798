//! Who waits for a change of what.

use crate::ids::{CtxId, Obj};
use crate::step::{Gate, Slot, Status};

/// Contexts that cannot step, by the objects that keep them from it.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    /// By object.
    of: Vec<Vec<CtxId>>,
    /// By object, one bit: somebody watches it.
    bits: Vec<u64>,
    /// By context.
    watching: Vec<Vec<Obj>>,
    /// By context: its conditions do not hold, and nobody has written what it watches since.
    kept: Vec<bool>,
    blamed: Vec<Obj>,
}

impl Watchers {
    pub fn new(contexts: usize) -> Watchers {
        let watching = vec![Vec::new(); contexts];
        Watchers { watching, kept: vec![false; contexts], ..Watchers::default() }
    }

    /// Whether somebody watches the object.
    #[inline]
    pub fn is_watched(&self, obj: Obj) -> bool {
        self.bits.get(obj.index() / 64).is_some_and(|w| w >> (obj.index() % 64) & 1 != 0)
    }

    /// Those who watch the object.
    pub fn of(&self, obj: Obj) -> &[CtxId] {
        &self.of[obj.index()]
    }

    /// Whether the context's conditions do not hold, as far as it was looked at: it has looked again whenever what it
    /// watches was written.
    #[inline]
    pub fn is_kept(&self, c: CtxId) -> bool {
        self.kept[c.index()]
    }

    /// The objects that keep the context from its step.
    pub fn watched_by(&self, c: CtxId) -> &[Obj] {
        &self.watching[c.index()]
    }

    /// Whether the context watches something.
    #[inline]
    pub fn is_blocked(&self, c: CtxId) -> bool {
        !self.watching[c.index()].is_empty()
    }

    /// A context that cannot step watches the objects that keep it from it: one that fails of a conjunction. A daemon that
    /// waits for the first timer of a queue watches the queue, because its head may change. One that can step watches
    /// nothing.
    pub fn update(&mut self, c: CtxId, slot: &Slot, values: &[u64]) {
        let mut blamed = std::mem::take(&mut self.blamed);
        blamed.clear();
        let mut kept = false;
        if !slot.guard.cmps.is_empty() && matches!(slot.status, Status::Idle | Status::Waiting) {
            // The CPU's own word is not waited for: whoever changes it plans the CPU again.
            slot.guard.blame(c, None, &|o: Obj| values[o.index()], &mut blamed);
            kept = !blamed.is_empty();
            if !kept && matches!(slot.step.gate, Gate::Queues(..)) {
                slot.guard.cmps.iter().for_each(|g| g.add_objs(&mut blamed));
            }
        }
        if blamed != self.watching[c.index()] {
            self.forget(c);
            for o in &blamed {
                self.add(c, *o);
            }
        }
        self.kept[c.index()] = kept;
        self.blamed = blamed;
    }

    fn add(&mut self, c: CtxId, o: Obj) {
        if self.of.len() <= o.index() {
            self.of.resize(o.index() + 1, Vec::new());
            self.bits.resize(o.index() / 64 + 1, 0);
        }
        let who = &mut self.of[o.index()];
        if !who.contains(&c) {
            who.push(c);
            self.bits[o.index() / 64] |= 1 << (o.index() % 64);
        }
        self.watching[c.index()].push(o);
    }

    /// The context watches nothing any more.
    pub fn forget(&mut self, c: CtxId) {
        self.kept[c.index()] = false;
        while let Some(o) = self.watching[c.index()].pop() {
            let who = &mut self.of[o.index()];
            who.retain(|x| *x != c);
            if who.is_empty() {
                self.bits[o.index() / 64] &= !(1 << (o.index() % 64));
            }
        }
    }
}
