//! Sampling: executions with random choices, for scenarios too big to exhaust. Never complete.
//!
//! Executions through states that are known already are not run but walked (`remembered`), as long as there are many:
//! the result is the same, sooner.

mod remembered;

use crate::detect::FindingKey;
use crate::dpor::{Observer, Options, View};
use crate::exec::Exec;
use crate::ids::CtxId;
use crate::lockdep::circle::conclude;
use crate::machine::Model;
use crate::policy::{Choice, Diverged, Ended, Policy};
use crate::result::{Exploration, Tally};
use crate::schedule::Pick;
use remembered::{End, Node, Remembered};

/// Executions of a sample when nothing else is said.
pub const DEFAULT_EXECUTIONS: u64 = 10_000;

/// After so many executions it is asked whether remembering pays.
const WINDOW: u64 = 4_096;
/// It does if one of so many was walked to its end.
const PAYS: u64 = 16;
/// Most bytes of remembered states, if there is no other bound.
const MOST_BYTES: u64 = 64 << 20;

/// Runs executions with a sampling policy ([`crate::policy::Random`], [`crate::policy::Pct`]), named `name` in the result.
pub fn sample<M: Model, P: Policy>(
    exec: &mut Exec<'_, M>,
    name: &'static str,
    policy: &mut P,
    options: &Options,
    observer: &mut dyn Observer,
) -> Exploration {
    let machine = exec.machine();
    // Races of plain accesses, and what durations allow, are no matter of states.
    let remembers = !options.forgets && !machine.plain && !observer.respects_durations();
    machine.begin_search(observer.needs_marks(), remembers);
    let mut s = Sample {
        exec,
        policy,
        options,
        picks: Vec::new(),
        ready: Vec::new(),
        remembered: remembers.then(Remembered::new),
        tally: Tally::default(),
        walked: 0,
    };
    s.run(observer);
    let mut tally = s.tally;
    machine.end_search();
    tally.max_hit = !tally.stopped && !tally.is_full(options);
    conclude(exec, &mut tally, options.limits, observer);
    tally.into_exploration(name, machine.names(), options)
}

struct Sample<'e, 'm, M, P> {
    exec: &'e mut Exec<'m, M>,
    policy: &'e mut P,
    options: &'e Options,
    /// The choices of this execution so far.
    picks: Vec<Pick>,
    ready: Vec<CtxId>,
    remembered: Option<Remembered>,
    tally: Tally,
    /// Executions of this window that were walked to their end.
    walked: u64,
}

/// How far an execution could be walked.
enum Walk {
    /// To an end that is known.
    Ended(Node),
    /// To this state, from where it must be run.
    Until(Node),
    /// A choice was made in this state that nobody has made before.
    New(Node, Pick),
    /// The policy does not fit.
    Diverged(Diverged),
}

impl<M: Model, P: Policy> Sample<'_, '_, M, P> {
    fn run(&mut self, observer: &mut dyn Observer) {
        let executions = self.options.max_schedules.unwrap_or(DEFAULT_EXECUTIONS);
        loop {
            let t = &mut self.tally;
            let over = t.schedules + t.impossible >= executions || t.stopped;
            if over || t.is_full(self.options) || !observer.go_on() {
                break;
            }
            self.picks.clear();
            self.policy.begin();
            let start = self.remembered.as_ref().and_then(Remembered::start);
            match start.map(|start| self.walk(start)) {
                Some(Walk::Ended(at)) => self.count_walked(at, observer),
                walk => self.execute(walk, observer),
            }
            if self.tally.schedules.is_multiple_of(1024) {
                observer.progress(self.tally.schedules);
            }
            if self.tally.schedules.is_multiple_of(WINDOW) {
                self.forget_if_it_does_not_pay();
            }
        }
        self.forget();
    }

    /// Goes through remembered states as far as there are any.
    fn walk(&mut self, start: Node) -> Walk {
        let Some(r) = &mut self.remembered else { return Walk::Until(start) };
        let (mut at, mut expiries, mut last) = (start, 0, None);
        loop {
            if r.is_end(at) {
                return if r.end(at).is_some() { Walk::Ended(at) } else { Walk::Until(at) };
            }
            if self.options.limits.are_reached(self.picks.len() as u32, expiries).is_some() {
                return Walk::Until(at);
            }
            let pick = match r.with_choice(at, last, |choice| self.policy.pick(choice)) {
                Ok(pick) => pick,
                Err(d) => return Walk::Diverged(d),
            };
            let Some((next, expired)) = r.next(at, pick) else { return Walk::New(at, pick) };
            self.picks.push(pick);
            (at, expiries, last) = (next, expiries + expired, Some(pick.ctx));
        }
    }

