//! Brings the simulation nearer to the recording.
//!
//! Parts that are measured one by one need not give the recorded lateness when they are drawn one by one: in a recording
//! they depend on each other. On a busy host all of a round is slow, its interrupts and its callbacks, while the model
//! draws each by itself. And under a load the measured lengths have in them what the load did. So the lengths of the
//! interrupt's entry are weighted: how often must each of them come for the simulated lateness to have the distribution of
//! the fitting half? This is deconvolution by expectation and maximization (Richardson 1972, Lucy 1974): each simulated pass
//! says how late the callbacks are that its length leads to.
//!
//! Weights follow the chance in the samples. Where a load hides most of the entry, they would make its tail much too long,
//! so there a family with few parameters is taken if one leads to the recorded lateness as well.

use super::check::{Pass, ks};
use super::families;
use timerace_core::step::CostClass;
use timerace_core::timed::{Costs, Dist};

/// Lengths of the entry are told apart by this many even quantiles,
const CELLS: usize = 64;
/// lateness by this many.
const BINS: usize = 64;
/// More turns follow the chance in the samples.
const TURNS: usize = 30;
/// So often the passes are simulated with new lengths, at most.
const ROUNDS: usize = 3;
/// Nearer than this is near enough,
const ENOUGH: f64 = 0.015;
/// and so is what is hardly nearer than before.
const HARDLY: f64 = 0.95;
/// So often a family's shape is looked for: its cells are those of the lengths before.
const SHAPED_ROUNDS: usize = 2;
/// A family may be as far as this over the square root of the number of samples (the 5 % level of the test of Kolmogorov and
/// Smirnov),
const FIVE_PERCENT: f64 = 1.358;
/// but not further than this: the simulation is to be within 0.05 of the recording.
const FAR: f64 = 0.04;
/// And its tail may be so many times as long or as short.
const TAIL: f64 = 1.5;
/// Lengths that a new distribution is made from.
const DRAWS: usize = 4096;

/// What the fitting half of a recording says, and how it is simulated.
pub(super) struct Goal<'a> {
    /// Sorted lateness in nanoseconds.
    pub late: Vec<u64>,
    /// Simulated passes with these costs.
    pub passes: Play<'a>,
}

/// From costs to passes.
pub(super) type Play<'a> = Box<dyn Fn(&Costs) -> Vec<Pass> + 'a>;

/// What is looked for.
pub(super) struct Wanted {
    /// So many lengths of the entry were measured.
    pub samples: usize,
    /// They have a load's doings in them: what is left without these has the shape of a family if that can be.
    pub shaped: bool,
    /// What the length of a pass has besides the entry, in nanoseconds.
    pub rest: u64,
}

/// Costs, their simulation, and how far it is from the goals.
struct Tried {
    costs: Costs,
    /// The lengths of `irq_entry` that the costs were made from, sorted; none were needed for those to begin with.
    draws: Vec<u64>,
    simulated: Vec<Vec<Pass>>,
    far: f64,
}

