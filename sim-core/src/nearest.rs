//! The nearest schedule that passes: what would have to come earlier for the finding not to show.
//!
//! Two steps of different contexts race if they conflict and nothing else orders them. Each race of the failing schedule
//! is reversed, as the exploration does it ([`crate::dpor`]): the later step, and what it needs, comes before the earlier
//! one; the rest follows in the old order as far as it fits. So does the step in which a stuck context waits, and each
//! alternative that was taken is tried the other way. Of the schedules without a finding the nearest is the one with the
//! fewest conflicting steps in another order or missing. Where one change does not suffice, more are tried.

use crate::dpor::{Cut, Events};
use crate::exec::Exec;
use crate::ids::CtxId;
use crate::machine::Model;
use crate::policy::{Choice, Ended, Limits, Replay, default_pick};
use crate::record::record;
use crate::schedule::{Pick, Schedule};
use crate::step::Guard;
use std::collections::BTreeSet;

/// Changes of one schedule, at most.
const MAX_CHANGES: u32 = 4;

/// Executions after which the search gives up.
const MAX_EXECUTIONS: usize = 2_000;

/// A schedule without a finding, close to one with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// The whole schedule.
    pub schedule: Schedule,
    /// Its short text.
    pub text: String,
    /// What is different: one change, where that suffices.
    pub changes: Vec<Change>,
    /// Pairs of conflicting steps that come in another order, and steps that do not happen at all.
    pub distance: u32,
}

/// How a schedule differs from the failing one, whose steps are numbered from 1.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A step comes before another one.
    Earlier {
        /// Whose.
        ctx: CtxId,
        /// Its number; `None` for the one in which its context is stuck.
        step: Option<u32>,
        /// The number of the step that comes later now.
        before: u32,
    },
    /// A step takes another alternative.
    Alternative {
        /// Its number.
        step: u32,
        /// What it takes.
        alt: u8,
    },
    /// A step does not happen.
    Missing {
        /// Its number.
        step: u32,
    },
}

/// A step by its context and its place among that context's.
type Name = (CtxId, u16);

/// A change by the names of the steps.
#[derive(Copy, Clone)]
enum Named {
    Earlier(Name, Name),
    Alternative(Name, u8),
}

/// An execution that was tried.
struct Tried {
    picks: Vec<Pick>,
    changes: Vec<Named>,
}

/// The nearest schedule without a finding; `None` if few changes lead to none.
pub fn nearest_passing<M: Model>(
    exec: &mut Exec<'_, M>,
    failing: &Schedule,
    limits: Limits,
) -> Option<Passing> {
    let original = Events::log(exec, &failing.picks, limits);
    let mut executions = 0;
    let mut seen: BTreeSet<Vec<Pick>> = BTreeSet::new();
    let mut layer = vec![Tried { picks: original.picks().collect(), changes: Vec::new() }];
    for _ in 0..MAX_CHANGES {
        let mut next = Vec::new();
        let mut best: Option<Passing> = None;
        for tried in &layer {
            let mut events = Events::log(exec, &tried.picks, limits);
            events.grow(exec.machine());
            let mut ideas = reversals(&events);
            ideas.extend(of_stuck(exec, &events));
            ideas.extend(alternatives(&events));
            for (order, change) in ideas {
                if !seen.insert(order.clone()) {
                    continue;
                }
                if executions >= MAX_EXECUTIONS {
                    return best;
                }
                executions += 1;
                let Some((picks, passes)) = follow(exec, &order, limits) else { continue };
                let mut changes = tried.changes.clone();
                changes.push(change);
                if passes {
                    let new = passing(exec, &original, picks, &changes, limits);
                    if best.as_ref().is_none_or(|b| new.distance < b.distance) {
                        best = Some(new);
                    }
                } else {
                    next.push(Tried { picks, changes });
                }
            }
        }
        if best.is_some() {
            return best;
        }
        layer = next;
    }
    None
}

