//! Whether the expectations of a scenario hold.
//!
//! A [`Judge`] looks at every execution of a search, as an [`Observer`], or at timed runs ([`Judge::timed`]), and says
//! for each expectation of the file that is meant for this kernel whether it holds.
//!
//! # What a predicate is true of
//!
//! A search runs one order of each trace, that is of each set of schedules that differ only in the order of steps that
//! have nothing to do with each other. Predicates are decided for the trace, not for the order that happened to run:
//!
//! * `sometimes(P)`: P is true in some order of some trace;
//! * `never(P)`: in no order of any trace;
//! * `always(P)`: in every order of every trace, so it fails where P is *false* in some order.
//!
//! A function is where its steps are: from its first to its last. One that takes none is a point between two steps of
//! its context; one that has not returned lasts to the end. `overlap("f", "g")` is true if some order runs a call of one
//! while a call of the other, in another context, is going on; `after(P, Q)` if some order brings Q when P is over;
//! `during(P, Q)` if Q comes while P is going on; `within("f", P)` if P happens in a context, on either side of a
//! finding, that has a call of f open. Wishes of nested predicates must be possible together, in one order.
//!
//! Where a run has no order but its own (samples, timed runs), that order is all that counts. So it is in searches
//! bounded by preemptions, which besides merge states that were reached in different ways: there a predicate about how
//! something came about is decided only where it was seen ([`Judge::results`]).
//!
//! # Names
//!
//! `never`, `always`, `sometimes`, and what it is that happens: the class of a finding, or the word of the predicate;
//! of `within`, `during` and `after` what their last argument names. `sometimes(within("f", USE_AFTER_FREE))` is
//! `sometimes_use_after_free`. Limits and counts have their own word and what they are about (`hold_flows_lru_lock`).
//! What is known to fail begins with `known_bug_`. What nobody needs to write is `never_any_bug`, or `never_other_bug`
//! where the scenario expects a bug: then classes that it does not name are refused. The second of a name in the file gets `_2`, whatever kernel it is
//! for, so that a name means the same everywhere.

mod finals;
mod limits;
mod names;
mod order;
mod plan;
mod predicate;
mod results;
mod run;

pub use finals::FinalState;
pub use limits::{Limited, Measured, Samples};
pub use results::{Judged, Kind, exit_code, verdict};

use std::collections::BTreeSet;

use timerace_core::CpuId;
use timerace_core::dpor::{Observer, View};
use timerace_core::mem::Mark;
use timerace_core::policy::Ended;
use timerace_core::result::Exploration;
use timerace_core::schedule::Schedule;
use timerace_kernel::World;

use crate::ast::{Preemptions, Scenario};
pub(crate) use plan::is_for;
use plan::{Asked, Item, Plan};
use results::{CUT_OFF, NO_END, NO_MARKS, TOO_MANY};
use run::Run;

/// What was seen of an expectation so far.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Executions in which its predicate was possible; of an `always`: in which it was avoidable.
    seen: u64,
    /// Why some execution could not be told.
    unclear: Option<&'static str>,
    /// Of a `never` or an `always`: the first schedule whose trace breaks it.
    witness: Option<Schedule>,
}

/// What a judge saw of a part of a search.
#[derive(Clone, Debug)]
pub struct Seen {
    tallies: Vec<Tally>,
    places: Vec<BTreeSet<CpuId>>,
    executions: u64,
    window_entered: u64,
}

/// A limit on how late callbacks may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyLimit {
    /// Element or map.
    pub of: String,
    /// The share of the samples that it is about; `None`: the largest one.
    pub share: Option<(u64, u64)>,
    /// Nanoseconds.
    pub ns: u64,
}

/// Decides the expectations of a scenario.
pub struct Judge<'a> {
    plan: Plan<'a>,
    tallies: Vec<Tally>,
    /// Of each function that predicates name: the CPUs on which it was entered, to say why something never happens.
    places: Vec<BTreeSet<CpuId>>,
    executions: u64,
    window_entered: u64,
    /// What the last execution brought ([`Observer::outcome`]): [`IN_WINDOW`], and a bit for each expectation counted.
    last: u64,
    /// The scenario's own bound on preemptions, as far as the command line leaves it alone.
    scope: Option<u64>,
    timed_cut_off: bool,
}

