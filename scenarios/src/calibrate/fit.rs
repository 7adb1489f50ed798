//! From recordings to costs.

use super::check::{Rounds, ks};
use super::families::{self, Fit, ONE_PERCENT};
use super::load::Load;
use super::parts;
use super::refine::{self, Goal, Wanted};
use super::{Recording, Sample, Split};
use std::collections::{BTreeMap, BTreeSet};
use timerace_core::step::CostClass;
use timerace_core::timed::{Costs, Dist};
use timerace_kernel::KernelVersion;

/// A fit is good when the distance is at most this,
pub(super) const GOOD: f64 = 0.05;
/// and, however few samples there are, never when it is more than this.
const USELESS: f64 = 0.4;

/// A cost, fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Which.
    pub class: CostClass,
    /// How often it was measured.
    pub samples: usize,
    /// What was measured, sorted, in nanoseconds, without what the model needs in between; or, if weighted, as often as
    /// lateness asks for.
    pub measured: Vec<u64>,
    /// Whether the lengths were weighted until the simulation was as near as can be to the half that was fitted.
    pub weighted: bool,
    /// The distribution that was taken.
    pub fit: Fit,
}

/// How far the simulation is from the half of a recording that was not fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Distance {
    /// Samples that were compared; none of them was used for fitting.
    pub samples: usize,
    /// From how many rounds they are.
    pub rounds: usize,
    /// Simulated expiries; none where a load leaves no time for them.
    pub simulated: usize,
    /// The distance of Kolmogorov and Smirnov between recorded and simulated lateness.
    pub ks: f64,
    /// The distance between the two halves of the recording: the simulation can hardly be nearer than that.
    pub halves: f64,
    /// The largest distance that is good: 0.05, or what chance makes of so few samples or, where whole rounds were not
    /// fitted, so few rounds (1 % level).
    pub limit: f64,
}

impl Distance {
    /// Whether the simulation is good enough.
    pub fn ok(&self) -> bool {
        self.ks <= self.limit
    }
}

/// How a recording compares with its simulation; what each tells: [`super`].
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The recording's name.
    pub file: String,
    /// How many timers were pending together.
    pub timers: usize,
    /// By samples that were not fitted, of rounds of which others were ([`Split::Samples`]).
    pub samples: Distance,
    /// By rounds that were not fitted ([`Split::Rounds`]); where each has one timer the same.
    pub rounds: Distance,
}

impl Checked {
    /// Whether the simulation is good enough.
    pub fn ok(&self) -> bool {
        self.samples.ok() && self.rounds.ok()
    }

    /// If there are so few rounds that the distance says nothing, even if it is good: how many a recording should have.
    pub fn too_few_rounds(&self) -> Option<usize> {
        let least = libm::ceil((ONE_PERCENT / USELESS) * (ONE_PERCENT / USELESS)) as usize;
        (self.timers > 1 && self.rounds.rounds < least).then_some(2 * least)
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
    /// The load that the machine had: a fragment, and what its parameters were set to.
    pub load: Option<(String, Vec<(String, String)>)>,
}

impl Calibration {
    /// Whether the exit of idle states is part of the interrupt's entry: nothing tells them apart.
    pub fn idle_is_part(&self) -> bool {
        !self.fitted.iter().any(|f| f.class == CostClass::IdleExit)
    }
}

/// Measured lengths of time by cost.
pub(super) type ByClass = BTreeMap<CostClass, Vec<u64>>;

/// Fits costs to one half of each recording, together, and checks each by its other half; for each way of halving them
/// ([`Split`]). Costs that the recordings do not tell are those of `base`. Simulated is `kernel`, v6.7 or later, under the
/// load that the machine had; the costs are those of the machine without it.
pub fn calibrate(
    recordings: &[Recording],
    kernel: KernelVersion,
    load: Option<&Load>,
    base: &Costs,
    name: &str,
) -> Calibration {
    let played: Vec<Played<'_>> = recordings.iter().map(|r| Played::new(r, kernel, load)).collect();
    let (mut costs, fitted) = fit(&played, Split::Samples, base);
    let by_rounds = match recordings.iter().all(|r| r.timers() == 1) {
        true => costs.clone(),
        false => fit(&played, Split::Rounds, base).0,
    };
    let check = |p: &Played<'_>| {
        let samples = p.distance(Split::Samples, &costs);
        let rounds = match costs == by_rounds {
            true => samples.clone(),
            false => p.distance(Split::Rounds, &by_rounds),
        };
        Checked { file: p.recording.name.clone(), timers: p.recording.timers(), samples, rounds }
    };
    let checks: Vec<Checked> = played.iter().map(check).collect();
    costs.name = name.to_string();
    costs.calibrated = checks.iter().all(Checked::ok);
    let load = load.map(|l| (l.name.clone(), l.set.clone()));
    Calibration { costs, fitted, checks, load }
}

