//! What recordings tell about costs, and what the model needs for the same.
//!
//! A trace tells each part by its events ([`super::measure`]). Latency samples tell when a timer was started and when its
//! callback began; the parts in between follow from timers that are pending together.
//!
//! Of a sample that is for the check, only when it was started and due is used, never when it ran.

use super::fit::{ByClass, Played};
use super::{Measure, Recording, Sample, Split};
use timerace_core::step::CostClass;
use timerace_core::timed::Costs;

/// Samples do not say where a pass ends. A new one begins when callbacks are further apart than this many times the
/// median, and than so many nanoseconds.
const PASS_TIMES: u64 = 8;
const PASS_NS: u64 = 2_000;
/// Rounds that are simulated to see what the model needs between the fitted parts.
const PILOT_ROUNDS: usize = 40;
const PILOT_SEED: u64 = 3;

/// What the half of the recording that is for fitting says, in nanoseconds.
pub(super) fn told(p: &Played<'_>, split: Split) -> ByClass {
    let r = p.recording;
    if r.measured.is_empty() {
        return of_samples(r, split, p.loaded.is_some());
    }
    let kept = r.measured.iter().map(|(class, all)| {
        let fitting = all.iter().filter(|m| event_for_fitting(r, split, *class, m));
        (*class, fitting.map(|m| m.ns).collect::<Vec<u64>>())
    });
    kept.filter(|(_, m)| !m.is_empty()).collect()
}

/// Whether a length that a trace tells is used for fitting. A callback and a start belong to their timer; the rest is
/// shared by the timers of a round, and used if one of them is for fitting.
fn event_for_fitting(r: &Recording, split: Split, class: CostClass, m: &Measure) -> bool {
    let i = r.round_at(m.cpu, m.at);
    let Some(round) = r.rounds.get(i) else { return false };
    let is = |place: usize| r.for_fitting(split, i, place);
    let nearest = |of: fn(&Sample) -> u64| {
        let far = round.iter().map(|s| of(s).abs_diff(m.at)).enumerate();
        far.min_by_key(|(_, far)| *far).is_some_and(|(place, _)| is(place))
    };
    match class {
        CostClass::Call => nearest(|s| s.actual),
        CostClass::Hrtimer => nearest(|s| s.armed),
        _ => (0..round.len()).any(is),
    }
}

