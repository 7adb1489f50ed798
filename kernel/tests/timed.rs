//! Timed runs: what each operation of a sequence returns, and in which order callbacks run. The sequences are those that
//! were recorded on real kernels.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use timerace_core::Nanos;
use timerace_core::timed::{TimedEnd, TimedOptions, Unwatched, run_timed};
use timerace_kernel::log::Logged;
use timerace_kernel::world::*;
use timerace_kernel::{KernelVersion, World, boot};

const MS: u64 = 1_000_000;
const EPERM: i64 = -1;
const ENOENT: i64 = -2;
const E2BIG: i64 = -7;
const EBUSY: i64 = -16;
const EEXIST: i64 = -17;
const EINVAL: i64 = -22;
const EDEADLK: i64 = -35;

/// Runs a world until one virtual second; no finding is tolerated.
fn timed(w: &World) -> Logged {
    let (machine, kernel) = boot(w, true).unwrap();
    kernel.log().begin();
    let options = TimedOptions {
        seed: 7,
        until: Some(Nanos(1_000 * MS)),
        max_steps: 1_000_000,
        ..TimedOptions::default()
    };
    let (run, exec) = run_timed(&machine, &kernel, &options, &mut Unwatched);
    assert_ne!(run.ended, TimedEnd::StepLimit);
    drop(exec);
    let findings = machine.with_mem(|m| m.findings(machine.names()));
    assert!(findings.is_empty(), "{findings:?}");
    kernel.log().take()
}

/// One program that makes these calls one after the other, run by a task.
fn sequence(mut w: World, calls: Vec<Call>) -> Vec<Option<i64>> {
    let n = calls.len();
    let ops = calls.into_iter().enumerate();
    let ops = ops.map(|(i, c)| Op { at: LineId(i as u32 + 1), ..any(c) }).collect();
    let p = prog(&mut w, "seq", ProgKind::Tc, ops);
    task(&mut w, "user", 0, vec![run(p)]);
    let log = timed(&w);
    let of = |i: usize| log.ops.iter().find(|o| o.at == LineId(i as u32 + 1)).unwrap().ret;
    (0..n).map(of).collect()
}

fn hash(k: &str) -> World {
    let mut w = world(kernel(k), 1, MapKind::Hash, 4);
    prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
    w
}

fn flagged(flag: UpdateFlag) -> Call {
    Call::MapUpdate { elem: elem(0), flag, value: Some(Operand::Int(5)) }
}

#[test]
fn codes_of_a_timer_that_was_never_initialised() {
    for k in ["v5.15", "v6.1", "v6.6", "v6.7", "v6.9", "v6.1.192"] {
        let calls = vec![start(0, 1), update(0), start(0, 1), set_callback(0, 0), cancel(0)];
        let inval = Some(EINVAL);
        assert_eq!(sequence(hash(k), calls), [None, Some(0), inval, inval, inval], "{k}");
    }
}

#[test]
fn codes_of_init() {
    let bad = |clock| Call::TimerInit(timer(0), clock);
    let calls = vec![update(0), bad(2), bad(16), bad(17), bad(0), bad(7), init(0)];
    let ret: Vec<i64> = sequence(hash("v6.9"), calls).into_iter().flatten().collect();
    assert_eq!(ret, [0, EINVAL, EINVAL, EINVAL, 0, EBUSY, EBUSY]);
}

#[test]
fn start_takes_the_flags_of_its_version() {
    let flags = |k: &str| -> Vec<u64> {
        let armed = |f| Call::TimerStart(timer(0), Nsecs::Of(Ns::fixed(500 * MS)), f);
        let mut calls = vec![update(0), init(0), set_callback(0, 0)];
        calls.extend([0, 1, 2, 3, 4, 1 << 63].map(armed));
        let ret = sequence(hash(k), calls);
        let taken = [0, 1, 2, 3, 4, 1 << 63].into_iter().zip(&ret[3..]);
        taken.filter(|(_, r)| **r == Some(0)).map(|(f, _)| f).collect()
    };
    assert_eq!(flags("v6.3"), [0]);
    assert_eq!(flags("v6.1.192"), [0]);
    assert_eq!(flags("v6.4"), [0, 1]);
    assert_eq!(flags("v6.7"), [0, 1, 2, 3]);
}

#[test]
fn cancel_drops_the_callback_and_keeps_the_timer() {
    let hour = 3_600_000 * MS;
    let calls = vec![
        update(0),
        init(0),
        set_callback(0, 0),
        start(0, hour),
        cancel(0),
        cancel(0),
        start(0, hour),
        init(0),
        set_callback(0, 0),
        start(0, hour),
    ];
    let ret: Vec<i64> = sequence(hash("v6.9"), calls).into_iter().flatten().collect();
    assert_eq!(ret, [0, 0, 0, 0, 1, 0, EINVAL, EBUSY, 0, 0]);
}

