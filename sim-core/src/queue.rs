//! An ordered queue of timers: a heap with four children a node, ties in order of insertion, cancel in place.
//!
//! Chosen by measurement (`benches/queue.rs`, docs/performance.md): one cache line holds two entries, so the four children
//! of a node are two lines; at 10,000 timers as at 1,000,000 this is well ahead of a binary heap.

use crate::mix::{mix, roll};
use crate::prefetch::prefetch;

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

/// An entry as the heap holds it: 32 bytes.
#[derive(Copy, Clone, Debug)]
struct Node {
    /// The expiry, shifted so that its order is that of unsigned numbers.
    at: u64,
    seq: u64,
    timer: u64,
    /// Where [`Places`] has it.
    slot: u32,
    /// Its soft expiry is another one, see [`TimerQueue::softs`].
    early: bool,
}

const SHIFT: u64 = 1 << 63;

impl Node {
    const NONE: Node = Node { at: 0, seq: 0, timer: 0, slot: 0, early: false };

    #[inline]
    fn key(&self) -> u128 {
        u128::from(self.at) << 64 | u128::from(self.seq)
    }

    #[inline]
    fn expires(&self) -> i64 {
        (self.at ^ SHIFT) as i64
    }
}

/// Where each queued timer lies in the heap, by its index: a table with open addressing. Its size follows from how many
/// timers are queued, not from the largest index: a machine has many queues.
#[derive(Clone, Debug, Default)]
struct Places {
    /// Index of a timer plus one (0: never used, [`GONE`]: not any more), and its position in the heap.
    slots: Vec<(u32, u32)>,
    /// Slots that are not free: in use, or gone.
    used: usize,
}

const GONE: u32 = u32::MAX;

impl Places {
    #[inline]
    fn home(&self, index: u32) -> usize {
        ((u64::from(index.wrapping_mul(0x9e37_79b9)) * self.slots.len() as u64) >> 32) as usize
    }

    /// The slot of a timer.
    #[inline]
    fn find(&self, index: u32) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mut s = self.home(index);
        loop {
            match self.slots[s].0 {
                0 => return None,
                n if n == index + 1 => return Some(s as u32),
                _ => s = if s + 1 == self.slots.len() { 0 } else { s + 1 },
            }
        }
    }

    /// The slot of a timer, and whether it had none before.
    #[inline]
    fn take(&mut self, index: u32) -> (u32, bool) {
        let (mut s, mut gone) = (self.home(index), None);
        loop {
            match self.slots[s].0 {
                0 => break,
                n if n == index + 1 => return (s as u32, false),
                GONE => gone = gone.or(Some(s)),
                _ => {}
            }
            s = if s + 1 == self.slots.len() { 0 } else { s + 1 };
        }
        self.used += usize::from(gone.is_none());
        let s = gone.unwrap_or(s);
        self.slots[s] = (index + 1, 0);
        (s as u32, true)
    }

    #[inline]
    fn free(&mut self, slot: u32) {
        let next = slot as usize + 1;
        let next = if next == self.slots.len() { 0 } else { next };
        // Nobody's search goes past a slot whose next one was never used.
        let last = self.slots[next].0 == 0;
        self.slots[slot as usize].0 = if last { 0 } else { GONE };
        self.used -= usize::from(last);
    }

    #[inline]
    fn index(&self, slot: u32) -> u32 {
        self.slots[slot as usize].0 - 1
    }
}

