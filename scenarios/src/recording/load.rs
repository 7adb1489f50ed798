//! Cases of kind `load`: one map or one program, and whether the kernel takes it.
//!
//! The recordings say what was loaded only by the name of the case. What a world cannot say, and what the model has no
//! rule for, is unsupported: a model that takes everything would agree for the wrong reason.

use timerace_kernel::world::{
    Body, Call, ElemRef, FieldDef, FieldKind, KeyRef, LineId, MapFlags, MapId, MapKind, MapRef, Ns,
    Nsecs, ObjRef, Op, ProgId, ProgKind, TypeDef, ValueRef, World,
};

use super::body;
use super::world::{Unsupported, create, map_def, prog_def, task_def};

/// The line of the call whose result is compared.
pub(super) const JUDGED: LineId = LineId(1);

/// What a case loads.
struct Load {
    map: MapKind,
    flags: MapFlags,
    value: TypeDef,
    /// Only the map is created.
    map_only: bool,
    prog: ProgKind,
    /// The byte of the value that the program takes for the timer.
    byte: Option<u32>,
    cap_bpf: bool,
}

impl Load {
    fn program(value: TypeDef) -> Load {
        Load {
            map: MapKind::Hash,
            flags: MapFlags::default(),
            value,
            map_only: false,
            prog: ProgKind::Tc,
            byte: None,
            cap_bpf: true,
        }
    }
}

/// The world of a case of kind `load`.
pub(super) fn world(machine: World, id: &str) -> Result<World, Unsupported> {
    Ok(build(machine, &of_id(id)?))
}

/// A program that uses a timer: what the cases of kind `runtime` load.
pub(super) fn any_timer_program(machine: World) -> Result<World, Unsupported> {
    Ok(build(machine, &Load::program(value("val")?)))
}

fn of_id(id: &str) -> Result<Load, Unsupported> {
    if let Some(rest) = id.strip_prefix("map-create-") {
        let (map, of) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let (map, flags) = map_type(map)?;
        return Ok(Load { map, flags, map_only: true, ..Load::program(value(of)?) });
    }
    if let Some(rest) = id.strip_prefix("prog-with-map-") {
        let (map, flags) = map_type(rest)?;
        return Ok(Load { map, flags, ..Load::program(value("val")?) });
    }
    if let Some(rest) = id.strip_prefix("prog-type-") {
        let prog = match rest {
            "sched_cls" => ProgKind::Tc,
            "xdp" => ProgKind::Xdp,
            "perf_event" => ProgKind::PerfEvent,
            "kprobe" => ProgKind::Kprobe,
            "syscall" => ProgKind::Syscall,
            _ => return no("worlds have no such program type"),
        };
        return Ok(Load { prog, ..Load::program(value("val")?) });
    }
    if let Some(rest) = id.strip_prefix("caps-") {
        return caps(rest);
    }
    match id.strip_prefix("verify-") {
        Some(rest) => verify(rest),
        None => no("nothing is known about this name"),
    }
}

/// Programs of the verifier cases that a world can say and the model has a rule for.
fn verify(name: &str) -> Result<Load, Unsupported> {
    let of = |v: &str| Ok(Load::program(value(v)?));
    match name {
        "ok_all" => of("val"),
        "ok_lock" => of("lockval"),
        "ok_notfirst" => of("notfirst"),
        "ok_onlytimer" => of("onlytimer"),
        "two" => of("two"),
        "arr2" => of("arr2"),
        "wrong_off" => Ok(Load { byte: Some(16), ..of("val")? }),
        "in_syscall" => Ok(Load { prog: ProgKind::Syscall, ..of("val")? }),
        "ok_nested" | "arr1" | "misal" => {
            no("worlds do not tell where in a struct a timer is nested")
        }
        _ => no("worlds cannot say this program"),
    }
}

fn caps(name: &str) -> Result<Load, Unsupported> {
    let of = |cap_bpf| Ok(Load { cap_bpf, ..Load::program(value("val")?) });
    match name {
        "bpf-netadmin-perfmon-sched_cls" => of(true),
        "netadmin-sched_cls" | "netadmin-perfmon-sched_cls" => of(false),
        _ => no("of capabilities the model knows only CAP_BPF"),
    }
}

