//! The known races on minimal worlds: found on the kernel without the fix, gone with it, over all schedules.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use timerace_kernel::world::*;
use timerace_kernel::{Fix, KernelVersion, World};

/// R07: a program cancels a timer while a task deletes its element.
fn cancel_vs_delete(k: KernelVersion) -> World {
    let mut w = world(k, 2, MapKind::Hash, 1);
    w.maps[0].init = vec![(0, ElemInit::Initialised)];
    let p = prog(&mut w, "cancel", ProgKind::Syscall, vec![ret(&[0, 1, -22], cancel(0))]);
    task(&mut w, "canceller", 0, vec![run(p)]);
    task(&mut w, "deleter", 1, vec![call(delete(0))]);
    w
}

#[test]
fn r07_cancel_uses_a_freed_timer() {
    let uaf = "USE_AFTER_FREE bpf_timer_cancel bpf_timer_cancel_and_free";
    let found = findings(&cancel_vs_delete(kernel("v6.7")));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [uaf]);
    assert_eq!(findings(&cancel_vs_delete(with("v6.7", Fix::CancelFreeRcu))), none());
    assert_eq!(findings(&cancel_vs_delete(kernel("v6.8"))), none());
}

/// R06: a program initialises a timer while the last file descriptor of its map is closed.
fn init_vs_close(k: KernelVersion) -> World {
    let mut w = world(k, 2, MapKind::Array, 1);
    let p = prog(&mut w, "init", ProgKind::Syscall, vec![ret(&[0, -1], init(0))]);
    let m = MapId(0);
    task(
        &mut w,
        "loader",
        1,
        vec![
            call(Call::MapCreate(m)),
            call(Call::ProgLoad(ProgId(p as u32))),
            op(OpKind::Unblock(TaskId(1))),
            call(Call::Close(FdRef::Map(m))),
        ],
    );
    task(&mut w, "trigger", 0, vec![run(p)]);
    w.tasks[1].blocked = true;
    w
}

/// Executions follow each other on one machine: nothing of one shows in the next.
#[test]
fn a_recording_does_not_depend_on_the_one_before() {
    use timerace_core::exec::Exec;
    use timerace_core::policy::{Limits, Replay};
    let mut w = init_vs_close(kernel("v6.6"));
    w.lines.push(At { line: 7, ..At::default() });
    let (machine, model) = timerace_kernel::boot(&w, false).unwrap();
    let mut exec = Exec::new(&machine, &model);
    let default = timerace_core::schedule::Schedule::default();
    let mut lines = || {
        let mut order = Replay::new(&default);
        let rec = timerace_core::record::record(&mut exec, &mut order, Limits::default());
        rec.steps.iter().map(|s| (s.text.clone(), s.line)).collect::<Vec<_>>()
    };
    let first = lines();
    assert!(first.iter().any(|s| s.1.is_some()));
    assert_eq!(lines(), first);
}

#[test]
fn r06_a_timer_appears_after_the_last_user_reference() {
    let leak = "LEAK bpf_map_put_uref bpf_timer_init";
    let found = findings(&init_vs_close(kernel("v6.6")));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [leak]);
    assert_eq!(findings(&init_vs_close(with("v6.6", Fix::InitUrefRecheck))), none());
    assert_eq!(findings(&init_vs_close(kernel("v6.7"))), none());
}

/// R09: two callbacks on two CPUs cancel each other's timer.
fn mutual_cancel(k: KernelVersion) -> World {
    let mut w = world(k, 2, MapKind::Array, 2);
    for (own, other) in [(0, 1), (1, 0)] {
        let codes = [0, 1, -22, -35];
        let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![ret(&codes, cancel(other))]);
        let start = ret(&[0, -22], start(own, 10_000));
        let ops = vec![call(init(own)), call(set_callback(own, cb)), start];
        let p = prog(&mut w, "arm", ProgKind::Syscall, ops);
        task(&mut w, "arm", own as u16, vec![run(p)]);
    }
    w
}

