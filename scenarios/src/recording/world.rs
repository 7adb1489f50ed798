//! From a case to the machine that plays it.
//!
//! One task runs the operations in order. Programs `a` and `b` are the same, as they were for the recording: a test run
//! looks at a variable that the task has written and does the one operation that it stands for. Every operation has a
//! line of its own among [`World::lines`], by which its result is found again.

use std::fmt;

use timerace_kernel::KernelVersion;
use timerace_kernel::world::{
    At, Body, Call, CmpOp, Cond, ElemRef, FieldDef, FieldKind, KeyRef, LineId, LocalId, MapDef,
    MapFlags, MapId, MapKind, MapRef, Ns, Op, OpKind, Operand, Order, Place, Preempt, ProgDef,
    ProgId, ProgKind, Returns, Sched, TaskDef, TypeDef, TypeIx, VarDef, VarId, VarKind, World,
};

use super::body;
use super::case::{Action, By, Case, Content, MapShape, Runtime};
use super::load;
use crate::limits::CPUS_MAX;

/// Why a case cannot be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// In words.
    pub reason: String,
}

impl Unsupported {
    pub(super) fn because(reason: impl Into<String>) -> Unsupported {
        Unsupported { reason: reason.into() }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Programs come first among the world's programs, callbacks after them.
pub(super) const PROGRAMS: u32 = 2;
/// The recorder's programs have this many callbacks, also where a case names fewer.
const CALLBACKS_MIN: u32 = 3;
/// With an outer map: how many inner maps there are.
pub(super) const INNER_MAPS: u32 = 3;
/// Slots of the outer map; the recordings do not say, and no case fills it.
const OUTER_SLOTS: u32 = 4;
/// How long the machine has been up when a case begins: cases name times some milliseconds before the present, and one
/// hour after the boot as a time to come.
pub(super) const UPTIME_NS: u64 = 60_000_000_000;
/// Which operation the next test run does.
const NEXT_OP: VarId = VarId(0);

/// Which line of the world stands for which operation of a case.
#[derive(Debug, Clone)]
pub(super) struct Places {
    ops: u32,
    /// By callback number: its first line.
    callbacks: Vec<u32>,
    end: u32,
}

impl Places {
    pub fn of(run: &Runtime) -> Places {
        let ops = run.ops.len() as u32;
        let last = run.callbacks.keys().last().map_or(0, |n| n + 1);
        let set = run.ops.iter().map(|o| &o.action);
        let set = set.chain(run.callbacks.values().flatten().map(|o| &o.action));
        let set = set.filter_map(|a| match a {
            Action::SetCallback(_, n) => Some(n + 1),
            _ => None,
        });
        let count = set.max().unwrap_or(0).max(last).max(CALLBACKS_MIN);
        let mut end = 1 + 2 * ops;
        let mut callbacks = Vec::new();
        for n in 0..count {
            callbacks.push(end);
            end += run.callbacks.get(&n).map_or(0, Vec::len) as u32;
        }
        Places { ops, callbacks, end }
    }

    /// What the task does: an operation of user space, or the test run for one of a program.
    pub fn task_op(&self, i: usize) -> LineId {
        LineId(1 + i as u32)
    }

    /// The call in the program.
    pub fn prog_op(&self, i: usize) -> LineId {
        LineId(1 + self.ops + i as u32)
    }

    /// An operation of a callback.
    pub fn callback_op(&self, callback: u32, j: usize) -> LineId {
        LineId(self.callbacks[callback as usize] + j as u32)
    }

    /// The callback and the place in its body that a line stands for, if it does.
    pub fn of_callback(&self, at: LineId) -> Option<(u32, usize)> {
        let callback = self.callbacks.iter().rposition(|first| *first <= at.0)?;
        (at.0 < self.end).then(|| (callback as u32, (at.0 - self.callbacks[callback]) as usize))
    }

    /// How many callbacks there are.
    pub fn callbacks(&self) -> u32 {
        self.callbacks.len() as u32
    }
}

/// The machine that plays a case.
///
/// # Errors
///
/// The case is of a kind that cannot be judged, is of a kernel that is not in the table, or does
/// what no world can say.
pub fn world(case: &Case) -> Result<World, Unsupported> {
    world_on(case, None)
}

/// The machine that plays a case, with another kernel if one is given.
pub(super) fn world_on(case: &Case, kernel: Option<KernelVersion>) -> Result<World, Unsupported> {
    if let Content::Unjudged(reason) = &case.content {
        return Err(Unsupported::because(reason.clone()));
    }
    let empty = machine(case, kernel)?;
    match &case.content {
        Content::Runtime(run) => runtime(empty, run),
        Content::Refused { .. } => load::any_timer_program(empty),
        Content::Limit(l) => super::limit::world(empty, l),
        _ => load::world(empty, &case.id),
    }
}

/// A machine as that of the recording, with nothing on it but the layout of values.
fn machine(case: &Case, kernel: Option<KernelVersion>) -> Result<World, Unsupported> {
    let (label, rt) = match case.kernel.strip_suffix("-rt") {
        Some(label) => (label, true),
        None => (case.kernel.as_str(), false),
    };
    // The distributions' kernels choose voluntary preemption at boot, the third one none.
    let (release, preempt) = match label {
        "6.1" => ("v6.1.192", Preempt::Voluntary),
        "6.12" => ("v6.12.117", Preempt::Voluntary),
        "6.18-host" => ("v6.18.44", Preempt::None),
        _ => {
            let reason = format!("no release is known for the label {}", case.kernel);
            return Err(Unsupported::because(reason));
        }
    };
    let kernel = kernel.map_or_else(|| KernelVersion::parse(release), Ok);
    let kernel = kernel.map_err(|e| Unsupported::because(e.to_string()))?;
    let cpus = cpus(&case.environment).ok_or_else(|| {
        Unsupported::because("the environment does not say how many CPUs there are")
    })?;
    let mut w = World::new(&case.id, kernel, cpus);
    w.machine.preempt = if rt { Preempt::Rt } else { preempt };
    w.types.push(value_type());
    w.lines.push(At { line: case.line, col: 0 });
    Ok(w)
}

/// The number before `vCPUs`, if a machine can have so many.
fn cpus(environment: &str) -> Option<u16> {
    let (before, _) = environment.split_once(" vCPUs")?;
    before.rsplit(' ').next()?.parse().ok().filter(|n| (1..=CPUS_MAX).contains(&u32::from(*n)))
}

/// `struct { struct bpf_timer t; __u64 data; }`
fn value_type() -> TypeDef {
    let field = |name: &str, offset, size, kind| FieldDef { name: name.into(), offset, size, kind };
    TypeDef {
        name: "map_elem".into(),
        size: 24,
        fields: vec![
            field("t", 0, 16, FieldKind::BpfTimer),
            field("data", 16, 8, FieldKind::Unsigned),
        ],
    }
}

fn runtime(mut w: World, run: &Runtime) -> Result<World, Unsupported> {
    readable(run)?;
    let places = Places::of(run);
    let line = w.lines[0].line;
    w.lines.extend((1..places.end).map(|col| At { line, col }));
    let cpus = w.machine.cpus;
    let names_cpu = |a: &Action| matches!(a, Action::SetCpu(c) if *c >= cpus);
    if run.ops.iter().any(|o| names_cpu(&o.action)) {
        return Err(Unsupported::because("it names a CPU that the machine does not have"));
    }
    w.vars.push(VarDef { name: "op".into(), kind: VarKind::Int(-1), at: LineId(0) });
    w.paths.push("/sys/fs/bpf/map".into());
    w.maps = maps(&run.map);
    w.progs = programs(run, &places)?;
    w.tasks.push(task(run, &places)?);
    Ok(w)
}

/// A batch update was recorded without the values that it wrote: nothing later may show them.
fn readable(run: &Runtime) -> Result<(), Unsupported> {
    for (i, op) in run.ops.iter().enumerate() {
        let Action::UpdateBatch(keys) = &op.action else { continue };
        let shown = run
            .events
            .iter()
            .any(|e| e.during_op >= i && keys.iter().any(|k| k.cast_unsigned() == e.key));
        if shown || run.ops[i..].iter().any(|o| o.result.data.is_some()) {
            return Err(Unsupported::because("it does not say which values a batch wrote"));
        }
    }
    Ok(())
}

pub(super) fn map_def(name: &str, kind: MapKind, max_entries: u32, flags: MapFlags) -> MapDef {
    MapDef {
        name: name.into(),
        kind,
        max_entries,
        flags,
        key_size: 4,
        value: TypeIx(0),
        slots: Vec::new(),
        memcg: None,
        init: Vec::new(),
        at: LineId(0),
    }
}

fn maps(map: &MapShape) -> Vec<MapDef> {
    let Some(outer) = map.outer else {
        return vec![map_def("map", map.kind, map.max_entries, map.flags)];
    };
    let mut all = vec![map_def("outer", outer, OUTER_SLOTS, MapFlags::default())];
    for n in 0..INNER_MAPS {
        all.push(map_def(&format!("outer[{n}]"), map.kind, map.max_entries, map.flags));
    }
    all
}

pub(super) fn prog_def(name: &str, kind: ProgKind, body: Body) -> ProgDef {
    ProgDef { name: name.into(), kind, sleepable: false, attach: None, body, at: LineId(0) }
}

fn programs(run: &Runtime, places: &Places) -> Result<Vec<ProgDef>, Unsupported> {
    let body = interpreter(run, places)?;
    let mut progs =
        vec![prog_def("a", ProgKind::Tc, body.clone()), prog_def("b", ProgKind::Tc, body)];
    for n in 0..places.callbacks() {
        let mut ops = Vec::new();
        for (j, op) in run.callbacks.get(&n).into_iter().flatten().enumerate() {
            let at = places.callback_op(n, j);
            let step = body::of_program(&op.action, run.map.outer.is_some(), at)?;
            ops.push(match op.max_run {
                None => step,
                Some(max) => {
                    let max = i64::try_from(max).unwrap_or(i64::MAX);
                    let cond = Cond::Cmp(Operand::RunNumber, CmpOp::Le, Operand::Int(max));
                    body::when(cond, step)
                }
            });
        }
        progs.push(prog_def(&format!("cb{n}"), ProgKind::TimerCb, Body::of(ops)));
    }
    Ok(progs)
}

/// Both programs: what the variable says is done.
fn interpreter(run: &Runtime, places: &Places) -> Result<Body, Unsupported> {
    let mut body = Body::default();
    let chosen = body.local("op");
    let read = OpKind::Read { order: Order::Once, into: chosen, from: Place::Var(NEXT_OP) };
    body.ops.push(body::op(read, LineId(0), "op"));
    for (i, op) in run.ops.iter().enumerate() {
        if op.by != By::User {
            let step = body::of_program(&op.action, run.map.outer.is_some(), places.prog_op(i))?;
            body.ops.push(body::when(is(chosen, i as i64), step));
        }
    }
    // A program that does nothing uses the map all the same, and so holds a reference on it.
    let map = match run.map.outer {
        None => MapRef::Map(MapId(0)),
        Some(_) => MapRef::Slot(MapId(0), 0),
    };
    let elem = ElemRef { map, key: KeyRef::Int(0) };
    let never = body::op(body::call(Call::MapLookup(elem), None), LineId(0), "map");
    body.ops.push(body::when(is(chosen, -1), never));
    Ok(body)
}

fn is(local: LocalId, n: i64) -> Cond {
    Cond::Cmp(Operand::Local(local), CmpOp::Eq, Operand::Int(n))
}

fn task(run: &Runtime, places: &Places) -> Result<TaskDef, Unsupported> {
    let mut body = Body::default();
    let dup = body.local("dup");
    body.ops.push(body::op(OpKind::Sleep(Ns::fixed(UPTIME_NS)), LineId(0), "boot"));
    // As the loader does it: inner maps before the outer one, programs after their maps.
    let inner = if run.map.outer.is_some() { INNER_MAPS } else { 0 };
    for map in (1..=inner).chain([0]) {
        body.ops.push(create(Call::MapCreate(MapId(map)), LineId(0)));
    }
    for prog in 0..PROGRAMS {
        body.ops.push(create(Call::ProgLoad(ProgId(prog)), LineId(0)));
    }
    for (i, op) in run.ops.iter().enumerate() {
        let at = places.task_op(i);
        match op.by {
            By::User => {
                let step = body::of_user(&op.action, run, dup, at)?;
                body.ops.push(step);
            }
            By::Prog(p) => {
                let value = Operand::Int(i as i64);
                let to = Place::Var(NEXT_OP);
                let write = OpKind::Write { order: Order::Once, to, value };
                body.ops.push(body::op(write, LineId(0), "op"));
                body.ops.push(create(Call::ProgRun(ProgId(p)), at));
            }
        }
    }
    // The recorder ended each case by closing what it had open.
    body.ops.push(body::op(OpKind::Exit(0), LineId(0), "exit"));
    Ok(task_def(body))
}

/// A call whose result is looked at later, if at all.
pub(super) fn create(call: Call, at: LineId) -> Op {
    body::op(OpKind::Call { call, returns: Returns::Any, bind: None }, at, "")
}

pub(super) fn task_def(body: Body) -> TaskDef {
    TaskDef {
        name: "user".into(),
        cpu: 0,
        sched: Sched::Other,
        cap_bpf: true,
        cap_net_admin: true,
        memcg: None,
        blocked: false,
        body,
        at: LineId(0),
    }
}
