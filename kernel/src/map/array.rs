//! ARRAY: elements that never go away.

use crate::errno::{E2BIG, EEXIST, EINVAL};
use crate::kernel::Kernel;
use timerace_core::Cx;

/// `BPF_NOEXIST`
pub(crate) const BPF_NOEXIST: u64 = 1;
/// `BPF_EXIST`
pub(crate) const BPF_EXIST: u64 = 2;
/// `BPF_F_LOCK`
pub(crate) const BPF_F_LOCK: u64 = 4;

/// `array_map_delete_elem()`: never.
pub(crate) fn delete() -> i64 {
    EINVAL
}

impl Kernel {
    /// `array_map_update_elem()`, all versions: 1. copy the value around the timer (BPF_F_LOCK: under the value's lock); 2.
    /// cancel and free the timer in place.
    /// No lock of the map: a timer that another CPU initialises between 1 and 2 is killed by 2.
    pub(crate) async fn array_update(
        &self,
        cx: Cx<'_>,
        map: usize,
        key: u64,
        flags: u64,
        value: u64,
    ) -> i64 {
        let f = cx.enter_leaf("array_map_update_elem");
        let m = &self.maps[map];
        if flags & !BPF_F_LOCK > BPF_EXIST {
            return f.ret(EINVAL);
        }
        let Some(e) = m.elems.get(key as usize).copied() else { return f.ret(E2BIG) };
        if flags & BPF_NOEXIST != 0 {
            return f.ret(EEXIST);
        }
        if flags & BPF_F_LOCK != 0 && !m.has_lock {
            return f.ret(EINVAL);
        }
        // 1.
        if flags & BPF_F_LOCK != 0 {
            self.copy_map_value_locked(cx, map, e, value).await;
        } else {
            self.copy_map_value(cx, map, e, None, value).await;
        }
        // 2.
        self.free_fields(cx, e, map).await;
        f.ret(0)
    }
}
