//! Recorded operations as steps of bodies.

use timerace_kernel::world::{
    Call, Cond, ElemRef, FdRef, KeyRef, LineId, LocalId, MapId, MapRef, Ns, Nsecs, ObjRef, Op,
    OpKind, Operand, PathId, ProgId, Returns, UpdateFlag, ValueRef,
};

use super::case::{Action, Elem, Expiry, Fd, Runtime};
use super::world::{INNER_MAPS, PROGRAMS, Unsupported};

const PIN: PathId = PathId(0);

pub(super) fn op(kind: OpKind, at: LineId, text: &str) -> Op {
    Op { kind, at, text: text.to_string() }
}

/// A call: any return code is right, because codes are compared later.
pub(super) fn call(call: Call, bind: Option<LocalId>) -> OpKind {
    OpKind::Call { call, returns: Returns::Any, bind }
}

pub(super) fn when(cond: Cond, then: Op) -> Op {
    let (at, text) = (then.at, then.text.clone());
    Op { kind: OpKind::If { cond, then: vec![then], otherwise: Vec::new() }, at, text }
}

/// An operation of a program or callback.
pub(super) fn of_program(action: &Action, outer: bool, at: LineId) -> Result<Op, Unsupported> {
    let elem = |e: &Elem| {
        let map = match (outer, e.inner) {
            (false, None) => MapRef::Map(MapId(0)),
            (true, Some(slot)) => MapRef::Slot(MapId(0), i64::from(slot)),
            _ => return Err(Unsupported::because("a program's operation does not name its map")),
        };
        Ok(ElemRef { map, key: e.key.map_or(KeyRef::Itself, |k| KeyRef::Int(k.cast_signed())) })
    };
    let timer = |e: &Elem| Ok(ObjRef { value: ValueRef::Elem(elem(e)?), field: None, byte: None });
    let kind = match action {
        Action::Init(e, flags) => Call::TimerInit(timer(e)?, *flags),
        Action::SetCallback(e, n) => Call::TimerSetCallback(timer(e)?, ProgId(PROGRAMS + n)),
        Action::Start(e, expiry, flags) => Call::TimerStart(timer(e)?, nsecs(*expiry), *flags),
        Action::Cancel(e) => Call::TimerCancel(timer(e)?),
        Action::Update(e, data, flag) => update(elem(e)?, *data, *flag),
        Action::Delete(e) => Call::MapDelete(elem(e)?),
        Action::Lookup(e) => Call::MapLookup(elem(e)?),
        Action::Spin(ns) => return Ok(op(OpKind::Work(Ns::fixed(*ns)), at, "spin")),
        other => {
            let reason = format!("a program cannot do {}", name(other));
            return Err(Unsupported::because(reason));
        }
    };
    Ok(op(call(kind, None), at, name(action)))
}

/// An operation of user space.
pub(super) fn of_user(
    action: &Action,
    run: &Runtime,
    dup: LocalId,
    at: LineId,
) -> Result<Op, Unsupported> {
    let outer = run.map.outer.is_some();
    let map = MapRef::Map(MapId(0));
    let kind = match action {
        Action::Sleep(ns) => OpKind::Sleep(Ns::fixed(*ns)),
        Action::SetCpu(cpu) => OpKind::SetCpu(*cpu),
        Action::WaitCallbacks(count, timeout_ns) => {
            OpKind::WaitCallbacks { count: *count, timeout_ns: *timeout_ns }
        }
        Action::StepClock(by_ns) => OpKind::ClockStep { clock: 0, by_ns: *by_ns },
        Action::Dup(fd) => call(Call::Dup(file(*fd, dup)?), Some(dup)),
        Action::Close(fd) => call(Call::Close(file(*fd, dup)?), None),
        Action::Pin(fd) => call(Call::ObjPin(file(*fd, dup)?, PIN), None),
        Action::Get(_) => call(Call::ObjGet(PIN), None),
        Action::Unlink => call(Call::Unlink(PIN), None),
        Action::ById(fd) => match file(*fd, dup)? {
            FdRef::Map(map) => call(Call::MapGetFdById(map), None),
            _ => return Err(Unsupported::because("only maps are opened by id")),
        },
        Action::ProgExists(p) => call(Call::ProgExistsById(ProgId(*p)), None),
        Action::MapExists => call(Call::MapExistsById(MapId(0)), None),
        Action::UpdateBatch(_)
        | Action::DeleteBatch(_)
        | Action::LookupBatch(_)
        | Action::LookupAndDeleteBatch(_)
        | Action::Keys
            if outer =>
        {
            return Err(Unsupported::because("it does not say which map is walked"));
        }
        Action::UpdateBatch(keys) => {
            // No value is recorded; `readable` has seen to it that none is looked at.
            let items = keys.iter().map(|k| (*k, 0)).collect();
            call(Call::MapUpdateBatch(map, items, UpdateFlag::Any), None)
        }
        Action::DeleteBatch(keys) => call(Call::MapDeleteBatch(map, keys.clone()), None),
        Action::LookupBatch(_) => call(Call::MapLookupBatch(map), None),
        Action::LookupAndDeleteBatch(_) => call(Call::MapLookupAndDeleteBatch(map), None),
        Action::Keys => call(Call::MapKeys(map), None),
        Action::OuterUpdate(slot, inner) => {
            let value = Some(Operand::Map(MapRef::Map(inner_map(*inner)?)));
            let elem = slot_of(*slot);
            call(Call::MapUpdate { elem, flag: UpdateFlag::Any, value }, None)
        }
        Action::OuterDelete(slot) => call(Call::MapDelete(slot_of(*slot)), None),
        _ => call(on_element(action, outer)?, None),
    };
    Ok(op(kind, at, name(action)))
}

