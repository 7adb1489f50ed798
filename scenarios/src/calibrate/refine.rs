//! Brings the simulation nearer to the recording.
//!
//! Parts that are measured one by one need not give the recorded lateness when they are drawn one by one: in a recording
//! they depend on each other. On a busy host all of a round is slow, its interrupts and its callbacks, while the model
//! draws each by itself. So the lengths of the interrupt's entry are weighted: how often must each of them come for the
//! simulated lateness to have the distribution of the fitting half? This is deconvolution by expectation and maximization
//! (Richardson 1972, Lucy 1974): each simulated pass says how late the callbacks are that its length leads to.

use super::check::{Pass, ks};
use super::families;
use timerace_core::step::CostClass;
use timerace_core::timed::Costs;

/// Lengths of the entry are told apart by this many even quantiles,
const CELLS: usize = 64;
/// lateness by this many.
const BINS: usize = 64;
/// More turns follow the chance in the samples.
const TURNS: usize = 30;
/// So often the passes are simulated with the new lengths, at most.
const ROUNDS: usize = 3;
/// Nearer than this is near enough,
const ENOUGH: f64 = 0.015;
/// and so is what is hardly nearer than before.
const HARDLY: f64 = 0.95;
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

/// The costs with the lengths of `irq_entry` that bring the simulation nearest to the goals, and these lengths, sorted;
/// `None` if the costs are as near as that.
pub(super) fn refined(goals: &[Goal<'_>], costs: &Costs) -> Option<(Costs, Vec<u64>)> {
    let mut best: Option<(f64, Costs, Vec<u64>)> = None;
    let (mut now, mut draws) = (costs.clone(), Vec::new());
    for round in 0..=ROUNDS {
        let simulated: Vec<Vec<Pass>> = goals.iter().map(|g| (g.passes)(&now)).collect();
        let apart = goals.iter().zip(&simulated).map(|(g, s)| ks(&lateness(s), &g.late));
        let far = apart.fold(0.0, f64::max);
        let before = best.as_ref().map_or(f64::INFINITY, |b| b.0);
        if far < before {
            best = Some((far, now.clone(), std::mem::take(&mut draws)));
        }
        if far <= ENOUGH || far > HARDLY * before || round == ROUNDS {
            break;
        }
        draws = weighted(goals, &simulated, now.get(CostClass::IrqExit).mean() as u64);
        if draws.is_empty() {
            break;
        }
        now.set(CostClass::IrqEntry, families::best(&draws).dist);
    }
    best.filter(|b| !b.2.is_empty()).map(|(_, costs, draws)| (costs, draws))
}

fn lateness(passes: &[Pass]) -> Vec<u64> {
    let mut all: Vec<u64> = passes.iter().flat_map(|p| p.late.iter().copied()).collect();
    all.sort_unstable();
    all
}

/// Lengths of the entry, sorted, each as often as the goals ask for. `exit`: what a pass's length has besides.
fn weighted(goals: &[Goal<'_>], simulated: &[Vec<Pass>], exit: u64) -> Vec<u64> {
    let mut lengths: Vec<u64> = simulated.iter().flatten().map(|p| p.irq).collect();
    lengths.sort_unstable();
    if lengths.is_empty() {
        return lengths;
    }
    let edges = quantiles(&lengths, CELLS);
    let cell = |ns: u64| edges.partition_point(|e| *e < ns).min(CELLS - 1);
    // By cell and bin: how many callbacks were so late after an entry of this length. Each recording has bins of its own.
    let bins = goals.len() * BINS;
    let mut led = vec![vec![0.0f64; bins]; CELLS];
    let mut wanted = vec![0.0f64; bins];
    for (i, (goal, passes)) in goals.iter().zip(simulated).enumerate() {
        let edges = quantiles(&goal.late, BINS);
        let bin = |ns: u64| i * BINS + edges.partition_point(|e| *e < ns).min(BINS - 1);
        passes.iter().for_each(|p| p.late.iter().for_each(|l| led[cell(p.irq)][bin(*l)] += 1.0));
        let callbacks: usize = passes.iter().map(|p| p.late.len()).sum();
        let each = callbacks as f64 / goal.late.len().max(1) as f64;
        goal.late.iter().for_each(|l| wanted[bin(*l)] += each);
    }
    let mut weight = vec![1.0f64; CELLS];
    for _ in 0..TURNS {
        turn(&mut weight, &led, &wanted);
    }
    draws(&lengths, &weight, cell).into_iter().map(|ns| ns.saturating_sub(exit)).collect()
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
    use timerace_core::timed::Dist;

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
        let (found, draws) = refined(&[goal], &start).expect("it is nearer");
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
        assert!(refined(&[goal], &costs).is_none());
    }
}
