//! Steps whose place in a kernel function shows in a result: each test names the function and what its order decides.

mod common;
use common::*;
use timerace_kernel::World;
use timerace_kernel::world::*;

const ENOENT: i64 = -2;
const E2BIG: i64 = -7;
const ENOMEM: i64 = -12;
const EEXIST: i64 = -17;
const EINVAL: i64 = -22;
/// `BPF_EXIST | BPF_F_LOCK`
const EXIST_LOCKED: UpdateFlag = UpdateFlag::Other(6);

fn no_prealloc(k: &str, cpus: u16, max_entries: u32) -> World {
    let mut w = world(kernel(k), cpus, MapKind::Hash, max_entries);
    w.maps[0].flags.no_prealloc = true;
    w
}

/// A world whose values have a `bpf_spin_lock` before their integer.
fn locked_values(k: &str, kind: MapKind) -> World {
    let mut w = world(kernel(k), 2, kind, 4);
    let lock = FieldDef { name: "lock".into(), offset: 24, size: 4, kind: FieldKind::BpfSpinLock };
    w.types[0].fields.push(lock);
    w.types[0].size = 32;
    w
}

fn update_with(key: i64, flag: UpdateFlag) -> Call {
    Call::MapUpdate { elem: elem(key), flag, value: Some(Operand::Int(7)) }
}

fn wrong_errno(w: &World) -> bool {
    findings(w).iter().any(|f| f.starts_with("WRONG_ERRNO"))
}

/// `free_htab_elem()` counts an element out before it cancels the timer in it: while the delete of the only element waits
/// for that timer's callback, the callback can insert.
#[test]
fn a_deleted_element_is_counted_no_longer_while_its_callback_is_waited_for() {
    let sometimes_fits = |k: &str| {
        let mut w = no_prealloc(k, 2, 1);
        let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![ret(&[E2BIG], update(1))]);
        let armed = ElemInit::Armed { after: Ns::fixed(10), callback: ProgId(cb as u32) };
        w.maps[0].init = vec![(0, armed)];
        task(&mut w, "user", 1, vec![call(delete(0))]);
        wrong_errno(&w)
    };
    // From v6.13 on (b9e9ed90b10c) the bucket is unlocked by then.
    assert!(sometimes_fits("v6.13") && sometimes_fits("v6.19"));
}

/// From v6.1 on `is_map_full()` and the increment after it are two steps, before that one `atomic_inc_return()`.
#[test]
fn two_insertions_can_exceed_max_entries_from_v6_1_on() {
    let both_fit = |k: &str| {
        let mut w = no_prealloc(k, 2, 2);
        w.maps[0].init = vec![(2, ElemInit::Present)];
        for (cpu, key) in [(0, 0), (1, 1)] {
            let into = w.vars.len();
            w.vars.push(VarDef { name: format!("ret{key}"), kind: VarKind::Int(1), at: LineId(0) });
            let bind =
                OpKind::Call { call: update(key), returns: Returns::Any, bind: Some(LocalId(0)) };
            let write = OpKind::Write {
                order: Order::Once,
                to: Place::Var(VarId(into as u32)),
                value: Operand::Local(LocalId(0)),
            };
            let name = format!("insert{key}");
            task(&mut w, &name, cpu, vec![op(bind), op(write)]);
            w.tasks[usize::from(cpu)].body.locals = vec!["r".into()];
        }
        let (zero, var) = (Operand::Int(0), |n| Operand::Place(Place::Var(VarId(n))));
        let both =
            Cond::All(vec![Cond::Cmp(var(0), CmpOp::Eq, zero), Cond::Cmp(var(1), CmpOp::Eq, zero)]);
        let never = Cond::Cmp(Operand::Int(0), CmpOp::Ne, zero);
        task(&mut w, "judge", 0, vec![op(OpKind::SleepUntil(both)), op(OpKind::Assert(never))]);
        // Where one insertion fails, the judge waits for ever.
        findings(&w).iter().any(|f| f.starts_with("ASSERTION"))
    };
    assert!(!both_fit("v6.0"));
    assert!(both_fit("v6.1") && both_fit("v7.3"));
}

