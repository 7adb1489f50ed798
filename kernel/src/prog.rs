//! Programs: references, test runs, and how they are freed (kernel/bpf/syscall.c, core.c).

use crate::arg::Arg;
use crate::compile::Code;
use crate::errno::{EBADF, EPERM};
use crate::interp::Act;
use crate::kernel::Kernel;
use crate::log::CallbackRun;
use crate::objects::{Callback, Elem, ProgObj};
use crate::world::{MapId, ProgId, ProgKind};
use timerace_core::mem::FrameName;
use timerace_core::{CpuId, Cx, Var, site};

/// A program or callback.
#[derive(Debug)]
pub(crate) struct Prog {
    pub obj: ProgObj,
    pub kind: ProgKind,
    pub sleepable: bool,
    pub code: Code,
    /// Maps that it uses, callbacks included: it holds a reference on each.
    pub used_maps: Vec<usize>,
    /// Whether a task loads it; otherwise it is there from the start and stays.
    pub loaded_by_task: bool,
    /// What loading it gives: 0 or what the verifier says.
    pub load_ret: i64,
    /// `prog->active` by CPU, where callbacks of a `bpf_wq` look at it (before dc92febf7b93).
    pub active: Vec<Var<bool>>,
    /// How often the callback has begun, where its body asks.
    pub runs: Option<Var<u64>>,
}

impl Kernel {
    /// `bpf_prog_load()`: 0 or what the verifier says. The program takes a reference on each map that it uses.
    pub(crate) async fn bpf_prog_load(&self, cx: Cx<'_>, prog: usize) -> i64 {
        let f = cx.enter("bpf_prog_load");
        let p = &self.progs[prog];
        let label = site!("bpf(BPF_PROG_LOAD, {})", Syscall).with(Arg::Prog(prog).word());
        let section = self.enter_kernel(cx, label).await;
        let no_map = p.used_maps.iter().any(|m| self.maps[*m].create_ret < 0);
        let refused = match () {
            () if !self.may_load(cx, p.kind) => EPERM,
            // A program names its maps by descriptors.
            () if no_map => EBADF,
            () => p.load_ret,
        };
        if refused < 0 {
            self.leave_kernel(cx, section).await;
            return f.ret(refused);
        }
        for map in &p.used_maps {
            self.bpf_map_inc(cx, *map).await;
        }
        let o = p.obj;
        cx.step(site!("prog = bpf_prog_select_runtime()", Alloc))
            .writes(o.0.alive())
            .writes(o.refcnt().obj())
            .run(move |m| {
                if !m.is_alive(o.0) {
                    m.revive(o.0);
                }
                m.update(o.refcnt(), |n: i64| n + 1);
            })
            .await;
        self.leave_kernel(cx, section).await;
        f.ret(0)
    }

    /// `bpf_prog_inc_not_zero()`: false if there is no reference left.
    pub(crate) async fn bpf_prog_inc_not_zero(&self, cx: Cx<'_>, prog: usize) -> bool {
        let v = self.progs[prog].obj.refcnt();
        cx.step(site!("bpf_prog_inc_not_zero(prog)", Atomic))
            .writes(v.obj())
            .run(move |m| {
                let n: i64 = m.load(v);
                if n > 0 {
                    m.store(v, n + 1);
                }
                n > 0
            })
            .await
    }

    /// `bpf_prog_put()`: the last one frees the program after a grace period; with interrupts off through a kworker.
    pub(crate) async fn bpf_prog_put(&self, cx: Cx<'_>, prog: usize) {
        let _f = cx.enter_leaf("bpf_prog_put");
        let v = self.progs[prog].obj.refcnt();
        let kept = !self.progs[prog].loaded_by_task;
        let left = cx
            .step(site!("bpf_prog_put(prog)", Atomic))
            .writes(v.obj())
            .run(move |m| {
                let left = crate::objects::put(m, v);
                // `init` holds a reference of its own on what no task loads.
                if left == 0 && kept {
                    m.report(timerace_core::Class::Refcount, Some(v.obj()));
                }
                left
            })
            .await;
        if left != 0 {
            return;
        }
        if cx.irqs_disabled() {
            let item = crate::work::prog_put_work(prog);
            self.queue_work(cx, site!("schedule_work(&aux->work)", Wakeup), item).await;
        } else {
            self.bpf_prog_put_deferred(cx, prog).await;
        }
    }

    /// `bpf_prog_put_deferred()`: the id goes, and the program after a grace period of its readers.
    pub(crate) async fn bpf_prog_put_deferred(&self, cx: Cx<'_>, prog: usize) {
        let item = crate::rcu::prog_callback(prog);
        if self.progs[prog].sleepable {
            let site = site!("call_rcu_tasks_trace(&aux->rcu, ..)", Memory);
            self.call_rcu_tasks_trace(cx, site, item).await;
        } else {
            self.call_rcu(cx, site!("call_rcu(&aux->rcu, ..)", Memory), item).await;
        }
    }