#[test]
fn r09_two_callbacks_cancel_each_other() {
    let dead = "DEADLOCK bpf_timer_cancel bpf_timer_cancel";
    let found = findings(&mutual_cancel(kernel("v6.8")));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [dead]);
    assert_eq!(findings(&mutual_cancel(with("v6.8", Fix::CancelDeadlk))), none());
}

/// R10: a callback starts its timer again and then deletes its own element.
fn self_arm_free(k: KernelVersion) -> World {
    let mut w = world(k, 1, MapKind::Hash, 1);
    let again = Call::TimerStart(own_timer(), Nsecs::Of(Ns::fixed(10_000)), 0);
    let own = ElemRef { map: MapRef::Map(MapId(0)), key: KeyRef::Itself };
    let cb = vec![call(again), call(Call::MapDelete(own))];
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, cb);
    w.maps[0].init =
        vec![(0, ElemInit::Armed { after: Ns::fixed(1_000), callback: ProgId(cb as u32) })];
    w
}

#[test]
fn r10_a_callback_frees_its_armed_timer() {
    let uaf = "USE_AFTER_FREE bpf_timer_cancel_and_free bpf_timer_cb";
    let found = findings(&self_arm_free(kernel("v6.7")));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [uaf]);
    let found = findings(&self_arm_free(kernel("v6.8")));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["USE_AFTER_FREE bpf_timer_cb kfree_rcu"]);
    assert_eq!(findings(&self_arm_free(with("v6.8", Fix::DeferFreeInCallback))), none());
}

/// R11: two callbacks delete each other's elements.
fn mutual_delete(k: KernelVersion) -> World {
    let mut w = world(k, 2, MapKind::Hash, 2);
    for (own, other) in [(0, 1), (1, 0)] {
        let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![ret(&[0, -2], delete(other))]);
        let start = ret(&[0, -22], start(own, 10_000));
        let ops = vec![ret(&[0, -22], set_callback(own, cb)), start];
        let p = prog(&mut w, "arm", ProgKind::Syscall, ops);
        task(&mut w, "arm", own as u16, vec![run(p)]);
        w.maps[0].init.push((own, ElemInit::Initialised));
    }
    w
}

#[test]
fn r11_two_callbacks_delete_each_other() {
    let dead = "DEADLOCK bpf_timer_cancel_and_free bpf_timer_cancel_and_free";
    let found = findings(&mutual_delete(kernel("v6.8")));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [dead]);
    assert_eq!(findings(&mutual_delete(with("v6.8", Fix::DeferFreeInCallback))), none());
}

/// R13: an element is deleted, its bucket locked, while the callback of its timer wants the bucket.
fn bucket_wait(k: KernelVersion, overwrite: bool) -> World {
    let mut w = world(k, 2, MapKind::Hash, 1);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![ret(&[0, -2], delete(1))]);
    let armed = ElemInit::Armed { after: Ns::fixed(1_000), callback: ProgId(cb as u32) };
    w.maps[0].init = vec![(0, armed)];
    let change = if overwrite { update(0) } else { delete(0) };
    task(&mut w, "changer", 1, vec![call(change)]);
    w
}

#[test]
fn r13_a_bucket_is_locked_while_its_callback_wants_it() {
    let dead = "DEADLOCK bpf_timer_cancel_and_free htab_map_delete_elem";
    for overwrite in [false, true] {
        let found = findings(&bucket_wait(kernel("v6.9"), overwrite));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [dead], "overwrite: {overwrite}");
    }
    // The fix covers deletion, not the replacement of a preallocated element.
    let fixed = with("v6.9", Fix::FreeAfterBucketUnlock);
    assert_eq!(findings(&bucket_wait(fixed, false)), none());
    assert!(findings(&bucket_wait(fixed, true)).contains(dead));
}

