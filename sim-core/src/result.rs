//! What a search or a timed run found out, as plain data.

use crate::detect::{Class, FindingKey};
use crate::digests::Digests;
use crate::dpor::Options;
use crate::ends::{End, Ends};
use crate::ids::{CpuId, Nanos};
use crate::lockdep::LockGraph;
use crate::lockdep::facts::LockFacts;
use crate::mem::{FrameName, Mem};
use crate::mix::roll;
use crate::order::Cost;
use crate::policy::Ended;
use crate::schedule::{Pick, Schedule};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A bound that cuts a search off, and whether it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// `preemptions`, `max_schedules`, `steps`, `expiries`, `memory`.
    pub name: &'static str,
    /// Its value; `None`: no limit.
    pub value: Option<u64>,
    /// Something was cut off.
    pub hit: bool,
}

/// A distinct finding of a search: one per class and pair of functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its class.
    pub class: Class,
    /// The two functions, sorted; the same twice where there is one.
    pub functions: [String; 2],
    /// A schedule that shows it, in the order with the fewest preemptions among those seen.
    pub schedule: Schedule,
    /// Inequivalent schedules that show it; 1 for one that the search as a whole shows (an order of locks).
    pub schedules: u64,
    /// Schedules that must have run before it on the same machine, as lockdep remembers what it has seen; mostly none.
    pub before: Vec<Schedule>,
}

/// What is said of a run or a search.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There is at least one finding, expected or not.
    Bug,
    /// There is none, but an expectation does not hold.
    Failed,
    /// Neither, but a bound was hit before all was decided.
    Inconclusive,
    /// None of these.
    Pass,
}

impl Verdict {
    /// As scripts know it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Bug => "bug",
            Verdict::Failed => "failed",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Pass => "pass",
        }
    }
}

/// What made a search exhaustive.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// Every inequivalent schedule was run ([`crate::dpor`]).
    #[default]
    Traces,
    /// Every reachable state was visited ([`crate::states`]).
    States,
    /// Every state within a number of preemptions was visited ([`crate::bounded`]).
    Layers,
    /// Executions were drawn ([`crate::sample`]).
    Sample,
}

impl Engine {
    /// As certificates name it.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Traces => "traces",
            Engine::States => "states",
            Engine::Layers => "layers",
            Engine::Sample => "sample",
        }
    }
}

/// What a search covered and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exploration {
    /// `exhaustive`, `random` or `pct`.
    pub policy: &'static str,
    /// Which engine gave the answer.
    pub engine: Engine,
    /// States that were visited; 0 where no states were stored.
    pub states: u64,
    /// Every inequivalent schedule was run: no bound was hit, and the search did not stop at a finding.
    pub complete: bool,
    /// It stopped at a finding.
    pub stopped: bool,
    /// Inequivalent schedules that were run to their end (for `random` and `pct`: executions).
    pub schedules: u64,
    /// Those with a finding.
    pub failing: u64,
    /// Executions given up because all that could step was known to be covered elsewhere.
    pub blocked: u64,
    /// Inequivalent schedules that were left out because durations do not allow them.
    pub impossible: u64,
    /// Schedules whose end left a context stuck.
    pub stuck: u64,
    /// Steps of all executions.
    pub steps: u64,
    /// Steps of the longest execution.
    pub longest: u32,
    /// Which execution was the first one so long, from 1.
    pub longest_at: u64,
    /// Distinct findings, in the order of (class, functions).
    pub findings: Vec<Found>,
    /// The bounds.
    pub bounds: Vec<Bound>,
    /// Number of different final states.
    pub final_states: u64,
    /// Digest of the sorted set of final states: the same for every order of search.
    pub state_digest: u64,
    /// The final states; empty if there are more than [`MOST_ENDS`](crate::ends::MOST_ENDS). Executions that were cut off
    /// end in none.
    pub ends: Vec<End>,
    /// Digest of all traces: the same for every order of search.
    pub trace_digest: u64,
    /// The classes of locks and the orders in which they were taken.
    pub locks: LockGraph,
    /// Of a search with a bound on preemptions: what each number of them brought, from 0 on.
    pub layers: Vec<Layer>,
}

