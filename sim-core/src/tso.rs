//! Total store order: each context has a store buffer, as x86 has (Sewell, Sarkar, Owens, Nardelli, Myreen 2010).
//!
//! A buffer is a ring of slots, each an object of its own, and a helper context that drains it, oldest first: *take*
//! reads the slot, *flush* writes memory and empties it. A store fills the next slot; a load sees the newest own store of
//! the object that is still buffered, else memory. Whatever is locked on x86 waits until the own buffer is empty, and so
//! does a full barrier. Contexts of one CPU see each other's stores: each steps only while the buffers of the others are
//! empty, because both a switch and the entry of an interrupt serialise.
//!
//! A step that writes memory itself, instead of through the buffer, counts as locked. What is no memory of the modelled
//! kernel (words of CPUs, fresh allocations) is left alone.

use crate::ctx::{Cx, Decl};
use crate::ids::{CtxId, Obj};
use crate::machine::{CtxKind, CtxSpec, Machine, Setup};
use crate::mem::{Mem, Var, Word};
use crate::mix::{mix, roll};
use crate::site;
use crate::step::{Access, Label, Learn, Rel, Slot};

/// The buffer of a context.
#[derive(Copy, Clone, Debug)]
struct Ring {
    first: Obj,
    slots: u32,
}

/// A store that may still be in its slot.
#[derive(Copy, Clone, Debug)]
struct Pending {
    target: Obj,
    slot: Obj,
    value: u64,
}

/// All store buffers of a machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers {
    /// By context: its buffer.
    rings: Vec<Option<Ring>>,
    /// By context: whose buffer it drains.
    drains: Vec<Option<CtxId>>,
    /// By context: the slots of all others on its CPU.
    others: Vec<Vec<Obj>>,
    /// By object: what its slot holds, if it is one.
    content: Vec<(Obj, u64)>,
    /// By context: its stores of which it does not know that they were flushed, and how many it has made.
    pending: Vec<(Vec<Pending>, u32)>,
}

impl Buffers {
    fn ring(&self, c: CtxId) -> Option<Ring> {
        self.rings.get(c.index()).copied().flatten()
    }

    /// Whose buffer the context drains.
    pub fn drained_by(&self, c: CtxId) -> Option<CtxId> {
        self.drains.get(c.index()).copied().flatten()
    }

    /// Forgets the execution.
    pub fn reset(&mut self) {
        for (p, n) in &mut self.pending {
            p.clear();
            *n = 0;
        }
    }

    fn pending(&self, c: CtxId) -> &[Pending] {
        self.pending.get(c.index()).map_or(&[], |p| p.0.as_slice())
    }

    /// The slot that the next store of a context goes to.
    fn next_slot(&self, c: CtxId) -> Option<Obj> {
        let ring = self.ring(c)?;
        Some(Obj(ring.first.0 + self.made(c) % ring.slots))
    }

    /// How many stores a context has made.
    pub fn made(&self, c: CtxId) -> u32 {
        self.pending.get(c.index()).map_or(0, |p| p.1)
    }

    /// The slot that the next store of a context goes to, plus one; 0 if it made none.
    pub fn place(&self, c: CtxId) -> u32 {
        match (self.made(c), self.ring(c)) {
            (0, _) | (_, None) => 0,
            (made, Some(ring)) => made % ring.slots + 1,
        }
    }

    /// The newest store of a context to an object, if it may still be buffered: its slot and value.
    pub fn newest(&self, c: CtxId, target: Obj) -> Option<(Obj, u64)> {
        self.pending(c).iter().rev().find(|p| p.target == target).map(|p| (p.slot, p.value))
    }
}

