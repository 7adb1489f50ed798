//! Maps: look-up, update and delete by type, and the life of the map itself (kernel/bpf/{syscall,arraymap,hashtab}.c).

mod array;
mod elem;
mod for_each;
mod hash;
mod life;
mod lock;
mod lru;
mod lru_list;
mod outer;
mod rhash;
mod uref;

pub(crate) use lru_list::{FREE, INACTIVE, LOCAL_PENDING, LocalList, Lru, LruList, free_target};

use crate::attach::Point;
use crate::errno::ENOENT;
use crate::kernel::Kernel;
use crate::objects::{Elem, MapObj};
use crate::syscall::Outcome;
use crate::world::{MapKind, UpdateFlag};
use timerace_core::mem::{ListVar, Mem, Ptr};
use timerace_core::{CtxId, Cx, Var, Word};

/// A map of the machine.
#[derive(Debug)]
pub(crate) struct Map {
    pub obj: MapObj,
    pub kind: MapKind,
    pub max_entries: u32,
    pub no_prealloc: bool,
    /// Bits of a key that count.
    pub key_mask: u64,
    pub has_timer: bool,
    pub has_wq: bool,
    pub has_lock: bool,
    /// The `bpf_spin_lock` of the value, by member.
    pub lock_member: Option<usize>,
    /// The memory cgroup that pays for it is at its limit.
    pub memcg_full: bool,
    /// Members of the value that an update copies, one bit each.
    pub scalars: u64,
    /// The first integer member: what `value` of an update is.
    pub first_integer: Option<usize>,
    /// Elements that are allocated with the map; for an array by index.
    pub elems: Vec<Elem>,
    /// Hash buckets; none in arrays and outer maps.
    pub buckets: Vec<Bucket>,
    /// Per CPU: the freelist of a preallocated hash, or the cache of bpf_mem_alloc.
    pub free: Vec<ListVar>,
    /// Per CPU: the element that the next replacement takes (`extra_elems`).
    pub extra: Vec<Var<Option<Ptr>>>,
    /// Elements in use, counted where they are not preallocated.
    pub count: Option<Var<i64>>,
    /// The lists of an LRU map.
    pub lru: Option<Lru>,
    /// Outer maps: keys that the scenario names, and what their slots hold (index of a map plus one).
    pub slots: Vec<(u64, Var<u64>)>,
    /// HASH_OF_MAPS: the lock of its buckets, of which the model has one.
    pub slot_lock: Option<Bucket>,
    /// RHASH: `freeing_internal`, the walk of the last user reference is under way.
    pub freeing: Option<Var<bool>>,
    /// Whether it is, or may come to be, in the slot of an outer map.
    pub inner: bool,
    /// Whether its elements can go back to the slab. Searches try it where a program keeps a pointer to an element while
    /// it works on its timer and nobody inserts; elsewhere the per-CPU cache keeps what it gets.
    pub to_slab: bool,
    /// What creating it gives: 0, or why it is refused.
    pub create_ret: i64,
    /// Whether a task creates it.
    pub created_by_task: bool,
}

/// A hash bucket.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Bucket {
    /// Elements, newest first.
    pub chain: ListVar,
    pub lock: Var<Option<CtxId>>,
    /// Ghost: who holds the lock waits for a timer callback (written from v6.15 on).
    pub waits: Var<bool>,
}

impl Map {
    /// Whether values have a timer or a work queue.
    pub fn has_special(&self) -> bool {
        self.has_timer || self.has_wq
    }

    /// The place of an element among those allocated with the map.
    pub fn index_of(&self, p: Ptr) -> Option<usize> {
        let first = self.elems.first()?.0.to_word();
        let stride = match self.elems.get(1) {
            Some(e) => e.0.to_word() - first,
            None => 1,
        };
        let off = p.to_word().checked_sub(first)?;
        let at = usize::try_from(off / stride).ok()?;
        (self.elems.get(at)?.0 == p).then_some(at)
    }

    /// Which of the lists of an LRU map with BPF_F_NO_COMMON_LRU an element belongs to.
    pub fn lru_share(&self, e: Elem) -> usize {
        let sets = self.lru.as_ref().map_or(1, |l| l.lists.len());
        let share = self.elems.len().div_ceil(sets).max(1);
        self.index_of(e.0).unwrap_or(0) / share
    }

    /// The bucket of a key. The kernel hashes with a random seed, so that any two keys may or may not collide; here keys
    /// collide that are equal modulo the number of buckets, so that a scenario can ask for both.
    pub fn bucket(&self, key: u64) -> Bucket {
        self.buckets[(key as usize) & (self.buckets.len() - 1)]
    }

    /// What a look-up would find now, for readers and logs.
    pub fn peek_lookup(&self, m: &Mem, key: u64) -> Option<Elem> {
        let key = key & self.key_mask;
        if self.kind.is_array() {
            return self.elems.get(key as usize).copied();
        }
        if self.buckets.is_empty() {
            return None;
        }
        let mut chain = m.peek_items(self.bucket(key).chain).map(|w| Elem(Ptr::from_word(w)));
        chain.find(|e| m.peek(e.key().obj()) == key)
    }
}

