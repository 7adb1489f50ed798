//! From recordings to costs.

use super::check::{Rounds, ks};
use super::{Recording, Sample};
use timerace_core::step::CostClass;
use timerace_core::timed::{Costs, Dist};
use timerace_kernel::KernelVersion;

/// Between this many even quantiles a fitted distribution has straight lines.
const QUANTILES: usize = 1024;
/// A fit is good when the distance is at most this,
const GOOD: f64 = 0.05;
/// or, for few samples, at most this over the square root of their number: the 1 % level of the test of Kolmogorov and
/// Smirnov.
const ONE_PERCENT: f64 = 1.628;
/// Samples do not say where a pass ends. A new one begins when callbacks are further apart than this many times the
/// median, and than so many nanoseconds.
const PASS_TIMES: u64 = 8;
const PASS_NS: u64 = 2_000;
/// Rounds that are simulated to see what the model needs between the fitted parts.
const PILOT_ROUNDS: u64 = 40;

/// A cost, fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Which.
    pub class: CostClass,
    /// What was measured, sorted, in nanoseconds.
    pub measured: Vec<u64>,
}

/// How a recording compares with its simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The recording's name.
    pub file: String,
    /// Samples that were compared; none of them was used for fitting.
    pub samples: usize,
    /// The distance of Kolmogorov and Smirnov between recorded and simulated lateness.
    pub ks: f64,
    /// The largest distance that is good.
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

/// Fits costs to every second sample of the recordings, together, and checks each by its other samples. Costs that the
/// recordings do not tell are those of `base`. Simulated is `kernel`,
/// v6.7 or later.
pub fn calibrate(
    recordings: &[Recording],
    kernel: KernelVersion,
    base: &Costs,
    name: &str,
) -> Calibration {
    let parts: Vec<Parts> = recordings.iter().map(Parts::of).collect();
    let fits = |class: CostClass| parts.iter().any(|p| !p.of_class(class).is_empty());
    let mut zero = base.clone();
    zero.set(CostClass::IdleExit, Dist::Const(0));
    let classes = CLASSES.into_iter().filter(|c| fits(*c));
    classes.clone().for_each(|c| zero.set(c, Dist::Const(0)));
    let mut fitted: Vec<Fitted> =
        classes.map(|class| Fitted { class, measured: Vec::new() }).collect();
    for (r, p) in recordings.iter().zip(&parts) {
        let needs = Needs::of(r, kernel, &zero);
        for f in &mut fitted {
            let need = needs.of_class(f.class, p.soft.is_empty());
            f.measured.extend(p.of_class(f.class).iter().map(|n| n.saturating_sub(need)));
        }
    }
    let mut costs = zero;
    costs.name = name.to_string();
    for f in &mut fitted {
        f.measured.sort_unstable();
        costs.set(f.class, empirical(&f.measured));
    }
    let checks: Vec<Checked> = recordings.iter().map(|r| check(r, kernel, &costs)).collect();
    costs.calibrated = checks.iter().all(Checked::ok);
    Calibration { costs, fitted, checks }
}

fn check(r: &Recording, kernel: KernelVersion, costs: &Costs) -> Checked {
    let flat = r.rounds.iter().flatten();
    let mut late: Vec<u64> = flat.skip(1).step_by(2).map(Sample::late_ns).collect();
    late.sort_unstable();
    let simulated = Rounds::new(r.timers(), r.same_expiry, kernel).lateness(costs);
    let limit = GOOD.max(ONE_PERCENT / (late.len() as f64).sqrt());
    Checked { file: r.name.clone(), samples: late.len(), ks: ks(&simulated, &late), limit }
}

/// The quantiles of sorted samples.
fn empirical(sorted: &[u64]) -> Dist {
    let n = sorted.len();
    if sorted.first() == sorted.last() {
        return Dist::Const(sorted.first().copied().unwrap_or(0));
    }
    let at = |i: usize| sorted[(i * n / QUANTILES).min(n - 1)];
    Dist::Empirical((0..=QUANTILES).map(at).collect())
}

const CLASSES: [CostClass; 4] =
    [CostClass::IrqEntry, CostClass::SoftirqEntry, CostClass::Call, CostClass::Hrtimer];

/// What a recording says, in nanoseconds. `irq` is up to the pass where that is known, otherwise up to the callback.
#[derive(Debug, Default)]
struct Parts {
    irq: Vec<u64>,
    soft: Vec<u64>,
    call: Vec<u64>,
    arm: Vec<u64>,
}

/// A sample that is used for fitting, and its number in its round.
type Used<'r> = (u64, &'r Sample);

