//! `bpf_timer_set_callback()`

use crate::errno::{EINVAL, ENOENT, EOPNOTSUPP, EPERM};
use crate::kernel::Kernel;
use crate::objects::{Callback, Elem};
use timerace_core::{CtxKind, Cx, site};

impl Kernel {
    /// `bpf_timer_set_callback()`, v5.15 to v6.19. `callback.prog` is the calling program (`aux->prog`).
    ///
    /// 1. In NMI: -EOPNOTSUPP. 2. Lock. 3. Slot NULL: -EINVAL. 4. `usercnt` 0: -EPERM. 5. Another program than before:
    ///    take a reference on it (-ENOENT if it has none left), put the previous one, store it. 6. `callback_fn` (release).
    /// 7. Unlock.
    pub(crate) async fn bpf_timer_set_callback(
        &self,
        cx: Cx<'_>,
        e: Elem,
        map: usize,
        callback: Callback,
    ) -> i64 {
        let f = cx.enter_with("bpf_timer_set_callback", self.elem_arg(cx, map, e));
        if self.flags.lock_free {
            return f.ret(self.bpf_async_set_callback(cx, e, callback).await);
        }
        // 1.
        if cx.kind() == CtxKind::Nmi {
            return f.ret(EOPNOTSUPP);
        }
        // 2.
        self.timer_lock(cx, e).await;
        let ret = self.set_callback_locked(cx, e, map, callback).await;
        // 7.
        self.timer_unlock(cx, e).await;
        f.ret(ret)
    }

    async fn set_callback_locked(
        &self,
        cx: Cx<'_>,
        e: Elem,
        map: usize,
        callback: Callback,
    ) -> i64 {
        // 3.
        let Some(t) = self.slot(cx, e).await else { return EINVAL };
        // 4.
        if self.usercnt(cx, map).await == 0 {
            return EPERM;
        }
        // 5.
        let prev = self.timer_prog(cx, t).await;
        if prev != Some(callback.prog) {
            if !self.bpf_prog_inc_not_zero(cx, callback.prog).await {
                return ENOENT;
            }
            if let Some(prev) = prev {
                self.bpf_prog_put(cx, prev).await;
            }
        }
        // 5. and 6. in one step: `prog` is only read under the lock.
        cx.step(site!("t->callback_fn = callback_fn", Memory))
            .writes(t.prog().obj())
            .writes(t.callback_fn().obj())
            .run(move |m| {
                m.store(t.prog(), callback.prog as u64 + 1);
                m.store(t.callback_fn(), callback.word());
            })
            .await;
        0
    }
}
