//! Logarithms for axes, in integers: a float function may differ in its last bit between platforms, and pictures must not.

/// One unit of the logarithms here: 16 binary places.
pub(crate) const ONE: i64 = 1 << 16;
/// log2(10) in [`ONE`]s.
pub(crate) const LOG2_10: i64 = 217_705;

/// log2 of `x` in [`ONE`]s, rounded down; of 0 as of 1.
pub(crate) fn log2(x: u64) -> i64 {
    let x = x.max(1);
    let whole = 63 - x.leading_zeros();
    let mut y = x << (63 - whole); // in [1, 2) with 63 binary places
    let mut fraction = 0;
    for bit in (0..16).rev() {
        let square = (u128::from(y) * u128::from(y)) >> 63;
        if square >> 64 != 0 {
            fraction |= 1 << bit;
            y = (square >> 1) as u64;
        } else {
            y = square as u64;
        }
    }
    i64::from(whole) * ONE + fraction
}

/// Numbers 1, 2, 5 times powers of ten within a range, if that is at most `most` of them; else powers of ten, if need be
/// every second or third of them.
pub(crate) fn ticks(low: u64, high: u64, most: usize) -> Vec<u64> {
    let fine: Vec<u64> = all_powers()
        .flat_map(|p| [1, 2, 5].into_iter().filter_map(move |s| p.checked_mul(s)))
        .filter(|t| (low..=high).contains(t))
        .collect();
    if fine.len() <= most {
        return fine;
    }
    thinned(all_powers().filter(|t| (low..=high).contains(t)).collect(), most)
}

/// Powers of ten up to a number, at most `most` of them.
pub(crate) fn powers(high: u64, most: usize) -> Vec<u64> {
    thinned(all_powers().take_while(|t| *t <= high).collect(), most)
}

fn all_powers() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(1u64), |p| p.checked_mul(10))
}

fn thinned(ticks: Vec<u64>, most: usize) -> Vec<u64> {
    let every = ticks.len().div_ceil(most.max(1)).max(1);
    ticks.into_iter().step_by(every).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_floats() {
        for x in [1u64, 2, 3, 7, 10, 999, 1000, 1024, 123_456_789, u64::MAX] {
            let float = (x as f64).log2() * ONE as f64;
            assert!((log2(x) as f64 - float).abs() < 2.0, "{x}: {} and {float}", log2(x));
        }
        assert_eq!(log2(0), 0);
        assert_eq!(log2(10), LOG2_10);
    }

    #[test]
    fn ticks_are_round_and_not_too_many() {
        assert_eq!(ticks(900, 6000, 9), [1000, 2000, 5000]);
        assert_eq!(ticks(1, 1_000_000, 9), [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]);
        assert_eq!(ticks(1, u64::MAX, 9).len(), 7);
        assert_eq!(powers(250, 7), [1, 10, 100]);
    }
}
