//! Which steps may stand where.

use super::bodies::Where;
use super::visit::{for_each_source_step, for_each_step, visit_step};
use crate::ast::{Call, Event, Scenario, Source, Step, StepKind};
use crate::diag::Diagnostic;

/// Checks that each step may stand where it does.
pub(super) fn check(scenario: &Scenario, diags: &mut Vec<Diagnostic>) {
    for (name, prog) in &scenario.progs {
        let place = Where::Prog { name: name.node.clone(), kind: prog.kind.node };
        for_each_step(&prog.body, &mut |step| check_step(step, &place, diags));
    }
    for (_, task) in &scenario.tasks {
        for_each_step(&task.body, &mut |step| check_step(step, &Where::Task, diags));
    }
    for (_, events) in &scenario.cpus {
        for event in events {
            match &event.node {
                Event::Step(step) => {
                    visit_step(step, &mut |step| check_step(step, &Where::Task, diags));
                }
                Event::Timed(timed) => {
                    let place = match timed.source.node {
                        Source::Step(_) => Where::Task,
                        _ => Where::Interrupt,
                    };
                    for_each_source_step(&timed.source, &mut |step| {
                        check_step(step, &place, diags);
                    });
                }
            }
        }
    }
}

/// What a step needs of the place where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Needs {
    /// Nothing.
    Nothing,
    /// A program: helpers.
    Program,
    /// Kernel code: locks, contexts, memory, waiting.
    Kernel(&'static str),
    /// Kernel code that may sleep.
    Sleep,
    /// A process: bpf(2) and other system calls.
    Process,
    /// A program or a process.
    Bpf,
}

fn needs(step: &StepKind) -> Needs {
    match step {
        StepKind::Invoke(invoke) => match &invoke.call.node {
            Call::TimerInit { .. }
            | Call::TimerSetCallback { .. }
            | Call::TimerStart { .. }
            | Call::TimerCancel { .. }
            | Call::TimerCancelAsync { .. }
            | Call::WqInit { .. }
            | Call::WqSetCallback { .. }
            | Call::WqStart { .. }
            | Call::ForEachMapElem { .. }
            | Call::KtimeGetNs
            | Call::CopyFromUser => Needs::Program,
            Call::MapLookup { .. }
            | Call::MapUpdate { .. }
            | Call::MapDelete { .. }
            | Call::MapLookupAndDelete { .. } => Needs::Bpf,
            // In an interrupt it is a hit of the attach point.
            Call::ProgRun { .. } => Needs::Kernel("runs another program"),
            _ => Needs::Process,
        },
        StepKind::If { .. }
        | StepKind::Repeat { .. }
        | StepKind::Assert(_)
        | StepKind::Work(_)
        | StepKind::Access(_)
        | StepKind::Barrier(_) => Needs::Nothing,
        StepKind::Lock { .. } => Needs::Kernel("takes a lock of the kernel"),
        StepKind::Context(_) => Needs::Kernel("changes the context"),
        StepKind::Alloc { .. }
        | StepKind::Free(_)
        | StepKind::CallRcuFree(_)
        | StepKind::RcuReadLock
        | StepKind::RcuReadUnlock => Needs::Kernel("manages memory of the kernel"),
        StepKind::WaitUntil(_) => Needs::Kernel("waits"),
        StepKind::SynchronizeRcu
        | StepKind::SleepUntil(_)
        | StepKind::Sleep(_)
        | StepKind::At { .. } => Needs::Sleep,
        StepKind::ClockStep { .. }
        | StepKind::Suspend(_)
        | StepKind::Signal(_)
        | StepKind::Exit(_)
        | StepKind::Unblock(_) => Needs::Process,
    }
}

fn check_step(step: &Step, place: &Where, diags: &mut Vec<Diagnostic>) {
    let error = |code, message: &str| Diagnostic::error(code, step.span, message.to_string());
    let diag = match (needs(&step.node), place) {
        (Needs::Program, Where::Task) => {
            error("E0301", "timer and work queue helpers exist in programs only")
                .label("this is a task")
                .help("put it into a SYSCALL program and run that: prog_run(\"prog\")")
        }
        (Needs::Program | Needs::Bpf, Where::Interrupt) => {
            error("E0301", "an interrupt calls no helpers and no bpf(2)")
                .label("this is an interrupt")
                .help("put it into a program and run that: prog_run(\"prog\")")
        }
        (Needs::Kernel(what), Where::Prog { .. }) => {
            error("E0302", &format!("a program cannot do this: it {what}"))
                .label("this is a program")
                .help("raw steps of this kind are for tasks and interrupts")
        }
        (Needs::Sleep | Needs::Process, Where::Prog { .. }) => {
            error("E0303", "a program cannot sleep, wait or make system calls")
                .label("this is a program")
                .help("put it into a task")
        }
        (Needs::Sleep, Where::Interrupt) => error("E0304", "an interrupt cannot sleep")
            .label("this sleeps")
            .help("`work(..)` and `wait_until(..)` keep the CPU"),
        (Needs::Process, Where::Interrupt) => {
            error("E0304", "an interrupt belongs to no process").label("only a task can do this")
        }
        _ => return,
    };
    diags.push(diag);
}
