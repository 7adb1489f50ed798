//! The lists of LRU maps before the first step.

use crate::map::{FREE, INACTIVE, LOCAL_PENDING, LocalList, Lru, LruList, Map};
use crate::objects::Elem;
use crate::world::MapDef;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::{Setup, Word};

/// `bpf_lru_init()`
pub(super) fn lists(s: &mut Setup, d: &MapDef, cpus: usize, adjusted: bool) -> Lru {
    let n = &d.name;
    let sets = if d.flags.no_common_lru { cpus } else { 1 };
    let lists = (0..sets).map(|i| LruList {
        lock: s.lock_of("bpf_lru_list.lock", &format!("{n}.lru_lock.{i}")),
        active: s.list(&format!("{n}.lru.active.{i}")),
        inactive: s.list(&format!("{n}.lru.inactive.{i}")),
        free: s.list(&format!("{n}.lru.free.{i}")),
        rotation: s.var(&format!("{n}.lru.next_inactive_rotation.{i}"), 0u64),
    });
    let lists = lists.collect();
    let locals = if d.flags.no_common_lru { 0 } else { cpus };
    let local = (0..locals).map(|c| LocalList {
        lock: s.lock_of("bpf_lru_locallist.lock", &format!("{n}.lru_local.{c}.lock")),
        free: s.list(&format!("{n}.lru_local.{c}.free")),
        pending: s.list(&format!("{n}.lru_local.{c}.pending")),
        next_steal: s.var(&format!("{n}.lru_local.{c}.next_steal"), c as u64),
    });
    let local = local.collect();
    let target = crate::map::free_target(adjusted, d.max_entries as usize, cpus);
    Lru { lists, local, target }
}

/// `bpf_lru_populate()`: all elements are free; each CPU with lists of its own has its share.
pub(super) fn populate(s: &mut Setup, m: &Map, lru: &Lru) {
    s.fill(|mem| {
        for e in &m.elems {
            let l = lru.lists[m.lru_share(*e).min(lru.lists.len() - 1)];
            mem.store(e.lru_type(), FREE);
            mem.push_front(l.free, e.0.to_word());
        }
    });
}

/// An element for a key that is there from the start, as if CPU 0 had inserted it.
pub(super) fn take(mem: &mut Mem, lru: &Lru, key: u64) -> Option<u64> {
    let l = lru.lists[0];
    let Some(local) = lru.local.first() else {
        let word = mem.pop_front(l.free)?;
        mem.store(Elem(Ptr::from_word(word)).lru_hash(), key);
        l.push(mem, word, INACTIVE);
        return Some(word);
    };
    if mem.list_len(local.free) == 0 {
        while let Some(word) = mem.pop_back(local.pending) {
            l.push(mem, word, INACTIVE);
        }
        for _ in 0..lru.target {
            let Some(word) = mem.pop_front(l.free) else { break };
            mem.push_front(local.free, word);
        }
    }
    let word = mem.pop_front(local.free)?;
    let e = Elem(Ptr::from_word(word));
    mem.store(e.lru_hash(), key);
    mem.store(e.lru_type(), LOCAL_PENDING);
    mem.push_front(local.pending, word);
    Some(word)
}
