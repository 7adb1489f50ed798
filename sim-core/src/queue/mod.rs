//! An ordered queue of timers: ties in order of insertion, cancel in place.
//!
//! Those that are queued in the order of their expiries, as timers of one period are, stand in a run; the others in a heap
//! with four children a node. Chosen by measurement (`benches/queue.rs`, docs/performance.md): one cache line holds two
//! entries, so the four children of a node are two lines; at 10,000 timers as at 1,000,000 this is well ahead of a binary
//! heap.

mod heap;
mod node;
mod places;
mod run;

use crate::mix::{mix, roll};
use crate::prefetch::prefetch;
use heap::Heap;
use node::Node;
use places::Places;
use run::{RUN, Run};

/// A queued timer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Orders the queue: the hard expiry of an hrtimer, signed nanoseconds of the queue's clock.
    pub expires: i64,
    /// The earliest expiry: the soft expiry of an hrtimer. Differs from `expires` for negative absolute times.
    pub soft: i64,
    /// The timer, any word that names it.
    pub timer: u64,
    /// The timer's index: how it is found again.
    pub index: u32,
}

/// A queue of timers ordered by (expiry, order of insertion). Insert, remove and pop are O(log n), the first is O(1). At
/// most 64 bytes per timer, however it grew.
#[derive(Debug, Default)]
pub struct TimerQueue {
    heap: Heap,
    run: Run,
    /// How many timers in a row came before the last one of the run.
    missed: usize,
    places: Places,
    /// Soft expiries that differ from the hard ones, by index.
    softs: std::collections::BTreeMap<u32, i64>,
    seq: u64,
    /// Sum of the entries' digests: the same for every heap shape with the same content.
    sum: u64,
    /// Timed runs ask for no digest.
    plain: bool,
    /// The queue's clock minus virtual time, in nanoseconds.
    offset: i64,
}

impl Clone for TimerQueue {
    fn clone(&self) -> TimerQueue {
        let mut q = TimerQueue::default();
        q.clone_from(self);
        q
    }

    // Searches set queues back before each execution: nothing is allocated.
    fn clone_from(&mut self, from: &TimerQueue) {
        if from.is_empty() {
            self.clear();
        } else {
            self.heap.copy_from(&from.heap);
            self.run.copy_from(&from.run);
            self.missed = from.missed;
            self.places.slots.clone_from(&from.places.slots);
            self.places.used = from.places.used;
            self.softs.clone_from(&from.softs);
        }
        (self.seq, self.sum) = (from.seq, from.sum);
        (self.plain, self.offset) = (from.plain, from.offset);
    }
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

    /// From now on [`TimerQueue::word`] only says whether the queue is empty.
    pub fn set_plain(&mut self) {
        self.plain = true;
    }

    /// The virtual time, in nanoseconds, at which the queue's clock shows `expires`.
    pub fn due(&self, expires: i64) -> u64 {
        u64::try_from(expires.saturating_sub(self.offset)).unwrap_or(0)
    }

    /// How many timers are queued.
    pub fn len(&self) -> usize {
        self.heap.len() + self.run.len()
    }

    /// Whether none is queued.
    pub fn is_empty(&self) -> bool {
        self.head().is_none()
    }

    /// Bytes that the queue occupies.
    pub fn bytes(&self) -> usize {
        (self.heap.capacity() + self.run.capacity()) * size_of::<Node>()
            + self.places.slots.capacity() * size_of::<(u32, u32)>()
            + self.softs.len() * 2 * size_of::<(u32, i64)>()
    }

    /// The first of all.
    #[inline]
    fn head(&self) -> Option<&Node> {
        match (self.heap.first(), self.run.first()) {
            (None, first) => first,
            (Some(h), Some(r)) if r.key() < h.key() => Some(r),
            (first, _) => first,
        }
    }

    /// The timer that expires first.
    pub fn first(&self) -> Option<Entry> {
        self.head().map(|n| self.entry(n))
    }

