//! Exhaustive exploration by states: every reachable state, once.
//!
//! Depth-first search over re-execution that stops at states that it knows, with sleep sets stored beside them (Godefroid,
//! Holzmann, Pirottin 1992): on meeting a state again, only what slept there before and is awake now is tried. A state is
//! shared memory plus a digest of what each context has learned. Interchangeable contexts ([`crate::machine::Orbit`]) are
//! told apart by nothing but what they do.
//!
//! Guarantee: every reachable state is visited, up to renaming of interchangeable contexts; so is every step from it, up
//! to the order of independent steps. What came before a state is not known to those who look at it: nobody may judge
//! the order of events here. At most 24 bytes a state, and a set of sleeping contexts that is stored once.

mod canon;
mod table;

use crate::dpor::mutant::{Mutant, planted};
use crate::dpor::{CtxSet, Events, Observer, Options, Turn, View, bit};
use crate::exec::Exec;
use crate::ids::CtxId;
use crate::lockdep::Known;
use crate::lockdep::circle::conclude;
use crate::machine::Model;
use crate::order;
use crate::policy::Ended;
use crate::result::{Engine, Exploration, Tally};
use crate::schedule::Pick;
use crate::step::{Access, conflict};
pub(crate) use canon::Canon;
pub(crate) use table::Table;

/// A point of the present path.
#[derive(Clone, Debug)]
struct Level {
    cur: CtxId,
    alt: u8,
    alts: u8,
    sleep: CtxSet,
    todo: CtxSet,
}

/// A search that can be interrupted.
pub(crate) struct States {
    canon: Canon,
    table: Table,
    levels: Vec<Level>,
    ready: Vec<CtxId>,
    last_fp: Vec<Access>,
    pub tally: Tally,
    /// Steps so far, those of replays included.
    pub steps: u64,
    /// What is known of locks already.
    known: Known,
    /// It has come to a state in which plain accesses race. Which schedules show it, it cannot say.
    met_race: bool,
    /// There are more states than memory for them.
    full: bool,
}

/// Explores all reachable states of a model, or its traces if plain accesses race in it or there is no memory for all
/// states. `symmetry`: interchangeable contexts are not told apart.
///
/// # Panics
/// If the machine has more than [`crate::dpor::MAX_EXPLORED`] contexts.
pub fn explore_states<M: Model>(
    exec: &mut Exec<'_, M>,
    symmetry: bool,
    options: &Options,
    observer: &mut dyn Observer,
) -> Exploration {
    let mut s = States::new(exec, symmetry);
    s.turn(exec, options, observer, u64::MAX);
    if s.met_race || s.full {
        return crate::dpor::explore(exec, options, observer);
    }
    conclude(exec, &mut s.tally, options.limits, observer);
    s.into_exploration(exec, options)
}

impl States {
    pub fn new<M: Model>(exec: &Exec<'_, M>, symmetry: bool) -> States {
        let machine = exec.machine();
        assert!(machine.contexts().len() <= crate::dpor::MAX_EXPLORED, "too many contexts");
        let canon = if symmetry { Canon::of(machine) } else { Canon::plain() };
        States {
            canon,
            table: Table::new(),
            levels: Vec::new(),
            ready: Vec::new(),
            last_fp: Vec::new(),
            tally: Tally::default(),
            steps: 0,
            known: Known::default(),
            met_race: false,
            full: false,
        }
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
        machine.learning.set(true);
        machine.exchange_known(&mut self.known);
        let turn = self.run(exec, options, observer, budget);
        machine.exchange_known(&mut self.known);
        machine.learning.set(false);
        turn
    }

    /// Whether it met a finding and the search is to go on: how many schedules show it, states cannot say. The same for a
    /// state in which plain accesses race, and for more states than there is memory for.
    pub fn gave_up(&self) -> bool {
        self.met_race || self.full || self.tally.failing > 0 && !self.tally.stopped
    }

    fn run<M: Model>(
        &mut self,
        exec: &mut Exec<'_, M>,
        options: &Options,
        observer: &mut dyn Observer,
        budget: u64,
    ) -> Turn {
        let until = self.steps.saturating_add(budget);
        while self.steps < until {
            exec.restart();
            if let Some((last, before)) = self.levels.split_last_mut() {
                before.iter().for_each(|l| exec.step(l.cur, l.alt));
                last.alts = exec.alternatives(last.cur);
                let pick = Pick { ctx: last.cur, alt: last.alt };
                self.step(exec, pick);
            }
            let ended = self.extend(exec, options);
            self.steps += u64::from(exec.steps());
            let path = || self.levels.iter().map(|l| Pick { ctx: l.cur, alt: l.alt }).collect();
            self.tally.locks.note(exec.machine(), path);
            self.judge(exec, ended.as_ref(), options, observer);
            self.full |= self.tally.fill(self.table.bytes(), options);
            if self.full {
                // The engine of traces goes on alone, and has little use for memory.
                self.table = Table::new();
            }
            if self.met_race || self.full {
                return Turn::OutOfBudget;
            }
            if self.tally.stopped || !observer.go_on() || !self.backtrack() {
                return Turn::Done;
            }
            if options.max_schedules.is_some_and(|m| self.tally.schedules >= m) {
                self.tally.max_hit = true;
                return Turn::Done;
            }
        }
        Turn::OutOfBudget
    }