/// `htab_map_update_elem()` with BPF_F_LOCK tests its flags on a look-up without the bucket's lock: a program that has
/// come upon a holder of this lock is told -ENOENT, not that the bucket is busy.
#[test]
fn a_locked_update_tests_its_flags_before_it_locks_the_bucket() {
    for k in ["v6.1", "v6.12", "v6.18", "v7.3"] {
        let mut w = locked_values(k, MapKind::Hash);
        w.maps[0].max_entries = 1;
        let p = prog(
            &mut w,
            "spy",
            ProgKind::Tracing,
            vec![ret(&[ENOENT], update_with(1, EXIST_LOCKED))],
        );
        w.progs[p].attach = Some(Attach::Fentry("lookup_elem_raw".into()));
        task(&mut w, "user", 0, vec![call(update(0))]);
        assert_eq!(findings(&w), none(), "{k}");
        // Without BPF_F_LOCK it does come upon the lock.
        w.progs[p].body.ops = vec![ret(&[ENOENT], update_with(1, UpdateFlag::Exist))];
        assert!(wrong_errno(&w), "{k}");
    }
}

/// `copy_map_value_locked()`: who holds the `bpf_spin_lock` of a value sees no update with BPF_F_LOCK.
#[test]
fn a_locked_update_waits_for_the_lock_of_the_value() {
    for (kind, flag) in [
        (MapKind::Array, UpdateFlag::Lock),
        (MapKind::Hash, UpdateFlag::Lock),
        (MapKind::Array, UpdateFlag::Any),
    ] {
        let mut w = locked_values("v6.12", kind);
        if kind == MapKind::Hash {
            w.maps[0].init = vec![(0, ElemInit::Present)];
        }
        let value = ValueRef::Local(LocalId(0));
        let lock = ObjRef { value, field: Some(FieldIx(2)), byte: None };
        let read = |into| OpKind::Read {
            into: LocalId(into),
            order: Order::Once,
            from: Place::ValueMember(value, FieldIx(1)),
        };
        let bind = OpKind::Call {
            call: Call::MapLookup(elem(0)),
            returns: Returns::Any,
            bind: Some(LocalId(0)),
        };
        let same = Cond::Cmp(Operand::Local(LocalId(1)), CmpOp::Eq, Operand::Local(LocalId(2)));
        let guarded = OpKind::If {
            cond: Cond::Cmp(Operand::Local(LocalId(0)), CmpOp::Ne, Operand::Null),
            then: vec![
                call(Call::SpinLock(lock)),
                op(read(1)),
                op(read(2)),
                call(Call::SpinUnlock(lock)),
                op(OpKind::Assert(same)),
            ],
            otherwise: vec![],
        };
        let p = prog(&mut w, "reader", ProgKind::Tc, vec![op(bind), op(guarded)]);
        w.progs[p].body.locals = vec!["v".into(), "a".into(), "b".into()];
        task(&mut w, "reads", 0, vec![run(p)]);
        task(&mut w, "writes", 1, vec![call(update_with(0, flag))]);
        let torn = findings(&w).iter().any(|f| f.starts_with("ASSERTION"));
        assert_eq!(torn, flag == UpdateFlag::Any, "{kind:?} {flag:?}");
    }
}

/// `htab_lru_map_update_elem()`: an element that replaces one counts as used, and is no victim of the next eviction.
#[test]
fn a_replaced_element_of_an_lru_map_counts_as_used() {
    let left = |ops: Vec<Op>| {
        let mut w = world(kernel("v6.12"), 1, MapKind::LruHash, 4);
        w.maps[0].flags.no_common_lru = true;
        task(&mut w, "user", 0, ops);
        keys(&mut w)
    };
    let once = [0, 1, 2, 3].map(|k| call(update(k)));
    let twice = [0, 0, 1, 2].map(|k| call(update(k)));
    let new = || [10, 11].map(|k| call(update(k)));
    assert!(!left(once.into_iter().chain(new()).collect()).contains(&0));
    assert!(left(twice.into_iter().chain(new()).collect()).contains(&0));
}

