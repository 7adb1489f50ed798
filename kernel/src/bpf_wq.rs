//! `bpf_wq` (kernel/bpf/helpers.c, v6.10 and later): callbacks that a kworker runs and that may sleep.
//!
//! The object in the value and its heap object work as those of a timer do, under a lock of their own. What differs:
//! starting takes no lock and no reference (up to v6.19), and deleting never waits in the caller. What v7.0 changed is in
//! [`lock_free`].

mod lock_free;

use crate::errno::{EBUSY, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP, EPERM};
use crate::interp::Act;
use crate::kernel::Kernel;
use crate::objects::{BpfWork, Callback, Elem};
use crate::rcu::{TAG_WQ_DELETE, TAG_WQ_WORK};
use timerace_core::mem::{ListVar, Mem, Ptr};
use timerace_core::step::Rel;
use timerace_core::{CtxKind, Cx, Var, Word, site};

impl Kernel {
    async fn wq_lock(&self, cx: Cx<'_>, e: Elem) {
        cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
        cx.lock(site!("spin_lock(&wq->lock)", Lock), e.wq_lock()).await;
    }

    async fn wq_unlock(&self, cx: Cx<'_>, e: Elem) {
        cx.unlock(site!("spin_unlock(&wq->lock)", Lock), e.wq_lock()).await;
        cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
    }

    async fn wq_slot(&self, cx: Cx<'_>, e: Elem) -> Option<BpfWork> {
        cx.read(site!("w = wq->work", Memory), e.wq_slot()).await.map(BpfWork)
    }

    /// `bpf_wq_init()`: 1. Flags: -EINVAL. 2. `__bpf_async_init()`: in NMI -EOPNOTSUPP. 3. Lock. 4. Slot not NULL: -EBUSY.
    /// 5. Allocate: -ENOMEM. 6., 7. Fill in. 8. Publish. 9. smp_mb and 10. `usercnt` 0: un-publish, free, -EPERM. 11. Unlock.
    pub(crate) async fn bpf_wq_init(&self, cx: Cx<'_>, e: Elem, map: usize, flags: u64) -> i64 {
        let f = cx.enter_with("bpf_wq_init", self.elem_arg(cx, map, e));
        // 1.
        if flags != 0 {
            return f.ret(EINVAL);
        }
        if self.flags.lock_free {
            return f.ret(self.wq_init_lock_free(cx, e, map).await);
        }
        // 2.
        if cx.kind() == CtxKind::Nmi {
            return f.ret(EOPNOTSUPP);
        }
        // 3.
        self.wq_lock(cx, e).await;
        let ret = self.wq_init_locked(cx, e, map).await;
        // 11.
        self.wq_unlock(cx, e).await;
        f.ret(ret)
    }

    async fn wq_init_locked(&self, cx: Cx<'_>, e: Elem, map: usize) -> i64 {
        // 4.
        if self.wq_slot(cx, e).await.is_some() {
            return EBUSY;
        }
        // fd381ce60a2d moved this test behind the publication.
        if !self.flags.init_uref_recheck && self.usercnt(cx, map).await == 0 {
            return EPERM;
        }
        // 5. to 7.
        let Some(w) = self.alloc_work(cx, e, map).await else { return ENOMEM };
        // 8.
        cx.write(site!("wq->work = w", Memory), e.wq_slot(), Some(w.0)).await;
        if !self.flags.init_uref_recheck {
            return 0;
        }
        // 9.
        if !self.flags.uref_recheck_no_barrier {
            cx.smp_mb(site!("smp_mb()", Atomic)).await;
        }
        // 10.
        if self.usercnt(cx, map).await != 0 {
            return 0;
        }
        cx.write(site!("wq->work = NULL", Memory), e.wq_slot(), None).await;
        let (kfree, nolock) = (site!("kfree(w)", Alloc), site!("kfree_nolock(w)", Alloc));
        let (name, site) =
            if self.flags.kmalloc_nolock { ("kfree_nolock", nolock) } else { ("kfree", kfree) };
        let _f = cx.enter_leaf(name);
        cx.free(site, w.0).await;
        EPERM
    }