/// R14: an eviction cancels the victim's timer under the LRU lock, which the callback wants.
#[test]
fn r14_the_lru_lock_is_held_while_the_callback_wants_it() {
    let mut w = world(kernel("v6.9"), 2, MapKind::LruHash, 1);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![any(update(2))]);
    let armed = ElemInit::Armed { after: Ns::fixed(1_000), callback: ProgId(cb as u32) };
    w.maps[0].init = vec![(0, armed)];
    task(&mut w, "inserter", 1, vec![any(update(1))]);
    let dead = "DEADLOCK bpf_lru_pop_free bpf_timer_cancel_and_free";
    assert_eq!(findings(&w).into_iter().collect::<Vec<_>>(), [dead]);
}

/// R05: an element's timer is zeroed when the element is reused, while a program has a pointer to it.
fn reuse(k: KernelVersion, kind: MapKind) -> World {
    let mut w = world(k, 2, kind, 1);
    w.maps[0].flags.no_prealloc = kind == MapKind::Hash;
    w.maps[0].init = vec![(0, ElemInit::Present)];
    let v = LocalId(0);
    let find =
        OpKind::Call { call: Call::MapLookup(elem(0)), returns: Returns::Any, bind: Some(v) };
    let stale = ObjRef { value: ValueRef::Local(v), field: None, byte: None };
    let init = any(Call::TimerInit(stale, CLOCK_MONOTONIC));
    let found = Cond::Cmp(Operand::Local(v), CmpOp::Ne, Operand::Null);
    let p = prog(
        &mut w,
        "stale",
        ProgKind::Syscall,
        vec![op(find), op(OpKind::If { cond: found, then: vec![init], otherwise: vec![] })],
    );
    w.progs[p].body.locals = vec!["v".into()];
    task(&mut w, "user", 0, vec![run(p)]);
    let changes = match kind {
        MapKind::Hash => vec![any(delete(0)), any(update(1))],
        _ => vec![any(update(1))],
    };
    task(&mut w, "changer", 1, changes);
    w
}

#[test]
fn r04_r05_a_reused_element_loses_its_timer() {
    let leak =
        |k: KernelVersion, kind| findings(&reuse(k, kind)).iter().any(|f| f.starts_with("LEAK"));
    assert!(leak(kernel("v6.1"), MapKind::Hash));
    assert!(!leak(with("v6.1", Fix::NoReuseReinit), MapKind::Hash));
    assert!(!leak(kernel("v6.3"), MapKind::Hash));
    assert!(leak(kernel("v5.19"), MapKind::LruHash));
    assert!(!leak(with("v5.19", Fix::NoLruReinit), MapKind::LruHash));
}

/// R01: the timer of a fresh element is not zeroed.
#[test]
fn r01_a_fresh_element_holds_garbage() {
    let fresh = |k: &str| {
        let mut w = world(kernel(k), 1, MapKind::Hash, 1);
        w.maps[0].flags.no_prealloc = true;
        let p = prog(&mut w, "p", ProgKind::Syscall, vec![any(update(0)), any(cancel(0))]);
        task(&mut w, "user", 0, vec![run(p)]);
        findings(&w)
    };
    assert!(!fresh("v5.16").is_empty());
    assert_eq!(fresh("v5.17"), none());
}

/// R02: an update overwrites the timer of a value that also has a lock.
#[test]
fn r02_an_update_overwrites_the_timer() {
    let overwritten = |k: &str| {
        let mut w = world(kernel(k), 1, MapKind::Array, 1);
        w.types[0].fields.push(FieldDef {
            name: "lock".into(),
            offset: 24,
            size: 4,
            kind: FieldKind::BpfSpinLock,
        });
        task(&mut w, "user", 0, vec![any(update(0))]);
        findings(&w)
    };
    let wild = "WILD_POINTER bpf_timer_cancel_and_free bpf_timer_cancel_and_free";
    assert_eq!(overwritten("v5.16").into_iter().collect::<Vec<_>>(), [wild]);
    assert_eq!(overwritten("v5.17"), none());
}

