//! Who can step, kept up to date step by step: for policies that draw among all.
//!
//! A step can change this for its own context, for those whose conditions are about what it wrote, and for those of a CPU
//! whose word it wrote.

use crate::ids::{CtxId, Obj};
use crate::machine::Machine;
use crate::mem::Mem;
use crate::step::{Slot, Status};

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
        for c in (0..n as u16).map(CtxId) {
            self.declared(machine, values, c);
        }
    }

    /// The last step has happened, and `c`, whose it was, has declared its next one, or has ended.
    pub fn stepped(&mut self, machine: &Machine, mem: &Mem, c: CtxId) {
        for (o, _) in &mem.last_writer[mem.own_writes..] {
            let Some(readers) = self.readers.get(o.index()) else { continue };
            for reader in readers.iter().filter(|reader| **reader != c) {
                let slot = machine.slots[reader.index()].borrow();
                set(&mut self.bits, *reader, can_step(&slot, &mem.values, *reader));
            }
        }
        self.declared(machine, &mem.values, c);
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
        set(&mut self.bits, c, can_step(&slot, values, c));
        // Most steps ask for nothing but their CPU, before and after.
        let asks = !slot.guard.cmps.is_empty() || !slot.guard.empty.is_empty();
        if !asks && self.reads[c.index()].is_empty() {
            return;
        }
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
    }
}

#[inline]
fn can_step(slot: &Slot, values: &[u64], c: CtxId) -> bool {
    matches!(slot.status, Status::Waiting | Status::Idle)
        && slot.guard.holds(c, slot.own, &|o: Obj| values[o.index()])
}

#[inline]
fn set(bits: &mut [u64], c: CtxId, can: bool) {
    let (word, bit) = (c.index() / 64, c.index() % 64);
    bits[word] = bits[word] & !(1 << bit) | u64::from(can) << bit;
}