impl Tried {
    fn of(goals: &[Goal<'_>], costs: Costs, draws: Vec<u64>) -> Tried {
        let simulated: Vec<Vec<Pass>> = goals.iter().map(|g| (g.passes)(&costs)).collect();
        let apart = goals.iter().zip(&simulated).map(|(g, s)| ks(&lateness(s), &g.late));
        let far = apart.fold(0.0, f64::max);
        Tried { costs, draws, simulated, far }
    }

    fn entry(&self) -> &Dist {
        self.costs.get(CostClass::IrqEntry)
    }

    /// The latest hundredth of the callbacks are about as late as those of the goals: of tails the largest distance does not
    /// tell.
    fn has_tails(&self, goals: &[Goal<'_>]) -> bool {
        goals.iter().zip(&self.simulated).all(|(g, s)| {
            let ratio = latest(&lateness(s)) / latest(&g.late).max(1.0);
            (1.0 / TAIL..TAIL).contains(&ratio)
        })
    }

    /// The same with another entry.
    fn with(&self, goals: &[Goal<'_>], entry: Dist, draws: Vec<u64>) -> Tried {
        let mut costs = self.costs.clone();
        costs.set(CostClass::IrqEntry, entry);
        Tried::of(goals, costs, draws)
    }
}

/// The costs with the lengths of `irq_entry` that bring the simulation nearest to the goals, and these lengths, sorted;
/// `None` if the costs are as near as that.
pub(super) fn refined(
    goals: &[Goal<'_>],
    costs: &Costs,
    wanted: &Wanted,
) -> Option<(Costs, Vec<u64>)> {
    let start = Tried::of(goals, costs.clone(), Vec::new());
    let free = nearest(start, |from| {
        let draws = Led::of(goals, &from.simulated)?.entries(from.entry(), wanted.rest);
        let entry = families::best_of(&draws, wanted.samples).dist;
        Some(from.with(goals, entry, draws))
    });
    let best = if wanted.shaped { shaped(goals, free, wanted.rest) } else { free };
    (!best.draws.is_empty()).then_some((best.costs, best.draws))
}

/// Improves costs as long as they come notably nearer.
fn nearest(start: Tried, next: impl Fn(&Tried) -> Option<Tried>) -> Tried {
    let mut best = start;
    for _ in 0..ROUNDS {
        if best.far <= ENOUGH {
            break;
        }
        let Some(next) = next(&best) else { break };
        let before = best.far;
        if next.far < before {
            best = next;
        }
        if best.far > HARDLY * before {
            break;
        }
    }
    best
}

/// An entry of a family, if one does as well as chance allows: what has any shape follows the chance in the samples, and in
/// the load of just these, where only long entries could explain it.
fn shaped(goals: &[Goal<'_>], free: Tried, rest: u64) -> Tried {
    let mut shaped: Option<Tried> = None;
    for _ in 0..SHAPED_ROUNDS {
        let from = shaped.as_ref().unwrap_or(&free);
        let Some(led) = Led::of(goals, &from.simulated) else { return free };
        let draws = led.entries(from.entry(), rest);
        let far = |d: &Dist| led.far(d, rest);
        let all = families::shaped(&draws, &far).into_iter();
        let Some(entry) = all.min_by(|a, b| far(a).total_cmp(&far(b))) else { return free };
        shaped = Some(from.with(goals, entry, draws));
    }
    let chance = goals.iter().map(|g| FIVE_PERCENT / (g.late.len().max(1) as f64).sqrt());
    let limit = chance.fold(0.0, f64::max).min(FAR);
    match shaped {
        Some(s) if s.far <= limit.max(free.far) && s.has_tails(goals) => s,
        _ => free,
    }
}

fn lateness(passes: &[Pass]) -> Vec<u64> {
    let mut all: Vec<u64> = passes.iter().flat_map(|p| p.late.iter().copied()).collect();
    all.sort_unstable();
    all
}

/// The mean of the latest hundredth.
fn latest(sorted: &[u64]) -> f64 {
    let n = (sorted.len() / 100).max(1).min(sorted.len());
    sorted[sorted.len() - n..].iter().map(|ns| *ns as f64).sum::<f64>() / n.max(1) as f64
}

/// To what lateness the lengths of passes led.
struct Led {
    /// All lengths, sorted.
    lengths: Vec<u64>,
    /// The upper ends of the cells of lengths.
    edges: Vec<u64>,
    /// By cell and bin: how many callbacks were so late after an interrupt of this length. Each recording has bins of its
    /// own, and passes that no interrupt began have the last cell.
    led: Vec<Vec<f64>>,
    /// By bin, in the recordings.
    wanted: Vec<f64>,
}

impl Led {
    fn of(goals: &[Goal<'_>], simulated: &[Vec<Pass>]) -> Option<Led> {
        let all = simulated.iter().flatten().map(|p| p.irq);
        let mut lengths: Vec<u64> = all.filter(|irq| *irq > 0).collect();
        lengths.sort_unstable();
        if lengths.is_empty() {
            return None;
        }
        let bins = goals.len() * BINS;
        let mut of = Led {
            edges: quantiles(&lengths, CELLS),
            lengths,
            led: vec![vec![0.0f64; bins]; CELLS + 1],
            wanted: vec![0.0f64; bins],
        };
        for (i, (goal, passes)) in goals.iter().zip(simulated).enumerate() {
            let edges = quantiles(&goal.late, BINS);
            let bin = |ns: u64| i * BINS + edges.partition_point(|e| *e < ns).min(BINS - 1);
            for p in passes {
                let row = if p.irq > 0 { of.cell(p.irq) } else { CELLS };
                p.late.iter().for_each(|l| of.led[row][bin(*l)] += 1.0);
            }
            let callbacks: usize = passes.iter().map(|p| p.late.len()).sum();
            let each = callbacks as f64 / goal.late.len().max(1) as f64;
            goal.late.iter().for_each(|l| of.wanted[bin(*l)] += each);
        }
        Some(of)
    }

    fn cell(&self, ns: u64) -> usize {
        self.edges.partition_point(|e| *e < ns).min(CELLS - 1)
    }

    /// Lengths of the entry, sorted, each as often as the goals ask for. `entry`: that of the simulation; `rest`: what a pass's
    /// length has besides.
    fn entries(&self, entry: &Dist, rest: u64) -> Vec<u64> {
        let mut weight = vec![1.0f64; CELLS + 1];
        for _ in 0..TURNS {
            turn(&mut weight, &self.led, &self.wanted);
            weight[CELLS] = 1.0;
        }
        draws(&families::quantiles(entry, DRAWS), &weight, |ns| self.cell(ns + rest))
    }

    /// How far the lateness is from the wanted one if the entry has this distribution (Cramer, von Mises).
    fn far(&self, entry: &Dist, rest: u64) -> f64 {
        let given = self.predict(entry, rest);
        let mut sum = 0.0;
        for (given, wanted) in given.chunks(BINS).zip(self.wanted.chunks(BINS)) {
            let (all, all_wanted) = (given.iter().sum::<f64>(), wanted.iter().sum::<f64>());
            let (mut g, mut w) = (0.0, 0.0);
            for (one, other) in given.iter().zip(wanted) {
                g += one / all.max(1e-9);
                w += other / all_wanted.max(1e-9);
                sum += (g - w) * (g - w);
            }
        }
        sum
    }

    /// The lateness by bin if the entry has this distribution.
    fn predict(&self, entry: &Dist, rest: u64) -> Vec<f64> {
        let mut given = self.led[CELLS].clone();
        let mut under = 0.0;
        let mut simulated = 0;
        for (i, edge) in self.edges.iter().enumerate() {
            let last = i + 1 == CELLS;
            let upto = match last {
                true => 1.0,
                false => families::below(entry, *edge as f64 - rest as f64 + 0.5),
            };
            let were = self.lengths.partition_point(|ns| ns <= edge);
            if were > simulated {
                let weight = (upto - under) * self.lengths.len() as f64 / (were - simulated) as f64;
                given.iter_mut().zip(&self.led[i]).for_each(|(g, n)| *g += weight * n);
                (under, simulated) = (upto, were);
            }
        }
        given
    }
}

/// One turn of the expectation and the maximization.
fn turn(weight: &mut [f64], led: &[Vec<f64>], wanted: &[f64]) {
    let mut given = vec![0.0f64; wanted.len()];
    for (w, led) in weight.iter().zip(led) {
        given.iter_mut().zip(led).for_each(|(g, n)| *g += w * n);
    }
    for (w, led) in weight.iter_mut().zip(led) {
        let all: f64 = led.iter().sum();
        let asked = led.iter().zip(wanted).zip(&given).filter(|(_, g)| **g > 0.0);
        let asked: f64 = asked.map(|((n, want), g)| n * want / g).sum();
        if all > 0.0 {
            *w *= asked / all;
        }
    }
}

/// Even quantiles of the weighted lengths.
fn draws(lengths: &[u64], weight: &[f64], cell: impl Fn(u64) -> usize) -> Vec<u64> {
    let total: f64 = lengths.iter().map(|ns| weight[cell(*ns)]).sum();
    let mut out = Vec::with_capacity(DRAWS);
    let mut upto = 0.0;
    for ns in lengths {
        upto += weight[cell(*ns)];
        while out.len() < DRAWS && (out.len() as f64 + 0.5) * total <= upto * DRAWS as f64 {
            out.push(*ns);
        }
    }
    out
}

/// The upper ends of so many cells that have equally many of the sorted samples.
fn quantiles(sorted: &[u64], cells: usize) -> Vec<u64> {
    (1..=cells).map(|i| sorted[(i * sorted.len() / cells).max(1) - 1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    const WANTED: Wanted = Wanted { samples: 4_000, shaped: false, rest: 0 };

    /// The entry plus a wait that comes in every third pass.
    fn passes(costs: &Costs, seed: u64) -> Vec<Pass> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let waits = Dist::Uniform(0, 30_000);
        let pass = |i: usize| {
            let irq = costs.get(CostClass::IrqEntry).draw(&mut rng);
            let wait = if i.is_multiple_of(3) { waits.draw(&mut rng) } else { 0 };
            Pass { irq, late: vec![irq + wait] }
        };
        (0..4_000).map(pass).collect()
    }

    fn apart(a: &Dist, b: &Dist) -> f64 {
        let draws = |d: &Dist| {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut all: Vec<u64> = (0..20_000).map(|_| d.draw(&mut rng)).collect();
            all.sort_unstable();
            all
        };
        ks(&draws(a), &draws(b))
    }

    #[test]
    fn what_was_added_is_taken_off() {
        let mut real = Costs::free();
        real.set(CostClass::IrqEntry, Dist::Gamma { shift: 900, shape: 2.1, scale: 310.0 });
        let late = lateness(&passes(&real, 1));
        let goal = Goal { late: late.clone(), passes: Box::new(|c| passes(c, 2)) };
        let mut start = Costs::free();
        start.set(CostClass::IrqEntry, families::best(&late).dist);
        assert!(apart(start.get(CostClass::IrqEntry), real.get(CostClass::IrqEntry)) > 0.25);
        let (found, draws) = refined(&[goal], &start, &WANTED).expect("it is nearer");
        assert_eq!(draws.len(), DRAWS);
        let far = apart(found.get(CostClass::IrqEntry), real.get(CostClass::IrqEntry));
        assert!(far < 0.05, "{far}: {:?}", found.get(CostClass::IrqEntry));
    }

    #[test]
    fn what_is_near_stays() {
        let mut costs = Costs::free();
        costs.set(CostClass::IrqEntry, Dist::Uniform(1_000, 5_000));
        let late = lateness(&passes(&costs, 1));
        let goal = Goal { late, passes: Box::new(|c| passes(c, 1)) };
        assert!(refined(&[goal], &costs, &WANTED).is_none());
    }
}
