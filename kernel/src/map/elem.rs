//! Elements of hash maps: where they come from, what is copied into them, where they go.

use super::Map;
use crate::errno::{E2BIG, ENOMEM};
use crate::kernel::Kernel;
use crate::objects::Elem;
use timerace_core::ctx::Decl;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::step::Rel;
use timerace_core::{CtxId, Cx, Var, Word, site};

/// What user space passed where the timer's bytes are, in kernels that copied them (before a8abb0c3dc1e).
const USER_BYTES: u64 = 0xdead_caf3;

impl Kernel {
    /// `copy_map_value()`, together with the key where it is new. The 16 bytes of the timer are skipped; up to v5.16 not if
    /// the value also has a `bpf_spin_lock` (a8abb0c3dc1e).
    ///
    /// One step for all bytes of key and value: that a stale reader sees some of them old and some new is left out.
    pub(crate) async fn copy_map_value(
        &self,
        cx: Cx<'_>,
        map: usize,
        e: Elem,
        key: Option<u64>,
        value: u64,
    ) {
        let step = cx.step(site!("copy_map_value(map, value, src)", Map));
        self.copy_value(step, map, e, key, value).await;
    }

    /// `copy_map_value_locked()`, for BPF_F_LOCK: interrupts off, the value's `bpf_spin_lock`, copy, unlock. One step: who
    /// holds the lock sees the value as it was before or after.
    pub(crate) async fn copy_map_value_locked(&self, cx: Cx<'_>, map: usize, e: Elem, value: u64) {
        let mut step = cx.step(site!("copy_map_value_locked(map, value, src)", Map));
        if let Some(lock) = self.maps[map].lock_member {
            step = step.when(e.member(lock).obj(), Rel::Eq, 0);
        }
        self.copy_value(step, map, e, None, value).await;
    }

    async fn copy_value(
        &self,
        mut step: Decl<'_>,
        map: usize,
        e: Elem,
        key: Option<u64>,
        value: u64,
    ) {
        let m = &self.maps[map];
        let (scalars, first) = (m.scalars, m.first_integer);
        let fields = 64 - scalars.leading_zeros() as usize;
        let overwrites = m.has_timer && m.has_lock && !self.flags.copy_skips_both;
        if key.is_some() {
            step = step.writes(e.key().obj());
        }
        if overwrites {
            step = step.writes(e.slot().obj());
        }
        for f in (0..fields).filter(|f| scalars >> f & 1 != 0) {
            step = step.writes(e.member(f).obj());
        }
        step.run(move |m| {
            if let Some(key) = key {
                m.store(e.key(), key);
            }
            if overwrites {
                m.store(Var::<u64>::at(e.slot().obj()), USER_BYTES);
            }
            for f in (0..fields).filter(|f| scalars >> f & 1 != 0) {
                m.store(e.member(f), if Some(f) == first { value } else { 0 });
            }
        })
        .await;
    }

    /// An element for `htab_map_update_elem`, under the bucket lock. `old`: the element that is replaced.
    pub(crate) async fn alloc_htab_elem(
        &self,
        cx: Cx<'_>,
        map: usize,
        old: Option<Elem>,
    ) -> Result<Elem, i64> {
        if self.maps[map].no_prealloc {
            return self.alloc_elem(cx, map, old.is_some()).await;
        }
        match old {
            Some(_) if self.flags.extra_refill_late => self.take_extra(cx, map).await,
            Some(old) => Ok(self.swap_extra(cx, map, old).await),
            None => self.freelist_pop(cx, map).await.ok_or(E2BIG),
        }
    }

    /// `this_cpu_ptr(htab->extra_elems)`: the slot's element for the new value, the old one into the slot at once.
    async fn swap_extra(&self, cx: Cx<'_>, map: usize, old: Elem) -> Elem {
        let cpu = cx.cpu().map_or(0, |c| c.index());
        let v = self.maps[map].extra[cpu];
        let was = cx.xchg(site!("l_new = *pl_new; *pl_new = l_old", Memory), v, Some(old.0)).await;
        Elem(was.expect("the extra slot of a CPU always holds an element"))
    }

