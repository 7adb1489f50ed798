//! `bpf_wq`: return codes, callbacks in kworkers, and its races.

mod common;
use common::*;
use std::collections::BTreeSet;
use timerace_core::dpor::{Observer, Options, View, explore};
use timerace_core::exec::Exec;
use timerace_core::timed::{TimedOptions, Unwatched, run_timed};
use timerace_core::{CtxKind, Nanos};
use timerace_kernel::log::Logged;
use timerace_kernel::world::*;
use timerace_kernel::{Fix, Kernel, KernelVersion, World, boot};

const EPERM: i64 = -1;
const ENOENT: i64 = -2;
const ENOMEM: i64 = -12;
const EBUSY: i64 = -16;
const EINVAL: i64 = -22;

/// A world with one map of values with a work queue.
fn wq_world(k: KernelVersion, cpus: u16, kind: MapKind, max_entries: u32) -> World {
    let mut w = world(k, cpus, kind, max_entries);
    w.types[0].fields[0] =
        FieldDef { name: "wq".into(), offset: 0, size: 16, kind: FieldKind::BpfWq };
    w
}

fn wq_init(key: i64) -> Call {
    Call::WqInit(timer(key), 0)
}

fn wq_set(key: i64, f: usize) -> Call {
    Call::WqSetCallback(timer(key), ProgId(f as u32))
}

fn wq_start(key: i64) -> Call {
    Call::WqStart(timer(key), 0)
}

fn timed(w: &World) -> (Logged, BTreeSet<String>) {
    let (machine, kernel) = boot(w, true).expect("the world boots");
    kernel.log().begin();
    let options = TimedOptions {
        seed: 7,
        until: Some(Nanos(1_000_000_000)),
        max_steps: 1_000_000,
        ..TimedOptions::default()
    };
    run_timed(&machine, &kernel, &options, &mut Unwatched);
    let found = machine.with_mem(|m| m.findings(machine.names()));
    (kernel.log().take(), found.iter().map(|f| f.class.to_string()).collect())
}

/// The codes of calls that one program makes in turn.
fn codes(w: World, calls: Vec<Call>) -> Vec<Option<i64>> {
    let mut w = w;
    let ops =
        calls.into_iter().enumerate().map(|(i, c)| Op { at: LineId(10 + i as u32), ..any(c) });
    let p = prog(&mut w, "p", ProgKind::Tc, ops.collect());
    task(&mut w, "t", 0, vec![run(p)]);
    let logged = timed(&w).0;
    logged.ops.iter().filter(|o| o.at.0 >= 10).map(|o| o.ret).collect()
}

#[test]
fn codes_of_the_helpers() {
    for k in ["v6.10", "v6.12.117", "v6.18", "v6.19", "v7.0", "v7.3"].map(kernel) {
        let mut w = wq_world(k, 1, MapKind::Array, 1);
        let cb = prog(&mut w, "cb", ProgKind::WqCb, vec![]);
        let calls = vec![
            wq_set(0, cb),
            wq_start(0),
            Call::WqInit(timer(0), 1),
            wq_init(0),
            wq_init(0),
            wq_start(0),
            wq_set(0, cb),
            Call::WqStart(timer(0), 1),
            wq_start(0),
            update(0),
            wq_start(0),
            wq_init(0),
        ];
        let want = [EINVAL, EINVAL, EINVAL, 0, EBUSY, EINVAL, 0, EINVAL, 0, 0, EINVAL, 0];
        let got: Vec<i64> = codes(w, calls).into_iter().flatten().collect();
        assert_eq!(got, want, "{k}");
    }
}

#[test]
fn there_is_no_bpf_wq_before_its_commit() {
    let load = |k: KernelVersion| {
        let mut w = wq_world(k, 1, MapKind::Array, 1);
        prog(&mut w, "p", ProgKind::Tc, vec![any(wq_init(0))]);
        boot(&w, false).is_ok()
    };
    assert!(!load(kernel("v6.9")) && load(kernel("v6.10")));
    assert!(load(with("v6.9", Fix::BpfWq)) && !load(kernel("v6.10").without(Fix::BpfWq)));
}