impl Setup {
    /// Gives each context that is on a CPU a store buffer of so many slots. To be called when all contexts are there.
    pub fn store_buffers(&mut self, slots: u32) {
        let owners: Vec<(CtxId, CtxSpec)> = (0u16..)
            .map(CtxId)
            .zip(self.contexts().to_vec())
            .filter(|(_, s)| s.cpu.is_some())
            .collect();
        let mut b = Buffers::default();
        for (owner, spec) in &owners {
            let name = |k: u32| format!("store buffer of {} [{k}]", spec.name);
            let all: Vec<Var<u64>> = (0..slots).map(|k| self.var_of(&name(k), 0, *owner)).collect();
            let home = spec.cpu.map_or(0, |c| c.0);
            let daemon = self.context(CtxSpec {
                name: format!("store buffer of {}", spec.name),
                token: format!("sb-{}-{home}", spec.token),
                cpu: None,
                kind: CtxKind::Helper,
                daemon: true,
            });
            b.rings.resize(daemon.index() + 1, None);
            b.drains.resize(daemon.index() + 1, None);
            b.rings[owner.index()] = all.first().map(|v| Ring { first: v.obj(), slots });
            b.drains[daemon.index()] = Some(*owner);
        }
        let contexts = b.rings.len();
        b.pending = vec![(Vec::new(), 0); contexts];
        b.others = vec![Vec::new(); contexts];
        for (owner, spec) in &owners {
            let others = owners.iter().filter(|(o, s)| o != owner && s.cpu == spec.cpu);
            let slots = others.filter_map(|(o, _)| b.ring(*o)).flat_map(Ring::objects);
            b.others[owner.index()] = slots.collect();
        }
        self.set_buffers(b);
    }
}

impl Ring {
    fn objects(self) -> impl Iterator<Item = Obj> {
        (0..self.slots).map(move |k| Obj(self.first.0 + k))
    }
}

impl Machine {
    /// Whether contexts have store buffers.
    pub fn is_tso(&self) -> bool {
        self.tso
    }

    /// The slots of all contexts on the CPU that `own` is the word of.
    pub(crate) fn slots_of_cpu(&self, own: Obj) -> Vec<Obj> {
        let mem = self.mem.borrow();
        let Some(b) = &mem.buffers else { return Vec::new() };
        let here = (0..self.specs.len() as u16).map(CtxId).filter(|c| self.own_of(*c) == Some(own));
        here.filter_map(|c| b.ring(c)).flat_map(Ring::objects).collect()
    }
}

impl Mem {
    /// What a load of the present context sees instead of memory.
    pub(crate) fn forwarded(&self, obj: Obj) -> Option<u64> {
        let (slot, value) = self.buffers.as_ref()?.newest(self.cur, obj)?;
        (self.values[slot.index()] != 0).then_some(value)
    }

    fn buffer(&mut self, p: Pending) {
        self.values[p.slot.index()] = roll(mix(u64::from(p.target.0)), p.value) | 1;
        self.wrote(p.slot);
        let Some(b) = &mut self.buffers else { return };
        if b.content.len() <= p.slot.index() {
            b.content.resize(p.slot.index() + 1, (Obj(0), 0));
        }
        b.content[p.slot.index()] = (p.target, p.value);
        let (pending, made) = &mut b.pending[self.cur.index()];
        pending.retain(|q| q.slot != p.slot);
        pending.push(p);
        *made += 1;
    }

    fn buffered(&self, slot: Obj) -> (Obj, u64) {
        self.buffers.as_ref().map_or((Obj(0), 0), |b| b.content[slot.index()])
    }

    /// The context knows that its buffer is empty.
    pub(crate) fn all_flushed(&mut self, c: CtxId) {
        if let Some(b) = &mut self.buffers {
            b.pending[c.index()].0.clear();
        }
    }
}

impl Learn for (Obj, u64) {
    fn learn(&self) -> u64 {
        roll(u64::from(self.0.0), self.1)
    }
}

impl Decl<'_> {
    /// The step waits until these are 0.
    pub(crate) fn when_empty(mut self, slots: &[Obj]) -> Self {
        if !slots.is_empty() {
            self.slot().when_empty(slots);
        }
        self
    }

    /// The step waits until the own store buffer is empty.
    pub fn full_barrier(mut self) -> Self {
        let cx = self.cx;
        if cx.machine.tso {
            self.step.drains |= cx.wait_for_own(self.slot());
        }
        self
    }

    /// The step waits for the own store to `obj` if there is one, and for no other.
    pub(crate) fn after_own(self, obj: Obj) -> Self {
        let slot = {
            let mem = self.cx.machine.mem.borrow();
            mem.buffers.as_ref().and_then(|b| b.newest(self.cx.id, obj)).map(|s| s.0)
        };
        self.unordered().when_empty(slot.as_slice())
    }
}

