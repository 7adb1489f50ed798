//! Timers that were queued in the order of their expiries: first in, first out.
//!
//! Timers of one period are: each start queues behind all others. Nothing is compared or moved then.

use super::node::Node;
use super::places::Places;
use std::collections::VecDeque;

/// Marks the positions of timers in the run.
pub(super) const RUN: u32 = 1 << 31;

/// Sorted. The first and the last are queued; some in between may be cancelled.
#[derive(Debug, Default)]
pub(super) struct Run {
    nodes: VecDeque<Node>,
    /// How many have left at the front, which positions count from; modulo 2^31.
    left: u32,
    /// How many of the nodes are cancelled: they have no slot.
    cancelled: usize,
}

impl Run {
    #[inline]
    pub fn first(&self) -> Option<&Node> {
        self.nodes.front()
    }

    #[inline]
    pub fn last(&self) -> Option<&Node> {
        self.nodes.back()
    }

    #[inline]
    fn index(&self, position: u32) -> usize {
        (position.wrapping_sub(self.left) & !RUN) as usize
    }

    #[inline]
    fn position(&self, index: usize) -> u32 {
        self.left.wrapping_add(index as u32) | RUN
    }

    #[inline]
    pub fn get(&self, position: u32) -> Option<&Node> {
        self.nodes.get(self.index(position))
    }

    /// How many are queued.
    #[inline]
    pub fn len(&self) -> usize {
        self.nodes.len() - self.cancelled
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.nodes.len() == self.nodes.capacity()
    }

    pub fn capacity(&self) -> usize {
        self.nodes.capacity()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| n.slot != Node::NONE.slot)
    }

    pub fn clear(&mut self) {
        self.nodes.clear();
        (self.left, self.cancelled) = (0, 0);
    }

    pub fn copy_from(&mut self, from: &Run) {
        self.nodes.clone_from(&from.nodes);
        (self.left, self.cancelled) = (from.left, from.cancelled);
    }

    /// Keeps room for some more.
    pub fn shrink(&mut self) {
        self.nodes.shrink_to(self.nodes.len() + self.nodes.len() / 8);
    }

    /// Makes room for an eighth more: what is not used stays small.
    pub fn grow(&mut self) {
        self.nodes.reserve_exact(4.max(self.nodes.len() / 8));
    }

    /// Puts a node behind all others, which it does not come before.
    #[inline]
    pub fn push(&mut self, n: Node, places: &mut Places) {
        places.put(n.slot, self.position(self.nodes.len()));
        self.nodes.push_back(n);
    }

    /// Takes out the first.
    #[inline]
    pub fn pop(&mut self) {
        self.nodes.pop_front();
        self.left = self.left.wrapping_add(1) & !RUN;
        if self.cancelled > 0 {
            self.trim();
        }
    }

    /// Takes out the node at this position.
    pub fn remove(&mut self, position: u32, places: &mut Places) {
        let i = self.index(position);
        if let Some(n) = self.nodes.get_mut(i) {
            n.slot = Node::NONE.slot;
            self.cancelled += 1;
            self.trim();
            // Few of them, and little work for each.
            if self.cancelled * 8 > self.nodes.len() + 64 {
                self.close_ranks(places);
            }
        }
    }

    /// Cancelled nodes go.
    #[cold]
    fn close_ranks(&mut self, places: &mut Places) {
        self.nodes.retain(|n| n.slot != Node::NONE.slot);
        (self.left, self.cancelled) = (0, 0);
        for (i, n) in self.nodes.iter().enumerate() {
            places.put(n.slot, i as u32 | RUN);
        }
    }

    /// Cancelled nodes at both ends go.
    fn trim(&mut self) {
        while self.nodes.front().is_some_and(|n| n.slot == Node::NONE.slot) {
            self.nodes.pop_front();
            self.left = self.left.wrapping_add(1) & !RUN;
            self.cancelled -= 1;
        }
        while self.nodes.back().is_some_and(|n| n.slot == Node::NONE.slot) {
            self.nodes.pop_back();
            self.cancelled -= 1;
        }
    }

    /// All nodes get new slots.
    pub fn renew_slots(&mut self, mut slot: impl FnMut(u32, u32) -> u32) {
        let left = self.left;
        for (i, n) in self.nodes.iter_mut().enumerate() {
            if n.slot != Node::NONE.slot {
                n.slot = slot(n.slot, left.wrapping_add(i as u32) | RUN);
            }
        }
    }
}
