//! Exhaustive exploration by the engine that suits the model, on several threads: traces and states in turns.
//!
//! Neither engine is better everywhere: models with much symmetry or many independent failures have few states, models
//! with store buffers few traces. Both search in turns, with budgets in steps that double, and the first that is through
//! answers. Steps, not seconds, so the choice is the same every time.
//!
//! The engine of states answers only what a state can answer: there is nothing to find, and these are the final states.
//! It does not run for an observer who judges the order of events or counts schedules ([`Observer::needs_traces`]), and it
//! gives up at a finding when the search is to go on, because it cannot say how many schedules show it.
//!
//! A search by traces that has begun [`UNSPLIT`] executions starts anew as a list of jobs: all beginnings of executions of
//! one length, the least that gives [`JOBS`] of them. The list depends on the model only, whatever the number of threads,
//! and results are joined in its order: the same bytes for any number. A job that takes too many steps is split again.

use crate::dpor::{Observer, Options, Prefix, Traces, Turn, View, longer};
use crate::exec::Exec;
use crate::lockdep::circle::conclude;
use crate::machine::{Machine, Model};
use crate::result::{Exploration, Tally};
use crate::schedule::Pick;
use crate::states::States;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Steps of the first turn of each engine.
pub const FIRST_TURN: u64 = 100_000;
/// Steps of the engine of states for one of traces: so long it takes for these, as it keeps no order of events.
pub const STATES_SHARE: u64 = 3;
/// Executions that are run before the search is split.
pub const UNSPLIT: u64 = 20_000;
/// At least so many jobs, if the model has so many.
pub const JOBS: usize = 64;
/// Steps of a job before it is split.
const JOB_STEPS: u64 = 4_000_000;
/// Jobs of a round, after which the engine of states has its turn.
const ROUND: usize = 32;
/// Steps of the longest beginning.
const LONGEST: usize = 64;

/// Who searches: machines for threads, and observers for parts of the search.
pub trait Team: Sync {
    /// What runs on the machines.
    type Model: Model;
    /// What an observer has seen of a part.
    type Seen: Send;
    /// A machine; all are alike.
    fn boot(&self) -> (Machine, Self::Model);
    /// Runs a part of the search with a fresh observer.
    fn observe(&self, model: &Self::Model, search: &mut dyn FnMut(&mut dyn Observer))
    -> Self::Seen;
}

/// Explores all schedules of a model with so many threads; what observers saw, in the order of the parts. `symmetry`:
/// observers do not tell interchangeable contexts apart.
///
/// # Panics
/// As [`crate::dpor::explore`].
pub fn explore<T: Team>(
    team: &T,
    threads: u16,
    symmetry: bool,
    options: &Options,
) -> (Exploration, Vec<T::Seen>) {
    let (machine, model) = team.boot();
    let mut exec = Exec::new(&machine, &model);
    let mut states = None;
    let mut answer = None;
    let seen = team.observe(&model, &mut |observer| {
        if !observer.needs_traces() {
            states = Some(States::new(&exec, symmetry));
        }
        answer = unsplit(&mut exec, &mut states, options, observer);
    });
    let mut seen = vec![seen];
    if answer.is_none() {
        let mut parts = Vec::new();
        let states_saw = team.observe(&model, &mut |observer| {
            let jobs = first_jobs(&mut exec);
            let split = Split { team, threads, options };
            answer = Some(split.run(&mut exec, jobs, &mut states, observer, &mut parts));
        });
        let by_states = matches!(answer, Some(Answer::States(_)));
        seen = if by_states { vec![states_saw] } else { parts };
    }
    let mut answer = answer.expect("a search has an answer");
    seen.push(team.observe(&model, &mut |observer| {
        conclude(&mut exec, answer.tally(), options.limits, observer);
    }));
    (answer.into_exploration(&mut exec, options), seen)
}

/// Which engine was through first, and with what.
enum Answer {
    Traces(Box<Tally>),
    States(Box<States>),
}

impl Answer {
    fn tally(&mut self) -> &mut Tally {
        match self {
            Answer::Traces(t) => t,
            Answer::States(s) => &mut s.tally,
        }
    }

    fn into_exploration<M: Model>(self, exec: &mut Exec<'_, M>, options: &Options) -> Exploration {
        match self {
            Answer::Traces(t) => t.into_exploration("exhaustive", exec.machine().names(), options),
            Answer::States(s) => s.into_exploration(exec, options),
        }
    }
}

