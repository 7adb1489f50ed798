//! What map creation and the verifier refuse, by kernel.

mod common;
use common::*;
use timerace_kernel::world::*;
use timerace_kernel::{Fix, KernelVersion, World};

const EPERM: i64 = -1;
const EACCES: i64 = -13;
const EINVAL: i64 = -22;
const EOPNOTSUPP: i64 = -95;

/// A world whose task creates map 0 and loads program 0, which gives `code`.
fn loads(k: KernelVersion, code: i64, change: impl Fn(&mut World)) {
    let mut w = world(k, 1, MapKind::Array, 4);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
    w.progs.rotate_left(cb + 1);
    let p = prog(&mut w, "p", ProgKind::Tc, vec![any(init(0)), any(set_callback(0, 1))]);
    w.progs.swap(0, p);
    let codes: Vec<i64> = if code == 0 { (3..9).collect() } else { vec![code] };
    let load = ret(&codes, Call::ProgLoad(ProgId(0)));
    task(&mut w, "t", 0, vec![any(Call::MapCreate(MapId(0))), load]);
    change(&mut w);
    assert_eq!(findings(&w), none(), "{k}: {code}");
}

fn creates(k: KernelVersion, code: i64, change: impl Fn(&mut World)) {
    let mut w = world(k, 1, MapKind::Hash, 4);
    let codes: Vec<i64> = if code == 0 { (3..9).collect() } else { vec![code] };
    task(&mut w, "t", 0, vec![ret(&codes, Call::MapCreate(MapId(0)))]);
    change(&mut w);
    assert_eq!(findings(&w), none(), "{k}: {code}");
}

#[test]
fn map_types_and_flags() {
    for k in ["v5.15", "v6.1.192", "v6.19"].map(kernel) {
        for kind in [MapKind::Hash, MapKind::LruHash, MapKind::Array] {
            creates(k, 0, |w| w.maps[0].kind = kind);
        }
        for kind in
            [MapKind::PercpuHash, MapKind::LpmTrie, MapKind::TaskStorage, MapKind::BloomFilter]
        {
            creates(k, EOPNOTSUPP, |w| w.maps[0].kind = kind);
        }
        creates(k, EINVAL, |w| w.maps[0].kind = MapKind::Queue);
        creates(k, EACCES, |w| w.maps[0].flags.rdonly_prog = true);
    }
    creates(kernel("v6.1"), 0, |w| w.maps[0].flags.wronly_prog = true);
    creates(kernel("v6.2"), EACCES, |w| w.maps[0].flags.wronly_prog = true);
    creates(kernel("v6.1"), EINVAL, |w| w.maps[0].kind = MapKind::CgrpStorage);
    creates(kernel("v6.2"), EOPNOTSUPP, |w| w.maps[0].kind = MapKind::CgrpStorage);
    // Without BTF there is nothing to refuse.
    creates(kernel("v6.19"), 0, |w| {
        w.maps[0].kind = MapKind::PercpuHash;
        w.maps[0].flags.no_btf = true;
    });
}

#[test]
fn where_in_the_value_the_timer_is() {
    let at = |k: KernelVersion, code, change: fn(&mut TypeDef)| {
        loads(k, code, |w| change(&mut w.types[0]));
    };
    for (k, refused) in [("v6.1", EACCES), ("v6.3", EINVAL), ("v6.19", EINVAL)] {
        at(kernel(k), 0, |_| ());
        at(kernel(k), refused, |t| t.fields[0].offset = 4);
        at(kernel(k), refused, |t| t.fields[1].kind = FieldKind::BpfTimer);
        loads(kernel(k), refused, |w| w.maps[0].flags.no_btf = true);
    }
    let nested: fn(&mut TypeDef) = |t| t.fields[0].name = "in.t".into();
    at(kernel("v6.10"), EINVAL, nested);
    at(kernel("v6.11"), 0, nested);
    at(with("v6.10", Fix::NestedFields), 0, nested);
    at(kernel("v6.1"), EACCES, |t| t.fields[0].name = "t[0]".into());
}

#[test]
fn preempt_rt_refuses_timers_after_the_other_rules() {
    let rt = |k: &str, code, change: fn(&mut World)| {
        loads(kernel(k), code, |w| {
            w.machine.preempt = Preempt::Rt;
            change(w);
        });
    };
    rt("v6.1.192", EACCES, |_| ());
    rt("v6.12.117", EOPNOTSUPP, |_| ());
    rt("v6.17", EOPNOTSUPP, |_| ());
    rt("v6.17", EINVAL, |w| w.types[0].fields[0].offset = 4);
}

