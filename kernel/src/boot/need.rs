//! What a world can need: fewer contexts and objects make exploration faster.

use crate::compile::each_key;
use crate::flags::Flags;
use crate::world::{
    Attach, Body, Call, ElemInit, Event, FieldKind, KeyRef, MapKind, MapRef, Op, OpKind, Operand,
    Order, ProgDef, ProgKind, ValueRef, Work, World,
};

/// Facts about a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    /// Some timer is on the boot-time clock.
    pub boottime: bool,
    /// Some timer can be queued.
    pub timers: bool,
    /// Work for kworkers can come up.
    pub work: bool,
    /// Some map has a `bpf_wq`.
    pub wq: bool,
    /// Callbacks can wait for a grace period.
    pub rcu: bool,
    /// ... of RCU-tasks-trace.
    pub rcu_trace: bool,
    /// Elements of bpf_mem_alloc can go back to the slab.
    pub to_slab: bool,
    /// An irq_work can be queued.
    pub irq_work: bool,
    /// Callbacks can run in RCU_SOFTIRQ.
    pub rcu_softirq: bool,
    /// Some task waits for a number of callbacks.
    pub callback_count: bool,
    /// By map: it may be in the slot of an outer map.
    pub inner: Vec<bool>,
}

/// Calls `f` for each operation, those inside others included.
pub(super) fn each_op<'w>(ops: &'w [Op], f: &mut dyn FnMut(&'w Op)) {
    for op in ops {
        f(op);
        match &op.kind {
            OpKind::If { then, otherwise, .. } => {
                each_op(then, f);
                each_op(otherwise, f);
            }
            OpKind::Repeat { body, .. } => each_op(body, f),
            _ => {}
        }
    }
}

/// The bodies of a source.
pub(super) fn source_body(e: &Event) -> Option<&Body> {
    match e {
        Event::Softirq(_, Work::Body(b))
        | Event::Irq(Work::Body(b))
        | Event::Nmi(Work::Body(b))
        | Event::Step(b) => Some(b),
        _ => None,
    }
}

/// Calls `f` for each operation of the world.
pub(super) fn each_op_of<'w>(w: &'w World, f: &mut dyn FnMut(&'w Op)) {
    w.progs.iter().for_each(|p| each_op(&p.body.ops, f));
    w.tasks.iter().for_each(|t| each_op(&t.body.ops, f));
    for c in &w.cpu_events {
        each_op(&c.steps, f);
        c.sources.iter().filter_map(|s| source_body(&s.what)).for_each(|b| each_op(&b.ops, f));
    }
}

/// Whether some step is a plain access of memory, which can be a data race.
pub(super) fn has_plain(w: &World) -> bool {
    let mut plain = false;
    each_op_of(w, &mut |op| {
        plain |= matches!(
            op.kind,
            OpKind::Read { order: Order::Plain, .. } | OpKind::Write { order: Order::Plain, .. }
        );
    });
    plain
}

/// Whether an NMI can run steps or programs.
pub(super) fn has_nmi(w: &World) -> bool {
    let mut sources = w.cpu_events.iter().flat_map(|c| &c.sources);
    let sampled = |p: &ProgDef| matches!(p.attach, Some(Attach::PerfEvent(_)));
    sources.any(|s| matches!(s.what, Event::Nmi(_))) || w.progs.iter().any(sampled)
}

fn call_of(op: &Op) -> Option<&Call> {
    match &op.kind {
        OpKind::Call { call: Call::Pin(inner, _), .. } => Some(inner),
        OpKind::Call { call, .. } => Some(call),
        _ => None,
    }
}

/// Whether a task loads the program.
pub(super) fn is_loaded(w: &World, prog: usize) -> bool {
    let mut loaded = false;
    each_op_of(w, &mut |op| {
        loaded |= matches!(call_of(op), Some(Call::ProgLoad(p)) if p.index() == prog);
    });
    loaded
}

/// Whether a task attaches the program.
pub(super) fn is_linked(w: &World, prog: usize) -> bool {
    let mut linked = false;
    each_op_of(w, &mut |op| {
        linked |= matches!(call_of(op), Some(Call::LinkCreate(p)) if p.index() == prog);
    });
    linked
}

/// Whether a task pins something that may be a link.
pub(super) fn pins_links(w: &World) -> bool {
    let mut pins = false;
    each_op_of(w, &mut |op| {
        let OpKind::Call { call, .. } = &op.kind else { return };
        pins |= match call {
            Call::Pin(inner, _) => matches!(**inner, Call::LinkCreate(_)),
            Call::ObjPin(..) => true,
            _ => false,
        };
    });
    pins
}