fn keys(w: &mut World) -> Vec<i64> {
    let all = Call::MapKeys(MapRef::Map(MapId(0)));
    w.tasks[0].body.ops.push(Op { at: LineId(7), ..call(all) });
    data_of_line_7(w)
}

fn assertion(w: &World) -> bool {
    findings(w).iter().any(|f| f.starts_with("ASSERTION"))
}

/// The walk at the last user reference calls `bpf_obj_free_timer()` (later `bpf_map_free_internal_structs()`), not
/// `bpf_obj_free_fields()`: a program on the latter does not run.
#[test]
fn the_walk_at_the_last_user_reference_does_not_pass_bpf_obj_free_fields() {
    let runs = |last: Call| {
        let mut w = world(kernel("v6.12"), 1, MapKind::Hash, 1);
        let no = Cond::Cmp(Operand::Int(0), CmpOp::Ne, Operand::Int(0));
        let p = prog(&mut w, "spy", ProgKind::Tracing, vec![op(OpKind::Assert(no))]);
        w.progs[p].attach = Some(Attach::Fentry("bpf_obj_free_fields".into()));
        // It holds a reference on the map, so that only the user reference goes.
        let keep = prog(&mut w, "keep", ProgKind::Tc, vec![any(Call::MapLookup(elem(0)))]);
        let ops = vec![
            call(Call::MapCreate(MapId(0))),
            call(Call::ProgLoad(ProgId(keep as u32))),
            call(update(0)),
            call(last),
        ];
        task(&mut w, "user", 0, ops);
        assertion(&w)
    };
    assert!(runs(delete(0)));
    assert!(!runs(Call::Close(FdRef::Map(MapId(0)))));
}

/// A program makes a timer in an element that it has deleted, which the allocator's cache then holds; the map is freed.
fn timer_in_the_cache(k: &str) -> std::collections::BTreeSet<String> {
    let mut w = no_prealloc(k, 1, 1);
    w.maps[0].max_entries = 1;
    let v = ObjRef { value: ValueRef::Local(LocalId(0)), field: None, byte: None };
    let bind = OpKind::Call {
        call: Call::MapLookup(elem(0)),
        returns: Returns::Any,
        bind: Some(LocalId(0)),
    };
    let there = Cond::Cmp(Operand::Local(LocalId(0)), CmpOp::Ne, Operand::Null);
    let then = vec![call(delete(0)), call(Call::TimerInit(v, CLOCK_MONOTONIC))];
    let arm = op(OpKind::If { cond: there, then, otherwise: vec![] });
    let p = prog(&mut w, "arm", ProgKind::Tc, vec![op(bind), arm]);
    w.progs[p].body.locals = vec!["v".into()];
    let ops = vec![
        call(Call::MapCreate(MapId(0))),
        call(Call::ProgLoad(ProgId(0))),
        call(update(0)),
        run(p),
        op(OpKind::Exit(0)),
    ];
    task(&mut w, "user", 0, ops);
    findings(&w)
}

/// `bpf_mem_alloc_destroy()`: elements in the caches of a map that is freed go back to the slab; from v7.0 on
/// (1df97a7453ee) their destructor gives up the timer that one holds.
#[test]
fn a_freed_map_gives_the_elements_in_its_caches_to_the_destructor() {
    let leaks = |k| timer_in_the_cache(k).iter().any(|f| f.starts_with("LEAK"));
    assert!(leaks("v6.12") && leaks("v6.19"));
    assert_eq!(timer_in_the_cache("v7.0"), none());
    assert_eq!(timer_in_the_cache("v7.3"), none());
}