    /// When the first timer is due ([`TimerQueue::due`]); `None` if there is none.
    #[inline]
    pub fn first_due(&self) -> Option<u64> {
        self.head().map(|n| self.due(n.expires()))
    }

    /// The timer that expires first, by its word.
    #[inline]
    pub fn first_timer(&self) -> Option<u64> {
        self.head().map(|n| n.timer)
    }

    /// [`TimerQueue::first_timer`]; its place is fetched ([`crate::Mem::prefetch`]).
    #[inline]
    pub fn prefetch_first(&self) -> Option<u64> {
        let first = self.head()?;
        prefetch(&self.places.slots[first.slot as usize]);
        Some(first.timer)
    }

    /// Removes the first timer and returns its word.
    #[inline]
    pub fn pop_timer(&mut self) -> Option<u64> {
        let n = *self.head()?;
        self.remove_first(&n);
        Some(n.timer)
    }

    /// Whether the soft expiry of the first timer is over when virtual time is `now`.
    #[inline(always)]
    pub fn is_due(&self, now: i64) -> bool {
        let Some(n) = self.head() else { return false };
        let soft = if n.early { self.soft(n) } else { n.expires() };
        soft <= now.saturating_add(self.offset)
    }

    /// Whether the timer with this index is queued.
    pub fn contains(&self, index: u32) -> bool {
        self.places.find(index).is_some()
    }

    /// The queued entry of the timer with this index.
    pub fn get(&self, index: u32) -> Option<Entry> {
        let slot = self.places.find(index)?;
        self.at(self.places.position(slot)).map(|n| self.entry(n))
    }

    /// Queues a timer; one that is queued already moves. Whether it was. `index` is below 2^32 - 2.
    pub fn insert(&mut self, timer: u64, index: u32, expires: i64, soft: i64) -> bool {
        // Searches stay short while a good part of the table is free.
        if self.places.used * 5 >= self.places.slots.len() * 3 {
            self.make_room();
        }
        let (mut slot, new) = self.places.take(index);
        if !new {
            self.remove_slot(slot);
            (slot, _) = self.places.take(index);
        }
        let early = soft != expires;
        if early {
            self.softs.insert(index, soft);
        }
        let n = Node { at: Node::order(expires), seq: self.seq, timer, slot, early };
        self.seq += 1;
        if !self.plain {
            self.sum = self.sum.wrapping_add(self.digest(&n));
        }
        match self.run.last() {
            Some(last) if n.at < last.at => self.push_out_of_order(n),
            _ => {
                self.missed = 0;
                self.push_last(n);
            }
        }
        !new
    }

    /// Queues a timer that comes after those of the run.
    #[inline]
    fn push_last(&mut self, n: Node) {
        if self.run.is_full() {
            self.make_room_in_run();
        }
        self.run.push(n, &mut self.places);
    }

    /// Queues a timer that comes before the last one of the run.
    fn push_out_of_order(&mut self, n: Node) {
        self.missed += 1;
        // A run that nobody could join for so long was begun too late: it begins anew with this one.
        if self.missed > 8 * self.run.len() {
            let mut run = std::mem::take(&mut self.run);
            run.iter().for_each(|n| self.push_onto_heap(*n));
            run.clear();
            self.run = run;
            self.missed = 0;
            self.spare_run();
            return self.push_last(n);
        }
        self.push_onto_heap(n);
    }

    fn push_onto_heap(&mut self, n: Node) {
        if self.heap.len() == self.heap.capacity() {
            self.spare_run();
            self.heap.grow();
        }
        self.heap.push(n, &mut self.places);
    }

    /// The run gives up room of which it does not use much.
    fn spare_run(&mut self) {
        if self.run.capacity() - self.run.len() > self.len() / 16 + 8 {
            self.run.shrink();
        }
    }

