//! Who can step, kept up to date step by step: for policies that draw among all.
//!
//! A step can change this for its own context, for those whose conditions are about what it wrote, and for those of a CPU
//! whose word it wrote.

use crate::ids::{CtxId, Obj};
use crate::machine::Machine;
use crate::step::Status;

#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// Whether it is kept up to date.
    pub following: bool,
    /// By context, one bit.
    bits: Vec<u64>,
    /// By object: whose conditions are about it; those of a CPU's word are all contexts of the CPU, and stay.
    readers: Vec<Vec<CtxId>>,
    /// By context: the objects that it is a reader of besides.
    reads: Vec<Vec<Obj>>,
    /// What the step writes.
    pub written: Vec<Obj>,
}

impl Ready {
    /// Looks at all contexts: an execution begins.
    pub fn follow(&mut self, machine: &Machine, values: &[u64]) {
        let n = machine.specs.len();
        if self.reads.is_empty() {
            self.reads.resize(n, Vec::new());
            self.bits.resize(n.div_ceil(64), 0);
            self.readers.resize(machine.own.len(), Vec::new());
            for c in (0..n as u16).map(CtxId) {
                if let Some(own) = machine.own_of(c) {
                    self.readers[own.index()].push(c);
                }
            }
        }
        self.following = true;
        self.written.clear();
        for c in (0..n as u16).map(CtxId) {
            self.declared(machine, values, c);
        }
    }

    /// The step has happened, and `c` has declared its next one, or has ended.
    pub fn stepped(&mut self, machine: &Machine, values: &[u64], c: CtxId) {
        let written = std::mem::take(&mut self.written);
        for o in &written {
            for i in 0..self.readers.get(o.index()).map_or(0, Vec::len) {
                let reader = self.readers[o.index()][i];
                self.look_at(machine, values, reader);
            }
        }
        self.written = written;
        self.written.clear();
        self.declared(machine, values, c);
    }

    /// Those who can step, by number.
    pub fn list(&self, out: &mut Vec<CtxId>) {
        for (i, word) in self.bits.iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                out.push(CtxId((64 * i) as u16 + left.trailing_zeros() as u16));
                left &= left - 1;
            }
        }
    }

    fn declared(&mut self, machine: &Machine, values: &[u64], c: CtxId) {
        let slot = machine.slots[c.index()].borrow();
        let mut reads = std::mem::take(&mut self.reads[c.index()]);
        for o in reads.drain(..) {
            self.readers[o.index()].retain(|x| *x != c);
        }
        slot.guard.cmps.iter().for_each(|g| g.add_objs(&mut reads));
        reads.extend_from_slice(&slot.guard.empty);
        reads.retain(|o| Some(*o) != slot.own);
        for o in &reads {
            if self.readers.len() <= o.index() {
                self.readers.resize(o.index() + 1, Vec::new());
            }
            self.readers[o.index()].push(c);
        }
        self.reads[c.index()] = reads;
        drop(slot);
        self.look_at(machine, values, c);
    }

    fn look_at(&mut self, machine: &Machine, values: &[u64], c: CtxId) {
        let slot = machine.slots[c.index()].borrow();
        let can = matches!(slot.status, Status::Waiting | Status::Idle)
            && slot.guard.holds(c, slot.own, &|o: Obj| values[o.index()]);
        let (word, bit) = (c.index() / 64, 1 << (c.index() % 64));
        if can {
            self.bits[word] |= bit;
        } else {
            self.bits[word] &= !bit;
        }
    }
}