/// A queue of timers ordered by (expiry, order of insertion). Insert, remove and pop are O(log n), the first is O(1). At
/// most 64 bytes per timer, however it grew.
#[derive(Debug, Default)]
pub struct TimerQueue {
    heap: Vec<Node>,
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
            self.heap.clone_from(&from.heap);
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
        self.heap.len()
    }

    /// Whether none is queued.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Bytes that the queue occupies.
    pub fn bytes(&self) -> usize {
        self.heap.capacity() * size_of::<Node>()
            + self.places.slots.capacity() * size_of::<(u32, u32)>()
            + self.softs.len() * 2 * size_of::<(u32, i64)>()
    }

    /// The timer that expires first.
    pub fn first(&self) -> Option<Entry> {
        self.heap.first().map(|n| self.entry(n))
    }

    /// When the first timer is due ([`TimerQueue::due`]); `None` if there is none.
    #[inline]
    pub fn first_due(&self) -> Option<u64> {
        self.heap.first().map(|n| self.due(n.expires()))
    }

    /// The timer that expires first, by its word.
    #[inline]
    pub fn first_timer(&self) -> Option<u64> {
        self.heap.first().map(|n| n.timer)
    }

    /// [`TimerQueue::first_timer`]; its place is fetched ([`crate::Mem::prefetch`]).
    #[inline]
    pub fn prefetch_first(&self) -> Option<u64> {
        let first = self.heap.first()?;
        prefetch(&self.places.slots[first.slot as usize]);
        Some(first.timer)
    }

    /// Removes the first timer and returns its word.
    #[inline]
    pub fn pop_timer(&mut self) -> Option<u64> {
        let timer = self.first_timer()?;
        self.remove_at(0);
        Some(timer)
    }

    /// Whether the soft expiry of the first timer is over when virtual time is `now`.
    #[inline(always)]
    pub fn is_due(&self, now: i64) -> bool {
        let Some(n) = self.heap.first() else { return false };
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
        let p = self.places.slots[slot as usize].1;
        self.heap.get(p as usize).map(|n| self.entry(n))
    }

    /// Queues a timer; one that is queued already moves. Whether it was. `index` is below 2^32 - 2.
    pub fn insert(&mut self, timer: u64, index: u32, expires: i64, soft: i64) -> bool {
        // Searches stay short while a good part of the table is free.
        if self.places.used * 5 >= self.places.slots.len() * 3 {
            self.make_room();
        }
        let (mut slot, new) = self.places.take(index);
        if !new {
            self.remove_at(self.places.slots[slot as usize].1 as usize);
            (slot, _) = self.places.take(index);
        }
        let early = soft != expires;
        if early {
            self.softs.insert(index, soft);
        }
        let n = Node { at: expires as u64 ^ SHIFT, seq: self.seq, timer, slot, early };
        self.seq += 1;
        if !self.plain {
            self.sum = self.sum.wrapping_add(self.digest(&n));
        }
        if self.heap.len() == self.heap.capacity() {
            // Growing by a quarter keeps what is not used small.
            self.heap.reserve_exact(4.max(self.heap.len() / 4));
        }
        // A place first: a node that is pushed is built elsewhere and copied.
        self.heap.push(Node::NONE);
        self.up(self.heap.len() - 1, n);
        !new
    }

    /// Removes the timer with this index; false if it was not queued.
    pub fn remove(&mut self, index: u32) -> bool {
        let Some(slot) = self.places.find(index) else { return false };
        self.remove_at(self.places.slots[slot as usize].1 as usize);
        true
    }

    /// Removes and returns the first timer.
    pub fn pop(&mut self) -> Option<Entry> {
        let first = self.first()?;
        self.remove_at(0);
        Some(first)
    }

    /// All entries, in the order in which they would be popped. O(n log n); for dumps and unplugged CPUs.
    pub fn in_order(&self) -> Vec<Entry> {
        let mut all = self.heap.clone();
        all.sort_by_key(Node::key);
        all.iter().map(|n| self.entry(n)).collect()
    }

    /// A word that is 0 if and only if the queue is empty, and otherwise identifies its content.
    #[inline]
    pub fn word(&self) -> u64 {
        match (self.heap.is_empty(), self.plain) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => mix(self.sum ^ self.offset as u64) | 1,
        }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        if self.places.used > 0 {
            self.places.slots.fill((0, 0));
            self.places.used = 0;
        }
        self.heap.clear();
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
        let size = (self.heap.len() * 12 / 5).next_multiple_of(8).max(8);
        let old = std::mem::replace(&mut self.places.slots, vec![(0, 0); size]);
        self.places.used = 0;
        for (p, n) in self.heap.iter_mut().enumerate() {
            (n.slot, _) = self.places.take(old[n.slot as usize].0 - 1);
            self.places.slots[n.slot as usize].1 = p as u32;
        }
    }

    fn remove_at(&mut self, p: usize) {
        let n = self.heap[p];
        if !self.plain {
            self.sum = self.sum.wrapping_sub(self.digest(&n));
        }
        if n.early {
            self.softs.remove(&self.places.index(n.slot));
        }
        self.places.free(n.slot);
        let Some(last) = self.heap.pop() else { return };
        if p < self.heap.len() {
            if p > 0 && last.key() < self.heap[(p - 1) / 4].key() {
                self.up(p, last);
            } else {
                self.down(p, last);
            }
        }
    }

    /// Puts a node at `p` or above it.
    fn up(&mut self, mut p: usize, n: Node) {
        while p > 0 {
            let parent = (p - 1) / 4;
            let above = self.heap[parent];
            if above.key() <= n.key() {
                break;
            }
            self.put(p, above);
            p = parent;
        }
        self.put(p, n);
    }

    /// Puts a node at `p` or below it.
    fn down(&mut self, mut p: usize, n: Node) {
        let key = n.key();
        loop {
            let first = 4 * p + 1;
            let Some(children) = self.heap.get(first..) else { break };
            let (least, least_key) = match children.first_chunk::<4>() {
                Some([a, b, c, d]) => {
                    let two = |x: &Node, y: &Node, i: usize| {
                        let (x, y) = (x.key(), y.key());
                        if y < x { (i + 1, y) } else { (i, x) }
                    };
                    let (l, r) = (two(a, b, 0), two(c, d, 2));
                    if r.1 < l.1 { r } else { l }
                }
                None => {
                    let keys = children.iter().map(Node::key).enumerate();
                    let Some(least) = keys.min_by_key(|k| k.1) else { break };
                    least
                }
            };
            if key <= least_key {
                break;
            }
            let child = self.heap[first + least];
            self.put(p, child);
            p = first + least;
        }
        self.put(p, n);
    }

    #[inline]
    fn put(&mut self, p: usize, n: Node) {
        self.heap[p] = n;
        self.places.slots[n.slot as usize].1 = p as u32;
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
        fn agrees_with_a_sorted_map(ops in prop::collection::vec((0u32..40, 0i64..20, 0u8..4), 1..400)) {
            let mut q = TimerQueue::default();
            let mut model: BTreeMap<(i64, u64), u32> = BTreeMap::new();
            let (mut seq, mut initial) = (0u64, TimerQueue::default());
            for (index, expires, what) in ops {
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
