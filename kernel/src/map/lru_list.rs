//! The lists of LRU maps (kernel/bpf/bpf_lru_list.c).
//!
//! Common: one global set of lists (active, inactive, free) under one lock, and per CPU a local free list and a list of
//! pending elements, which the global lists do not know yet, under a lock of their own. BPF_F_NO_COMMON_LRU: a set of
//! lists per CPU, without local ones.
//!
//! Under a lock nobody else changes its lists. So what a walk visits is learned first, and the walk is a step that
//! declares the elements that it visits; the kernel reads their reference bits one by one, at most some instants apart.

use super::elem::Popped;
use crate::kernel::Kernel;
use crate::objects::Elem;
use crate::raw::Words;
use timerace_core::ctx::Decl;
use timerace_core::lockdep::Take;
use timerace_core::mem::{ListVar, Mem, Ptr};
use timerace_core::step::Rel;
use timerace_core::{CtxId, Cx, Var, Word, site};

/// `LOCAL_FREE_TARGET`, and how many elements a walk of the common lists visits.
const LOCAL_FREE_TARGET: usize = 128;
/// `PERCPU_FREE_TARGET`, and how many elements a walk of a CPU's own lists visits.
const PERCPU_FREE_TARGET: usize = 4;

/// `node->type`; for local lists the CPU is above [`CPU_SHIFT`].
pub(crate) const FREE: u64 = 0;
const ACTIVE: u64 = 1;
pub(crate) const INACTIVE: u64 = 2;
const LOCAL_FREE: u64 = 3;
pub(crate) const LOCAL_PENDING: u64 = 4;
const CPU_SHIFT: u32 = 8;

/// All lists of an LRU map.
#[derive(Clone, Debug)]
pub(crate) struct Lru {
    /// `struct bpf_lru_list`: one, or one per CPU with BPF_F_NO_COMMON_LRU.
    pub lists: Vec<LruList>,
    /// `struct bpf_lru_locallist` per CPU; none with BPF_F_NO_COMMON_LRU.
    pub local: Vec<LocalList>,
    /// How many elements a CPU takes for its local free list at once.
    pub target: usize,
}

/// `struct bpf_lru_list`, newest element first.
#[derive(Copy, Clone, Debug)]
pub(crate) struct LruList {
    pub lock: Var<Option<CtxId>>,
    pub active: ListVar,
    pub inactive: ListVar,
    pub free: ListVar,
    /// `next_inactive_rotation`: an element of the inactive list, or 0 for its head.
    pub rotation: Var<u64>,
}

/// `struct bpf_lru_locallist`, newest element first.
#[derive(Copy, Clone, Debug)]
pub(crate) struct LocalList {
    pub lock: Var<Option<CtxId>>,
    pub free: ListVar,
    pub pending: ListVar,
    pub next_steal: Var<u64>,
}

/// `target_free` of the common lists: 128, with d4adf1c9ee77 less for a map of few elements.
pub(crate) fn free_target(adjusted: bool, elems: usize, cpus: usize) -> usize {
    if adjusted { (elems / cpus / 2).clamp(1, LOCAL_FREE_TARGET) } else { LOCAL_FREE_TARGET }
}

fn elem(word: u64) -> Elem {
    Elem(Ptr::from_word(word))
}

fn is_ref(m: &mut Mem, word: u64) -> bool {
    m.load(elem(word).lru_ref())
}

