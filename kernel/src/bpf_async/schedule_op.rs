//! Operations that are left to an irq_work.

use crate::errno::{EDEADLK, ENOMEM};
use crate::hrtimer::Expiry;
use crate::kernel::Kernel;
use crate::objects::{AsyncCb, AsyncCmd, AsyncObj};
use crate::promises;
use timerace_core::detect::Class;
use timerace_core::mem::{Mem, Ptr};
use timerace_core::step::Learn;
use timerace_core::{Cx, site};

/// An operation of a command.
#[derive(Copy, Clone, Debug)]
pub(crate) enum AsyncOp {
    /// `BPF_ASYNC_START`
    Start(Expiry),
    /// `BPF_ASYNC_CANCEL`
    Cancel,
}

const START: u64 = 0;
const CANCEL: u64 = 1;

/// So many commands, each made while the one before was being performed, are work that makes itself for ever.
const MAX_ROUNDS: u64 = 4;

/// A command as the handler reads it.
struct Taken {
    next: Option<Ptr>,
    op: u64,
    nsecs: u64,
    mode: u64,
    round: u64,
}

impl Learn for Taken {
    fn learn(&self) -> u64 {
        let words = (self.next.learn(), self.op, self.nsecs);
        (words.learn(), self.mode, self.round).learn()
    }
}

impl Kernel {
    /// `bpf_async_schedule_op()`: takes the caller's reference along, or puts it where it fails.
    ///
    /// a. This CPU performs a command of the same timer: -EDEADLK (64873307e888). b. Allocate the command: -ENOMEM. c. Add
    ///    it to the list; if the list was empty, queue the irq_work on this CPU. d. 0.
    pub(crate) async fn bpf_async_schedule_op(&self, cx: Cx<'_>, cb: AsyncCb, op: AsyncOp) -> i64 {
        let f = cx.enter("bpf_async_schedule_op");
        // a.
        if self.flags.async_recursion_check {
            let running = self.cpu(cx).async_cb_running;
            let site = site!("this_cpu_read(async_cb_running) == cb", Memory);
            if cx.read(site, running).await == Some(cb.ptr()) {
                self.bpf_async_refcount_put(cx, cb).await;
                return f.ret(EDEADLK);
            }
        }
        // b.
        let Some(cmd) = self.alloc_cmd(cx, op).await else {
            self.bpf_async_refcount_put(cx, cb).await;
            return f.ret(ENOMEM);
        };
        // c.
        let was_empty = cx
            .step(site!("llist_add(&cmd->node, &cb->async_cmds)", Atomic))
            .writes(cb.async_cmds.obj())
            .writes(cmd.next().obj())
            .run(move |m| {
                let first = m.update(cb.async_cmds, |_| Some(cmd.0));
                m.store(cmd.next(), first);
                first.is_none()
            })
            .await;
        if was_empty {
            self.irq_work_queue(cx, cb).await;
        }
        // d.
        f.ret(0)
    }

    /// `kmalloc_nolock()` of a command, and its fields: nobody sees it yet.
    async fn alloc_cmd(&self, cx: Cx<'_>, op: AsyncOp) -> Option<AsyncCmd> {
        let fault = self.faults.schedule_op;
        let cmd = AsyncCmd(cx.reserve(self.ty.cmd));
        let round = self.cpu(cx).async_round;
        let (code, nsecs, mode) = match op {
            AsyncOp::Start(e) => (START, e.nsecs, u64::from(e.abs) | u64::from(e.pinned) << 1),
            AsyncOp::Cancel => (CANCEL, 0, 0),
        };
        let step = cx.step(site!("cmd = kmalloc_nolock(sizeof(*cmd), ..)", Alloc));
        let step = fault.declare(step).writes(cmd.0.alive()).reads(round.obj());
        let step = cmd.fields().fold(step, |s, f| s.writes(f));
        let ok = step
            .run(move |m| {
                if fault.fails(m) {
                    return false;
                }
                m.revive(cmd.0);
                m.store(cmd.next(), None);
                m.store(cmd.op(), code);
                m.store(cmd.nsec(), nsecs);
                m.store(cmd.mode(), mode);
                let round = m.load(round);
                m.store(cmd.round(), round + 1);
                true
            })
            .await;
        ok.then_some(cmd)
    }

