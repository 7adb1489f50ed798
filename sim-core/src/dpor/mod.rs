//! Exhaustive exploration: every inequivalent schedule, once.
//!
//! Source-set dynamic partial-order reduction with sleep sets (Abdulla, Aronsson, Jonsson, Sagonas 2014, 2017) over
//! re-execution. Guards are data, so a reversal is checked against the logged values before it is scheduled, and a step
//! that is not enabled at the point of a race is moved before whatever disables it. Contexts that still wait at the end
//! get virtual races: without them a deadlock, or a timer that was cancelled, would hide executions.
//!
//! Guarantee: every Mazurkiewicz trace of the model is run exactly once within the bounds; besides those, some executions
//! are given up because they are covered elsewhere ([`crate::result::Exploration::blocked`]). Memory is proportional to
//! the longest execution.

mod events;
pub(crate) mod mutant;
mod races;

use crate::detect::FindingKey;
use crate::exec::Exec;
use crate::ids::CtxId;
use crate::lockdep::Known;
use crate::lockdep::circle::conclude;
use crate::machine::{Machine, Model};
use crate::mem::{Mark, Mem};
use crate::mix::mix;
use crate::order;
use crate::policy::{Ended, Limits};
use crate::result::{Exploration, Tally};
use crate::schedule::{Pick, Schedule};
pub(crate) use events::{Cut, Events};
use mutant::Mutant;
use races::Races;

/// A set of contexts, one bit each.
pub(crate) type CtxSet = u128;

/// The most contexts that a machine may have to be explored: they are bits of a word.
pub const MAX_EXPLORED: usize = 128;

pub(crate) fn bit(c: CtxId) -> CtxSet {
    1 << c.0
}

/// What to explore, and when to stop.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Go on after the first schedule with a finding.
    pub keep_going: bool,
    /// Run at most this many schedules.
    pub max_schedules: Option<u64>,
    /// Stop when a table of states or of final states has more bytes; `None`: no bound. Other memory of a search is small.
    pub max_memory: Option<u64>,
    /// Limits of each execution.
    pub limits: Limits,
    /// Run every execution of a sample, also where its states are known. The result is the same.
    pub forgets: bool,
}

/// A complete execution, to be looked at by predicates.
pub struct View<'a> {
    /// Shared memory at its end.
    pub mem: &'a Mem,
    /// The machine.
    pub machine: &'a Machine,
    /// How it ended.
    pub ended: &'a Ended,
    pub(crate) stuck: &'a [CtxId],
    pub(crate) events: Option<&'a Events>,
    /// The schedule that was run, of views without an order of their own.
    pub(crate) picks: Option<&'a dyn Fn() -> Vec<Pick>>,
}

impl<'a> View<'a> {
    /// A view without an order of its own: steps are ordered as they were run.
    pub fn linear(
        machine: &'a Machine,
        mem: &'a Mem,
        ended: &'a Ended,
        stuck: &'a [CtxId],
    ) -> View<'a> {
        View { mem, machine, ended, stuck, events: None, picks: None }
    }

    /// The schedule that was run; `None` for timed runs.
    pub fn schedule(&self) -> Option<Schedule> {
        let of_trace = self.events.map(|e| e.picks().collect());
        let picks = of_trace.or_else(|| self.picks.map(|picks| picks()));
        picks.map(|picks| Schedule { picks })
    }

    /// Contexts that have begun something and could not go on.
    pub fn stuck(&self) -> &'a [CtxId] {
        self.stuck
    }

    /// Identifies the trace: the same for all its schedules. 0 for views without an order of their own.
    pub fn trace_digest(&self) -> u64 {
        self.events.map_or(0, Events::digest)
    }

    /// Functions entered and left, and named events, in the order of the run.
    pub fn marks(&self) -> &'a [Mark] {
        &self.mem.marks
    }

    /// Whether the `a.1`-th step of context `a.0` (from 0) happens before that of `b`, or is the same: by the
    /// happens-before order of the trace, so the same in all its schedules.
    pub fn before(&self, a: (CtxId, u32), b: (CtxId, u32)) -> Option<bool> {
        let ev = self.events?;
        Some(a == b || ev.happens_before(a, b))
    }
}