fn passing<M: Model>(
    exec: &mut Exec<'_, M>,
    original: &Events,
    picks: Vec<Pick>,
    changes: &[Named],
    limits: Limits,
) -> Passing {
    let new = Events::log(exec, &picks, limits);
    let in_new = |(c, i): Name| new.of(c).get(usize::from(i)).copied();
    let number = |(c, i): Name| original.of(c).get(usize::from(i)).map(|e| e + 1);
    let known = |c: &Named| match *c {
        Named::Earlier(a, b) => {
            let (ctx, step, before) = (a.0, number(a), number(b)?);
            // A later change may have undone it.
            let was_later = step.is_none_or(|s| s > before);
            let is_earlier = in_new(a).is_some_and(|a| in_new(b).is_none_or(|b| a < b));
            (was_later && is_earlier).then_some(Change::Earlier { ctx, step, before })
        }
        Named::Alternative(a, alt) => {
            let (step, there) = (number(a)?, in_new(a)?);
            let is_taken = new.pick(there as usize).alt == alt;
            let is_new = original.pick(step as usize - 1).alt != alt;
            (is_taken && is_new).then_some(Change::Alternative { step, alt })
        }
    };
    let mut told: Vec<Change> = changes.iter().filter_map(known).collect();
    if told.is_empty() {
        told.extend(first_difference(original, &new));
    }
    let schedule = Schedule { picks };
    let text = record(exec, &mut Replay::new(&schedule), limits).text;
    Passing { schedule, text, changes: told, distance: distance(original, &new) }
}

/// Where the steps of the first are in the second.
fn places(a: &Events, b: &Events) -> Vec<Option<u32>> {
    let place = |e: usize| b.of(a.ctx(e)).get(usize::from(a.index(e))).copied();
    (0..a.len()).map(place).collect()
}

/// Pairs of conflicting steps of the first that come in another order in the second, which has them at these places.
fn turned<'a>(
    a: &'a Events,
    places: &'a [Option<u32>],
) -> impl Iterator<Item = (usize, usize)> + 'a {
    let pairs = (0..a.len()).flat_map(|x| (x + 1..a.len()).map(move |y| (x, y)));
    pairs.filter(|(x, y)| {
        let turned = places[*x].zip(places[*y]).is_some_and(|(p, q)| q < p);
        turned && crate::step::conflict(a.fp(*x), a.fp(*y))
    })
}

/// The first pair that comes in another order, or else the first step that the second has not.
fn first_difference(a: &Events, b: &Events) -> Option<Change> {
    let places = places(a, b);
    if let Some((x, y)) = turned(a, &places).next() {
        let (step, before) = (Some(y as u32 + 1), x as u32 + 1);
        return Some(Change::Earlier { ctx: a.ctx(y), step, before });
    }
    let missing = places.iter().position(Option::is_none)?;
    Some(Change::Missing { step: missing as u32 + 1 })
}

/// Pairs of conflicting steps of both that come in another order, and steps of the first that the second has not.
fn distance(a: &Events, b: &Events) -> u32 {
    let places = places(a, b);
    let missing = places.iter().filter(|p| p.is_none()).count();
    (missing + turned(a, &places).count()) as u32
}

type Idea = (Vec<Pick>, Named);

/// Every race of an execution the other way.
fn reversals(ev: &Events) -> Vec<Idea> {
    let mut out = Vec::new();
    let mut rivals = Vec::new();
    for later in 0..ev.len() {
        rivals.clear();
        ev.fp(later).iter().for_each(|a| ev.rivals(*a, later, &mut rivals));
        rivals.sort_unstable();
        rivals.dedup();
        let q = ev.ctx(later);
        let mine = past(ev, q, ev.index(later));
        for earlier in rivals.iter().copied().filter(|d| !ev.contains(&mine, *d)) {
            let mut cut = ev.all();
            ev.remove_up(&mut cut, earlier);
            ev.remove_up(&mut cut, later);
            let first = until_enabled(ev, q, ev.guard(later), &mine, &mut cut);
            let Some(first) = first.map(|f| f.unwrap_or(earlier)) else { continue };
            let change = Named::Earlier(name(ev, later), name(ev, first));
            out.push((order(ev, &cut, ev.pick(later)), change));
        }
    }
    out
}