/// `bpf_obj_do_get()` holds the inode that it looks up: it gets the map or -ENOENT, whatever an `unlink()` does meanwhile.
#[test]
fn getting_a_pinned_map_and_unlinking_it_do_not_disturb_each_other() {
    let mut w = world(kernel("v6.12"), 2, MapKind::Array, 1);
    w.paths = vec!["/sys/fs/bpf/m".into()];
    let pinned = vec![
        call(Call::MapCreate(MapId(0))),
        call(Call::ObjPin(FdRef::Map(MapId(0)), PathId(0))),
        call(Call::Close(FdRef::Map(MapId(0)))),
        op(OpKind::Unblock(TaskId(1))),
        call(Call::Unlink(PathId(0))),
    ];
    task(&mut w, "unlinks", 0, pinned);
    task(&mut w, "gets", 1, vec![ret(&[3, ENOENT], Call::ObjGet(PathId(0)))]);
    w.tasks[1].blocked = true;
    assert_eq!(findings(&w), none());
}

/// An outer map with an inner one in slot 0, and what a task does with them.
fn nested(kind: MapKind, cpus: u16, ops: Vec<Op>) -> World {
    let mut w = world(kernel("v6.12"), cpus, kind, 2);
    w.maps[0].name = "outer".into();
    w.maps.push(map("outer[0]", MapKind::Array, 1));
    w.maps[0].slots = vec![(0, MapId(1))];
    task(&mut w, "user", 0, ops);
    w
}

fn put(slot: i64, flag: UpdateFlag) -> Call {
    let value = Some(Operand::Map(MapRef::Map(MapId(1))));
    Call::MapUpdate { elem: elem(slot), flag, value }
}

/// `bpf_fd_array_map_update_elem()` takes no flags, `bpf_fd_htab_map_update_elem()` those of a hash without locks.
#[test]
fn flags_of_an_update_of_a_slot() {
    let ops = |codes: [&[i64]; 4]| {
        let flags = [UpdateFlag::NoExist, UpdateFlag::Exist, UpdateFlag::Any, UpdateFlag::Lock];
        flags.iter().zip(codes).map(|(f, c)| ret(c, put(0, *f))).collect::<Vec<_>>()
    };
    let array = ops([&[EINVAL], &[EINVAL], &[0], &[EINVAL]]);
    assert_eq!(findings(&nested(MapKind::ArrayOfMaps, 1, array)), none());
    let hash = ops([&[EEXIST], &[0], &[0], &[EINVAL]]);
    assert_eq!(findings(&nested(MapKind::HashOfMaps, 1, hash)), none());
    let absent =
        vec![ret(&[ENOENT], put(1, UpdateFlag::Exist)), ret(&[0], put(1, UpdateFlag::NoExist))];
    assert_eq!(findings(&nested(MapKind::HashOfMaps, 1, absent)), none());
}

/// `maybe_wait_bpf_programs()`: when bpf(2) has changed a slot, no program is left that may use the old inner map, except
/// sleepable ones.
#[test]
fn a_task_that_changed_a_slot_has_waited_for_programs() {
    let seen_after = |sleepable: bool| {
        let zero = Operand::Int(0);
        let is_busy = Cond::Cmp(Operand::Local(LocalId(0)), CmpOp::Eq, zero);
        let busy = Place::Var(VarId(0));
        let read = OpKind::Read { into: LocalId(0), order: Order::Once, from: busy };
        let slot = Call::MapDelete(elem(0));
        let ops = vec![call(slot), op(read), op(OpKind::Assert(is_busy))];
        let mut w = nested(MapKind::ArrayOfMaps, 2, ops);
        w.machine.preempt = Preempt::Full;
        w.tasks[0].body.locals = vec!["b".into()];
        w.vars.push(VarDef { name: "busy".into(), kind: VarKind::Int(0), at: LineId(0) });
        let set = |n| {
            op(OpKind::Write {
                order: Order::Once,
                to: Place::Var(VarId(0)),
                value: Operand::Int(n),
            })
        };
        let inner = ElemRef { map: MapRef::Slot(MapId(0), 0), key: KeyRef::Int(0) };
        let bind = OpKind::Call {
            call: Call::MapLookup(inner),
            returns: Returns::Any,
            bind: Some(LocalId(0)),
        };
        let found = Cond::Cmp(Operand::Local(LocalId(0)), CmpOp::Ne, Operand::Null);
        let then = vec![set(1), set(0)];
        let kind = if sleepable { ProgKind::Syscall } else { ProgKind::Tc };
        let body = vec![op(bind), op(OpKind::If { cond: found, then, otherwise: vec![] })];
        let p = prog(&mut w, "reader", kind, body);
        w.progs[p].body.locals = vec!["v".into()];
        task(&mut w, "runs", 1, vec![run(p)]);
        assertion(&w)
    };
    assert!(!seen_after(false));
    assert!(seen_after(true));
}

