//! An execution in terms of calls, events and findings.

use std::collections::BTreeMap;

use timerace_core::dpor::View;
use timerace_core::mem::{FrameName, Mark, Place};
use timerace_core::policy::Ended;
use timerace_core::{Class, CtxId};

use super::order::{Moment, Orders, Spot};

/// Marks that are no calls: they are made inside of a step and never left.
const EVENTS: [&str; 2] = ["uref_zero", "evicted"];

/// A call of a function that some predicate names.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub ctx: CtxId,
    /// Index into the names of the plan.
    pub name: usize,
    pub enter: Moment,
    pub leave: Moment,
    /// `None`: it has not returned.
    pub ret: Option<i64>,
}

/// A named event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub name: &'static str,
    pub arg: u64,
    pub at: Moment,
}

/// A finding, and where its sides are.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub class: Class,
    pub sides: Vec<Moment>,
    /// The object that it is about: `bpf_hrtimer #1`.
    pub object: String,
}

/// What predicates look at.
pub(super) struct Run<'v> {
    pub view: &'v View<'v>,
    pub orders: Orders<'v>,
    pub calls: Vec<Call>,
    pub events: Vec<Event>,
    pub found: Vec<Found>,
    /// Whether nothing was cut off at the end.
    pub complete: bool,
}

impl<'v> Run<'v> {
    /// Reads an execution. `names`: the functions that matter.
    pub fn new(view: &'v View<'v>, names: &[String]) -> Self {
        let mut run = Run {
            view,
            orders: Orders::new(view),
            calls: Vec::new(),
            events: Vec::new(),
            found: Vec::new(),
            complete: *view.ended == Ended::Complete,
        };
        run.read_marks(names);
        run.read_findings();
        run
    }

    fn read_marks(&mut self, names: &[String]) {
        let machine = self.view.machine;
        let mut known: BTreeMap<FrameName, Option<usize>> = BTreeMap::new();
        let mut open: Vec<Vec<(FrameName, Option<usize>)>> =
            vec![Vec::new(); machine.contexts().len()];
        for (seq, mark) in (0..).zip(self.view.marks()) {
            if let Some(event) = event_name(mark) {
                // It happens inside of a step, which is counted already.
                let at = moment(mark.ctx, Spot::Step(mark.taken - 1, mark.taken - 1), mark, seq);
                self.events.push(Event { name: event, arg: mark.arg, at });
                continue;
            }
            let name = *known.entry(mark.name).or_insert_with(|| {
                let text = frame_text(mark.name, machine.names());
                names.iter().position(|name| name == text)
            });
            let stack = &mut open[mark.ctx.index()];
            match mark.ret {
                None => {
                    let call = name.map(|name| self.enter(mark, seq, name));
                    stack.push((mark.name, call));
                }
                Some(ret) => {
                    // An event that is not known here would look like a function that never returns: pass over it.
                    let call = match stack.iter().rposition(|(entered, _)| *entered == mark.name) {
                        Some(at) => {
                            let call = stack[at].1;
                            stack.truncate(at);
                            call
                        }
                        // It was entered before anything was marked.
                        None => name.map(|name| self.enter_at_start(mark.ctx, name)),
                    };
                    if let Some(call) = call {
                        self.leave(call, mark, seq, ret);
                    }
                }
            }
        }
        for call in open.into_iter().flatten().filter_map(|(_, call)| call) {
            self.settle_open(call);
        }
    }

    fn enter(&mut self, mark: &Mark, seq: u32, name: usize) -> usize {
        let enter = moment(mark.ctx, Spot::Gap(mark.taken), mark, seq);
        let leave = Moment::never(mark.ctx);
        self.calls.push(Call { ctx: mark.ctx, name, enter, leave, ret: None });
        self.calls.len() - 1
    }

    fn enter_at_start(&mut self, ctx: CtxId, name: usize) -> usize {
        let enter = Moment { ctx: Some(ctx), spot: Spot::Gap(0), tick: (0, 0) };
        self.calls.push(Call { ctx, name, enter, leave: Moment::never(ctx), ret: None });
        self.calls.len() - 1
    }