fn map_type(name: &str) -> Result<(MapKind, MapFlags), Unsupported> {
    let mut flags = MapFlags::default();
    let kind = match name {
        "hash" => MapKind::Hash,
        "array" => MapKind::Array,
        "lru_hash" => MapKind::LruHash,
        "hash_np" | "hash_noprealloc" | "hash_no_prealloc" => {
            flags.no_prealloc = true;
            MapKind::Hash
        }
        "lru_hash_nocommon" => {
            flags.no_common_lru = true;
            MapKind::LruHash
        }
        "percpu_hash" => MapKind::PercpuHash,
        "percpu_array" => MapKind::PercpuArray,
        "lru_percpu_hash" => MapKind::LruPercpuHash,
        "lpm_trie" => MapKind::LpmTrie,
        "task_storage" => MapKind::TaskStorage,
        "inode_storage" => MapKind::InodeStorage,
        "sk_storage" => MapKind::SkStorage,
        "cgrp_storage" => MapKind::CgrpStorage,
        "cgroup_storage" => MapKind::CgroupStorage,
        "queue" => MapKind::Queue,
        "stack" => MapKind::Stack,
        "ringbuf" => MapKind::Ringbuf,
        _ if name.contains("prog") || name.contains("mmapable") => {
            return no("the model has no rule about this flag of map creation");
        }
        _ => return no("worlds have no such map type"),
    };
    Ok((kind, flags))
}

/// The values of the recorder's maps.
fn value(name: &str) -> Result<TypeDef, Unsupported> {
    use FieldKind::{BpfSpinLock, BpfTimer, Unsigned};
    let fields: &[(&str, u32, FieldKind)] = match name {
        "val" => &[("t", 0, BpfTimer), ("data", 16, Unsigned)],
        "two" => &[("t", 0, BpfTimer), ("t2", 16, BpfTimer)],
        "lockval" => &[("t", 0, BpfTimer), ("lock", 16, BpfSpinLock)],
        "nested" => &[("in.t", 0, BpfTimer), ("data", 16, Unsigned)],
        "arr1" => &[("t[0]", 0, BpfTimer), ("data", 16, Unsigned)],
        "arr2" => &[("t[0]", 0, BpfTimer), ("t[1]", 16, BpfTimer)],
        "notfirst" => &[("data", 0, Unsigned), ("t", 8, BpfTimer)],
        "misal" => &[("data", 0, Unsigned), ("t", 4, BpfTimer)],
        "onlytimer" => &[("t", 0, BpfTimer)],
        _ => return no("nothing is known about values of this name"),
    };
    let size_of = |kind| match kind {
        BpfTimer => 16,
        BpfSpinLock => 4,
        _ if name == "misal" => 4,
        _ => 8,
    };
    let fields: Vec<FieldDef> = fields
        .iter()
        .map(|(name, offset, kind)| FieldDef {
            name: (*name).into(),
            offset: *offset,
            size: size_of(*kind),
            kind: *kind,
        })
        .collect();
    let end = fields.last().map_or(0, |f| f.offset + f.size);
    Ok(TypeDef { name: "map_elem".into(), size: end, fields })
}

fn no<T>(reason: &str) -> Result<T, Unsupported> {
    Err(Unsupported::because(reason))
}

fn build(mut w: World, load: &Load) -> World {
    w.lines.push(w.lines[0]);
    w.types[0] = load.value.clone();
    w.maps.push(map_def("m", load.map, 8, load.flags));
    let mut steps = vec![create(Call::MapCreate(MapId(0)), LineId(0))];
    if load.map_only {
        steps[0].at = JUDGED;
    } else {
        w.progs.push(prog_def("a", load.prog, Body::of(every_helper(load.byte))));
        w.progs.push(prog_def("cb", ProgKind::TimerCb, Body::default()));
        steps.push(create(Call::ProgLoad(ProgId(0)), JUDGED));
    }
    w.tasks.push(task_def(Body::of(steps)));
    w.tasks[0].cap_bpf = load.cap_bpf;
    w
}

/// A program that calls each timer helper once.
fn every_helper(byte: Option<u32>) -> Vec<Op> {
    let elem = ElemRef { map: MapRef::Map(MapId(0)), key: KeyRef::Int(0) };
    let timer = || ObjRef { value: ValueRef::Elem(elem), field: None, byte };
    let calls = [
        Call::TimerInit(timer(), 1),
        Call::TimerSetCallback(timer(), ProgId(1)),
        Call::TimerStart(timer(), Nsecs::Of(Ns::fixed(0)), 0),
        Call::TimerCancel(timer()),
    ];
    let step = |c| body::op(body::call(c, None), LineId(0), "");
    calls.into_iter().map(step).collect()
}