/// `rhtab_delete_elem()` takes out the element that was looked up: not one that was inserted for the same key meanwhile.
#[test]
fn a_delete_of_a_resizable_hash_takes_out_what_it_has_found() {
    let mut w = world(kernel("v7.2"), 1, MapKind::Rhash, 2);
    w.maps[0].flags.no_prealloc = true;
    w.maps[0].init = vec![(0, ElemInit::Present)];
    let other = prog(&mut w, "other", ProgKind::Tracing, vec![call(delete(0)), call(update(0))]);
    let what = Event::Irq(Work::Body(Body::of(vec![run(other)])));
    let source = Source { when: When::Anytime, what, at: LineId(0) };
    w.cpu_events.push(CpuEvents { cpu: 0, sources: vec![source], ..CpuEvents::default() });
    task(&mut w, "user", 0, vec![ret(&[0], delete(0))]);
    // The interrupt comes between the two: what was found is gone, though the key is there.
    assert!(wrong_errno(&w));
    random_runs_agree(&w, 200);
}

/// A work queue of v7.0 in an interrupt: the start becomes a command, which can fail.
#[test]
fn a_work_queue_is_started_by_a_command_where_interrupts_are_off() {
    let started = |fails: bool, codes: &[i64]| {
        let mut w = world(kernel("v7.0"), 1, MapKind::Array, 1);
        w.types[0].fields[0] =
            FieldDef { name: "wq".into(), offset: 0, size: 16, kind: FieldKind::BpfWq };
        let cb = prog(&mut w, "cb", ProgKind::WqCb, vec![]);
        let ops = vec![
            ret(&[0], Call::WqInit(timer(0), 0)),
            ret(&[0], Call::WqSetCallback(timer(0), ProgId(cb as u32))),
            ret(codes, Call::WqStart(timer(0), 0)),
        ];
        let p = prog(&mut w, "irq", ProgKind::Tracing, ops);
        let what = Event::Irq(Work::Body(Body::of(vec![run(p)])));
        let source = Source { when: When::Anytime, what, at: LineId(0) };
        w.cpu_events.push(CpuEvents { cpu: 0, sources: vec![source], ..CpuEvents::default() });
        if fails {
            let function = "bpf_async_schedule_op".into();
            w.faults.push(Fault::Enomem { function, nth: vec![], at: LineId(0) });
        }
        task(&mut w, "user", 0, vec![op(OpKind::Work(Ns::fixed(1)))]);
        findings(&w)
    };
    assert_eq!(started(false, &[0]), none());
    assert_eq!(started(true, &[ENOMEM]), none());
}

/// A work queue of v7.0 in an element that is replaced under its bucket's lock: the cancel is a command, and the object is
/// freed after it.
#[test]
fn a_replaced_work_queue_is_cancelled_by_a_command() {
    let mut w = world(kernel("v7.0"), 2, MapKind::Hash, 1);
    w.types[0].fields[0] =
        FieldDef { name: "wq".into(), offset: 0, size: 16, kind: FieldKind::BpfWq };
    let cb = prog(&mut w, "cb", ProgKind::WqCb, vec![]);
    let ops = vec![
        any(Call::WqInit(timer(0), 0)),
        any(Call::WqSetCallback(timer(0), ProgId(cb as u32))),
        ret(&[0, EINVAL, ENOENT], Call::WqStart(timer(0), 0)),
    ];
    let p = prog(&mut w, "start", ProgKind::Tc, ops);
    w.maps[0].init = vec![(0, ElemInit::Present)];
    task(&mut w, "user", 0, vec![run(p), call(update(0))]);
    assert_eq!(findings(&w), none());
    random_runs_agree(&w, 500);
}