/// Whether a task creates the map.
pub(super) fn is_created(w: &World, map: usize) -> bool {
    let mut created = false;
    each_op_of(w, &mut |op| {
        created |= matches!(call_of(op), Some(Call::MapCreate(m)) if m.index() == map);
    });
    created
}

/// Whether some map has a `bpf_wq`.
pub(super) fn has_wq(w: &World) -> bool {
    let wq = |m: &crate::world::MapDef| {
        w.types.get(m.value.index()).is_some_and(|t| t.first(FieldKind::BpfWq).is_some())
    };
    w.maps.iter().any(wq)
}

/// Whether the program sets a callback of a `bpf_wq`.
pub(super) fn sets_wq_callback(p: &crate::world::ProgDef) -> bool {
    let mut sets = false;
    each_op(&p.body.ops, &mut |op| {
        sets |= matches!(call_of(op), Some(Call::WqSetCallback(..)));
    });
    sets
}

/// Whether a task does more with the map than creating it and closing it.
pub(super) fn is_used_by_task(w: &World, map: usize) -> bool {
    let mut used = false;
    let mut look = |ops: &[Op]| {
        each_op(ops, &mut |op| {
            let Some(call) = call_of(op) else { return };
            used |= map_of_call(call) == Some(map)
                || matches!(call,
                Call::MapUpdateBatch(MapRef::Map(m), ..)
                | Call::MapDeleteBatch(MapRef::Map(m), _)
                | Call::MapLookupBatch(MapRef::Map(m))
                | Call::MapLookupAndDeleteBatch(MapRef::Map(m))
                | Call::MapKeys(MapRef::Map(m))
                if m.index() == map);
        });
    };
    w.tasks.iter().for_each(|t| look(&t.body.ops));
    w.cpu_events.iter().for_each(|c| look(&c.steps));
    used
}

/// Maps that a program and its callbacks name.
pub(super) fn used_maps(w: &World, prog: usize) -> Vec<usize> {
    let (mut bodies, mut used) = (vec![prog], Vec::new());
    let mut at = 0;
    while let Some(b) = bodies.get(at).copied() {
        at += 1;
        each_op(&w.progs[b].body.ops, &mut |op| {
            let Some(call) = call_of(op) else { return };
            if let Call::TimerSetCallback(_, f)
            | Call::WqSetCallback(_, f)
            | Call::ForEachElem(_, f) = call
                && !bodies.contains(&f.index())
            {
                bodies.push(f.index());
            }
            if let Some(m) = map_of_call(call)
                && !used.contains(&m)
            {
                used.push(m);
            }
        });
    }
    used.sort_unstable();
    used
}

fn map_of_call(call: &Call) -> Option<usize> {
    let of = |m: &MapRef| match m {
        MapRef::Map(m) | MapRef::Slot(m, _) => m.index(),
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
        | Call::TimerCancelAsync(o) => match &o.value {
            ValueRef::Elem(e) => Some(of(&e.map)),
            _ => None,
        },
        Call::MapLookup(e)
        | Call::MapUpdate { elem: e, .. }
        | Call::MapDelete(e)
        | Call::MapLookupAndDelete(e) => Some(of(&e.map)),
        Call::ForEachElem(m, _) => Some(of(m)),
        _ => None,
    }
}

fn changes_map(call: &Call) -> bool {
    matches!(
        call,
        Call::MapUpdate { .. }
            | Call::MapDelete(_)
            | Call::MapLookupAndDelete(_)
            | Call::MapUpdateBatch(..)
            | Call::MapDeleteBatch(..)
            | Call::MapLookupAndDeleteBatch(_)
    )
}