#[test]
fn an_allocation_that_fails_and_a_map_without_users() {
    let mut w = wq_world(kernel("v6.12"), 1, MapKind::Array, 1);
    w.faults.push(Fault::Enomem { function: "bpf_wq_init".into(), nth: vec![1], at: LineId(0) });
    let p = prog(&mut w, "p", ProgKind::Tc, vec![ret(&[ENOMEM], wq_init(0)), call(wq_init(0))]);
    task(&mut w, "t", 0, vec![run(p)]);
    assert_eq!(findings(&w), none());
    let mut w = wq_world(kernel("v6.12"), 1, MapKind::Array, 1);
    let p = ProgId(prog(&mut w, "p", ProgKind::Tc, vec![ret(&[EPERM], wq_init(0))]) as u32);
    let m = MapId(0);
    let mut ops: Vec<Op> = [Call::MapCreate(m), Call::ProgLoad(p)].map(call).to_vec();
    ops.extend([call(Call::Close(FdRef::Map(m))), call(Call::ProgRun(p))]);
    task(&mut w, "t", 0, ops);
    assert_eq!(findings(&w), none());
}

/// The selftest `wq`: array, hash, NO_PREALLOC hash and LRU hash, a callback that sleeps in each.
#[test]
fn the_callback_runs_in_a_kworker_and_may_sleep() {
    for k in ["v6.10", "v6.19", "v7.3"].map(kernel) {
        for (kind, fresh) in [
            (MapKind::Array, false),
            (MapKind::Hash, false),
            (MapKind::Hash, true),
            (MapKind::LruHash, false),
        ] {
            for preempt in [Preempt::None, Preempt::Full] {
                let mut w = wq_world(k, 1, kind, 4);
                w.machine.preempt = preempt;
                w.maps[0].flags.no_prealloc = fresh;
                let cb = prog(&mut w, "cb", ProgKind::WqCb, vec![call(Call::CopyFromUser)]);
                let arm =
                    vec![any(update(1)), call(wq_init(1)), call(wq_set(1, cb)), call(wq_start(1))];
                let p = prog(&mut w, "p", ProgKind::Tc, arm);
                task(&mut w, "t", 0, vec![run(p), op(OpKind::Sleep(Ns::fixed(50_000)))]);
                let (logged, found) = timed(&w);
                assert_eq!(found, BTreeSet::new(), "{k} {kind:?} {fresh} {preempt:?}");
                assert_eq!(logged.callbacks.len(), 1, "{k} {kind:?} {fresh}");
                assert_eq!(logged.callbacks[0].key, 1);
                let (machine, _) = boot(&w, true).expect("it boots");
                let ran = logged
                    .ops
                    .iter()
                    .filter(|o| machine.contexts()[o.ctx.index()].kind == CtxKind::Kworker);
                assert_eq!(ran.count(), 1, "the callback's operation is the kworker's");
            }
        }
    }
}

/// An item that waits is not queued again; one that runs is, and then runs once more, never beside itself.
#[test]
fn a_work_that_is_started_again() {
    let mut w = wq_world(kernel("v6.12"), 1, MapKind::Array, 1);
    let cb = prog(&mut w, "cb", ProgKind::WqCb, vec![op(OpKind::Work(Ns::fixed(1_000_000)))]);
    let arm = vec![call(wq_init(0)), call(wq_set(0, cb)), call(wq_start(0)), call(wq_start(0))];
    let first = prog(&mut w, "first", ProgKind::Tc, arm);
    let again = prog(&mut w, "again", ProgKind::Tc, vec![call(wq_start(0))]);
    let later = op(OpKind::Sleep(Ns::fixed(300_000)));
    task(&mut w, "t", 0, vec![run(first), later, run(again)]);
    w.machine.preempt = Preempt::Full;
    let (logged, found) = timed(&w);
    assert_eq!(found, BTreeSet::new());
    let times: Vec<u64> = logged.callbacks.iter().map(|c| c.time.0).collect();
    assert_eq!(
        times.len(),
        2,
        "twice queued before it ran is once, once while it ran is once more"
    );
    assert!(times[1] - times[0] >= 1_000_000, "one after the other: {times:?}");
}

/// Deleting waits for nothing; the object goes once the callback is over.
fn delete_while_it_runs(k: KernelVersion) -> World {
    let mut w = wq_world(k, 2, MapKind::Array, 1);
    let cb = prog(&mut w, "cb", ProgKind::WqCb, vec![call(Call::CopyFromUser)]);
    let arm = vec![call(wq_init(0)), call(wq_set(0, cb)), ret(&[0, EINVAL], wq_start(0))];
    let p = prog(&mut w, "arm", ProgKind::Tc, arm);
    task(&mut w, "arm", 0, vec![run(p), op(OpKind::Unblock(TaskId(1)))]);
    task(&mut w, "changer", 1, vec![call(update(0))]);
    w.tasks[1].blocked = true;
    w
}

#[test]
fn deleting_never_waits() {
    for k in ["v6.10", "v6.18", "v7.0"].map(kernel) {
        assert_eq!(findings(&delete_while_it_runs(k)), none(), "{k}");
        random_runs_agree(&delete_while_it_runs(k), 500);
    }
}