    /// `bpf_async_irq_worker()`, in the hard interrupt of the irq_work.
    ///
    /// 1. Take the whole list; empty: return. 2. In the order in which they were added: 3. `async_cb_running = cb`; 4. each
    ///    command: perform it, put its reference, free it; 5. `async_cb_running = NULL`.
    pub(crate) async fn bpf_async_irq_worker(&self, cx: Cx<'_>, cb: AsyncCb) {
        let _f = cx.enter("bpf_async_irq_worker");
        // 1.
        let site = site!("list = llist_del_all(&cb->async_cmds)", Atomic);
        let mut next = cx.xchg(site, cb.async_cmds, None).await;
        if next.is_none() {
            return;
        }
        // 2. The commands belong to this handler from now on.
        let mut cmds = Vec::new();
        while let Some(cmd) = next.map(AsyncCmd) {
            let taken = self.read_cmd(cx, cmd).await;
            next = taken.next;
            cmds.push((cmd, taken));
        }
        cmds.reverse();
        // 3.
        let cpu = self.cpu(cx);
        let (running, round) = (cpu.async_cb_running, cpu.async_round);
        let site = site!("this_cpu_write(async_cb_running, cb)", Memory);
        cx.write(site, running, Some(cb.ptr())).await;
        // 4.
        for (n, (cmd, taken)) in cmds.into_iter().enumerate() {
            self.perform(cx, cb, &taken).await;
            // D6: who found the irq_work queued counted on a run of its own.
            if n == 0 || !self.flags.one_put_per_run {
                self.bpf_async_refcount_put(cx, cb).await;
            }
            let _k = cx.enter_leaf("kfree_nolock");
            cx.free(site!("kfree_nolock(cmd)", Alloc), cmd.0).await;
        }
        // 5.
        cx.step(site!("this_cpu_write(async_cb_running, NULL)", Memory))
            .writes(running.obj())
            .writes(round.obj())
            .run(move |m| {
                m.store(running, None);
                m.store(round, 0);
            })
            .await;
    }

    async fn read_cmd(&self, cx: Cx<'_>, cmd: AsyncCmd) -> Taken {
        let step = cx.step(site!("llist_for_each_safe(pos, n, list)", Memory, quiet));
        let step = cmd.fields().fold(step, timerace_core::ctx::Decl::reads);
        step.run(move |m: &mut Mem| Taken {
            next: m.load(cmd.next()),
            op: m.load(cmd.op()),
            nsecs: m.load(cmd.nsec()),
            mode: m.load(cmd.mode()),
            round: m.load(cmd.round()),
        })
        .await
    }

    /// `bpf_async_process_op()` without the put at its end, which the caller does. A command that stands at the end of a chain of commands, each made while the one before
    /// was being performed, is where the model stops: real kernels go on for ever.
    async fn perform(&self, cx: Cx<'_>, cb: AsyncCb, cmd: &Taken) {
        let round = self.cpu(cx).async_round;
        let now = cmd.round;
        if now > MAX_ROUNDS {
            let site = site!("bpf_async_process_op(cb, ..)", Free);
            cx.step(site).run(|m| m.report(Class::SpinUnbounded, None)).await;
            return;
        }
        cx.write(site!("bpf_async_process_op(cb, ..)", Free, quiet), round, now).await;
        match (cb.of, cmd.op) {
            (AsyncObj::Timer(t), START) => {
                let (abs, pinned) = (cmd.mode & 1 != 0, cmd.mode & 2 != 0);
                self.hrtimer_start(cx, t, Expiry { nsecs: cmd.nsecs, abs, pinned }).await;
            }
            (AsyncObj::Timer(t), _) => {
                self.hrtimer_try_to_cancel(cx, t, promises::CANCELLED).await;
            }
            (AsyncObj::Wq(w), START) => self.schedule_work(cx, w).await,
            (AsyncObj::Wq(w), _) => {
                self.cancel_work(cx, w).await;
            }
        }
    }
}