/// A recording and its rounds, to be simulated.
pub(super) struct Played<'r> {
    pub recording: &'r Recording,
    /// On a CPU that does nothing else.
    pub idle: Rounds,
    /// Under the load, if there was one.
    pub loaded: Option<Rounds>,
    /// With one expiry for all, so that one pass has all callbacks.
    pub in_one_pass: Rounds,
}

impl<'r> Played<'r> {
    fn new(r: &'r Recording, kernel: KernelVersion, load: Option<&Load>) -> Played<'r> {
        Played {
            recording: r,
            idle: Rounds::idle(r, kernel),
            loaded: load.map(|l| l.rounds(r, kernel)),
            in_one_pass: Rounds::in_one_pass(r, kernel),
        }
    }

    /// As the machine was.
    fn rounds(&self) -> &Rounds {
        self.loaded.as_ref().unwrap_or(&self.idle)
    }
}

/// Fits costs to one half of each recording.
fn fit(played: &[Played<'_>], split: Split, base: &Costs) -> (Costs, Vec<Fitted>) {
    let told: Vec<ByClass> = played.iter().map(|p| parts::told(p, split)).collect();
    let classes: BTreeSet<CostClass> = told.iter().flat_map(|t| t.keys().copied()).collect();
    let mut costs = base.clone();
    costs.set(CostClass::IdleExit, Dist::Const(0));
    classes.iter().for_each(|c| costs.set(*c, Dist::Const(0)));
    let mut without_needs: ByClass = ByClass::new();
    for (p, t) in played.iter().zip(&told) {
        let needs = parts::needs(p, t, &costs);
        for (class, measured) in t {
            let needs = needs.get(class).map_or(&[][..], Vec::as_slice);
            without_needs.entry(*class).or_default().extend(less(measured, needs));
        }
    }
    for (class, measured) in &mut without_needs {
        measured.sort_unstable();
        costs.set(*class, families::best(measured).dist);
    }
    let measured = without_needs.get(&CostClass::IrqEntry).map_or(0, Vec::len);
    let refined = refined(played, split, &costs, measured);
    let mut weighted = None;
    if let Some((refined, irq_entry)) = refined {
        (costs, weighted) = (refined, Some(irq_entry));
    }
    let fitted = without_needs.into_iter().map(|(class, measured)| {
        let samples = measured.len();
        let lengths = weighted.take_if(|_| class == CostClass::IrqEntry);
        let weighted = lengths.is_some();
        let measured = lengths.unwrap_or(measured);
        let fit = families::of(costs.get(class), &measured);
        Fitted { class, samples, measured, weighted, fit }
    });
    let fitted = fitted.collect();
    (costs, fitted)
}

/// A trace tells by its events how long interrupts took, unless a load delayed them; latency samples by how late callbacks
/// were.
fn refined(
    played: &[Played<'_>],
    split: Split,
    costs: &Costs,
    measured: usize,
) -> Option<(Costs, Vec<u64>)> {
    let told = played.iter().filter(|p| p.recording.measured.is_empty() || p.loaded.is_some());
    let goals = told.map(|p| Goal {
        late: half(p.recording, split, true).0,
        passes: Box::new(|costs: &Costs| p.rounds().passes(costs)),
    });
    let goals: Vec<Goal<'_>> = goals.collect();
    let mut without = costs.clone();
    without.set(CostClass::IrqEntry, Dist::Const(0));
    let rest = moments(&parts::interrupts(played.first()?, &without)).0 as u64;
    let shaped = played.iter().any(|p| p.loaded.is_some());
    if goals.is_empty() {
        return None;
    }
    refine::refined(&goals, costs, &Wanted { samples: measured, shaped, rest })
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

/// The sorted lateness of one half, and how many rounds it is from.
fn half(r: &Recording, split: Split, fitting: bool) -> (Vec<u64>, usize) {
    let mut late: Vec<u64> = Vec::new();
    let mut rounds = 0;
    for (i, round) in r.rounds.iter().enumerate() {
        let is = |(place, _): &(usize, &Sample)| r.for_fitting(split, i, *place) == fitting;
        let before = late.len();
        late.extend(round.iter().enumerate().filter(is).map(|(_, s)| s.late_ns()));
        rounds += usize::from(late.len() > before);
    }
    late.sort_unstable();
    (late, rounds)
}

impl Played<'_> {
    /// Compares the half of the recording that was not fitted with rounds that are simulated.
    fn distance(&self, split: Split, costs: &Costs) -> Distance {
        let r = self.recording;
        let ((fitted, _), (others, rounds)) = (half(r, split, true), half(r, split, false));
        let simulated = self.rounds().lateness(costs);
        let independent = if split == Split::Samples { others.len() } else { rounds };
        Distance {
            samples: others.len(),
            rounds,
            simulated: simulated.len(),
            ks: ks(&simulated, &others),
            halves: ks(&fitted, &others),
            limit: GOOD.max(ONE_PERCENT / (independent.max(1) as f64).sqrt()).min(USELESS),
        }
    }
}