impl Slot {
    fn when_empty(&mut self, slots: &[Obj]) {
        self.guard.empty.extend(slots);
        self.fp.extend(slots.iter().map(|o| Access::read(*o)));
    }
}

impl Cx<'_> {
    /// With store buffers: a step that writes memory waits for the own one, and every step for those of others on its
    /// CPU. Whether it waits for the own one.
    #[inline(never)]
    pub(crate) fn order(self, slot: &mut Slot, unordered: bool) -> bool {
        let own = self.machine.own_of(self.id);
        let writes = !unordered && slot.fp.iter().any(|a| a.is_write() && Some(a.obj()) != own);
        let drains = writes && self.wait_for_own(slot);
        let mem = self.machine.mem.borrow();
        let others = mem.buffers.as_ref().and_then(|b| b.others.get(self.id.index()));
        slot.when_empty(others.map_or(&[], |o| o));
        drains
    }

    /// The step waits until the own store buffer is empty; false if there is none.
    fn wait_for_own(self, slot: &mut Slot) -> bool {
        let mem = self.machine.mem.borrow();
        let Some(b) = &mem.buffers else { return false };
        let slots: Vec<Obj> = b.pending(self.id).iter().map(|p| p.slot).collect();
        slot.when_empty(&slots);
        true
    }
}

impl Cx<'_> {
    /// smp_mb(): waits until the own store buffer is empty. No step where there is no buffer, or nothing in it.
    pub async fn smp_mb(self, label: impl Into<Label>) {
        let some = self.machine.tso && {
            let mem = self.machine.mem.borrow();
            mem.buffers.as_ref().is_some_and(|b| !b.pending(self.id).is_empty())
        };
        if some {
            self.step(label).full_barrier().run(|_: &mut Mem| ()).await;
        }
    }

    /// A store: through the store buffer if there is one. `plain`: without any marking, as plain C does.
    pub async fn store<T: Word>(self, label: impl Into<Label>, v: Var<T>, x: T, plain: bool) {
        let (target, value) = (v.obj(), x.to_word());
        let slot = match self.machine.tso {
            true => self.machine.mem.borrow().buffers.as_ref().and_then(|b| b.next_slot(self.id)),
            false => None,
        };
        let raw: Var<u64> = v.cast();
        let step = self.step(label);
        let Some(slot) = slot else {
            let step = if plain { step.plain(target, true) } else { step.writes(target) };
            return step.run(move |m| m.store(raw, value)).await;
        };
        let life = self.machine.mem.borrow().life_of(target);
        let step = match life {
            Some(alive) => step.reads(alive),
            None => step,
        };
        step.writes(slot)
            .unordered()
            .when(slot, Rel::Eq, 0)
            .run(move |m: &mut Mem| {
                m.check_alive(target);
                m.buffer(Pending { target, slot, value });
            })
            .await;
    }
}

/// The body of the helper that drains the buffer of `owner`.
pub(crate) async fn drain(cx: Cx<'_>, owner: CtxId) {
    let ring = cx.machine.mem.borrow().buffers.as_ref().and_then(|b| b.ring(owner));
    let Some(ring) = ring else { return };
    let mut k = 0;
    loop {
        let slot = Obj(ring.first.0 + k);
        let take = cx.step(site!("store buffer", Free, quiet)).when(slot, Rel::Ne, 0).resting(k);
        let (target, value) = take.run(move |m: &mut Mem| m.buffered(slot)).await;
        let flush = cx.step(site!("store reaches memory", Free, quiet)).writes(slot);
        flush.writes_only(target).run(move |m: &mut Mem| m.flush(slot, target, value)).await;
        k = (k + 1) % ring.slots;
    }
}

impl Mem {
    fn flush(&mut self, slot: Obj, target: Obj, value: u64) {
        self.values[slot.index()] = 0;
        self.values[target.index()] = value;
        self.wrote(slot);
        self.wrote(target);
    }
}
