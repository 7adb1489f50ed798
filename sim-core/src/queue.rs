//! An ordered queue of timers: a binary heap with positions, ties in order of insertion, cancel in place.

use crate::mix::{mix, roll};

const NONE: u32 = u32::MAX;

/// A queued timer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Orders the queue: the hard expiry of an hrtimer, signed nanoseconds of the queue's clock.
    pub expires: i64,
    /// The earliest expiry: the soft expiry of an hrtimer. Differs from `expires` for negative absolute times.
    pub soft: i64,
    /// The timer, any word that names it.
    pub timer: u64,
    /// The timer's index in the table of positions.
    pub index: u32,
    seq: u64,
}

impl Entry {
    fn before(&self, other: &Entry) -> bool {
        (self.expires, self.seq) < (other.expires, other.seq)
    }
}

/// A queue of timers ordered by (expiry, order of insertion). Insert, remove and pop are O(log n), the first is O(1).
#[derive(Clone, Debug, Default)]
pub struct TimerQueue {
    heap: Vec<Entry>,
    /// Position in the heap by index of the timer.
    pos: Vec<u32>,
    seq: u64,
    /// Sum of the entries' digests: the same for every heap shape with the same content.
    sum: u64,
    /// The queue's clock minus virtual time, in nanoseconds.
    offset: i64,
}

impl TimerQueue {
    /// Sets how far the queue's clock is ahead of virtual time (a boot-time clock after a suspend).
    pub fn set_offset(&mut self, ns: i64) {
        self.offset = ns;
    }

    /// How far the queue's clock is ahead of virtual time.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The virtual time, in nanoseconds, at which the queue's clock shows `expires`.
    pub fn due(&self, expires: i64) -> u64 {
        u64::try_from(expires.saturating_sub(self.offset)).unwrap_or(0)
    }

    /// How many timers are queued.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is queued.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The timer that expires first.
    pub fn first(&self) -> Option<&Entry> {
        self.heap.first()
    }

    /// Whether the timer with this index is queued.
    pub fn contains(&self, index: u32) -> bool {
        self.pos.get(index as usize).is_some_and(|p| *p != NONE)
    }

    /// The queued entry of the timer with this index.
    pub fn get(&self, index: u32) -> Option<&Entry> {
        let p = *self.pos.get(index as usize)?;
        self.heap.get(p as usize)
    }

    /// Queues a timer that is not queued. `index` is small and dense: memory is proportional to the largest.
    pub fn insert(&mut self, timer: u64, index: u32, expires: i64, soft: i64) {
        debug_assert!(!self.contains(index), "a timer is queued once");
        let e = Entry { expires, soft, timer, index, seq: self.seq };
        self.seq += 1;
        self.sum = self.sum.wrapping_add(digest(&e));
        if self.pos.len() <= index as usize {
            self.pos.resize(index as usize + 1, NONE);
        }
        self.heap.push(e);
        self.pos[index as usize] = self.heap.len() as u32 - 1;
        self.up(self.heap.len() - 1);
    }

    /// Removes the timer with this index; false if it was not queued.
    pub fn remove(&mut self, index: u32) -> bool {
        let Some(p) = self.pos.get(index as usize).copied().filter(|p| *p != NONE) else {
            return false;
        };
        self.remove_at(p as usize);
        true
    }

    /// Removes and returns the first timer.
    pub fn pop(&mut self) -> Option<Entry> {
        let first = *self.heap.first()?;
        self.remove_at(0);
        Some(first)
    }

    /// All entries, in the order in which they would be popped. O(n log n); for dumps and unplugged CPUs.
    pub fn in_order(&self) -> Vec<Entry> {
        let mut all = self.heap.clone();
        all.sort_by_key(|e| (e.expires, e.seq));
        all
    }

    /// A word that is 0 if and only if the queue is empty, and otherwise identifies its content.
    pub fn word(&self) -> u64 {
        if self.heap.is_empty() { 0 } else { mix(self.sum ^ self.offset as u64) | 1 }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        for e in &self.heap {
            self.pos[e.index as usize] = NONE;
        }
        self.heap.clear();
        self.seq = 0;
        self.sum = 0;
    }

    fn remove_at(&mut self, p: usize) {
        let e = self.heap.swap_remove(p);
        self.sum = self.sum.wrapping_sub(digest(&e));
        self.pos[e.index as usize] = NONE;
        if p < self.heap.len() {
            self.pos[self.heap[p].index as usize] = p as u32;
            self.up(p);
            self.down(p);
        }
    }

    fn up(&mut self, mut p: usize) {
        while p > 0 {
            let parent = (p - 1) / 2;
            if !self.heap[p].before(&self.heap[parent]) {
                break;
            }
            self.swap(p, parent);
            p = parent;
        }
    }

    fn down(&mut self, mut p: usize) {
        loop {
            let (l, r) = (2 * p + 1, 2 * p + 2);
            let mut least = p;
            if l < self.heap.len() && self.heap[l].before(&self.heap[least]) {
                least = l;
            }
            if r < self.heap.len() && self.heap[r].before(&self.heap[least]) {
                least = r;
            }
            if least == p {
                return;
            }
            self.swap(p, least);
            p = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.pos[self.heap[a].index as usize] = a as u32;
        self.pos[self.heap[b].index as usize] = b as u32;
    }
}

// The order of insertion matters among equal expiries only. Taking it into every digest would tell states apart that
// behave alike; leaving it out merges states with swapped equal timers. The first is safe.
fn digest(e: &Entry) -> u64 {
    roll(roll(mix(e.timer), e.expires as u64), roll(e.soft as u64, e.seq))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn equal_expiries_keep_their_order() {
        let mut q = TimerQueue::default();
        for i in 0..5 {
            q.insert(u64::from(i), i, 7, 7);
        }
        q.remove(2);
        let order: Vec<_> = std::iter::from_fn(|| q.pop()).map(|e| e.timer).collect();
        assert_eq!(order, [0, 1, 3, 4]);
        assert_eq!(q.word(), 0);
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_map(ops in prop::collection::vec((0u32..12, 0i64..20, any::<bool>()), 1..200)) {
            let mut q = TimerQueue::default();
            let mut model: BTreeMap<(i64, u64), u32> = BTreeMap::new();
            let mut seq = 0u64;
            for (index, expires, pop) in ops {
                if pop && index % 3 == 0 {
                    prop_assert_eq!(q.pop().map(|e| e.index), model.pop_first().map(|(_, i)| i));
                } else if q.contains(index) {
                    q.remove(index);
                    model.retain(|_, i| *i != index);
                } else {
                    q.insert(u64::from(index), index, expires, expires);
                    model.insert((expires, seq), index);
                    seq += 1;
                }
                prop_assert_eq!(q.len(), model.len());
                prop_assert_eq!(q.first().map(|e| e.index), model.values().next().copied());
                prop_assert_eq!(q.word() == 0, model.is_empty());
            }
        }
    }
}
