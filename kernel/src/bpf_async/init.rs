//! `bpf_timer_init()`

use crate::errno::{EBUSY, ENOMEM, EPERM};
use crate::kernel::Kernel;
use crate::objects::{Elem, Timer};
use timerace_core::{Cx, site};

impl Kernel {
    /// `__bpf_async_init()`, v7.0 and later; the caller has tested the flags (1.).
    ///
    /// 2. Slot not NULL: -EBUSY. 3., 4. Allocate and fill in: -ENOMEM. 5. cmpxchg of the slot; somebody else was first:
    ///    free at once (nobody has seen the object), -EBUSY. 6. smp_mb. 7. `usercnt` 0: `bpf_async_cancel_and_free`,
    ///    because the object was visible, -EPERM.
    pub(crate) async fn bpf_async_init(
        &self,
        cx: Cx<'_>,
        e: Elem,
        map: usize,
        clock: usize,
    ) -> i64 {
        // 2.
        if self.async_cb(cx, e).await.is_some() {
            return EBUSY;
        }
        // 3., 4.
        let Some(t) = self.alloc_timer(cx, e, map, clock).await else { return ENOMEM };
        // 5.
        let site = site!("old_cb = cmpxchg(&async->cb, NULL, cb)", Atomic);
        if cx.cmpxchg(site, e.slot(), None, Some(t.0)).await.is_some() {
            let _f = cx.enter_leaf("kfree_nolock");
            cx.free(site!("kfree_nolock(cb)", Alloc), t.0).await;
            return EBUSY;
        }
        // 6. The full barrier is no step of its own: the cmpxchg before it is one already under both memory models.
        // 7.
        if self.usercnt_after_publication(cx, e, t, map).await {
            return 0;
        }
        self.bpf_async_cancel_and_free(cx, e).await;
        EPERM
    }

    /// Step 7: whether user references are left. If so, and nobody has taken the timer away meanwhile, it is the map's.
    async fn usercnt_after_publication(&self, cx: Cx<'_>, e: Elem, t: Timer, map: usize) -> bool {
        let (usercnt, released) = (self.maps[map].obj.usercnt(), self.maps[map].obj.released());
        cx.step(site!("atomic64_read(&map->usercnt)", Memory))
            .reads(usercnt.obj())
            .reads(released.obj())
            .reads(e.slot().obj())
            .writes(e.owned().obj())
            .run(move |m| {
                let held = m.load(usercnt) != 0;
                if held && m.load(e.slot()) == Some(t.0) {
                    m.store(e.owned(), true);
                    let released = m.load(released);
                    if released != 0 {
                        crate::promises::late_timer(m, t, released);
                    }
                }
                held
            })
            .await
    }
}
