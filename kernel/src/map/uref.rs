//! User references of maps: the last one cancels all timers.

use super::Bucket;
use crate::arg::Arg;
use crate::kernel::Kernel;
use crate::objects::Elem;
use crate::promises;
use timerace_core::detect::Class;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::{Cx, Word, site};

impl Kernel {
    /// `bpf_map_put_uref()`: dec-and-test (a full barrier), then `map_release_uref`.
    pub(crate) async fn bpf_map_put_uref(&self, cx: Cx<'_>, map: usize) {
        let _f = cx.enter_with("bpf_map_put_uref", Arg::Map(map).word());
        let v = self.maps[map].obj.usercnt();
        let left = cx
            .step(site!("atomic64_dec_and_test(&map->usercnt)", Atomic))
            .writes(v.obj())
            .run(move |m| {
                let n: i64 = m.update(v, |n: i64| n - 1) - 1;
                if n < 0 {
                    m.report(Class::Refcount, Some(v.obj()));
                }
                n
            })
            .await;
        if left == 0 && self.maps[map].has_timer {
            self.map_release_uref(cx, map).await;
            self.release_over(cx, map).await;
        } else if left == 0 {
            let arg = Arg::Map(map).word();
            cx.step(site!("return", Free, quiet)).run(move |m| m.mark("uref_zero", arg)).await;
        }
    }

    /// `array_map_free_timers()`, `htab_map_free_timers()`: every element that the map was allocated with, linked or not,
    /// without any lock; without preallocation the chains under `rcu_read_lock`, also without the bucket lock.
    async fn map_release_uref(&self, cx: Cx<'_>, map: usize) {
        let _f = cx.enter_leaf("map_release_uref");
        let m = &self.maps[map];
        if !m.is_dynamic() {
            for e in &m.elems {
                self.bpf_timer_cancel_and_free(cx, *e, map).await;
            }
            return;
        }
        self.rcu_read_lock(cx).await;
        for b in &m.buckets {
            self.walk_bucket(cx, map, *b).await;
        }
        self.rcu_read_unlock(cx).await;
    }

    /// The walk of a chain. The next element is read from the current one when its turn comes; an element that was reused
    /// for another bucket takes the walk with it there (from v6.1 on), one that was unlinked leads on to its old successor.
    async fn walk_bucket(&self, cx: Cx<'_>, map: usize, b: Bucket) {
        let mut at: Option<Elem> = None;
        loop {
            let (chain, last) = (b.chain, at.map(|e| e.0.to_word()));
            let next = cx
                .step(site!("hlist_nulls_for_each_entry(l, ..)", Map))
                .reads(chain.obj())
                .run(move |m| super::elem::Popped(successor(m, b, last)))
                .await
                .0;
            let Some(word) = next else { return };
            let e = Elem(Ptr::from_word(word));
            self.bpf_timer_cancel_and_free(cx, e, map).await;
            at = Some(e);
        }
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

/// The element after `last` in a chain (the first without one). If `last` is no longer linked the walk starts over: it
/// then meets elements again that it has seen, whose timers are gone.
fn successor(m: &mut Mem, b: Bucket, last: Option<u64>) -> Option<u64> {
    let mut items = m.items(b.chain);
    if let Some(last) = last
        && items.any(|w| w == last)
    {
        return items.next();
    }
    if last.is_some() {
        return None;
    }
    drop(items);
    let mut items = m.items(b.chain);
    items.next()
}