impl LruList {
    fn declare<'m>(&self, step: Decl<'m>) -> Decl<'m> {
        step.writes(self.active.obj())
            .writes(self.inactive.obj())
            .writes(self.free.obj())
            .writes(self.rotation.obj())
    }

    /// Takes an element off the list that its type says; a rotation that stands on it goes on.
    fn unlink(&self, m: &mut Mem, word: u64) {
        if m.load(self.rotation) == word {
            let items: Vec<u64> = m.items(self.inactive).collect();
            let at = items.iter().position(|w| *w == word).unwrap_or(0);
            m.store(self.rotation, at.checked_sub(1).map_or(0, |before| items[before]));
        }
        let list = match m.load(elem(word).lru_type()) {
            ACTIVE => self.active,
            INACTIVE => self.inactive,
            _ => self.free,
        };
        m.list_remove(list, word);
    }

    /// `__bpf_lru_node_move()`, `__bpf_lru_node_move_in()`: to the head of a list, its reference bit cleared.
    pub fn push(&self, m: &mut Mem, word: u64, to: u64) {
        m.store(elem(word).lru_type(), to);
        m.store(elem(word).lru_ref(), false);
        let list = match to {
            ACTIVE => self.active,
            INACTIVE => self.inactive,
            _ => self.free,
        };
        m.push_front(list, word);
    }

    fn shift(&self, m: &mut Mem, word: u64, to: u64) {
        self.unlink(m, word);
        self.push(m, word, to);
    }

    /// `__bpf_lru_list_rotate()`: the active list if it is the longer one, then the inactive list.
    fn rotate(&self, m: &mut Mem, scans: usize) {
        if m.list_len(self.inactive) < m.list_len(self.active) {
            let active: Vec<u64> = m.items(self.active).collect();
            for word in active.iter().rev().take(scans) {
                let to = if is_ref(m, *word) { ACTIVE } else { INACTIVE };
                self.shift(m, *word, to);
            }
        }
        self.rotate_inactive(m, scans);
    }

    /// `__bpf_lru_list_rotate_inactive()`: from where the last one ended, towards the head and on from the tail; elements
    /// with their reference bit become active.
    fn rotate_inactive(&self, m: &mut Mem, scans: usize) {
        // The list with its head in front, as a ring that is walked backwards.
        let mut ring = vec![0];
        ring.extend(m.items(self.inactive));
        if ring.len() == 1 {
            return;
        }
        let start = m.load(self.rotation);
        let at = ring.iter().position(|w| *w == start).unwrap_or(0);
        let last = ring.get(at + 1).copied().unwrap_or(ring[1]);
        let mut cur = at;
        for _ in 0..scans {
            if cur == 0 {
                cur = ring.len() - 1;
            }
            let word = ring[cur];
            cur -= 1;
            if is_ref(m, word) {
                self.shift(m, word, ACTIVE);
            }
            if word == last {
                break;
            }
        }
        m.store(self.rotation, ring[cur]);
    }
}

impl Kernel {
    /// Interrupts off, then the lock; whether it could be had.
    async fn lru_lock(&self, cx: Cx<'_>, lock: Var<Option<CtxId>>) -> bool {
        cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
        let locked = self.lru_lock_irqs_off(cx, lock).await;
        if !locked {
            cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
        }
        locked
    }

    /// A raw spinlock; with 89edbdfc5d03 an rqspinlock, which cannot be had by who has interrupted its holder. (It gives up
    /// after a time as well; but nobody waits under it in kernels that have it.)
    async fn lru_lock_irqs_off(&self, cx: Cx<'_>, lock: Var<Option<CtxId>>) -> bool {
        if !self.flags.lru_rqspinlock {
            cx.lock(site!("raw_spin_lock(&l->lock)", Lock), lock).await;
            return true;
        }
        let me = cx.id();
        let mut step = cx.step(site!("raw_res_spin_lock(&l->lock)", Lock)).writes(lock.obj());
        step = step.any().when(lock.obj(), Rel::Eq, 0);
        for c in self.contexts_of[cx.cpu().map_or(0, |c| c.index())].iter() {
            step = step.when(lock.obj(), Rel::Eq, Some(*c).to_word());
        }
        let taken = step.run(move |m| {
            let free = m.load(lock).is_none();
            if free {
                m.store(lock, Some(me));
            }
            free
        });
        let got = taken.await;
        if got {
            cx.acquired(lock.obj(), Take::Tries);
        }
        got
    }

    async fn lru_unlock(&self, cx: Cx<'_>, lock: Var<Option<CtxId>>) {
        cx.unlock(site!("raw_spin_unlock(&l->lock)", Lock), lock).await;
        cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
    }

    /// `bpf_lru_pop_free()`: an element for `hash`, perhaps that of a victim.
    pub(crate) async fn bpf_lru_pop_free(
        &self,
        cx: Cx<'_>,
        map: usize,
        lru: &Lru,
        hash: u64,
    ) -> Option<Elem> {
        let _f = cx.enter("bpf_lru_pop_free");
        let cpu = cx.cpu().map_or(0, |c| c.index());
        match lru.local.get(cpu) {
            Some(local) => self.common_lru_pop_free(cx, map, lru, *local, cpu, hash).await,
            None => self.percpu_lru_pop_free(cx, map, lru.lists[cpu], hash).await,
        }
    }

