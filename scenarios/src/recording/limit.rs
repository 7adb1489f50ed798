//! Cases of kind `limit`: how many of a batch of `bpf_timer_init()` get memory.
//!
//! How often kmalloc_nolock() fails follows from the state of the slab allocator, which is not modelled: where the
//! kernel allocates so, any number may fail, but with nothing but -ENOMEM. An atomic allocation may exceed the limit
//! of its cgroup: there all must succeed, as recorded.

use timerace_kernel::Fix;
use timerace_kernel::world::{
    Body, Call, Fault, LineId, MapFlags, MapId, MapKind, MapRef, MemcgDef, MemcgId, ObjRef, ProgId,
    ProgKind, ValueRef, World,
};

use super::body;
use super::run::{Given, Run};
use super::world::{Unsupported, create, map_def, prog_def, task_def};

/// The line of the call whose results are counted.
pub(super) const COUNTED: LineId = LineId(1);
/// More than any recording has.
const TIMERS_MAX: u64 = 1 << 16;
/// `-ENOMEM`
const ENOMEM: i64 = -12;

/// What a case of this kind recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// How many timers were to be initialised, each once.
    pub timers: u64,
    /// How many were.
    pub ok: u64,
    /// How many got -ENOMEM.
    pub enomem: u64,
    /// How many got something else.
    pub other: u64,
    /// The memory cgroup is at its limit.
    pub full: bool,
}

/// A program that walks an array and initialises the timer of each element.
pub(super) fn world(mut w: World, l: &Limited) -> Result<World, Unsupported> {
    let Some(timers) = u32::try_from(l.timers).ok().filter(|n| u64::from(*n) <= TIMERS_MAX) else {
        return Err(Unsupported::because("more timers than a map of the model holds"));
    };
    w.lines.push(w.lines[0]);
    w.memcgs.push(MemcgDef { name: "recorded".into(), max_bytes: 0 });
    let mut map = map_def("m", MapKind::Array, timers, MapFlags::default());
    map.memcg = Some(MemcgId(0));
    w.maps.push(map);
    if w.kernel.has(Fix::KmallocNolock) {
        w.faults.push(Fault::MayEnomem { function: "bpf_timer_init".into(), at: LineId(0) });
    } else if l.full {
        w.faults.push(Fault::MemcgFull(MemcgId(0)));
    }
    let walk = Call::ForEachElem(MapRef::Map(MapId(0)), ProgId(1));
    let prog = prog_def("a", ProgKind::Syscall, Body::of(vec![create(walk, LineId(0))]));
    let timer = ObjRef { value: ValueRef::Value, field: None, byte: None };
    let init = create(Call::TimerInit(timer, 1), COUNTED);
    w.progs = vec![prog, prog_def("each", ProgKind::ForEachCb, Body::of(vec![init]))];
    let run = create(Call::ProgRun(ProgId(0)), LineId(0));
    let exit = body::op(timerace_kernel::world::OpKind::Exit(0), LineId(0), "exit");
    let made = create(Call::MapCreate(MapId(0)), LineId(0));
    let loaded = create(Call::ProgLoad(ProgId(0)), LineId(0));
    w.tasks.push(task_def(Body::of(vec![made, loaded, run, exit])));
    Ok(w)
}

/// What the model says of the numbers; `None`: they agree.
pub(super) fn difference(l: &Limited, run: &Run) -> Option<(String, String)> {
    let codes = run.ops.iter().flatten().map(|s| match &s.given {
        Given::Code(code, _) => *code,
        _ => 1,
    });
    let codes: Vec<i64> = codes.collect();
    let count = |code: i64| codes.iter().filter(|c| **c == code).count() as u64;
    let (ok, enomem) = (count(0), count(ENOMEM));
    let other = codes.len() as u64 - ok - enomem;
    // Where allocations may fail, each has failed and succeeded often enough to be sure of both.
    let any_number = ok > 0 && enomem > 0;
    let numbers = any_number || (l.ok, l.enomem) == (ok, enomem);
    let agrees = codes.len() as u64 == l.timers && l.ok + l.enomem == l.timers;
    if agrees && numbers && l.other == other {
        return None;
    }
    let text = |ok, enomem, other| format!("{ok} times 0, {enomem} times -ENOMEM, {other} others");
    Some((text(l.ok, l.enomem, l.other), text(ok, enomem, other)))
}
