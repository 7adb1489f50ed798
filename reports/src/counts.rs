//! Numbers of samples by bucket.

/// With fewer buckets than this in use, they are a list.
const FEW: usize = 256;
/// They become a table when there are at most so many, from the first to the last one, for each one in use,
const TABLE: usize = 8;
/// and a list again when there are more than so many.
const LIST: usize = 32;

/// How many samples each bucket has.
///
/// A list of the buckets in use while they are few or far between; a table of all buckets from the first to the last one
/// when they are many and close, so that a sample is counted without a search. What it takes is in proportion to the
/// buckets in use either way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Sorted by bucket. Empty while there is a table.
    list: Vec<(u32, u64)>,
    /// The bucket of the table's first place.
    first: u32,
    table: Vec<u64>,
}

impl Counts {
    /// Counts `n` samples of a bucket.
    #[inline]
    pub fn add(&mut self, bucket: u32, n: u64) {
        match self.table.get_mut(bucket.wrapping_sub(self.first) as usize) {
            Some(count) => *count += n,
            None => self.add_elsewhere(bucket, n),
        }
    }

    fn add_elsewhere(&mut self, bucket: u32, n: u64) {
        if !self.table.is_empty() {
            self.list.extend(in_use(self.first, &self.table));
            self.table = Vec::new();
            self.insert(bucket, n);
            self.arrange(LIST);
        } else if self.insert(bucket, n) && self.list.len().is_multiple_of(FEW) {
            self.arrange(TABLE);
        }
    }

    /// Whether the bucket is a new one of the list.
    fn insert(&mut self, bucket: u32, n: u64) -> bool {
        let at = self.list.binary_search_by_key(&bucket, |c| c.0);
        match at {
            Ok(at) => self.list[at].1 += n,
            Err(at) => self.list.insert(at, (bucket, n)),
        }
        at.is_err()
    }

    /// Makes a table of the list if it has at most so many places for each bucket in use.
    fn arrange(&mut self, places: usize) {
        let (Some(first), Some(last)) = (self.list.first().copied(), self.list.last().copied())
        else {
            return;
        };
        let (first, span) = (first.0, last.0 - first.0 + 1);
        if span as usize > places * self.list.len() {
            return;
        }
        // Room on both sides: the next bucket outside is not far away, as a rule.
        let room = span / 4;
        self.first = first.saturating_sub(room);
        self.table = vec![0; (last.0 - self.first) as usize + 1 + room as usize];
        for (bucket, n) in std::mem::take(&mut self.list) {
            self.table[(bucket - self.first) as usize] = n;
        }
    }

    /// The buckets in use and their samples, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.list.iter().copied().chain(in_use(self.first, &self.table))
    }
}

fn in_use(first: u32, table: &[u64]) -> impl Iterator<Item = (u32, u64)> + '_ {
    let all = table.iter().enumerate().map(move |(i, n)| (first + i as u32, *n));
    all.filter(|c| c.1 > 0)
}

impl PartialEq for Counts {
    fn eq(&self, other: &Counts) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Counts {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Buckets close to each other, and some far away.
    fn buckets() -> impl Strategy<Value = Vec<u32>> {
        let one = prop_oneof![20 => 1_000u32..3_000, 1 => 0u32..50_000, 1 => Just(1 << 30)];
        prop::collection::vec(one, 0..3_000)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn counts_what_a_map_counts(all in buckets()) {
            let (mut counts, mut map) = (Counts::default(), BTreeMap::new());
            for b in &all {
                counts.add(*b, 2);
                *map.entry(*b).or_insert(0u64) += 2;
                let used = counts.table.len().max(1);
                prop_assert!(used <= 2 * LIST * map.len(), "{used} places for {}", map.len());
            }
            prop_assert_eq!(counts.iter().collect::<Vec<_>>(), map.into_iter().collect::<Vec<_>>());
            // The order does not matter, nor what it has become on the way.
            let mut back = Counts::default();
            all.iter().rev().for_each(|b| back.add(*b, 2));
            prop_assert_eq!(back, counts);
        }
    }

    #[test]
    fn is_a_table_where_that_pays() {
        let mut counts = Counts::default();
        (0..2_000).for_each(|b| counts.add(500 + b % 1_000, 1));
        assert_eq!(counts.list, []);
        assert!(counts.table.len() < 2_000);
        counts.add(10_000_000, 1);
        assert_eq!((counts.list.len(), counts.table.len()), (1_001, 0));
    }
}
