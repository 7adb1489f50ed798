//! A set of states with the sleep set of each: 18 bytes an entry, packed between three quarters and nine tenths.
//!
//! Keys are digests, so their order is as good as random: entries stand in the order of their keys, each as near to its
//! home as that allows. A look-up ends at the first greater key, about five entries away from home at the fullest.

use crate::dpor::CtxSet;
use std::collections::HashMap;

/// Entries per table when it is empty.
const SMALLEST: usize = 1 << 10;
/// Entries beyond the last home, for those that are pushed over the end.
const TAIL: usize = 512;

#[derive(Debug)]
pub(crate) struct Table {
    /// 0: free.
    keys: Vec<u128>,
    /// By entry: which of `sets` slept there.
    sleep: Vec<u16>,
    homes: usize,
    len: usize,
    /// The different sleep sets, the empty one first.
    sets: Vec<CtxSet>,
    numbers: HashMap<CtxSet, u16>,
}

/// Where an entry is.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Entry(usize);

impl Table {
    pub fn new() -> Table {
        Table {
            keys: vec![0; SMALLEST + TAIL],
            sleep: vec![0; SMALLEST + TAIL],
            homes: SMALLEST,
            len: 0,
            sets: vec![0],
            numbers: HashMap::from([(0, 0)]),
        }
    }

    /// How many states are stored.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes that the entries take.
    pub fn bytes(&self) -> u64 {
        self.keys.len() as u64 * 18
    }

    fn home(&self, key: u128) -> usize {
        (((key >> 64) * self.homes as u128) >> 64) as usize
    }

    /// The entry of a key (which is not 0), with its sleep set.
    pub fn get(&self, key: u128) -> Option<(Entry, CtxSet)> {
        let from = self.home(key);
        let at = from + self.keys[from..].iter().position(|k| *k >= key || *k == 0)?;
        (self.keys[at] == key).then(|| (Entry(at), self.sets[usize::from(self.sleep[at])]))
    }

    /// The set under which `sleep` can be stored: itself, or the empty one when there are too many different sets.
    pub fn storable(&mut self, sleep: CtxSet) -> CtxSet {
        if self.number(sleep).is_some() { sleep } else { 0 }
    }

    fn number(&mut self, sleep: CtxSet) -> Option<u16> {
        if let Some(n) = self.numbers.get(&sleep) {
            return Some(*n);
        }
        let n = u16::try_from(self.sets.len()).ok()?;
        self.sets.push(sleep);
        self.numbers.insert(sleep, n);
        Some(n)
    }

    /// Stores another sleep set, a storable one.
    pub fn set(&mut self, entry: Entry, sleep: CtxSet) {
        self.sleep[entry.0] = self.number(sleep).unwrap_or(0);
    }

    /// Stores a state that is not there.
    pub fn insert(&mut self, key: u128, sleep: CtxSet) {
        debug_assert!(key != 0 && self.get(key).is_none());
        if self.len * 10 >= self.homes * 9 {
            self.grow();
        }
        let number = self.number(sleep).unwrap_or(0);
        while !self.place(key, number) {
            self.grow();
        }
        self.len += 1;
    }

    /// False if the tail is full.
    fn place(&mut self, key: u128, number: u16) -> bool {
        let mut at = self.home(key);
        while self.keys[at] != 0 && self.keys[at] < key {
            at += 1;
            if at == self.keys.len() {
                return false;
            }
        }
        let Some(free) = self.keys[at..].iter().position(|k| *k == 0) else { return false };
        self.keys.copy_within(at..at + free, at + 1);
        self.sleep.copy_within(at..at + free, at + 1);
        self.keys[at] = key;
        self.sleep[at] = number;
        true
    }

    fn grow(&mut self) {
        let mut homes = self.homes;
        loop {
            homes = homes / 100 * 115 + 115;
            let keys = std::mem::replace(&mut self.keys, vec![0; homes + TAIL]);
            let sleep = std::mem::replace(&mut self.sleep, vec![0; homes + TAIL]);
            self.homes = homes;
            // In the order of keys, so each goes behind those before it.
            let mut next = 0;
            let mut fits = true;
            for (k, s) in keys.iter().zip(&sleep).filter(|e| *e.0 != 0) {
                let at = self.home(*k).max(next);
                if at == self.keys.len() {
                    fits = false;
                    break;
                }
                self.keys[at] = *k;
                self.sleep[at] = *s;
                next = at + 1;
            }
            if fits {
                return;
            }
            self.keys = keys;
            self.sleep = sleep;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::mix;
    use std::collections::BTreeMap;

    fn key(n: u64) -> u128 {
        u128::from(mix(n)) << 64 | u128::from(mix(n ^ 77))
    }

    #[test]
    fn finds_what_was_stored_and_nothing_else() {
        let mut t = Table::new();
        let mut model = BTreeMap::new();
        for n in 0..60_000u64 {
            let sleep = u128::from(n % 1000) << 60;
            assert!(t.get(key(n)).is_none());
            t.insert(key(n), sleep);
            model.insert(key(n), sleep);
            if n % 7 == 0 {
                let (e, _) = t.get(key(n / 2)).expect("it was stored");
                t.set(e, 5);
                model.insert(key(n / 2), 5);
            }
        }
        assert_eq!(t.len(), model.len());
        assert!(model.iter().all(|(k, s)| t.get(*k).is_some_and(|f| f.1 == *s)));
        assert!((60_000..61_000).all(|n| t.get(key(n)).is_none()));
    }

    #[test]
    fn a_state_takes_at_most_24_bytes() {
        let mut t = Table::new();
        for n in 0..500_000u64 {
            t.insert(key(n), 0);
            if n > 20_000 {
                assert!(
                    t.bytes() <= 24 * t.len() as u64,
                    "{} bytes for {} states",
                    t.bytes(),
                    t.len()
                );
            }
        }
    }

    #[test]
    fn too_many_sleep_sets_become_empty() {
        let mut t = Table::new();
        for n in 1..=70_000u128 {
            let s = t.storable(n);
            assert_eq!(s, if n < 65_536 { n } else { 0 });
            t.insert(key(n as u64), s);
        }
        assert_eq!(t.get(key(65_535)).map(|e| e.1), Some(65_535));
        assert_eq!(t.get(key(65_536)).map(|e| e.1), Some(0));
    }
}
