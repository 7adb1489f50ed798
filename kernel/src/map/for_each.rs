//! `bpf_for_each_map_elem()`: a program calls a subprogram for each element (kernel/bpf/arraymap.c, hashtab.c).

use super::Bucket;
use crate::arg::Arg;
use crate::interp::Act;
use crate::kernel::Kernel;
use crate::objects::{Callback, Elem};
use std::future::Future;
use std::pin::Pin;
use timerace_core::mem::{FrameName, Ptr};
use timerace_core::{Cx, Word};

impl Kernel {
    /// `bpf_for_each_map_elem()`, all versions: how many elements were visited. A callback that returns 1 ends the walk.
    ///
    /// An array from the first index to the last (`bpf_for_each_array_elem`); of a hash each chain under `rcu_read_lock`,
    /// without the bucket's lock (`bpf_for_each_hash_elem`); of a resizable one all under `rcu_read_lock`
    /// (`bpf_each_rhash_elem`).
    pub(crate) async fn bpf_for_each_map_elem(
        &self,
        cx: Cx<'_>,
        map: usize,
        callback: Callback,
    ) -> i64 {
        let f = cx.enter_with("bpf_for_each_map_elem", Arg::Map(map).word());
        let m = &self.maps[map];
        let mut visited = 0;
        if m.kind.is_array() {
            for e in &m.elems {
                visited += 1;
                if self.for_one(cx, map, callback, *e).await {
                    break;
                }
            }
            return f.ret(visited);
        }
        if m.freeing.is_some() {
            self.rcu_read_lock(cx).await;
            self.for_each_rhash(cx, map, callback, &mut visited).await;
            self.rcu_read_unlock(cx).await;
            return f.ret(visited);
        }
        for b in &m.buckets {
            self.rcu_read_lock(cx).await;
            let stopped = self.for_each_in(cx, map, *b, callback, &mut visited).await;
            self.rcu_read_unlock(cx).await;
            if stopped {
                break;
            }
        }
        f.ret(visited)
    }

    /// `hlist_nulls_for_each_entry_safe()`: which element comes next is read before the callback runs. One that is
    /// unlinked by then is visited all the same; one that was reused for another bucket takes the walk along.
    async fn for_each_in(
        &self,
        cx: Cx<'_>,
        map: usize,
        b: Bucket,
        callback: Callback,
        visited: &mut i64,
    ) -> bool {
        let mut at = b;
        let mut rest = self.chain_after(cx, at, None).await.unwrap_or_default();
        while !rest.is_empty() {
            let word = rest.remove(0);
            *visited += 1;
            if self.for_one(cx, map, callback, Elem(Ptr::from_word(word))).await {
                return true;
            }
            let Some(next) = rest.first().copied() else { break };
            let mut after = self.chain_after(cx, at, Some(next)).await;
            if after.is_none() && self.flags.bpf_mem_alloc {
                let key = timerace_core::site!("n->hash_node.next", Memory, quiet);
                let other =
                    self.maps[map].bucket(cx.read(key, Elem(Ptr::from_word(next)).key()).await);
                if other.chain != at.chain {
                    after = self.chain_after(cx, other, Some(next)).await;
                    at = if after.is_some() { other } else { at };
                }
            }
            if let Some(after) = after {
                rest = std::iter::once(next).chain(after).collect();
            }
        }
        false
    }

    /// `rhashtable_next_key()` again and again: it looks for the key of the element that was visited last, so that the walk
    /// ends if this key is gone.
    async fn for_each_rhash(&self, cx: Cx<'_>, map: usize, callback: Callback, visited: &mut i64) {
        let buckets = &self.maps[map].buckets;
        let (mut at, mut last) = (0, None);
        loop {
            let Some(rest) = self.chain_after(cx, buckets[at], last).await else { return };
            let Some(word) = rest.first().copied() else {
                (at, last) = (at + 1, None);
                if at == buckets.len() {
                    return;
                }
                continue;
            };
            *visited += 1;
            let e = Elem(Ptr::from_word(word));
            let key = cx.machine().with_mem(|m| m.peek(e.key().obj()));
            if self.for_one(cx, map, callback, e).await {
                return;
            }
            let Some(same) = self.htab_lookup(cx, map, key).await else { return };
            last = Some(same.0.to_word());
        }
    }

    /// `callback_fn(map, key, value, ctx)`: whether it ends the walk.
    async fn for_one(&self, cx: Cx<'_>, map: usize, callback: Callback, e: Elem) -> bool {
        let code = &self.progs[callback.func].code;
        let mut act = Act::callback(callback, map, e);
        act.key = self.callback_key(cx, &act).await;
        let arg = Arg::Elem { map, key: act.key }.word();
        let _f = cx.enter_frame(FrameName::Body(code.name), arg, false);
        // Boxed: the callback may walk a map itself.
        let run: Pin<Box<dyn Future<Output = u64> + '_>> =
            Box::pin(self.run_prog(cx, code, &mut act));
        run.await != 0
    }
}
