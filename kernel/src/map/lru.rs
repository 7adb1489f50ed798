//! LRU_HASH (kernel/bpf/hashtab.c); its lists are in [`super::lru_list`].
//!
//! Which element an insertion evicts depends on the CPU and on batches: `max_entries` is no exact limit, and a scenario
//! should not rely on the victim.

use super::array::{BPF_EXIST, BPF_F_LOCK};
use super::hash::check_flags;
use super::lru_list::Lru;
use crate::arg::Arg;
use crate::errno::{EINVAL, ENOMEM};
use crate::kernel::Kernel;
use crate::objects::Elem;
use timerace_core::{Cx, Word, site};

impl Kernel {
    /// `bpf_lru_node_set_ref()`
    pub(crate) async fn lru_used(&self, cx: Cx<'_>, e: Elem) {
        cx.write(site!("bpf_lru_node_set_ref(&l->lru_node)", Memory, quiet), e.lru_ref(), true)
            .await;
    }

    fn lru(&self, map: usize) -> &Lru {
        self.maps[map].lru.as_ref().expect("an LRU map has lists")
    }

    /// `htab_lru_map_update_elem()`: 1. an element, which may evict another, before the bucket lock; 2. copy; 3. lock, link
    /// the new; if there is an old one, the new counts as used and the old is unlinked; unlock; 4. free the old one, or on failure the new one, with whatever timer is in it.
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
        let Some(new) = self.prealloc_lru_pop(cx, map, key).await else { return f.ret(ENOMEM) };
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
                self.lru_used(cx, new).await;
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
    async fn prealloc_lru_pop(&self, cx: Cx<'_>, map: usize, key: u64) -> Option<Elem> {
        let e = self.bpf_lru_pop_free(cx, map, self.lru(map), key).await?;
        if !self.flags.no_lru_reinit && self.maps[map].has_timer {
            self.zero_special(cx, e).await;
        }
        Some(e)
    }

    /// `htab_lru_map_delete_node()`: unlink the victim under its bucket lock, cancel and free its timer there, or with
    /// 45dc92c32a47 after unlocking the bucket; all under the locks of the lists. Without the bucket lock (an rqspinlock may
    /// not be had) the element is no victim.
    pub(crate) async fn evict_elem(&self, cx: Cx<'_>, map: usize, e: Elem) -> bool {
        if self.flags.lru_rqspinlock {
            // How the kernel finds these again was not read; here they are the first to be taken.
            let site = site!("node could not be freed before", Memory, quiet);
            if cx.xchg(site, e.lru_orphan(), false).await {
                return true;
            }
        }
        let f = cx.enter("htab_lru_map_delete_node");
        // What the list says of the element: its key may be that of another one until its user has copied it.
        let hash = cx.read(site!("b = __select_bucket(htab, l->hash)", Memory), e.lru_hash()).await;
        let b = self.maps[map].bucket(hash);
        if self.lock_bucket(cx, b).await.is_err() {
            f.ret(0);
            return false;
        }
        let (chain, word) = (b.chain, e.0.to_word());
        let arg = Arg::Elem { map, key: hash }.word();
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
        let frees = linked && self.maps[map].has_special();
        let after = self.flags.lru_free_after_unlock;
        if frees && !after {
            self.free_fields(cx, e, map).await;
        }
        self.unlock_bucket(cx, b).await;
        if frees && after {
            self.free_fields(cx, e, map).await;
        }
        f.ret(i64::from(linked));
        // An element that is on the list but not linked is about to be linked or freed by somebody else.
        linked
    }

    /// `htab_lru_push_free()`: cancel and free the timer, then back to the free elements.
    pub(crate) async fn lru_push_free(&self, cx: Cx<'_>, map: usize, e: Elem) {
        let _f = cx.enter_leaf("htab_lru_push_free");
        let m = &self.maps[map];
        self.free_fields(cx, e, map).await;
        let lru = self.lru(map);
        self.bpf_lru_push_free(cx, lru, m.lru_share(e), e).await;
    }
}