/// Both engines in turns, until one is through or the search is to be split.
fn unsplit<M: Model>(
    exec: &mut Exec<'_, M>,
    states: &mut Option<States>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Option<Answer> {
    let mut traces = Traces::new(exec);
    // A number of schedules is counted in one list.
    traces.pause_after = if options.max_schedules.is_some() { u64::MAX } else { UNSPLIT };
    let mut budget = FIRST_TURN;
    loop {
        let turn = if states.is_some() { budget } else { u64::MAX };
        if traces.turn(exec, options, observer, turn) == Turn::Done {
            return Some(Answer::Traces(Box::new(traces.tally)));
        }
        if let Some(s) = states
            && !s.gave_up()
            && s.turn(exec, options, observer, STATES_SHARE * budget) == Turn::Done
        {
            return states.take().map(|s| Answer::States(Box::new(s)));
        }
        if traces.executions() >= traces.pause_after {
            return None;
        }
        budget *= 2;
    }
}

/// The least list of beginnings of one length that is long enough.
fn first_jobs<M: Model>(exec: &mut Exec<'_, M>) -> VecDeque<Prefix> {
    let mut jobs = vec![Prefix::default()];
    let mut length = 0;
    while jobs.len() < JOBS && length < LONGEST {
        jobs = jobs.iter().flat_map(|p| longer(exec, p)).collect();
        length += 1;
    }
    jobs.into()
}

struct Split<'a, T> {
    team: &'a T,
    threads: u16,
    options: &'a Options,
}

/// What a job came to; `None`: it took too many steps.
type Part<S> = Option<(Tally, S)>;

impl<T: Team> Split<'_, T> {
    fn run(
        &self,
        exec: &mut Exec<'_, T::Model>,
        mut jobs: VecDeque<Prefix>,
        states: &mut Option<States>,
        observer: &mut dyn Observer,
        parts: &mut Vec<T::Seen>,
    ) -> Answer {
        let mut tally = Tally::default();
        let mut steps = FIRST_TURN;
        loop {
            if let Some(s) = states
                && !s.gave_up()
                && s.turn(exec, self.options, observer, steps) == Turn::Done
                && let Some(s) = states.take()
            {
                return Answer::States(Box::new(s));
            }
            let round: Vec<Prefix> = jobs.drain(..jobs.len().min(ROUND)).collect();
            let mut left = Vec::new();
            for (job, part) in round.iter().zip(self.round(&round)) {
                match part {
                    // Behind one that is not through, nothing is counted before it.
                    _ if !left.is_empty() => left.push(job.clone()),
                    Some((t, seen)) => {
                        steps += t.steps;
                        tally.absorb(t);
                        parts.push(seen);
                    }
                    None => {
                        steps += JOB_STEPS;
                        left.extend(longer(exec, job).iter().flat_map(|p| longer(exec, p)));
                    }
                }
                if tally.stopped || tally.is_full(self.options) {
                    break;
                }
            }
            for job in left.into_iter().rev() {
                jobs.push_front(job);
            }
            if tally.stopped || tally.is_full(self.options) || jobs.is_empty() {
                return Answer::Traces(Box::new(tally));
            }
            observer.progress(tally.schedules);
        }
    }

    /// Runs jobs on all threads. Those behind the first that stops the search are of no interest.
    fn round(&self, jobs: &[Prefix]) -> Vec<Part<T::Seen>> {
        let next = AtomicUsize::new(0);
        let stop = AtomicUsize::new(usize::MAX);
        let all: Mutex<Vec<Part<T::Seen>>> = Mutex::new(jobs.iter().map(|_| None).collect());
        let work = || {
            let (machine, model) = self.team.boot();
            let mut exec = Exec::new(&machine, &model);
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= jobs.len() || stop.load(Ordering::Relaxed) < i {
                    return;
                }
                let mut traces = Traces::below(&exec, &jobs[i]);
                let mut turn = Turn::OutOfBudget;
                let seen = self.team.observe(&model, &mut |observer| {
                    let mut o = Cancelled { observer, stop: &stop, me: i };
                    turn = traces.turn(&mut exec, self.options, &mut o, JOB_STEPS);
                });
                if traces.tally.stopped || turn == Turn::OutOfBudget {
                    stop.fetch_min(i, Ordering::Relaxed);
                }
                if turn == Turn::Done {
                    let mut all = all.lock().expect("no thread panics while it holds the lock");
                    all[i] = Some((traces.tally, seen));
                }
            }
        };
        std::thread::scope(|s| {
            for _ in 1..usize::from(self.threads).min(jobs.len()) {
                s.spawn(work);
            }
            work();
        });
        all.into_inner().expect("no thread panics while it holds the lock")
    }
}

/// Ends a job when one before it has stopped the search.
struct Cancelled<'a> {
    observer: &'a mut dyn Observer,
    stop: &'a AtomicUsize,
    me: usize,
}

impl Observer for Cancelled<'_> {
    fn needs_marks(&self) -> bool {
        self.observer.needs_marks()
    }
    fn needs_traces(&self) -> bool {
        self.observer.needs_traces()
    }
    fn respects_durations(&self) -> bool {
        self.observer.respects_durations()
    }
    fn possible(&mut self, schedule: &[Pick]) -> bool {
        self.observer.possible(schedule)
    }
    fn execution(&mut self, view: &View<'_>) {
        self.observer.execution(view);
    }
    fn again(&mut self, view: &View<'_>) {
        self.observer.again(view);
    }
    fn go_on(&mut self) -> bool {
        self.stop.load(Ordering::Relaxed) >= self.me && self.observer.go_on()
    }
}
