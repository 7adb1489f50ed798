//! ARRAY_OF_MAPS and HASH_OF_MAPS: slots that hold a reference (no user reference) on an inner map.

use crate::errno::{E2BIG, EINVAL, ENOENT};
use crate::kernel::Kernel;
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

    /// `bpf_fd_*_map_update_elem()`: a reference on the new map, then the slot, then the old one's reference.
    pub(crate) async fn outer_update(
        &self,
        cx: Cx<'_>,
        outer: usize,
        key: u64,
        inner: usize,
    ) -> i64 {
        let f = cx.enter("bpf_fd_array_map_update_elem");
        let Some(v) = self.slot_of(outer, key) else { return f.ret(E2BIG) };
        if inner >= self.maps.len() {
            return f.ret(EINVAL);
        }
        self.bpf_map_inc(cx, inner).await;
        let old =
            cx.xchg(site!("old_ptr = xchg(slot, new_ptr)", Atomic), v, inner as u64 + 1).await;
        if let Some(old) = (old as usize).checked_sub(1) {
            self.map_fd_put(cx, old).await;
        }
        f.ret(0)
    }

    /// `fd_array_map_delete_elem()`, `htab_map_delete_elem()`
    pub(crate) async fn outer_delete(&self, cx: Cx<'_>, outer: usize, key: u64) -> i64 {
        let f = cx.enter("fd_array_map_delete_elem");
        let Some(v) = self.slot_of(outer, key) else { return f.ret(ENOENT) };
        let old = cx.xchg(site!("old_ptr = xchg(slot, NULL)", Atomic), v, 0).await;
        let Some(old) = (old as usize).checked_sub(1) else { return f.ret(ENOENT) };
        self.map_fd_put(cx, old).await;
        f.ret(0)
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