/// The system calls on one element.
fn on_element(action: &Action, outer: bool) -> Result<Call, Unsupported> {
    let elem = |e: &Elem| {
        let map = match (outer, e.inner) {
            (false, None) => MapId(0),
            (true, Some(inner)) => inner_map(inner)?,
            _ => return Err(Unsupported::because("a system call does not name its map")),
        };
        let Some(key) = e.key else {
            return Err(Unsupported::because("a system call has no key of its own"));
        };
        Ok(ElemRef { map: MapRef::Map(map), key: KeyRef::Int(key.cast_signed()) })
    };
    Ok(match action {
        Action::Update(e, data, flag) => update(elem(e)?, *data, *flag),
        Action::Delete(e) => Call::MapDelete(elem(e)?),
        Action::Lookup(e) => Call::MapLookup(elem(e)?),
        Action::LookupAndDelete(e) => Call::MapLookupAndDelete(elem(e)?),
        other => {
            let reason = format!("user space cannot do {}", name(other));
            return Err(Unsupported::because(reason));
        }
    })
}

fn update(elem: ElemRef, data: i64, flag: UpdateFlag) -> Call {
    Call::MapUpdate { elem, flag, value: Some(Operand::Int(data)) }
}

fn slot_of(slot: u32) -> ElemRef {
    ElemRef { map: MapRef::Map(MapId(0)), key: KeyRef::Int(i64::from(slot)) }
}

fn inner_map(inner: u32) -> Result<MapId, Unsupported> {
    if inner >= INNER_MAPS {
        return Err(Unsupported::because(format!("there is no inner map {inner}")));
    }
    Ok(MapId(1 + inner))
}

fn file(fd: Fd, dup: LocalId) -> Result<FdRef, Unsupported> {
    Ok(match fd {
        Fd::Map => FdRef::Map(MapId(0)),
        Fd::MapDup => FdRef::Local(dup),
        Fd::Inner(n) => FdRef::Map(inner_map(n)?),
        Fd::Prog(p) => FdRef::Prog(ProgId(p)),
    })
}

fn nsecs(expiry: Expiry) -> Nsecs {
    match expiry {
        Expiry::Of(ns) => Nsecs::Of(Ns::fixed(ns)),
        Expiry::NowOf(clock, plus) => Nsecs::NowOf { clock, plus },
    }
}

/// What an operation is called in recordings.
pub(super) fn name(action: &Action) -> &'static str {
    match action {
        Action::Init(..) => "bpf_timer_init",
        Action::SetCallback(..) => "bpf_timer_set_callback",
        Action::Start(..) => "bpf_timer_start",
        Action::Cancel(_) => "bpf_timer_cancel",
        Action::Update(..) => "bpf_map_update_elem",
        Action::Delete(_) => "bpf_map_delete_elem",
        Action::Lookup(_) => "bpf_map_lookup_elem",
        Action::LookupAndDelete(_) => "bpf_map_lookup_and_delete_elem",
        Action::UpdateBatch(_) => "bpf_map_update_batch",
        Action::DeleteBatch(_) => "bpf_map_delete_batch",
        Action::LookupBatch(_) => "bpf_map_lookup_batch",
        Action::LookupAndDeleteBatch(_) => "bpf_map_lookup_and_delete_batch",
        Action::Keys => "bpf_map_get_next_key_all",
        Action::Close(_) => "close",
        Action::Dup(_) => "dup",
        Action::Pin(_) => "BPF_OBJ_PIN",
        Action::Get(_) => "BPF_OBJ_GET",
        Action::ById(_) => "BPF_MAP_GET_FD_BY_ID",
        Action::Unlink => "unlink",
        Action::ProgExists(_) => "prog_exists_by_id",
        Action::MapExists => "map_exists_by_id",
        Action::Sleep(_) => "sleep",
        Action::SetCpu(_) => "set_cpu",
        Action::WaitCallbacks(..) => "wait_callbacks",
        Action::StepClock(_) => "step_clock_realtime",
        Action::OuterUpdate(..) => "outer_map_update_elem",
        Action::OuterDelete(_) => "outer_map_delete_elem",
        Action::Spin(_) => "spin",
    }
}