    /// Allocation and all plain stores into the new object, which nobody else can see yet: one step.
    async fn alloc_work(&self, cx: Cx<'_>, e: Elem, map: usize) -> Option<BpfWork> {
        let fault = self.faults.wq_init;
        let w = BpfWork(cx.reserve(self.ty.work));
        let (atomic, nolock) = (
            site!("w = bpf_map_kmalloc_node(map, ..)", Alloc),
            site!("w = bpf_map_kmalloc_nolock(map, ..)", Alloc),
        );
        let step = cx.step(if self.flags.kmalloc_nolock { nolock } else { atomic });
        let step = fault.declare(step).writes(w.0.alive());
        let step = w.fields().fold(step, |s, f| s.writes(f));
        let ok = step
            .run(move |m| {
                if fault.fails(m) {
                    return false;
                }
                m.revive(w.0);
                m.store(w.map(), map as u64 + 1);
                m.store(w.value(), e.0);
                m.store(w.prog(), 0);
                m.store(w.callback_fn(), 0);
                m.store(w.pending(), false);
                let cb = w.cb();
                m.store(cb.refcnt, 1);
                m.store(cb.worker, 0);
                m.store(cb.worker_func, crate::irq_work::ASYNC_WORKER);
                m.store(cb.async_cmds, None);
                true
            })
            .await;
        ok.then_some(w)
    }

    /// `bpf_wq_set_callback_impl()`, v6.10 to v6.19: as `bpf_timer_set_callback()`. Its flags, which must be 0, are.
    pub(crate) async fn bpf_wq_set_callback(
        &self,
        cx: Cx<'_>,
        e: Elem,
        map: usize,
        callback: Callback,
    ) -> i64 {
        let f = cx.enter_with("bpf_wq_set_callback", self.elem_arg(cx, map, e));
        if self.flags.lock_free {
            let Some(w) = self.wq_read(cx, e).await else { return f.ret(EINVAL) };
            return f.ret(self.bpf_async_update_prog_callback(cx, w.cb(), Some(callback)).await);
        }
        if cx.kind() == CtxKind::Nmi {
            return f.ret(EOPNOTSUPP);
        }
        self.wq_lock(cx, e).await;
        let ret = self.wq_set_callback_locked(cx, e, map, callback).await;
        self.wq_unlock(cx, e).await;
        f.ret(ret)
    }

    async fn wq_set_callback_locked(
        &self,
        cx: Cx<'_>,
        e: Elem,
        map: usize,
        callback: Callback,
    ) -> i64 {
        let Some(w) = self.wq_slot(cx, e).await else { return EINVAL };
        if self.usercnt(cx, map).await == 0 {
            return EPERM;
        }
        let prev = self.wq_prog(cx, w).await;
        if prev != Some(callback.prog) {
            if !self.bpf_prog_inc_not_zero(cx, callback.prog).await {
                return ENOENT;
            }
            if let Some(prev) = prev {
                self.bpf_prog_put(cx, prev).await;
            }
            let label = site!("cb->prog = prog", Memory);
            cx.write(label, w.prog(), callback.prog as u64 + 1).await;
        }
        let label = site!("cb->callback_fn = callback_fn", Memory);
        cx.write(label, w.callback_fn(), callback.word()).await;
        0
    }

    async fn wq_prog(&self, cx: Cx<'_>, w: BpfWork) -> Option<usize> {
        let prog = cx.read(site!("prog = cb->prog", Memory), w.prog()).await;
        (prog as usize).checked_sub(1)
    }

