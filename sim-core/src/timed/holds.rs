//! How long locks are held in timed runs, and what their holders' CPUs did meanwhile.

use super::Cause;
use super::causes::{Doing, History};
use crate::exec::Exec;
use crate::ids::{CpuId, CtxId, Nanos, Obj};
use crate::machine::{Machine, Model};
use crate::schedule::Pick;

/// The holds of some locks, or of all: from the step that takes it to the step that gives it back, interrupts that come in
/// between included. What is still held at the end counts up to it.
///
/// A lock is named as in [`Machine::kind_name`] (`flows.lru_lock`: all of that name) or with its numbers
/// (`flows.lru_lock.0`). Feed it with [`crate::timed::Watch::before`] and [`crate::timed::Watch::doing`]; it sees every step
/// only where none follows the one before it at once ([`crate::timed::TimedOptions::goes_on`] is off).
#[derive(Clone, Debug, Default)]
pub struct Holds {
    wanted: Vec<(String, Option<u64>)>,
    /// Locks that nobody named are told too.
    all: bool,
    /// By object, once it was written: the number of its name, plus one. 0: it is not looked at, or was not yet.
    named: Vec<Option<u32>>,
    /// Names of locks, and which of those wanted each is.
    names: Vec<(String, Option<usize>)>,
    held: Vec<Held>,
    over: Vec<(Hold, Vec<(Cause, u64)>)>,
    /// What the last step writes, and when it began.
    written: Vec<Obj>,
    at: u64,
    /// What each CPU did.
    did: Vec<History>,
}

/// A lock that was held.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hold {
    /// The number of its name, see [`Holds::name`].
    pub name: u32,
    /// Which lock.
    pub lock: Obj,
    /// What the model says of it ([`Model::awaited`]).
    pub what: u64,
    /// By whom.
    pub ctx: CtxId,
    /// Since when, in nanoseconds of virtual time.
    pub from: Nanos,
    /// Until when.
    pub to: Nanos,
    /// It was given back; else the end of the run was first.
    pub over: bool,
}

impl Hold {
    /// How long it was held.
    pub fn ns(&self) -> u64 {
        self.to.0.saturating_sub(self.from.0)
    }
}

#[derive(Clone, Debug)]
struct Held {
    lock: Obj,
    what: u64,
    name: u32,
    /// Its word, and since when it is that.
    word: u64,
    since: u64,
}

impl Holds {
    /// Watches the locks with these names; `all`: all locks.
    pub fn new(names: impl IntoIterator<Item = String>, all: bool) -> Holds {
        Holds { wanted: names.into_iter().map(|n| (n, None)).collect(), all, ..Holds::default() }
    }

    /// Whether no lock is to be watched.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && !self.all
    }

    /// From `at` on a CPU does this.
    pub fn doing(&mut self, cpu: CpuId, at: u64, ctx: Option<CtxId>, cause: Cause) {
        if self.is_empty() {
            return;
        }
        if self.did.len() <= cpu.index() {
            self.did.resize(cpu.index() + 1, History::default());
        }
        self.did[cpu.index()].note(at, Doing { cause, ctx });
    }

    /// A step begins: whatever has changed since the last call was done by the step before.
    pub fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        if self.is_empty() {
            return;
        }
        let machine = exec.machine();
        self.settle(machine, &|lock| machine.with_mem(|m| exec.model().awaited(m, lock)));
        self.at = machine.with_mem(|m| m.now().0);
        let slot = machine.slots[pick.ctx.index()].borrow();
        self.written.extend(slot.fp.iter().filter(|a| a.is_write()).map(|a| a.obj()));
    }

    /// The run is over at this virtual time.
    pub fn end(&mut self, machine: &Machine, virtual_ns: u64) {
        if self.is_empty() {
            return;
        }
        self.settle(machine, &|_| 0);
        for held in std::mem::take(&mut self.held) {
            self.ends(machine, &held, virtual_ns, false);
        }
    }

    /// The longest time that a lock of this wanted name was held; `None`: it was never taken.
    pub fn longest_ns(&self, name: &str) -> Option<u64> {
        self.wanted.iter().find(|w| w.0 == name).and_then(|w| w.1)
    }

    /// The holds that have ended since the last call, each with what its CPU did meanwhile: nanoseconds by cause, which add
    /// up to it.
    pub fn take(&mut self) -> Vec<(Hold, Vec<(Cause, u64)>)> {
        std::mem::take(&mut self.over)
    }

    /// The name of a lock, without what tells it from others of its kind.
    pub fn name(&self, name: u32) -> &str {
        &self.names[name as usize].0
    }

    fn settle(&mut self, machine: &Machine, what: &dyn Fn(Obj) -> u64) {
        let contexts = machine.contexts().len() as u64;
        for lock in std::mem::take(&mut self.written) {
            // A word that names no context is no lock that is held: memory that is not born yet, say.
            let word = machine.with_mem(|m| m.peek(lock));
            let word = if word <= contexts { word } else { 0 };
            let held = self.held.iter().position(|h| h.lock == lock);
            if word == held.map_or(0, |i| self.held[i].word) {
                continue;
            }
            if let Some(i) = held {
                let held = self.held.swap_remove(i);
                self.ends(machine, &held, self.at, true);
            }
            if word != 0
                && let Some(name) = self.named(machine, lock)
            {
                self.held.push(Held { lock, what: what(lock), name, word, since: self.at });
            }
        }
    }

    /// The number of the lock's name, if it is one to look at.
    fn named(&mut self, machine: &Machine, obj: Obj) -> Option<u32> {
        if self.named.len() <= obj.index() {
            self.named.resize(obj.index() + 1, None);
        }
        if let Some(known) = self.named[obj.index()] {
            return known.checked_sub(1);
        }
        let kind = machine.kind_name(obj);
        let numbered = |n: &str| n.bytes().any(|b| b.is_ascii_digit());
        let fits = |w: &(String, _)| w.0 == kind || numbered(&w.0) && w.0 == machine.obj_name(obj);
        let wanted = self.wanted.iter().position(fits);
        let looked_at = wanted.is_some() || self.all && machine.mem.borrow().is_lock(obj);
        let name = looked_at.then(|| {
            let same = |n: &(String, Option<usize>)| n.0 == kind && n.1 == wanted;
            let known = self.names.iter().position(same);
            known.unwrap_or_else(|| {
                self.names.push((kind, wanted));
                self.names.len() - 1
            }) as u32
        });
        self.named[obj.index()] = Some(name.map_or(0, |n| n + 1));
        name
    }

    fn ends(&mut self, machine: &Machine, held: &Held, at: u64, over: bool) {
        let ctx = CtxId((held.word - 1) as u16);
        let hold = Hold {
            name: held.name,
            lock: held.lock,
            what: held.what,
            ctx,
            from: Nanos(held.since),
            to: Nanos(at),
            over,
        };
        let ns = hold.ns();
        if let Some(wanted) = self.names[held.name as usize].1 {
            let longest = &mut self.wanted[wanted].1;
            *longest = Some(longest.map_or(ns, |most| most.max(ns)));
        }
        let cpu = machine.contexts().get(ctx.index()).and_then(|c| c.cpu);
        let did = cpu.and_then(|c| self.did.get(c.index()));
        let mut parts = did.map_or_else(Vec::new, |h| h.lately(held.since, at));
        let known: u64 = parts.iter().map(|p| p.1).sum();
        if known < ns {
            parts.push((Cause::Older, ns - known));
        }
        self.over.push((hold, parts));
    }
}
