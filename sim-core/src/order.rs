//! The order of a trace with the fewest preemptions.
//!
//! A failure belongs to its trace: every order of it fails alike. So the order that people are shown is searched among
//! the orders of the failing trace, by least cost first over (events done, last contexts). Exact, and cheap, because the
//! search gives up once its cost reaches the best known.

use crate::dpor::{Cut, Events};
use crate::exec::Exec;
use crate::ids::CtxId;
use crate::least::Course;
use crate::machine::Model;
use crate::policy::Limits;
use crate::schedule::Pick;
use std::collections::{BTreeMap, VecDeque};

/// Preemptions, then switches: the first matters most.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Cost {
    pub preemptions: u32,
    pub switches: u32,
}

impl Cost {
    pub const MAX: Cost = Cost { preemptions: u32::MAX, switches: u32::MAX };
}

/// States that the search may visit before it keeps the order that it has.
const MAX_STATES: usize = 200_000;

/// What has happened, and what says of the next step whether it is a preemption.
type State = (Cut, Course);

/// The cheapest way to each state: its cost, the state before and the event between.
type Ways = BTreeMap<State, (Cost, Option<(State, usize)>)>;

/// An order of the trace that costs less than `best`, if there is one (and the search stays within its bound).
pub(crate) fn fewest_preemptions<M: Model>(
    ev: &Events,
    exec: &Exec<'_, M>,
    best: Cost,
) -> Option<(Cost, Vec<Pick>)> {
    fewest_to(ev, exec, best, &ev.all())
}

/// The same for the events of a cut: the others are left out.
pub(crate) fn fewest_to<M: Model>(
    ev: &Events,
    exec: &Exec<'_, M>,
    best: Cost,
    goal: &Cut,
) -> Option<(Cost, Vec<Pick>)> {
    let start: State = (vec![0; ev.contexts()], Course::default());
    let mut from = Ways::new();
    let zero = Cost { preemptions: 0, switches: 0 };
    from.insert(start.clone(), (zero, None));
    // Buckets by cost; costs rise by at most one preemption and one switch a step.
    let mut open: BTreeMap<Cost, VecDeque<State>> = BTreeMap::new();
    open.entry(zero).or_default().push_back(start);
    while let Some(mut entry) = open.first_entry() {
        let cost = *entry.key();
        let Some(state) = entry.get_mut().pop_front() else {
            entry.remove();
            continue;
        };
        if cost >= best || from.len() > MAX_STATES {
            return None;
        }
        if from.get(&state).is_none_or(|f| f.0 < cost) {
            continue; // reached cheaper since
        }
        if state.0 == *goal {
            return Some((cost, path(ev, &from, state)));
        }
        let able = state.1.able(|c| enabled_after(ev, exec, &state.0, *c));
        for c in (0..ev.contexts() as u16).map(CtxId) {
            let Some(e) = next_of(ev, &state.0, c) else { continue };
            if state.0[c.index()] == goal[c.index()] {
                continue;
            }
            let mut cut = state.0.clone();
            cut[c.index()] += 1;
            let helper = ev.is_helper(c);
            let switched = !helper && state.1.last.is_some_and(|l| l != c);
            let mut course = state.1.clone();
            let preempted = !helper && course.step(c, ev.is_entry(e), able);
            let new = Cost {
                preemptions: cost.preemptions + u32::from(preempted),
                switches: cost.switches + u32::from(switched),
            };
            let next: State = (cut, course);
            if from.get(&next).is_none_or(|f| new < f.0) {
                from.insert(next.clone(), (new, Some((state.clone(), e))));
                open.entry(new).or_default().push_back(next);
            }
        }
    }
    None
}

/// Runs a schedule, in the default order from its end on, and puts it into the order with the fewest preemptions.
pub(crate) fn improve<M: Model>(
    exec: &mut Exec<'_, M>,
    picks: &mut Vec<Pick>,
    best: &mut Cost,
    limits: Limits,
) {
    let events = Events::log(exec, picks, limits);
    match fewest_preemptions(&events, exec, *best) {
        Some((cost, better)) => (*best, *picks) = (cost, better),
        None => *picks = events.picks().collect(),
    }
}

/// The next event of a context after a cut, if all that happens before it is in the cut.
fn next_of(ev: &Events, cut: &Cut, c: CtxId) -> Option<usize> {
    let e = *ev.of(c).get(usize::from(cut[c.index()]))? as usize;
    let past = ev.clock(e);
    let ready = (0..ev.contexts()).all(|x| x == c.index() || past[x] <= cut[x]);
    ready.then_some(e)
}

/// Whether the context's next step could happen after a cut: by its guard, on logged values.
fn enabled_after<M: Model>(ev: &Events, exec: &Exec<'_, M>, cut: &Cut, c: CtxId) -> bool {
    let value = |o| ev.value(o, cut);
    match ev.of(c).get(usize::from(cut[c.index()])) {
        Some(e) => {
            let e = *e as usize;
            // A daemon at its idle point has finished: leaving it preempts nobody.
            !ev.is_entry(e) && ev.guard(e).holds(c, ev.own(c), &value)
        }
        None => {
            if exec.is_done(c) || exec.is_idle(c) {
                return false;
            }
            let slot = exec.machine().slots[c.index()].borrow();
            slot.guard.holds(c, ev.own(c), &value)
        }
    }
}

fn path(ev: &Events, from: &Ways, end: State) -> Vec<Pick> {
    let mut picks = Vec::new();
    let mut at = end;
    while let Some((_, Some((before, e)))) = from.get(&at) {
        picks.push(ev.pick(*e));
        at = before.clone();
    }
    picks.reverse();
    picks
}
