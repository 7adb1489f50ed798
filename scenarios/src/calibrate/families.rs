//! Which distribution measured lengths of time have.
//!
//! Each family is fitted by its moments and then improved step by step until no small change brings it nearer to the
//! samples (Kolmogorov, Smirnov). The nearest family with few parameters is taken if a test on the 5 % level does not
//! refuse it and it is near; otherwise the samples' own quantiles are. Mathematics is that of `libm`, so fits are the same everywhere.

use timerace_core::timed::Dist;
use timerace_core::timed::costs::LONGEST_NS;

/// Between this many even quantiles an empirical distribution has straight lines.
const QUANTILES: usize = 1024;
/// The 1 % level of the test of Kolmogorov and Smirnov is this over the square root of the number of samples. It is for
/// distributions that were not fitted to them.
pub(super) const ONE_PERCENT: f64 = 1.628;
/// For one that was, Lilliefors's 5 % level of the normal distribution is taken,
const FITTED: f64 = 0.886;
/// but nearer than this is always near enough,
const NEAR: f64 = 0.005;
/// and further than this never: few samples refuse nothing, and the simulation is to be within 0.05 of the recording.
const FAR: f64 = 0.03;
/// Samples that a fit looks at; of more, even quantiles.
const LOOKED_AT: usize = 1024;

/// A fitted distribution and how far it is from the samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The distribution.
    pub dist: Dist,
    /// Kolmogorov's and Smirnov's distance.
    pub distance: f64,
}

/// The name of a family, for people.
pub fn name(dist: &Dist) -> &'static str {
    match dist {
        Dist::Const(_) => "constant",
        Dist::Uniform(..) => "uniform",
        Dist::Gamma { .. } => "shifted gamma",
        Dist::LogNormal { .. } => "log-normal",
        Dist::Empirical(_) => "empirical",
    }
}

/// The fits of all families, those with few parameters first, empirical last. `sorted` must not be empty.
pub fn all(sorted: &[u64]) -> Vec<Fit> {
    let x: Vec<f64> = thinned(sorted);
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    let median = sorted[sorted.len() / 2];
    let mut dists = vec![Dist::Const(median)];
    if least < most {
        let far = |d: &Dist| distance(d, &x);
        dists.push(better(Dist::Uniform(least, most), x[0], &far));
        for starts in [starts_of_gamma(&x), starts_of_log_normal(&x)] {
            dists.extend(nearest(starts, x[0], &far));
        }
        dists.push(empirical(sorted));
    }
    dists.into_iter().map(|dist| Fit { distance: distance(&dist, &x), dist }).collect()
}

/// The fit to take: see the page of this module.
pub fn best(sorted: &[u64]) -> Fit {
    best_of(sorted, sorted.len())
}

/// The same for lengths that were made from `samples` measured ones.
pub fn best_of(sorted: &[u64], samples: usize) -> Fit {
    let fits = all(sorted);
    let limit = (FITTED / (samples.max(1) as f64).sqrt()).clamp(NEAR, FAR);
    let few = fits.iter().filter(|f| !matches!(f.dist, Dist::Empirical(_)));
    let nearest = few.min_by(|a, b| a.distance.total_cmp(&b.distance));
    match nearest.filter(|f| f.distance <= limit || fits.len() == 1) {
        Some(f) => f.clone(),
        None => fits[fits.len() - 1].clone(),
    }
}

/// Of each family with a shape the distribution that makes `far` least; it is looked for from those that suit the lengths,
/// which are sorted.
pub(super) fn shaped(sorted: &[u64], far: &dyn Fn(&Dist) -> f64) -> Vec<Dist> {
    let x = thinned(sorted);
    let both = [starts_of_gamma(&x), starts_of_log_normal(&x)].into_iter();
    both.filter_map(|starts| nearest(starts, x[0], far)).collect()
}

/// So many even quantiles of a distribution, ascending.
pub(super) fn quantiles(d: &Dist, n: usize) -> Vec<u64> {
    let (least, greatest) = d.bounds();
    let mut out = Vec::with_capacity(n);
    let mut from = least;
    for i in 0..n {
        let share = (i as f64 + 0.5) / n as f64;
        let is_below = |ns: u64| below(d, ns as f64 + 0.5) < share;
        let (mut lo, mut step) = (from, 1);
        while is_below(lo + step) && lo + step < greatest.unwrap_or(LONGEST_NS) {
            (lo, step) = (lo + step, 2 * step);
        }
        let (mut lo, mut hi) = (lo, lo + step);
        while lo < hi {
            let mid = lo.midpoint(hi);
            if is_below(mid) { lo = mid + 1 } else { hi = mid }
        }
        from = lo.min(greatest.unwrap_or(LONGEST_NS));
        out.push(from);
    }
    out
}

/// How far a distribution is from sorted samples.
pub fn of(dist: &Dist, sorted: &[u64]) -> Fit {
    Fit { dist: dist.clone(), distance: distance(dist, &thinned(sorted)) }
}

