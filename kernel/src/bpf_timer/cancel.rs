//! `bpf_timer_cancel()`

use crate::errno::{EDEADLK, EINVAL, EOPNOTSUPP};
use crate::kernel::Kernel;
use crate::objects::{Elem, Timer};
use crate::promises;
use timerace_core::{CtxKind, Cx, site};

impl Kernel {
    /// `bpf_timer_cancel()`, v5.15 to v6.19.
    ///
    /// 1. In NMI: -EOPNOTSUPP. 2. `rcu_read_lock` (0281b919e175). 3. Lock. 4. Slot NULL: -EINVAL. 5. In the timer's own
    ///    callback: -EDEADLK. 6., 7. In another timer's callback (d4523831f07a): count the target as being cancelled; if
    ///    the own timer is being cancelled too: -EDEADLK. 8. Drop the program. 9. Unlock; `hrtimer_cancel` without any lock
    ///    (and, without 0281b919e175, without anything that keeps `t` alive); undo the count; `rcu_read_unlock`.
    pub(crate) async fn bpf_timer_cancel(&self, cx: Cx<'_>, e: Elem, map: usize) -> i64 {
        let f = cx.enter_with("bpf_timer_cancel", self.elem_arg(cx, map, e));
        if self.flags.lock_free {
            return f.ret(self.bpf_async_timer_cancel(cx, e).await);
        }
        // 1.
        if cx.kind() == CtxKind::Nmi {
            return f.ret(EOPNOTSUPP);
        }
        // 2.
        if self.flags.cancel_free_rcu {
            self.rcu_read_lock(cx).await;
        }
        // 3.
        self.timer_lock(cx, e).await;
        let (t, counted) = self.cancel_locked(cx, e).await;
        // 9.
        self.timer_unlock(cx, e).await;
        let ret = match t {
            Ok(t) => self.hrtimer_cancel(cx, t, promises::CANCELLED).await,
            Err(code) => code,
        };
        if let Ok(t) = t
            && self.flags.cancel_busy_flag
        {
            let site = site!("t->cancel_in_progress--", Atomic);
            cx.fetch_add(site, t.cancelling(), -1).await;
        }
        if let Some(t) = counted {
            cx.fetch_add(site!("atomic_dec(&t->cancelling)", Atomic), t.cancelling(), -1).await;
        }
        if self.flags.cancel_free_rcu {
            self.rcu_read_unlock(cx).await;
        }
        f.ret(ret)
    }

    /// Steps 4 to 8: what to cancel or the error, and the timer whose count was raised.
    async fn cancel_locked(&self, cx: Cx<'_>, e: Elem) -> (Result<Timer, i64>, Option<Timer>) {
        // 4.
        let Some(t) = self.slot(cx, e).await else { return (Err(EINVAL), None) };
        // 5.
        let current = self.hrtimer_running(cx).await;
        if current == Some(t) {
            return (Err(EDEADLK), None);
        }
        // 6., 7. The increment is locked, and so a full barrier on x86; it is no step of its own.
        let mut counted = None;
        if let Some(current) = current
            && self.flags.cancel_deadlk
        {
            cx.fetch_add(site!("atomic_inc(&t->cancelling)", Atomic), t.cancelling(), 1).await;
            counted = Some(t);
            let site = site!("atomic_read(&cur_t->cancelling)", Memory);
            if cx.read(site, current.cancelling()).await != 0 {
                return (Err(EDEADLK), counted);
            }
        }
        // 8.
        self.drop_prog_refcnt(cx, t).await;
        if self.flags.cancel_busy_flag {
            // D4, whose flag is a count here: it may be more than one that cancels.
            let site = site!("t->cancel_in_progress++", Atomic);
            cx.fetch_add(site, t.cancelling(), 1).await;
        }
        (Ok(t), counted)
    }
}