    /// `bpf_percpu_lru_pop_free()`: rotate, shrink if nothing is free, take the first free one.
    async fn percpu_lru_pop_free(
        &self,
        cx: Cx<'_>,
        map: usize,
        l: LruList,
        hash: u64,
    ) -> Option<Elem> {
        if !self.lru_lock(cx, l.lock).await {
            return None;
        }
        let free = self.lru_refill(cx, l, None, 0).await;
        if free == 0 {
            self.lru_shrink(cx, map, l, PERCPU_FREE_TARGET, PERCPU_FREE_TARGET, None).await;
        }
        let first = cx.step(site!("node = list_first_entry(free_list)", Map)).reads(l.free.obj());
        let e = first.run(move |m| Popped(m.items(l.free).next())).await.0.map(elem);
        if let Some(e) = e {
            let word = e.0.to_word();
            let step = l.declare(cx.step(site!("__bpf_lru_node_move(l, node, INACTIVE)", Map)));
            self.declare_node(step, word)
                .writes(e.lru_hash().obj())
                .run(move |m| {
                    m.store(e.lru_hash(), hash);
                    l.shift(m, word, INACTIVE);
                })
                .await;
        }
        self.lru_unlock(cx, l.lock).await;
        e
    }

    fn declare_node<'m>(&self, step: Decl<'m>, word: u64) -> Decl<'m> {
        step.writes(elem(word).lru_ref().obj()).writes(elem(word).lru_type().obj())
    }

    /// `bpf_common_lru_pop_free()`: this CPU's free list, refilled from the global lists; then, if need be, an element of
    /// another CPU's local lists.
    async fn common_lru_pop_free(
        &self,
        cx: Cx<'_>,
        map: usize,
        lru: &Lru,
        local: LocalList,
        cpu: usize,
        hash: u64,
    ) -> Option<Elem> {
        if !self.lru_lock(cx, local.lock).await {
            return None;
        }
        let mut found = self.local_pop_free(cx, local).await;
        if found.is_none() {
            self.pop_free_to_local(cx, map, lru, local, cpu).await;
            found = self.local_pop_free(cx, local).await;
        }
        if let Some(e) = found {
            self.add_pending(cx, local, cpu, e, hash).await;
        }
        self.lru_unlock(cx, local.lock).await;
        if found.is_some() {
            return found;
        }
        let found = self.steal(cx, map, lru, local).await?;
        if !self.lru_lock(cx, local.lock).await {
            // Not had a second time: the element goes back to where a CPU without local lists would put it.
            self.bpf_lru_push_free(cx, lru, 0, found).await;
            return None;
        }
        self.add_pending(cx, local, cpu, found, hash).await;
        self.lru_unlock(cx, local.lock).await;
        Some(found)
    }

    /// The local lists of all CPUs in turn: a free element, or a pending one.
    async fn steal(&self, cx: Cx<'_>, map: usize, lru: &Lru, local: LocalList) -> Option<Elem> {
        let next = cx.read(site!("steal = loc_l->next_steal", Memory, quiet), local.next_steal);
        let first = next.await as usize;
        let mut steal = first;
        let found = loop {
            let from = lru.local[steal];
            let mut found = None;
            if self.lru_lock(cx, from.lock).await {
                found = match self.local_pop_free(cx, from).await {
                    Some(e) => Some(e),
                    None => self.local_pop_pending(cx, map, from).await,
                };
                self.lru_unlock(cx, from.lock).await;
            }
            steal = (steal + 1) % lru.local.len();
            if found.is_some() || steal == first {
                break found;
            }
        };
        let label = site!("loc_l->next_steal = steal", Memory, quiet);
        cx.write(label, local.next_steal, steal as u64).await;
        found
    }

    /// `__local_list_pop_free()`
    async fn local_pop_free(&self, cx: Cx<'_>, local: LocalList) -> Option<Elem> {
        let label = site!("node = list_first(local_free_list(loc_l))", Map);
        let step = cx.step(label).writes(local.free.obj());
        step.run(move |m| Popped(m.pop_front(local.free))).await.0.map(elem)
    }

    /// `__local_list_add_pending()`
    async fn add_pending(&self, cx: Cx<'_>, local: LocalList, cpu: usize, e: Elem, hash: u64) {
        let word = e.0.to_word();
        let step = cx.step(site!("list_add(&node->list, local_pending_list(loc_l))", Map));
        self.declare_node(step, word)
            .writes(local.pending.obj())
            .writes(e.lru_hash().obj())
            .run(move |m| {
                m.store(e.lru_hash(), hash);
                m.store(e.lru_type(), LOCAL_PENDING | (cpu as u64) << CPU_SHIFT);
                m.store(e.lru_ref(), false);
                m.push_front(local.pending, word);
            })
            .await;
    }

    /// `__local_list_pop_pending()`: from the oldest on one without its reference bit, else any that can be unlinked.
    async fn local_pop_pending(&self, cx: Cx<'_>, map: usize, local: LocalList) -> Option<Elem> {
        let pending = self.items(cx, local.pending).await;
        for force in [false, true] {
            for word in pending.iter().rev() {
                let e = elem(*word);
                let bit = site!("bpf_lru_node_is_ref(node)", Memory);
                if !force && cx.read(bit, e.lru_ref()).await {
                    continue;
                }
                if self.evict_elem(cx, map, e).await {
                    let step = cx.step(site!("list_del(&node->list)", Map));
                    let pending = local.pending;
                    let step = step.writes(pending.obj());
                    let word = e.0.to_word();
                    step.run(move |m| m.list_remove(pending, word)).await;
                    return Some(e);
                }
            }
        }
        None
    }

    async fn items(&self, cx: Cx<'_>, list: ListVar) -> Vec<u64> {
        let step = cx.step(site!("list_for_each_entry(node, list)", Map, quiet));
        step.reads(list.obj()).run(move |m| Words(m.items(list).collect())).await.0
    }

    /// `bpf_lru_list_pop_free_to_local()`: flush the pending elements, rotate, take free ones, shrink for what is missing.
    async fn pop_free_to_local(
        &self,
        cx: Cx<'_>,
        map: usize,
        lru: &Lru,
        local: LocalList,
        cpu: usize,
    ) {
        let l = lru.lists[0];
        if !self.lru_lock_irqs_off(cx, l.lock).await {
            return;
        }
        let taken = self.lru_refill(cx, l, Some((local, cpu)), lru.target).await;
        if taken < lru.target {
            let missing = lru.target - taken;
            self.lru_shrink(cx, map, l, missing, LOCAL_FREE_TARGET, Some((local, cpu))).await;
        }
        cx.unlock(site!("raw_spin_unlock(&l->lock)", Lock), l.lock).await;
    }

    /// Flush and rotate, then up to `target` free elements onto the local free list; how many they were. Without local
    /// lists: how many are free.
    async fn lru_refill(
        &self,
        cx: Cx<'_>,
        l: LruList,
        local: Option<(LocalList, usize)>,
        target: usize,
    ) -> usize {
        let step = cx.step(site!("__local_list_flush(l, loc_l)", Map));
        let mut step = step.reads(l.active.obj()).reads(l.inactive.obj()).reads(l.free.obj());
        if let Some((local, _)) = local {
            step = step.reads(local.pending.obj());
        }
        let nodes = step.run(move |m| {
            let mut all: Vec<u64> = m.items(l.active).collect();
            all.extend(m.items(l.inactive));
            let free = m.items(l.free);
            all.extend(free.take(target));
            if let Some((local, _)) = local {
                all.extend(m.items(local.pending));
            }
            Words(all)
        });
        let nodes = nodes.await.0;
        let mut step = l.declare(cx.step(site!("__bpf_lru_list_rotate(lru, l)", Map)));
        if let Some((local, _)) = local {
            step = step.writes(local.pending.obj()).writes(local.free.obj());
        }
        step = nodes.iter().fold(step, |step, word| self.declare_node(step, *word));
        let taken = step.run(move |m| {
            let Some((local, cpu)) = local else {
                l.rotate(m, PERCPU_FREE_TARGET);
                return m.list_len(l.free) as u64;
            };
            let pending: Vec<u64> = m.items(local.pending).collect();
            for word in pending.into_iter().rev() {
                let to = if is_ref(m, word) { ACTIVE } else { INACTIVE };
                m.list_remove(local.pending, word);
                l.push(m, word, to);
            }
            l.rotate(m, LOCAL_FREE_TARGET);
            let free: Vec<u64> = m.items(l.free).take(target).collect();
            for word in &free {
                to_free(m, l, *word, Some((local, cpu)));
            }
            free.len() as u64
        });
        taken.await as usize
    }

    /// `__bpf_lru_list_shrink()`: elements without their reference bit from the tail of the inactive list, as many as
    /// wanted; if there is none, one element whatever its bit says, of the inactive list or else of the active one.
    async fn lru_shrink(
        &self,
        cx: Cx<'_>,
        map: usize,
        l: LruList,
        wanted: usize,
        scans: usize,
        local: Option<(LocalList, usize)>,
    ) {
        let mut done = 0;
        for word in self.items(cx, l.inactive).await.into_iter().rev().take(scans) {
            let step = l.declare(cx.step(site!("bpf_lru_node_is_ref(node)", Memory)));
            let step = self.declare_node(step, word);
            let used = step.run(move |m| {
                let used = is_ref(m, word);
                if used {
                    l.shift(m, word, ACTIVE);
                }
                used
            });
            if !used.await && self.evict_elem(cx, map, elem(word)).await {
                self.move_to_free(cx, l, word, local).await;
                done += 1;
                if done == wanted {
                    break;
                }
            }
        }
        if done > 0 {
            return;
        }
        let mut forced = self.items(cx, l.inactive).await;
        if forced.is_empty() {
            forced = self.items(cx, l.active).await;
        }
        for word in forced.into_iter().rev() {
            if self.evict_elem(cx, map, elem(word)).await {
                return self.move_to_free(cx, l, word, local).await;
            }
        }
    }

    /// `__bpf_lru_node_move_to_free()`
    async fn move_to_free(
        &self,
        cx: Cx<'_>,
        l: LruList,
        word: u64,
        local: Option<(LocalList, usize)>,
    ) {
        let mut step = l.declare(cx.step(site!("list_move(&node->list, free_list)", Map)));
        if let Some((local, _)) = local {
            step = step.writes(local.free.obj());
        }
        self.declare_node(step, word).run(move |m| to_free(m, l, word, local)).await;
    }

    /// `bpf_lru_push_free()`: an element that is not linked any more goes back to the lists that it is on.
    pub(crate) async fn bpf_lru_push_free(&self, cx: Cx<'_>, lru: &Lru, share: usize, e: Elem) {
        let word = e.0.to_word();
        let mut kind = cx.read(site!("READ_ONCE(node->type)", Memory, quiet), e.lru_type()).await;
        if kind & ((1 << CPU_SHIFT) - 1) == LOCAL_PENDING {
            let cpu = (kind >> CPU_SHIFT) as usize;
            let local = lru.local[cpu];
            if !self.lru_lock(cx, local.lock).await {
                return self.leave_orphan(cx, e).await;
            }
            let step = cx.step(site!("list_move(&node->list, local_free_list(loc_l))", Map));
            kind = self
                .declare_node(step, word)
                .writes(local.pending.obj())
                .writes(local.free.obj())
                .run(move |m| {
                    let now = m.load(e.lru_type());
                    if now == kind {
                        m.store(e.lru_type(), LOCAL_FREE | (cpu as u64) << CPU_SHIFT);
                        m.store(e.lru_ref(), false);
                        m.list_remove(local.pending, word);
                        m.push_front(local.free, word);
                    }
                    now
                })
                .await;
            self.lru_unlock(cx, local.lock).await;
            if kind & ((1 << CPU_SHIFT) - 1) == LOCAL_PENDING {
                return;
            }
        }
        let l = lru.lists[share.min(lru.lists.len() - 1)];
        if !self.lru_lock(cx, l.lock).await {
            return self.leave_orphan(cx, e).await;
        }
        let step = l.declare(cx.step(site!("__bpf_lru_node_move(l, node, FREE)", Map)));
        self.declare_node(step, word).run(move |m| l.shift(m, word, FREE)).await;
        self.lru_unlock(cx, l.lock).await;
    }
}

impl Kernel {
    /// The lock cannot be had (89edbdfc5d03): the element stays where it is, for those who look for victims.
    async fn leave_orphan(&self, cx: Cx<'_>, e: Elem) {
        cx.write(site!("node is left on its list", Memory), e.lru_orphan(), true).await;
    }
}

fn to_free(m: &mut Mem, l: LruList, word: u64, local: Option<(LocalList, usize)>) {
    l.unlink(m, word);
    match local {
        None => {
            m.store(elem(word).lru_type(), FREE);
            m.push_front(l.free, word);
        }
        Some((local, cpu)) => {
            m.store(elem(word).lru_type(), LOCAL_FREE | (cpu as u64) << CPU_SHIFT);
            m.push_front(local.free, word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_target_follows_the_size_of_the_map() {
        assert_eq!(free_target(false, 8, 4), 128);
        assert_eq!([8, 16, 1, 1 << 20].map(|n| free_target(true, n, 2)), [2, 4, 1, 128]);
    }
}