impl Kernel {
    /// `map->ops->map_lookup_elem()` in a program: in an LRU map the element counts as used.
    pub(crate) async fn map_lookup(&self, cx: Cx<'_>, map: usize, key: u64) -> Option<Elem> {
        let e = self.map_lookup_sys(cx, map, key).await?;
        if self.maps[map].lru.is_some() {
            self.lru_used(cx, e).await;
        }
        Some(e)
    }

    /// `map->ops->map_lookup_elem_sys_only()`: a look-up by bpf(2) leaves no trace in an LRU map.
    pub(crate) async fn map_lookup_sys(&self, cx: Cx<'_>, map: usize, key: u64) -> Option<Elem> {
        let m = &self.maps[map];
        let key = key & m.key_mask;
        if m.inner {
            self.touch_map(cx, map).await;
        }
        match m.kind {
            // No shared memory is touched: the address is computed.
            MapKind::Array => m.elems.get(key as usize).copied(),
            _ => self.htab_lookup(cx, map, key).await,
        }
    }

    /// `map->ops->map_update_elem()`. `value` becomes the first integer of the value.
    pub(crate) async fn map_update(
        &self,
        cx: Cx<'_>,
        map: usize,
        key: u64,
        flag: UpdateFlag,
        value: Option<u64>,
    ) -> i64 {
        let m = &self.maps[map];
        let key = key & m.key_mask;
        let (flags, value) = (flag.bits(), value.unwrap_or(0));
        if m.inner {
            self.touch_map(cx, map).await;
        }
        match m.kind {
            MapKind::Array => self.array_update(cx, map, key, flags, value).await,
            MapKind::LruHash => self.lru_update(cx, map, key, flags, value).await,
            MapKind::Rhash => self.rhtab_update(cx, map, key, flags, value).await,
            // The verifier keeps programs from it; a task's update of a slot does not come here.
            k if k.is_outer() => crate::errno::EINVAL,
            _ => self.htab_update(cx, map, key, flags, value).await,
        }
    }

    /// `map->ops->map_delete_elem()`
    pub(crate) async fn map_delete(&self, cx: Cx<'_>, map: usize, key: u64) -> i64 {
        let m = &self.maps[map];
        let key = key & m.key_mask;
        if m.inner {
            self.touch_map(cx, map).await;
        }
        match m.kind {
            MapKind::Array => array::delete(),
            MapKind::Rhash => self.rhtab_delete(cx, map, key, false).await.ret,
            k if k.is_outer() => self.outer_delete(cx, map, key).await,
            _ => self.htab_delete(cx, map, key).await.ret,
        }
    }

    /// `map->ops->map_lookup_and_delete_elem()`; hash maps only.
    pub(crate) async fn map_lookup_and_delete(&self, cx: Cx<'_>, map: usize, key: u64) -> Outcome {
        let m = &self.maps[map];
        if m.buckets.is_empty() {
            return Outcome { ret: crate::errno::ENOTSUPP, ..Outcome::default() };
        }
        if m.kind == MapKind::Rhash {
            return self.rhtab_delete(cx, map, key & m.key_mask, true).await;
        }
        self.htab_lookup_and_delete(cx, map, key & m.key_mask).await
    }

    /// All keys, as `map_get_next_key` walks them.
    pub(crate) async fn map_keys(&self, cx: Cx<'_>, map: usize) -> Vec<i64> {
        let m = &self.maps[map];
        if m.kind.is_array() {
            return (0..i64::from(m.max_entries)).collect();
        }
        let mut keys = Vec::new();
        for b in &m.buckets {
            keys.extend(self.bucket_keys(cx, *b).await.iter().map(|k| *k as i64));
        }
        keys
    }

    /// `check_and_free_fields()` with `bpf_obj_free_fields()`, from v7.2 on `bpf_obj_cancel_fields()`: the timer and the work
    /// queue of an element. The kernel visits fields by their offset, the model the timer first.
    pub(crate) async fn free_fields(&self, cx: Cx<'_>, e: Elem, map: usize) {
        self.trace(cx, Point::FreeFields).await;
        self.free_internal_structs(cx, e, map).await;
    }

    /// The same for the walk at the last user reference, which does not pass that function: `bpf_timer_cancel_and_free()`,
    /// from v6.2 on `bpf_obj_free_timer()`, then `bpf_obj_free_workqueue()`; newer `bpf_map_free_internal_structs()`.
    pub(crate) async fn free_internal_structs(&self, cx: Cx<'_>, e: Elem, map: usize) {
        let m = &self.maps[map];
        if m.has_timer {
            self.bpf_timer_cancel_and_free(cx, e, map).await;
        }
        if m.has_wq {
            self.bpf_wq_cancel_and_free(cx, e, map).await;
        }
    }

    /// A map that may be freed under a program's hands is asked whether it is alive.
    async fn touch_map(&self, cx: Cx<'_>, map: usize) {
        let v = self.maps[map].obj.free_after_gp();
        cx.read(timerace_core::site!("map->ops", Memory, quiet), v).await;
    }
}

/// An element that is not there.
pub(crate) fn absent() -> Outcome {
    Outcome { ret: ENOENT, ..Outcome::default() }
}
