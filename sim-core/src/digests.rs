//! A set of digests in little memory: 8 bytes an entry, packed between three quarters and nine tenths.
//!
//! Entries stand in their own order, each as near to its home as that allows, so the set is sorted at any time.

/// Entries per set when it is empty.
const SMALLEST: usize = 1 << 8;
/// Entries beyond the last home, for those that are pushed over the end.
const TAIL: usize = 512;

#[derive(Clone, Debug, Default)]
pub(crate) struct Digests {
    /// 0: free. Empty until something is inserted.
    keys: Vec<u64>,
    homes: usize,
    len: usize,
}

impl Digests {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> u64 {
        self.keys.len() as u64 * 8
    }

    /// All of them, sorted.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.keys.iter().copied().filter(|k| *k != 0)
    }

    /// Adds one. (0 counts as 1: it stands for a free place.)
    pub fn insert(&mut self, digest: u64) {
        let key = digest.max(1);
        if self.len * 10 >= self.homes * 9 {
            self.grow();
        }
        loop {
            let from = self.home(key);
            let at = self.keys[from..].iter().position(|k| *k == 0 || *k >= key);
            let Some(at) = at.map(|i| from + i) else {
                self.grow();
                continue;
            };
            if self.keys[at] == key {
                return;
            }
            let Some(free) = self.keys[at..].iter().position(|k| *k == 0) else {
                self.grow();
                continue;
            };
            self.keys.copy_within(at..at + free, at + 1);
            self.keys[at] = key;
            self.len += 1;
            return;
        }
    }

    fn home(&self, key: u64) -> usize {
        ((u128::from(key) * self.homes as u128) >> 64) as usize
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.keys);
        loop {
            self.homes = (self.homes / 100 * 115 + 115).max(SMALLEST);
            self.keys = vec![0; self.homes + TAIL];
            // Sorted, so each goes behind those before it.
            let mut next = 0;
            let fits = old.iter().filter(|k| **k != 0).all(|k| {
                let at = self.home(*k).max(next);
                next = at + 1;
                self.keys.get_mut(at).is_some_and(|place| {
                    *place = *k;
                    true
                })
            });
            if fits {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::mix;
    use std::collections::BTreeSet;

    #[test]
    fn a_sorted_set_in_little_memory() {
        let (mut set, mut model) = (Digests::default(), BTreeSet::new());
        for n in 0..200_000u64 {
            let digest = mix(n % 150_000);
            set.insert(digest);
            model.insert(digest);
        }
        assert_eq!(set.len(), model.len());
        assert!(set.iter().eq(model.iter().copied()));
        assert!(set.keys.len() * 8 <= 11 * set.len(), "{} for {}", set.keys.len(), set.len());
    }

    /// Ten million final states stay under 256 MiB, also while the set grows.
    #[test]
    fn ten_million_fit() {
        let mut set = Digests::default();
        let mut most = 0;
        for n in 0..10_000_000u64 {
            let before = set.keys.len();
            set.insert(mix(n));
            if set.keys.len() != before {
                most = most.max((before + set.keys.len()) * 8);
            }
        }
        assert_eq!(set.len(), 10_000_000);
        assert!(most < 256 << 20, "{most} bytes");
    }
}
