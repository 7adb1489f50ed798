//! Predicates: when something is true of a trace.

use std::ops::ControlFlow;

use timerace_core::Class;

use super::finals::FinalCond;
use super::order::{Edge, Moment};
use super::run::{Call, Run};

/// A predicate with its names looked up. Functions are indices into the names of the plan.
#[derive(Clone, Debug)]
pub(super) enum Pred<'a> {
    /// A finding of one of these classes.
    Class(Vec<Class>),
    /// An object of that type is never freed.
    Leaked(String),
    /// A function is entered.
    Called(usize),
    /// A function runs.
    Running(usize),
    /// A function returns this.
    Returned(usize, i64),
    /// An event.
    Event(&'static str, u64),
    /// True at the end.
    Final(FinalCond<'a>),
    /// Two functions run at the same time, in different contexts.
    Overlap(usize, usize),
    /// The second comes after the first is over.
    After(Box<Pred<'a>>, Box<Pred<'a>>),
    /// The second comes while the first is going on.
    During(Box<Pred<'a>>, Box<Pred<'a>>),
    /// It comes inside of a call.
    Within(usize, Box<Pred<'a>>),
}

/// Something that is true in those orders that fulfil the wishes.
#[derive(Clone, Debug)]
pub(super) struct Occurrence {
    pub from: Moment,
    pub to: Moment,
    /// Where it happens: from when to when in which contexts.
    pub sides: Vec<(Moment, Moment)>,
    pub wishes: Vec<Edge>,
}

impl Occurrence {
    fn at(moment: Moment) -> Self {
        Occurrence::between(moment, moment)
    }

    fn between(from: Moment, to: Moment) -> Self {
        Occurrence { from, to, sides: vec![(from, to)], wishes: Vec::new() }
    }
}

type Look<'f> = dyn FnMut(Occurrence) -> ControlFlow<()> + 'f;

/// Most occurrences that are weighed against each other.
const OCCURRENCES_MAX: usize = 4_096;

impl Pred<'_> {
    /// Whether it is true in some order of the trace.
    pub fn possible(&self, run: &Run<'_>) -> bool {
        let found =
            self.each(run, &mut |occurrence| match run.orders.possible(&occurrence.wishes) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            });
        found.is_break()
    }

    /// Whether it is false in some order of the trace. `None`: there are too many orders to tell.
    pub fn avoidable(&self, run: &Run<'_>) -> Option<bool> {
        let mut sets = Vec::new();
        let all = self.each(run, &mut |occurrence| {
            sets.push(occurrence.wishes);
            match sets.len() < OCCURRENCES_MAX {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if all.is_break() { None } else { run.orders.avoidable(&sets) }
    }

    /// Whether it needs functions and events, so that it asks how a state came about and not just what it is.
    pub fn needs_marks(&self) -> bool {
        !matches!(self, Pred::Class(_) | Pred::Leaked(_) | Pred::Final(_))
    }

    /// Whether it looks at values at the end.
    pub fn needs_end(&self) -> bool {
        match self {
            Pred::Final(_) => true,
            Pred::After(p, q) | Pred::During(p, q) => p.needs_end() || q.needs_end(),
            Pred::Within(_, p) => p.needs_end(),
            _ => false,
        }
    }

    /// Calls `f` with each function that it names.
    pub fn for_each_function(&self, f: &mut dyn FnMut(usize)) {
        match self {
            Pred::Called(a) | Pred::Running(a) | Pred::Returned(a, _) => f(*a),
            Pred::Overlap(a, b) => [a, b].into_iter().for_each(|a| f(*a)),
            Pred::After(p, q) | Pred::During(p, q) => {
                p.for_each_function(f);
                q.for_each_function(f);
            }
            Pred::Within(a, p) => {
                f(*a);
                p.for_each_function(f);
            }
            Pred::Class(_) | Pred::Leaked(_) | Pred::Event(..) | Pred::Final(_) => {}
        }
    }

    /// Calls `f` with each occurrence until it breaks off.
    fn each(&self, run: &Run<'_>, f: &mut Look<'_>) -> ControlFlow<()> {
        match self {
            Pred::Class(classes) => findings(run, f, &|class, _| classes.contains(&class)),
            Pred::Leaked(name) => {
                findings(run, f, &|class, object| class == Class::Leak && is_of(object, name))
            }
            Pred::Called(name) => {
                calls(run, *name).try_for_each(|call| f(Occurrence::at(call.enter)))
            }
            Pred::Running(name) => calls(run, *name)
                .try_for_each(|call| f(Occurrence::between(call.enter, call.leave))),
            Pred::Returned(name, code) => calls(run, *name)
                .filter(|call| call.ret == Some(*code))
                .try_for_each(|call| f(Occurrence::at(call.leave))),
            Pred::Event(name, arg) => {
                let mut events = run.events.iter().filter(|e| e.name == *name && e.arg == *arg);
                events.try_for_each(|event| f(Occurrence::at(event.at)))
            }
            Pred::Final(cond) => match run.complete && cond.holds(run.view.mem) {
                true => f(Occurrence::at(Moment::end(None))),
                false => ControlFlow::Continue(()),
            },
            Pred::Overlap(a, b) => overlaps(run, *a, *b, f),
            Pred::After(p, q) => pairs(run, p, q, f, &|p, q| vec![(p.to, q.from)]),
            Pred::During(p, q) => {
                pairs(run, p, q, f, &|p, q| vec![(p.from, q.from), (q.from, p.to)])
            }
            Pred::Within(name, p) => p.each(run, &mut |occurrence| {
                let mut sides = occurrence.sides.iter();
                match sides.any(|side| calls(run, *name).any(|call| is_inside(side, call))) {
                    true => f(occurrence),
                    false => ControlFlow::Continue(()),
                }
            }),
        }
    }
}

fn calls<'r>(run: &'r Run<'_>, name: usize) -> impl Iterator<Item = &'r Call> {
    run.calls.iter().filter(move |call| call.name == name)
}

fn findings(
    run: &Run<'_>,
    f: &mut Look<'_>,
    wanted: &dyn Fn(Class, &str) -> bool,
) -> ControlFlow<()> {
    let mut found = run.found.iter().filter(|found| wanted(found.class, &found.object));
    found.try_for_each(|found| {
        let at = found.sides[0];
        let sides = found.sides.iter().map(|side| (*side, *side)).collect();
        f(Occurrence { sides, ..Occurrence::at(at) })
    })
}

/// Whether an object is of a type: `bpf_hrtimer #1` and its members are. The slot of an element stands for the timer
/// that was put into it.
fn is_of(object: &str, type_name: &str) -> bool {
    let of = object.split([' ', '.']).next().unwrap_or_default();
    of == type_name || type_name == "bpf_hrtimer" && object.ends_with(".timer")
}

/// Calls in different contexts of which neither is over before the other begins. Who calls whom is no overlap: it would
/// be true of every caller.
fn overlaps(run: &Run<'_>, a: usize, b: usize, f: &mut Look<'_>) -> ControlFlow<()> {
    for x in calls(run, a) {
        for y in calls(run, b).filter(|y| y.ctx != x.ctx) {
            let wishes = vec![(x.enter, y.leave), (y.enter, x.leave)];
            let sides = vec![(x.enter, x.leave), (y.enter, y.leave)];
            // When it begins and ends depends on the order; it counts as being where the first function is.
            f(Occurrence { from: x.enter, to: x.leave, sides, wishes })?;
        }
    }
    ControlFlow::Continue(())
}

fn pairs(
    run: &Run<'_>,
    p: &Pred<'_>,
    q: &Pred<'_>,
    f: &mut Look<'_>,
    relation: &dyn Fn(&Occurrence, &Occurrence) -> Vec<Edge>,
) -> ControlFlow<()> {
    let mut firsts = Vec::new();
    let _all = p.each(run, &mut |occurrence| {
        firsts.push(occurrence);
        ControlFlow::Continue(())
    });
    if firsts.is_empty() {
        return ControlFlow::Continue(());
    }
    q.each(run, &mut |second| {
        for first in &firsts {
            let mut wishes = relation(first, &second);
            wishes.extend(first.wishes.iter().chain(&second.wishes));
            f(Occurrence { wishes, ..second.clone() })?;
        }
        ControlFlow::Continue(())
    })
}

/// Whether a call is on the stack at some moment between two moments of its context. At the end of a run nobody in
/// particular acts: any call will do that is still open.
fn is_inside((from, to): &(Moment, Moment), call: &Call) -> bool {
    if from.ctx.is_some_and(|ctx| ctx != call.ctx) {
        return false;
    }
    call.enter.tick < to.tick && from.tick < call.leave.tick
}