#[test]
fn pointers_that_may_be_null() {
    let v = LocalId(0);
    let find = |key| {
        let find = Call::MapLookup(ElemRef { map: MapRef::Map(MapId(0)), key });
        op(OpKind::Call { call: find, returns: Returns::Any, bind: Some(v) })
    };
    let of_v = ObjRef { value: ValueRef::Local(v), field: None, byte: None };
    let cancel = || any(Call::TimerCancel(of_v));
    let test = |rel, then, otherwise| {
        let cond = Cond::Cmp(Operand::Local(v), rel, Operand::Null);
        op(OpKind::If { cond, then, otherwise })
    };
    let case = |k: &str, code, kind, ops: Vec<Op>| {
        loads(kernel(k), code, |w| {
            w.maps[0].kind = kind;
            w.progs[0].body = Body { ops: ops.clone(), locals: vec!["v".into()] };
        });
    };
    let (inside, outside) = (KeyRef::Int(3), KeyRef::Int(4));
    let array = MapKind::Array;
    case("v6.13", EACCES, array, vec![find(inside), cancel()]);
    case("v6.14", 0, array, vec![find(inside), cancel()]);
    case("v6.14", EACCES, array, vec![find(outside), cancel()]);
    case("v6.14", EACCES, MapKind::Hash, vec![find(inside), cancel()]);
    let hash = |code, rest: Vec<Op>| {
        case("v6.14", code, MapKind::Hash, [vec![find(inside)], rest].concat());
    };
    hash(0, vec![test(CmpOp::Ne, vec![cancel()], vec![])]);
    hash(EACCES, vec![test(CmpOp::Ne, vec![], vec![cancel()])]);
    hash(0, vec![test(CmpOp::Eq, vec![op(OpKind::Return(Operand::Int(0)))], vec![]), cancel()]);
    hash(EACCES, vec![test(CmpOp::Ne, vec![cancel()], vec![]), cancel()]);
}

#[test]
fn what_programs_and_callbacks_must_not_do() {
    let k = kernel("v6.12");
    let member = |f| Place::ValueMember(ValueRef::Value, FieldIx(f));
    let write = |f| op(OpKind::Write { order: Order::Once, to: member(f), value: Operand::Int(1) });
    let callback = |code, body: Op| {
        loads(k, code, |w| w.progs[1].body.ops = vec![body.clone()]);
    };
    callback(0, write(1));
    callback(EACCES, write(0));
    callback(0, op(OpKind::Return(Operand::Int(0))));
    callback(EINVAL, op(OpKind::Return(Operand::Int(1))));
    let program = |code, body: Vec<Call>| {
        loads(k, code, |w| {
            let lock =
                FieldDef { name: "lock".into(), offset: 24, size: 4, kind: FieldKind::BpfSpinLock };
            w.types[0].fields.push(lock);
            w.maps.push(map("other", MapKind::Array, 1));
            w.progs[0].body.ops = body.iter().cloned().map(any).collect();
            let create = w.tasks[0].body.ops[0].clone();
            let Op { kind: OpKind::Call { returns, .. }, .. } = &create else { return };
            let kind = OpKind::Call {
                call: Call::MapCreate(MapId(1)),
                returns: returns.clone(),
                bind: None,
            };
            w.tasks[0].body.ops.insert(0, op(kind));
        });
    };
    let of = |map| Call::TimerInitOf { timer: timer(0), map: MapId(map), flags: 1 };
    program(0, vec![of(0)]);
    program(EINVAL, vec![of(1)]);
    program(0, vec![Call::SpinLock(timer(0)), Call::SpinUnlock(timer(0)), cancel(0)]);
    program(EINVAL, vec![Call::SpinLock(timer(0)), cancel(0), Call::SpinUnlock(timer(0))]);
    let context = ObjRef { value: ValueRef::Context, field: None, byte: None };
    program(EACCES, vec![Call::TimerCancel(context)]);
}

#[test]
fn types_and_capabilities() {
    let of = |k: &str, kind, code| loads(kernel(k), code, |w| w.progs[0].kind = kind);
    of("v6.3", ProgKind::Netfilter, EINVAL);
    of("v6.4", ProgKind::Netfilter, 0);
    of("v5.15", ProgKind::Kprobe, 0);
    of("v5.16", ProgKind::Kprobe, EINVAL);
    of("v6.12", ProgKind::Other, 0);
    loads(kernel("v6.12"), EPERM, |w| w.tasks[0].cap_net_admin = false);
    loads(kernel("v6.12"), EPERM, |w| w.tasks[0].cap_bpf = false);
    loads(kernel("v6.12"), 0, |w| {
        w.tasks[0].cap_net_admin = false;
        w.progs[0].kind = ProgKind::Syscall;
    });
}

/// The lock of a value excludes: two programs that add under it lose nothing.
#[test]
fn a_bpf_spin_lock_excludes() {
    let mut w = world(kernel("v6.12"), 2, MapKind::Array, 1);
    w.types[0].fields.push(FieldDef {
        name: "lock".into(),
        offset: 24,
        size: 4,
        kind: FieldKind::BpfSpinLock,
    });
    let data = Place::ValueMember(ValueRef::Elem(elem(0)), FieldIx(1));
    let r = LocalId(0);
    let read = op(OpKind::Read { order: Order::Once, into: r, from: data });
    let write = op(OpKind::Write { order: Order::Once, to: data, value: Operand::Local(r) });
    let locked = vec![any(Call::SpinLock(timer(0))), read, write, any(Call::SpinUnlock(timer(0)))];
    for cpu in 0..2 {
        let p = prog(&mut w, "p", ProgKind::Tc, locked.clone());
        w.progs[p].body.locals = vec!["r".into()];
        task(&mut w, "t", cpu, vec![run(p)]);
    }
    let locked = search(&w).schedules;
    assert_eq!(locked, 2, "the sections come one after the other");
    for p in &mut w.progs {
        p.body.ops.remove(3);
        p.body.ops.remove(0);
    }
    assert!(search(&w).schedules > locked);
}