    /// `bpf_wq_start()`: 1. In NMI: -EOPNOTSUPP. 2. Flags: -EINVAL. 3. Slot NULL, or 4. its program NULL: -EINVAL.
    /// 5. `schedule_work()`, without lock, read section or reference: nothing keeps the object alive until then. From v7.0
    ///    on (without 1.) with a reference, -ENOENT if there is none left; with interrupts off as a command.
    pub(crate) async fn bpf_wq_start(&self, cx: Cx<'_>, e: Elem, map: usize, flags: u64) -> i64 {
        let f = cx.enter_with("bpf_wq_start", self.elem_arg(cx, map, e));
        // 1.
        if cx.kind() == CtxKind::Nmi && !self.flags.lock_free {
            return f.ret(EOPNOTSUPP);
        }
        // 2.
        if flags != 0 {
            return f.ret(EINVAL);
        }
        // 3.
        let Some(w) = self.wq_read(cx, e).await else { return f.ret(EINVAL) };
        // 4.
        if cx.read(site!("READ_ONCE(w->cb.prog)", Memory), w.prog()).await == 0 {
            return f.ret(EINVAL);
        }
        // 5.
        if self.flags.lock_free {
            return f.ret(self.wq_start_lock_free(cx, w).await);
        }
        self.schedule_work(cx, w).await;
        f.ret(0)
    }

    /// `schedule_work()`: onto this CPU's list, unless it waits already.
    pub(crate) async fn schedule_work(&self, cx: Cx<'_>, w: BpfWork) {
        let list = self.cpu(cx).work;
        let item = w.0.to_word() | TAG_WQ_WORK;
        cx.step(site!("schedule_work(&w->work)", Wakeup))
            .writes(w.pending().obj())
            .writes(list.obj())
            .run(move |m| {
                // The PENDING bit: an item that waits is not queued again.
                if !m.update(w.pending(), |_| true) {
                    m.push_back(list, item);
                }
            })
            .await;
    }

    async fn wq_read(&self, cx: Cx<'_>, e: Elem) -> Option<BpfWork> {
        cx.read(site!("w = READ_ONCE(wq->work)", Memory), e.wq_slot()).await.map(BpfWork)
    }

    /// `bpf_wq_work()`, in a kworker, after `process_one_work()` has cleared PENDING; never twice at a time, whichever CPU
    /// it was queued on.
    ///
    /// 1. `map`, `value`, `callback_fn`; NULL: return. 2. The key. 3. `rcu_read_lock_trace`, `migrate_disable`. 4. The
    ///    callback. Without dc92febf7b93 it is left out while the program runs on this CPU.
    pub(crate) async fn bpf_wq_work(&self, cx: Cx<'_>, w: BpfWork) {
        let me = self.current_work_of(cx).map(Var::obj);
        let mut step = cx.step(site!("set_work_pool_and_clear_pending(work)", Memory)).asleep();
        for other in self.current_works().filter(|v| Some(v.obj()) != me) {
            step = step.when(other.obj(), Rel::Ne, w.0.to_word() | TAG_WQ_WORK);
        }
        step.writes(w.pending().obj()).run(move |m| m.store(w.pending(), false)).await;
        let _f = cx.enter("bpf_wq_work");
        // 1.
        let label = site!("callback_fn = READ_ONCE(cb->callback_fn)", Memory);
        let step = cx.step(label).reads(w.map().obj()).reads(w.value().obj());
        let (what, whom) = step
            .reads(w.callback_fn().obj())
            .run(move |m| {
                let value: Ptr = m.load(w.value());
                (m.load(w.callback_fn()), (m.load(w.map()), value))
            })
            .await;
        let Some(callback) = Callback::from_word(what) else { return };
        let Some(map) = (whom.0 as usize).checked_sub(1) else { return };
        let active = self.progs[callback.prog].active.get(cx.cpu().map_or(0, |c| c.index()));
        if let Some(active) = active {
            let label = site!("this_cpu_inc_return(*prog->active)", Memory);
            if cx.xchg(label, *active, true).await {
                return;
            }
        }
        // 2., 3.
        let trace = self.trace_words[cx.id().index()];
        if let Some(v) = trace {
            cx.write(site!("rcu_read_lock_trace()", Memory), v, true).await;
        }
        // 4. The text of the program must be there.
        let text = self.progs[callback.prog].obj.insns();
        cx.read(site!("callback_fn(map, key, value)", Call), text).await;
        self.run_callback(cx, &mut Act::callback(callback, map, Elem(whom.1))).await;
        if let Some(v) = trace {
            cx.write(site!("rcu_read_unlock_trace()", Memory), v, false).await;
        }
        if let Some(active) = active {
            cx.write(site!("this_cpu_dec(*prog->active)", Memory, quiet), *active, false).await;
        }
    }

