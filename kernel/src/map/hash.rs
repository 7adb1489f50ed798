//! HASH, preallocated and BPF_F_NO_PREALLOC (kernel/bpf/hashtab.c).

use super::array::{BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST};
use super::{Bucket, absent};
use crate::attach::Point;
use crate::errno::{EEXIST, EINVAL, ENOENT};
use crate::kernel::Kernel;
use crate::objects::Elem;
use crate::raw::Words;
use crate::syscall::Outcome;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::step::Site;
use timerace_core::{Cx, Word, site};

/// The element with this key in a chain. Keys of linked elements do not change, so they need not be declared: whoever
/// wrote the key has linked the element since.
fn find(m: &mut Mem, b: Bucket, key: u64) -> Option<Ptr> {
    let _declared = m.list_len(b.chain);
    let m: &Mem = m;
    m.peek_items(b.chain).map(Ptr::from_word).find(|p| m.peek(Elem(*p).key().obj()) == key)
}

impl Kernel {
    /// `__htab_map_lookup_elem()`, without the lock.
    pub(crate) async fn htab_lookup(&self, cx: Cx<'_>, map: usize, key: u64) -> Option<Elem> {
        self.find_in(cx, map, key, site!("bpf_map_lookup_elem(map, key)", Map)).await
    }

    /// `lookup_elem_raw()`, under the lock.
    pub(crate) async fn lookup_elem_raw(&self, cx: Cx<'_>, map: usize, key: u64) -> Option<Elem> {
        self.trace(cx, Point::LookupElemRaw).await;
        self.find_in(cx, map, key, site!("l_old = lookup_elem_raw(head, key)", Map)).await
    }

    async fn find_in(&self, cx: Cx<'_>, map: usize, key: u64, s: &'static Site) -> Option<Elem> {
        let b = self.maps[map].bucket(key);
        cx.step(s).reads(b.chain.obj()).run(move |m| find(m, b, key)).await.map(Elem)
    }

    /// `hlist_nulls_add_head_rcu()`
    pub(crate) async fn link(&self, cx: Cx<'_>, b: Bucket, e: Elem) {
        let (chain, word) = (b.chain, e.0.to_word());
        cx.step(site!("hlist_nulls_add_head_rcu(l_new)", Map))
            .writes(chain.obj())
            .run(move |m| m.push_front(chain, word))
            .await;
    }

    /// `hlist_nulls_del_rcu()`
    pub(crate) async fn unlink_elem(&self, cx: Cx<'_>, b: Bucket, e: Elem) {
        let (chain, word) = (b.chain, e.0.to_word());
        cx.step(site!("hlist_nulls_del_rcu(l_old)", Map))
            .writes(chain.obj())
            .run(move |m| m.list_remove(chain, word))
            .await;
    }

    /// The keys of a bucket.
    pub(crate) async fn bucket_keys(&self, cx: Cx<'_>, b: Bucket) -> Vec<u64> {
        let walk = cx.step(site!("map_get_next_key(map, key)", Map)).reads(b.chain.obj());
        let keys = walk.run(move |m| {
            let m: &Mem = m;
            let key = |w: u64| m.peek(Elem(Ptr::from_word(w)).key().obj());
            Words(m.peek_items(b.chain).map(key).collect())
        });
        keys.await.0
    }

    /// `htab_map_update_elem()`
    ///
    /// 1. Flags: -EINVAL. 2. BPF_F_LOCK: look up without the lock and test the flags as in 3.; on an existing key copied in
    ///    place, the timer stays. 3. Lock the bucket (which may fail with 4fa8d68aa53e); look up; BPF_NOEXIST on an existing
    ///    key -EEXIST, BPF_EXIST on an absent one -ENOENT; BPF_F_LOCK as in 2. 4. A new element (see `alloc_htab_elem`):
    ///    -E2BIG, -ENOMEM. 5. Link the new one, unlink the old. 6. Cancel and free the old one's timer: for preallocated maps
    ///    under the lock in every version; otherwise the element is freed, after unlocking with b9e9ed90b10c.
    pub(crate) async fn htab_update(
        &self,
        cx: Cx<'_>,
        map: usize,
        key: u64,
        flags: u64,
        value: u64,
    ) -> i64 {
        let f = cx.enter("htab_map_update_elem");
        let m = &self.maps[map];
        // 1.
        if flags & !BPF_F_LOCK > BPF_EXIST || flags & BPF_F_LOCK != 0 && !m.has_lock {
            return f.ret(EINVAL);
        }
        // 2.
        if flags & BPF_F_LOCK != 0 {
            let there = self.htab_lookup(cx, map, key).await;
            if let Err(code) = check_flags(flags, there.is_some()) {
                return f.ret(code);
            }
            if let Some(e) = there {
                self.copy_map_value_locked(cx, map, e, value).await;
                return f.ret(0);
            }
        }
        let b = m.bucket(key);
        // 3.
        if let Err(code) = self.lock_bucket(cx, b).await {
            return f.ret(code);
        }
        let (ret, left) = self.update_locked(cx, map, key, flags, value).await;
        self.unlock_bucket(cx, b).await;
        // 6.
        if let Some(old) = left.filter(|_| !m.no_prealloc) {
            self.refill_extra(cx, map, old).await;
        } else if let Some(old) = left {
            self.free_htab_elem(cx, map, old).await;
        }
        f.ret(ret)
    }

