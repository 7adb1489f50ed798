//! Timers in any order: a heap with four children a node, cancel in place.

use super::node::Node;
use super::places::Places;

/// The positions of its nodes are their indices.
#[derive(Debug, Default)]
pub(super) struct Heap {
    nodes: Vec<Node>,
}

impl Heap {
    #[inline]
    pub fn first(&self) -> Option<&Node> {
        self.nodes.first()
    }

    #[inline]
    pub fn get(&self, p: u32) -> Option<&Node> {
        self.nodes.get(p as usize)
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn capacity(&self) -> usize {
        self.nodes.capacity()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    pub fn clear(&mut self) {
        self.nodes.clear();
    }

    pub fn copy_from(&mut self, from: &Heap) {
        self.nodes.clone_from(&from.nodes);
    }

    /// Keeps room for some more.
    pub fn shrink(&mut self) {
        self.nodes.shrink_to(self.nodes.len() + self.nodes.len() / 8);
    }

    /// Makes room for a quarter more: what is not used stays small.
    pub fn grow(&mut self) {
        self.nodes.reserve_exact(4.max(self.nodes.len() / 4));
    }

    #[inline]
    pub fn push(&mut self, n: Node, places: &mut Places) {
        // A place first: a node that is pushed is built elsewhere and copied.
        self.nodes.push(Node::NONE);
        self.up(self.nodes.len() - 1, n, places);
    }

    /// Takes out the node at `p`.
    pub fn remove(&mut self, p: usize, places: &mut Places) {
        let Some(last) = self.nodes.pop() else { return };
        if p < self.nodes.len() {
            if p > 0 && last.key() < self.nodes[(p - 1) / 4].key() {
                self.up(p, last, places);
            } else {
                self.down(p, last, places);
            }
        }
    }

    /// Puts a node at `p` or above it.
    fn up(&mut self, mut p: usize, n: Node, places: &mut Places) {
        while p > 0 {
            let parent = (p - 1) / 4;
            let above = self.nodes[parent];
            if above.key() <= n.key() {
                break;
            }
            self.put(p, above, places);
            p = parent;
        }
        self.put(p, n, places);
    }

    /// Puts a node at `p` or below it.
    fn down(&mut self, mut p: usize, n: Node, places: &mut Places) {
        let key = n.key();
        loop {
            let first = 4 * p + 1;
            let Some(children) = self.nodes.get(first..) else { break };
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
            let child = self.nodes[first + least];
            self.put(p, child, places);
            p = first + least;
        }
        self.put(p, n, places);
    }

    #[inline]
    fn put(&mut self, p: usize, n: Node, places: &mut Places) {
        self.nodes[p] = n;
        places.put(n.slot, p as u32);
    }

    /// All nodes get new slots.
    pub fn renew_slots(&mut self, mut slot: impl FnMut(u32, u32) -> u32) {
        for (p, n) in self.nodes.iter_mut().enumerate() {
            n.slot = slot(n.slot, p as u32);
        }
    }
}
