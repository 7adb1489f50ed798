//! Walks over the steps of a scenario.

use crate::ast::{
    Access, Body, Call, Event, Invoke, IrqWork, ObjExpr, Scenario, Source, Step, StepKind,
};
use crate::span::Sp;

/// Calls `f` with each step of a body and those inside it.
pub(crate) fn for_each_step<'a>(body: &'a Body, f: &mut dyn FnMut(&'a Step)) {
    for step in body {
        visit_step(step, f);
    }
}

pub(crate) fn visit_step<'a>(step: &'a Step, f: &mut dyn FnMut(&'a Step)) {
    f(step);
    match &step.node {
        StepKind::If { then, otherwise, .. } => {
            for_each_step(then, f);
            for_each_step(otherwise, f);
        }
        StepKind::Repeat { body, .. } => for_each_step(body, f),
        StepKind::At { step, .. } => visit_step(step, f),
        _ => {}
    }
}

/// Calls `f` with each step of a source of events.
pub(crate) fn for_each_source_step<'a>(source: &'a Source, f: &mut dyn FnMut(&'a Step)) {
    match source {
        Source::Softirq(_, IrqWork::Body(body))
        | Source::Irq(IrqWork::Body(body))
        | Source::Nmi(IrqWork::Body(body)) => for_each_step(body, f),
        Source::Step(step) => visit_step(step, f),
        _ => {}
    }
}

/// Calls `f` with each step of the file, programs first.
pub(crate) fn for_each_step_of<'a>(scenario: &'a Scenario, f: &mut dyn FnMut(&'a Step)) {
    for (_, prog) in &scenario.progs {
        for_each_step(&prog.body, f);
    }
    for (_, task) in &scenario.tasks {
        for_each_step(&task.body, f);
    }
    for (_, events) in &scenario.cpus {
        for event in events {
            match &event.node {
                Event::Step(step) => visit_step(step, f),
                Event::Timed(timed) => for_each_source_step(&timed.source, f),
            }
        }
    }
}

/// Calls `f` with each call of the file.
pub(crate) fn for_each_invoke<'a>(scenario: &'a Scenario, f: &mut dyn FnMut(&'a Invoke)) {
    for_each_step_of(scenario, &mut |step| {
        if let StepKind::Invoke(invoke) = &step.node {
            f(invoke);
        }
    });
}

/// The object that a call works on, if it is one that programs may use.
pub(crate) fn call_object(call: &Call) -> Option<&Sp<ObjExpr>> {
    match call {
        Call::TimerInit { timer, .. }
        | Call::TimerSetCallback { timer, .. }
        | Call::TimerStart { timer, .. }
        | Call::TimerCancel { timer }
        | Call::TimerCancelAsync { timer } => Some(timer),
        Call::WqInit { wq } | Call::WqSetCallback { wq, .. } | Call::WqStart { wq } => Some(wq),
        Call::MapLookup { elem }
        | Call::MapUpdate { elem, .. }
        | Call::MapDelete { elem }
        | Call::MapLookupAndDelete { elem } => Some(elem),
        _ => None,
    }
}

/// The object that an access works on.
pub(crate) fn access_object(access: &Access) -> &Sp<ObjExpr> {
    match access {
        Access::Read { from, .. } => from,
        Access::Write { to, .. } => to,
        Access::FetchAdd { on, .. } | Access::Xchg { on, .. } | Access::Cmpxchg { on, .. } => on,
    }
}
