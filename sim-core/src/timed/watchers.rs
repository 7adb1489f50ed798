//! Who waits for a change of what.

use crate::ids::{CtxId, Obj};
use crate::step::{Cmp, Gate, Slot, Status, Term};

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
        let guard = &slot.guard;
        let waits = matches!(slot.status, Status::Idle | Status::Waiting);
        let queues = matches!(slot.step.gate, Gate::Queues(..));
        if !waits || guard.cmps.is_empty() {
            return self.forget(c);
        }
        // By far the most, without a list.
        if !guard.any && guard.empty.is_empty() {
            match guard.cmps.iter().find(|g| !g.holds(&|o: Obj| values[o.index()])) {
                None if !queues => return self.forget(c),
                Some(Cmp { lhs: Term::Obj(o), rhs: Term::Const(_), .. }) => {
                    self.watch(c, &[*o]);
                    self.kept[c.index()] = true;
                    return;
                }
                _ => {}
            }
        }
        let mut blamed = std::mem::take(&mut self.blamed);
        // The CPU's own word is not waited for: whoever changes it plans the CPU again.
        guard.blame(c, None, &|o: Obj| values[o.index()], &mut blamed);
        let kept = !blamed.is_empty();
        if !kept && queues {
            guard.cmps.iter().for_each(|g| g.add_objs(&mut blamed));
        }
        self.watch(c, &blamed);
        self.kept[c.index()] = kept;
        self.blamed = blamed;
    }

    /// The context watches these objects and no other.
    #[inline]
    fn watch(&mut self, c: CtxId, objs: &[Obj]) {
        if self.watching[c.index()] != objs {
            self.forget(c);
            for o in objs {
                self.add(c, *o);
            }
        }
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
    #[inline]
    pub fn forget(&mut self, c: CtxId) {
        self.kept[c.index()] = false;
        while let Some(o) = self.watching[c.index()].pop() {
            let who = &mut self.of[o.index()];
            if who[..] == [c] {
                who.clear();
                self.bits[o.index() / 64] &= !(1 << (o.index() % 64));
            } else {
                who.retain(|x| *x != c);
            }
        }
    }
}
