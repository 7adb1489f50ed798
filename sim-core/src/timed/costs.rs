//! What steps and hardware delays cost: one distribution per class.
//!
//! Draws use integers, IEEE 754 operations that are exact everywhere, and the `libm` crate for logarithms and cosines, so
//! that they are the same on every machine.

use crate::policy::below;
use crate::step::{COST_CLASSES, CostClass};
use rand_chacha::rand_core::Rng;

/// No draw is longer than this: 2^40 ns, about 18 minutes.
pub const LONGEST_NS: u64 = 1 << 40;

/// A distribution of lengths of time, in nanoseconds.
#[derive(Clone, PartialEq, Debug)]
pub enum Dist {
    /// Always the same.
    Const(u64),
    /// Evenly from a range, both ends included.
    Uniform(u64, u64),
    /// `shift` plus a gamma distribution with this shape and scale (Marsaglia, Tsang 2000).
    Gamma {
        /// The least, in nanoseconds.
        shift: u64,
        /// Positive, no unit.
        shape: f64,
        /// Positive, in nanoseconds.
        scale: f64,
    },
    /// `shift` plus the exponential of a normal distribution.
    LogNormal {
        /// The least, in nanoseconds.
        shift: u64,
        /// Mean of the logarithm of nanoseconds.
        mu: f64,
        /// Standard deviation of the logarithm; not negative.
        sigma: f64,
    },
    /// Quantiles at even distances, the least first and the greatest last, straight lines between them.
    Empirical(Vec<u64>),
}

impl Dist {
    /// What is wrong with the parameters, for people; `None` if nothing is.
    pub fn problem(&self) -> Option<&'static str> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        match self {
            Dist::Const(n) if *n > LONGEST_NS => Some("is longer than 2^40 ns"),
            Dist::Uniform(lo, hi) if lo > hi => Some("has its ends in the wrong order"),
            Dist::Uniform(_, hi) if *hi > LONGEST_NS => Some("is longer than 2^40 ns"),
            Dist::Gamma { shift, .. } | Dist::LogNormal { shift, .. } if *shift > LONGEST_NS => {
                Some("is longer than 2^40 ns")
            }
            Dist::Gamma { shape, scale, .. } if !positive(*shape) || !positive(*scale) => {
                Some("needs a shape and a scale above 0")
            }
            Dist::LogNormal { mu, sigma, .. }
                if !mu.is_finite() || !(0.0..=10.0).contains(sigma) =>
            {
                Some("needs a finite mu and a sigma between 0 and 10")
            }
            Dist::Empirical(q) if q.is_empty() => Some("needs at least one quantile"),
            Dist::Empirical(q) if !q.is_sorted() => Some("needs its quantiles in ascending order"),
            Dist::Empirical(q) if q.last().is_some_and(|l| *l > LONGEST_NS) => {
                Some("is longer than 2^40 ns")
            }
            _ => None,
        }
    }

    /// A draw, in nanoseconds.
    #[inline]
    pub fn draw(&self, rng: &mut impl Rng) -> u64 {
        match self {
            Dist::Const(n) => *n,
            Dist::Uniform(lo, hi) if lo >= hi => *lo,
            Dist::Uniform(lo, hi) => lo + below(rng, hi - lo + 1),
            other => other.draw_shaped(rng),
        }
    }

    fn draw_shaped(&self, rng: &mut impl Rng) -> u64 {
        match self {
            Dist::Const(n) | Dist::Uniform(n, _) => *n,
            Dist::Gamma { shift, shape, scale } => shift + whole(gamma(rng, *shape) * scale),
            Dist::LogNormal { shift, mu, sigma } => {
                shift + whole(libm::exp(mu + sigma * normal(rng)))
            }
            Dist::Empirical(q) => {
                let last = q.len().saturating_sub(1);
                let at = u128::from(rng.next_u64()) * last as u128;
                let (i, part) = ((at >> 64) as usize, at as u64);
                let (lo, hi) = (q[i.min(last)], q[(i + 1).min(last)]);
                lo + ((u128::from(hi - lo) * u128::from(part)) >> 64) as u64
            }
        }
    }

    /// The least and the greatest draw, in nanoseconds; `None`: there is no greatest.
    pub fn bounds(&self) -> (u64, Option<u64>) {
        let greatest = match self {
            Dist::Const(n) => Some(*n),
            Dist::Uniform(lo, hi) => Some(*hi.max(lo)),
            Dist::Gamma { .. } | Dist::LogNormal { .. } => None,
            Dist::Empirical(q) => Some(q.last().copied().unwrap_or(0)),
        };
        (self.least(), greatest)
    }

    /// No draw is shorter, in nanoseconds.
    pub fn least(&self) -> u64 {
        match self {
            Dist::Const(n) | Dist::Uniform(n, _) => *n,
            Dist::Gamma { shift, .. } | Dist::LogNormal { shift, .. } => *shift,
            Dist::Empirical(q) => q.first().copied().unwrap_or(0),
        }
    }

    /// The mean, in nanoseconds.
    pub fn mean(&self) -> f64 {
        match self {
            Dist::Const(n) => *n as f64,
            Dist::Uniform(lo, hi) => (*lo as f64 + *hi as f64) / 2.0,
            Dist::Gamma { shift, shape, scale } => *shift as f64 + shape * scale,
            Dist::LogNormal { shift, mu, sigma } => {
                *shift as f64 + libm::exp(mu + sigma * sigma / 2.0)
            }
            Dist::Empirical(q) if q.len() < 2 => q.first().map_or(0.0, |n| *n as f64),
            Dist::Empirical(q) => {
                let sum: f64 = q.windows(2).map(|w| (w[0] as f64 + w[1] as f64) / 2.0).sum();
                sum / (q.len() - 1) as f64
            }
        }
    }
}

