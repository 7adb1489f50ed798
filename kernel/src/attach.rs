//! Programs that run where the kernel's own code passes: on tracepoints, at functions, for a scheduler class.
//!
//! A program on a tracepoint runs in the context that hits it, with whatever that holds: inside `hrtimer_start` the lock
//! of the base, interrupts off. So a machine with such a program has the base's lock as a lock of its own
//! ([`crate::hrtimer_locked`]).
//!
//! A program does not enter itself again on the same CPU (`prog->active`). Tracing programs had this from the start,
//! those on tracepoints got it in v6.1 (05b24ff9b2cf); here all have it.

use crate::errno::EBADF;
use crate::kernel::Kernel;
use crate::world::{Attach, ProgDef};
use std::future::Future;
use std::pin::Pin;
use timerace_core::{Cx, Var, site};

/// Where the modelled kernel's code runs attached programs.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Point {
    /// `trace_hrtimer_start()` in `enqueue_hrtimer()`: base locked, interrupts off.
    TimerStart,
    /// `trace_hrtimer_cancel()` in `remove_hrtimer()`: base locked, interrupts off.
    TimerCancel,
    /// `trace_hrtimer_expire_entry()`, in the softirq before the timer's function.
    ExpireEntry,
    /// `trace_hrtimer_expire_exit()`, after it.
    ExpireExit,
    /// The start of `lookup_elem_raw()`, which updates and deletes of a hash call with the bucket locked.
    LookupElemRaw,
    /// The start of `bpf_obj_free_fields()` (v6.2 and later; from v7.2 on of `bpf_obj_cancel_fields()`), which gives up
    /// the timer of an element.
    FreeFields,
}

impl Point {
    /// The point that an attachment names; `None` if the model has no such point.
    pub fn of(attach: &Attach) -> Option<Point> {
        match attach {
            Attach::TpBtf(name) => match name.as_str() {
                "hrtimer_start" => Some(Point::TimerStart),
                "hrtimer_cancel" => Some(Point::TimerCancel),
                "hrtimer_expire_entry" => Some(Point::ExpireEntry),
                "hrtimer_expire_exit" => Some(Point::ExpireExit),
                _ => None,
            },
            // The tracepoint is the first thing in that function.
            Attach::Fentry(name) => match name.as_str() {
                "enqueue_hrtimer" => Some(Point::TimerStart),
                "lookup_elem_raw" => Some(Point::LookupElemRaw),
                "bpf_obj_free_fields" | "bpf_obj_cancel_fields" => Some(Point::FreeFields),
                _ => None,
            },
            _ => None,
        }
    }

    /// As pictures show it.
    fn name(self) -> &'static str {
        match self {
            Point::TimerStart => "trace_hrtimer_start",
            Point::TimerCancel => "trace_hrtimer_cancel",
            Point::ExpireEntry => "trace_hrtimer_expire_entry",
            Point::ExpireExit => "trace_hrtimer_expire_exit",
            Point::LookupElemRaw => "fentry/lookup_elem_raw",
            Point::FreeFields => "fentry/bpf_obj_free_fields",
        }
    }

    /// Whether the code around it holds the lock of a timer base.
    pub fn is_under_base_lock(self) -> bool {
        matches!(self, Point::TimerStart | Point::TimerCancel)
    }
}

/// A program at a point.
#[derive(Debug)]
pub(crate) struct Attached {
    pub prog: usize,
    pub point: Point,
    /// Whether its link exists, where a task creates it; otherwise it is attached from the start.
    pub linked: Option<Var<bool>>,
    /// `prog->active`, by CPU.
    pub active: Vec<Var<bool>>,
}

impl ProgDef {
    /// Whether it is an operation of a scheduler class, which runs with the lock of its CPU's runqueue held.
    pub(crate) fn is_sched_ext(&self) -> bool {
        matches!(self.attach, Some(Attach::SchedExt(_)))
    }
}

impl Kernel {
    /// Whether a program may be attached to a tracepoint.
    pub(crate) fn traces(&self, point: Point) -> bool {
        self.attached.iter().any(|a| a.point == point)
    }

