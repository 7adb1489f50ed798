//! `bpf_timer_cancel_and_free()`

use crate::kernel::Kernel;
use crate::objects::{Elem, Timer};
use crate::promises;
use timerace_core::step::Rel;
use timerace_core::{Cx, Word, site};

impl Kernel {
    /// `bpf_timer_cancel_and_free()`, v5.15 to v6.19. Called by update, delete, eviction, and
    /// `map_release_uref`.
    ///
    /// 1. Slot NULL: return, without the lock. 2. Lock. 3. Slot NULL: unlock, return. 4. Drop the program. 5. Slot = NULL.
    /// 6. Unlock. 7. In a timer callback, own or not: leave the rest to a kworker (a6fcd19d7eac). Otherwise, unless in
    ///    the timer's own callback, `hrtimer_cancel`, which waits for a callback on another CPU (on PREEMPT_RT with 58f038e6d209 it does not wait: a kworker
    ///    does). 8. Free: at once, or after
    ///    a grace period (0281b919e175).
    pub(crate) async fn bpf_timer_cancel_and_free(&self, cx: Cx<'_>, e: Elem, map: usize) {
        let _f = cx.enter_with("bpf_timer_cancel_and_free", self.elem_arg(cx, map, e));
        if self.flags.lock_free {
            return self.bpf_async_cancel_and_free(cx, e).await;
        }
        // 1.
        let seen = cx.step(site!("READ_ONCE(timer->timer)", Memory)).reads(e.slot().obj());
        if seen.run(move |m| super::load_slot(m, e)).await.is_none() {
            return;
        }
        // 2.
        self.timer_lock(cx, e).await;
        // 3.
        let t = self.slot(cx, e).await;
        if let Some(t) = t {
            // 4.
            self.drop_prog_refcnt(cx, t).await;
            // 5.
            cx.step(site!("timer->timer = NULL", Memory))
                .writes(e.slot().obj())
                .writes(e.owned().obj())
                .run(move |m| {
                    m.store(e.slot(), None);
                    m.store(e.owned(), false);
                })
                .await;
        }
        // 6.
        self.timer_unlock(cx, e).await;
        let Some(t) = t else { return };
        if self.flags.try_to_cancel_only {
            // D5d
            self.hrtimer_try_to_cancel(cx, t, promises::FREED).await;
            return self.free_timer(cx, t).await;
        }
        // 7.
        let running = self.hrtimer_running(cx).await;
        if self.flags.defer_free_in_callback && running.is_some() {
            self.queue_work(cx, site!("queue_work(.., &t->delete_work)", Wakeup), t.0.to_word())
                .await;
            return;
        }
        if self.flags.rt_two_step_cancel {
            if !self.rt_cancel_and_free(cx, t, promises::FREED).await {
                return;
            }
        } else if running != Some(t) {
            self.hrtimer_cancel(cx, t, promises::FREED).await;
        }
        if self.flags.cancel_busy_flag {
            // D4
            let busy = t.cancelling();
            cx.step(site!("while (t->cancel_in_progress)", Memory))
                .when(busy.obj(), Rel::Eq, 0)
                .run(|_| ())
                .await;
        }
        // 8.
        self.free_timer(cx, t).await;
    }

    /// `bpf_timer_delete_work()` (a6fcd19d7eac), in a kworker: cancel, wait, free.
    pub(crate) async fn bpf_timer_delete_work(&self, cx: Cx<'_>, t: Timer) {
        let _f = cx.enter("bpf_timer_delete_work");
        self.hrtimer_cancel(cx, t, promises::FREED).await;
        // a6fcd19d7eac frees through kfree_rcu; it came after 0281b919e175, and without that one frees at once.
        self.free_timer(cx, t).await;
    }
}