    #[cold]
    fn make_room_in_run(&mut self) {
        if self.heap.capacity() - self.heap.len() > self.len() / 16 + 8 {
            self.heap.shrink();
        }
        self.run.grow();
    }

    /// Removes the timer with this index; false if it was not queued.
    pub fn remove(&mut self, index: u32) -> bool {
        let Some(slot) = self.places.find(index) else { return false };
        self.remove_slot(slot);
        true
    }

    /// Removes and returns the first timer.
    pub fn pop(&mut self) -> Option<Entry> {
        let n = *self.head()?;
        let first = self.entry(&n);
        self.remove_first(&n);
        Some(first)
    }

    /// All entries, in the order in which they would be popped. O(n log n); for dumps and unplugged CPUs.
    pub fn in_order(&self) -> Vec<Entry> {
        let mut all: Vec<Node> = self.heap.iter().chain(self.run.iter()).copied().collect();
        all.sort_by_key(Node::key);
        all.iter().map(|n| self.entry(n)).collect()
    }

    /// A word that is 0 if and only if the queue is empty, and otherwise identifies its content.
    #[inline]
    pub fn word(&self) -> u64 {
        match (self.is_empty(), self.plain) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => mix(self.sum ^ self.offset as u64) | 1,
        }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.places.clear();
        self.heap.clear();
        self.run.clear();
        self.missed = 0;
        self.softs.clear();
        self.seq = 0;
        self.sum = 0;
    }

    #[cold]
    fn soft(&self, n: &Node) -> i64 {
        self.softs.get(&self.places.index(n.slot)).copied().unwrap_or(n.expires())
    }

    fn entry(&self, n: &Node) -> Entry {
        let soft = if n.early { self.soft(n) } else { n.expires() };
        Entry { expires: n.expires(), soft, timer: n.timer, index: self.places.index(n.slot) }
    }

    /// A larger table of places, or one of the same size without those that are gone.
    fn make_room(&mut self) {
        let size = (self.len() * 12 / 5).next_multiple_of(8).max(8);
        let places = &mut self.places;
        let old = std::mem::replace(&mut places.slots, vec![(0, 0); size]);
        places.used = 0;
        let mut renew = |slot: u32, position: u32| {
            let (slot, _) = places.take(old[slot as usize].0 - 1);
            places.put(slot, position);
            slot
        };
        self.heap.renew_slots(&mut renew);
        self.run.renew_slots(renew);
    }

    /// The node at a position.
    fn at(&self, position: u32) -> Option<&Node> {
        if position & RUN == 0 { self.heap.get(position) } else { self.run.get(position) }
    }

    /// What the queue keeps of a timer beside its node goes.
    #[inline]
    fn forget(&mut self, n: &Node) {
        if !self.plain {
            self.sum = self.sum.wrapping_sub(self.digest(n));
        }
        if n.early {
            self.softs.remove(&self.places.index(n.slot));
        }
        self.places.free(n.slot);
    }

    /// Removes the node that is first.
    #[inline]
    fn remove_first(&mut self, n: &Node) {
        let in_run = self.places.position(n.slot) & RUN != 0;
        self.forget(n);
        if in_run {
            self.run.pop();
        } else {
            self.heap.remove(0, &mut self.places);
        }
    }

    fn remove_slot(&mut self, slot: u32) {
        let position = self.places.position(slot);
        let Some(n) = self.at(position).copied() else { return };
        self.forget(&n);
        if position & RUN == 0 {
            self.heap.remove(position as usize, &mut self.places);
        } else {
            self.run.remove(position, &mut self.places);
        }
    }

    // The order of insertion matters among equal expiries only. Taking it into every digest would tell states apart that
    // behave alike; leaving it out merges states with swapped equal timers. The first is safe.
    fn digest(&self, n: &Node) -> u64 {
        let soft = if n.early { self.soft(n) } else { n.expires() };
        roll(roll(mix(n.timer), n.expires() as u64), roll(soft as u64, n.seq))
    }
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

    #[test]
    fn little_memory_however_it_grew() {
        let mut q = TimerQueue::default();
        for n in 0..200_000u32 {
            q.insert(u64::from(n), n.wrapping_mul(7_919) % 1_000_003, i64::from(n % 1_009), 0);
            if n % 3 == 0 {
                q.pop();
            }
            assert!(n < 100 || q.bytes() - 2 * 16 * q.softs.len() <= 64 * q.len(), "{n}");
        }
    }

    /// Timers of one period, of two, and of any, after each other: they go from the run to the heap and back.
    #[test]
    fn little_memory_when_the_pattern_changes() {
        let mut q = TimerQueue::default();
        let timers = 5_000u32;
        (0..timers).for_each(|t| assert!(!q.insert(u64::from(t), t, 0, 0)));
        for n in 0..400_000u64 {
            let Some(e) = q.pop() else { break };
            let delay = match n / 50_000 % 4 {
                0 => 1_000_000,
                1 if n % 2 == 0 => 10_000_000,
                1 => 1_000_000,
                2 => (mix(n) % 1_000_000) as i64,
                _ => 1_000_000 - (n % 50_000) as i64 * 20,
            };
            let at = e.expires + delay;
            q.insert(e.timer, e.index, at, at);
            let other = (mix(!n) % u64::from(timers)) as u32;
            if mix(n) % 10 < 3 && q.remove(other) {
                q.insert(u64::from(other), other, at + 7, at + 7);
            }
            assert!(
                q.len() == timers as usize && q.bytes() <= 64 * q.len(),
                "{n}: {} heap {} of {}, run {} of {}, places {}",
                q.bytes(),
                q.heap.len(),
                q.heap.capacity(),
                q.run.len(),
                q.run.capacity(),
                q.places.slots.capacity()
            );
        }
    }

    #[test]
    fn a_soft_expiry_of_its_own_is_kept() {
        let mut q = TimerQueue::default();
        q.insert(1, 1, 50, 50);
        q.insert(2, 2, i64::MAX, i64::MIN);
        q.insert(1, 1, i64::MAX, i64::MAX);
        assert!(q.is_due(0), "its soft expiry is over");
        assert_eq!(q.pop().map(|e| (e.timer, e.soft)), Some((2, i64::MIN)));
        assert!(!q.is_due(0) && q.softs.is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_map(ops in prop::collection::vec((0u32..40, 0i64..20, 0u8..6), 1..400)) {
            let mut q = TimerQueue::default();
            let mut model: BTreeMap<(i64, u64), u32> = BTreeMap::new();
            let (mut seq, mut last, mut initial) = (0u64, 0, TimerQueue::default());
            for (index, mut expires, what) in ops {
                // Half of them behind all others.
                if what >= 4 {
                    last += expires / 10;
                    expires = last;
                }
                match what {
                    0 => prop_assert_eq!(q.pop().map(|e| e.index), model.pop_first().map(|(_, i)| i)),
                    1 => {
                        let there = model.values().any(|i| *i == index);
                        prop_assert_eq!(q.remove(index), there);
                        model.retain(|_, i| *i != index);
                    }
                    _ => {
                        q.insert(u64::from(index), index, expires, expires);
                        model.retain(|_, i| *i != index);
                        model.insert((expires, seq), index);
                        seq += 1;
                    }
                }
                prop_assert_eq!(q.len(), model.len());
                prop_assert_eq!(q.first().map(|e| e.index), model.values().next().copied());
                prop_assert_eq!(q.word() == 0, model.is_empty());
                prop_assert_eq!(q.get(index).map(|e| e.expires), model.iter().find(|m| *m.1 == index).map(|m| m.0.0));
                if index == 0 {
                    initial.clone_from(&q);
                    prop_assert_eq!(initial.word(), q.word());
                    prop_assert_eq!(initial.in_order(), q.in_order());
                }
            }
        }
    }
}