/// The quantiles of sorted samples.
fn empirical(sorted: &[u64]) -> Dist {
    let last = sorted.len() - 1;
    let cells = QUANTILES.min(last.max(1));
    Dist::Empirical((0..=cells).map(|i| sorted[i * last / cells]).collect())
}

fn thinned(sorted: &[u64]) -> Vec<f64> {
    let n = sorted.len();
    let take = n.min(LOOKED_AT);
    (0..take).map(|i| sorted[(2 * i + 1) * n / (2 * take)] as f64).collect()
}

/// Shifts to begin with, below the least of the samples.
const SHIFTS: [f64; 4] = [0.0, 0.5, 0.9, 0.99];

fn starts_of_gamma(x: &[f64]) -> [Dist; 4] {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let var = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    SHIFTS.map(|part| gamma_of(part * x[0], mean, var))
}

fn starts_of_log_normal(x: &[f64]) -> [Dist; 4] {
    SHIFTS.map(|part| log_normal_of(part * x[0], x))
}

fn gamma_of(shift: f64, mean: f64, var: f64) -> Dist {
    let m = (mean - shift).max(0.5);
    let var = var.max(0.25);
    Dist::Gamma { shift: shift as u64, shape: m * m / var, scale: var / m }
}

fn log_normal_of(shift: f64, x: &[f64]) -> Dist {
    let logs: Vec<f64> = x.iter().map(|v| libm::log((v - shift).max(0.5))).collect();
    let n = logs.len() as f64;
    let mu = logs.iter().sum::<f64>() / n;
    let var = logs.iter().map(|l| (l - mu) * (l - mu)).sum::<f64>() / n;
    Dist::LogNormal { shift: shift as u64, mu, sigma: var.sqrt().clamp(1e-6, 10.0) }
}

/// The best of some starting points, improved.
fn nearest(starts: [Dist; 4], least: f64, far: &dyn Fn(&Dist) -> f64) -> Option<Dist> {
    let starts = starts.into_iter().filter(|d| d.problem().is_none());
    starts.map(|d| better(d, least, far)).min_by(|a, b| far(a).total_cmp(&far(b)))
}

/// Changes one parameter after the other, in ever smaller steps, as long as the distance becomes less. `least`: no shift
/// is more.
fn better(start: Dist, least: f64, far_of: &dyn Fn(&Dist) -> f64) -> Dist {
    let (mut best, mut far) = (start.clone(), far_of(&start));
    for step in [0.2, 0.07, 0.02, 0.006, 0.002] {
        for _ in 0..12 {
            let before = far;
            for parameter in 0..3 {
                for factor in [1.0 + step, 1.0 - step] {
                    let Some(d) = changed(&best, parameter, factor, least) else {
                        continue;
                    };
                    let now = far_of(&d);
                    if now < far && d.problem().is_none() {
                        (best, far) = (d, now);
                    }
                }
            }
            if far >= before {
                break;
            }
        }
    }
    best
}

fn changed(d: &Dist, parameter: u8, factor: f64, least: f64) -> Option<Dist> {
    let whole = |n: u64| ((n.max(1) as f64 * factor).max(0.0) + 0.5) as u64;
    let below = |n: u64| n.min(least as u64);
    Some(match (d, parameter) {
        (Dist::Uniform(a, b), 0) => Dist::Uniform(whole(*a).min(*b), *b),
        (Dist::Uniform(a, b), 1) => Dist::Uniform(*a, whole(*b).max(*a)),
        (Dist::Gamma { shift, shape, scale }, 0) => {
            Dist::Gamma { shift: below(whole(*shift)), shape: *shape, scale: *scale }
        }
        // The mean stays.
        (Dist::Gamma { shift, shape, scale }, 1) => {
            Dist::Gamma { shift: *shift, shape: shape * factor, scale: scale / factor }
        }
        (Dist::Gamma { shift, shape, scale }, 2) => {
            Dist::Gamma { shift: *shift, shape: *shape, scale: scale * factor }
        }
        (Dist::LogNormal { shift, mu, sigma }, 0) => {
            Dist::LogNormal { shift: below(whole(*shift)), mu: *mu, sigma: *sigma }
        }
        (Dist::LogNormal { shift, mu, sigma }, 1) => {
            Dist::LogNormal { shift: *shift, mu: mu + libm::log(factor), sigma: *sigma }
        }
        (Dist::LogNormal { shift, mu, sigma }, 2) => {
            Dist::LogNormal { shift: *shift, mu: *mu, sigma: (sigma * factor).max(1e-6) }
        }
        _ => return None,
    })
}

/// The largest distance between the distribution function and that of the sorted samples.
fn distance(d: &Dist, x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let mut most = 0.0f64;
    let mut i = 0;
    while i < x.len() {
        let equal = x[i..].iter().take_while(|v| **v == x[i]).count();
        // A draw is a whole number: it is at most x if what is behind it is below x + 1/2.
        let (under, upto) = (below(d, x[i] - 0.5), below(d, x[i] + 0.5));
        most = most.max((under - i as f64 / n).abs()).max((upto - (i + equal) as f64 / n).abs());
        i += equal;
    }
    most
}