/// Looks at every complete execution of a search.
pub trait Observer {
    /// Whether functions and events must be marked (it costs time).
    fn needs_marks(&self) -> bool;
    /// Whether schedules are counted or the order of events is judged. If not, only final states and findings matter,
    /// and an execution may be shown again.
    fn needs_traces(&self) -> bool {
        true
    }
    /// Whether it says of schedules that durations do not allow them ([`crate::timing`]).
    fn respects_durations(&self) -> bool {
        false
    }
    /// Whether durations allow a schedule; if not, its trace is not counted and not shown. The same for every schedule of
    /// a trace.
    fn possible(&mut self, schedule: &[Pick]) -> bool {
        let _ = schedule;
        true
    }
    /// A complete execution.
    fn execution(&mut self, view: &View<'_>);
    /// A complete execution that is shown again, for what the search as a whole has found in it. It is not to be counted.
    fn again(&mut self, view: &View<'_>) {
        self.execution(view);
    }
    /// What the last execution was to this observer, for [`Observer::repeated`]. It may depend on how it ended: the final
    /// state, the findings with their places, and on the marks that are followed, with their order among each other and
    /// those places. `None`: every execution must be shown.
    fn outcome(&self) -> Option<u64> {
        None
    }
    /// Whether [`Observer::outcome`] depends on the mark. `names`: those of bodies.
    fn follows(&self, mark: &Mark, names: &[String]) -> bool {
        let _ = (mark, names);
        true
    }
    /// Another execution that is like one that was shown and had this outcome.
    fn repeated(&mut self, outcome: u64) {
        let _ = outcome;
    }
    /// A progress report: schedules so far.
    fn progress(&mut self, schedules: u64) {
        let _ = schedules;
    }
    /// Whether the search should go on; asked after each execution.
    fn go_on(&mut self) -> bool {
        true
    }
}

/// An observer that looks at nothing.
#[derive(Copy, Clone, Debug, Default)]
pub struct Ignore;

impl Observer for Ignore {
    fn needs_marks(&self) -> bool {
        false
    }
    fn needs_traces(&self) -> bool {
        false
    }
    fn execution(&mut self, _: &View<'_>) {}
    fn outcome(&self) -> Option<u64> {
        Some(0)
    }
    fn follows(&self, _: &Mark, _: &[String]) -> bool {
        false
    }
}

/// A point of the current execution at which a choice was made.
#[derive(Clone, Debug)]
struct Level {
    cur: CtxId,
    alt: u8,
    alts: u8,
    /// Contexts whose next step need not be tried here.
    sleep: CtxSet,
    /// Of these, those whose step wrote nothing when it was tried: it still would, while they sleep.
    unchanged: CtxSet,
    /// Contexts that were or will be tried here.
    chosen: CtxSet,
    /// Those still to be tried.
    rest: CtxSet,
}

/// Explores all inequivalent schedules of a model.
///
/// # Panics
/// If the machine has more than [`MAX_EXPLORED`] contexts, or if a model breaks the contract of a step
/// ([`mod@crate::step`]): a step whose turn came by reversal is not enabled, or has another footprint.
pub fn explore<M: Model>(
    exec: &mut Exec<'_, M>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Exploration {
    let mut t = Traces::new(exec);
    t.turn(exec, options, observer, u64::MAX);
    conclude(exec, &mut t.tally, options.limits, observer);
    t.into_exploration(exec, options)
}

/// The beginning of executions, with who sleeps at each of its steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefix(Vec<Level>);

/// All beginnings that are one step longer than a prefix, or the prefix itself where nothing can follow. Every context
/// that does not sleep is tried, so each trace begins with exactly one of them.
pub(crate) fn longer<M: Model>(exec: &mut Exec<'_, M>, prefix: &Prefix) -> Vec<Prefix> {
    let mut t = Traces::below(exec, prefix);
    let options = Options::default();
    let mut s = Search { exec, options: &options, t: &mut t };
    if prefix.0.is_empty() {
        s.exec.restart();
    } else {
        s.replay();
    }
    let mut ready = Vec::new();
    s.exec.ready(&mut ready);
    if ready.is_empty() {
        return vec![prefix.clone()];
    }
    let (mut sleep, mut unchanged) = s.asleep();
    let mut all = Vec::new();
    for cur in ready {
        if sleep & bit(cur) != 0 {
            continue;
        }
        s.t.levels.truncate(prefix.0.len());
        let mut alts = 1;
        let mut alt = 0;
        while alt < alts {
            let rest = 0;
            let level = Level { cur, alt, alts, sleep, unchanged, chosen: !0, rest };
            s.t.levels.truncate(prefix.0.len());
            s.t.levels.push(level);
            s.replay();
            alts = s.t.levels.last().map_or(1, |l| l.alts);
            all.push(Prefix(s.t.levels.clone()));
            alt += 1;
        }
        if s.t.events.is_unchanged(prefix.0.len()) {
            unchanged |= bit(cur);
        }
        sleep |= bit(cur);
    }
    all
}

/// Explores all schedules with sleep sets alone: every branch is tried, so that nothing depends on finding races. Far
/// slower than [`explore`], and for checking it: numbers and digests must be the same.
///
/// # Panics
/// As [`explore`].
pub fn explore_every_branch<M: Model>(
    exec: &mut Exec<'_, M>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Exploration {
    let mut t = Traces { every_branch: true, ..Traces::new(exec) };
    t.turn(exec, options, observer, u64::MAX);
    conclude(exec, &mut t.tally, options.limits, observer);
    t.into_exploration(exec, options)
}

/// How a turn of a search ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Nothing is left, or the search is to stop.
    Done,
    /// There is more.
    OutOfBudget,
}

/// A search that can be interrupted.
pub(crate) struct Traces {
    levels: Vec<Level>,
    events: Events,
    races: Races,
    pub tally: Tally,
    ready: Vec<CtxId>,
    /// Steps so far, those of replays included.
    pub steps: u64,
    /// Executions after which a turn ends.
    pub pause_after: u64,
    /// Every context that does not sleep is tried at every step, and races are not looked at.
    every_branch: bool,
    /// The first levels, as many, are given: other choices there are made elsewhere.
    fixed: usize,
    /// What is known of locks already.
    known: Known,
}

impl Traces {
    pub fn new<M: Model>(exec: &Exec<'_, M>) -> Traces {
        let machine = exec.machine();
        assert!(machine.contexts().len() <= MAX_EXPLORED, "too many contexts to explore");
        Traces {
            levels: Vec::new(),
            events: Events::new(machine),
            races: Races::default(),
            tally: Tally::default(),
            ready: Vec::new(),
            steps: 0,
            pause_after: u64::MAX,
            every_branch: false,
            fixed: 0,
            known: Known::default(),
        }
    }

