//! `bpf_timer_init()`

use crate::errno::{EBUSY, EINVAL, ENOMEM, EOPNOTSUPP, EPERM};
use crate::faults::FaultPlan;
use crate::kernel::Kernel;
use crate::objects::{Armed, Elem, Timer};
use crate::{promises, trace};
use timerace_core::{CtxKind, Cx, site};

/// `CLOCK_REALTIME`, which a relative set-up turns into the monotonic base.
const CLOCK_REALTIME: u64 = 0;
/// `CLOCK_MONOTONIC`
const CLOCK_MONOTONIC: u64 = 1;
/// `CLOCK_BOOTTIME`
pub(crate) const CLOCK_BOOTTIME: u64 = 7;

impl Kernel {
    /// `bpf_timer_init()`, v5.15 to v6.9, and with `__bpf_async_init()`, v6.10 to v6.19, which tests the flags (2.) before
    /// the context (1.).
    ///
    /// 1. In NMI: -EOPNOTSUPP. 2. Unknown clock or flag: -EINVAL. 3. Lock. 4. Slot not NULL: -EBUSY. 5. `usercnt` 0:
    ///    -EPERM (without fd381ce60a2d: the check comes before the publication). 6. Allocate: -ENOMEM. 7. Fill in.
    /// 8. Publish. 9. smp_mb and 10. `usercnt` 0: un-publish, free at once, -EPERM (with fd381ce60a2d). 11. Unlock.
    pub(crate) async fn bpf_timer_init(&self, cx: Cx<'_>, e: Elem, map: usize, flags: u64) -> i64 {
        let f = cx.enter_with("bpf_timer_init", self.elem_arg(cx, map, e));
        let in_nmi = cx.kind() == CtxKind::Nmi;
        // 1.
        if in_nmi && !self.flags.bpf_wq && !self.flags.lock_free {
            return f.ret(EOPNOTSUPP);
        }
        // 2.
        let clock = match flags {
            CLOCK_REALTIME | CLOCK_MONOTONIC => 0,
            CLOCK_BOOTTIME => self.clocks - 1,
            _ => return f.ret(EINVAL),
        };
        if self.flags.lock_free {
            return f.ret(self.bpf_async_init(cx, e, map, clock).await);
        }
        // 1.
        if in_nmi {
            return f.ret(EOPNOTSUPP);
        }
        // 3.
        self.timer_lock(cx, e).await;
        let ret = self.init_locked(cx, e, map, clock).await;
        // 11.
        self.timer_unlock(cx, e).await;
        f.ret(ret)
    }

    async fn init_locked(&self, cx: Cx<'_>, e: Elem, map: usize, clock: usize) -> i64 {
        // 4.
        if self.slot(cx, e).await.is_some() {
            return EBUSY;
        }
        // 5.
        if !self.flags.init_uref_recheck && self.usercnt(cx, map).await == 0 {
            return EPERM;
        }
        // 6., 7.
        let Some(t) = self.alloc_timer(cx, e, map, clock).await else { return ENOMEM };
        // 8.
        if !self.flags.init_uref_recheck {
            self.publish(cx, e, t, map, true).await;
            return 0;
        }
        self.publish(cx, e, t, map, false).await;
        // 9. Without a barrier in D3: smp_mb__before_atomic() orders nothing before a plain read, on x86 it is empty.
        if !self.flags.uref_recheck_no_barrier {
            cx.smp_mb(site!("smp_mb()", Atomic)).await;
        }
        // 10.
        if self.recheck(cx, e, t, map).await {
            return 0;
        }
        cx.write(site!("timer->timer = NULL", Memory), e.slot(), None).await;
        self.kfree_timer(cx, t).await;
        EPERM
    }

    /// `atomic64_read(&map->usercnt)`
    pub(crate) async fn usercnt(&self, cx: Cx<'_>, map: usize) -> i64 {
        let v = self.maps[map].obj.usercnt();
        cx.read(site!("atomic64_read(&map->usercnt)", Memory), v).await
    }