/// What the schedules with one number of preemptions brought.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct Layer {
    /// Schedules that were run to their end.
    pub schedules: u64,
    /// States that were not known before.
    pub states: u64,
    /// Schedules with a finding.
    pub failing: u64,
}

/// One expiry of a timer in a timed run. Times are virtual nanoseconds since the start of the run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Which timer: index into the run's table of names.
    pub timer: u32,
    /// On which CPU the callback ran.
    pub cpu: CpuId,
    /// When it was armed.
    pub armed: Nanos,
    /// Armed for an absolute time, not for one that counts from when it was armed.
    pub abs: bool,
    /// The programmed expiry.
    pub programmed: Nanos,
    /// When the hard interrupt that noticed it began, if one did.
    pub irq: Option<Nanos>,
    /// When the softirq that ran it began.
    pub softirq: Nanos,
    /// When the softirq took it off its queue.
    pub taken: Nanos,
    /// When its callback began.
    pub callback: Nanos,
    /// When its callback ended.
    pub exit: Nanos,
}

impl Expiry {
    /// Nanoseconds from the programmed expiry to the beginning of the callback.
    pub fn late_ns(&self) -> u64 {
        self.callback.since(self.programmed)
    }
}

/// The best schedule known for a finding.
pub(crate) struct Kept {
    pub cost: Cost,
    pub picks: Vec<Pick>,
    pub before: Vec<Schedule>,
    pub count: u64,
}

/// What a search counts as it goes.
#[derive(Default)]
pub(crate) struct Tally {
    pub schedules: u64,
    pub failing: u64,
    pub blocked: u64,
    pub impossible: u64,
    stuck: u64,
    pub steps: u64,
    longest: u32,
    longest_at: u64,
    pub stopped: bool,
    pub max_hit: bool,
    memory_hit: bool,
    steps_hit: bool,
    expiries_hit: bool,
    found: BTreeMap<FindingKey, Kept>,
    states: Digests,
    ends: Ends,
    pub traces: u64,
    pub locks: LockFacts,
}

impl Tally {
    /// Counts an execution that has ended after so many steps.
    pub fn count(&mut self, steps: u32, ended: &Ended, stuck: bool) {
        self.steps += u64::from(steps);
        if steps > self.longest {
            (self.longest, self.longest_at) = (steps, self.schedules + 1);
        }
        match ended {
            Ended::StepLimit => self.steps_hit = true,
            Ended::ExpiryLimit => self.expiries_hit = true,
            Ended::Complete | Ended::Diverged(_) => {}
        }
        self.schedules += 1;
        self.stuck += u64::from(stuck);
    }

    /// Takes the final state of an execution with its digest; `picks` is its schedule.
    pub fn ended_in(
        &mut self,
        state: u64,
        mem: &Mem,
        ended: &Ended,
        picks: impl FnOnce() -> Vec<Pick>,
    ) {
        self.states.insert(state);
        if *ended == Ended::Complete {
            self.ends.count(mem, state, picks);
        }
    }

    /// So many more executions ended in a state in which one has ended already, with its findings.
    pub fn ended_again(&mut self, state: u64, times: u64, failed: bool) {
        self.ends.again(state, times, failed);
    }

    /// Whether the final states take more memory than is allowed. Then the search is to end here.
    pub fn is_full(&mut self, options: &Options) -> bool {
        self.fill(0, options)
    }

    /// The same with other bytes that the search keeps.
    pub fn fill(&mut self, bytes: u64, options: &Options) -> bool {
        let kept = self.states.bytes() + bytes;
        self.memory_hit |= options.max_memory.is_some_and(|most| kept > most);
        self.memory_hit
    }

    /// Counts a finding; `picks` is the schedule of the first execution that shows it.
    pub fn found(&mut self, key: FindingKey, picks: impl FnOnce() -> Vec<Pick>) -> &mut Kept {
        let kept = self.found.entry(key).or_insert_with(|| Kept {
            cost: Cost::MAX,
            picks: picks(),
            before: Vec::new(),
            count: 0,
        });
        kept.count += 1;
        kept
    }