/// The steps in which contexts are stuck at the end, before what keeps them from happening.
fn of_stuck<M: Model>(exec: &Exec<'_, M>, ev: &Events) -> Vec<Idea> {
    let mut out = Vec::new();
    for q in exec.stuck() {
        let index = ev.of(q).len() as u16;
        let mine = past(ev, q, index);
        let mut cut = ev.all();
        let guard = exec.machine().slots[q.index()].borrow().guard.clone();
        if let Some(Some(first)) = until_enabled(ev, q, &guard, &mine, &mut cut) {
            let change = Named::Earlier((q, index), name(ev, first));
            out.push((order(ev, &cut, Pick { ctx: q, alt: 0 }), change));
        }
    }
    out
}

/// Every step that has alternatives with its first one, or with the second where it took that.
fn alternatives(ev: &Events) -> Vec<Idea> {
    let other = |e: usize| {
        let mut picks: Vec<Pick> = ev.picks().collect();
        let alt = u8::from(picks[e].alt == 0);
        picks[e].alt = alt;
        (picks, Named::Alternative(name(ev, e), alt))
    };
    (0..ev.len()).filter(|e| ev.alternatives(*e) > 1).map(other).collect()
}

fn name(ev: &Events, e: usize) -> Name {
    (ev.ctx(e), ev.index(e))
}

/// What happens before the step of `q` with this index because of `q` itself.
fn past(ev: &Events, q: CtxId, index: u16) -> Cut {
    match index.checked_sub(1) {
        Some(p) => ev.clock(ev.of(q)[usize::from(p)] as usize).to_vec(),
        None => vec![0; ev.contexts()],
    }
}

/// Takes events out of the cut until a step of `q` can happen after it; the last one that was taken out, with which the
/// step really competes: of a lock, not the unlock but the lock before. `None`: it needs what `q` itself did.
fn until_enabled(
    ev: &Events,
    q: CtxId,
    guard: &Guard,
    mine: &[u16],
    cut: &mut Cut,
) -> Option<Option<usize>> {
    let mut first = None;
    let mut blamed = Vec::new();
    loop {
        guard.blame(q, ev.own(q), &|o| ev.value(o, cut), &mut blamed);
        let Some(o) = blamed.first() else { return Some(first) };
        let (w, _) = ev.last_writer(*o, cut)?;
        if ev.contains(mine, w) {
            return None;
        }
        ev.remove_up(cut, w);
        first = Some(w);
    }
}

/// The events of the cut, a step, and then all others, each in the old order.
fn order(ev: &Events, cut: &Cut, step: Pick) -> Vec<Pick> {
    let inside = |e: &usize| ev.contains(cut, *e);
    let outside = |e: &usize| !inside(e);
    let mut rest: Vec<Pick> = (0..ev.len()).filter(outside).map(|e| ev.pick(e)).collect();
    if let Some(own) = rest.iter().position(|p| p.ctx == step.ctx) {
        rest.remove(own);
    }
    let before = (0..ev.len()).filter(inside).map(|e| ev.pick(e));
    before.chain([step]).chain(rest).collect()
}

/// Follows an order: of what is left the first that can step, each context's steps in their order. Whether there is no
/// finding; `None` if a limit was reached.
fn follow<M: Model>(
    exec: &mut Exec<'_, M>,
    order: &[Pick],
    limits: Limits,
) -> Option<(Vec<Pick>, bool)> {
    let mut left = order.to_vec();
    let (mut ready, mut taken) = (Vec::new(), Vec::new());
    exec.restart();
    loop {
        exec.ready(&mut ready);
        if ready.is_empty() {
            exec.end();
            let passes = exec.machine().mem.borrow().findings.is_empty();
            return Some((taken, passes));
        }
        if limits.reached(exec).is_some_and(|e| e != Ended::Complete) {
            return None;
        }
        let fits = |p: &Pick| ready.contains(&p.ctx) && p.alt < exec.alternatives(p.ctx);
        let pick = match left.iter().position(fits) {
            Some(i) => left.remove(i),
            None => {
                let last = taken.last().map(|p: &Pick| p.ctx);
                let idle = |c| exec.is_idle(c);
                let alternatives = |c| exec.alternatives(c);
                let choice =
                    Choice { ready: &ready, idle: &idle, last, alternatives: &alternatives };
                Pick { ctx: default_pick(&choice), alt: 0 }
            }
        };
        exec.step(pick.ctx, pick.alt);
        taken.push(pick);
    }
}
