//! Lock order and irq safety, as the kernel's lockdep looks at them: what could hang, in runs that did not.
//!
//! Locks belong to classes, as in lockdep: all timers' locks are one, all bucket locks of a map are one. Facts are taken
//! down as locks are taken: this class was waited for while that one was held; this one was taken in a hard interrupt, that
//! one with interrupts on. A fact depends on what its context did and on nothing else, so the facts of a search are the same
//! for every order in which it visits executions. They are judged when the search has ended: a circle among facts of one
//! or of several executions is a finding (`circle.rs`). It ends nothing and counts no schedule.
//!
//! As in lockdep, who does not wait for ever makes no order (a trylock, an rqspinlock), but what he waits for while he
//! holds the lock does. Other than in lockdep: two locks of one class are a finding only if they were taken in both orders.
//! Waiting for a callback is no lock here; a search finds the deadlocks of that itself.

pub(crate) mod circle;
pub(crate) mod facts;

use crate::ids::{CtxId, Obj};
use crate::machine::CtxKind;
use crate::mem::{Mem, Place};
use crate::{Cx, Setup};
use facts::{Fact, Use, What};
pub use facts::{LockClass, LockEdge, LockGraph};
use std::collections::{BTreeMap, BTreeSet};

/// How a lock is taken.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Take {
    /// Waits until it is free.
    Waits,
    /// Waits for other CPUs; is refused if its own CPU holds the lock (`map_locked` of a bucket).
    WaitsForOthers,
    /// Gives up, at once (a trylock) or after a while (an rqspinlock).
    Tries,
}

#[derive(Copy, Clone, Debug)]
struct Held {
    class: u16,
    obj: Obj,
    take: Take,
    place: Place,
}

/// What has been taken down already on this machine, for a search that counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    order: BTreeSet<(u16, u16, u64, u64)>,
    used: Vec<u16>,
    hung: BTreeSet<u16>,
}

/// The locks of a machine.
#[derive(Debug, Default)]
pub(crate) struct Lockdep {
    names: Vec<String>,
    /// By object: its class plus one; 0: not known yet.
    class_of: Vec<u16>,
    /// Classes of fields of types.
    fields: BTreeMap<(u32, u32), u16>,
    held: Vec<Vec<Held>>,
    pub known: Known,
    /// What is new since somebody looked, in the order of the run.
    pub fresh: Vec<Fact>,
    /// The circles of the findings of a run that was judged.
    pub circles: Vec<circle::Shown>,
}

impl Lockdep {
    fn class(&mut self, name: &str) -> u16 {
        let at = self.names.iter().position(|n| n == name).unwrap_or_else(|| {
            self.names.push(name.to_string());
            self.names.len() - 1
        });
        at as u16
    }

    fn set_class(&mut self, obj: Obj, class: u16) {
        if self.class_of.len() <= obj.index() {
            self.class_of.resize(obj.index() + 1, 0);
        }
        self.class_of[obj.index()] = class + 1;
    }

    /// Nobody holds anything.
    pub fn reset(&mut self) {
        self.held.iter_mut().for_each(Vec::clear);
    }

    /// Nothing has been taken down.
    pub fn forget(&mut self) {
        self.known = Known::default();
        self.fresh.clear();
        self.circles.clear();
    }

    pub fn name(&self, class: u16) -> &str {
        &self.names[usize::from(class)]
    }

    fn note(&mut self, what: What, at: Place, held: Option<Place>, objs: [Obj; 2]) {
        self.fresh.push(Fact { what, at, held, objs });
    }

    fn uses(&mut self, class: u16, uses: u16, at: Place, obj: Obj) {
        let i = usize::from(class);
        if self.known.used.len() <= i {
            self.known.used.resize(i + 1, 0);
        }
        let new = uses & !self.known.used[i];
        if new == 0 {
            return;
        }
        self.known.used[i] |= new;
        for u in Use::ALL.into_iter().filter(|u| new & u.bit() != 0) {
            self.note(What::Use(class, u), at, None, [obj; 2]);
        }
    }
}

impl Setup {
    pub(crate) fn lock_class(&mut self, lock: Obj, class: &str) {
        let class = self.lockdep().class(class);
        self.lockdep().set_class(lock, class);
    }

    /// Puts the lock that is a field of a type into a class, in all objects of the type. Without this the field is a class.
    pub fn lock_field(&mut self, ty: crate::mem::TypeId, field: u32, class: &str) {
        let class = self.lockdep().class(class);
        self.lockdep().fields.insert((ty.0, field), class);
    }
}