#[test]
fn an_overwrite_frees_the_timer_and_a_failed_one_does_not() {
    let mut array = world(kernel("v6.9"), 1, MapKind::Array, 4);
    prog(&mut array, "cb", ProgKind::TimerCb, vec![]);
    let mut lru = world(kernel("v6.9"), 1, MapKind::LruHash, 4);
    prog(&mut lru, "cb", ProgKind::TimerCb, vec![]);
    let mut fresh = hash("v6.9");
    fresh.maps[0].flags.no_prealloc = true;
    for w in [hash("v6.0"), hash("v6.9"), array, lru, fresh] {
        let calls = vec![
            update(0),
            init(0),
            flagged(UpdateFlag::NoExist),
            init(0),
            flagged(UpdateFlag::Exist),
            init(0),
        ];
        let ret: Vec<i64> = sequence(w, calls).into_iter().flatten().collect();
        assert_eq!(ret, [0, 0, EEXIST, EBUSY, 0, 0]);
    }
}

#[test]
fn codes_of_map_operations() {
    let calls = vec![
        flagged(UpdateFlag::Exist),
        flagged(UpdateFlag::Lock),
        flagged(UpdateFlag::Other(8)),
        update(0),
        update(1),
        update(2),
        update(3),
        update(4),
        delete(3),
        update(4),
        delete(3),
    ];
    let ret: Vec<i64> = sequence(hash("v6.9"), calls.clone()).into_iter().flatten().collect();
    assert_eq!(ret, [ENOENT, EINVAL, EINVAL, 0, 0, 0, 0, E2BIG, 0, 0, ENOENT]);
    let mut fresh = hash("v6.9");
    fresh.maps[0].flags.no_prealloc = true;
    assert_eq!(sequence(fresh, calls).into_iter().flatten().collect::<Vec<_>>(), ret);
    let array = world(kernel("v6.9"), 1, MapKind::Array, 4);
    let ret: Vec<_> = sequence(array, vec![delete(0), update(4)]).into_iter().flatten().collect();
    assert_eq!(ret, [EINVAL, E2BIG]);
}

/// A callback with these calls, on the timer of key 0 that expires after 1 ms.
fn in_callback(k: KernelVersion, calls: Vec<Call>) -> (Vec<Option<i64>>, usize) {
    let mut w = world(k, 1, MapKind::Hash, 4);
    let ops = calls.iter().cloned().enumerate();
    let ops = ops.map(|(i, c)| Op { at: LineId(i as u32 + 1), ..any(c) }).collect();
    let cb = ProgId(prog(&mut w, "cb", ProgKind::TimerCb, ops) as u32);
    let armed = ElemInit::Armed { after: Ns::fixed(MS), callback: cb };
    w.maps[0].init = vec![(0, armed), (1, ElemInit::Initialised)];
    task(&mut w, "user", 0, vec![op(OpKind::Sleep(Ns::fixed(100 * MS)))]);
    let log = timed(&w);
    let of = |i: usize| log.ops.iter().find(|o| o.at == LineId(i as u32 + 1)).unwrap().ret;
    ((0..calls.len()).map(of).collect(), log.callbacks.len())
}

#[test]
fn a_callback_cannot_cancel_its_own_timer() {
    // It stays armed if it was armed again before: it runs again, and is not armed a third time.
    let again = Call::TimerStart(own_timer(), Nsecs::Of(Ns::fixed(2_000 * MS)), 0);
    for k in ["v5.15", "v6.9"] {
        let (ret, runs) = in_callback(kernel(k), vec![again.clone(), cancel(0)]);
        assert_eq!((ret, runs), (vec![Some(0), Some(EDEADLK)], 1), "{k}");
    }
}

#[test]
fn a_callback_that_deletes_its_element_loses_its_timer() {
    let own = Call::TimerStart(own_timer(), Nsecs::Of(Ns::fixed(MS)), 0);
    let (ret, runs) = in_callback(kernel("v6.9"), vec![delete(0), own, delete(0)]);
    assert_eq!((ret, runs), (vec![Some(0), Some(EINVAL), Some(ENOENT)], 1));
}

