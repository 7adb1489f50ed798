//! What is said in the end.

use timerace_core::Class;
use timerace_core::result::{Bound, Exploration, Verdict};
use timerace_core::schedule::Schedule;

use super::limits::{Limited, Measured, judge, over, shown};
use super::plan::{Asked, Item};
use super::predicate::Pred;
use super::{Judge, Tally};
use crate::ast::Count;

/// The judgement of one expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its stable name.
    pub name: String,
    /// Whether it holds; `None`: not judged, or not decided.
    pub ok: Option<bool>,
    /// Its line in the file, from 1; of what is implied that of the scenario.
    pub line: u32,
    /// Why it does not hold, or was not judged.
    pub detail: Option<String>,
    /// Whether it says that there is a bug.
    pub bug_expected: bool,
    /// Of a `known_bug`: the reference. That it holds means that the bug is still there.
    pub known_bug: Option<String>,
    /// The classes of findings that it names.
    pub classes: Vec<Class>,
    /// Of a `never` or an `always` that does not hold: the first schedule of the search whose trace breaks it.
    pub witness: Option<Schedule>,
    /// What kind of failure it is where no finding says so.
    pub kind: Kind,
    /// What was measured in timed runs, beside its limits.
    pub limits: Vec<Limited>,
}

/// What an expectation is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What happens, and when.
    Behaviour,
    /// A number of schedules.
    Count,
    /// How late callbacks are.
    Latency,
    /// Drift of a periodic timer.
    Drift,
    /// How long a lock is held.
    LockHold,
}

impl Kind {
    /// The type of such a failure in results: limits that are broken have types of their own, beside the classes of
    /// findings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Behaviour => "EXPECTATION",
            Kind::Count => "COUNT",
            Kind::Latency => "LATENCY",
            Kind::Drift => "DRIFT",
            Kind::LockHold => "LOCK_HOLD",
        }
    }
}