impl<'a> Judge<'a> {
    /// The expectations of a scenario for the kernel of `world`, which was made from it. `source` is the text that the
    /// scenario was read from, for lines; `end` knows the values that `final(..)` asks for: without it such
    /// expectations are not judged.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        source: &str,
        world: &World,
        end: Option<&'a dyn FinalState>,
    ) -> Judge<'a> {
        let plan = Plan::new(scenario, source, world, end);
        let scope = match scenario.explore.preemptions() {
            Preemptions::All => None,
            Preemptions::AtMost(n) => Some(u64::from(n)),
        };
        Judge {
            tallies: vec![Tally::default(); plan.items.len()],
            places: vec![BTreeSet::new(); plan.names.len()],
            plan,
            executions: 0,
            window_entered: 0,
            last: 0,
            scope,
            timed_cut_off: false,
        }
    }

    /// Says that the bound on preemptions is the command line's: it cuts off and is not the author's scope.
    pub fn narrowed(&mut self) {
        self.scope = None;
    }

    /// Whether the search must go on after a finding: schedules are counted, more than one expectation waits for a bug,
    /// or a bug is expected in all schedules.
    #[must_use]
    pub fn needs_keep_going(&self) -> bool {
        let mut bugs = 0;
        self.plan.items.iter().any(|item| match &item.asked {
            Asked::Count(_) => true,
            Asked::Always(_) => item.names_bug,
            Asked::Sometimes(_) if item.names_bug => {
                bugs += 1;
                bugs > 1
            }
            _ => false,
        })
    }

    /// Names of locks whose holding times are limited: what a timed run has to measure.
    #[must_use]
    pub fn locks(&self) -> Vec<String> {
        let lock = |item: &Item<'_>| match &item.asked {
            Asked::Hold(lock, _) => Some(lock.clone()),
            _ => None,
        };
        self.plan.items.iter().filter_map(lock).collect()
    }

    /// Whether a search that stopped at a finding must be made again to its end: what the scenario wants to come into was
    /// not met on the way, so it is open whether the scenario tests anything.
    #[must_use]
    pub fn needs_the_rest(&self, search: &Exploration) -> bool {
        let mut items = self.plan.items.iter().zip(&self.tallies);
        search.stopped && items.any(|(item, tally)| item.is_window() && tally.seen == 0)
    }

    /// Whether the answer depends on what is the same for interchangeable contexts only: no expectation asks for values
    /// by name.
    #[must_use]
    pub fn is_symmetric(&self) -> bool {
        let mut predicates = self.plan.items.iter().filter_map(Item::predicate);
        predicates.all(|p| matches!(p, predicate::Pred::Class(_) | predicate::Pred::Leaked(_)))
    }

    /// Whether an expectation for this kernel says that there is a bug.
    #[must_use]
    pub fn bug_expected(&self) -> bool {
        self.plan.items.iter().any(|item| item.bug_expected)
    }

    /// Whether the scenario says, by a `sometimes(..)` that names no bug, what it wants to come into.
    #[must_use]
    pub fn has_window(&self) -> bool {
        self.plan.items.iter().any(Item::is_window)
    }

    /// Executions, failing or not, in which every `sometimes(..)` predicate that names no bug was true. All of them if
    /// there is no such predicate.
    #[must_use]
    pub fn window_entered(&self) -> u64 {
        self.window_entered
    }

    /// The limits on latencies that are meant for this kernel.
    #[must_use]
    pub fn latency_limits(&self) -> Vec<LatencyLimit> {
        let all = self.plan.items.iter().filter_map(|i| match &i.asked {
            Asked::Latency(limits) => Some(limits),
            _ => None,
        });
        all.flat_map(|l| {
            let shares = [Some((50, 100)), Some((99, 100)), Some((999, 1000)), None];
            let given = shares.into_iter().zip([l.p50, l.p99, l.p999, l.max]);
            given.filter_map(|(share, d)| {
                Some(LatencyLimit { of: l.of.to_string(), share, ns: d?.max_ns })
            })
        })
        .collect()
    }

    /// What was seen so far, to be added to another judge of the same scenario.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let (tallies, executions) = (self.tallies.clone(), self.executions);
        let places = self.places.clone();
        Seen { tallies, places, executions, window_entered: self.window_entered }
    }

    /// Adds what another judge of the same scenario saw in another part of the search.
    pub fn absorb(&mut self, seen: &Seen) {
        for (mine, other) in self.tallies.iter_mut().zip(&seen.tallies) {
            mine.seen += other.seen;
            mine.unclear = mine.unclear.or(other.unclear);
            if mine.witness.is_none() {
                mine.witness.clone_from(&other.witness);
            }
        }
        for (mine, other) in self.places.iter_mut().zip(&seen.places) {
            mine.extend(other);
        }
        self.executions += seen.executions;
        self.window_entered += seen.window_entered;
    }

    /// Looks at a timed run. `cut_off`: a limit ended it before its own end.
    pub fn timed(&mut self, view: &View<'_>, cut_off: bool) {
        self.timed_cut_off |= cut_off;
        self.look(view, !view.marks().is_empty());
    }

    /// `marked`: functions and events were followed.
    fn look(&mut self, view: &View<'_>, marked: bool) {
        let run = Run::new(view, &self.plan.names);
        self.executions += 1;
        for call in &run.calls {
            self.places[call.name].extend(view.machine.contexts()[call.ctx.index()].cpu);
        }
        let mut in_window = true;
        self.last = 0;
        for (i, (item, tally)) in self.plan.items.iter().zip(&mut self.tallies).enumerate() {
            let Some(p) = item.predicate() else { continue };
            // Once is enough, unless the schedules are counted.
            if tally.seen > 0 && !item.is_window() {
                continue;
            }
            let told = match &item.asked {
                _ if p.needs_marks() && !marked => Err(NO_MARKS),
                _ if p.needs_end() && !item.end_is_known => Err(NO_END),
                // A run that was cut off may still come to it.
                Asked::Always(_) if *view.ended != Ended::Complete => Err(CUT_OFF),
                Asked::Always(_) => p.avoidable(&run).ok_or(TOO_MANY),
                _ => Ok(p.possible(&run)),
            };
            match told {
                Ok(seen) => {
                    tally.seen += u64::from(seen);
                    self.last |= u64::from(seen && item.is_window()).unbounded_shl(i as u32);
                    let breaks = !matches!(item.asked, Asked::Sometimes(_));
                    if seen && breaks && tally.witness.is_none() {
                        tally.witness = view.schedule();
                    }
                }
                Err(why) => tally.unclear = Some(why),
            }
            in_window &= !item.is_window() || told == Ok(true);
        }
        self.window_entered += u64::from(in_window);
        self.last |= if in_window { IN_WINDOW } else { 0 };
    }
}

