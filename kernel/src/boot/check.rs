//! What the model does not have is refused here, with its place in the source.

use super::need::{self, each_op, is_loaded, source_body};
use super::{BootError, hotplug};
use crate::attach::Point;
use crate::compile::{Code, MAX_LOCALS};
use crate::map::Map;
use crate::prog::Prog;
use crate::world::{
    Attach, Call, Cond, ElemInit, Event, Fault, LineId, MapDef, MapKind, MapRef, ObjRef, Op,
    OpKind, Operand, Place, Preempt, ProgKind, ValueRef, When, World,
};

/// The most members of a struct.
const MAX_FIELDS: usize = 64;
/// The most elements that are allocated with a map.
pub const MAX_ELEMENTS: usize = 1 << 20;

type Result = std::result::Result<(), BootError>;

fn unsupported(w: &World, what: &str, at: LineId) -> Result {
    Err(BootError::Unsupported { what: what.to_string(), at: w.at(at) })
}

/// The body has no more locals than fit.
pub(super) fn locals(code: &Code, name: &str) -> Result {
    if code.locals <= MAX_LOCALS {
        return Ok(());
    }
    let what = format!("locals and loops in `{name}`");
    Err(BootError::TooMany { what, count: code.locals, limit: MAX_LOCALS })
}

/// Refuses what is not modelled.
pub(super) fn check(w: &World) -> Result {
    let nowhere = LineId(u32::MAX);
    if let Some(t) = w.types.iter().find(|t| t.fields.len() > MAX_FIELDS) {
        let (count, limit) = (t.fields.len(), MAX_FIELDS);
        return Err(BootError::TooMany { what: format!("members of `{}`", t.name), count, limit });
    }
    if !w.machine.high_res {
        return unsupported(w, "high_res: false", nowhere);
    }
    if w.machine.tick == Some(true) {
        return unsupported(w, "a periodic tick", nowhere);
    }
    maps(w)?;
    faults(w)?;
    for (i, p) in w.progs.iter().enumerate() {
        let sampled = matches!(p.attach, Some(Attach::PerfEvent(_)));
        let known = |a: &Attach| p.is_sched_ext() || sampled || Point::of(a).is_some();
        // An event that is opened by a task, for a program that it has loaded, is not modelled.
        let opened = sampled && is_loaded(w, i);
        if let Some(a) = p.attach.as_ref().filter(|a| !known(a) || opened) {
            return unsupported(w, &format!("a program on {a}"), p.at);
        }
        if p.kind == ProgKind::StructOps && !p.is_sched_ext() {
            return unsupported(w, "this program type", p.at);
        }
        body(w, &p.body.ops, Who::Program)?;
    }
    for t in &w.tasks {
        body(w, &t.body.ops, Who::Task)?;
    }
    for c in &w.cpu_events {
        body(w, &c.steps, Who::Task)?;
        for s in &c.sources {
            match &s.what {
                Event::Softirq(..) | Event::Packet(_) if w.machine.preempt == Preempt::Rt => {
                    return unsupported(w, "this softirq on PREEMPT_RT", s.at);
                }
                Event::CpuUp => return unsupported(w, "a CPU that comes online", s.at),
                Event::CpuDown if s.when != When::Anytime => {
                    return unsupported(w, "a CPU that goes offline at a time", s.at);
                }
                Event::CpuDown if hotplug::target(w).is_none() => {
                    return unsupported(w, "the last CPU going offline", s.at);
                }
                _ => {}
            }
            if let Some(b) = source_body(&s.what) {
                body(w, &b.ops, Who::Source)?;
            }
        }
    }
    Ok(())
}

fn maps(w: &World) -> Result {
    for m in &w.maps {
        if m.max_entries as usize > MAX_ELEMENTS {
            let (count, limit) = (m.max_entries as usize, MAX_ELEMENTS);
            let what = format!("elements of `{}`", m.name);
            return Err(BootError::TooMany { what, count, limit });
        }
    }
    Ok(())
}