    /// D5: the slot's element, and nothing in its place until the bucket is unlocked. If another update has taken it, a
    /// free element; a full map has none.
    async fn take_extra(&self, cx: Cx<'_>, map: usize) -> Result<Elem, i64> {
        let cpu = cx.cpu().map_or(0, |c| c.index());
        let site = site!("l_new = xchg(pl_new, NULL)", Atomic);
        match cx.xchg(site, self.maps[map].extra[cpu], None).await {
            Some(p) => Ok(Elem(p)),
            None => self.freelist_pop(cx, map).await.ok_or(E2BIG),
        }
    }

    /// D5: after the bucket is unlocked, the replaced element's timer goes, and the element into the slot.
    pub(crate) async fn refill_extra(&self, cx: Cx<'_>, map: usize, old: Elem) {
        let m = &self.maps[map];
        self.free_fields(cx, old, map).await;
        let cpu = cx.cpu().map_or(0, |c| c.index());
        let site = site!("cmpxchg(pl_new, NULL, l_old)", Atomic);
        if cx.cmpxchg(site, m.extra[cpu], None, Some(old.0)).await.is_some() {
            let (l, word) = (m.free[cpu], old.0.to_word());
            let push = cx.step(site!("__pcpu_freelist_push(&htab->freelist)", Map));
            push.writes(l.obj()).run(move |m| m.push_back(l, word)).await;
        }
    }

    /// `__pcpu_freelist_pop()`: this CPU's list first, then those of the others.
    async fn freelist_pop(&self, cx: Cx<'_>, map: usize) -> Option<Elem> {
        let lists = &self.maps[map].free;
        let cpu = cx.cpu().map_or(0, |c| c.index());
        for i in 0..lists.len() {
            let l = lists[(cpu + i) % lists.len()];
            let step = cx.step(site!("__pcpu_freelist_pop(&htab->freelist)", Map)).writes(l.obj());
            if let Some(word) = step.run(move |m| Popped(m.pop_back(l))).await.0 {
                return Some(Elem(Ptr::from_word(word)));
            }
        }
        None
    }

    /// `alloc_htab_elem()` of a NO_PREALLOC hash: 1. count it against `max_entries` (-E2BIG; a replacement never fails for
    /// that). 2. Memory, or undo 1. and -ENOMEM.
    async fn alloc_elem(&self, cx: Cx<'_>, map: usize, replaces: bool) -> Result<Elem, i64> {
        // 1.
        if !self.inc_elem_count(cx, map, replaces).await {
            return Err(E2BIG);
        }
        // 2.
        match self.elem_memory(cx, map).await {
            Some(e) => Ok(e),
            None => {
                self.dec_elem_count(cx, map).await;
                Err(ENOMEM)
            }
        }
    }

    /// Up to v6.0 `atomic_inc_return()`, undone if that is too many. From v6.1 on (86fe28f7692d) `is_map_full()`, then the
    /// increment: insertions into two buckets can both pass the test, and the map has more than `max_entries`. (A map of
    /// many entries has a counter of parts per CPU there, which is less exact; here it is one counter.)
    async fn inc_elem_count(&self, cx: Cx<'_>, map: usize, replaces: bool) -> bool {
        let m = &self.maps[map];
        let Some(count) = m.count else { return true };
        let max = i64::from(m.max_entries);
        if !self.flags.bpf_mem_alloc {
            let site = site!("atomic_inc_return(&htab->count)", Atomic);
            let fits = cx.fetch_add(site, count, 1).await < max || replaces;
            if !fits {
                self.dec_elem_count(cx, map).await;
            }
            return fits;
        }
        let full = cx.read(site!("is_map_full(htab)", Memory), count).await >= max;
        if full && !replaces {
            return false;
        }
        cx.fetch_add(site!("inc_elem_count(htab)", Atomic), count, 1).await;
        true
    }

    /// kmalloc up to v6.0, from v6.1 the CPU's cache or fresh memory.
    pub(super) async fn elem_memory(&self, cx: Cx<'_>, map: usize) -> Option<Elem> {
        if self.flags.bpf_mem_alloc
            && let Some(e) = self.cache_pop(cx, map).await
        {
            return Some(e);
        }
        self.fresh_elem(cx, map).await
    }

