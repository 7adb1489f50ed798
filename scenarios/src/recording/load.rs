//! Cases of kind `load`: one map or one program, and whether the kernel takes it.
//!
//! The recordings say what was loaded only by the name of the case. What a world cannot say, and what the model has no
//! rule for, is unsupported: a model that takes everything would agree for the wrong reason.

use timerace_kernel::world::{
    Body, Call, CmpOp, Cond, ElemRef, FieldDef, FieldIx, FieldKind, KeyRef, LineId, LocalId,
    MapFlags, MapId, MapKind, MapRef, Ns, Nsecs, ObjRef, Op, OpKind, Operand, Order, Place, ProgId,
    ProgKind, TypeDef, ValueRef, World,
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
    sleepable: bool,
    /// What the program and its callback do.
    body: Does,
    cap_bpf: bool,
    cap_net_admin: bool,
}

/// The programs of the recorder, by what they are about. All begin with a write into the value and end with a read of it,
/// as far as the recordings show.
#[derive(Copy, Clone)]
enum Does {
    /// Each timer helper once.
    Timers,
    /// ... on this byte of the value.
    Byte(u32),
    /// ... on the program's context.
    Context,
    /// Without a test of the look-up's result.
    Untested,
    /// `bpf_timer_init` with another map as argument.
    WrongMap(MapKind),
    /// A helper under a `bpf_spin_lock`.
    Locked(LockedCall),
    /// The callback writes into the integer of the value.
    CallbackWritesValue,
    /// The callback writes into the timer.
    CallbackWritesTimer,
    /// The callback returns this.
    Returns(Operand),
}

#[derive(Copy, Clone)]
enum LockedCall {
    Init,
    Cancel,
}