    /// A search of what begins with a prefix.
    pub fn below<M: Model>(exec: &Exec<'_, M>, prefix: &Prefix) -> Traces {
        let levels = prefix.0.clone();
        Traces { fixed: levels.len(), levels, ..Traces::new(exec) }
    }

    /// How many executions it has begun.
    pub fn executions(&self) -> u64 {
        self.tally.schedules + self.tally.blocked + self.tally.impossible
    }

    pub fn into_exploration<M: Model>(self, exec: &Exec<'_, M>, options: &Options) -> Exploration {
        self.tally.into_exploration("exhaustive", exec.machine().names(), options)
    }

    /// Goes on for about so many steps.
    pub fn turn<M: Model>(
        &mut self,
        exec: &mut Exec<'_, M>,
        options: &Options,
        observer: &mut dyn Observer,
        budget: u64,
    ) -> Turn {
        let machine = exec.machine();
        machine.mem.borrow_mut().marking = observer.needs_marks();
        machine.exchange_known(&mut self.known);
        let turn = Search { exec, options, t: self }.run(observer, budget);
        machine.exchange_known(&mut self.known);
        machine.mem.borrow_mut().marking = false;
        turn
    }
}

struct Search<'e, 'm, M> {
    exec: &'e mut Exec<'m, M>,
    options: &'e Options,
    t: &'e mut Traces,
}

impl<M: Model> Search<'_, '_, M> {
    fn run(&mut self, observer: &mut dyn Observer, budget: u64) -> Turn {
        let until = self.t.steps.saturating_add(budget);
        loop {
            let changed = self.replay();
            let ended = self.extend();
            self.t.steps += u64::from(self.exec.steps());
            let (locks, events) = (&mut self.t.tally.locks, &self.t.events);
            locks.note(self.exec.machine(), || events.picks().collect());
            if let Some(ended) = &ended {
                self.judge(ended, observer);
                if self.t.tally.stopped || !observer.go_on() {
                    return Turn::Done;
                }
                if self.t.tally.is_full(self.options) {
                    return Turn::Done;
                }
                if self.options.max_schedules.is_some_and(|m| self.t.tally.schedules >= m) {
                    // The bound is hit only if something is left; looking once more tells.
                    self.find_races(changed, true);
                    if self.backtrack() {
                        self.t.tally.max_hit = true;
                    }
                    return Turn::Done;
                }
            } else {
                self.t.tally.blocked += 1;
            }
            let finished = !matches!(ended, Some(Ended::StepLimit | Ended::ExpiryLimit));
            self.find_races(changed, finished);
            if !self.backtrack() {
                return Turn::Done;
            }
            if self.t.steps >= until || self.t.executions() >= self.t.pause_after {
                return Turn::OutOfBudget;
            }
        }
    }