    /// Steps 3 to 6 under the lock: the return code, and an element that is to be freed after unlocking.
    async fn update_locked(
        &self,
        cx: Cx<'_>,
        map: usize,
        key: u64,
        flags: u64,
        value: u64,
    ) -> (i64, Option<Elem>) {
        let m = &self.maps[map];
        let b = m.bucket(key);
        let old = self.lookup_elem_raw(cx, map, key).await;
        if let Err(code) = check_flags(flags, old.is_some()) {
            return (code, None);
        }
        if let Some(old) = old
            && flags & BPF_F_LOCK != 0
        {
            self.copy_map_value_locked(cx, map, old, value).await;
            return (0, None);
        }
        // 4.
        let new = match self.alloc_htab_elem(cx, map, old).await {
            Ok(new) => new,
            Err(code) => return (code, None),
        };
        self.copy_map_value(cx, map, new, Some(key), value).await;
        // 5.
        self.link(cx, b, new).await;
        let Some(old) = old else { return (0, None) };
        self.unlink_elem(cx, b, old).await;
        // 6.
        if !m.no_prealloc && self.flags.extra_refill_late {
            return (0, Some(old));
        }
        if !m.no_prealloc {
            self.free_fields(cx, old, map).await;
            return (0, None);
        }
        if self.flags.free_after_bucket_unlock {
            return (0, Some(old));
        }
        self.free_htab_elem(cx, map, old).await;
        (0, None)
    }

    /// `htab_map_delete_elem()`: unlink under the lock; free the element under it, or after it with b9e9ed90b10c.
    /// `htab_lru_map_delete_elem()`: unlink under the lock, push it to the free elements after it, all versions.
    pub(crate) async fn htab_delete(&self, cx: Cx<'_>, map: usize, key: u64) -> Outcome {
        let m = &self.maps[map];
        let lru = m.lru.is_some();
        let f = cx.enter(if lru { "htab_lru_map_delete_elem" } else { "htab_map_delete_elem" });
        let b = m.bucket(key);
        if let Err(code) = self.lock_bucket(cx, b).await {
            return Outcome { ret: f.ret(code), ..Outcome::default() };
        }
        let old = self.lookup_elem_raw(cx, map, key).await;
        if let Some(old) = old {
            self.unlink_elem(cx, b, old).await;
            if m.lru.is_none() && !self.flags.free_after_bucket_unlock {
                self.free_htab_elem(cx, map, old).await;
            }
        }
        self.unlock_bucket(cx, b).await;
        match old {
            Some(old) if m.lru.is_some() => self.lru_push_free(cx, map, old).await,
            Some(old) if self.flags.free_after_bucket_unlock => {
                self.free_htab_elem(cx, map, old).await;
            }
            _ => {}
        }
        Outcome { ret: f.ret(if old.is_some() { 0 } else { ENOENT }), ..Outcome::default() }
    }

    /// `htab_map_lookup_and_delete_elem()`: as delete, but the element is freed after the lock only with 47363f1553e6.
    /// `htab_lru_map_lookup_and_delete_elem()`: after it, all versions.
    pub(crate) async fn htab_lookup_and_delete(&self, cx: Cx<'_>, map: usize, key: u64) -> Outcome {
        let m = &self.maps[map];
        let (hash, lru) =
            ("htab_map_lookup_and_delete_elem", "htab_lru_map_lookup_and_delete_elem");
        let f = cx.enter(if m.lru.is_some() { lru } else { hash });
        let b = m.bucket(key);
        if let Err(code) = self.lock_bucket(cx, b).await {
            return Outcome { ret: f.ret(code), ..Outcome::default() };
        }
        let mut out = absent();
        let old = self.lookup_elem_raw(cx, map, key).await;
        if let Some(old) = old {
            out.ret = 0;
            if let Some(first) = m.first_integer {
                let label = site!("copy_map_value(map, value, src)", Memory);
                out.data.push(cx.read(label, old.member(first)).await as i64);
            }
            self.unlink_elem(cx, b, old).await;
            if m.lru.is_none() && !self.flags.lookup_delete_after_unlock {
                self.free_htab_elem(cx, map, old).await;
            }
        }
        self.unlock_bucket(cx, b).await;
        match old {
            Some(old) if m.lru.is_some() => self.lru_push_free(cx, map, old).await,
            Some(old) if self.flags.lookup_delete_after_unlock => {
                self.free_htab_elem(cx, map, old).await;
            }
            _ => {}
        }
        f.ret(out.ret);
        out
    }
}

/// `check_flags()`
pub(crate) fn check_flags(flags: u64, exists: bool) -> Result<(), i64> {
    match (flags & !BPF_F_LOCK, exists) {
        (BPF_NOEXIST, true) => Err(EEXIST),
        (BPF_EXIST, false) => Err(ENOENT),
        _ => Ok(()),
    }
}
