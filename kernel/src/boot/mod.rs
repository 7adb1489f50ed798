//! From a world to a machine: objects, contexts, and the state before the first step.

mod check;
mod contexts;
mod homebound;
mod hotplug;
mod lru;
mod maps;
mod need;
mod orbits;
mod verify;

use crate::attach::{Attached, Point};
use crate::compile::Code;
use crate::errno;
use crate::faults::{FaultPlan, Faults};
use crate::flags::Flags;
use crate::kernel::Kernel;
use crate::log::Log;
use crate::objects::{
    CMD_FIELDS, ClockBase, CpuVars, Elem, MAP_FIELDS, PROG_FIELDS, ProgObj, TIMER_FIELDS, Types,
    WORK_FIELDS,
};
use crate::prog::Prog;
use crate::raw::RawVar;
use crate::samples::TimerNames;
use crate::world::{At, Attach, Fault, LineId, Memory, Preempt, ProgDef, VarKind, World};
pub use check::MAX_ELEMENTS;
use need::Needs;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use timerace_core::{CpuId, Machine, Setup, Var};

/// Slots of a store buffer in explored runs: more than any modelled path stores between two locked instructions. Timed
/// runs have none, which is one of the behaviours that the memory model allows.
const STORE_BUFFER: u32 = 8;

/// Why a world cannot be booted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BootError {
    /// Something that the model does not have (yet).
    Unsupported {
        /// What.
        what: String,
        /// Where it stands in the source.
        at: At,
    },
    /// Something that the kernel refuses, where the scenario says that it exists from the start.
    Refused {
        /// What.
        what: String,
        /// The error, negative.
        errno: i64,
        /// Where it stands in the source.
        at: At,
    },
    /// More of something than the model can hold.
    TooMany {
        /// Of what.
        what: String,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootError::Unsupported { what, .. } => write!(f, "{what} is not modelled yet"),
            BootError::Refused { what, errno, .. } => {
                let name = errno::name(*errno).unwrap_or("an error");
                write!(f, "{what} is refused by this kernel with -{name}")
            }
            BootError::TooMany { what, count, limit } => {
                write!(f, "{count} {what}: the model holds at most {limit}")
            }
        }
    }
}

impl std::error::Error for BootError {}

/// Builds the machine of a world. `timed`: for runs on the virtual clock; otherwise for exploration.
///
/// # Errors
/// [`BootError`]: what is not modelled, what the kernel refuses, what is too large. Nothing is ever left out silently.
pub fn boot(world: &World, timed: bool) -> Result<(Machine, Kernel), BootError> {
    check::check(world)?;
    let flags = Flags::of(world.kernel, world.machine.preempt == Preempt::Rt);
    let needs = Needs::of(world, &flags, timed);
    let mut setup = Setup::new(world.machine.cpus);
    // With store buffers the order of memory is no order of steps.
    if world.machine.memory == Memory::Sc && need::has_plain(world) {
        setup.watch_plain();
    }
    let clocks = if needs.boottime { 2 } else { 1 };
    let traced = |a: &Attach| Point::of(a).is_some_and(Point::is_under_base_lock);
    // An NMI finds locks held. Where a timer is in use, one that cancels a timer needs that of a base, but not from v7.0
    // on: there it leaves that to an irq_work.
    let nmi = need::has_nmi(world);
    let locks = Locks {
        base: world.progs.iter().filter_map(|p| p.attach.as_ref()).any(traced)
            || hotplug::is_needed(world)
            || nmi && !flags.lock_free,
        rcu_trace: nmi && flags.lock_free,
        pool: nmi && needs.work,
        rq: world.progs.iter().any(ProgDef::is_sched_ext),
    };
    let cpus: Vec<CpuVars> =
        (0..world.machine.cpus).map(|c| cpu_vars(&mut setup, world, c, locks)).collect();
    let bases = clock_bases(&mut setup, world.machine.cpus, clocks);
    let ty = types(&mut setup, world);
    let maps = maps::maps(&mut setup, world, &ty, &needs, &flags);
    let progs = programs(&mut setup, world, &ty, &flags)?;
    check::used(world, &maps, &progs, timed)?;
    let vars = variables(&mut setup, world, &ty);
    let paths = world.paths.iter().map(|p| setup.var(p, 0u64)).collect();
    let faults = faults(&mut setup, world);
    let attached = attached(&mut setup, world);
    let links = links(&mut setup, world);
    let callbacks_begun = needs.callback_count.then(|| setup.var("callbacks begun", 0i64));
    let mut kernel = Kernel {
        world: world.clone(),
        flags,
        timed,
        preemptible: world.machine.preempt.is_preemptible(),
        clocks,
        bases,
        own: (0..world.machine.cpus).map(|c| setup.own(CpuId(c))).collect(),
        cpus,
        map_objs: maps.iter().map(|m| m.obj).collect(),
        maps,
        progs,
        vars,
        tasks: Vec::new(),
        paths,
        sources: Vec::new(),
        ty,
        faults,
        attached,
        links,
        roles: Vec::new(),
        rcu_words: Vec::new(),
        trace_words: Vec::new(),
        grace: Vec::new(),
        callbacks_begun,
        lines: Vec::new(),
        contexts_of: Vec::new(),
        held_bucket: Vec::new(),
        texts: texts(world),
        log: Log::default(),
        names: TimerNames::default(),
    };
    contexts::contexts(&mut setup, &mut kernel, &needs)?;
    if world.machine.memory == Memory::Tso && !timed {
        setup.store_buffers(STORE_BUFFER);
    } else {
        orbits::orbits(&mut setup, &kernel);
    }
    kernel.contexts_of = setup.contexts_of_cpus().into_iter().map(Into::into).collect();
    kernel.held_bucket = kernel.roles.iter().map(|_| Cell::new(None)).collect();
    kernel.lines = kernel.roles.iter().map(|_| Cell::new(LineId(u32::MAX))).collect();
    homebound::homebound(&mut setup, &kernel);
    maps::initial_state(&mut setup, &kernel);
    Ok((setup.build(), kernel))
}