impl Needs {
    /// Looks at all operations.
    pub fn of(w: &World, flags: &Flags, timed: bool) -> Needs {
        let mut n = Needs { inner: vec![false; w.maps.len()], ..Needs::default() };
        let mut frees = false;
        each_op_of(w, &mut |op| {
            n.callback_count |= matches!(op.kind, OpKind::WaitCallbacks { .. });
            n.rcu |= matches!(op.kind, OpKind::CallRcuFree(_));
            frees |= matches!(op.kind, OpKind::Exit(_) | OpKind::Signal(_));
            if let Some(call) = call_of(op) {
                n.look_at(call);
                let closes = matches!(call, Call::Close(_) | Call::Unlink(_) | Call::Kill(..));
                frees |= changes_map(call) || closes;
            }
        });
        for m in &w.maps {
            n.timers |= m.init.iter().any(|i| matches!(i.1, ElemInit::Armed { .. }));
            for (_, inner) in &m.slots {
                n.inner[inner.index()] = true;
            }
        }
        let loads = (0..w.progs.len()).any(|p| is_loaded(w, p));
        let creates = (0..w.maps.len()).any(|m| is_created(w, m));
        let inner = n.inner.contains(&true);
        n.rcu |= frees && flags.cancel_free_rcu && !flags.lock_free;
        n.rcu_softirq = !flags.bpf_mem_alloc
            && w.maps.iter().any(|m| m.flags.no_prealloc && m.kind == MapKind::Hash);
        n.rcu |= frees && w.maps.iter().any(|m| m.kind == MapKind::Rhash);
        n.rcu |= n.rcu_softirq || loads;
        let wq = has_wq(w);
        n.wq = wq;
        // A replacement under a bucket lock has interrupts off, as any program may have.
        n.irq_work = flags.lock_free && (n.timers || wq || frees);
        n.rcu |= wq;
        n.to_slab = !timed && frees && flags.bpf_mem_alloc && keeps_pointers(w);
        n.rcu_trace =
            n.to_slab || loads || inner && flags.defer_inner_map_free || frees && flags.lock_free;
        let delete_work = flags.defer_free_in_callback && !flags.lock_free;
        n.work = wq
            || loads
            || creates
            || inner
            || delete_work && callbacks_free(w)
            || flags.rt_two_step_cancel && frees;
        n
    }

    fn look_at(&mut self, call: &Call) {
        match call {
            Call::TimerInit(_, flags) | Call::TimerInitOf { flags, .. } => {
                self.boottime |= *flags == crate::bpf_timer::CLOCK_BOOTTIME;
            }
            Call::TimerStart(..) => self.timers = true,
            Call::MapUpdate { value: Some(Operand::Map(MapRef::Map(m))), .. } => {
                self.inner[m.index()] = true;
            }
            _ => {}
        }
    }
}

/// Whether some program works on a timer through a pointer that it keeps, and nothing is inserted: deleted elements then
/// stay in the cache until it has too many of them.
fn keeps_pointers(w: &World) -> bool {
    let (mut keeps, mut inserts) = (false, false);
    each_op_of(w, &mut |op| {
        let call = call_of(op);
        inserts |= matches!(call, Some(Call::MapUpdate { .. } | Call::MapUpdateBatch(..)));
    });
    for p in &w.progs {
        each_op(&p.body.ops, &mut |op| {
            if let Some(Call::TimerInit(o, _) | Call::TimerStart(o, ..)) = call_of(op) {
                // A callback's value is such a pointer, too.
                let each = p.kind == ProgKind::ForEachCb && o.value == ValueRef::Value;
                keeps |= each || matches!(o.value, ValueRef::Local(_));
            }
        });
    }
    keeps && !inserts
}

/// Whether a timer callback can cancel and free.
fn callbacks_free(w: &World) -> bool {
    let mut frees = false;
    let called = |p: &&ProgDef| matches!(p.kind, ProgKind::TimerCb | ProgKind::ForEachCb);
    for p in w.progs.iter().filter(called) {
        each_op(&p.body.ops, &mut |op| frees |= call_of(op).is_some_and(changes_map));
    }
    frees
}

/// The keys that operations name in an outer map, with those of its first slots.
pub(super) fn slot_keys(w: &World, outer: usize) -> Vec<i64> {
    let mut keys: Vec<i64> = w.maps[outer].slots.iter().map(|s| s.0).collect();
    if w.maps[outer].kind == MapKind::ArrayOfMaps {
        keys.extend(0..i64::from(w.maps[outer].max_entries.min(1024)));
    }
    each_op_of(w, &mut |op| {
        let Some(call) = call_of(op) else { return };
        if map_of_call(call) == Some(outer) {
            each_key(call, &mut |k| {
                if let KeyRef::Int(k) = k {
                    keys.push(*k);
                }
            });
        }
        each_slot(call, &mut |m, k| {
            if m == outer {
                keys.push(k);
            }
        });
    });
    if w.maps[outer].kind == MapKind::ArrayOfMaps {
        keys.retain(|k| (0..i64::from(w.maps[outer].max_entries)).contains(k));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn each_slot(call: &Call, f: &mut dyn FnMut(usize, i64)) {
    let mut visit = |m: &MapRef| {
        if let MapRef::Slot(outer, key) = m {
            f(outer.index(), *key);
        }
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
        | Call::TimerCancelAsync(o) => {
            if let ValueRef::Elem(e) = &o.value {
                visit(&e.map);
            }
        }
        Call::MapLookup(e)
        | Call::MapUpdate { elem: e, .. }
        | Call::MapDelete(e)
        | Call::MapLookupAndDelete(e) => visit(&e.map),
        Call::ForEachElem(m, _) => visit(m),
        _ => {}
    }
}
