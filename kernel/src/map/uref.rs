//! User references of maps: the last one cancels all timers.

use super::Bucket;
use crate::arg::Arg;
use crate::kernel::Kernel;
use crate::objects::Elem;
use crate::promises;
use crate::raw::Words;
use timerace_core::mem::Ptr;
use timerace_core::{Cx, Word, site};

impl Kernel {
    /// `bpf_map_put_uref()`: dec-and-test (a full barrier), then `map_release_uref`.
    pub(crate) async fn bpf_map_put_uref(&self, cx: Cx<'_>, map: usize) {
        let _f = cx.enter_with("bpf_map_put_uref", Arg::Map(map).word());
        let v = self.maps[map].obj.usercnt();
        let left = cx
            .step(site!("atomic64_dec_and_test(&map->usercnt)", Atomic))
            .writes(v.obj())
            .run(move |m| crate::objects::put(m, v))
            .await;
        if left == 0 && self.maps[map].has_special() {
            self.map_release_uref(cx, map).await;
            self.release_over(cx, map).await;
        } else if left == 0 {
            let arg = Arg::Map(map).word();
            cx.step(site!("return", Free, quiet)).run(move |m| m.mark("uref_zero", arg)).await;
        }
    }

    /// `array_map_free_timers()`, `htab_map_free_timers()`: every element that the map was allocated with, linked or not,
    /// without any lock; a hash gives the CPU away between elements (`cond_resched`). Without preallocation the chains under
    /// `rcu_read_lock`, also without the bucket lock, and `cond_resched_rcu` between buckets. Of a resizable hash likewise,
    /// with new keys kept out meanwhile (`freeing_internal`).
    async fn map_release_uref(&self, cx: Cx<'_>, map: usize) {
        let _f = cx.enter_leaf("map_release_uref");
        let m = &self.maps[map];
        if !m.is_dynamic() {
            for e in &m.elems {
                self.free_internal_structs(cx, *e, map).await;
                if !m.kind.is_array() {
                    self.cond_resched(cx).await;
                }
            }
            return;
        }
        if let Some(freeing) = m.freeing {
            cx.write(site!("rhtab->freeing_internal = true", Memory), freeing, true).await;
        }
        self.rcu_read_lock(cx).await;
        for b in &m.buckets {
            self.walk_bucket(cx, map, *b).await;
            self.cond_resched_rcu(cx).await;
        }
        self.rcu_read_unlock(cx).await;
        if let Some(freeing) = m.freeing {
            cx.write(site!("rhtab->freeing_internal = false", Memory), freeing, false).await;
        }
    }

    /// The walk of a chain, without the bucket lock. The next element is read from the current one when its turn comes. One
    /// that was unlinked meanwhile still leads to its old successor; one that was reused for another bucket (possible from
    /// v6.1 on) takes the walk along to that bucket, and what was left here is not visited.
    async fn walk_bucket(&self, cx: Cx<'_>, map: usize, b: Bucket) {
        let mut at = b;
        let mut rest = self.chain_after(cx, at, None).await.unwrap_or_default();
        while let Some(word) = rest.first().copied() {
            let e = Elem(Ptr::from_word(word));
            self.free_internal_structs(cx, e, map).await;
            if let Some(now) = self.chain_after(cx, at, Some(word)).await {
                rest = now;
                continue;
            }
            rest.remove(0);
            // Elements of a resizable hash are not reused as long as a reader may stand on them.
            if self.flags.bpf_mem_alloc && self.maps[map].freeing.is_none() {
                let key = cx.read(site!("l->hash_node.next", Memory, quiet), e.key()).await;
                let other = self.maps[map].bucket(key);
                if other.chain != at.chain
                    && let Some(there) = self.chain_after(cx, other, Some(word)).await
                {
                    (at, rest) = (other, there);
                }
            }
        }
    }

    /// The elements after `last` (all without one); `None` if it is not linked there.
    pub(super) async fn chain_after(
        &self,
        cx: Cx<'_>,
        b: Bucket,
        last: Option<u64>,
    ) -> Option<Vec<u64>> {
        let chain = b.chain;
        let step = cx.step(site!("hlist_nulls_for_each_entry(l, ..)", Map)).reads(chain.obj());
        let walk = step.run(move |m| {
            let mut items = m.items(chain);
            let linked = last.is_none_or(|last| items.any(|w| w == last));
            Words(std::iter::once(u64::from(linked)).chain(items).collect())
        });
        let mut words = walk.await.0;
        (words.remove(0) != 0).then_some(words)
    }

    /// The walk is over: from now on the map must have no timer. Ghosts only, no statement of the kernel.
    async fn release_over(&self, cx: Cx<'_>, map: usize) {
        let m = &self.maps[map];
        let (obj, me) = (m.obj, u64::from(cx.id().0) + 1);
        let arg = Arg::Map(map).word();
        let mut step = cx.step(site!("map_release_uref() returns", Free, quiet));
        step = step.writes(obj.released().obj()).reads(obj.usercnt().obj());
        let elems: Vec<Elem> = m.elems.clone();
        for e in &elems {
            step = step.reads(e.owned().obj());
        }
        step.run(move |m| {
            m.mark("uref_zero", arg);
            if m.load(obj.usercnt()) != 0 {
                return;
            }
            m.store(obj.released(), me);
            let left = elems.iter().find(|e| m.peek(e.owned().obj()) != 0);
            if let Some(e) = left {
                let t = Option::<Ptr>::from_word(m.peek(e.slot().obj()));
                promises::timer_left(m, t, e.slot().obj());
            }
        })
        .await;
    }
}
