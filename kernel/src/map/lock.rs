//! Bucket locks (kernel/bpf/hashtab.c, kernel/bpf/rqspinlock.c).
//!
//! Up to v6.14 a raw spinlock, with a per-CPU counter `map_locked` that refuses re-entry on the same CPU. From v6.15
//! (4fa8d68aa53e) an rqspinlock: re-entry on the same CPU is -EDEADLK, and who has waited for 0.25 s gets -ETIMEDOUT.
//!
//! Explored runs have no clock. There an attempt may time out while the lock's holder waits for a timer callback: that is
//! the one wait under a bucket lock that has no bound. Every other section under the lock is short.

use super::Bucket;
use crate::errno::{EBUSY, EDEADLK, ETIMEDOUT};
use crate::kernel::Kernel;
use timerace_core::lockdep::Take;
use timerace_core::step::Rel;
use timerace_core::{Cx, Word, site};

/// `RES_DEF_TIMEOUT`
const TIMEOUT_NS: u64 = 250_000_000;
/// How often a waiter looks in a timed run.
const POLL_NS: u64 = 10_000;

impl Kernel {
    /// `htab_lock_bucket()`: interrupts off, then the lock; -EBUSY (up to v6.14) or -EDEADLK if this CPU holds it,
    /// -ETIMEDOUT (v6.15 and later).
    pub(crate) async fn lock_bucket(&self, cx: Cx<'_>, b: Bucket) -> Result<(), i64> {
        cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
        let ret = self.attempt(cx, b).await;
        if ret != 0 {
            cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
            return Err(ret);
        }
        self.held_bucket[cx.id().index()].set(Some(b.waits));
        let rq = self.flags.rqspinlock_buckets;
        cx.acquired(b.lock.obj(), if rq { Take::Tries } else { Take::WaitsForOthers });
        Ok(())
    }

    /// `htab_unlock_bucket()`
    pub(crate) async fn unlock_bucket(&self, cx: Cx<'_>, b: Bucket) {
        self.held_bucket[cx.id().index()].set(None);
        cx.unlock(site!("raw_spin_unlock(&b->raw_lock)", Lock), b.lock).await;
        cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
    }

    async fn attempt(&self, cx: Cx<'_>, b: Bucket) -> i64 {
        let rq = self.flags.rqspinlock_buckets;
        let (raw, res) = (
            site!("raw_spin_lock(&b->raw_lock)", Lock),
            site!("raw_res_spin_lock(&b->raw_lock)", Lock),
        );
        let ret = self.try_bucket(cx, b, if rq { res } else { raw }).await;
        if ret != ETIMEDOUT || !self.timed {
            return ret;
        }
        // The holder waits for a callback: it has 0.25 s for it.
        let end = cx.now().plus(TIMEOUT_NS);
        while cx.now() < end {
            cx.step(site!("cpu_relax()", Free, quiet)).takes(POLL_NS, POLL_NS).run(|_| ()).await;
            let me = cx.id();
            let free = cx
                .step(site!("raw_res_spin_trylock(&b->raw_lock)", Lock, quiet))
                .writes(b.lock.obj())
                .run(move |m| {
                    let free = m.load(b.lock).is_none();
                    if free {
                        m.store(b.lock, Some(me));
                    }
                    free
                })
                .await;
            if free {
                return 0;
            }
        }
        ETIMEDOUT
    }

    /// One attempt: 0 and the lock is taken, or why not. Waits as long as none of this is the case.
    async fn try_bucket(
        &self,
        cx: Cx<'_>,
        b: Bucket,
        site: &'static timerace_core::step::Site,
    ) -> i64 {
        let (me, rq) = (cx.id(), self.flags.rqspinlock_buckets);
        let here = self.contexts_of[cx.cpu().map_or(0, |c| c.index())].clone();
        let mut step = cx.step(site).writes(b.lock.obj()).any().when(b.lock.obj(), Rel::Eq, 0);
        for c in here.iter() {
            step = step.when(b.lock.obj(), Rel::Eq, Some(*c).to_word());
        }
        if rq {
            step = step.when(b.waits.obj(), Rel::Ne, 0);
        }
        step.run(move |m| match m.load(b.lock) {
            None => {
                m.store(b.lock, Some(me));
                0
            }
            Some(holder) if here.contains(&holder) => {
                if rq {
                    EDEADLK
                } else {
                    EBUSY
                }
            }
            Some(_) => ETIMEDOUT,
        })
        .await
    }
}
