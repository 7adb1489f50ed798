//! `bpf_timer_cancel()` and `bpf_timer_cancel_async()`

use super::AsyncOp;
use crate::errno::{ECANCELED, EDEADLK, EINVAL, ENOENT, EOPNOTSUPP};
use crate::kernel::Kernel;
use crate::objects::{Elem, Timer};
use crate::promises;
use timerace_core::{Cx, site};

impl Kernel {
    /// `bpf_timer_cancel()`, v7.0 and later.
    ///
    /// 0. In a hard interrupt or with interrupts off: -EOPNOTSUPP. 1. Slot NULL: -EINVAL. 2. In the timer's own callback:
    ///    -EDEADLK. 3. In another timer's callback: count the target as being cancelled; if the own timer is being
    ///    cancelled too, undo that: -EDEADLK. 4. Clear program and callback. 5. `hrtimer_cancel`. 6. Undo the count.
    ///
    /// No reference is taken: the program's own read section keeps the object.
    pub(crate) async fn bpf_async_timer_cancel(&self, cx: Cx<'_>, e: Elem) -> i64 {
        // 0.
        if self.defer_timer_wq_op(cx) {
            return EOPNOTSUPP;
        }
        // 1.
        let Some(t) = self.async_cb(cx, e).await else { return EINVAL };
        // 2.
        let current = self.hrtimer_running(cx).await;
        if current == Some(t) {
            return EDEADLK;
        }
        // 3. The full barrier after the increment is no step of its own.
        if let Some(current) = current {
            cx.fetch_add(site!("atomic_inc(&t->cancelling)", Atomic), t.cancelling(), 1).await;
            let site = site!("atomic_read(&cur_t->cancelling)", Memory);
            if cx.read(site, current.cancelling()).await != 0 {
                self.cancelled(cx, t).await;
                return EDEADLK;
            }
        }
        // 4.
        self.bpf_async_update_prog_callback(cx, t.cb(), None).await;
        // 5.
        let ret = self.hrtimer_cancel(cx, t, promises::CANCELLED).await;
        // 6.
        if current.is_some() {
            self.cancelled(cx, t).await;
        }
        ret
    }

    async fn cancelled(&self, cx: Cx<'_>, t: Timer) {
        cx.fetch_add(site!("atomic_dec(&t->cancelling)", Atomic), t.cancelling(), -1).await;
    }

    /// `bpf_timer_cancel_async()` (a7e172aa4ca2). Program and callback stay: the timer can be started again.
    ///
    /// 1. Slot NULL: -EINVAL. 2. A reference: -ENOENT if the element was deleted. 3. `hrtimer_try_to_cancel` (-1: its
    ///    callback runs), put the reference. 4. With interrupts off a command: -ECANCELED, or why there is none.
    pub(crate) async fn bpf_timer_cancel_async(&self, cx: Cx<'_>, e: Elem, map: usize) -> i64 {
        let f = cx.enter_with("bpf_timer_cancel_async", self.elem_arg(cx, map, e));
        // 1.
        let Some(t) = self.async_cb(cx, e).await else { return f.ret(EINVAL) };
        // 2.
        if !self.async_get(cx, t.cb()).await {
            return f.ret(ENOENT);
        }
        // 3.
        if !self.defer_timer_wq_op(cx) {
            let ret = self.hrtimer_try_to_cancel(cx, t, promises::CANCELLED).await;
            self.bpf_async_refcount_put(cx, t.cb()).await;
            return f.ret(ret);
        }
        // 4.
        let ret = self.bpf_async_schedule_op(cx, t.cb(), AsyncOp::Cancel).await;
        f.ret(if ret == 0 { ECANCELED } else { ret })
    }
}