/// Nanoseconds as a whole number, within bounds.
fn whole(x: f64) -> u64 {
    (x.min(LONGEST_NS as f64) + 0.5) as u64
}

/// Evenly from (0, 1].
fn unit(rng: &mut impl Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// Standard normal (Box, Muller 1958).
fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v) = (unit(rng), unit(rng));
    (-2.0 * libm::log(u)).sqrt() * libm::cos(std::f64::consts::TAU * v)
}

/// Gamma with scale 1 (Marsaglia, Tsang 2000).
fn gamma(rng: &mut impl Rng, shape: f64) -> f64 {
    if shape < 1.0 {
        let u = unit(rng);
        return gamma(rng, shape + 1.0) * libm::pow(u, 1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = 1.0 + c * x;
        if v <= 0.0 {
            continue;
        }
        let v = v * v * v;
        if libm::log(unit(rng)) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

/// A constant or an even distribution, ready to be drawn from.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Even {
    lo: u64,
    /// How many values there are; 0: a constant, or (with `lo` at its greatest) neither.
    n: u64,
}

impl Even {
    pub fn of(dist: &Dist) -> Even {
        match dist {
            Dist::Const(lo) => Even { lo: *lo, n: 0 },
            Dist::Uniform(lo, hi) if lo >= hi => Even { lo: *lo, n: 0 },
            Dist::Uniform(lo, hi) => Even { lo: *lo, n: hi - lo + 1 },
            _ => Even { lo: u64::MAX, n: 0 },
        }
    }

    /// As [`Dist::draw`]; `None` for other distributions.
    #[inline(always)]
    pub fn draw(self, rng: &mut impl Rng) -> Option<u64> {
        if self.n > 0 {
            return Some(self.lo + below(rng, self.n));
        }
        (self.lo != u64::MAX).then_some(self.lo)
    }
}

/// What steps cost: a distribution per class.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// Where they come from, for people: `generic`, or the name of a calibration.
    pub name: String,
    /// Whether they were fitted to a real machine.
    pub calibrated: bool,
    /// By [`CostClass`].
    dist: Vec<Dist>,
    /// After so many nanoseconds another task of the CPU gets its turn.
    pub slice_ns: u64,
}

impl Costs {
    /// The cost of a class.
    pub fn get(&self, class: CostClass) -> &Dist {
        &self.dist[class as usize]
    }

    /// Sets the cost of a class.
    pub fn set(&mut self, class: CostClass, dist: Dist) {
        self.dist[class as usize] = dist;
    }

    /// Everything costs nothing: what is left is what the scenario says.
    pub fn free() -> Costs {
        Costs {
            name: "free".to_string(),
            calibrated: false,
            dist: vec![Dist::Const(0); COST_CLASSES],
            slice_ns: 4_000_000,
        }
    }
}

impl Default for Costs {
    /// Generic costs of a current x86-64 server core. Not calibrated.
    fn default() -> Costs {
        let mut costs = Costs { name: "generic".to_string(), ..Costs::free() };
        let mut set = |c: CostClass, lo, hi| costs.set(c, Dist::Uniform(lo, hi));
        set(CostClass::Memory, 2, 8);
        set(CostClass::Atomic, 15, 35);
        set(CostClass::Lock, 15, 40);
        set(CostClass::Mask, 3, 8);
        set(CostClass::Hrtimer, 60, 140);
        set(CostClass::IrqEntry, 300, 600);
        set(CostClass::IrqExit, 60, 140);
        set(CostClass::SoftirqEntry, 120, 320);
        set(CostClass::SoftirqExit, 30, 70);
        set(CostClass::Syscall, 80, 180);
        set(CostClass::Call, 10, 30);
        set(CostClass::Alloc, 40, 120);
        set(CostClass::Map, 30, 90);
        set(CostClass::Wakeup, 900, 2_600);
        set(CostClass::GracePeriod, 4_000_000, 20_000_000);
        set(CostClass::IdleExit, 200, 1_000);
        set(CostClass::Handover, 40, 120);
        costs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn draws(d: &Dist, n: usize) -> Vec<u64> {
        assert_eq!(d.problem(), None);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut all: Vec<u64> = (0..n).map(|_| d.draw(&mut rng)).collect();
        all.sort_unstable();
        all
    }

    fn mean(x: &[u64]) -> f64 {
        x.iter().map(|n| *n as f64).sum::<f64>() / x.len() as f64
    }

    #[test]
    fn means_and_spreads_are_those_of_the_distributions() {
        let dists = [
            Dist::Const(7_000),
            Dist::Uniform(1_000, 9_000),
            Dist::Gamma { shift: 500, shape: 2.5, scale: 800.0 },
            Dist::Gamma { shift: 0, shape: 0.5, scale: 4_000.0 },
            Dist::LogNormal { shift: 100, mu: 7.0, sigma: 0.6 },
            Dist::Empirical(vec![10, 1_000, 1_500, 9_000]),
        ];
        for d in dists {
            let all = draws(&d, 40_000);
            let (is, should) = (mean(&all), d.mean());
            assert!((is - should).abs() < 0.02 * should, "{d:?}: mean {is}, not {should}");
        }
        let g = draws(&Dist::Gamma { shift: 0, shape: 4.0, scale: 1_000.0 }, 40_000);
        let m = mean(&g);
        let var = g.iter().map(|x| (*x as f64 - m).powi(2)).sum::<f64>() / g.len() as f64;
        assert!((var / 4e6 - 1.0).abs() < 0.05, "variance {var}, not shape times scale squared");
    }

    #[test]
    fn quantiles_of_an_empirical_distribution_are_its_own() {
        let q = vec![100, 200, 400, 800, 1_600];
        let all = draws(&Dist::Empirical(q.clone()), 40_000);
        for (i, want) in q.iter().enumerate() {
            let is = all[(i * (all.len() - 1)) / (q.len() - 1)] as f64;
            assert!((is - *want as f64).abs() < 0.03 * *want as f64, "quantile {i}: {is}");
        }
    }

    #[test]
    fn draws_are_the_same_everywhere() {
        // Fixed numbers: a platform whose mathematics differs fails here.
        let d = Dist::Gamma { shift: 10, shape: 1.7, scale: 333.3 };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn: Vec<u64> = (0..4).map(|_| d.draw(&mut rng)).collect();
        let l = Dist::LogNormal { shift: 10, mu: 5.5, sigma: 0.8 };
        let more: Vec<u64> = (0..4).map(|_| l.draw(&mut rng)).collect();
        assert_eq!((drawn, more), (vec![1098, 337, 804, 213], vec![221, 212, 278, 302]));
    }

    #[test]
    fn wrong_parameters_are_named() {
        for d in [
            Dist::Const(LONGEST_NS + 1),
            Dist::Uniform(5, 4),
            Dist::Gamma { shift: 0, shape: 0.0, scale: 1.0 },
            Dist::Gamma { shift: 0, shape: 1.0, scale: f64::NAN },
            Dist::LogNormal { shift: 0, mu: f64::INFINITY, sigma: 1.0 },
            Dist::LogNormal { shift: 0, mu: 1.0, sigma: -1.0 },
            Dist::Empirical(vec![]),
            Dist::Empirical(vec![3, 2]),
        ] {
            assert!(d.problem().is_some(), "{d:?}");
        }
    }
}
