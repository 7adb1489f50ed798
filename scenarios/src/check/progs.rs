//! Rules about programs and callbacks that hold in every version.

use super::visit::for_each_step_of;
use super::world::World;
use crate::ast::{Attach, Call, Clock, Event, Init, Prog, ProgKind, Scenario, Source, StepKind};
use crate::diag::{Diagnostic, quote};
use crate::span::Sp;

/// Checks each program, and what is done with programs.
pub(super) fn check(scenario: &Scenario, world: &World, diags: &mut Vec<Diagnostic>) {
    for (name, prog) in &scenario.progs {
        check_sleepable(prog, world.excused_progs.contains(&name.node), diags);
        check_attach(prog, diags);
    }
    for (_, map) in &scenario.maps {
        for (_, init) in &map.init {
            if let Init::Armed { callback, .. } = &init.node {
                want(world, callback, ProgKind::TimerCb, diags);
            }
        }
    }
    for (_, events) in &scenario.cpus {
        for event in events {
            if let Event::Timed(timed) = &event.node
                && let Source::Packet(prog) = &timed.source.node
            {
                want_packet(world, prog, diags);
            }
        }
    }
    for_each_step_of(scenario, &mut |step| match &step.node {
        StepKind::Invoke(invoke) => check_call(&invoke.call, world, diags),
        StepKind::ClockStep { clock, .. } if clock.node != Clock::Realtime => {
            let message = format!("{} cannot be set", clock.node);
            diags.push(
                Diagnostic::error("E0109", clock.span, message).label("only CLOCK_REALTIME steps"),
            );
        }
        _ => {}
    });
}

fn check_call(call: &Call, world: &World, diags: &mut Vec<Diagnostic>) {
    match call {
        Call::TimerSetCallback { callback, .. } => want(world, callback, ProgKind::TimerCb, diags),
        Call::WqSetCallback { callback, .. } => want(world, callback, ProgKind::WqCb, diags),
        Call::ForEachMapElem { callback, .. } => want(world, callback, ProgKind::ForEachCb, diags),
        Call::ProgRun { prog } => whole(world, prog, "run", diags),
        Call::ProgLoad { prog } => whole(world, prog, "loaded", diags),
        Call::LinkCreate { prog } => {
            whole(world, prog, "attached", diags);
            if world.progs.get(&prog.node) == Some(&ProgKind::Syscall) {
                let message = format!("program \"{}\" cannot be attached", quote(prog));
                diags.push(
                    Diagnostic::error("E0306", prog.span, message)
                        .label("a SYSCALL program is only run")
                        .help(format!("write prog_run(\"{}\")", quote(prog))),
                );
            }
        }
        Call::Pin(inner) => check_call(inner, world, diags),
        _ => {}
    }
}

/// A callback of that kind is wanted.
fn want(world: &World, callback: &Sp<String>, kind: ProgKind, diags: &mut Vec<Diagnostic>) {
    let Some(found) = world.progs.get(&callback.node) else { return };
    if *found == kind {
        return;
    }
    let message = format!("\"{}\" is a {found} program, no {kind}", quote(callback));
    diags.push(
        Diagnostic::error("E0306", callback.span, message)
            .label(format!("a {kind} is wanted"))
            .note("the callback must be a static subprogram of the program that sets it"),
    );
}

/// A program of its own is wanted, no callback.
fn whole(world: &World, prog: &Sp<String>, verb: &str, diags: &mut Vec<Diagnostic>) {
    let Some(found) = world.progs.get(&prog.node).filter(|kind| kind.is_callback()) else { return };
    let message = format!("\"{}\" is a {found}, which is not {verb} on its own", quote(prog));
    diags.push(
        Diagnostic::error("E0306", prog.span, message)
            .label("a callback")
            .note("a callback is a subprogram of each program that sets it"),
    );
}

fn want_packet(world: &World, prog: &Sp<String>, diags: &mut Vec<Diagnostic>) {
    let Some(found) = world.progs.get(&prog.node) else { return };
    if matches!(found, ProgKind::Xdp | ProgKind::Tc) {
        return;
    }
    let message = format!("packets do not run {found} programs");
    diags.push(
        Diagnostic::error("E0306", prog.span, message).label("an XDP or TC program is wanted"),
    );
}

fn check_sleepable(prog: &Prog, excused: bool, diags: &mut Vec<Diagnostic>) {
    let Some(sleepable) = prog.sleepable else { return };
    let kind = prog.kind.node;
    let why = match (sleepable.node, kind, prog.attach.as_ref().map(|attach| &attach.node)) {
        (true, ProgKind::TimerCb, _) => "a timer callback runs in softirq and cannot sleep",
        (_, ProgKind::ForEachCb, _) => "this callback may sleep if the program that walks may",
        (false, ProgKind::WqCb, _) => "a work queue callback is always sleepable",
        (true, ProgKind::Tracing, Some(Attach::TpBtf(_))) => "a tracepoint cannot sleep",
        (true, ProgKind::Xdp | ProgKind::Tc | ProgKind::PerfEvent | ProgKind::Kprobe, _) => {
            "programs of this type cannot sleep"
        }
        _ => return,
    };
    if excused {
        return;
    }
    diags.push(
        Diagnostic::error("E0304", sleepable.span, why)
            .label("leave this out")
            .also(prog.kind.span, "the type of the program"),
    );
}

fn check_attach(prog: &Prog, diags: &mut Vec<Diagnostic>) {
    let Some(attach) = &prog.attach else { return };
    let kind = prog.kind.node;
    let (fits, wanted) = match &attach.node {
        Attach::TpBtf(_) => (kind == ProgKind::Tracing, "TRACING"),
        // A kprobe sits at the start or the return of a function, too.
        Attach::Fentry(_) | Attach::Fexit(_) => {
            (matches!(kind, ProgKind::Tracing | ProgKind::Kprobe), "TRACING")
        }
        Attach::PerfEvent(_) => (kind == ProgKind::PerfEvent, "PERF_EVENT"),
        Attach::SchedExt(_) => (kind == ProgKind::StructOps, "STRUCT_OPS"),
    };
    if fits {
        return;
    }
    diags.push(
        Diagnostic::error(
            "E0305",
            attach.span,
            match kind.is_callback() || kind == ProgKind::Syscall {
                true => format!("{kind} programs are not attached at all"),
                false => format!("{kind} programs are not attached like this"),
            },
        )
        .label(format!("this is for {wanted} programs"))
        .also(prog.kind.span, "the type of the program"),
    );
}
