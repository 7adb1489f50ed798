//! LRU_HASH (kernel/bpf/bpf_lru_list.c, hashtab.c).
//!
//! One list of used and one of free elements under one lock stand for the kernel's local and global lists (one such set
//! per CPU with BPF_F_NO_COMMON_LRU, each with its share of the elements). A look-up sets
//! an element's reference bit; eviction takes the least recently used element whose bit is not set. Which element the
//! kernel evicts depends on its per-CPU lists and on batches of 128, and `max_entries` is no exact limit there; a
//! scenario should not rely on either.

use super::Lru;
use super::array::{BPF_EXIST, BPF_F_LOCK};
use super::elem::Popped;
use super::hash::check_flags;
use crate::arg::Arg;
use crate::errno::{EINVAL, ENOMEM};
use crate::kernel::Kernel;
use crate::objects::Elem;
use timerace_core::mem::Ptr;
use timerace_core::{Cx, Word, site};

impl Kernel {
    /// `bpf_lru_node_set_ref()`
    pub(crate) async fn lru_used(&self, cx: Cx<'_>, e: Elem) {
        cx.write(site!("bpf_lru_node_set_ref(&l->lru_node)", Memory, quiet), e.lru_ref(), true)
            .await;
    }

    /// The lists that an update on this CPU uses.
    fn lru_here(&self, cx: Cx<'_>, map: usize) -> Lru {
        let all = &self.maps[map].lru;
        all[cx.cpu().map_or(0, |c| c.index()) % all.len()]
    }

    /// The lists that an element belongs to.
    fn lru_of(&self, map: usize, e: Elem) -> Lru {
        let m = &self.maps[map];
        let share = m.elems.len().div_ceil(m.lru.len()).max(1);
        m.lru[m.index_of(e.0).unwrap_or(0) / share]
    }

    async fn lru_lock(&self, cx: Cx<'_>, lru: Lru) {
        cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
        cx.lock(site!("raw_spin_lock(&l->lock)", Lock), lru.lock).await;
    }

    async fn lru_unlock(&self, cx: Cx<'_>, lru: Lru) {
        cx.unlock(site!("raw_spin_unlock(&l->lock)", Lock), lru.lock).await;
        cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
    }

    /// `htab_lru_map_update_elem()`: 1. an element, which may evict another, before the bucket lock; 2. copy; 3. lock, link
    /// the new, unlink the old, unlock; 4. free the old one, or on failure the new one, with whatever timer is in it.
    pub(crate) async fn lru_update(
        &self,
        cx: Cx<'_>,
        map: usize,
        key: u64,
        flags: u64,
        value: u64,
    ) -> i64 {
        let f = cx.enter("htab_lru_map_update_elem");
        if flags & BPF_F_LOCK != 0 || flags > BPF_EXIST {
            return f.ret(EINVAL);
        }
        // 1.
        let Some(new) = self.prealloc_lru_pop(cx, map).await else { return f.ret(ENOMEM) };
        // 2.
        self.copy_map_value(cx, map, new, Some(key), value).await;
        // 3.
        let b = self.maps[map].bucket(key);
        if let Err(code) = self.lock_bucket(cx, b).await {
            self.lru_push_free(cx, map, new).await;
            return f.ret(code);
        }
        let old = self.lookup_elem_raw(cx, map, key).await;
        let checked = check_flags(flags, old.is_some());
        if checked.is_ok() {
            self.link(cx, b, new).await;
            if let Some(old) = old {
                self.unlink_elem(cx, b, old).await;
            }
        }
        self.unlock_bucket(cx, b).await;
        // 4.
        match (checked, old) {
            (Err(code), _) => {
                self.lru_push_free(cx, map, new).await;
                f.ret(code)
            }
            (Ok(()), Some(old)) => {
                self.lru_push_free(cx, map, old).await;
                f.ret(0)
            }
            (Ok(()), None) => f.ret(0),
        }
    }