/// R25: a start between the delete's cancel and its free queues an object that is then freed.
#[test]
fn r25_a_start_uses_what_a_delete_frees() {
    let uaf = |f: &String| f.starts_with("USE_AFTER_FREE");
    assert!(start_beside_a_delete(kernel("v6.10")).iter().any(uaf));
    assert_eq!(start_beside_a_delete(kernel("v7.0")), none());
}

fn start_beside_a_delete(k: KernelVersion) -> BTreeSet<String> {
    let mut w = wq_world(k, 2, MapKind::Array, 1);
    let cb = prog(&mut w, "cb", ProgKind::WqCb, vec![]);
    let arm = vec![call(wq_init(0)), call(wq_set(0, cb))];
    let init = prog(&mut w, "init", ProgKind::Tc, arm);
    let start = prog(&mut w, "start", ProgKind::Tc, vec![ret(&[0, EINVAL, ENOENT], wq_start(0))]);
    task(&mut w, "user", 0, vec![run(init), op(OpKind::Unblock(TaskId(1))), run(start)]);
    task(&mut w, "changer", 1, vec![call(update(0))]);
    w.tasks[1].blocked = true;
    findings(&w)
}

/// How often the callbacks of two works of one program have run at the end of a schedule.
struct Runs<'k>(&'k Kernel, BTreeSet<i64>);

impl Observer for Runs<'_> {
    fn needs_marks(&self) -> bool {
        false
    }
    fn execution(&mut self, view: &View<'_>) {
        self.1.extend(self.0.final_var(view.mem, VarId(0)));
    }
}

/// R29: before its fix a callback is left out while another one of the same program sleeps on that CPU.
#[test]
fn r29_a_callback_is_left_out() {
    let runs = |k: KernelVersion| {
        let mut w = wq_world(k, 1, MapKind::Array, 2);
        w.vars.push(VarDef { name: "ran".into(), kind: VarKind::Int(0), at: LineId(0) });
        let ran = Place::Var(VarId(0));
        let count = OpKind::FetchAdd { into: LocalId(0), on: ran, by: Operand::Int(1) };
        let cb = vec![call(Call::CopyFromUser), op(count)];
        let cb = prog(&mut w, "cb", ProgKind::WqCb, cb);
        w.progs[cb].body.locals = vec!["r".into()];
        let mut arm = Vec::new();
        for key in [0, 1] {
            arm.extend([call(wq_init(key)), call(wq_set(key, cb)), call(wq_start(key))]);
        }
        let p = prog(&mut w, "arm", ProgKind::Tc, arm);
        task(&mut w, "t", 0, vec![run(p)]);
        let (machine, kernel) = boot(&w, false).expect("the world boots");
        let mut runs = Runs(&kernel, BTreeSet::new());
        let options = Options { keep_going: true, ..Options::default() };
        assert!(explore(&mut Exec::new(&machine, &kernel), &options, &mut runs).complete);
        runs.1
    };
    assert_eq!(runs(kernel("v6.10")), BTreeSet::from([2]));
    assert_eq!(runs(kernel("v6.10").without(Fix::WqNoRecursionCheck)), BTreeSet::from([1, 2]));
}

/// The last user reference frees work queues as it does timers, with both in one value.
#[test]
fn nothing_is_left_after_the_last_user() {
    let mut w = wq_world(kernel("v6.12"), 1, MapKind::Hash, 2);
    w.types[0].fields.push(FieldDef {
        name: "t".into(),
        offset: 24,
        size: 16,
        kind: FieldKind::BpfTimer,
    });
    let cb = prog(&mut w, "cb", ProgKind::WqCb, vec![]);
    let tcb = prog(&mut w, "tcb", ProgKind::TimerCb, vec![]);
    let mut arm = vec![any(update(0)), call(wq_init(0)), call(wq_set(0, cb)), call(wq_start(0))];
    arm.extend([call(init(0)), call(set_callback(0, tcb)), call(start(0, 1 << 40))]);
    let p = ProgId(prog(&mut w, "arm", ProgKind::Tc, arm) as u32);
    let m = MapId(0);
    let mut ops: Vec<Op> =
        [Call::MapCreate(m), Call::ProgLoad(p), Call::ProgRun(p), Call::Close(FdRef::Prog(p))]
            .map(call)
            .to_vec();
    ops.push(call(Call::Close(FdRef::Map(m))));
    ops.push(op(OpKind::Sleep(Ns::fixed(10_000_000))));
    ops.push(ret(&[0], Call::ProgExistsById(p)));
    ops.push(ret(&[0], Call::MapExistsById(m)));
    task(&mut w, "t", 0, ops);
    assert_eq!(timed(&w).1, BTreeSet::new());
}