fn texts(w: &World) -> BTreeMap<usize, String> {
    let mut texts = BTreeMap::new();
    need::each_op_of(w, &mut |op| {
        texts.insert(op.at.index(), op.text.clone());
    });
    texts
}

/// Locks of a CPU that are objects of their own only where a program runs with them held.
#[derive(Copy, Clone)]
struct Locks {
    base: bool,
    rq: bool,
    rcu_trace: bool,
    pool: bool,
}

fn cpu_vars(s: &mut Setup, w: &World, cpu: u16, locks: Locks) -> CpuVars {
    let rt = w.machine.preempt == Preempt::Rt;
    CpuVars {
        hrtimer_running: s.var(&format!("hrtimer_running.{cpu}"), None),
        now: s.var(&format!("now.{cpu}"), 0i64),
        irq_at: s.var(&format!("irq_at.{cpu}"), 0u64),
        hrtimer_softirq: s.var(&format!("softirq_activated.{cpu}"), 0u64),
        work: s.list(&format!("work.{cpu}")),
        worker_busy: s.var(&format!("worker.{cpu}"), false),
        current_work: need::has_wq(w)
            .then(|| [0, 1].map(|n| s.var(&format!("worker.{cpu}.{n}.current_work"), 0u64))),
        rcu: s.list(&format!("rcu callbacks.{cpu}")),
        rcu_trace: s.list(&format!("rcu-tasks-trace callbacks.{cpu}")),
        rcu_done: s.list(&format!("rcu done.{cpu}")),
        base_lock: locks
            .base
            .then(|| s.lock_of("hrtimer_bases.lock", &format!("hrtimer_bases.{cpu}.lock"))),
        expiry_lock: rt.then(|| s.lock(&format!("hrtimer_bases.{cpu}.softirq_expiry_lock"))),
        hotplug: hotplug::of_cpu(s, w, cpu),
        rq_lock: locks.rq.then(|| s.lock_of("rq.lock", &format!("rq.{cpu}.lock"))),
        rcu_trace_lock: locks
            .rcu_trace
            .then(|| s.lock_of("rtpcp->lock", &format!("rcu-tasks-trace lock.{cpu}"))),
        pool_lock: locks
            .pool
            .then(|| s.lock_of("worker_pool.lock", &format!("worker_pool.{cpu}.lock"))),
        irq_work: s.list(&format!("raised_list.{cpu}")),
        async_cb_running: s.var(&format!("async_cb_running.{cpu}"), None),
        async_round: s.var(&format!("async round.{cpu}"), 0u64),
    }
}

/// By CPU, then clock: a CPU's queues have consecutive numbers.
fn clock_bases(s: &mut Setup, cpus: u16, clocks: usize) -> Vec<ClockBase> {
    let names = ["MONOTONIC_SOFT", "BOOTTIME_SOFT"];
    let mut bases = Vec::new();
    for cpu in 0..usize::from(cpus) {
        for name in &names[..clocks] {
            bases.push(ClockBase {
                cpu,
                queue: s.timer_queue(&format!("{name}.{cpu}")),
                running: s.var(&format!("{name}.{cpu}.running"), None),
            });
        }
    }
    bases
}

fn types(s: &mut Setup, w: &World) -> Types {
    let timer = s.struct_type("bpf_hrtimer", TIMER_FIELDS);
    let cmd = s.struct_type("bpf_async_cmd", CMD_FIELDS);
    let work = s.struct_type("bpf_work", WORK_FIELDS);
    let map = s.struct_type("bpf_map", MAP_FIELDS);
    let prog = s.struct_type("bpf_prog", PROG_FIELDS);
    let elems = w
        .maps
        .iter()
        .map(|m| {
            let names = maps::elem_fields(w, m);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let elem = s.struct_type(&m.name, &names);
            Elem::lock_classes(s, elem);
            elem
        })
        .collect();
    let raw = w
        .types
        .iter()
        .map(|t| {
            let names: Vec<&str> = t.fields.iter().map(|f| f.name.as_str()).collect();
            s.struct_type(&t.name, &names)
        })
        .collect();
    Types { timer, cmd, work, map, prog, elems, raw }
}