    /// `dec_elem_count()`
    async fn dec_elem_count(&self, cx: Cx<'_>, map: usize) {
        if let Some(count) = self.maps[map].count {
            cx.fetch_add(site!("dec_elem_count(htab)", Atomic), count, -1).await;
        }
    }

    /// `bpf_mem_cache_alloc()` from this CPU's list. Before 997849c4b969 the special fields of a reused element are
    /// zeroed, whoever may still use them.
    async fn cache_pop(&self, cx: Cx<'_>, map: usize) -> Option<Elem> {
        let m = &self.maps[map];
        let l = m.free[cx.cpu().map_or(0, |c| c.index())];
        let pop = cx.step(site!("bpf_mem_cache_alloc(&htab->ma)", Alloc)).writes(l.obj());
        let e = Elem(Ptr::from_word(pop.run(move |m| Popped(m.pop_back(l))).await.0?));
        if !self.flags.no_reuse_reinit && m.has_timer {
            self.zero_special(cx, e).await;
        }
        Some(e)
    }

    /// `check_and_init_map_value()`: the timer's 16 bytes become 0. Without 5eaed6eedbe9 it assigns a struct of anonymous
    /// members, for which the compiler may store nothing: the schedule chooses, and both are C.
    pub(crate) async fn zero_special(&self, cx: Cx<'_>, e: Elem) {
        let sure = self.flags.timer_slot_zeroed;
        let step = cx.step(site!("check_and_init_map_value(map, value)", Memory));
        step.choices(if sure { 1 } else { 2 })
            .writes(e.slot().obj())
            .writes(e.lock().obj())
            .writes(e.owned().obj())
            .run(move |m| {
                if sure || m.chosen() == STORES {
                    zero(m, e);
                }
            })
            .await;
    }

    /// Memory from the slab, with old bytes in it: zeroed by the allocator with 997849c4b969, by
    /// `check_and_init_map_value` before, which may store nothing up to v5.16 (5eaed6eedbe9). Then the lock word may be
    /// anything or happen to be 0, so that the pointer is what goes wrong.
    async fn fresh_elem(&self, cx: Cx<'_>, map: usize) -> Option<Elem> {
        let e = Elem(cx.reserve(self.ty.elems[map]));
        let by_allocator = self.flags.bpf_mem_alloc && self.flags.no_reuse_reinit;
        let zeroed = by_allocator || self.flags.timer_slot_zeroed;
        let unsure = !zeroed && self.maps[map].has_timer;
        let fault = self.faults.map_update;
        let step = cx.step(site!("l_new = bpf_map_kmalloc_node(..)", Alloc)).writes(e.0.alive());
        let step = if unsure { step.choices(3) } else { step };
        let step = step.writes(e.slot().obj()).writes(e.lock().obj()).writes(e.owned().obj());
        let has_wq = self.maps[map].has_wq;
        let step = match has_wq {
            true => step.writes(e.wq_slot().obj()).writes(e.wq_lock().obj()),
            false => step,
        };
        let step = fault.declare(step.writes(e.lru_ref().obj()));
        let ok = step
            .run(move |m| {
                if fault.fails(m) {
                    return false;
                }
                m.revive(e.0);
                let bytes = m.chosen();
                if !unsure || bytes == STORES {
                    zero(m, e);
                } else if bytes == LOCK_IS_ZERO {
                    m.store(e.lock(), None::<CtxId>);
                }
                if has_wq {
                    m.store(e.wq_slot(), None);
                    m.store(e.wq_lock(), None::<CtxId>);
                }
                m.store(e.owned(), false);
                m.store(e.lru_ref(), false);
                true
            })
            .await;
        ok.then_some(e)
    }

