//! The `bpf_timer` helpers, one file each (kernel/bpf/helpers.c, v5.15 to v6.19).
//!
//! From v7.0 on each function goes on in [`crate::bpf_async`], after the tests that both have in common.
//!
//! One body per function: where versions differ, a named flag decides. Comments tick off the numbered steps of the
//! function's documentation, which follow the kernel source line by line.

mod cancel;
mod cancel_and_free;
mod cb;
mod init;

mod set_callback;
mod start;

pub(crate) use init::CLOCK_BOOTTIME;

use crate::kernel::Kernel;
use crate::objects::{Elem, Timer};
use timerace_core::detect::Class;
use timerace_core::mem::{Mem, POISON, Ptr};
use timerace_core::{Cx, Word, site, step};

impl Kernel {
    /// `____bpf_spin_lock()` on `timer->lock`, interrupts off: an arch spinlock, raw on every configuration.
    async fn timer_lock(&self, cx: Cx<'_>, e: Elem) {
        cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
        cx.lock(site!("spin_lock(&timer->lock)", Lock), e.lock()).await;
    }

    /// The reverse of [`Kernel::timer_lock`].
    async fn timer_unlock(&self, cx: Cx<'_>, e: Elem) {
        cx.unlock(site!("spin_unlock(&timer->lock)", Lock), e.lock()).await;
        cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
    }

    /// `t = timer->timer`, under the lock.
    async fn slot(&self, cx: Cx<'_>, e: Elem) -> Option<Timer> {
        let t = cx.step(site!("t = timer->timer", Memory)).reads(e.slot().obj());
        step!(t.exclusive(), move |m| load_slot(m, e)).map(Timer)
    }

    /// `drop_prog_refcnt()` under the timer lock: 1. `prog` NULL: nothing. 2. `bpf_prog_put(prog)`. 3. `prog = NULL`,
    /// `callback_fn = NULL` (one step: `prog` is only read under the lock).
    async fn drop_prog_refcnt(&self, cx: Cx<'_>, t: Timer) {
        let Some(prog) = self.timer_prog(cx, t).await else { return };
        self.bpf_prog_put(cx, prog).await;
        cx.step(site!("t->prog = NULL; callback_fn = NULL", Memory))
            .writes(t.prog().obj())
            .writes(t.callback_fn().obj())
            .run(move |m| {
                m.store(t.prog(), 0);
                m.store(t.callback_fn(), 0);
            })
            .await;
    }

    /// `t->prog`, as an index, under the lock.
    async fn timer_prog(&self, cx: Cx<'_>, t: Timer) -> Option<usize> {
        let prog = cx.step(site!("prog = t->prog", Memory)).reads(t.prog().obj());
        let prog = step!(prog.exclusive(), move |m| m.load(t.prog()));
        (prog as usize).checked_sub(1)
    }

    /// `this_cpu_read(hrtimer_running)`
    pub(crate) async fn hrtimer_running(&self, cx: Cx<'_>) -> Option<Timer> {
        let v = self.cpu(cx).hrtimer_running;
        let running = cx.step(site!("this_cpu_read(hrtimer_running)", Memory)).reads(v.obj());
        running.exclusive().run(move |m| m.load(v)).await.map(Timer)
    }

    /// Frees the heap object: `kfree_rcu` with 0281b919e175 (`call_rcu` with 5fb750e8a9ae), `kfree` at once before.
    async fn free_timer(&self, cx: Cx<'_>, t: Timer) {
        let (kfree_rcu, call_rcu) =
            (site!("kfree_rcu(t, rcu)", Memory), site!("call_rcu(&t->cb.rcu, ..)", Memory));
        if self.flags.cancel_free_rcu {
            let site = if self.flags.kmalloc_nolock { call_rcu } else { kfree_rcu };
            self.call_rcu(cx, site, t.0.to_word()).await;
        } else {
            self.kfree_timer(cx, t).await;
        }
    }

    /// `kfree()`, or `kfree_nolock()` with 5fb750e8a9ae.
    async fn kfree_timer(&self, cx: Cx<'_>, t: Timer) {
        if self.flags.kmalloc_nolock {
            let _f = cx.enter_leaf("kfree_nolock");
            cx.free(site!("kfree_nolock(t)", Alloc), t.0).await;
        } else {
            let _f = cx.enter_leaf("kfree");
            cx.free(site!("kfree(t)", Alloc), t.0).await;
        }
    }
}

/// The pointer in a slot. Bytes that are no pointer (never zeroed, or copied from user space) are a finding, and as good
/// as NULL from there on.
pub(crate) fn load_slot(m: &mut Mem, e: Elem) -> Option<Ptr> {
    let slot = e.slot();
    let word = m.load(slot.cast::<u64>());
    let p = Option::<Ptr>::from_word(word)?;
    if word == POISON {
        // Bytes that nobody wrote: the read was the finding.
        return None;
    }
    if p.to_word() != word {
        m.report(Class::WildPointer, Some(slot.obj()));
        return None;
    }
    Some(p)
}