fn programs(s: &mut Setup, w: &World, ty: &Types, flags: &Flags) -> Result<Vec<Prog>, BootError> {
    let mut progs = Vec::new();
    for (i, p) in w.progs.iter().enumerate() {
        let name = s.name(&p.name);
        let code = Code::of(name, &p.body.ops, p.body.locals.len());
        check::locals(&code, &p.name)?;
        let obj = ProgObj(s.preallocated(ty.prog));
        let loaded_by_task = need::is_loaded(w, i);
        s.init(obj.refcnt(), i64::from(!loaded_by_task));
        s.init(obj.insns(), 1);
        let runs = code.counts_runs.then(|| s.var(&format!("{}.runs", p.name), 0u64));
        let checked = need::sets_wq_callback(p) && !flags.wq_no_recursion_check;
        let cpus = if checked { w.machine.cpus } else { 0 };
        let active = (0..cpus).map(|c| s.var(&format!("{}.active.{c}", p.name), false)).collect();
        let load_ret = verify::load_ret(w, p, flags);
        if load_ret < 0 && !loaded_by_task {
            let at = w.at(p.at);
            let what = format!("program `{}`", p.name);
            return Err(BootError::Refused { what, errno: load_ret, at });
        }
        progs.push(Prog {
            obj,
            kind: p.kind,
            sleepable: p.sleepable || p.kind == crate::world::ProgKind::Syscall,
            code,
            used_maps: need::used_maps(w, i),
            loaded_by_task,
            load_ret,
            active,
            runs,
        });
    }
    Ok(progs)
}

/// The counts of links that a scenario may pin.
fn links(s: &mut Setup, w: &World) -> Vec<Option<Var<i64>>> {
    let pins = need::pins_links(w);
    let mut link = |(prog, p): (usize, &crate::world::ProgDef)| {
        let counted = pins && need::is_linked(w, prog);
        counted.then(|| s.var(&format!("{}.link.refcnt", p.name), 0i64))
    };
    w.progs.iter().enumerate().map(&mut link).collect()
}

/// Programs at the points of the modelled code; those that a task links are attached when it does.
fn attached(s: &mut Setup, w: &World) -> Vec<Attached> {
    let mut all = Vec::new();
    for (prog, p) in w.progs.iter().enumerate() {
        let Some(point) = p.attach.as_ref().and_then(Point::of) else { continue };
        let linked = need::is_linked(w, prog);
        let linked = linked.then(|| s.var(&format!("{}.link", p.name), false));
        let active = |c| s.var(&format!("{}.active.{c}", p.name), false);
        let active = (0..w.machine.cpus).map(active).collect();
        all.push(Attached { prog, point, linked, active });
    }
    all
}

fn variables(s: &mut Setup, w: &World, ty: &Types) -> Vec<RawVar> {
    let mut vars = Vec::new();
    for v in &w.vars {
        let objs = match v.kind {
            VarKind::Int(n) | VarKind::Refcount(n) => vec![s.var(&v.name, n).obj()],
            VarKind::PerCpu(n) => {
                (0..w.machine.cpus).map(|c| s.var(&format!("{}.{c}", v.name), n).obj()).collect()
            }
            VarKind::New(t) => {
                let p = s.preallocated(ty.raw[t.index()]);
                for f in 0..w.types[t.index()].fields.len() {
                    s.init(p.field::<u64>(f as u32), 0u64);
                }
                vec![s.var(&v.name, Some(p)).obj()]
            }
            VarKind::NullPtr => vec![s.var(&v.name, 0u64).obj()],
            VarKind::RawSpinlock | VarKind::Spinlock | VarKind::Mutex => {
                vec![s.lock(&v.name).obj()]
            }
        };
        vars.push(RawVar { kind: v.kind, objs });
    }
    vars
}

fn faults(s: &mut Setup, w: &World) -> Faults {
    let mut faults = Faults::default();
    for f in &w.faults {
        let (function, plan) = match f {
            Fault::Enomem { function, nth, .. } if nth.is_empty() => (function, FaultPlan::Always),
            Fault::Enomem { function, nth, .. } => {
                let mask = nth.iter().fold(0u128, |m, n| m | 1 << (n.clamp(&1, &128) - 1));
                let count: Var<u64> = s.var(&format!("allocations in {function}"), 0);
                (function, FaultPlan::Nth { mask, count })
            }
            Fault::MayEnomem { function, .. } => (function, FaultPlan::May),
            // An atomic allocation may exceed the limit: nothing fails, but see bpf_timer_init.
            Fault::MemcgFull(_) => continue,
        };
        match function.as_str() {
            "bpf_timer_init" => faults.timer_init = plan,
            "bpf_async_schedule_op" => faults.schedule_op = plan,
            "bpf_wq_init" => faults.wq_init = plan,
            _ => faults.map_update = plan,
        }
    }
    faults
}
