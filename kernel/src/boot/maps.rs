//! Maps and their elements before the first step.

use super::need::{self, Needs};
use crate::flags::Flags;
use crate::kernel::Kernel;
use crate::map::{Bucket, Map};
use crate::objects::{Armed, Callback, ELEM_HEADER, Elem, MapObj, Timer, Types};
use crate::promises;
use crate::world::{Call, ElemInit, Fault, FieldKind, MapDef, MapKind, OpKind, World};
use timerace_core::{Setup, Word};

/// Names of an element's fields.
pub(super) fn elem_fields(w: &World, m: &MapDef) -> Vec<String> {
    let mut names: Vec<String> = ELEM_HEADER.iter().map(ToString::to_string).collect();
    if let Some(ty) = w.types.get(m.value.index()) {
        names.extend(ty.fields.iter().map(|f| f.name.clone()));
    }
    names
}

/// All maps, empty.
pub(super) fn maps(s: &mut Setup, w: &World, ty: &Types, needs: &Needs, flags: &Flags) -> Vec<Map> {
    (0..w.maps.len()).map(|i| map(s, w, ty, needs, flags, i)).collect()
}

fn map(s: &mut Setup, w: &World, ty: &Types, needs: &Needs, flags: &Flags, i: usize) -> Map {
    let d = &w.maps[i];
    let fields = w.types.get(d.value.index()).map_or(&[][..], |t| &t.fields);
    let is = |k: FieldKind| fields.iter().any(|f| f.kind == k);
    let copied = [FieldKind::Signed, FieldKind::Unsigned, FieldKind::Ptr];
    let scalars = fields
        .iter()
        .enumerate()
        .filter(|f| copied.contains(&f.1.kind))
        .fold(0, |m, f| m | 1 << f.0);
    let integer =
        |f: &crate::world::FieldDef| matches!(f.kind, FieldKind::Signed | FieldKind::Unsigned);
    let cpus = usize::from(w.machine.cpus);
    let rhash = d.kind == MapKind::Rhash;
    let hash = rhash || matches!(d.kind, MapKind::Hash | MapKind::LruHash);
    let lru = d.kind == MapKind::LruHash;
    let dynamic = hash && d.flags.no_prealloc && !lru;
    let max = d.max_entries as usize;
    let count = match d.kind {
        // Each CPU's own list has the same number of elements, at least one.
        MapKind::LruHash if d.flags.no_common_lru => max.next_multiple_of(cpus),
        MapKind::Array | MapKind::LruHash => max,
        // Each CPU has an element in reserve for replacements.
        MapKind::Hash if !dynamic => max + cpus,
        _ => 0,
    };
    let buckets = if hash { max.next_power_of_two() } else { 0 };
    let full = |memcg| w.faults.contains(&Fault::MemcgFull(memcg));
    let obj = MapObj(s.preallocated(ty.map));
    let n = &d.name;
    Map {
        obj,
        kind: d.kind,
        max_entries: d.max_entries,
        no_prealloc: dynamic,
        key_mask: if d.key_size >= 8 { u64::MAX } else { (1 << (8 * d.key_size)) - 1 },
        has_wq: flags.bpf_wq && !d.kind.is_outer() && !d.flags.no_btf && is(FieldKind::BpfWq),
        has_timer: !d.kind.is_outer() && !d.flags.no_btf && is(FieldKind::BpfTimer),
        has_lock: is(FieldKind::BpfSpinLock),
        lock_member: fields.iter().position(|f| f.kind == FieldKind::BpfSpinLock),
        memcg_full: d.memcg.is_some_and(full),
        scalars: if d.kind.is_outer() { 0 } else { scalars },
        first_integer: fields.iter().position(integer).filter(|_| !d.kind.is_outer()),
        elems: (0..count).map(|k| element(s, ty, i, fields.len(), k)).collect(),
        buckets: (0..buckets).map(|b| bucket(s, n, b)).collect(),
        free: match hash && !lru {
            true => (0..cpus).map(|c| s.list(&format!("{n}.freelist.{c}"))).collect(),
            false => Vec::new(),
        },
        extra: match hash && !lru && !dynamic {
            true => (0..cpus).map(|c| s.var(&format!("{n}.extra_elems.{c}"), None)).collect(),
            false => Vec::new(),
        },
        count: dynamic.then(|| s.var(&format!("{n}.count"), 0i64)),
        lru: lru.then(|| super::lru::lists(s, d, cpus, flags.lru_free_target)),
        slots: match d.kind.is_outer() {
            true => need::slot_keys(w, i)
                .into_iter()
                .map(|k| (k as u64, s.var(&format!("{n}[{k}]"), 0u64)))
                .collect(),
            false => Vec::new(),
        },
        slot_lock: (d.kind == MapKind::HashOfMaps).then(|| bucket(s, n, 0)),
        freeing: rhash.then(|| s.var(&format!("{n}.freeing_internal"), false)),
        inner: needs.inner[i],
        to_slab: dynamic && needs.to_slab,
        create_ret: super::verify::create_ret(w, d, flags),
        created_by_task: need::is_created(w, i),
    }
}

fn bucket(s: &mut Setup, map: &str, b: usize) -> Bucket {
    Bucket {
        chain: s.list(&format!("{map}.bucket[{b}]")),
        lock: s.lock_of(&format!("{map}.bucket.lock"), &format!("{map}.bucket[{b}].lock")),
        waits: s.var(&format!("{map}.bucket[{b}].waits"), false),
    }
}