/// The verdict. `findings`: whether there is any; `bounds_hit`: see [`Judge::bounds_hit`].
#[must_use]
pub fn verdict(findings: bool, results: &[Judged], bounds_hit: bool) -> Verdict {
    if findings {
        Verdict::Bug
    } else if results.iter().any(|judged| judged.ok == Some(false)) {
        Verdict::Failed
    } else if is_open(results, bounds_hit) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

/// 1 if an expectation does not hold, which includes bugs that none expects; else 3 if a bound was hit before all was
/// decided; else 0. A bug that is expected fails nothing.
#[must_use]
pub fn exit_code(results: &[Judged], bounds_hit: bool) -> u8 {
    if results.iter().any(|judged| judged.ok == Some(false)) {
        1
    } else if is_open(results, bounds_hit) {
        3
    } else {
        0
    }
}

fn is_open(results: &[Judged], bounds_hit: bool) -> bool {
    bounds_hit && results.iter().any(|judged| judged.ok.is_none())
}

const STOPPED: &str = "the search stopped at a finding before this was decided";
pub(super) const CUT_OFF: &str = "a bound was hit before this was decided";
const MERGED: &str = "a search bounded by preemptions cannot tell how a state came about";
pub(super) const NO_END: &str = "values at the end of a run are not known here";
pub(super) const NO_MARKS: &str = "functions are not followed in this kind of run";
pub(super) const TOO_MANY: &str = "there are too many orders to tell";

/// What is known of an expectation.
struct Known {
    ok: Option<bool>,
    detail: Option<String>,
    /// Not decided, though a search should have.
    open: bool,
}

impl Known {
    fn holds() -> Known {
        Known { ok: Some(true), detail: None, open: false }
    }

    fn fails(detail: impl Into<String>) -> Known {
        Known { ok: Some(false), detail: Some(detail.into()), open: false }
    }

    fn is(ok: bool, detail: impl Into<String>) -> Known {
        if ok { Known::holds() } else { Known::fails(detail) }
    }

    /// Nothing that this kind of run is asked.
    fn unasked(detail: impl Into<String>) -> Known {
        Known { ok: None, detail: Some(detail.into()), open: false }
    }

    fn open(detail: &str) -> Known {
        Known { ok: None, detail: Some(detail.to_string()), open: true }
    }
}

impl Judge<'_> {
    /// The judgements of a search, in the order of the file.
    #[must_use]
    pub fn results(&self, search: &Exploration) -> Vec<Judged> {
        let items = self.plan.items.iter().zip(&self.tallies);
        let judged = |(item, tally): (&Item<'_>, &Tally)| {
            let judged = finish(item, self.of_search(item, tally, search));
            let witness = (judged.ok == Some(false)).then(|| tally.witness.clone()).flatten();
            Judged { witness, ..judged }
        };
        items.map(judged).collect()
    }

    /// Whether a search ended before all could be decided. The bound on preemptions that a scenario declares is its
    /// scope and not counted, and neither is a stop at a finding; what could not be told for another reason is.
    #[must_use]
    pub fn bounds_hit(&self, search: &Exploration) -> bool {
        let mut hit = search.bounds.iter().filter(|bound| bound.hit);
        let mut items = self.plan.items.iter().zip(&self.tallies);
        hit.any(|bound| !self.is_scope(bound))
            || items.any(|(item, tally)| self.of_search(item, tally, search).open)
    }

    /// Whether a bound is what the scenario declares.
    fn is_scope(&self, bound: &Bound) -> bool {
        bound.name == "preemptions" && bound.value.is_some() && bound.value == self.scope
    }

    /// Whether all that the scenario asks for was run.
    fn is_decided(&self, search: &Exploration) -> bool {
        let mut bounds = search.bounds.iter();
        search.complete
            || !search.stopped
                && search.policy == "exhaustive"
                && bounds.clone().any(|bound| self.is_scope(bound))
                && bounds.all(|bound| !bound.hit || self.is_scope(bound))
    }

    fn of_search(&self, item: &Item<'_>, tally: &Tally, search: &Exploration) -> Known {
        let undecided = || match search.stopped {
            true => Known::unasked(STOPPED),
            false => Known::open(CUT_OFF),
        };
        let unless_open = |known: Known| match tally.unclear {
            Some(why) => Known::open(why),
            None if !self.is_decided(search) => undecided(),
            None if is_merged(item, search) => Known::open(MERGED),
            None => known,
        };
        let looked = match self.executions {
            1 => "1 schedule was looked at".to_string(),
            n => format!("{n} schedules were looked at"),
        };
        match &item.asked {
            Asked::Never(_) if tally.seen > 0 => Known::fails("it happens"),
            Asked::Always(_) if tally.seen > 0 => Known::fails("not in every schedule"),
            Asked::Never(_) | Asked::Always(_) => unless_open(Known::holds()),
            Asked::Sometimes(_) if tally.seen > 0 => Known::holds(),
            Asked::Sometimes(p) => {
                let where_ = self.whereabouts(p);
                unless_open(Known::fails(format!("in no schedule; {looked}{where_}")))
            }
            Asked::Count(count) if search.complete => counted(count, search),
            Asked::Count(_) => undecided(),
            Asked::Latency(_) => Known::unasked("latency is measured by timed runs"),
            Asked::Drift(..) => Known::unasked("drift is measured by timed runs"),
            Asked::Hold(..) => Known::unasked("holding times are measured by timed runs"),
        }
    }

    /// Where the functions ran that a predicate names, for those who wonder why it is never true.
    fn whereabouts(&self, predicate: &Pred<'_>) -> String {
        let mut all = Vec::new();
        predicate.for_each_function(&mut |f| {
            let name = &self.plan.names[f];
            let cpus: Vec<String> =
                self.places[f].iter().map(|cpu| format!("CPU{}", cpu.0)).collect();
            let said = match cpus.is_empty() {
                true => format!("{name} was never entered"),
                false => format!("{name} ran on {}", cpus.join(" and ")),
            };
            if !all.contains(&said) {
                all.push(said);
            }
        });
        all.iter().map(|said| format!("; {said}")).collect()
    }

    /// The judgements of all timed runs so far. A `sometimes` that was not met is not judged there, and neither is
    /// whether a known bug is gone.
    #[must_use]
    pub fn timed_results(&self, measured: &dyn Measured) -> Vec<Judged> {
        let judged = |(item, tally): (&Item<'_>, &Tally)| {
            let known = self.of_timed(item, tally, Some(measured));
            // What is measured is decided by the runs that were made; whether something can happen is not.
            let decided = !matches!(item.kind(), Kind::Behaviour);
            let judged = match item.known_bug.is_some() && known.ok == Some(true) && !decided {
                true => finish(item, Known::unasked("it did not show in these runs")),
                false => finish(item, known),
            };
            Judged { limits: limits_of(&item.asked, measured), ..judged }
        };
        self.plan.items.iter().zip(&self.tallies).map(judged).collect()
    }

    /// The judgements of one schedule, looked at with [`Judge::timed`]: what holds in it, and what it shows.
    #[must_use]
    pub fn replayed_results(&self) -> Vec<Judged> {
        let judged = |(item, tally): (&Item<'_>, &Tally)| {
            let known = self.of_timed(item, tally, None);
            match item.known_bug.is_some() && known.ok == Some(true) {
                true => finish(item, Known::unasked("it does not show in this schedule")),
                false => finish(item, known),
            }
        };
        self.plan.items.iter().zip(&self.tallies).map(judged).collect()
    }

    /// `measured` is `None` for runs without a clock.
    fn of_timed(&self, item: &Item<'_>, tally: &Tally, measured: Option<&dyn Measured>) -> Known {
        match &item.asked {
            Asked::Never(_) if tally.seen > 0 => Known::fails("it happens"),
            Asked::Always(_) if tally.seen > 0 => Known::fails("not in every run"),
            Asked::Never(_) | Asked::Always(_) => match tally.unclear {
                Some(why) => Known::unasked(why),
                None if self.timed_cut_off => Known::open(CUT_OFF),
                None => Known::holds(),
            },
            Asked::Sometimes(_) if tally.seen > 0 => Known::holds(),
            Asked::Sometimes(_) => Known::unasked("not seen in these runs"),
            Asked::Count(_) => Known::unasked("schedules are counted by a search"),
            Asked::Latency(_) | Asked::Drift(..) | Asked::Hold(..) => match measured {
                Some(measured) => self.of_limit(&item.asked, measured),
                None => Known::unasked("limits are measured by timed runs"),
            },
        }
    }

    fn of_limit(&self, asked: &Asked<'_>, measured: &dyn Measured) -> Known {
        let (broken, untried) = match asked {
            Asked::Latency(limits) => {
                (judge(limits, measured), format!("no timer of {} expired", limits.of.node))
            }
            Asked::Drift(of, max) => (
                measured.drift_ns(of).map(|ns| over(&format!("drift of {of}"), ns, max)),
                format!("no callback of {of} armed its timer again"),
            ),
            Asked::Hold(lock, max) => (
                measured.held_ns(lock).map(|ns| over(&format!("hold of {lock}"), ns, max)),
                format!("no lock `{lock}` was taken"),
            ),
            _ => unreachable!("only limits are measured"),
        };
        self.limited(broken, &untried)
    }

    /// A limit is broken, in these words, or was never tried. What proves nothing must not look as if it did: it fails, at
    /// least where the run came to its end.
    fn limited(&self, broken: Option<String>, untried: &str) -> Known {
        match broken {
            Some(broken) => Known::is(broken.is_empty(), broken),
            None if self.timed_cut_off => Known::open(CUT_OFF),
            None => Known::fails(format!("{untried}: the limit was not tried")),
        }
    }
}