    /// Starts over and follows the choices of every level; logs the step of the deepest, which is new. Returns its index.
    fn replay(&mut self) -> usize {
        self.exec.restart();
        let Some(deepest) = self.t.levels.len().checked_sub(1) else {
            self.t.events.truncate(0);
            return 0;
        };
        self.t.events.truncate(deepest);
        for k in 0..deepest {
            let l = &self.t.levels[k];
            debug_assert!(self.exec.enabled(l.cur), "a replayed step is enabled");
            let pick = Pick { ctx: l.cur, alt: l.alt };
            if k < self.t.events.len() {
                self.exec.step(pick.ctx, pick.alt);
            } else {
                self.step(pick);
            }
        }
        let l = &mut self.t.levels[deepest];
        l.alts = self.exec.alternatives(l.cur);
        assert!(
            self.exec.enabled(l.cur),
            "the reversed step of {} is not enabled: a guard or a footprint is wrong",
            self.exec.machine().contexts()[l.cur.index()].name
        );
        let pick = Pick { ctx: l.cur, alt: l.alt };
        self.step(pick);
        deepest
    }

    fn step(&mut self, pick: Pick) {
        self.t.events.declare(self.exec.machine(), pick);
        self.exec.step(pick.ctx, pick.alt);
        self.t.events.happened(self.exec.machine());
    }

    /// Goes on from the last level to the end. `None`: given up, as all that can step is asleep.
    fn extend(&mut self) -> Option<Ended> {
        loop {
            let mut ready = std::mem::take(&mut self.t.ready);
            self.exec.ready(&mut ready);
            let end = if ready.is_empty() { Some(Ended::Complete) } else { None };
            let end = end.or_else(|| self.options.limits.reached(self.exec));
            if let Some(end) = end {
                self.t.ready = ready;
                if end == Ended::Complete {
                    self.exec.end();
                }
                return Some(end);
            }
            let (sleep, unchanged) = self.asleep();
            let last = self.t.levels.last().map(|l| l.cur);
            let awake = |c: &CtxId| sleep & bit(*c) == 0;
            let working = |c: &CtxId| awake(c) && !self.exec.is_idle(*c);
            let pick = last
                .filter(|l| working(l) && ready.contains(l))
                .or_else(|| ready.iter().copied().find(working))
                .or_else(|| ready.iter().copied().find(awake));
            self.t.ready = ready;
            let cur = pick?;
            let alts = self.exec.alternatives(cur);
            let mut rest = 0;
            if self.t.every_branch {
                rest = self.t.ready.iter().fold(0, |s, c| s | bit(*c)) & !sleep & !bit(cur);
            }
            let chosen = bit(cur);
            self.t.levels.push(Level { cur, alt: 0, alts, sleep, unchanged, chosen, rest });
            self.step(Pick { ctx: cur, alt: 0 });
        }
    }

