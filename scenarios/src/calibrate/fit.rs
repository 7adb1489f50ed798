//! From recordings to costs.

use super::check::{Rounds, ks};
use super::families::{self, Fit, ONE_PERCENT};
use super::parts;
use super::{Recording, Sample};
use std::collections::BTreeMap;
use timerace_core::step::CostClass;
use timerace_core::timed::{Costs, Dist};
use timerace_kernel::KernelVersion;

/// A fit is good when the distance is at most this,
const GOOD: f64 = 0.05;
/// and, however few samples there are, never when it is more than this.
const USELESS: f64 = 0.4;

/// A cost, fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Which.
    pub class: CostClass,
    /// What was measured, sorted, in nanoseconds, without what the model needs in between.
    pub measured: Vec<u64>,
    /// The distribution that was taken.
    pub fit: Fit,
}

/// How a recording compares with its simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The recording's name.
    pub file: String,
    /// Samples that were compared; none of them was used for fitting.
    pub samples: usize,
    /// How many of them do not share delays with others, at most: timers that are pending together count as one.
    pub independent: usize,
    /// The distance of Kolmogorov and Smirnov between recorded and simulated lateness.
    pub ks: f64,
    /// The distance between the two halves of the recording: the simulation can hardly be nearer than that.
    pub halves: f64,
    /// The largest distance that is good: 0.05, or what chance makes of so few samples (1 % level).
    pub limit: f64,
}

impl Checked {
    /// Whether the simulation is good enough.
    pub fn ok(&self) -> bool {
        self.ks <= self.limit
    }
}

/// Costs fitted to recordings, and how well.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The costs; classes that no recording tells about are those of the costs before.
    pub costs: Costs,
    /// What was fitted.
    pub fitted: Vec<Fitted>,
    /// The check of each recording.
    pub checks: Vec<Checked>,
}

impl Calibration {
    /// Whether the exit of idle states is part of the interrupt's entry: nothing tells them apart.
    pub fn idle_is_part(&self) -> bool {
        !self.fitted.iter().any(|f| f.class == CostClass::IdleExit)
    }
}

/// Measured lengths of time by cost.
pub(super) type ByClass = BTreeMap<CostClass, Vec<u64>>;

/// Fits costs to one half of each recording, together, and checks each by its other half ([`Recording::for_fitting`]).
/// Costs that the recordings do not tell are those of `base`. Simulated is `kernel`, v6.7 or later.
pub fn calibrate(
    recordings: &[Recording],
    kernel: KernelVersion,
    base: &Costs,
    name: &str,
) -> Calibration {
    let told: Vec<ByClass> = recordings.iter().map(parts::told).collect();
    let classes: std::collections::BTreeSet<CostClass> =
        told.iter().flat_map(|t| t.keys().copied()).collect();
    let mut zero = base.clone();
    zero.set(CostClass::IdleExit, Dist::Const(0));
    classes.iter().for_each(|c| zero.set(*c, Dist::Const(0)));
    let mut without_needs: ByClass = ByClass::new();
    for (r, t) in recordings.iter().zip(&told) {
        let needs = parts::needs(r, kernel, &zero);
        for (class, measured) in t {
            let needs = needs.get(class).map_or(&[][..], Vec::as_slice);
            without_needs.entry(*class).or_default().extend(less(measured, needs));
        }
    }
    let mut costs = zero;
    costs.name = name.to_string();
    let mut fitted = Vec::new();
    for (class, mut measured) in without_needs {
        measured.sort_unstable();
        let fit = families::best(&measured);
        costs.set(class, fit.dist.clone());
        fitted.push(Fitted { class, measured, fit });
    }
    let checks: Vec<Checked> = recordings.iter().map(|r| check(r, kernel, &costs)).collect();
    costs.calibrated = checks.iter().all(Checked::ok);
    Calibration { costs, fitted, checks }
}

/// The measured lengths without those that the model adds by itself: mean and variance are less by its.
fn less(measured: &[u64], needs: &[u64]) -> Vec<u64> {
    let (mean, var) = moments(measured);
    let (need, need_var) = moments(needs);
    let spread = if var > 0.0 { ((var - need_var).max(0.0) / var).sqrt() } else { 1.0 };
    let one = |n: &u64| ((mean - need + (*n as f64 - mean) * spread).max(0.0) + 0.5) as u64;
    measured.iter().map(one).collect()
}

fn moments(of: &[u64]) -> (f64, f64) {
    if of.is_empty() {
        return (0.0, 0.0);
    }
    let n = of.len() as f64;
    let mean = of.iter().map(|x| *x as f64).sum::<f64>() / n;
    let var = of.iter().map(|x| (*x as f64 - mean) * (*x as f64 - mean)).sum::<f64>() / n;
    (mean, var)
}

fn check(r: &Recording, kernel: KernelVersion, costs: &Costs) -> Checked {
    let half = |fitting: bool| {
        let rounds = r.rounds.iter().enumerate().filter(|(i, _)| r.for_fitting(*i) == fitting);
        rounds.map(|(_, round)| round).collect::<Vec<_>>()
    };
    let lateness = |rounds: &[&Vec<Sample>]| {
        let mut late: Vec<u64> =
            rounds.iter().flat_map(|round| round.iter().map(Sample::late_ns)).collect();
        late.sort_unstable();
        late
    };
    let others = half(false);
    let late = lateness(&others);
    let simulated = Rounds::new(r.timers(), r.same_expiry, kernel).lateness(costs);
    Checked {
        file: r.name.clone(),
        samples: late.len(),
        independent: others.len(),
        ks: ks(&simulated, &late),
        halves: ks(&lateness(&half(true)), &late),
        limit: GOOD.max(ONE_PERCENT / (others.len().max(1) as f64).sqrt()).min(USELESS),
    }
}
