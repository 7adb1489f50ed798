//! `bpf_timer_start()`

use crate::errno::{EINVAL, EOPNOTSUPP};
use crate::flags::{BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN};
use crate::hrtimer::Expiry;
use crate::kernel::Kernel;
use crate::objects::Elem;
use timerace_core::{CtxKind, Cx};

impl Kernel {
    /// `bpf_timer_start()`, v5.15 to v6.19. Flags: none up to v6.3, `BPF_F_TIMER_ABS` from v6.4, `BPF_F_TIMER_CPU_PIN`
    /// from v6.7. A pinned timer goes to this CPU, and so does every other one (see [`crate::hrtimer`]).
    ///
    /// 1. In NMI: -EOPNOTSUPP. 2. Other flags: -EINVAL. 3. Lock. 4. Slot or its program NULL: -EINVAL. 5. `hrtimer_start`
    ///    under the lock. 6. Unlock.
    pub(crate) async fn bpf_timer_start(
        &self,
        cx: Cx<'_>,
        e: Elem,
        map: usize,
        nsecs: u64,
        flags: u64,
    ) -> i64 {
        let f = cx.enter_with("bpf_timer_start", self.elem_arg(cx, map, e));
        // 1.
        if cx.kind() == CtxKind::Nmi && !self.flags.lock_free {
            return f.ret(EOPNOTSUPP);
        }
        // 2.
        if flags & !self.flags.start_flags != 0 {
            return f.ret(EINVAL);
        }
        let (abs, pinned) = (flags & BPF_F_TIMER_ABS != 0, flags & BPF_F_TIMER_CPU_PIN != 0);
        let expiry = Expiry { nsecs, abs, pinned };
        if self.flags.lock_free {
            return f.ret(self.bpf_async_timer_start(cx, e, expiry).await);
        }
        // 3.
        self.timer_lock(cx, e).await;
        let ret = self.start_under_lock(cx, e, expiry).await;
        // 6.
        self.timer_unlock(cx, e).await;
        f.ret(ret)
    }

    async fn start_under_lock(&self, cx: Cx<'_>, e: Elem, expiry: Expiry) -> i64 {
        // 4.
        let Some(t) = self.slot(cx, e).await else { return EINVAL };
        if self.timer_prog(cx, t).await.is_none() {
            return EINVAL;
        }
        // 5.
        self.hrtimer_start(cx, t, expiry).await;
        0
    }
}