impl Parts {
    fn of(r: &Recording) -> Parts {
        let mut number = 0;
        let mut rounds: Vec<Vec<Used<'_>>> = Vec::new();
        for round in &r.rounds {
            let mut used = Vec::new();
            for (i, s) in round.iter().enumerate() {
                if number % 2 == 0 {
                    used.push((i as u64, s));
                }
                number += 1;
            }
            rounds.push(used);
        }
        let pairs = || rounds.iter().flat_map(|r| r.windows(2).map(|w| (w[0], w[1])));
        let mut parts = Parts::default();
        parts.arm.extend(pairs().map(|((i, a), (j, b))| b.armed.abs_diff(a.armed) / (j - i)));
        let apart = pairs().map(|((i, a), (j, b))| b.actual.abs_diff(a.actual) / (j - i)).collect();
        let far = (PASS_TIMES * median(apart).unwrap_or(0)).max(PASS_NS);
        let mut passes: Vec<Vec<Pass<'_>>> = Vec::new();
        for used in &rounds {
            let split = passes_of(used, far);
            parts.call.extend(split.iter().flat_map(Pass::gaps));
            parts.soft.extend(pass_to_callback(&split));
            passes.push(split);
        }
        let soft = median(parts.soft.clone());
        let call = median(parts.call.clone()).unwrap_or(0);
        let arm = if r.same_expiry { 0 } else { median(parts.arm.clone()).unwrap_or(0) };
        for split in &passes {
            let mut free = 0;
            for (k, pass) in split.iter().enumerate() {
                let (i, first) = pass.0[0];
                // The pass's first callback may be one that is not used.
                let before = if k == 0 { i } else { 0 };
                let due = (first.expected - before * arm.min(first.expected)).max(free);
                let began = match (first.pass, soft) {
                    (Some(at), _) => at,
                    (None, soft) => first.actual - before * call - soft.unwrap_or(0),
                };
                parts.irq.push(began.saturating_sub(due));
                free = pass.0[pass.0.len() - 1].1.actual + call;
            }
        }
        parts
    }

    fn of_class(&self, class: CostClass) -> &[u64] {
        match class {
            CostClass::IrqEntry => &self.irq,
            CostClass::SoftirqEntry => &self.soft,
            CostClass::Call => &self.call,
            CostClass::Hrtimer => &self.arm,
            _ => &[],
        }
    }
}

/// Callbacks of one pass of the softirq, in the order of their beginnings.
struct Pass<'r>(Vec<Used<'r>>);

impl Pass<'_> {
    /// From each callback to the next.
    fn gaps(&self) -> impl Iterator<Item = u64> + '_ {
        let forward = self.0.windows(2).filter(|w| w[1].0 > w[0].0);
        forward.map(|w| (w[1].1.actual - w[0].1.actual) / (w[1].0 - w[0].0))
    }
}

fn passes_of<'r>(round: &[Used<'r>], far: u64) -> Vec<Pass<'r>> {
    let mut sorted = round.to_vec();
    sorted.sort_by_key(|(i, s)| (s.actual, *i));
    let together = |a: &Used<'_>, b: &Used<'_>| match (a.1.pass, b.1.pass) {
        (Some(x), Some(y)) => x == y,
        _ => {
            let times = b.0.saturating_sub(a.0).max(1);
            b.1.expected <= a.1.expected || b.1.actual - a.1.actual <= far * times
        }
    };
    sorted.chunk_by(together).map(|p| Pass(p.to_vec())).collect()
}

/// From the beginning of a pass to its first callback, for passes where it is known.
fn pass_to_callback(split: &[Pass<'_>]) -> Vec<u64> {
    let mut found = Vec::new();
    for (k, pass) in split.iter().enumerate() {
        let (i, first) = pass.0[0];
        if let Some(at) = first.pass {
            if k == 0 && i == 0 {
                found.push(first.actual - at);
            }
        } else if let Some(next) = split.get(k + 1) {
            let last = pass.0[pass.0.len() - 1].1.expected;
            let began = last.midpoint(next.0[0].1.expected);
            if began < first.actual {
                found.push(first.actual - began);
            }
        }
    }
    found
}

fn median(mut of: Vec<u64>) -> Option<u64> {
    of.sort_unstable();
    of.get(of.len() / 2).copied()
}

/// What the model needs, on average, for the same parts when the fitted costs are 0.
#[derive(Debug, Default)]
struct Needs {
    irq: u64,
    soft: u64,
    call: u64,
    arm: u64,
}

impl Needs {
    fn of(r: &Recording, kernel: KernelVersion, zero: &Costs) -> Needs {
        // With one expiry for all, one pass has all callbacks.
        let rounds = Rounds::new(r.timers(), true, kernel);
        let mut parts = Parts::default();
        for seed in 1..=PILOT_ROUNDS {
            let expiries = rounds.run(zero, seed);
            if let Some(e) = expiries.first() {
                parts.irq.push(e.softirq.since(e.programmed));
                parts.soft.push(e.callback.since(e.softirq));
            }
            for w in expiries.windows(2).filter(|w| w[0].softirq == w[1].softirq) {
                parts.call.push(w[1].callback.since(w[0].callback));
                parts.arm.push(w[1].armed.since(w[0].armed));
            }
        }
        let mean = |of: &[u64]| of.iter().sum::<u64>() / (of.len() as u64).max(1);
        Needs {
            irq: mean(&parts.irq),
            soft: mean(&parts.soft),
            call: mean(&parts.call),
            arm: mean(&parts.arm),
        }
    }

    /// `whole`: the recording does not tell the interrupt from the softirq.
    fn of_class(&self, class: CostClass, whole: bool) -> u64 {
        match class {
            CostClass::IrqEntry if whole => self.irq + self.soft,
            CostClass::IrqEntry => self.irq,
            CostClass::SoftirqEntry => self.soft,
            CostClass::Call => self.call,
            _ => self.arm,
        }
    }
}
