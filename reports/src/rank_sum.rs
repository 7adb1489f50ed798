//! Whether two small samples differ by more than chance: the rank-sum test (Wilcoxon, Mann and Whitney), exact and in
//! integers, so that every machine says the same. Ties get the mean of their ranks.

/// Most values on each side: the counts then fit into 128 bits.
pub const MAX: usize = 60;

/// How likely a difference of the ranks at least this great is where there is none, both ways: in parts of 10 000,
/// rounded up. `None`: a side is empty or has more than [`MAX`] values.
pub fn p_per_10_000(a: &[u64], b: &[u64]) -> Option<u64> {
    if a.is_empty() || b.is_empty() || a.len() > MAX || b.len() > MAX {
        return None;
    }
    let ranks = doubled_ranks(a, b);
    let sum: usize = ranks[..a.len()].iter().sum();
    // ways[k][s]: choices of k of the values whose doubled ranks add up to s.
    let most: usize = ranks.iter().sum();
    let mut ways = vec![vec![0u128; most + 1]; a.len() + 1];
    ways[0][0] = 1;
    for rank in &ranks {
        for k in (0..a.len()).rev() {
            let (low, high) = ways.split_at_mut(k + 1);
            for s in (0..=most - rank).rev() {
                high[0][s + rank] += low[k][s];
            }
        }
    }
    let all: u128 = ways[a.len()].iter().sum();
    let below: u128 = ways[a.len()][..=sum].iter().sum();
    let above: u128 = ways[a.len()][sum..].iter().sum();
    let tail = below.min(above);
    // Both ways, so 20 000. Where the product does not fit into 128 bits, `all` is so large that dividing it is as good.
    let p = match tail.checked_mul(20_000) {
        Some(parts) => parts.div_ceil(all),
        None => tail.div_ceil(all / 20_000),
    };
    Some(p.min(10_000) as u64)
}

/// The ranks of all values, those of `a` first, times two.
fn doubled_ranks(a: &[u64], b: &[u64]) -> Vec<usize> {
    let mut sorted: Vec<u64> = a.iter().chain(b).copied().collect();
    sorted.sort_unstable();
    let rank = |v: &u64| {
        let first = sorted.partition_point(|x| x < v);
        let last = sorted.partition_point(|x| x <= v);
        first + 1 + last
    };
    a.iter().chain(b).map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // All of one side below all of the other: 2 of 252 choices, 2 of 20, 2 of 2.
        assert_eq!(p_per_10_000(&[1, 2, 3, 4, 5], &[6, 7, 8, 9, 10]), Some(80));
        assert_eq!(p_per_10_000(&[1, 2, 3], &[4, 5, 6]), Some(1000));
        assert_eq!(p_per_10_000(&[1], &[2]), Some(10_000));
        // Ranks 1, 2, 3, 4, 6: 2 of 252 choices have no greater sum.
        assert_eq!(p_per_10_000(&[1, 2, 3, 4, 6], &[5, 7, 8, 9, 10]), Some(159));
    }

    #[test]
    fn equal_samples_do_not_differ() {
        assert_eq!(p_per_10_000(&[7; 10], &[7; 10]), Some(10_000));
        assert_eq!(p_per_10_000(&[1, 2, 3, 4], &[1, 2, 3, 4]), Some(10_000));
    }

    #[test]
    fn the_sides_can_be_swapped_and_large_samples_fit() {
        let a: Vec<u64> = (0..60).collect();
        let b: Vec<u64> = (30..90).collect();
        assert_eq!(p_per_10_000(&a[..20], &b[..9]), p_per_10_000(&b[..9], &a[..20]));
        assert_eq!(p_per_10_000(&a, &b), Some(1));
        assert_eq!(p_per_10_000(&a, &[]), None);
        assert_eq!(p_per_10_000(&[0; 61], &a), None);
    }
}