    fn count_walked(&mut self, at: Node, observer: &mut dyn Observer) {
        self.walked += 1;
        let steps = self.picks.len() as u32;
        let Some(end) = self.remembered.as_mut().and_then(|r| r.end(at)) else { return };
        end.walked += 1;
        self.tally.count(steps, &Ended::Complete, end.stuck);
        self.tally.failing += u64::from(!end.found.is_empty());
        observer.repeated(end.outcome);
    }

    /// Runs an execution from its start, the first steps as they were walked.
    fn execute(&mut self, walk: Option<Walk>, observer: &mut dyn Observer) {
        let exec = &mut *self.exec;
        exec.restart();
        exec.follow();
        self.picks.iter().for_each(|p| exec.step(p.ctx, p.alt));
        let (from, mut chosen) = match walk {
            Some(Walk::New(at, pick)) => (Some(at), Some(Ok(pick))),
            Some(Walk::Until(at)) => (Some(at), None),
            Some(Walk::Diverged(d)) => (None, Some(Err(d))),
            Some(Walk::Ended(_)) | None => (None, None),
        };
        exec.ready(&mut self.ready);
        let mut at = match &mut self.remembered {
            Some(r) => r.run_from(from, exec, &self.ready),
            None => 0,
        };
        let ended = loop {
            if self.ready.is_empty() {
                break Ended::Complete;
            }
            if let Some(limit) = self.options.limits.reached(exec) {
                break limit;
            }
            let picked = chosen.take().unwrap_or_else(|| {
                self.policy.pick(&Choice {
                    ready: &self.ready,
                    idle: &|c| exec.is_idle(c),
                    last: self.picks.last().map(|p| p.ctx),
                    alternatives: &|c| exec.alternatives(c),
                })
            });
            let pick = match picked {
                Ok(pick) => pick,
                Err(d) => break Ended::Diverged(d),
            };
            self.picks.push(pick);
            exec.step(pick.ctx, pick.alt);
            exec.ready(&mut self.ready);
            if let Some(r) = &mut self.remembered {
                at = r.ran(at, pick, exec, &self.ready, observer);
            }
        };
        if ended == Ended::Complete {
            exec.end();
        }
        self.judge(at, &ended, observer);
    }

    /// Looks at an execution that was run.
    fn judge(&mut self, at: Node, ended: &Ended, observer: &mut dyn Observer) {
        let machine = self.exec.machine();
        if observer.respects_durations() && !observer.possible(&self.picks) {
            self.tally.impossible += 1;
            return;
        }
        let tally = &mut self.tally;
        tally.locks.note(machine, || self.picks.clone());
        let stuck = if *ended == Ended::Complete { self.exec.stuck() } else { Vec::new() };
        let mem = machine.mem.borrow();
        tally.count(mem.step_no, ended, !stuck.is_empty());
        let state = self.exec.state_digest();
        tally.ended_in(state, &mem, ended, || self.picks.clone());
        let taken = || self.picks.clone();
        let picks: Option<&dyn Fn() -> Vec<Pick>> = Some(&taken);
        observer.execution(&View { picks, ..View::linear(machine, &mem, ended, &stuck) });
        let found: Vec<FindingKey> = mem.finding_keys();
        if !found.is_empty() {
            tally.failing += 1;
            for k in &found {
                tally.found(*k, || self.picks.clone());
            }
            tally.stopped = !self.options.keep_going;
        }
        if *ended == Ended::Complete
            && let Some(r) = &mut self.remembered
            && let Some(outcome) = observer.outcome()
        {
            let stuck = !stuck.is_empty();
            r.ended(at, End { outcome, found, state, stuck, walked: 0 });
        }
    }

    fn forget_if_it_does_not_pay(&mut self) {
        let walked = std::mem::take(&mut self.walked);
        let most = self.options.max_memory.map_or(MOST_BYTES, |m| MOST_BYTES.min(m / 2));
        if walked < WINDOW / PAYS || self.remembered.as_ref().is_some_and(|r| r.bytes() > most) {
            self.forget();
        }
    }

    /// Counts what was walked; from now on every execution is run.
    fn forget(&mut self) {
        self.exec.machine().learning.set(false);
        for end in self.remembered.take().into_iter().flat_map(|r| r.ends) {
            self.tally.found_again(&end.found, end.walked);
            self.tally.ended_again(end.state, end.walked, !end.found.is_empty());
        }
    }
}