    /// `bpf_wq_cancel_and_free()`: 1. Slot NULL: return, without the lock. 2. Lock. 3. Slot NULL: unlock, return. 4. Drop the
    /// program. 5. Slot = NULL. 6. Unlock. 7. The rest is always left to a kworker.
    pub(crate) async fn bpf_wq_cancel_and_free(&self, cx: Cx<'_>, e: Elem, map: usize) {
        let _f = cx.enter_with("bpf_wq_cancel_and_free", self.elem_arg(cx, map, e));
        // 1.
        if self.wq_read(cx, e).await.is_none() {
            return;
        }
        if self.flags.lock_free {
            return self.wq_free_lock_free(cx, e).await;
        }
        // 2.
        self.wq_lock(cx, e).await;
        // 3.
        let w = self.wq_slot(cx, e).await;
        if let Some(w) = w {
            // 4.
            if let Some(prog) = self.wq_prog(cx, w).await {
                self.bpf_prog_put(cx, prog).await;
                cx.step(site!("cb->prog = NULL; callback_fn = NULL", Memory))
                    .writes(w.prog().obj())
                    .writes(w.callback_fn().obj())
                    .run(move |m| {
                        m.store(w.prog(), 0);
                        m.store(w.callback_fn(), 0);
                    })
                    .await;
            }
            // 5.
            cx.write(site!("wq->work = NULL", Memory), e.wq_slot(), None).await;
        }
        // 6.
        self.wq_unlock(cx, e).await;
        // 7.
        if let Some(w) = w {
            let item = w.0.to_word() | TAG_WQ_DELETE;
            self.queue_work(cx, site!("schedule_work(&w->delete_work)", Wakeup), item).await;
        }
    }

    /// `bpf_wq_delete_work()`, in a kworker: `cancel_work_sync()`, then free after a grace period.
    pub(crate) async fn bpf_wq_delete_work(&self, cx: Cx<'_>, w: BpfWork) {
        let _f = cx.enter("bpf_wq_delete_work");
        self.cancel_work_sync(cx, w).await;
        let (kfree_rcu, call_rcu) =
            (site!("kfree_rcu(w, cb.rcu)", Memory), site!("call_rcu(&w->cb.rcu, ..)", Memory));
        let site = if self.flags.kmalloc_nolock { call_rcu } else { kfree_rcu };
        self.call_rcu(cx, site, w.0.to_word()).await;
    }

    /// `cancel_work_sync()`: takes the item off its list and keeps PENDING, so that nobody queues it; waits until no worker
    /// runs it; clears PENDING.
    async fn cancel_work_sync(&self, cx: Cx<'_>, w: BpfWork) {
        let _f = cx.enter_leaf("cancel_work_sync");
        let item = w.0.to_word() | TAG_WQ_WORK;
        let lists: Vec<ListVar> = self.cpus.iter().map(|c| c.work).collect();
        let step = cx.step(site!("try_to_grab_pending(work)", Wakeup)).writes(w.pending().obj());
        lists
            .iter()
            .fold(step, |s, l| s.writes(l.obj()))
            .run(move |m: &mut Mem| {
                m.store(w.pending(), true);
                for l in &lists {
                    m.list_remove(*l, item);
                }
            })
            .await;
        let mut step = cx.step(site!("__flush_work(work)", Wakeup)).asleep();
        for current in self.current_works() {
            step = step.when(current.obj(), Rel::Ne, item);
        }
        step.run(|_| ()).await;
        cx.write(site!("clear_work_data(work)", Memory), w.pending(), false).await;
    }

    /// `worker->current_work` of all workers.
    fn current_works(&self) -> impl Iterator<Item = Var<u64>> + '_ {
        self.cpus.iter().filter_map(|c| c.current_work).flatten()
    }

    /// ... of this one.
    fn current_work_of(&self, cx: Cx<'_>) -> Option<Var<u64>> {
        match self.roles[cx.id().index()] {
            crate::kernel::Role::Worker { cpu, second } => {
                self.cpus[cpu].current_work.map(|c| c[usize::from(second)])
            }
            _ => None,
        }
    }
}