    /// A call is where its steps are; one without any is a point between two others.
    fn leave(&mut self, call: usize, mark: &Mark, seq: u32, ret: i64) {
        let call = &mut self.calls[call];
        call.ret = Some(ret);
        let Spot::Gap(first) = call.enter.spot else { return };
        let spot = match mark.taken.checked_sub(1) {
            Some(last) if last >= first => {
                call.enter.spot = Spot::Step(first, first);
                Spot::Step(last, last)
            }
            _ => Spot::Gap(mark.taken),
        };
        call.leave = moment(mark.ctx, spot, mark, seq);
    }

    /// A call that is open at the end: does it have a first step?
    fn settle_open(&mut self, call: usize) {
        let call = &mut self.calls[call];
        let Spot::Gap(first) = call.enter.spot else { return };
        // A step that exists happens after the ones before it in its context.
        let exists = first > 0
            && self.view.before((call.ctx, first - 1), (call.ctx, first)).unwrap_or(false);
        if exists {
            call.enter.spot = Spot::Step(first, first);
        }
    }

    fn read_findings(&mut self) {
        let machine = self.view.machine;
        let last = self.view.mem.place().step;
        for finding in self.view.mem.findings(machine.names()) {
            let ends = finding.class.is_stuck();
            let side = |place: &Place| {
                if ends {
                    return Moment::end(Some(place.ctx));
                }
                // What is found by looking at the end is nobody's step.
                let idle = place.func == FrameName::Fn(timerace_core::record::NO_FUNCTION);
                match place.step == last && idle {
                    true => Moment::end(None),
                    false => self.at_step(place),
                }
            };
            let sides = std::iter::once(&finding.at).chain(&finding.other).map(side).collect();
            let object = finding.obj.map_or_else(String::new, |obj| machine.obj_name(obj));
            self.found.push(Found { class: finding.class, sides, object });
        }
    }

    /// The step of a finding. Findings count the steps of the run, predicates those of contexts: the marks around it say
    /// which it can be.
    fn at_step(&self, place: &Place) -> Moment {
        let (mut first, mut last) = (0, u32::MAX);
        for mark in self.view.marks().iter().filter(|mark| mark.ctx == place.ctx) {
            let inside = u32::from(event_name(mark).is_some());
            // `taken` steps of the context were over after so many steps of the run.
            let over = mark.at + inside;
            if over < place.step {
                first = first.max(mark.taken);
            } else if inside == 1 && over == place.step {
                (first, last) = (mark.taken - 1, mark.taken - 1);
            } else {
                last = last.min(mark.taken.saturating_sub(1 + inside));
            }
        }
        let tick = (2 * u64::from(place.step), 0);
        Moment { ctx: Some(place.ctx), spot: Spot::Step(first, last.max(first)), tick }
    }
}

fn moment(ctx: CtxId, spot: Spot, mark: &Mark, seq: u32) -> Moment {
    // Steps are at even ticks, what comes between them at odd ones.
    let tick = 2 * u64::from(mark.at) + if event_name(mark).is_some() { 2 } else { 1 };
    Moment { ctx: Some(ctx), spot, tick: (tick, seq + 1) }
}

/// Whether a run reads the mark, where these functions matter.
pub(super) fn is_read(mark: &Mark, functions: &[String], bodies: &[String]) -> bool {
    event_name(mark).is_some() || functions.iter().any(|name| name == frame_text(mark.name, bodies))
}

fn event_name(mark: &Mark) -> Option<&'static str> {
    match mark.name {
        FrameName::Fn(name) if mark.ret.is_none() => EVENTS.into_iter().find(|e| *e == name),
        _ => None,
    }
}

fn frame_text(name: FrameName, bodies: &[String]) -> &str {
    match name {
        FrameName::Fn(name) => name,
        FrameName::Body(at) => bodies.get(at as usize).map_or("", String::as_str),
    }
}