    /// Who sleeps at the next level: those asleep at the last one whose next step does not conflict with its step.
    /// And which of them would write nothing.
    fn asleep(&self) -> (CtxSet, CtxSet) {
        let Some(l) = self.t.levels.last() else { return (0, 0) };
        let mut sleep = l.sleep;
        let mut left = l.sleep;
        while left != 0 {
            let c = CtxId(left.trailing_zeros() as u16);
            left &= left - 1;
            let slot = self.exec.machine().slots[c.index()].borrow();
            let unchanged = l.unchanged & bit(c) != 0;
            if c == l.cur || self.t.events.last_conflicts(&slot.fp, unchanged) {
                sleep &= !bit(c);
            }
        }
        (sleep, l.unchanged & sleep)
    }

    fn find_races(&mut self, changed: usize, finished: bool) {
        if self.t.every_branch {
            return;
        }
        self.t.events.grow(self.exec.machine());
        for at in changed..self.t.events.len() {
            self.t.races.of_event(&self.t.events, at);
            self.schedule_reversals();
        }
        if !finished || mutant::planted(Mutant::WaitingForgotten) {
            return;
        }
        let n = self.exec.machine().contexts().len() as u16;
        for c in (0..n).map(CtxId) {
            if self.exec.is_done(c) || self.exec.enabled(c) {
                continue;
            }
            let slot = self.exec.machine().slots[c.index()].borrow();
            self.t.races.of_waiting(&self.t.events, c, &slot.fp, &slot.guard);
            drop(slot);
            self.schedule_reversals();
        }
    }

    fn schedule_reversals(&mut self) {
        for r in self.t.races.found.drain(..) {
            if r.at < self.t.fixed {
                continue;
            }
            let l = &mut self.t.levels[r.at];
            if r.initials & (l.chosen | l.sleep) == 0 {
                let who = if r.initials & bit(r.wanted) != 0 {
                    bit(r.wanted)
                } else {
                    r.initials & r.initials.wrapping_neg()
                };
                l.chosen |= who;
                l.rest |= who;
            }
        }
    }

    /// To the next choice that is left; false when there is none.
    fn backtrack(&mut self) -> bool {
        while self.t.levels.len() > self.t.fixed {
            let deepest = self.t.levels.len() - 1;
            let l = &mut self.t.levels[deepest];
            if l.alt + 1 < l.alts {
                l.alt += 1;
                return true;
            }
            l.sleep |= bit(l.cur);
            if self.t.events.is_unchanged(deepest) {
                l.unchanged |= bit(l.cur);
            }
            l.rest &= !l.sleep;
            if l.rest != 0 {
                l.cur = CtxId(l.rest.trailing_zeros() as u16);
                l.rest &= l.rest - 1;
                l.alt = 0;
                return true;
            }
            self.t.levels.pop();
        }
        false
    }

    fn judge(&mut self, ended: &Ended, observer: &mut dyn Observer) {
        if observer.respects_durations() {
            let picks: Vec<Pick> = self.t.events.picks().collect();
            if !observer.possible(&picks) {
                self.t.tally.impossible += 1;
                return;
            }
        }
        let m = self.exec.machine();
        let stuck = self.exec.stuck();
        let state = self.exec.state_digest();
        let t = &mut self.t.tally;
        let mem = m.mem.borrow();
        t.count(mem.step_no, ended, !stuck.is_empty());
        t.ended_in(state, &mem, ended, || self.t.events.picks().collect());
        t.traces = t.traces.wrapping_add(mix(self.t.events.digest()));
        let keys = mem.finding_keys();
        let events = Some(&self.t.events);
        let stuck = &stuck;
        observer.execution(&View { mem: &mem, machine: m, ended, stuck, events, picks: None });
        drop(mem);
        if t.schedules.is_multiple_of(1024) {
            observer.progress(t.schedules);
        }
        if keys.is_empty() {
            return;
        }
        self.t.tally.failing += 1;
        self.keep_findings(&keys);
        self.t.tally.stopped = !self.options.keep_going;
    }

    fn keep_findings(&mut self, keys: &[FindingKey]) {
        let best = keys.iter().map(|k| self.t.tally.cost(k)).max().unwrap_or(order::Cost::MAX);
        let better = order::fewest_preemptions(&self.t.events, self.exec, best);
        for k in keys {
            let kept = self.t.tally.found(*k, || self.t.events.picks().collect());
            if let Some((cost, picks)) = &better
                && *cost < kept.cost
            {
                kept.cost = *cost;
                kept.picks.clone_from(picks);
            }
        }
    }
}