    /// Counts findings of so many more executions that were like one that showed them.
    pub fn found_again(&mut self, keys: &[FindingKey], times: u64) {
        for key in keys {
            if let Some(kept) = self.found.get_mut(key) {
                kept.count += times;
            }
        }
    }

    /// Adds what another part of the same search counted. Of equally good schedules the earlier part's is kept.
    pub fn absorb(&mut self, other: Tally) {
        if other.longest > self.longest {
            self.longest_at = self.schedules + other.longest_at;
        }
        self.schedules += other.schedules;
        self.failing += other.failing;
        self.blocked += other.blocked;
        self.impossible += other.impossible;
        self.stuck += other.stuck;
        self.steps += other.steps;
        self.longest = self.longest.max(other.longest);
        self.stopped |= other.stopped;
        self.max_hit |= other.max_hit;
        self.memory_hit |= other.memory_hit;
        self.steps_hit |= other.steps_hit;
        self.expiries_hit |= other.expiries_hit;
        other.states.iter().for_each(|s| self.states.insert(s));
        self.ends.absorb(other.ends);
        self.traces = self.traces.wrapping_add(other.traces);
        self.locks.absorb(other.locks);
        for (key, new) in other.found {
            match self.found.entry(key) {
                Entry::Vacant(e) => {
                    e.insert(new);
                }
                Entry::Occupied(mut e) => {
                    let kept = e.get_mut();
                    kept.count += new.count;
                    if new.cost < kept.cost {
                        (kept.cost, kept.picks) = (new.cost, new.picks);
                    }
                }
            }
        }
    }

    /// The schedules that are kept, to be improved.
    pub fn kept(&mut self) -> impl Iterator<Item = &mut Kept> {
        self.found.values_mut()
    }

    /// The least cost known for a finding.
    pub fn cost(&self, key: &FindingKey) -> Cost {
        self.found.get(key).map_or(Cost::MAX, |f| f.cost)
    }

    pub fn into_exploration(
        self,
        policy: &'static str,
        names: &[String],
        options: &Options,
    ) -> Exploration {
        let states = self.states;
        let name = |f| match f {
            FrameName::Fn(f) => f.to_string(),
            FrameName::Body(i) => names[i as usize].clone(),
        };
        let mut findings: Vec<Found> = self
            .found
            .into_iter()
            .map(|((class, a, b), kept)| {
                let mut functions = [name(a), name(b)];
                functions.sort();
                let schedule = Schedule { picks: kept.picks };
                let before = kept.before;
                Found { class, functions, schedule, schedules: kept.count, before }
            })
            .collect();
        findings.sort_by(|a, b| (a.class, &a.functions).cmp(&(b.class, &b.functions)));
        let hit = self.max_hit || self.memory_hit || self.steps_hit || self.expiries_hit;
        let limit = |name, value, hit| Bound { name, value, hit };
        let limits = options.limits;
        Exploration {
            policy,
            engine: if policy == "exhaustive" { Engine::Traces } else { Engine::Sample },
            states: 0,
            complete: !hit && !self.stopped && policy == "exhaustive",
            stopped: self.stopped,
            schedules: self.schedules,
            failing: self.failing,
            blocked: self.blocked,
            impossible: self.impossible,
            stuck: self.stuck,
            steps: self.steps,
            longest: self.longest,
            longest_at: self.longest_at,
            findings,
            bounds: vec![
                limit("max_schedules", options.max_schedules, self.max_hit),
                limit("memory", options.max_memory, self.memory_hit),
                limit("steps", Some(u64::from(limits.steps)), self.steps_hit),
                limit("expiries", Some(limits.expiries), self.expiries_hit),
            ],
            final_states: states.len() as u64,
            state_digest: states.iter().fold(0, roll),
            ends: self.ends.into_list(),
            trace_digest: self.traces,
            layers: Vec::new(),
            locks: self.locks.graph(names),
        }
    }
}
