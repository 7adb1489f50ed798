//! What recordings tell about costs, and what the model needs for the same.
//!
//! A trace tells each part by its events ([`super::measure`]). Latency samples tell when a timer was started and when its
//! callback began; the parts in between follow from timers that are pending together.

use super::check::Rounds;
use super::fit::ByClass;
use super::{Recording, Sample};
use timerace_core::step::CostClass;
use timerace_core::timed::Costs;
use timerace_kernel::KernelVersion;

/// Samples do not say where a pass ends. A new one begins when callbacks are further apart than this many times the
/// median, and than so many nanoseconds.
const PASS_TIMES: u64 = 8;
const PASS_NS: u64 = 2_000;
/// Rounds that are simulated to see what the model needs between the fitted parts.
const PILOT_ROUNDS: u64 = 40;

/// What the half of the recording that is for fitting says, in nanoseconds.
pub(super) fn told(r: &Recording) -> ByClass {
    if r.measured.is_empty() {
        return of_samples(r);
    }
    let kept = r.measured.iter().map(|(class, all)| {
        let fitting = all.iter().filter(|(at, _)| r.for_fitting(r.round_at(*at)));
        (*class, fitting.map(|m| m.1).collect::<Vec<u64>>())
    });
    kept.filter(|(_, m)| !m.is_empty()).collect()
}

/// What the model needs for the same parts when the fitted costs are 0.
pub(super) fn needs(r: &Recording, kernel: KernelVersion, zero: &Costs) -> ByClass {
    if !r.measured.is_empty() {
        let rounds = Rounds::new(r.timers(), r.same_expiry, kernel);
        let mut all = ByClass::new();
        for seed in 1..=PILOT_ROUNDS {
            for (class, measured) in rounds.measured(zero, seed) {
                all.entry(class).or_default().extend(measured.iter().map(|m| m.1));
            }
        }
        return all;
    }
    // With one expiry for all, one pass has all callbacks.
    let rounds = Rounds::new(r.timers(), true, kernel);
    let mut all = ByClass::new();
    let mut add = |class, ns| all.entry(class).or_default().push(ns);
    // The interrupt is not told from the softirq where no pass says when it began.
    let whole = !of_samples(r).contains_key(&CostClass::SoftirqEntry);
    for seed in 1..=PILOT_ROUNDS {
        let expiries = rounds.run(zero, seed);
        if let Some(e) = expiries.first() {
            let until = if whole { e.callback } else { e.softirq };
            add(CostClass::IrqEntry, until.since(e.programmed));
            add(CostClass::SoftirqEntry, e.callback.since(e.softirq));
        }
        for w in expiries.windows(2).filter(|w| w[0].softirq == w[1].softirq) {
            add(CostClass::Call, w[1].callback.since(w[0].callback));
            add(CostClass::Hrtimer, w[1].armed.since(w[0].armed));
        }
    }
    all
}

/// `irq_entry` is up to the pass where that is known, otherwise up to the callback.
fn of_samples(r: &Recording) -> ByClass {
    let fitting = r.rounds.iter().enumerate().filter(|(i, _)| r.for_fitting(*i));
    let rounds: Vec<&Vec<Sample>> = fitting.map(|(_, round)| round).collect();
    let pairs = || rounds.iter().flat_map(|r| r.windows(2));
    let starts: Vec<u64> = pairs().map(|w| w[1].armed.abs_diff(w[0].armed)).collect();
    let apart = pairs().map(|w| w[1].actual.abs_diff(w[0].actual)).collect();
    let far = (PASS_TIMES * median(apart).unwrap_or(0)).max(PASS_NS);
    let passes: Vec<Vec<Vec<Sample>>> = rounds.iter().map(|r| passes_of(r, far)).collect();
    let gaps =
        |p: &Vec<Sample>| p.windows(2).map(|w| w[1].actual - w[0].actual).collect::<Vec<_>>();
    let call: Vec<u64> = passes.iter().flatten().flat_map(gaps).collect();
    let soft: Vec<u64> = passes.iter().flat_map(|p| pass_to_callback(p)).collect();
    let (to_callback, per_call) = (median(soft.clone()).unwrap_or(0), median(call.clone()));
    let mut irq = Vec::new();
    for split in &passes {
        let mut free = 0;
        for pass in split {
            let due = pass[0].expected.max(free);
            irq.push((pass[0].actual - to_callback.min(pass[0].actual)).saturating_sub(due));
            free = pass[pass.len() - 1].actual + per_call.unwrap_or(0);
        }
    }
    let all = [
        (CostClass::IrqEntry, irq),
        (CostClass::SoftirqEntry, soft),
        (CostClass::Call, call),
        (CostClass::Hrtimer, starts),
    ];
    all.into_iter().filter(|(_, m)| !m.is_empty()).collect()
}

/// The passes of the softirq that ran a round's callbacks, each in the order of their beginnings.
fn passes_of(round: &[Sample], far: u64) -> Vec<Vec<Sample>> {
    let mut sorted = round.to_vec();
    sorted.sort_by_key(|s| (s.actual, s.armed));
    let together = |a: &Sample, b: &Sample| b.expected <= a.expected || b.actual - a.actual <= far;
    sorted.chunk_by(together).map(<[Sample]>::to_vec).collect()
}

/// From the beginning of a pass to its first callback, where a pass ended before some timer of its round was due: it
/// began between the expiries of the last timer in it and of the next.
fn pass_to_callback(split: &[Vec<Sample>]) -> Vec<u64> {
    let between = split.windows(2).filter_map(|w| {
        let began = w[0][w[0].len() - 1].expected.midpoint(w[1][0].expected);
        w[0][0].actual.checked_sub(began).filter(|ns| *ns > 0)
    });
    between.collect()
}

fn median(mut of: Vec<u64>) -> Option<u64> {
    of.sort_unstable();
    of.get(of.len() / 2).copied()
}