    /// Goes on to the end, or to a state from which nothing is left to be tried (`None`).
    fn extend<M: Model>(&mut self, exec: &mut Exec<'_, M>, options: &Options) -> Option<Ended> {
        loop {
            let mut ready = std::mem::take(&mut self.ready);
            exec.ready(&mut ready);
            let todo = self.arrive(exec, &ready);
            // Asked of every state, also of one in which all that can step is asleep.
            if exec.machine().plain && crate::data_race::about_to_race(exec) {
                self.met_race = true;
                self.ready = ready;
                return None;
            }
            let picked = todo.map(|(sleep, todo)| {
                let last = self.levels.last().map(|l| l.cur);
                let left = |c: &CtxId| todo & bit(*c) != 0;
                let working = |c: &CtxId| left(c) && !exec.is_idle(*c);
                let cur = last
                    .filter(working)
                    .or_else(|| ready.iter().copied().find(working))
                    .or_else(|| ready.iter().copied().find(left));
                (cur, sleep, todo)
            });
            let nothing_left = ready.is_empty();
            self.ready = ready;
            let (cur, sleep, todo) = picked?;
            if nothing_left {
                exec.end();
                return Some(Ended::Complete);
            }
            if let Some(limit) = options.limits.reached(exec) {
                return Some(limit);
            }
            let cur = cur?;
            let alts = exec.alternatives(cur);
            self.levels.push(Level { cur, alt: 0, alts, sleep, todo: todo & !bit(cur) });
            self.step(exec, Pick { ctx: cur, alt: 0 });
        }
    }

    /// Looks the present state up: who sleeps in it, and who is to be tried. `None`: nobody, it is known.
    fn arrive<M: Model>(
        &mut self,
        exec: &Exec<'_, M>,
        ready: &[CtxId],
    ) -> Option<(CtxSet, CtxSet)> {
        let all: CtxSet = ready.iter().fold(0, |s, c| s | bit(*c));
        let (key, sleep) = self.canon.key(exec, self.asleep(exec));
        let Some((entry, before)) = self.table.get(key) else {
            let stored = self.table.storable(sleep);
            self.table.insert(key, stored);
            let sleep = self.canon.actual(stored);
            return Some((sleep, all & !sleep)).filter(|s| s.1 != 0 || all == 0);
        };
        let both = self.table.storable(before & sleep);
        if before == both {
            return None;
        }
        self.table.set(entry, both);
        Some((self.canon.actual(both), self.canon.actual(before & !both)))
    }

    /// Who sleeps now: those asleep before the last step that have nothing to do with it.
    fn asleep<M: Model>(&self, exec: &Exec<'_, M>) -> CtxSet {
        let Some(l) = self.levels.last() else { return 0 };
        let mut sleep = l.sleep & !bit(l.cur);
        let mut left = sleep;
        while left != 0 {
            let c = CtxId(left.trailing_zeros() as u16);
            left &= left - 1;
            let pending = &exec.machine().slots[c.index()].borrow().fp;
            if conflict(pending, &self.last_fp) && !planted(Mutant::NeverWoken) {
                sleep &= !bit(c);
            }
        }
        sleep
    }

    /// Performs a step and keeps its footprint.
    fn step<M: Model>(&mut self, exec: &mut Exec<'_, M>, pick: Pick) {
        self.last_fp.clone_from(&exec.machine().slots[pick.ctx.index()].borrow().fp);
        exec.step(pick.ctx, pick.alt);
    }

    fn backtrack(&mut self) -> bool {
        while let Some(l) = self.levels.last_mut() {
            if l.alt + 1 < l.alts {
                l.alt += 1;
                return true;
            }
            l.sleep |= bit(l.cur);
            if l.todo != 0 {
                l.cur = CtxId(l.todo.trailing_zeros() as u16);
                l.todo &= l.todo - 1;
                l.alt = 0;
                return true;
            }
            self.levels.pop();
        }
        false
    }

    fn judge<M: Model>(
        &mut self,
        exec: &mut Exec<'_, M>,
        ended: Option<&Ended>,
        options: &Options,
        observer: &mut dyn Observer,
    ) {
        let machine = exec.machine();
        let mem = machine.mem.borrow();
        if let Some(ended) = ended {
            let stuck = if *ended == Ended::Complete { exec.stuck() } else { Vec::new() };
            self.tally.count(mem.step_no, ended, !stuck.is_empty());
            let levels = &self.levels;
            let picks = || levels.iter().map(|l| Pick { ctx: l.cur, alt: l.alt }).collect();
            self.tally.ended_in(mem.state_digest(), &mem, ended, picks);
            let picks: Option<&dyn Fn() -> Vec<Pick>> = Some(&picks);
            observer.execution(&View { picks, ..View::linear(machine, &mem, ended, &stuck) });
        }
        if mem.findings.is_empty() {
            return;
        }
        let keys = mem.finding_keys();
        drop(mem);
        self.tally.failing += 1;
        let path: Vec<Pick> = self.levels.iter().map(|l| Pick { ctx: l.cur, alt: l.alt }).collect();
        for k in keys {
            self.tally.found(k, || path.clone());
        }
        self.tally.stopped = !options.keep_going;
        if self.tally.stopped {
            // To its end, for those who look at executions: with the order of the trace.
            let events = Events::log(exec, &path, options.limits);
            let stuck = exec.stuck();
            let mem = machine.mem.borrow();
            let (events, ended) = (Some(&events), &Ended::Complete);
            let stuck = &stuck;
            observer.execution(&View { mem: &mem, machine, ended, stuck, events, picks: None });
        }
    }

    pub fn into_exploration<M: Model>(
        mut self,
        exec: &mut Exec<'_, M>,
        options: &Options,
    ) -> Exploration {
        self.tally.steps = self.steps;
        for kept in self.tally.kept() {
            order::improve(exec, &mut kept.picks, &mut kept.cost, options.limits);
        }
        let names = exec.machine().names();
        let mut e = self.tally.into_exploration("exhaustive", names, options);
        e.engine = Engine::States;
        e.states = self.table.len() as u64;
        e
    }
}