/// A search that merges states sees only some of the ways into each.
fn is_merged(item: &Item<'_>, search: &Exploration) -> bool {
    let bounded = search.bounds.iter().any(|bound| bound.name == "preemptions");
    bounded && item.predicate().is_some_and(Pred::needs_marks)
}

fn counted(count: &Count, search: &Exploration) -> Known {
    let both = [
        ("schedules", count.schedules, search.schedules),
        ("failing", count.failing, search.failing),
    ];
    let mut wrong = Vec::new();
    for (what, wanted, found) in both {
        if let Some(wanted) = wanted.filter(|wanted| wanted.node != found) {
            wrong.push(format!("{what}: {found}, not {}", wanted.node));
        }
    }
    Known::is(wrong.is_empty(), wrong.join(", "))
}

/// The figures that an expectation has limits for.
fn limits_of(asked: &Asked<'_>, measured: &dyn Measured) -> Vec<Limited> {
    let one = |what: &str, of: &str, found: Option<u64>, most| {
        let what = format!("{what} of {of}: max");
        found.map(|ns| Limited::new(&what, ns, most)).into_iter().collect()
    };
    match asked {
        Asked::Latency(limits) => shown(limits, measured),
        Asked::Drift(of, max) => one("drift", of, measured.drift_ns(of), max),
        Asked::Hold(lock, max) => one("hold", lock, measured.held_ns(lock), max),
        _ => Vec::new(),
    }
}

impl Item<'_> {
    fn kind(&self) -> Kind {
        match self.asked {
            Asked::Never(_) | Asked::Always(_) | Asked::Sometimes(_) => Kind::Behaviour,
            Asked::Count(_) => Kind::Count,
            Asked::Latency(_) => Kind::Latency,
            Asked::Drift(..) => Kind::Drift,
            Asked::Hold(..) => Kind::LockHold,
        }
    }
}

/// Turns what is known to fail around: that it fails is what is expected.
fn finish(item: &Item<'_>, known: Known) -> Judged {
    let (ok, detail) = match (&item.known_bug, known.ok) {
        (Some(reference), Some(true)) => {
            (Some(false), Some(format!("known bug {reference}: it does not show any more")))
        }
        (Some(reference), Some(false)) => (Some(true), Some(format!("known bug {reference}"))),
        _ => (known.ok, known.detail),
    };
    Judged {
        name: item.name.clone(),
        ok,
        line: item.line,
        detail,
        bug_expected: item.bug_expected,
        known_bug: item.known_bug.clone(),
        classes: item.classes.clone(),
        witness: None,
        kind: item.kind(),
        limits: Vec::new(),
    }
}