fn element(s: &mut Setup, ty: &Types, map: usize, fields: usize, key: usize) -> Elem {
    let e = Elem(s.preallocated(ty.elems[map]));
    for f in 0..ELEM_HEADER.len() + fields {
        s.init(e.0.field::<u64>(f as u32), 0u64);
    }
    s.init(e.key(), key as u64);
    e
}

/// References of what is there from the start, free lists, elements, timers.
pub(super) fn initial_state(s: &mut Setup, k: &Kernel) {
    for p in k.progs.iter().filter(|p| p.loaded_by_task) {
        s.fill(|mem| mem.free(p.obj.0));
    }
    for (i, m) in k.maps.iter().enumerate() {
        // `init` holds a descriptor of each map that no task creates.
        let held = i64::from(!m.created_by_task);
        let users = k.progs.iter().filter(|p| !p.loaded_by_task && p.used_maps.contains(&i));
        let slots = k.world.maps.iter().flat_map(|d| &d.slots).filter(|s| s.1.index() == i);
        let refs = held + users.count() as i64 + slots.count() as i64;
        s.init(m.obj.usercnt(), held);
        s.init(m.obj.refcnt(), refs);
        s.init(m.obj.released(), 0u64);
        s.init(m.obj.free_after_gp(), false);
        if refs == 0 {
            s.fill(|mem| mem.free(m.obj.0));
        }
        fill_lists(s, m, k.cpus.len());
        for (key, inner) in &k.world.maps[i].slots {
            if let Some((_, v)) = m.slots.iter().find(|s| s.0 == *key as u64) {
                s.init(*v, inner.index() as u64 + 1);
            }
        }
        for (key, state) in &k.world.maps[i].init {
            if let Some(e) = place(s, k, i, *key as u64 & m.key_mask) {
                initial_timer(s, k, i, e, state);
            }
        }
    }
}

/// Free elements: the lowest is taken first; each CPU has its share.
fn fill_lists(s: &mut Setup, m: &Map, cpus: usize) {
    let max = m.max_entries as usize;
    if let Some(lru) = &m.lru {
        super::lru::populate(s, m, lru);
    } else if !m.extra.is_empty() {
        let share = max.div_ceil(cpus);
        for (c, list) in m.free.iter().enumerate() {
            let (from, to) = ((c * share).min(max), ((c + 1) * share).min(max));
            let words: Vec<u64> = m.elems[from..to].iter().rev().map(|e| e.0.to_word()).collect();
            s.fill(|mem| words.iter().for_each(|w| mem.push_back(*list, *w)));
        }
        for (c, v) in m.extra.iter().enumerate() {
            s.init(*v, Some(m.elems[max + c].0));
        }
    }
}

/// The element of a key that is there from the start.
fn place(s: &mut Setup, k: &Kernel, map: usize, key: u64) -> Option<Elem> {
    let m = &k.maps[map];
    if m.kind == MapKind::Array {
        return m.elems.get(key as usize).copied();
    }
    if m.buckets.is_empty() {
        return None;
    }
    let chain = m.bucket(key).chain;
    let e = if m.no_prealloc {
        let fields =
            k.world.types.get(k.world.maps[map].value.index()).map_or(0, |t| t.fields.len());
        if let Some(count) = m.count {
            s.fill(|mem| mem.update(count, |n: i64| n + 1));
        }
        element(s, &k.ty, map, fields, 0)
    } else {
        let word = match &m.lru {
            Some(lru) => s.fill(|mem| super::lru::take(mem, lru, key))?,
            None => s.fill(|mem| m.free.iter().find_map(|l| mem.pop_back(*l)))?,
        };
        Elem(timerace_core::Ptr::from_word(word))
    };
    s.init(e.key(), key);
    s.fill(|mem| mem.push_front(chain, e.0.to_word()));
    Some(e)
}

fn initial_timer(s: &mut Setup, k: &Kernel, map: usize, e: Elem, state: &ElemInit) {
    if *state == ElemInit::Present {
        return;
    }
    let t = Timer(s.preallocated(k.ty.timer));
    s.init(t.base(), 0);
    s.init(t.parked(), false);
    s.init(t.map(), map as u64 + 1);
    s.init(t.value(), e.0);
    s.init(t.prog(), 0);
    s.init(t.callback_fn(), 0);
    s.init(t.cancelling(), 0);
    s.init(t.promise(), promises::NONE);
    s.init(t.expires(), 0);
    s.init(t.armed(), Armed::default());
    s.init(t.refcnt(), 1);
    s.init(t.worker(), 0);
    s.init(t.worker_func(), crate::irq_work::ASYNC_WORKER);
    s.init(t.async_cmds(), None);
    s.init(e.slot(), Some(t.0));
    s.init(e.owned(), true);
    let ElemInit::Armed { after, callback } = state else { return };
    // The program is the first one that sets this callback.
    let func = callback.index();
    let prog = k.progs.iter().position(|p| {
        let sets = |op: &crate::world::Op| match &op.kind {
            OpKind::Call { call: Call::TimerSetCallback(_, f), .. } => f.index() == func,
            _ => false,
        };
        p.code.ops().any(sets)
    });
    let prog = prog.unwrap_or(func);
    s.init(t.prog(), prog as u64 + 1);
    s.init(t.callback_fn(), Callback { prog, func }.word());
    let refcnt = k.progs[prog].obj.refcnt();
    let queue = k.bases[0].queue;
    let at = after.min as i64;
    s.init(t.expires(), at);
    s.fill(|mem| {
        mem.update(refcnt, |n: i64| n + 1);
        let index = t.0.number();
        mem.with_queue(queue, |q| q.insert(t.0.to_word(), index, at, at));
    });
}