    /// `free_htab_elem()`: the element is unlinked.
    ///
    /// Preallocated: cancel and free its timer, then onto this CPU's freelist. NO_PREALLOC: it is counted no longer; up to
    /// v6.0 the rest after a grace period (the timer too); v6.1+: cancel and free, then at once into this CPU's cache.
    pub(crate) async fn free_htab_elem(&self, cx: Cx<'_>, map: usize, e: Elem) {
        let m = &self.maps[map];
        if m.no_prealloc {
            self.dec_elem_count(cx, map).await;
        }
        if m.no_prealloc && !self.flags.bpf_mem_alloc {
            let item = e.0.to_word() | crate::rcu::TAG_HTAB_ELEM;
            self.call_rcu(cx, site!("call_rcu(&l->rcu, ..)", Memory), item).await;
            return;
        }
        self.free_fields(cx, e, map).await;
        let l = m.free[cx.cpu().map_or(0, |c| c.index())];
        let label = if m.no_prealloc {
            site!("bpf_mem_cache_free(&htab->ma, l)", Alloc)
        } else {
            site!("__pcpu_freelist_push(&htab->freelist)", Map)
        };
        let word = e.0.to_word();
        if !m.to_slab {
            cx.step(label).writes(l.obj()).run(move |m| m.push_back(l, word)).await;
            return;
        }
        // The cache keeps the element, or has more than enough of them.
        let keeps = cx.step(label).writes(l.obj()).choices(2).run(move |m| {
            let keeps = m.chosen() == 0;
            if keeps {
                m.push_back(l, word);
            }
            keeps
        });
        if !keeps.await {
            let site = site!("call_rcu_tasks_trace(&c->rcu, __free_rcu_tasks_trace)", Memory);
            self.call_rcu_tasks_trace(cx, site, word | crate::rcu::TAG_HTAB_ELEM).await;
        }
    }

    /// `free_all()` of bpf_mem_alloc, after a grace period: the element goes back to the slab. With 1df97a7453ee the map's
    /// destructor (`htab_mem_dtor`) first gives up what a stale pointer has left in it.
    pub(crate) async fn free_to_slab(&self, cx: Cx<'_>, e: Elem) {
        let _f = cx.enter("free_all");
        if self.flags.mem_alloc_dtor
            && let Some(map) = self.map_of_elem(cx, e)
        {
            self.free_fields(cx, e, map).await;
        }
        let _k = cx.enter_leaf("kfree");
        cx.free(site!("kfree(l)", Alloc), e.0).await;
    }

    /// `htab_elem_free_rcu()` (v5.15 to v6.0), in RCU_SOFTIRQ.
    pub(crate) async fn htab_elem_free_rcu(&self, cx: Cx<'_>, e: Elem) {
        let _f = cx.enter("htab_elem_free_rcu");
        if let Some(map) = self.map_of_elem(cx, e) {
            self.free_fields(cx, e, map).await;
        }
        let _k = cx.enter_leaf("kfree");
        cx.free(site!("kfree(l)", Alloc), e.0).await;
    }

    /// `bpf_mem_alloc_destroy()`: the elements that the map's caches hold go back to the slab.
    pub(crate) async fn bpf_mem_alloc_destroy(&self, cx: Cx<'_>, map: usize) {
        let _f = cx.enter_leaf("bpf_mem_alloc_destroy");
        for l in self.maps[map].free.iter().copied() {
            let drain = site!("llist_for_each_safe(pos, t, llnode)", Alloc, quiet);
            loop {
                let pop = cx.step(drain).writes(l.obj()).run(move |m| Popped(m.pop_front(l)));
                let Some(word) = pop.await.0 else { break };
                self.free_to_slab(cx, Elem(Ptr::from_word(word))).await;
            }
        }
    }

    /// The map that an element was allocated for: each has a type of its own.
    pub(super) fn map_of_elem(&self, cx: Cx<'_>, e: Elem) -> Option<usize> {
        let ty = cx.machine().with_mem(|m| m.type_of(e.0))?;
        self.ty.elems.iter().position(|t| *t == ty)
    }
}

/// What a schedule chooses where the compiler may store nothing: the old bytes stay, and the lock word among them is 0.
const LOCK_IS_ZERO: u8 = 0;
/// The 16 bytes are stored.
const STORES: u8 = 1;

fn zero(m: &mut Mem, e: Elem) {
    m.store(e.slot(), None);
    m.store(e.lock(), None::<CtxId>);
    m.store(e.owned(), false);
}

/// What a pop gave.
pub(crate) struct Popped(pub Option<u64>);

impl timerace_core::step::Learn for Popped {
    fn learn(&self) -> u64 {
        self.0.map_or(0, |w| timerace_core::mix::roll(1, w))
    }
}

impl Map {
    /// Whether its elements are allocated one by one.
    pub fn is_dynamic(&self) -> bool {
        self.no_prealloc && !self.buckets.is_empty()
    }
}