impl Load {
    fn program(value: TypeDef) -> Load {
        Load {
            map: MapKind::Hash,
            flags: MapFlags::default(),
            value,
            map_only: false,
            prog: ProgKind::Tc,
            sleepable: false,
            body: Does::Timers,
            cap_bpf: true,
            cap_net_admin: true,
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
            // One rule of the verifier is about all of them.
            "kprobe" | "tracepoint" | "raw_tracepoint" | "raw_tracepoint_writable" => {
                ProgKind::Kprobe
            }
            "syscall" => ProgKind::Syscall,
            "netfilter" => ProgKind::Netfilter,
            _ if is_plain_type(rest) => ProgKind::Other,
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

/// Program types that no rule about timers tells from one another.
fn is_plain_type(name: &str) -> bool {
    ["cgroup_", "lwt_", "sk_", "sched_act", "sock_ops", "socket_filter", "flow_dissector"]
        .iter()
        .any(|family| name.starts_with(family))
}

/// Programs of the verifier cases that a world can say and the model has a rule for.
fn verify(name: &str) -> Result<Load, Unsupported> {
    let of = |v: &str| Ok(Load::program(value(v)?));
    let does = |body, v: &str| Ok(Load { body, ..of(v)? });
    let tracing = |prog, sleepable| Ok(Load { prog, sleepable, ..of("val")? });
    match name {
        "ok_all" => of("val"),
        "ok_lock" => of("lockval"),
        "ok_notfirst" => of("notfirst"),
        "ok_onlytimer" => of("onlytimer"),
        "ok_nested" => of("nested"),
        "two" | "arr1" | "arr2" | "misal" => of(name),
        "wrong_off" => does(Does::Byte(16), "val"),
        // No constant: the verifier knows the range of the offset only, of which none is a timer's.
        "var_off" => does(Does::Byte(u32::MAX), "val"),
        "ctx_timer" => does(Does::Context, "val"),
        "null_value" => Ok(Load { map: MapKind::Array, ..does(Does::Untested, "val")? }),
        "wrong_map" => does(Does::WrongMap(MapKind::Hash), "val"),
        "wrong_map_type" => does(Does::WrongMap(MapKind::Array), "val"),
        "lock_held_init" => does(Does::Locked(LockedCall::Init), "lockval"),
        "lock_held_cancel" => does(Does::Locked(LockedCall::Cancel), "lockval"),
        "cb_write_value" => does(Does::CallbackWritesValue, "val"),
        "cb_write_timer" => does(Does::CallbackWritesTimer, "val"),
        "ret1" => does(Does::Returns(Operand::Int(1)), "val"),
        "ret_unknown" => does(Does::Returns(Operand::Local(LocalId(0))), "val"),
        "nobtf_map" => {
            Ok(Load { flags: MapFlags { no_btf: true, ..MapFlags::default() }, ..of("val")? })
        }
        // A global variable is the one element of an array.
        "timer-in-bss" => Ok(Load { map: MapKind::Array, ..of("onlytimer")? }),
        "in_syscall" => tracing(ProgKind::Syscall, false),
        "in_iter" | "in_tp_btf" | "in_fentry" | "in_fexit" => tracing(ProgKind::Tracing, false),
        "in_lsm" => tracing(ProgKind::Other, false),
        "in_lsm_s" => tracing(ProgKind::Other, true),
        "in_fentry_s" | "in_fmod_ret" => {
            no("whether a program may be attached to that function is not modelled")
        }
        _ => no("worlds cannot say this program"),
    }
}

fn caps(name: &str) -> Result<Load, Unsupported> {
    let of = |cap_bpf, cap_net_admin| {
        Ok(Load { cap_bpf, cap_net_admin, ..Load::program(value("val")?) })
    };
    match name {
        "bpf-netadmin-perfmon-sched_cls" => of(true, true),
        "netadmin-sched_cls" | "netadmin-perfmon-sched_cls" => of(false, true),
        "bpf-sched_cls" | "bpf-perfmon-sched_cls" => of(true, false),
        _ => no("what the verifier allows without CAP_PERFMON is not modelled"),
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
        "bloom_filter" => MapKind::BloomFilter,
        "hash_rdonly_prog" => {
            flags.rdonly_prog = true;
            MapKind::Hash
        }
        "hash_wronly_prog" => {
            flags.wronly_prog = true;
            MapKind::Hash
        }
        "array_mmapable" => {
            flags.mmapable = true;
            MapKind::Array
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

/// The map, and the program or not. Where the kernel refuses the map, the loader tries it again without BTF, and the
/// program then uses that one.
fn build(mut w: World, load: &Load) -> World {
    w.lines.push(w.lines[0]);
    w.types[0] = load.value.clone();
    let mut create = create(Call::MapCreate(MapId(0)), LineId(0));
    w.maps.push(map_def("m", load.map, 8, load.flags));
    let mut body = Body::default();
    if load.map_only {
        create.at = JUDGED;
        body.ops.push(create);
    } else {
        let fd = body.local("fd");
        if let OpKind::Call { bind, .. } = &mut create.kind {
            *bind = Some(fd);
        }
        let plain = MapFlags { no_btf: true, ..load.flags };
        w.maps.push(map_def("m without BTF", load.map, 8, plain));
        if let Does::WrongMap(kind) = load.body {
            w.maps.push(map_def("other", kind, 8, MapFlags::default()));
        }
        for map in [0, 1] {
            let callback = ProgId(2 * map + 1);
            let mut prog = prog_def("a", load.prog, program(load, MapId(map), callback));
            prog.sleepable = load.sleepable;
            w.progs.push(prog);
            w.progs.push(prog_def("cb", ProgKind::TimerCb, of_callback(load)));
        }
        let refused = Cond::Cmp(Operand::Local(fd), CmpOp::Lt, Operand::Int(0));
        let load = |n| super::world::create(Call::ProgLoad(ProgId(n)), JUDGED);
        let retry = super::world::create(Call::MapCreate(MapId(1)), LineId(0));
        let otherwise = vec![load(0)];
        let kind = OpKind::If { cond: refused, then: vec![retry, load(2)], otherwise };
        body.ops.extend([create, body::op(kind, LineId(0), "")]);
    }
    w.tasks.push(task_def(body));
    w.tasks[0].cap_bpf = load.cap_bpf;
    w.tasks[0].cap_net_admin = load.cap_net_admin;
    w
}

fn step(call: Call) -> Op {
    body::op(body::call(call, None), LineId(0), "")
}

/// The first integer of a value.
fn integer(ty: &TypeDef) -> Option<FieldIx> {
    ty.first(FieldKind::Unsigned)
}

fn write(place: Place) -> Op {
    let kind = OpKind::Write { order: Order::Once, to: place, value: Operand::Int(1) };
    body::op(kind, LineId(0), "")
}

fn program(load: &Load, map: MapId, callback: ProgId) -> Body {
    let mut body = Body::default();
    let elem = ElemRef { map: MapRef::Map(map), key: KeyRef::Int(0) };
    let value = ValueRef::Elem(elem);
    let data = integer(&load.value).map(|f| Place::ValueMember(value, f));
    body.ops.extend(data.map(write));
    let v = body.local("v");
    if matches!(load.body, Does::Untested) {
        body.ops.push(body::op(body::call(Call::MapLookup(elem), Some(v)), LineId(0), ""));
    }
    let timer = || match load.body {
        Does::Byte(byte) => ObjRef { value, field: None, byte: Some(byte) },
        Does::Context => ObjRef { value: ValueRef::Context, field: None, byte: None },
        Does::Untested => ObjRef { value: ValueRef::Local(v), field: None, byte: None },
        _ => ObjRef { value, field: None, byte: None },
    };
    let start = Call::TimerStart(timer(), Nsecs::Of(Ns::fixed(0)), 0);
    let calls = match load.body {
        Does::Locked(LockedCall::Init) => {
            vec![Call::SpinLock(timer()), Call::TimerInit(timer(), 1), Call::SpinUnlock(timer())]
        }
        Does::Locked(LockedCall::Cancel) => {
            vec![Call::SpinLock(timer()), Call::TimerCancel(timer()), Call::SpinUnlock(timer())]
        }
        Does::WrongMap(_) => {
            vec![Call::TimerInitOf { timer: timer(), map: MapId(2), flags: 1 }]
        }
        _ => vec![
            Call::TimerInit(timer(), 1),
            Call::TimerSetCallback(timer(), callback),
            start,
            Call::TimerCancel(timer()),
        ],
    };
    body.ops.extend(calls.into_iter().map(step));
    if let Some(from) = data {
        let kind = OpKind::Read { order: Order::Once, into: v, from };
        body.ops.push(body::op(kind, LineId(0), ""));
    }
    body
}

fn of_callback(load: &Load) -> Body {
    let mut body = Body::default();
    let member = |f| Place::ValueMember(ValueRef::Value, f);
    match load.body {
        Does::CallbackWritesValue => {
            body.ops.extend(integer(&load.value).map(|f| write(member(f))));
        }
        Does::CallbackWritesTimer => {
            let timer = load.value.first(FieldKind::BpfTimer);
            body.ops.extend(timer.map(|f| write(member(f))));
        }
        Does::Returns(result) => {
            let r = body.local("r");
            if let Some(f) = integer(&load.value) {
                let kind = OpKind::Read { order: Order::Once, into: r, from: member(f) };
                body.ops.push(body::op(kind, LineId(0), ""));
            }
            body.ops.push(body::op(OpKind::Return(result), LineId(0), ""));
        }
        _ => {}
    }
    body
}
