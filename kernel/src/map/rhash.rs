//! RHASH, the resizable hash: BPF_F_NO_PREALLOC only (kernel/bpf/hashtab.c, v7.2 and later).
//!
//! A section under a bucket's bit lock of the rhashtable is one step: nothing that is observed happens inside. Resizing
//! moves elements between tables and is left out.

use super::array::{BPF_EXIST, BPF_F_LOCK};
use super::hash::check_flags;
use super::{Bucket, absent};
use crate::errno::{E2BIG, EBUSY, EINVAL, ENOMEM};
use crate::kernel::Kernel;
use crate::objects::Elem;
use crate::syscall::Outcome;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::{Cx, Var, Word, site};

impl Kernel {
    /// `rhtab_map_update_elem()`
    ///
    /// 1. Flags: -EINVAL. From here on in a read section. 2. The key is there: BPF_NOEXIST is -EEXIST; the value is copied in
    ///    place (BPF_F_LOCK: under its lock), then its timer cancelled and freed. 3. BPF_EXIST: -ENOENT. 4. While the walk of
    ///    the last user reference is under way: -EBUSY. 5. As many elements as the map may have: -E2BIG (nobody is kept from
    ///    inserting between this test and 6.). 6. A new element: -ENOMEM; copy; insert, which counts it. 7. Somebody else was
    ///    first: give the element back, go on as in 2.
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
        self.rcu_read_lock(cx).await;
        let ret = self.rhtab_update_rcu(cx, map, key, flags, value).await;
        self.rcu_read_unlock(cx).await;
        f.ret(ret)
    }

    /// Steps 2 to 7, in a read section of RCU.
    async fn rhtab_update_rcu(
        &self,
        cx: Cx<'_>,
        map: usize,
        key: u64,
        flags: u64,
        value: u64,
    ) -> i64 {
        let m = &self.maps[map];
        // 2.
        if let Some(e) = self.htab_lookup(cx, map, key).await {
            return self.rhtab_update_existing(cx, map, e, flags, value).await;
        }
        // 3.
        if let Err(code) = check_flags(flags, false) {
            return code;
        }
        // 4.
        if let Some(freeing) = m.freeing
            && cx.read(site!("rhtab->freeing_internal", Memory), freeing).await
        {
            return EBUSY;
        }
        // 5.
        if let Some(count) = m.count {
            let nelems = cx.read(site!("atomic_read(&rhtab->ht.nelems)", Memory), count).await;
            if nelems >= i64::from(m.max_entries) {
                return E2BIG;
            }
        }
        // 6.
        let Some(new) = self.elem_memory(cx, map).await else { return ENOMEM };
        self.copy_map_value(cx, map, new, Some(key), value).await;
        let Some(old) = self.rhtab_insert(cx, map, m.bucket(key), new, key).await else {
            return 0;
        };
        // 7.
        self.rhtab_to_cache(cx, map, new).await;
        self.rhtab_update_existing(cx, map, old, flags, value).await
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
        if flags & BPF_F_LOCK != 0 {
            self.copy_map_value_locked(cx, map, e, value).await;
        } else {
            self.copy_map_value(cx, map, e, None, value).await;
        }
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
        let (word, count) = (new.0.to_word(), self.maps[map].count);
        let step = cx.step(site!("rhashtable_lookup_get_insert_fast(&rhtab->ht, ..)", Map));
        count
            .iter()
            .fold(step.writes(b.chain.obj()), |s, c| s.writes(c.obj()))
            .run(move |m| {
                let there = linked(m, b, key);
                if there.is_none() {
                    m.push_front(b.chain, word);
                    nelems(m, count, 1);
                }
                there
            })
            .await
            .map(Elem)
    }

    /// `rhtab_map_delete_elem()`, `rhtab_map_lookup_and_delete_elem()`, with `rhtab_delete_elem()`; all in a read section:
    /// 1. look up: -ENOENT. 2. Take this element out of the table and the count: -ENOENT if somebody else has. 3. Copy the
    ///    value. 4. Cancel and free its timer. 5. Free it after a grace period of RCU.
    pub(crate) async fn rhtab_delete(
        &self,
        cx: Cx<'_>,
        map: usize,
        key: u64,
        read: bool,
    ) -> Outcome {
        let delete = "rhtab_map_delete_elem";
        let f = cx.enter(if read { "rhtab_map_lookup_and_delete_elem" } else { delete });
        self.rcu_read_lock(cx).await;
        let out = self.rhtab_delete_rcu(cx, map, key, read).await;
        self.rcu_read_unlock(cx).await;
        f.ret(out.ret);
        out
    }

    async fn rhtab_delete_rcu(&self, cx: Cx<'_>, map: usize, key: u64, read: bool) -> Outcome {
        let m = &self.maps[map];
        let b = m.bucket(key);
        // 1.
        let Some(e) = self.htab_lookup(cx, map, key).await else { return absent() };
        // 2.
        let (word, count) = (e.0.to_word(), m.count);
        let step = cx.step(site!("rhashtable_remove_fast(&rhtab->ht, ..)", Map));
        let step = count.iter().fold(step.writes(b.chain.obj()), |s, c| s.writes(c.obj()));
        let taken = step.run(move |m| {
            let was = m.list_remove(b.chain, word);
            if was {
                nelems(m, count, -1);
            }
            was
        });
        if !taken.await {
            return absent();
        }
        // 3.
        let mut out = Outcome::default();
        if read && let Some(first) = m.first_integer {
            let label = site!("copy_map_value(map, value, src)", Memory);
            out.data.push(cx.read(label, e.member(first)).await as i64);
        }
        // 4.
        self.free_fields(cx, e, map).await;
        // 5.
        let site = site!("bpf_mem_cache_free_rcu(&rhtab->ma, elem)", Alloc);
        self.call_rcu(cx, site, e.0.to_word() | crate::rcu::TAG_RHTAB_ELEM).await;
        out
    }

    /// `__free_by_rcu()` of bpf_mem_alloc: the grace period of a deleted element is over. It can be had again on this CPU,
    /// with whatever timer a stale pointer has left in it; if the map is gone by then, it goes back to the slab.
    pub(crate) async fn rhtab_elem_reusable(&self, cx: Cx<'_>, cpu: usize, e: Elem) {
        let Some(map) = self.map_of_elem(cx, e) else { return };
        let m = &self.maps[map];
        let (l, word, obj) = (m.free[cpu], e.0.to_word(), m.obj.0);
        let step = cx.step(site!("__free_by_rcu(c)", Alloc)).writes(l.obj()).reads(obj.alive());
        let kept = step.run(move |m| {
            let alive = m.is_alive(obj);
            if alive {
                m.push_back(l, word);
            }
            alive
        });
        if !kept.await {
            self.free_to_slab(cx, e).await;
        }
    }

    /// `bpf_mem_cache_free()`: back at once, nobody has seen the element.
    async fn rhtab_to_cache(&self, cx: Cx<'_>, map: usize, e: Elem) {
        let l = self.maps[map].free[cx.cpu().map_or(0, |c| c.index())];
        let word = e.0.to_word();
        let step = cx.step(site!("bpf_mem_cache_free(&rhtab->ma, elem)", Alloc));
        step.writes(l.obj()).run(move |m| m.push_back(l, word)).await;
    }
}

/// Counts the elements of the table.
fn nelems(m: &mut Mem, count: Option<Var<i64>>, by: i64) {
    if let Some(count) = count {
        m.update(count, |n: i64| n + by);
    }
}

/// The element with this key in a chain; keys of linked elements do not change.
fn linked(m: &mut Mem, b: Bucket, key: u64) -> Option<Ptr> {
    let of = |m: &Mem, w: u64| m.peek(Elem(Ptr::from_word(w)).key().obj()) == key;
    let found = m.items(b.chain).collect::<Vec<u64>>();
    found.into_iter().find(|w| of(m, *w)).map(Ptr::from_word)
}
