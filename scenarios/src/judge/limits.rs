//! Limits on how late callbacks are, on drift, and on how long locks are held.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::ast::{Duration, LatencyLimits};

/// What timed runs have measured.
pub trait Measured {
    /// The nanoseconds that `share.0` of `share.1` samples do not exceed; (1, 1) asks for the largest. `of` is an element
    /// (`timers[7]`) or a map (`timers`), which stands for all of its elements. `None`: there are no samples.
    fn late_ns(&self, of: &str, share: (u64, u64)) -> Option<u64>;

    /// The most nanoseconds by which a timer fell behind the times at which it would expire if each of its periods were
    /// exact. `None`: no callback of it armed it again.
    fn drift_ns(&self, of: &str) -> Option<u64>;

    /// The longest time that a lock of this name was held. `None`: none was.
    fn held_ns(&self, lock: &str) -> Option<u64>;
}

/// Samples, one by one. For millions of them a histogram serves better.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    by_timer: BTreeMap<String, Vec<u64>>,
    /// The drift of timers, if it was measured, in nanoseconds.
    pub drifts: BTreeMap<String, u64>,
    /// How long locks were held at most, in nanoseconds.
    pub held: BTreeMap<String, u64>,
    /// Sorted lists that were asked for.
    sorted: RefCell<BTreeMap<String, Vec<u64>>>,
}

impl Samples {
    /// Adds one sample of a timer: `timers[7]`.
    pub fn add(&mut self, timer: &str, late_ns: u64) {
        self.sorted.borrow_mut().clear();
        match self.by_timer.get_mut(timer) {
            Some(samples) => samples.push(late_ns),
            None => {
                self.by_timer.insert(timer.to_string(), vec![late_ns]);
            }
        }
    }
}

impl Measured for Samples {
    fn late_ns(&self, of: &str, share: (u64, u64)) -> Option<u64> {
        let mut cache = self.sorted.borrow_mut();
        let sorted = cache.entry(of.to_string()).or_insert_with(|| {
            let mine = self.by_timer.iter().filter(|(timer, _)| is_of(timer, of));
            let mut all: Vec<u64> = mine.flat_map(|(_, samples)| samples).copied().collect();
            all.sort_unstable();
            all
        });
        // The least sample that so many do not exceed: rank n * share, rounded up.
        let n = sorted.len() as u128;
        let rank = (n * u128::from(share.0)).div_ceil(u128::from(share.1.max(1)));
        sorted.get(usize::try_from(rank.max(1)).ok()? - 1).copied()
    }

    fn drift_ns(&self, of: &str) -> Option<u64> {
        let mine = self.drifts.iter().filter(|(timer, _)| is_of(timer, of));
        mine.map(|(_, ns)| *ns).max()
    }

    fn held_ns(&self, lock: &str) -> Option<u64> {
        self.held.get(lock).copied()
    }
}

/// Whether a timer is the one meant, or in the map meant.
fn is_of(timer: &str, of: &str) -> bool {
    timer == of || timer.strip_prefix(of).is_some_and(|rest| rest.starts_with('['))
}

/// Which limits samples break, in words; `None`: there are no samples.
pub(super) fn judge(limits: &LatencyLimits, late: &dyn Measured) -> Option<String> {
    let of = limits.of.to_string();
    let words = [("p50", (50, 100)), ("p99", (99, 100)), ("p999", (999, 1000)), ("max", (1, 1))];
    let values = [limits.p50, limits.p99, limits.p999, limits.max];
    let mut broken = Vec::new();
    for ((word, share), limit) in words.into_iter().zip(values) {
        let Some(limit) = limit else { continue };
        let found = late.late_ns(&of, share)?;
        if found > limit.max_ns {
            let (found, limit) = (Duration::fixed(found), Duration::fixed(limit.max_ns));
            broken.push(format!("{word} of {of}: {found} > {limit}"));
        }
    }
    Some(broken.join(", "))
}

/// A figure beside its limit, for people, and whether it is within it: `latency of timers[0]: p99 9.1 us <= 20 us`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The line.
    pub words: String,
    /// The figure is within the limit.
    pub ok: bool,
}

impl Limited {
    pub(super) fn new(what: &str, found: u64, limit: &Duration) -> Limited {
        let most = limit.max_ns;
        let ok = found <= most;
        let than = if ok { "<=" } else { ">" };
        let tenths = found / 100 + u64::from(found % 100 >= 50);
        // Never as if it were within a limit that it breaks.
        let found = match found.abs_diff(most) < 100 {
            true => format!("{}.{:03}", found / 1000, found % 1000),
            false => format!("{}.{}", tenths / 10, tenths % 10),
        };
        let most = match most % 1000 {
            0 => (most / 1000).to_string(),
            part => format!("{}.{part:03}", most / 1000),
        };
        Limited { words: format!("{what} {found} us {than} {most} us"), ok }
    }
}

/// The figures of all limits on how late callbacks are.
pub(super) fn shown(limits: &LatencyLimits, late: &dyn Measured) -> Vec<Limited> {
    let of = limits.of.to_string();
    let words = [("p50", (50, 100)), ("p99", (99, 100)), ("p99.9", (999, 1000)), ("max", (1, 1))];
    let values = [limits.p50, limits.p99, limits.p999, limits.max];
    let mut all = Vec::new();
    for ((word, share), limit) in words.into_iter().zip(values) {
        let Some(limit) = limit else { continue };
        let what = format!("latency of {of}: {word}");
        all.extend(late.late_ns(&of, share).map(|ns| Limited::new(&what, ns, &limit)));
    }
    all
}

/// What is wrong with a figure that has a limit; empty: nothing.
pub(super) fn over(what: &str, found: u64, limit: &Duration) -> String {
    if found <= limit.max_ns {
        return String::new();
    }
    format!("{what}: {} > {}", Duration::fixed(found), Duration::fixed(limit.max_ns))
}