impl Cx<'_> {
    /// To be called when the context has taken a lock, right after the step in which it did.
    pub fn acquired(self, lock: Obj, take: Take) {
        if !self.machine.timed.get() {
            let uses = self.uses(take);
            self.machine.mem.borrow_mut().lock_taken(self.id, lock, take, uses);
        }
    }

    /// To be called when the context has released a lock.
    pub fn released(self, lock: Obj) {
        if !self.machine.timed.get()
            && let Some(held) = self.machine.mem.borrow_mut().lockdep.held.get_mut(self.id.index())
            && let Some(at) = held.iter().rposition(|h| h.obj == lock)
        {
            held.remove(at);
        }
    }

    /// Whether the context holds a lock of which this is true. Locks are followed in explored runs only.
    pub fn holds(self, is: impl Fn(Obj) -> bool) -> bool {
        let mem = self.machine.mem.borrow();
        mem.lockdep.held.get(self.id.index()).is_some_and(|held| held.iter().any(|h| is(h.obj)))
    }

    fn uses(self, take: Take) -> u16 {
        if self.cpu().is_none() {
            return 0;
        }
        let slot = self.machine.slots[self.id.index()].borrow();
        let (irq_on, bh_on) = (slot.irq == 0, slot.bh == 0);
        let mut uses = if self.kind() == CtxKind::Nmi { 0 } else { Use::Anywhere.bit() };
        if irq_on {
            uses |= Use::IrqsOn.bit();
        }
        if irq_on && bh_on {
            uses |= Use::SoftirqsOn.bit();
        }
        let others = take == Take::WaitsForOthers;
        // On PREEMPT_RT a softirq is a thread: nothing is off in it, and it interrupts nobody.
        let inside = match self.kind() {
            CtxKind::Hardirq if !irq_on => Some(Use::in_hardirq(others)),
            CtxKind::Softirq if !bh_on => Some(Use::in_softirq(others)),
            CtxKind::Nmi => Some(Use::in_nmi(others)),
            _ => None,
        };
        match inside {
            Some(u) if take != Take::Tries => uses | u.bit(),
            _ => uses,
        }
    }
}

impl Mem {
    fn lock_taken(&mut self, ctx: CtxId, lock: Obj, take: Take, uses: u16) {
        let class = self.class_of(lock);
        let place = self.place();
        self.lockdep.uses(class, uses, place, lock);
        if take != Take::Tries {
            self.lock_wanted(ctx, lock, place);
        }
        let held = &mut self.lockdep.held;
        if held.len() <= ctx.index() {
            held.resize(ctx.index() + 1, Vec::new());
        }
        held[ctx.index()].push(Held { class, obj: lock, take, place });
    }

    /// Takes down that a context waits for a lock while it holds others: the last one that it waited for, and those that it
    /// only tried since. Earlier ones are before that.
    fn lock_wanted(&mut self, ctx: CtxId, lock: Obj, at: Place) {
        let to = self.class_of(lock);
        let mut i = self.lockdep.held.get(ctx.index()).map_or(0, Vec::len);
        while let Some(h) = i.checked_sub(1).map(|i| self.lockdep.held[ctx.index()][i]) {
            i -= 1;
            let pair = if h.class == to {
                (self.lasting_name(h.obj), self.lasting_name(lock))
            } else {
                (0, 0)
            };
            if self.lockdep.known.order.insert((h.class, to, pair.0, pair.1)) {
                let what = What::Order { from: h.class, to, pair };
                self.lockdep.note(what, at, Some(h.place), [h.obj, lock]);
            }
            if h.take != Take::Tries {
                break;
            }
        }
    }

    /// A context waits at the end of the run for an object; if that is a lock, the order is taken down, and that the run
    /// hung there.
    pub(crate) fn hung_on(&mut self, ctx: CtxId, obj: Obj, at: Place) {
        if self.lockdep.class_of.get(obj.index()).is_none_or(|c| *c == 0) {
            return;
        }
        let class = self.class_of(obj);
        self.lock_wanted(ctx, obj, at);
        if self.lockdep.known.hung.insert(class) {
            self.lockdep.note(What::Hung(class), at, None, [obj; 2]);
        }
    }

    fn class_of(&mut self, lock: Obj) -> u16 {
        if let Some(c) = self.lockdep.class_of.get(lock.index()).and_then(|c| c.checked_sub(1)) {
            return c;
        }
        let alloc = self.meta[lock.index()].alloc.checked_sub(1).map(|a| &self.allocs[a as usize]);
        let class = match alloc {
            Some(a) => {
                let (ty, field) = (a.ty.0, lock.0 - a.base.0 - 1);
                match self.lockdep.fields.get(&(ty, field)) {
                    Some(c) => *c,
                    None => {
                        let t = &self.types[ty as usize];
                        let name = format!("{}.{}", t.name, t.fields[field as usize]);
                        self.lockdep.class(&name)
                    }
                }
            }
            None => self.lockdep.class(&format!("lock {}", lock.0)),
        };
        self.lockdep.set_class(lock, class);
        class
    }

    /// Whether the object is a lock: its word names who holds it. Locks in allocations were declared with
    /// [`Setup::lock_field`].
    pub(crate) fn is_lock(&self, obj: Obj) -> bool {
        if self.meta[obj.index()].holder == crate::mem::Holder::Value {
            return true;
        }
        self.allocation(obj).is_some_and(|(base, ty)| {
            let field = obj.0.checked_sub(base.alive().0 + 1);
            field.is_some_and(|f| self.lockdep.fields.contains_key(&(ty.0, f)))
        })
    }

    /// A name of an object that is the same on every machine and in every run.
    fn lasting_name(&self, obj: Obj) -> u64 {
        match self.meta[obj.index()].alloc.checked_sub(1) {
            None => u64::from(obj.0),
            Some(a) => {
                let a = &self.allocs[a as usize];
                let field = u64::from(obj.0 - a.base.0);
                1 << 63 | u64::from(a.owner.0) << 40 | u64::from(a.seq) << 12 | field
            }
        }
    }
}