/// R08: an inner map is freed while a program uses it.
fn inner_map(k: KernelVersion) -> World {
    let mut w = world(k, 2, MapKind::ArrayOfMaps, 1);
    w.maps[0].name = "outer".into();
    w.maps.push(map("outer[0]", MapKind::Array, 1));
    let inner = ElemRef { map: MapRef::Slot(MapId(0), 0), key: KeyRef::Int(0) };
    let find = any(Call::MapLookup(inner));
    let timer = ObjRef { value: ValueRef::Elem(inner), field: None, byte: None };
    let p = prog(&mut w, "p", ProgKind::Syscall, vec![find, any(Call::TimerCancel(timer))]);
    let slot = ElemRef { map: MapRef::Map(MapId(0)), key: KeyRef::Int(0) };
    let put = Call::MapUpdate {
        elem: slot,
        flag: UpdateFlag::Any,
        value: Some(Operand::Map(MapRef::Map(MapId(1)))),
    };
    let m = MapId(1);
    let ops = vec![
        call(Call::MapCreate(m)),
        call(put),
        call(Call::Close(FdRef::Map(m))),
        op(OpKind::Unblock(TaskId(1))),
        call(Call::MapDelete(slot)),
    ];
    task(&mut w, "owner", 1, ops);
    task(&mut w, "user", 0, vec![run(p)]);
    w.tasks[1].blocked = true;
    w
}

#[test]
fn r08_an_inner_map_is_freed_under_a_program() {
    let found = findings(&inner_map(kernel("v6.7")));
    assert!(found.iter().any(|f| f.starts_with("USE_AFTER_FREE")), "{found:?}");
    assert_eq!(findings(&inner_map(with("v6.7", Fix::DeferInnerMapFree))), none());
}

/// The same races where kernel code can be preempted: readers are the words of tasks then.
#[test]
fn races_on_a_preemptible_kernel() {
    let preemptible = |mut w: World| {
        w.machine.preempt = Preempt::Full;
        findings(&w)
    };
    let uaf = "USE_AFTER_FREE bpf_timer_cancel bpf_timer_cancel_and_free";
    assert!(preemptible(cancel_vs_delete(kernel("v6.7"))).contains(uaf));
    assert_eq!(preemptible(cancel_vs_delete(kernel("v6.8"))), none());
    assert!(!preemptible(init_vs_close(kernel("v6.6"))).is_empty());
    assert_eq!(preemptible(init_vs_close(kernel("v6.7"))), none());
    let both = kernel("v6.8").with(Fix::CancelDeadlk).with(Fix::DeferFreeInCallback);
    assert_eq!(preemptible(mutual_delete(both)), none());
}

/// With one CPU the canceller must be preempted: impossible without preemption, found with it.
#[test]
fn r07_on_one_cpu_needs_preemption() {
    let mut w = cancel_vs_delete(kernel("v6.7"));
    w.machine.cpus = 1;
    w.tasks[1].cpu = 0;
    assert_eq!(findings(&w), none());
    w.machine.preempt = Preempt::Full;
    assert!(!findings(&w).is_empty());
}

/// The last descriptor of a map is closed while its timers run on another CPU and arm themselves again.
#[test]
fn nothing_runs_after_the_last_user_reference() {
    for k in ["v5.17", "v6.1", "v6.9"] {
        for (kind, fresh) in
            [(MapKind::Array, false), (MapKind::Hash, false), (MapKind::Hash, true)]
        {
            let mut w = world(kernel(k), 2, kind, 2);
            w.maps[0].flags.no_prealloc = fresh;
            let again = Call::TimerStart(own_timer(), Nsecs::Of(Ns::fixed(10)), 0);
            let few = Cond::Cmp(Operand::RunNumber, CmpOp::Le, Operand::Int(1));
            let then = vec![ret(&[0, -22], again)];
            let cb = vec![op(OpKind::If { cond: few, then, otherwise: vec![] })];
            let cb = prog(&mut w, "cb", ProgKind::TimerCb, cb);
            let mut arm = Vec::new();
            // Two timers make 147,140 schedules on v6.9, where they are freed through RCU.
            let timers = if k == "v6.9" { 1 } else { 2 };
            for key in 0..timers {
                arm.extend([any(update(key)), call(init(key))]);
                arm.extend([call(set_callback(key, cb)), call(start(key, 10))]);
            }
            let p = ProgId(prog(&mut w, "arm", ProgKind::Tc, arm) as u32);
            let m = MapId(0);
            let calls = [Call::MapCreate(m), Call::ProgLoad(p), Call::ProgRun(p)];
            let mut ops: Vec<Op> = calls.map(call).to_vec();
            ops.push(call(Call::Close(FdRef::Prog(p))));
            ops.push(op(OpKind::SetCpu(1)));
            ops.push(op(OpKind::Exit(0)));
            task(&mut w, "loader", 0, ops);
            assert_eq!(findings(&w), none(), "{k} {kind:?} {fresh}");
        }
    }
}

