//! How long locks are held in timed runs.

use crate::exec::Exec;
use crate::ids::Obj;
use crate::machine::{Machine, Model};

/// The longest time for which each of some locks was held, in nanoseconds of virtual time: from the step that takes it to
/// the step that gives it back, interrupts that come in between included. What is still held at the end counts up to it.
///
/// A lock is named as in [`Machine::kind_name`] (`flows.lru_lock`: all of that name) or with its numbers
/// (`flows.lru_lock.0`). Feed it with [`crate::timed::Watch::before`]; it sees every step only where none follows the one
/// before it at once ([`crate::timed::TimedOptions::goes_on`] is off).
#[derive(Clone, Debug, Default)]
pub struct Holds {
    wanted: Vec<(String, Option<u64>)>,
    locks: Vec<Lock>,
    /// Objects that were looked at: those with a lower number.
    known: u32,
    /// When the last step began.
    at: u64,
}

#[derive(Clone, Debug)]
struct Lock {
    obj: Obj,
    wanted: usize,
    /// Its word, and since when it is that.
    word: u64,
    since: u64,
}

impl Holds {
    /// Watches the locks with these names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Holds {
        Holds { wanted: names.into_iter().map(|n| (n, None)).collect(), ..Holds::default() }
    }

    /// Whether no lock is to be watched.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// A step begins: whatever has changed since the last call was done by the step before.
    pub fn before<M: Model>(&mut self, exec: &Exec<'_, M>) {
        if !self.is_empty() {
            self.settle(exec.machine());
            self.at = exec.machine().with_mem(|m| m.now().0);
        }
    }

    /// The run is over at this virtual time.
    pub fn end(&mut self, machine: &Machine, virtual_ns: u64) {
        if self.is_empty() {
            return;
        }
        self.settle(machine);
        for lock in self.locks.iter().filter(|l| l.word != 0) {
            longest(&mut self.wanted[lock.wanted].1, virtual_ns.saturating_sub(lock.since));
        }
    }

    /// The longest time that a lock of this name was held; `None`: it was never taken.
    pub fn longest_ns(&self, name: &str) -> Option<u64> {
        self.wanted.iter().find(|w| w.0 == name).and_then(|w| w.1)
    }

    fn settle(&mut self, machine: &Machine) {
        let objects = machine.objects();
        for obj in (self.known..objects).map(Obj) {
            let name = machine.kind_name(obj);
            let numbered = |n: &str| n.bytes().any(|b| b.is_ascii_digit());
            let fits =
                |w: &(String, _)| w.0 == name || numbered(&w.0) && w.0 == machine.obj_name(obj);
            if let Some(wanted) = self.wanted.iter().position(fits) {
                self.locks.push(Lock { obj, wanted, word: 0, since: 0 });
            }
        }
        self.known = objects;
        let contexts = machine.contexts().len() as u64;
        machine.with_mem(|m| {
            for lock in &mut self.locks {
                // A word that names no context is no lock that is held: memory that is not born yet, say.
                let word = Some(m.peek(lock.obj)).filter(|w| *w <= contexts).unwrap_or(0);
                if word == lock.word {
                    continue;
                }
                if lock.word != 0 {
                    longest(&mut self.wanted[lock.wanted].1, self.at.saturating_sub(lock.since));
                }
                (lock.word, lock.since) = (word, self.at);
            }
        });
    }
}

fn longest(so_far: &mut Option<u64>, ns: u64) {
    *so_far = Some(so_far.map_or(ns, |most| most.max(ns)));
}