    /// A tracepoint: runs the programs that are attached to it.
    pub(crate) async fn trace(&self, cx: Cx<'_>, point: Point) {
        for a in self.attached.iter().filter(|a| a.point == point) {
            if let Some(linked) = a.linked
                && !cx.read(site!("tp->funcs", Memory, quiet), linked).await
            {
                continue;
            }
            let _f = cx.enter_leaf(point.name());
            let active = a.active[cx.cpu().map_or(0, |c| c.index())];
            let again = cx.xchg(site!("this_cpu_inc_return(*prog->active)", Memory), active, true);
            if again.await {
                continue;
            }
            // Boxed: the program may come to this very function again.
            let run: Pin<Box<dyn Future<Output = ()> + '_>> =
                Box::pin(self.run_in_sections(cx, a.prog));
            run.await;
            cx.write(site!("this_cpu_dec(*prog->active)", Memory, quiet), active, false).await;
        }
    }

    /// `BPF_LINK_CREATE`: the program is attached as long as the link is open. It holds a reference on the program.
    pub(crate) async fn bpf_link_create(&self, cx: Cx<'_>, prog: usize) -> i64 {
        let f = cx.enter("bpf_link_create");
        let label = site!("bpf(BPF_LINK_CREATE, {})", Syscall);
        let label = label.with(crate::arg::Arg::Prog(prog).word());
        let section = self.enter_kernel(cx, label).await;
        let there = self.bpf_prog_inc_not_zero(cx, prog).await;
        if there {
            if let Some(refs) = self.links[prog] {
                cx.write(site!("atomic64_set(&link->refcnt, 1)", Atomic, quiet), refs, 1).await;
            }
            for a in self.attached.iter().filter(|a| a.prog == prog) {
                if let Some(linked) = a.linked {
                    cx.write(site!("tracepoint_probe_register()", Memory), linked, true).await;
                }
            }
        }
        self.leave_kernel(cx, section).await;
        f.ret(if there { 0 } else { EBADF })
    }

    /// `bpf_link_inc()`
    pub(crate) async fn bpf_link_inc(&self, cx: Cx<'_>, prog: usize) {
        if let Some(refs) = self.links[prog] {
            cx.fetch_add(site!("atomic64_inc(&link->refcnt)", Atomic), refs, 1).await;
        }
    }

    /// A reference to a link goes, and with the last one the link. Only links that may be pinned have a count.
    pub(crate) async fn bpf_link_put(&self, cx: Cx<'_>, prog: usize) {
        if let Some(refs) = self.links[prog] {
            let site = site!("atomic64_dec_and_test(&link->refcnt)", Atomic);
            if cx.fetch_add(site, refs, -1).await != 1 {
                return;
            }
        }
        self.bpf_link_free(cx, prog).await;
    }

    /// The last reference to a link goes: detached, and the program's reference dropped.
    pub(crate) async fn bpf_link_free(&self, cx: Cx<'_>, prog: usize) {
        let _f = cx.enter("bpf_link_free");
        for a in self.attached.iter().filter(|a| a.prog == prog) {
            if let Some(linked) = a.linked {
                cx.write(site!("tracepoint_probe_unregister()", Memory), linked, false).await;
            }
        }
        self.bpf_prog_put(cx, prog).await;
    }

    /// `rq_lock()` around an operation of a scheduler class.
    pub(crate) async fn rq_lock(&self, cx: Cx<'_>) {
        cx.irq_save(site!("local_irq_save(flags)", Mask, quiet)).await;
        if let Some(lock) = self.cpu(cx).rq_lock {
            cx.lock(site!("raw_spin_lock(&rq->__lock)", Lock), lock).await;
        }
    }

    /// The reverse of [`Kernel::rq_lock`].
    pub(crate) async fn rq_unlock(&self, cx: Cx<'_>) {
        if let Some(lock) = self.cpu(cx).rq_lock {
            cx.unlock(site!("raw_spin_unlock(&rq->__lock)", Lock), lock).await;
        }
        cx.irq_restore(site!("local_irq_restore(flags)", Mask, quiet)).await;
    }
}