/// An allocation that may fail is a choice of the schedule.
#[test]
fn may_enomem_is_a_choice() {
    let mut w = world(kernel("v6.9"), 1, MapKind::Array, 1);
    let p = prog(&mut w, "p", ProgKind::Syscall, vec![ret(&[0, -12], init(0))]);
    task(&mut w, "user", 0, vec![run(p)]);
    assert_eq!(search(&w).schedules, 1);
    w.faults.push(Fault::MayEnomem { function: "bpf_timer_init".into(), at: LineId(0) });
    assert_eq!(search(&w).schedules, 2);
    w.faults[0] = Fault::Enomem { function: "bpf_timer_init".into(), nth: vec![1], at: LineId(0) };
    w.progs[p].body.ops = vec![ret(&[-12], init(0)), ret(&[0], init(0))];
    assert_eq!(findings(&w), none());
}

/// An interrupt may come anywhere but where interrupts are off.
#[test]
fn interrupts_come_between_steps() {
    let mut w = World::new("irq", kernel("v6.9"), 1);
    w.vars.push(VarDef { name: "x".into(), kind: VarKind::Int(0), at: LineId(0) });
    let x = Place::Var(VarId(0));
    let add = || op(OpKind::FetchAdd { into: LocalId(0), on: x, by: Operand::Int(1) });
    task(&mut w, "t", 0, vec![add(), add()]);
    let body = Body { ops: vec![add()], locals: vec!["r".into()] };
    let what = Event::Irq(Work::Body(body));
    w.cpu_events.push(CpuEvents {
        cpu: 0,
        sources: vec![Source { when: When::Anytime, what, at: LineId(0) }],
        ..CpuEvents::default()
    });
    assert_eq!(search(&w).schedules, 3);
    let masked = |o| op(OpKind::Context(o));
    w.tasks[0].body.ops =
        vec![masked(ContextOp::IrqSave), add(), add(), masked(ContextOp::IrqRestore)];
    assert_eq!(search(&w).schedules, 2);
}

/// The search covers every end that random schedules reach.
#[test]
fn random_schedules_find_nothing_new() {
    let preemptible = |mut w: World| {
        w.machine.preempt = Preempt::Full;
        w
    };
    for k in ["v6.1", "v6.7", "v6.9"].map(kernel) {
        random_runs_agree(&cancel_vs_delete(k), 500);
        random_runs_agree(&init_vs_close(k), 500);
        random_runs_agree(&mutual_cancel(k), 1_000);
        random_runs_agree(&mutual_delete(k), 1_000);
        random_runs_agree(&bucket_wait(k, true), 500);
        random_runs_agree(&inner_map(k), 500);
        random_runs_agree(&reuse(k, MapKind::LruHash), 500);
        random_runs_agree(&preemptible(cancel_vs_delete(k)), 500);
        random_runs_agree(&preemptible(reuse(k, MapKind::Hash)), 500);
    }
    let both = kernel("v6.9").with(Fix::CancelDeadlk).with(Fix::DeferFreeInCallback);
    random_runs_agree(&mutual_delete(both), 1_000);
    random_runs_agree(&preemptible(self_arm_free(both)), 500);
}
