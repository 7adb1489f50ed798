//! ARRAY_OF_MAPS and HASH_OF_MAPS: slots that hold a reference (no user reference) on an inner map.

use super::array::BPF_EXIST;
use super::hash::check_flags;
use crate::errno::{E2BIG, EINVAL, ENOENT};
use crate::kernel::Kernel;
use crate::world::MapKind;
use timerace_core::step::Site;
use timerace_core::{Cx, Var, site};

impl Kernel {
    fn slot_of(&self, outer: usize, key: u64) -> Option<Var<u64>> {
        self.maps[outer].slots.iter().find(|s| s.0 == key).map(|s| s.1)
    }

    /// `*_of_map_lookup_elem()`: the inner map, by index.
    pub(crate) async fn outer_lookup(&self, cx: Cx<'_>, outer: usize, key: u64) -> Option<usize> {
        let v = self.slot_of(outer, key)?;
        let word = cx.read(site!("inner_map = READ_ONCE(*slot)", Map), v).await;
        (word as usize).checked_sub(1)
    }

    /// `bpf_fd_array_map_update_elem()`: flags (-EINVAL), the slot (-E2BIG), the inner map by descriptor, a reference on it,
    /// then the slot, then the old one's reference. `bpf_fd_htab_map_update_elem()`: the inner map by descriptor and a
    /// reference on it, then as `htab_map_update_elem()`: flags, the slot under the bucket lock, the old one's reference;
    /// see [`Kernel::exchange_slot`]. Slots that the scenario does not name are not there.
    pub(crate) async fn outer_update(
        &self,
        cx: Cx<'_>,
        outer: usize,
        key: u64,
        inner: Result<usize, i64>,
        flags: u64,
    ) -> i64 {
        let hash = self.maps[outer].kind == MapKind::HashOfMaps;
        let (array, htab) = ("bpf_fd_array_map_update_elem", "bpf_fd_htab_map_update_elem");
        let f = cx.enter(if hash { htab } else { array });
        if !hash && flags != 0 {
            return f.ret(EINVAL);
        }
        let Some(v) = self.slot_of(outer, key) else { return f.ret(E2BIG) };
        let inner = match inner {
            Ok(inner) => inner,
            Err(code) => return f.ret(code),
        };
        self.bpf_map_inc(cx, inner).await;
        let label = site!("old_ptr = xchg(slot, new_ptr)", Atomic);
        // The value of such a map, a number, has no bpf_spin_lock.
        let done = match flags > BPF_EXIST {
            true => Err(EINVAL),
            false => self.exchange_slot(cx, outer, v, label, inner as u64 + 1, flags).await,
        };
        match done {
            Ok(_) => f.ret(0),
            Err(code) => {
                self.bpf_map_put(cx, inner).await;
                f.ret(code)
            }
        }
    }

    /// `fd_array_map_delete_elem()`, `htab_map_delete_elem()`
    pub(crate) async fn outer_delete(&self, cx: Cx<'_>, outer: usize, key: u64) -> i64 {
        let hash = self.maps[outer].kind == MapKind::HashOfMaps;
        let f = cx.enter(if hash { "htab_map_delete_elem" } else { "fd_array_map_delete_elem" });
        let Some(v) = self.slot_of(outer, key) else { return f.ret(ENOENT) };
        let label = site!("old_ptr = xchg(slot, NULL)", Atomic);
        match self.exchange_slot(cx, outer, v, label, 0, 0).await {
            Ok(true) => f.ret(0),
            Ok(false) => f.ret(ENOENT),
            Err(code) => f.ret(code),
        }
    }

    /// The slot gets another map or none, unless the flags forbid it, and the reference on the old one is dropped; whether
    /// there was one. In a hash map all this happened under the bucket lock; with b9e9ed90b10c the reference is dropped
    /// after unlocking.
    async fn exchange_slot(
        &self,
        cx: Cx<'_>,
        outer: usize,
        v: Var<u64>,
        label: &'static Site,
        new: u64,
        flags: u64,
    ) -> Result<bool, i64> {
        let lock = self.maps[outer].slot_lock;
        if let Some(b) = lock {
            self.lock_bucket(cx, b).await?;
        }
        let xchg = cx.step(label).writes(v.obj()).run(move |m| {
            let old = m.load(v);
            if check_flags(flags, old != 0).is_ok() {
                m.store(v, new);
            }
            old
        });
        let old = (xchg.await as usize).checked_sub(1);
        if let Err(code) = check_flags(flags, old.is_some()) {
            if let Some(b) = lock {
                self.unlock_bucket(cx, b).await;
            }
            return Err(code);
        }
        let after = self.flags.free_after_bucket_unlock;
        if let (Some(b), Some(old), false) = (lock, old, after) {
            self.map_fd_put(cx, old).await;
            self.unlock_bucket(cx, b).await;
            return Ok(true);
        }
        if let Some(b) = lock {
            self.unlock_bucket(cx, b).await;
        }
        if let Some(old) = old {
            self.map_fd_put(cx, old).await;
        }
        Ok(old.is_some())
    }

    /// `bpf_map_fd_put_ptr()`: with 876673364161 the inner map is from now on freed after a grace period only.
    async fn map_fd_put(&self, cx: Cx<'_>, map: usize) {
        if self.flags.defer_inner_map_free {
            let v = self.maps[map].obj.free_after_gp();
            cx.write(site!("map->free_after_mult_rcu_gp = true", Memory), v, true).await;
        }
        self.bpf_map_put(cx, map).await;
    }
}