/// What the model needs for the parts that were told when the fitted costs are 0, on a CPU without load.
pub(super) fn needs(p: &Played<'_>, told: &ByClass, zero: &Costs) -> ByClass {
    if !p.recording.measured.is_empty() {
        let all = p.idle.measured(zero, PILOT_SEED, PILOT_ROUNDS).into_iter();
        return all.map(|(class, m)| (class, m.iter().map(|m| m.ns).collect())).collect();
    }
    let mut all = ByClass::new();
    let mut add = |class, ns| all.entry(class).or_default().push(ns);
    // The interrupt is not told from the softirq where no pass says when it began.
    let whole = !told.contains_key(&CostClass::SoftirqEntry);
    let expiries = p.in_one_pass.run(zero, PILOT_SEED, PILOT_ROUNDS);
    for expiries in expiries.chunks(p.recording.timers()) {
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

/// How long interrupts take up to the softirq's pass, in nanoseconds, on a CPU without load.
pub(super) fn interrupts(p: &Played<'_>, costs: &Costs) -> Vec<u64> {
    let expiries = p.in_one_pass.run(costs, PILOT_SEED, PILOT_ROUNDS);
    let first = expiries.chunks(p.recording.timers()).filter_map(<[_]>::first);
    first.filter_map(|e| Some(e.softirq.since(e.irq?))).collect()
}

/// A sample for fitting, and how many timers of its round were due before it.
#[derive(Copy, Clone)]
struct Seen {
    rank: usize,
    sample: Sample,
}

impl Seen {
    /// Callbacks for the check that ran between two.
    fn hidden_until(self, next: Seen) -> usize {
        (next.rank - self.rank).saturating_sub(1)
    }

    fn until(self, next: Seen) -> u64 {
        next.sample.actual.saturating_sub(self.sample.actual)
    }
}

/// A pass of the softirq, as far as it was seen.
struct Pass {
    /// Callbacks of the pass before the first one that was seen, where that is known.
    before: Option<usize>,
    seen: Vec<Seen>,
}

impl Pass {
    fn first(&self) -> Seen {
        self.seen[0]
    }

    fn last(&self) -> Seen {
        self.seen[self.seen.len() - 1]
    }
}

/// `irq_entry` is up to the pass where that is known, otherwise up to the callback. A load comes between passes and callbacks:
/// under it a pass is not known to have begun, and starts that are far apart are none that followed each other.
fn of_samples(r: &Recording, split: Split, loaded: bool) -> ByClass {
    let rounds: Vec<Vec<Seen>> = (0..r.rounds.len()).map(|i| seen(r, split, i)).collect();
    let pairs = || rounds.iter().flat_map(|seen| seen.windows(2).map(|w| (w[0], w[1])));
    let usual = median(pairs().filter(|(a, b)| a.hidden_until(*b) == 0).map(|(a, b)| a.until(b)));
    let passes: Vec<Vec<Pass>> =
        rounds.iter().map(|seen| passes_of(seen, usual.unwrap_or(0))).collect();
    let gaps = passes.iter().flatten().flat_map(|p| p.seen.windows(2));
    let call: Vec<u64> =
        gaps.filter(|w| w[0].hidden_until(w[1]) == 0).map(|w| w[0].until(w[1])).collect();
    let calls = |n: usize| (call.iter().sum::<u64>() * n as u64) / (call.len().max(1) as u64);
    let mut soft: Vec<u64> = passes.iter().flat_map(|p| pass_to_callback(p, &calls)).collect();
    if loaded {
        soft.clear();
    }
    let to_callback = median(soft.iter().copied()).unwrap_or(0);
    let mut irq = Vec::new();
    for (round, passes) in r.rounds.iter().zip(&passes) {
        let mut due = round.iter().map(|s| s.expected).min().unwrap_or(0);
        let mut free: Option<Seen> = None;
        for pass in passes {
            let first = pass.first();
            if let Some(last) = free {
                let hidden = last.hidden_until(first);
                due = first.sample.expected.max(last.sample.actual + calls(hidden + 1));
            }
            let began = first.sample.actual.saturating_sub(calls(pass.before.unwrap_or(0)));
            irq.push(began.saturating_sub(to_callback).saturating_sub(due));
            free = Some(pass.last());
        }
    }
    let mut starts = starts(r, split);
    if loaded {
        let far = apart(median(starts.iter().copied()).unwrap_or(0));
        starts.retain(|ns| *ns <= far);
    }
    let all = [
        (CostClass::IrqEntry, irq),
        (CostClass::SoftirqEntry, soft),
        (CostClass::Call, call),
        (CostClass::Hrtimer, starts),
    ];
    all.into_iter().filter(|(_, m)| !m.is_empty()).collect()
}

/// The samples of a round that are for fitting, in the order in which they were due.
fn seen(r: &Recording, split: Split, round: usize) -> Vec<Seen> {
    let mut all: Vec<(usize, Sample)> = r.rounds[round].iter().copied().enumerate().collect();
    all.sort_by_key(|(_, s)| (s.expected, s.armed));
    let ranked = all.into_iter().enumerate();
    let fitting = ranked.filter(|(_, (place, _))| r.for_fitting(split, round, *place));
    fitting.map(|(rank, (_, sample))| Seen { rank, sample }).collect()
}

/// From one start of a program to the next, where both are for fitting.
fn starts(r: &Recording, split: Split) -> Vec<u64> {
    let mut all = Vec::new();
    for (i, round) in r.rounds.iter().enumerate() {
        let both =
            |place: &usize| r.for_fitting(split, i, *place) && r.for_fitting(split, i, *place + 1);
        let places = (0..round.len().saturating_sub(1)).filter(both);
        all.extend(places.map(|k| round[k + 1].armed.abs_diff(round[k].armed)));
    }
    all
}

/// What follows later than this is not of the same run.
fn apart(usual: u64) -> u64 {
    (PASS_TIMES * usual).max(PASS_NS)
}

/// The passes of the softirq that ran a round's callbacks, each in the order of their beginnings. `usual`: nanoseconds
/// from one callback to the next.
fn passes_of(seen: &[Seen], usual: u64) -> Vec<Pass> {
    let far = apart(usual);
    let together = |a: &Seen, b: &Seen| {
        let hidden = a.hidden_until(*b) as u64;
        b.sample.expected <= a.sample.expected || a.until(*b) <= far + hidden * usual
    };
    let mut passes: Vec<Pass> = Vec::new();
    for chunk in seen.chunk_by(together) {
        let before = match passes.last() {
            None => Some(chunk[0].rank),
            Some(p) => (p.last().hidden_until(chunk[0]) == 0).then_some(0),
        };
        passes.push(Pass { before, seen: chunk.to_vec() });
    }
    passes
}

/// From the beginning of a pass to its first callback, where a pass ended before some timer of its round was due: it
/// began between the expiries of the last timer in it and of the next. `calls`: what so many callbacks take.
fn pass_to_callback(passes: &[Pass], calls: &impl Fn(usize) -> u64) -> Vec<u64> {
    let between = passes.windows(2).filter_map(|w| {
        w[1].before?;
        let began = w[0].last().sample.expected.midpoint(w[1].first().sample.expected);
        let first = w[0].first().sample.actual.checked_sub(calls(w[0].before?))?;
        first.checked_sub(began).filter(|ns| *ns > 0)
    });
    between.collect()
}

fn median(of: impl Iterator<Item = u64>) -> Option<u64> {
    let mut of: Vec<u64> = of.collect();
    of.sort_unstable();
    of.get(of.len() / 2).copied()
}
