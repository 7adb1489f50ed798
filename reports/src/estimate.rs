//! How often something is met, from how often it was met: with 95 % confidence, in plain arithmetic that gives the same
//! bits on every machine.

use crate::num::grouped;
use serde_json::{Value, json};
use timerace_core::policy::Pct as Drawn;
use timerace_core::result::{Engine, Exploration};

/// The quantile of the normal distribution for 95 %, both sides.
const Z: f64 = 1.959_964;

/// Of `of` executions, `hits` showed it: the share of all is between these (Wilson 1927).
pub fn share(hits: u64, of: u64) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (of as f64, hits as f64 / of as f64);
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    // Where nothing, or everything, was met, the ends are exact; rounding must not move them.
    let low = if hits == 0 { 0.0 } else { (middle - half) / scale };
    let high = if hits == of { 1.0 } else { (middle + half) / scale };
    (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0))
}

/// Events up to which bounds are exact.
const EXACT: u64 = 500;

/// So many events of a Poisson process were met: their expected number is between these. Up to 500 exact (Garwood 1936),
/// beyond by Byar's approximation (Breslow, Day 1987).
pub fn events(hits: u64) -> (f64, f64) {
    if hits <= EXACT {
        let low = if hits == 0 { 0.0 } else { mean_where(hits - 1, 0.975) };
        return (low, mean_where(hits, 0.025));
    }
    let cube = |x: f64| x * x * x;
    let (n, m) = (hits as f64, hits as f64 + 1.0);
    let low = n * cube(1.0 - 1.0 / (9.0 * n) - Z / (3.0 * n.sqrt()));
    (low, m * cube(1.0 - 1.0 / (9.0 * m) + Z / (3.0 * m.sqrt())))
}

/// The mean of a Poisson distribution that gives no more than `k` with this probability.
fn mean_where(k: u64, probability: f64) -> f64 {
    let up_to = |mean: f64| {
        let mut term = libm::exp(-mean);
        let mut sum = term;
        for i in 1..=k {
            term *= mean / i as f64;
            sum += term;
        }
        sum
    };
    let (mut low, mut high) = (0.0, 2.0 * k as f64 + 10.0);
    // Halving an interval of doubles: nothing is left after so many times.
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if up_to(middle) > probability { low = middle } else { high = middle }
    }
    low
}

/// How often a finding comes on the clock of the scenario: it was met so many times in so much virtual time.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Runs that showed it. Each is counted once: what comes after the first time is no more of the same.
    pub hits: u64,
    /// Virtual time that was watched, in nanoseconds.
    pub watched_ns: u64,
}

impl Rate {
    /// Once in so many nanoseconds: the best guess, and between which two it is with 95 % confidence; `None` at the long
    /// end if it may never come.
    pub fn once_in_ns(self) -> (Option<u64>, u64, Option<u64>) {
        let (low, high) = events(self.hits);
        let t = self.watched_ns as f64;
        let per = |n: f64| if n > 0.0 { Some((t / n) as u64) } else { None };
        (per(self.hits as f64), (t / high) as u64, per(low))
    }

    /// `once in about 40 minutes with these periods (95 %: 25 minutes to 66 minutes)`.
    pub fn text(self) -> String {
        match self.once_in_ns() {
            (Some(guess), short, Some(long)) => format!(
                "once in about {} with these periods (95 %: {} to {})",
                span(guess),
                span(short),
                span(long)
            ),
            (_, short, _) => {
                format!("less often than once in {} with these periods (95 %)", span(short))
            }
        }
    }

    /// The same for scripts, in nanoseconds.
    pub fn value(self) -> Value {
        let (guess, short, long) = self.once_in_ns();
        json!({
            "runs": self.hits,
            "watched_ns": self.watched_ns,
            "once_in_ns": guess,
            "once_in_ns_low": short,
            "once_in_ns_high": long,
            "confidence": 0.95,
        })
    }
}

