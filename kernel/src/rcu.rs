//! Read-side critical sections, grace periods, and what waits for them.
//!
//! A reader is an object that is 0 outside of its section: the word of a CPU (every section with preemption, softirqs
//! or interrupts off), or the word of a preemptible context. Each CPU has a list of callbacks and a helper that takes it
//! as a batch, waits, and invokes them.

use crate::kernel::Kernel;
use crate::objects::{BpfWork, Elem, Timer};
use timerace_core::rcu::GracePeriods;
use timerace_core::step::{CostClass, Gate, Learn, Rel, Site};
use timerace_core::{CtxKind, Cx, Label, Nanos, Ptr, Word, site};

/// In words of callbacks: the pointer is an element of a hash map (`htab_elem_free_rcu`).
pub(crate) const TAG_HTAB_ELEM: u64 = 1 << 33;
/// ... of a resizable one, which goes back to its CPU's cache (`bpf_mem_cache_free_rcu`).
pub(crate) const TAG_RHTAB_ELEM: u64 = 1 << 37;
/// In words of work: the pointer is a `bpf_work` whose function is to run.
pub(crate) const TAG_WQ_WORK: u64 = 1 << 35;
/// ... whose `delete_work` is to run.
pub(crate) const TAG_WQ_DELETE: u64 = 1 << 36;
const TAGS: u64 =
    TAG_HTAB_ELEM | TAG_RHTAB_ELEM | TAG_WQ_WORK | TAG_WQ_DELETE | crate::objects::TAG_ELEM;
/// Words of callbacks and of work that are no pointers: kind above this bit, index below.
const KIND_SHIFT: u32 = 16;
/// `__bpf_prog_put_rcu`
const PROG_RCU: u64 = 1;
/// `bpf_map_free_rcu_gp`
const MAP_RCU: u64 = 2;

/// The callback that frees a program.
pub(crate) fn prog_callback(prog: usize) -> u64 {
    PROG_RCU << KIND_SHIFT | prog as u64
}

/// The callback that frees a map.
pub(crate) fn map_callback(map: usize) -> u64 {
    MAP_RCU << KIND_SHIFT | map as u64
}

/// Callbacks taken as one batch.
struct Batch(Vec<u64>, Nanos);

impl Learn for Batch {
    fn learn(&self) -> u64 {
        self.0.iter().fold(self.1.0, |h, w| timerace_core::mix::roll(h, *w))
    }
}

impl Kernel {
    /// `rcu_read_lock()`
    pub(crate) async fn rcu_read_lock(&self, cx: Cx<'_>) {
        cx.rcu_read_lock(self.rcu_word(cx)).await;
    }

    /// `rcu_read_unlock()`
    pub(crate) async fn rcu_read_unlock(&self, cx: Cx<'_>) {
        cx.rcu_read_unlock(self.rcu_word(cx)).await;
    }

    /// `cond_resched_rcu()`: on a kernel that is not preemptible the section ends, the CPU may be given away, the section
    /// begins again; on the others nothing.
    pub(crate) async fn cond_resched_rcu(&self, cx: Cx<'_>) {
        if !self.preemptible {
            self.rcu_read_unlock(cx).await;
            self.cond_resched(cx).await;
            self.rcu_read_lock(cx).await;
        }
    }

    /// On a kernel that is not preemptible, and in softirqs, the section is that of the CPU.
    fn rcu_word(&self, cx: Cx<'_>) -> Option<timerace_core::Var<bool>> {
        if self.preemptible { self.rcu_words[cx.id().index()] } else { None }
    }

    /// The body of a watcher of grace periods.
    pub(crate) async fn watch_reader(&self, cx: Cx<'_>, ctx: usize, watcher: usize) {
        if let Some(g) = &self.grace[ctx] {
            g.watch(cx, watcher).await;
        }
    }

    /// `call_rcu()`, `kfree_rcu()`: onto this CPU's list.
    pub(crate) async fn call_rcu(&self, cx: Cx<'_>, label: impl Into<Label>, item: u64) {
        let list = self.cpu(cx).rcu;
        cx.step(label).writes(list.obj()).run(move |m| m.push_back(list, item)).await;
    }

    /// `call_rcu_tasks_trace()`: onto this CPU's list, under a raw lock that is an object of its own where an NMI can find
    /// it held. It is not re-entrant.
    pub(crate) async fn call_rcu_tasks_trace(&self, cx: Cx<'_>, site: &'static Site, item: u64) {
        let (list, lock) = (self.cpu(cx).rcu_trace, self.cpu(cx).rcu_trace_lock);
        let _f = cx.enter_leaf("call_rcu_tasks_trace");
        if let Some(lock) = lock {
            cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
            cx.lock(site!("raw_spin_lock(&rtpcp->lock)", Lock), lock).await;
        }
        cx.step(site).writes(list.obj()).run(move |m| m.push_back(list, item)).await;
        if let Some(lock) = lock {
            cx.unlock(site!("raw_spin_unlock(&rtpcp->lock)", Lock), lock).await;
            cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
        }
    }