    /// `prealloc_lru_pop()`: a free element, or that of a victim. Up to v5.19 its timer is zeroed again, whoever may use it
    /// through an old pointer (275c30bcee66).
    async fn prealloc_lru_pop(&self, cx: Cx<'_>, map: usize) -> Option<Elem> {
        let lru = self.lru_here(cx, map);
        let f = cx.enter("bpf_lru_pop_free");
        self.lru_lock(cx, lru).await;
        let e = match self.lru_pop(cx, lru).await {
            Some(e) => Some(e),
            None => self.evict(cx, map, lru).await,
        };
        if let Some(e) = e {
            let word = e.0.to_word();
            cx.step(site!("list_move(&node->list, active_list)", Map))
                .writes(lru.used.obj())
                .run(move |m| m.push_back(lru.used, word))
                .await;
        }
        self.lru_unlock(cx, lru).await;
        drop(f);
        if !self.flags.no_lru_reinit
            && self.maps[map].has_timer
            && let Some(e) = e
        {
            self.zero_special(cx, e).await;
        }
        e
    }

    async fn lru_pop(&self, cx: Cx<'_>, lru: Lru) -> Option<Elem> {
        let step = cx.step(site!("node = list_first(free_list)", Map)).writes(lru.free.obj());
        let word = step.run(move |m| Popped(m.pop_back(lru.free))).await.0?;
        Some(Elem(Ptr::from_word(word)))
    }

    /// `__bpf_lru_list_shrink()`: the first element without its reference bit; those with it get a second chance.
    async fn evict(&self, cx: Cx<'_>, map: usize, lru: Lru) -> Option<Elem> {
        for _ in 0..=2 * self.maps[map].elems.len() {
            let step =
                cx.step(site!("node = list_last(inactive_list)", Map)).writes(lru.used.obj());
            let word = step.run(move |m| Popped(m.pop_front(lru.used))).await.0?;
            let e = Elem(Ptr::from_word(word));
            let bit = cx.step(site!("bpf_lru_node_is_ref(node)", Memory));
            let used = bit
                .writes(e.lru_ref().obj())
                .writes(lru.used.obj())
                .run(move |m| {
                    let used: bool = m.update(e.lru_ref(), |_| false);
                    if used {
                        m.push_back(lru.used, word);
                    }
                    used
                })
                .await;
            if !used && self.evict_elem(cx, map, e).await {
                return Some(e);
            }
        }
        None
    }

    /// `htab_lru_map_delete_node()`: unlink the victim under its bucket lock, cancel and free its timer there, or with
    /// 45dc92c32a47 after unlocking the bucket; all under the LRU lock. Without the bucket lock (an rqspinlock may not be
    /// had) the element is no victim.
    async fn evict_elem(&self, cx: Cx<'_>, map: usize, e: Elem) -> bool {
        let f = cx.enter("htab_lru_map_delete_node");
        // The key of an element on the list is stable: it changes after this function has said so.
        let key = cx.read(site!("b = __select_bucket(htab, l->hash)", Memory), e.key()).await;
        let b = self.maps[map].bucket(key);
        if self.lock_bucket(cx, b).await.is_err() {
            f.ret(0);
            return false;
        }
        let (chain, word) = (b.chain, e.0.to_word());
        let arg = Arg::Elem { map, key }.word();
        let linked = cx
            .step(site!("hlist_nulls_del_rcu(l)", Map))
            .writes(chain.obj())
            .run(move |m| {
                let linked = m.list_remove(chain, word);
                if linked {
                    m.mark("evicted", arg);
                }
                linked
            })
            .await;
        let frees = linked && self.maps[map].has_timer;
        let after = self.flags.lru_free_after_unlock;
        if frees && !after {
            self.bpf_timer_cancel_and_free(cx, e, map).await;
        }
        self.unlock_bucket(cx, b).await;
        if frees && after {
            self.bpf_timer_cancel_and_free(cx, e, map).await;
        }
        f.ret(i64::from(linked));
        // An element that is on the list but not linked is about to be linked or freed by somebody else.
        linked
    }

    /// `htab_lru_push_free()`: cancel and free the timer, then back onto the free list.
    pub(crate) async fn lru_push_free(&self, cx: Cx<'_>, map: usize, e: Elem) {
        let _f = cx.enter_leaf("htab_lru_push_free");
        if self.maps[map].has_timer {
            self.bpf_timer_cancel_and_free(cx, e, map).await;
        }
        let lru = self.lru_of(map, e);
        self.lru_lock(cx, lru).await;
        let word = e.0.to_word();
        cx.step(site!("list_move(&node->list, free_list)", Map))
            .writes(lru.used.obj())
            .writes(lru.free.obj())
            .run(move |m| {
                m.list_remove(lru.used, word);
                m.push_back(lru.free, word);
            })
            .await;
        self.lru_unlock(cx, lru).await;
    }
}