#[test]
fn init_after_the_last_user_reference() {
    // The program keeps the map alive; its timers are gone, and no new one can be made until the map is opened again.
    for k in ["v5.15", "v6.6", "v6.7", "v6.9"] {
        let mut w = world(kernel(k), 1, MapKind::Array, 1);
        let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
        let calls = [init(0), set_callback(0, cb), start(0, 3_600_000 * MS)];
        let arm = prog(&mut w, "arm", ProgKind::Tc, calls.map(any).to_vec());
        let late = |n| Op { at: LineId(n), ..any(init(0)) };
        let first = prog(&mut w, "first", ProgKind::Tc, vec![late(1)]);
        let second = prog(&mut w, "second", ProgKind::Tc, vec![late(2)]);
        let m = MapId(0);
        let load = |p: usize| call(Call::ProgLoad(ProgId(p as u32)));
        let ops = vec![
            call(Call::MapCreate(m)),
            load(arm),
            load(first),
            load(second),
            run(arm),
            call(Call::Close(FdRef::Map(m))),
            run(first),
            call(Call::MapGetFdById(m)),
            run(second),
        ];
        task(&mut w, "user", 0, ops);
        let log = timed(&w);
        let of = |n| log.ops.iter().find(|o| o.at == LineId(n)).unwrap().ret;
        assert_eq!((of(1), of(2)), (Some(EPERM), Some(0)), "{k}");
    }
}

#[test]
fn a_program_lives_as_long_as_a_timer_has_it() {
    let mut w = world(kernel("v6.9"), 1, MapKind::Hash, 4);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
    let calls = [init(0), set_callback(0, cb), start(0, 3_600_000 * MS)];
    let arm = ProgId(prog(&mut w, "arm", ProgKind::Tc, calls.map(any).to_vec()) as u32);
    w.maps[0].init = vec![(0, ElemInit::Present)];
    let exists = |n| Op { at: LineId(n), ..call(Call::ProgExistsById(arm)) };
    let ops = vec![
        call(Call::ProgLoad(arm)),
        run(arm.index()),
        call(Call::Close(FdRef::Prog(arm))),
        exists(1),
        call(delete(0)),
        exists(2),
    ];
    task(&mut w, "user", 0, ops);
    let log = timed(&w);
    let of = |n| log.ops.iter().find(|o| o.at == LineId(n)).unwrap().ret;
    assert_eq!((of(1), of(2)), (Some(1), Some(0)));
}

#[test]
fn callbacks_run_in_the_order_of_expiry_and_monotonic_before_boottime() {
    let mut w = world(kernel("v6.9"), 1, MapKind::Array, 4);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
    let mut calls = Vec::new();
    // Expiry times before the start of the run: all four are due in one pass.
    for (key, clock, at) in [(0, 7, 1), (1, 1, 30), (2, 1, 20), (3, 7, 2)] {
        calls.push(call(Call::TimerInit(timer(key), clock)));
        calls.push(call(set_callback(key, cb)));
        calls.push(call(Call::TimerStart(timer(key), Nsecs::Of(Ns::fixed(at)), 1)));
    }
    let p = prog(&mut w, "arm", ProgKind::Tc, calls);
    task(&mut w, "user", 0, vec![run(p)]);
    let keys: Vec<u64> = timed(&w).callbacks.iter().map(|c| c.key).collect();
    assert_eq!(keys, [2, 1, 0, 3]);
}

#[test]
fn a_timer_started_with_zero_for_ever_gets_a_pass_of_its_own_each_time() {
    let mut w = world(kernel("v6.9"), 1, MapKind::Array, 1);
    let again = Call::TimerStart(own_timer(), Nsecs::Of(Ns::fixed(0)), 0);
    let few = Cond::Cmp(Operand::RunNumber, CmpOp::Lt, Operand::Int(5));
    let body = op(OpKind::If { cond: few, then: vec![call(again)], otherwise: vec![] });
    let cb = ProgId(prog(&mut w, "cb", ProgKind::TimerCb, vec![body]) as u32);
    w.maps[0].init = vec![(0, ElemInit::Armed { after: Ns::fixed(MS), callback: cb })];
    let log = timed(&w);
    assert_eq!(log.callbacks.len(), 5);
    assert!(log.callbacks.windows(2).all(|c| c[0].time < c[1].time));
}

#[test]
fn a_negative_absolute_time_waits_for_another_timer() {
    let mut w = world(kernel("v6.9"), 1, MapKind::Array, 3);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
    let mut calls = Vec::new();
    for (key, at, flags) in [(0, 1 << 63, 1), (1, 5 * MS, 0), (2, 1 << 63, 0)] {
        calls.push(call(init(key)));
        calls.push(call(set_callback(key, cb)));
        calls.push(call(Call::TimerStart(timer(key), Nsecs::Of(Ns::fixed(at)), flags)));
    }
    let p = prog(&mut w, "arm", ProgKind::Tc, calls);
    task(&mut w, "user", 0, vec![run(p)]);
    let keys: Vec<u64> = timed(&w).callbacks.iter().map(|c| c.key).collect();
    assert_eq!(keys, [1, 0]);
}

