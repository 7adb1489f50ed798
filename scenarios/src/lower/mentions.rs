//! Every object that a scenario names.

use crate::ast::{
    Access, Call, Cond, Event, Expectation, IrqWork, ObjExpr, Operand, Predicate, Scenario, Source,
    Step, StepKind, Value,
};

/// What is called with each object, and with the call that it is an argument of.
type Look<'f> = dyn FnMut(&ObjExpr, Option<&Call>) + 'f;

/// Calls `f` with each object of the bodies and expectations of a scenario.
pub(super) fn for_each_object(scenario: &Scenario, f: &mut Look<'_>) {
    for (_, prog) in &scenario.progs {
        body(&prog.body, f);
    }
    for (_, task) in &scenario.tasks {
        body(&task.body, f);
    }
    for (_, events) in &scenario.cpus {
        for event in events {
            match &event.node {
                Event::Step(one) => step(one, f),
                Event::Timed(timed) => source(&timed.source.node, f),
            }
        }
    }
    for expectation in &scenario.expect {
        expected(expectation, f);
    }
}

fn source(source: &Source, f: &mut Look<'_>) {
    match source {
        Source::Softirq(_, IrqWork::Body(steps))
        | Source::Irq(IrqWork::Body(steps))
        | Source::Nmi(IrqWork::Body(steps)) => body(steps, f),
        Source::Step(one) => step(one, f),
        _ => {}
    }
}

fn body(steps: &[Step], f: &mut Look<'_>) {
    steps.iter().for_each(|one| step(one, f));
}

fn step(one: &Step, f: &mut Look<'_>) {
    match &one.node {
        StepKind::Invoke(invoke) => call(&invoke.call, f),
        StepKind::If { cond: on, then, otherwise } => {
            cond(on, f);
            body(then, f);
            body(otherwise, f);
        }
        StepKind::Repeat { body: steps, .. } => body(steps, f),
        StepKind::At { step: inner, .. } => step(inner, f),
        StepKind::Assert(on) | StepKind::WaitUntil(on) | StepKind::SleepUntil(on) => cond(on, f),
        StepKind::Access(access) => match access {
            Access::Read { from: on, .. }
            | Access::Write { to: on, .. }
            | Access::FetchAdd { on, .. }
            | Access::Xchg { on, .. }
            | Access::Cmpxchg { on, .. } => f(on, None),
        },
        _ => {}
    }
}

fn call(call: &Call, f: &mut Look<'_>) {
    let object = match call {
        Call::Pin(inner) => return self::call(inner, f),
        Call::MapUpdate { elem, value, .. } => {
            if let Some(Value::Map(object)) = value.as_ref().map(|value| &value.node) {
                f(object, None);
            }
            elem
        }
        Call::TimerInit { timer, .. }
        | Call::TimerSetCallback { timer, .. }
        | Call::TimerStart { timer, .. }
        | Call::TimerCancel { timer }
        | Call::TimerCancelAsync { timer } => timer,
        Call::WqInit { wq } | Call::WqSetCallback { wq, .. } | Call::WqStart { wq } => wq,
        Call::MapLookup { elem } | Call::MapDelete { elem } | Call::MapLookupAndDelete { elem } => {
            elem
        }
        Call::ForEachMapElem { map, .. } => map,
        Call::MapCreate { map } | Call::MapGetFdById { map } | Call::IterCreate { map } => map,
        Call::ObjPin { fd, .. } | Call::Dup { fd } | Call::Close { fd } => fd,
        Call::CopyFromUser
        | Call::KtimeGetNs
        | Call::ProgRun { .. }
        | Call::ProgLoad { .. }
        | Call::LinkCreate { .. }
        | Call::ObjGet { .. }
        | Call::Unlink { .. }
        | Call::Kill { .. } => return,
    };
    f(object, Some(call));
}

fn cond(on: &Cond, f: &mut Look<'_>) {
    on.for_each_operand(&mut |operand| {
        if let Operand::Object(object) = &operand.node {
            f(object, None);
        }
    });
}

fn expected(expectation: &Expectation, f: &mut Look<'_>) {
    match expectation {
        Expectation::Never(p) | Expectation::Always(p) | Expectation::Sometimes(p) => {
            p.for_each(&mut |p| match p {
                Predicate::UrefZero(object) | Predicate::Evicted(object) => f(object, None),
                Predicate::Final(on) => cond(on, f),
                _ => {}
            });
        }
        Expectation::On(_, inner) | Expectation::KnownBug(_, inner) => expected(inner, f),
        Expectation::Latency(limits) => f(&limits.of, None),
        Expectation::Drift { of, .. } => f(of, None),
        Expectation::Hold { .. } | Expectation::Count(_) => {}
    }
}