/// A map type whose operations are not modelled may be created, or refused, but not used; and timers on PREEMPT_RT
/// are explored only.
pub(super) fn used(w: &World, maps: &[Map], progs: &[Prog], timed: bool) -> Result {
    for (i, m) in w.maps.iter().enumerate() {
        let known =
            matches!(m.kind, MapKind::Hash | MapKind::LruHash | MapKind::Array | MapKind::Rhash);
        let created = need::is_created(w, i);
        if maps[i].create_ret < 0 && !created {
            let (what, errno) = (format!("map `{}`", m.name), maps[i].create_ret);
            return Err(BootError::Refused { what, errno, at: w.at(m.at) });
        }
        let there = maps[i].create_ret == 0;
        let runs = |p: &Prog| there && p.load_ret == 0 && p.used_maps.contains(&i);
        let used = progs.iter().any(runs) || need::is_used_by_task(w, i) || !created;
        if !known && !m.kind.is_outer() && used {
            return unsupported(w, "this map type", m.at);
        }
    }
    let timers = |p: &Prog| {
        let has_timer = p.used_maps.iter().any(|m| maps[*m].has_timer);
        p.load_ret == 0 && has_timer
    };
    let there = |m: &MapDef| m.init.iter().any(|(_, state)| *state != ElemInit::Present);
    let used = progs.iter().any(timers) || w.maps.iter().any(there);
    if w.machine.preempt == Preempt::Rt && timed && used {
        return unsupported(w, "a timed run of timers on PREEMPT_RT", LineId(u32::MAX));
    }
    Ok(())
}

fn faults(w: &World) -> Result {
    for f in &w.faults {
        let (Fault::Enomem { function, at, .. } | Fault::MayEnomem { function, at }) = f else {
            continue;
        };
        let known = [
            "bpf_timer_init",
            "bpf_wq_init",
            "bpf_async_schedule_op",
            "bpf_map_update_elem",
            "htab_map_update_elem",
        ];
        if !known.contains(&function.as_str()) {
            return unsupported(w, &format!("failing allocations in {function}"), *at);
        }
        if let Fault::Enomem { nth, .. } = f
            && nth.iter().any(|n| !(1..=128).contains(n))
        {
            return unsupported(w, "a failing allocation after the first 128", *at);
        }
    }
    Ok(())
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Who {
    Task,
    Program,
    Source,
}

fn body(w: &World, ops: &[Op], who: Who) -> Result {
    let mut result = Ok(());
    each_op(ops, &mut |op| {
        if result.is_ok()
            && let Some(what) = problem(op, who)
        {
            result = unsupported(w, &what, op.at);
        }
    });
    result
}

fn problem(op: &Op, who: Who) -> Option<String> {
    let text = || Some(format!("`{}` here", op.text));
    match &op.kind {
        OpKind::Call { call, .. } => call_problem(call, who).then(text).flatten(),
        OpKind::Suspend(_) => text(),
        OpKind::Return(_) if who != Who::Program => text(),
        OpKind::Sleep(_)
        | OpKind::SleepUntilTime(_)
        | OpKind::ClockStep { .. }
        | OpKind::Signal(_)
        | OpKind::Exit(_)
        | OpKind::Unblock(_)
        | OpKind::SetCpu(_)
        | OpKind::WaitCallbacks { .. }
            if who != Who::Task =>
        {
            text()
        }
        OpKind::WaitUntil(c) | OpKind::SleepUntil(c) => (!is_flat(c)).then(text).flatten(),
        _ => None,
    }
}

/// A guard is a list of comparisons of which all or any must hold, of objects that are known before the step.
fn is_flat(c: &Cond) -> bool {
    let known =
        |o: &Operand| !matches!(o, Operand::Place(Place::ValueMember(..)) | Operand::Elem(_));
    let simple = |c: &Cond| matches!(c, Cond::Cmp(a, _, b) if known(a) && known(b));
    match c {
        Cond::Cmp(..) => simple(c),
        Cond::All(parts) | Cond::Any(parts) => parts.iter().all(simple),
    }
}

fn call_problem(call: &Call, who: Who) -> bool {
    let in_task = |m: &MapRef| who == Who::Task && matches!(m, MapRef::Slot(..));
    let object = |o: &ObjRef| {
        who != Who::Program || matches!(&o.value, ValueRef::Elem(e) if in_task(&e.map))
    };
    match call {
        Call::WqInit(o, _)
        | Call::WqSetCallback(o, _)
        | Call::WqStart(o, _)
        | Call::TimerInit(o, _)
        | Call::TimerInitOf { timer: o, .. }
        | Call::SpinLock(o)
        | Call::SpinUnlock(o)
        | Call::TimerSetCallback(o, _)
        | Call::TimerStart(o, ..)
        | Call::TimerCancel(o)
        | Call::TimerCancelAsync(o) => object(o),
        Call::MapLookup(e) | Call::MapUpdate { elem: e, .. } | Call::MapDelete(e) => {
            who == Who::Source || in_task(&e.map)
        }
        Call::ProgRun(_) => who == Who::Program,
        Call::CopyFromUser | Call::KtimeGetNs | Call::ForEachElem(..) => who != Who::Program,
        Call::Pin(inner, _) => who != Who::Task || call_problem(inner, who),
        _ => who != Who::Task,
    }
}