/// A length of time as people say it: two digits that count.
pub fn span(ns: u64) -> String {
    const UNITS: [(u64, &str); 7] = [
        (86_400_000_000_000, "days"),
        (3_600_000_000_000, "hours"),
        (60_000_000_000, "minutes"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    // From two of a unit on: 90 minutes says more than 1.5 hours.
    let (unit, name) = UNITS.into_iter().find(|u| ns >= 2 * u.0).unwrap_or((1, "ns"));
    let tenths = (u128::from(ns) * 10 + u128::from(unit) / 2) / u128::from(unit);
    if tenths < 100 && tenths % 10 != 0 && unit > 1 {
        return format!("{}.{} {name}", tenths / 10, tenths % 10);
    }
    format!("{} {name}", grouped(((tenths + 5) / 10) as u64))
}

/// What probabilistic concurrency testing guarantees: a bug of depth d among n contexts and k steps is met with at least
/// 1 / (n k^(d-1)) in each execution (Burckhardt, Kothari, Musuvathi, Nagarakatte 2010).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Pct {
    /// n: contexts of the machine.
    pub contexts: u32,
    /// d: how many orderings of two steps the bug needs.
    pub depth: u32,
}

impl Pct {
    /// The probability in each execution of no more than so many steps.
    pub fn at_least(self, steps: u32) -> f64 {
        let steps = f64::from(steps.max(Drawn::HORIZON));
        let power = (1..self.depth).fold(1.0, |p, _| p * steps);
        1.0 / (f64::from(self.contexts.max(1)) * power)
    }

    /// The probability in at least one of so many executions.
    pub fn in_all(self, steps: u32, executions: u64) -> f64 {
        1.0 - libm::exp(executions as f64 * libm::log1p(-self.at_least(steps).min(0.999_999)))
    }
}

/// What a sample says of how often a bug is met; empty for other searches.
pub fn sample_lines(e: &Exploration, pct: Option<Pct>) -> String {
    if e.engine != Engine::Sample || e.schedules == 0 {
        return String::new();
    }
    let mut out = String::new();
    if let Some(p) = pct {
        let d = p.depth;
        out.push_str(&format!(
            "Guarantee: a bug of depth {d} is met with at least 1/(n k^{}) = 1/({} x {}^{}) = {} in each execution,\n  \
             {} in the {} after the longest one; n contexts, k its steps.\n",
            d - 1,
            p.contexts,
            e.longest.max(Drawn::HORIZON),
            d - 1,
            percent(p.at_least(e.longest)),
            percent(p.in_all(e.longest, e.schedules - e.longest_at)),
            grouped(e.schedules - e.longest_at),
        ));
    }
    // One that stops at its first finding says little about how often it is met.
    if e.stopped {
        out.push_str(
            "How often: not estimated, the sample stopped at its first finding; --keep-going.\n",
        );
        return out;
    }
    let (low, high) = share(e.failing, e.schedules);
    out.push_str(&format!(
        "Found in {} of {} drawn executions: {} to {} with 95 % confidence.\n",
        grouped(e.failing),
        grouped(e.schedules),
        percent(low),
        percent(high)
    ));
    for f in &e.findings {
        let (low, high) = share(f.schedules, e.schedules);
        let [a, b] = &f.functions;
        let both = if a == b { a.clone() } else { format!("{a} / {b}") };
        out.push_str(&format!(
            "  {} in {both}: {} times, {} to {}\n",
            f.class.words(),
            grouped(f.schedules),
            percent(low),
            percent(high)
        ));
    }
    out
}

/// The same for scripts; `None` for other searches.
pub fn sample_value(e: &Exploration, pct: Option<Pct>) -> Option<Value> {
    if e.engine != Engine::Sample || e.schedules == 0 {
        return None;
    }
    let mut v = json!({ "hits": e.failing, "of": e.schedules, "confidence": 0.95 });
    if !e.stopped {
        let (low, high) = share(e.failing, e.schedules);
        (v["low"], v["high"]) = (json!(low), json!(high));
    }
    if let Some(p) = pct {
        v["guarantee"] = json!({
            "contexts": p.contexts,
            "steps": e.longest.max(Drawn::HORIZON),
            "depth": p.depth,
            "at_least": p.at_least(e.longest),
        });
    }
    Some(v)
}

/// A share in percent with three digits that count.
fn percent(share: f64) -> String {
    let p = 100.0 * share;
    let digits = [10.0, 1.0, 0.1, 0.01, 0.001].iter().filter(|d| p < **d).count() + 1;
    format!("{p:.digits$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sum of the binomial distribution up to `k`, by logarithms.
    fn binomial_up_to(k: u64, n: u64, p: f64) -> f64 {
        let choose =
            |k: u64| (0..k).map(|i| libm::log((n - i) as f64 / (i + 1) as f64)).sum::<f64>();
        let term = |k: u64| choose(k) + k as f64 * libm::log(p) + (n - k) as f64 * libm::log1p(-p);
        (0..=k).map(|k| libm::exp(term(k))).sum()
    }

    #[test]
    fn the_interval_of_a_share_covers_as_often_as_it_says() {
        // Wilson's interval covers 95 % on average over the shares, and never much less.
        for n in [20_u64, 100, 1_000] {
            let (mut sum, mut least) = (0.0, 1.0_f64);
            let shares: Vec<f64> = (1..100).map(|i| f64::from(i) / 100.0).collect();
            for p in &shares {
                let inside: Vec<u64> =
                    (0..=n).filter(|k| share(*k, n).0 <= *p && *p <= share(*k, n).1).collect();
                let (a, b) = (inside[0], inside[inside.len() - 1]);
                let below = if a == 0 { 0.0 } else { binomial_up_to(a - 1, n, *p) };
                let covered = binomial_up_to(b, n, *p) - below;
                sum += covered;
                least = least.min(covered);
            }
            let mean = sum / shares.len() as f64;
            assert!((0.945..0.965).contains(&mean), "n = {n}: {mean}");
            assert!(least > 0.83, "n = {n}: {least}");
        }
        assert_eq!(share(0, 50).0, 0.0);
        assert_eq!(share(50, 50).1, 1.0);
    }

    #[test]
    fn the_interval_of_events_is_that_of_poisson() {
        // Tables of exact bounds.
        for (hits, low, high) in
            [(0, 0.0, 3.689), (1, 0.025, 5.572), (3, 0.619, 8.767), (10, 4.795, 18.390)]
        {
            let (l, h) = events(hits);
            assert!((l - low).abs() < 0.001 && (h - high).abs() < 0.001, "{hits}: {l} {h}");
        }
        // Both ways agree where one takes over from the other.
        let (exact, byar) = (events(EXACT), events(EXACT + 1));
        assert!((byar.0 - exact.0 - 1.0).abs() < 0.05, "{exact:?} {byar:?}");
        assert!((byar.1 - exact.1 - 1.0).abs() < 0.05, "{exact:?} {byar:?}");
    }

    #[test]
    fn rates_in_words() {
        let rate = Rate { hits: 3, watched_ns: 7_200_000_000_000 };
        assert_eq!(
            rate.text(),
            "once in about 40 minutes with these periods (95 %: 14 minutes to 3.2 hours)"
        );
        let none = Rate { hits: 0, watched_ns: 36_890_000_000 };
        assert_eq!(none.text(), "less often than once in 10 s with these periods (95 %)");
        assert_eq!(span(1), "1 ns");
        assert_eq!(span(2_500), "2.5 us");
        assert_eq!(span(90 * 60 * 1_000_000_000), "90 minutes");
        assert_eq!(span(u64::MAX), "213 504 days");
    }

    #[test]
    fn the_guarantee_of_pct() {
        let p = Pct { contexts: 4, depth: 3 };
        assert_eq!(p.at_least(40), 1.0 / 6_400.0);
        // Change points are drawn among 32 steps at least.
        assert_eq!(p.at_least(10), 1.0 / 4_096.0);
        let all = p.in_all(40, 400);
        assert!((all - (1.0 - libm::pow(6_399.0 / 6_400.0, 400.0))).abs() < 1e-12, "{all}");
    }
}