/// The share of draws below `x`.
pub(super) fn below(d: &Dist, x: f64) -> f64 {
    match d {
        Dist::Const(c) => f64::from(u8::from(*c as f64 <= x)),
        Dist::Uniform(lo, hi) => {
            let (lo, hi) = (*lo as f64 - 0.5, *hi as f64 + 0.5);
            ((x - lo) / (hi - lo)).clamp(0.0, 1.0)
        }
        Dist::Gamma { shift, shape, scale } => lower_gamma(*shape, (x - *shift as f64) / scale),
        Dist::LogNormal { shift, mu, sigma } => {
            let over = x - *shift as f64;
            if over <= 0.0 {
                return 0.0;
            }
            let z = (libm::log(over) - mu) / sigma.max(1e-12);
            0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
        }
        Dist::Empirical(q) => {
            let cells = (q.len() - 1).max(1) as f64;
            let i = q.partition_point(|v| (*v as f64) < x);
            if i == 0 {
                return 0.0;
            }
            if i == q.len() {
                return 1.0;
            }
            let (lo, hi) = (q[i - 1] as f64, q[i] as f64);
            (i as f64 - 1.0 + (x - lo) / (hi - lo)) / cells
        }
    }
}

/// The regularized lower incomplete gamma function: by its series below `a + 1`, above by its continued fraction
/// (Lentz).
fn lower_gamma(a: f64, x: f64) -> f64 {
    const TURNS: u32 = 10_000;
    const ENOUGH: f64 = 1e-12;
    if x <= 0.0 {
        return 0.0;
    }
    let front = libm::exp(a * libm::log(x) - x - libm::lgamma(a));
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for i in 1..TURNS {
            term *= x / (a + f64::from(i));
            sum += term;
            if term < sum * ENOUGH {
                break;
            }
        }
        return (front * sum).min(1.0);
    }
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / tiny;
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..TURNS {
        let an = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        let at_least = |v: f64| if v.abs() < tiny { tiny } else { v };
        d = 1.0 / at_least(an * d + b);
        c = at_least(b + an / c);
        h *= d * c;
        if (d * c - 1.0).abs() < ENOUGH {
            break;
        }
    }
    (1.0 - front * h).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn draws(d: &Dist, n: usize) -> Vec<u64> {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut all: Vec<u64> = (0..n).map(|_| d.draw(&mut rng)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn known_values_of_the_incomplete_gamma_function() {
        // P(1, x) = 1 - exp(-x); P(2, x) = 1 - (1 + x) exp(-x); P(1/2, x) = erf(sqrt(x)).
        for x in [0.1, 0.9, 2.0, 7.0] {
            let e = libm::exp(-x);
            for (a, is) in [(1.0, 1.0 - e), (2.0, 1.0 - (1.0 + x) * e), (0.5, libm::erf(x.sqrt()))]
            {
                assert!((lower_gamma(a, x) - is).abs() < 1e-10, "{a} {x}");
            }
        }
    }

    #[test]
    fn each_family_finds_itself_again() {
        for d in [
            Dist::Const(700),
            Dist::Uniform(300, 900),
            Dist::Gamma { shift: 900, shape: 2.1, scale: 310.0 },
            Dist::Gamma { shift: 0, shape: 0.7, scale: 4_000.0 },
            Dist::LogNormal { shift: 200, mu: 6.5, sigma: 0.9 },
        ] {
            let fit = best(&draws(&d, 5_000));
            assert_eq!(name(&fit.dist), name(&d), "{fit:?}");
            assert!(fit.distance < 0.02, "{d:?}: {fit:?}");
            assert!((fit.dist.mean() / d.mean() - 1.0).abs() < 0.05, "{d:?}: {fit:?}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_draws() {
        for d in [
            Dist::Const(700),
            Dist::Uniform(300, 900),
            Dist::Gamma { shift: 900, shape: 0.7, scale: 3_100.0 },
            Dist::LogNormal { shift: 200, mu: 6.5, sigma: 0.9 },
            Dist::Empirical(vec![1_000, 2_000, 2_000, 70_000, 80_000]),
        ] {
            let (these, those) = (quantiles(&d, 2_000), draws(&d, 50_000));
            assert!(these.is_sorted() && crate::calibrate::ks(&these, &those) < 0.01, "{d:?}");
        }
    }

    #[test]
    fn what_no_family_has_is_empirical() {
        let two: Vec<u64> =
            (0..3_000).map(|i| if i % 3 == 0 { 200 + i } else { 90_000 + i }).collect();
        let mut sorted = two;
        sorted.sort_unstable();
        let fit = best(&sorted);
        assert_eq!(name(&fit.dist), "empirical");
        assert!(fit.distance < 0.01);
    }
}
