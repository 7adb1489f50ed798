//! RHASH, the resizable hash: BPF_F_NO_PREALLOC only (kernel/bpf/hashtab.c, v7.2 and later).
//!
//! A section under a bucket's bit lock of the rhashtable is one step: nothing that is observed happens inside. Resizing
//! moves elements between tables and is left out.

use super::array::{BPF_EXIST, BPF_F_LOCK};
use super::hash::check_flags;
use super::{Bucket, absent};
use crate::errno::{EBUSY, EINVAL, ENOENT};
use crate::kernel::Kernel;
use crate::objects::Elem;
use crate::syscall::Outcome;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::{Cx, Word, site};

impl Kernel {
    /// `rhtab_map_update_elem()`
    ///
    /// 1. Flags: -EINVAL. 2. The key is there: BPF_NOEXIST is -EEXIST; the value is copied in place, BPF_F_LOCK or not,
    ///    then its timer cancelled and freed. 3. BPF_EXIST: -ENOENT. 4. While the walk of the last user reference is under
    ///    way: -EBUSY. 5. A new element: -E2BIG, -ENOMEM; copy; insert. 6. Somebody else was first: give the element back,
    ///    go on as in 2.
    pub(crate) async fn rhtab_update(
        &self,
        cx: Cx<'_>,
        map: usize,
        key: u64,
        flags: u64,
        value: u64,
    ) -> i64 {
        let f = cx.enter("rhtab_map_update_elem");
        let m = &self.maps[map];
        // 1.
        if flags & !BPF_F_LOCK > BPF_EXIST || flags & BPF_F_LOCK != 0 && !m.has_lock {
            return f.ret(EINVAL);
        }
        // 2.
        if let Some(e) = self.htab_lookup(cx, map, key).await {
            return f.ret(self.rhtab_update_existing(cx, map, e, flags, value).await);
        }
        // 3.
        if let Err(code) = check_flags(flags, false) {
            return f.ret(code);
        }
        // 4.
        if let Some(freeing) = m.freeing
            && cx.read(site!("rhtab->freeing_internal", Memory), freeing).await
        {
            return f.ret(EBUSY);
        }
        // 5.
        let new = match self.alloc_elem(cx, map, false).await {
            Ok(new) => new,
            Err(code) => return f.ret(code),
        };
        self.copy_map_value(cx, map, new, Some(key), value).await;
        let Some(old) = self.rhtab_insert(cx, map, m.bucket(key), new, key).await else {
            return f.ret(0);
        };
        // 6.
        self.dec_elem_count(cx, map).await;
        self.rhtab_to_cache(cx, map, new).await;
        f.ret(self.rhtab_update_existing(cx, map, old, flags, value).await)
    }

    /// Step 2.
    async fn rhtab_update_existing(
        &self,
        cx: Cx<'_>,
        map: usize,
        e: Elem,
        flags: u64,
        value: u64,
    ) -> i64 {
        if let Err(code) = check_flags(flags, true) {
            return code;
        }
        self.copy_map_value(cx, map, e, None, value).await;
        self.free_fields(cx, e, map).await;
        0
    }

    /// `rhashtable_lookup_get_insert_fast()`: the element that has the key already, if there is one.
    async fn rhtab_insert(
        &self,
        cx: Cx<'_>,
        map: usize,
        b: Bucket,
        new: Elem,
        key: u64,
    ) -> Option<Elem> {
        debug_assert!(self.maps[map].freeing.is_some());
        let word = new.0.to_word();
        cx.step(site!("rhashtable_lookup_get_insert_fast(&rhtab->ht, ..)", Map))
            .writes(b.chain.obj())
            .run(move |m| {
                let there = linked(m, b, key);
                if there.is_none() {
                    m.push_front(b.chain, word);
                }
                there
            })
            .await
            .map(Elem)
    }

    /// `rhtab_map_delete_elem()`, `rhtab_map_lookup_and_delete_elem()`: take the element out of the table (-ENOENT), cancel
    /// and free its timer, free it after a grace period of RCU.
    pub(crate) async fn rhtab_delete(
        &self,
        cx: Cx<'_>,
        map: usize,
        key: u64,
        read: bool,
    ) -> Outcome {
        let delete = "rhtab_map_delete_elem";
        let f = cx.enter(if read { "rhtab_map_lookup_and_delete_elem" } else { delete });
        let m = &self.maps[map];
        let b = m.bucket(key);
        let step = cx.step(site!("rhashtable_remove_fast(&rhtab->ht, ..)", Map));
        let taken = step.writes(b.chain.obj()).run(move |m| {
            let there = linked(m, b, key);
            if let Some(p) = there {
                m.list_remove(b.chain, p.to_word());
            }
            there
        });
        let Some(e) = taken.await.map(Elem) else {
            f.ret(ENOENT);
            return absent();
        };
        let mut out = Outcome::default();
        if read && let Some(first) = m.first_integer {
            let label = site!("copy_map_value(map, value, src)", Memory);
            out.data.push(cx.read(label, e.member(first)).await as i64);
        }
        self.free_fields(cx, e, map).await;
        self.dec_elem_count(cx, map).await;
        let site = site!("bpf_mem_cache_free_rcu(&rhtab->ma, elem)", Alloc);
        self.call_rcu(cx, site, e.0.to_word() | crate::rcu::TAG_RHTAB_ELEM).await;
        f.ret(0);
        out
    }

    /// The grace period of a deleted element is over: it can be had again on this CPU, with whatever timer a stale pointer
    /// has left in it.
    pub(crate) async fn rhtab_elem_reusable(&self, cx: Cx<'_>, cpu: usize, e: Elem) {
        let ty = cx.machine().with_mem(|m| m.type_of(e.0));
        let Some(map) = self.ty.elems.iter().position(|t| Some(*t) == ty) else { return };
        let (l, word) = (self.maps[map].free[cpu], e.0.to_word());
        let step = cx.step(site!("__free_by_rcu(c)", Alloc)).writes(l.obj());
        step.run(move |m| m.push_back(l, word)).await;
    }

    /// `bpf_mem_cache_free()`: back at once, nobody has seen the element.
    async fn rhtab_to_cache(&self, cx: Cx<'_>, map: usize, e: Elem) {
        let l = self.maps[map].free[cx.cpu().map_or(0, |c| c.index())];
        let word = e.0.to_word();
        let step = cx.step(site!("bpf_mem_cache_free(&rhtab->ma, elem)", Alloc));
        step.writes(l.obj()).run(move |m| m.push_back(l, word)).await;
    }
}

/// The element with this key in a chain; keys of linked elements do not change.
fn linked(m: &mut Mem, b: Bucket, key: u64) -> Option<Ptr> {
    let of = |m: &Mem, w: u64| m.peek(Elem(Ptr::from_word(w)).key().obj()) == key;
    let found = m.items(b.chain).collect::<Vec<u64>>();
    found.into_iter().find(|w| of(m, *w)).map(Ptr::from_word)
}