/// The bit of an outcome that says that the execution was in the window.
const IN_WINDOW: u64 = 1 << 63;

impl Observer for Judge<'_> {
    fn needs_marks(&self) -> bool {
        let mut predicates = self.plan.items.iter().filter_map(Item::predicate);
        predicates.any(predicate::Pred::needs_marks)
    }

    /// Findings and final states can be told from states; what is counted, and how things came about, cannot.
    fn needs_traces(&self) -> bool {
        use predicate::Pred;
        let told = |item: &Item<'_>| match &item.asked {
            Asked::Never(p) => matches!(p, Pred::Class(_) | Pred::Leaked(_) | Pred::Final(_)),
            Asked::Sometimes(p) => matches!(p, Pred::Class(_) | Pred::Leaked(_)),
            Asked::Always(p) => matches!(p, Pred::Final(_)),
            Asked::Latency(_) | Asked::Drift(..) | Asked::Hold(..) => true,
            Asked::Count(_) => false,
        };
        !self.plan.items.iter().all(told)
    }

    fn execution(&mut self, view: &View<'_>) {
        self.look(view, true);
    }

    fn outcome(&self) -> Option<u64> {
        // A bit for each.
        (self.plan.items.len() < 63).then_some(self.last)
    }

    fn follows(&self, mark: &Mark, names: &[String]) -> bool {
        run::is_read(mark, &self.plan.names, names)
    }

    /// What has happened once need not be looked at again; what is counted is.
    fn repeated(&mut self, outcome: u64) {
        self.executions += 1;
        self.window_entered += u64::from(outcome & IN_WINDOW != 0);
        for (i, tally) in self.tallies.iter_mut().enumerate() {
            tally.seen += outcome.unbounded_shr(i as u32) & 1;
        }
    }

    fn again(&mut self, view: &View<'_>) {
        let counted = (self.executions, self.window_entered);
        self.look(view, true);
        (self.executions, self.window_entered) = counted;
    }
}
