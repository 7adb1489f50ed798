//! `bpf_timer_start()`

use super::AsyncOp;
use crate::errno::{EINVAL, ENOENT};
use crate::hrtimer::Expiry;
use crate::kernel::Kernel;
use crate::objects::Elem;
use timerace_core::{Cx, site};

impl Kernel {
    /// `bpf_timer_start()`, v7.0 and later; the caller has tested the flags (1.).
    ///
    /// 2. Slot or its program NULL: -EINVAL. 3. A reference: -ENOENT if the element was deleted. 4. `hrtimer_start`
    ///    without any lock, put the reference; 5. or, with interrupts off, a command that takes the reference along.
    pub(crate) async fn bpf_async_timer_start(&self, cx: Cx<'_>, e: Elem, expiry: Expiry) -> i64 {
        // 2.
        let Some(t) = self.async_cb(cx, e).await else { return EINVAL };
        if cx.read(site!("READ_ONCE(t->cb.prog)", Memory), t.prog()).await == 0 {
            return EINVAL;
        }
        // 3.
        if !self.async_get(cx, t.cb()).await {
            return ENOENT;
        }
        // 4.
        if !self.defer_timer_wq_op(cx) {
            self.hrtimer_start(cx, t, expiry).await;
            self.bpf_async_refcount_put(cx, t.cb()).await;
            return 0;
        }
        // 5.
        self.bpf_async_schedule_op(cx, t.cb(), AsyncOp::Start(expiry)).await
    }
}