    /// The helper of a CPU: takes its list, waits for the readers, invokes the callbacks.
    pub(crate) async fn rcu_helper(&self, cx: Cx<'_>, cpu: usize, trace: bool) {
        let list = if trace { self.cpus[cpu].rcu_trace } else { self.cpus[cpu].rcu };
        // A tasks-trace grace period implies one of RCU: its readers are among those of the flow.
        let Some(grace) = &self.grace[cx.id().index()] else { return };
        loop {
            let words = grace.words();
            let mut take = cx.step(site!("grace period starts", Free)).writes(list.obj());
            for o in grace.objects() {
                take = take.writes(o);
            }
            let take = take.when(list.obj(), Rel::Ne, 0).idle().run(move |m| {
                let mut batch = Vec::new();
                while let Some(item) = m.pop_back(list) {
                    batch.push(item);
                }
                batch.reverse();
                GracePeriods::begin(&words, m);
                Batch(batch, m.now())
            });
            let batch = take.await;
            let gate = self.grace_period_gate(cx, batch.1);
            // The helper is on no CPU: nobody wakes up.
            let ends = match self.timed {
                true => site!("grace period ends", Free),
                false => site!("grace period ends", GracePeriod),
            };
            grace.end(cx, ends, gate).await;
            for item in batch.0 {
                self.rcu_callback(cx, cpu, item, trace).await;
            }
        }
    }

    /// When a grace period that started at this time may end in a timed run: after the machine's length, else one from the
    /// costs. Who waits for it sleeps meanwhile.
    fn grace_period_gate(&self, cx: Cx<'_>, start: Nanos) -> Gate {
        if !self.timed {
            return Gate::Open;
        }
        let ns = match self.world.machine.grace_period {
            Some(d) => crate::time::draw(cx, d),
            None => cx.draw(CostClass::GracePeriod),
        };
        Gate::At(start.plus(ns))
    }

    async fn rcu_callback(&self, cx: Cx<'_>, cpu: usize, item: u64, trace: bool) {
        let Some(p) = pointer(item) else {
            return self.rcu_callback_of(cx, cpu, item).await;
        };
        if item & TAG_RHTAB_ELEM != 0 {
            return self.rhtab_elem_reusable(cx, cpu, Elem(p)).await;
        }
        if trace && item & TAG_HTAB_ELEM != 0 {
            return self.free_to_slab(cx, Elem(p)).await;
        }
        if item & TAG_HTAB_ELEM != 0 {
            // It cancels a timer and may spin: it runs in RCU_SOFTIRQ.
            let done = self.cpus[cpu].rcu_done;
            cx.step(site!("raise_softirq(RCU_SOFTIRQ)", Free))
                .writes(done.obj())
                .run(move |m| m.push_back(done, item))
                .await;
            return;
        }
        if item & TAG_WQ_WORK != 0 {
            return self.wq_rcu_tasks_trace_free(cx, BpfWork(p)).await;
        }
        if trace {
            return self.bpf_async_cb_rcu_tasks_trace_free(cx, Timer(p)).await;
        }
        if self.flags.kmalloc_nolock {
            let _f = cx.enter("bpf_async_cb_rcu_free");
            cx.free(site!("kfree_nolock(cb)", Alloc), p).await;
        } else {
            let _f = cx.enter("kfree_rcu");
            cx.free(site!("kfree(t)", Alloc), p).await;
        }
    }

    async fn rcu_callback_of(&self, cx: Cx<'_>, cpu: usize, item: u64) {
        let index = (item & ((1 << KIND_SHIFT) - 1)) as usize;
        let work = self.cpus[cpu].work;
        let word = match item >> KIND_SHIFT {
            PROG_RCU => crate::work::prog_free_work(index),
            _ => crate::work::map_free_work(index),
        };
        cx.step(site!("queue_work(system_unbound_wq, ..)", Wakeup))
            .writes(work.obj())
            .run(move |m| m.push_back(work, word))
            .await;
    }

    /// RCU_SOFTIRQ: callbacks that may take locks and spin.
    pub(crate) async fn rcu_softirq(&self, cx: Cx<'_>, cpu: usize) {
        let done = self.cpus[cpu].rcu_done;
        loop {
            let item = cx
                .enter_level(
                    site!("rcu_do_batch(rdp)", SoftirqEntry),
                    CtxKind::Softirq,
                    |d| d.when(done.obj(), Rel::Ne, 0).writes(done.obj()),
                    move |m| m.pop_front(done).unwrap_or(0),
                )
                .await;
            cx.entered_level(CtxKind::Softirq);
            if let Some(p) = pointer(item) {
                self.htab_elem_free_rcu(cx, Elem(p)).await;
            }
            cx.exit_level(
                site!("softirq exit", SoftirqExit, quiet),
                CtxKind::Softirq,
                |d| d,
                |_| (),
            )
            .await;
        }
    }

    /// `synchronize_rcu()` in a context that may sleep.
    pub(crate) async fn synchronize_rcu(&self, cx: Cx<'_>) {
        let Some(grace) = &self.grace[cx.id().index()] else { return };
        let words = grace.words();
        let mut begin = cx.step(site!("synchronize_rcu()", Free));
        for o in grace.objects() {
            begin = begin.writes(o);
        }
        let begin = begin.run(move |m| {
            GracePeriods::begin(&words, m);
            m.now().0
        });
        let start = Nanos(begin.await);
        let gate = self.grace_period_gate(cx, start);
        let ends = match self.timed {
            true => site!("grace period ends", Wakeup),
            false => site!("grace period ends", GracePeriod),
        };
        grace.end(cx, ends, gate).await;
    }
}

/// The pointer in a word of a callback or of work, if it is one.
pub(crate) fn pointer(item: u64) -> Option<Ptr> {
    let p = Ptr::from_word(item);
    (item & !TAGS == p.to_word()).then_some(p)
}