#[test]
fn a_task_goes_from_cpu_to_cpu_and_its_timers_with_it() {
    let mut w = world(kernel("v6.9"), 3, MapKind::Array, 3);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
    let arm = |w: &mut World, key| {
        let ops = [init(key), set_callback(key, cb), start(key, MS)].map(call);
        prog(w, "arm", ProgKind::Tc, ops.to_vec())
    };
    let progs: Vec<usize> = (0..3).map(|k| arm(&mut w, k)).collect();
    let mut ops = Vec::new();
    for (cpu, p) in [2, 0, 1].into_iter().zip(progs) {
        ops.push(op(OpKind::SetCpu(cpu)));
        ops.push(run(p));
    }
    task(&mut w, "user", 1, ops);
    let mut runs: Vec<_> = timed(&w).callbacks.iter().map(|c| (c.key, c.cpu.0)).collect();
    runs.sort_unstable();
    assert_eq!(runs, [(0, 2), (1, 0), (2, 1)]);
}

/// A world with one timer that expires after 1 ms on CPU 0, and these sources there.
fn with_sources(sources: Vec<Source>) -> Logged {
    let mut w = world(kernel("v6.9"), 1, MapKind::Array, 1);
    let cb = ProgId(prog(&mut w, "cb", ProgKind::TimerCb, vec![]) as u32);
    w.maps[0].init = vec![(0, ElemInit::Armed { after: Ns::fixed(MS), callback: cb })];
    w.cpu_events.push(CpuEvents { cpu: 0, sources, ..CpuEvents::default() });
    timed(&w)
}

#[test]
fn a_softirq_delays_a_callback_and_an_interrupt_prolongs_it() {
    let late = |sources: Vec<Source>| with_sources(sources).callbacks[0].time.0 - MS;
    let at = |ns, what| Source { when: When::At(Ns::fixed(ns)), what, at: LineId(0) };
    let takes = |us: u64| Work::Takes(Ns::fixed(us * 1_000));
    let alone = late(vec![]);
    assert!(alone < 5_000, "{alone}");
    let rx = at(MS - 10_000, Event::Softirq("NET_RX".into(), takes(500)));
    let behind = late(vec![rx.clone()]);
    assert!((490_000..500_000).contains(&behind), "{behind}");
    let irq = at(MS + 100_000, Event::Irq(takes(50)));
    let longer = late(vec![rx, irq]);
    assert!((540_000..555_000).contains(&longer), "{longer}");
}

#[test]
fn a_packet_runs_its_program_and_a_step_comes_at_its_time() {
    let mut w = world(kernel("v6.9"), 1, MapKind::Array, 1);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
    let arm = [init(0), set_callback(0, cb), start(0, MS)].map(call).to_vec();
    let arm = ProgId(prog(&mut w, "arm", ProgKind::Xdp, arm) as u32);
    let stop = prog(&mut w, "stop", ProgKind::Tc, vec![ret(&[1], cancel(0))]);
    let step = Event::Step(Body::of(vec![run(stop)]));
    let source = |at, what| Source { when: When::At(Ns::fixed(at)), what, at: LineId(0) };
    let sources = vec![source(MS, Event::Packet(arm)), source(MS + MS / 2, step)];
    w.cpu_events.push(CpuEvents { cpu: 0, sources, ..CpuEvents::default() });
    let log = timed(&w);
    assert_eq!(log.callbacks, []);
    assert_eq!(log.ops.last().unwrap().ret, Some(0), "the run of the program that cancels");
}

#[test]
fn equal_worlds_make_equal_runs() {
    let digest = || {
        let mut w = world(kernel("v6.9"), 2, MapKind::Hash, 4);
        let again = Call::TimerStart(own_timer(), Nsecs::Of(Ns { min: 1_000, max: 90_000 }), 0);
        let cb = ProgId(prog(&mut w, "cb", ProgKind::TimerCb, vec![call(again)]) as u32);
        let armed = ElemInit::Armed { after: Ns::fixed(MS), callback: cb };
        w.maps[0].init = (0..4).map(|k| (k, armed)).collect();
        let (machine, kernel) = boot(&w, true).unwrap();
        let options = TimedOptions {
            seed: 3,
            expiries: Some(1_000),
            max_steps: 1_000_000,
            ..TimedOptions::default()
        };
        let (run, _) = run_timed(&machine, &kernel, &options, &mut Unwatched);
        // A self re-arming callback takes at most 20 steps.
        assert!(run.steps <= 20 * run.expiries, "{} steps", run.steps);
        (run.digest, kernel.timer_names())
    };
    let (a, b) = (digest(), digest());
    assert_eq!(a, b);
    let mut names = a.1;
    names.sort();
    assert_eq!(names, ["timers[0]", "timers[1]", "timers[2]", "timers[3]"]);
}