    /// Allocation and all plain stores into the new object, which nobody else can see yet: one step.
    pub(crate) async fn alloc_timer(
        &self,
        cx: Cx<'_>,
        e: Elem,
        map: usize,
        clock: usize,
    ) -> Option<Timer> {
        // Where the cgroup is at its limit, kmalloc_nolock() fails, unless the CPU has some of the charge in stock.
        let fault = match self.flags.kmalloc_nolock && self.maps[map].memcg_full {
            true => FaultPlan::May,
            false => self.faults.timer_init,
        };
        let t = Timer(cx.reserve(self.ty.timer));
        let base = cx.cpu().map_or(0, |c| c.index()) * self.clocks + clock;
        let (boottime, locks) = (clock > 0, self.timer_locks());
        let (atomic, nolock) = (
            site!("t = bpf_map_kmalloc_node(map, ..)", Alloc),
            site!("t = bpf_map_kmalloc_nolock(map, ..)", Alloc),
        );
        let mut step = cx.step(if self.flags.kmalloc_nolock { nolock } else { atomic });
        step = fault.declare(step).writes(t.0.alive());
        step = t.fields().fold(step, |s, f| s.writes(f));
        let ok = step
            .unordered()
            .run(move |m| {
                if fault.fails(m) {
                    return false;
                }
                m.revive(t.0);
                m.store(t.base(), base as u64);
                m.store(t.parked(), false);
                m.store(t.map(), map as u64 + 1);
                m.store(t.value(), e.0);
                m.store(t.prog(), 0);
                m.store(t.callback_fn(), 0);
                m.store(t.cancelling(), 0);
                m.store(t.promise(), promises::NONE);
                m.store(t.expires(), 0);
                m.store(t.armed(), Armed::default());
                m.store(t.refcnt(), 1);
                m.store(t.worker(), 0);
                m.store(t.worker_func(), crate::irq_work::ASYNC_WORKER);
                m.store(t.async_cmds(), None);
                trace::hrtimer_init(m, t, boottime, locks);
                true
            })
            .await;
        let spins = !self.flags.memcg_no_spin && !self.flags.kmalloc_nolock;
        if ok && self.maps[map].memcg_full && spins {
            self.memcg_memory_event(cx).await;
        }
        ok.then_some(t)
    }

    /// `memcg_memory_event(memcg, MEMCG_MAX)`: the charge is over the limit, which an atomic allocation may be; who watches
    /// the cgroup's file is told through a work item, whose worker is woken under the runqueue's lock. Without
    /// 6d78b4473cdb; with it the allocation says that it must not spin, and no event is raised. kmalloc_nolock()
    /// (5fb750e8a9ae) never spins, see [`Kernel::alloc_timer`].
    async fn memcg_memory_event(&self, cx: Cx<'_>) {
        let _f = cx.enter("memcg_memory_event");
        self.rq_lock(cx).await;
        self.rq_unlock(cx).await;
    }

    /// `timer->timer = t`. Without the later test this is where the timer becomes the map's: a map whose release walk is
    /// over must not get one.
    async fn publish(&self, cx: Cx<'_>, e: Elem, t: Timer, map: usize, settled: bool) {
        let released = self.maps[map].obj.released();
        let site = site!("timer->timer = t", Memory);
        if !settled {
            return cx.write(site, e.slot(), Some(t.0)).await;
        }
        let step = cx.step(site).writes(e.slot().obj()).writes(e.owned().obj());
        step.reads(released.obj())
            .run(move |m| {
                m.store(e.slot(), Some(t.0));
                m.store(e.owned(), true);
                if m.load(released) != 0 {
                    promises::late_timer(m, t, m.peek(released.obj()));
                }
            })
            .await;
    }

    /// Step 10: whether user references are left.
    async fn recheck(&self, cx: Cx<'_>, e: Elem, t: Timer, map: usize) -> bool {
        let (usercnt, released) = (self.maps[map].obj.usercnt(), self.maps[map].obj.released());
        cx.step(site!("atomic64_read(&map->usercnt)", Memory))
            .reads(usercnt.obj())
            .reads(released.obj())
            .writes(e.owned().obj())
            // What it writes is the model's own.
            .unordered()
            .run(move |m| {
                if m.load(usercnt) == 0 {
                    return false;
                }
                m.store(e.owned(), true);
                if m.load(released) != 0 {
                    promises::late_timer(m, t, m.peek(released.obj()));
                }
                true
            })
            .await
    }
}