    /// `bpf_prog_free_deferred()`, in a kworker: puts the maps it used, frees its text.
    pub(crate) async fn bpf_prog_free_deferred(&self, cx: Cx<'_>, prog: usize) {
        let _f = cx.enter_with("bpf_prog_free_deferred", Arg::Prog(prog).word());
        for map in &self.progs[prog].used_maps {
            self.bpf_map_put(cx, *map).await;
        }
        let p = self.progs[prog].obj.0;
        cx.free(site!("bpf_jit_free(aux->prog)", Alloc), p).await;
    }

    /// Runs a callback in the softirq of its timer.
    pub(crate) async fn run_callback(&self, cx: Cx<'_>, act: &mut Act) {
        let func = act.func;
        let p = &self.progs[func];
        act.key = match self.callback_key_at_hand(cx, act) {
            Some(key) => key,
            None => self.callback_key(cx, act).await,
        };
        if let Some(v) = p.runs {
            let site = site!("runs++", Free, quiet);
            let n = cx.step(site).writes(v.obj()).run(move |m| m.update(v, |n: u64| n + 1)).await;
            act.run = n + 1;
        }
        if let Some(v) = self.callbacks_begun {
            cx.fetch_add(site!("callbacks++", Free, quiet), v, 1).await;
        }
        self.note_callback(cx, act);
        let frame = FrameName::Body(p.code.name);
        let arg = Arg::Elem { map: act.map, key: act.key }.word();
        let _f = cx.enter_frame(frame, arg, false);
        self.run_prog(cx, &p.code, act).await;
    }

    /// The key that a callback is called with: an array's index, or what the pointer into the element shows.
    pub(crate) async fn callback_key(&self, cx: Cx<'_>, act: &Act) -> u64 {
        match (self.callback_key_at_hand(cx, act), act.value) {
            (Some(key), _) => key,
            (None, Some(e)) => cx.read(site!("*key", Memory), e.key()).await,
            (None, None) => 0,
        }
    }

    /// The same where it is not read as a step: an index on the stack, or a key that nobody asks for.
    fn callback_key_at_hand(&self, cx: Cx<'_>, act: &Act) -> Option<u64> {
        let Some(e) = act.value else { return Some(0) };
        let is_read = !self.maps[act.map].kind.is_array() && self.progs[act.func].code.reads_key;
        (!is_read).then(|| cx.machine().with_mem(|m| m.peek(e.key().obj())))
    }

    fn note_callback(&self, cx: Cx<'_>, act: &Act) {
        if !self.log.is_on() {
            return;
        }
        let Some(e) = act.value else { return };
        let first = self.maps[act.map].first_integer;
        let (key, data, time) = cx.machine().with_mem(|m| {
            let data = first.map(|f| m.peek(e.member(f).obj()) as i64);
            (m.peek(e.key().obj()), data, m.now())
        });
        let current = cx.machine().with_mem(|m| self.maps[act.map].peek_lookup(m, key)) == Some(e);
        self.log_callback(CallbackRun {
            callback: ProgId(act.func as u32),
            map: MapId(act.map as u32),
            key,
            data,
            value_is_current: current,
            cpu: cx.cpu().unwrap_or(CpuId(0)),
            time,
        });
    }

    /// `BPF_PROG_TEST_RUN` in a task, or a packet in NET_RX: the sections of the program's type around its body.
    pub(crate) async fn run_in_sections(&self, cx: Cx<'_>, prog: usize) {
        let p = &self.progs[prog];
        let trace = self.trace_words[cx.id().index()].filter(|_| p.sleepable);
        let bh = matches!(p.kind, ProgKind::Xdp | ProgKind::Tc);
        let sched_ext = self.world.progs[prog].is_sched_ext();
        if sched_ext {
            self.rq_lock(cx).await;
        }
        if let Some(v) = trace {
            cx.write(site!("rcu_read_lock_trace()", Memory), v, true).await;
        }
        if !p.sleepable {
            self.rcu_read_lock(cx).await;
        }
        if bh {
            cx.bh_disable(site!("local_bh_disable()", Mask)).await;
        }
        self.call_prog(cx, prog).await;
        if bh {
            cx.bh_enable(site!("local_bh_enable()", Mask)).await;
        }
        if !p.sleepable {
            self.rcu_read_unlock(cx).await;
        }
        if let Some(v) = trace {
            cx.write(site!("rcu_read_unlock_trace()", Memory), v, false).await;
        }
        if sched_ext {
            self.rq_unlock(cx).await;
        }
    }

    /// Calls a program: its text must be there.
    async fn call_prog(&self, cx: Cx<'_>, prog: usize) {
        let p = &self.progs[prog];
        if p.loaded_by_task {
            cx.read(site!("bpf_prog_run(prog, ctx)", Call, quiet), p.obj.insns()).await;
        }
        let _f = cx.enter_frame(FrameName::Body(p.code.name), 0, false);
        let mut act = Act::program(prog);
        self.run_prog(cx, &p.code, &mut act).await;
    }
}

impl Act {
    /// A callback on a value.
    pub fn callback(callback: Callback, map: usize, value: Elem) -> Act {
        Act { prog: callback.prog, func: callback.func, map, value: Some(value), ..Act::empty() }
    }

    /// A program.
    pub fn program(prog: usize) -> Act {
        Act { prog, func: prog, ..Act::empty() }
    }
}
