//! The lock-free timer of v7.0 and later: return codes by context, deferred operations, and the fixes that it needed
//! before its release.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use timerace_kernel::world::*;
use timerace_kernel::{Fix, KernelVersion, World};

const OK: i64 = 0;
const ENOMEM: i64 = -12;
const EBUSY: i64 = -16;
const EINVAL: i64 = -22;
const EDEADLK: i64 = -35;
const EOPNOTSUPP: i64 = -95;
const ECANCELED: i64 = -125;

fn cancel_async(key: i64) -> Call {
    Call::TimerCancelAsync(timer(key))
}

fn one(k: KernelVersion, cpus: u16, init: ElemInit) -> (World, usize) {
    let mut w = world(k, cpus, MapKind::Array, 1);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
    w.maps[0].init = vec![(0, init)];
    (w, cb)
}

fn armed(cb: usize) -> ElemInit {
    ElemInit::Armed { after: Ns::fixed(1_000), callback: ProgId(cb as u32) }
}

/// A program of type TRACING in an interrupt of CPU 0.
fn interrupt(w: &mut World, nmi: bool, ops: Vec<Op>) {
    let p = prog(w, "spy", ProgKind::Tracing, ops);
    let body = Work::Body(Body::of(vec![run(p)]));
    let what = if nmi { Event::Nmi(body) } else { Event::Irq(body) };
    let source = Source { when: When::Anytime, what, at: LineId(0) };
    w.cpu_events.push(CpuEvents { cpu: 0, sources: vec![source], ..CpuEvents::default() });
}

#[test]
fn every_helper_but_cancel_works_in_interrupts() {
    let mut codes = vec![];
    for nmi in [false, true] {
        let (mut w, cb) = one(kernel("v7.0"), 1, ElemInit::Present);
        let ops = vec![
            ret(&[OK], init(0)),
            ret(&[EBUSY], init(0)),
            ret(&[OK], set_callback(0, cb)),
            ret(&[OK], start(0, 10)),
            ret(&[EOPNOTSUPP], cancel(0)),
            ret(&[ECANCELED], cancel_async(0)),
        ];
        interrupt(&mut w, nmi, ops);
        codes.push(findings(&w));
        // Up to v6.19 nothing but map operations did in an NMI.
        let mut old = w.clone();
        old.kernel = kernel("v6.19");
        old.progs.last_mut().unwrap().body.ops.truncate(5);
        for op in &mut old.progs.last_mut().unwrap().body.ops {
            if let OpKind::Call { returns, .. } = &mut op.kind {
                *returns = Returns::OneOf(vec![EOPNOTSUPP]);
            }
        }
        assert_eq!(findings(&old).is_empty(), nmi, "v6.19, NMI: {nmi}");
    }
    assert_eq!(codes, [none(), none()]);
}

#[test]
fn a_command_that_cannot_be_had_gives_the_reference_back() {
    let (mut w, _) = one(kernel("v7.0"), 1, ElemInit::Present);
    w.maps[0] = map("timers", MapKind::Hash, 1);
    w.maps[0].init = vec![(0, armed(0))];
    interrupt(&mut w, true, vec![ret(&[ENOMEM], start(0, 10)), ret(&[ENOMEM], cancel_async(0))]);
    task(&mut w, "deleter", 0, vec![call(delete(0))]);
    // After the delete there is no element, and then no call.
    w.faults.push(Fault::Enomem {
        function: "bpf_async_schedule_op".into(),
        nth: vec![],
        at: LineId(0),
    });
    assert_eq!(findings(&w), none());
}

#[test]
fn a_delete_in_an_nmi_cancels_and_frees() {
    for full in [false, true] {
        let (mut w, _) = one(kernel("v7.0"), 1, ElemInit::Present);
        w.maps[0] = map("timers", MapKind::Hash, 1);
        w.maps[0].init = vec![(0, armed(0))];
        interrupt(&mut w, true, vec![ret(&[OK], delete(0))]);
        if full {
            let function = "bpf_async_schedule_op".into();
            w.faults.push(Fault::Enomem { function, nth: vec![], at: LineId(0) });
        }
        assert_eq!(findings(&w), none());
    }
}

#[test]
fn cancel_waits_and_cancel_async_does_not() {
    let (mut w, cb) = one(kernel("v7.0"), 2, ElemInit::Present);
    w.maps[0].init = vec![(0, armed(cb))];
    w.progs[cb].body.ops = vec![op(OpKind::Work(Ns::fixed(1)))];
    let p = prog(&mut w, "stop", ProgKind::Syscall, vec![ret(&[-1, 0, 1], cancel_async(0))]);
    task(&mut w, "stop", 1, vec![run(p)]);
    assert_eq!(findings(&w), none());
    // Each of the three can be had.
    for code in [-1, 0, 1] {
        let rest: Vec<i64> = [-1, 0, 1].into_iter().filter(|c| *c != code).collect();
        w.progs[p].body.ops = vec![ret(&rest, cancel_async(0))];
        assert_eq!(findings(&w).len(), 1, "{code}");
    }
    w.progs[p].body.ops = vec![ret(&[0, 1], cancel(0))];
    assert_eq!(findings(&w), none());
}

/// R18 and R19: a program on the tracepoint in hrtimer_start() starts the timer.
fn traced_start(k: KernelVersion) -> World {
    let (mut w, cb) = one(k, 1, ElemInit::Initialised);
    let p = prog(
        &mut w,
        "start",
        ProgKind::Syscall,
        vec![call(set_callback(0, cb)), call(start(0, 1_000))],
    );
    let spy = prog(&mut w, "spy", ProgKind::Tracing, vec![ret(&[OK, EDEADLK], start(0, 1_000))]);
    w.progs[spy].attach = Some(Attach::TpBtf("hrtimer_start".into()));
    task(&mut w, "starter", 0, vec![run(p)]);
    w
}

#[test]
fn r18_a_start_with_interrupts_off_takes_the_lock_that_is_held() {
    let found = findings(&traced_start(kernel("v7.0").without(Fix::DeferIrqsOff)));
    assert!(found.iter().all(|f| f.starts_with("SELF_DEADLOCK bpf_timer_start")), "{found:?}");
    assert_eq!(found.len(), 1);
    assert_eq!(findings(&traced_start(kernel("v7.0"))), none());
}

#[test]
fn r19_a_deferred_start_makes_another_one_for_ever() {
    let w = traced_start(kernel("v7.0").without(Fix::AsyncRecursionCheck));
    let found = first_finding(&w);
    let want = "SPIN_UNBOUNDED bpf_async_irq_worker bpf_async_irq_worker";
    assert_eq!(found, want);
}

/// R20: an NMI deletes an element while call_rcu_tasks_trace() is under its lock.
fn free_in_nmi(k: KernelVersion) -> World {
    let mut w = world(k, 1, MapKind::Hash, 2);
    w.maps[0].init = vec![(0, ElemInit::Initialised), (1, ElemInit::Initialised)];
    interrupt(&mut w, true, vec![ret(&[OK], delete(1))]);
    task(&mut w, "deleter", 0, vec![call(delete(0))]);
    let function = "bpf_async_schedule_op".into();
    w.faults.push(Fault::Enomem { function, nth: vec![], at: LineId(0) });
    w
}

#[test]
fn r20_the_last_reference_goes_inside_call_rcu_tasks_trace() {
    let found = findings(&free_in_nmi(kernel("v7.0").without(Fix::RcuNotIrqsOff)));
    assert!(found.iter().any(|f| f.starts_with("SELF_DEADLOCK")), "{found:?}");
    assert_eq!(findings(&free_in_nmi(kernel("v7.0"))), none());
}

/// Two CPUs that change program and callback at the same time.
fn two_updates(k: KernelVersion) -> World {
    let (mut w, cb) = one(k, 2, ElemInit::Initialised);
    w.maps[0].init = vec![(0, armed(cb))];
    for cpu in 0..2 {
        let p = prog(&mut w, "stop", ProgKind::Syscall, vec![ret(&[0, 1], cancel(0))]);
        task(&mut w, "stop", cpu, vec![run(p)]);
    }
    w
}

#[test]
fn without_the_exchange_a_program_is_put_twice() {
    let found = findings(&two_updates(kernel("v7.0").without(Fix::LockFreeUpdate)));
    assert!(found.iter().any(|f| f.starts_with("REFCOUNT")), "{found:?}");
    assert_eq!(findings(&two_updates(kernel("v7.0"))), none());
}

#[test]
fn random_schedules_of_a_deferred_start_reach_nothing_new() {
    let (mut w, cb) = one(kernel("v7.0"), 2, ElemInit::Present);
    w.maps[0].init = vec![(0, armed(cb))];
    let ops = vec![ret(&[OK, EINVAL], start(0, 10))];
    interrupt(&mut w, true, ops);
    let p = prog(&mut w, "stop", ProgKind::Syscall, vec![ret(&[0, 1], cancel(0))]);
    task(&mut w, "stop", 1, vec![run(p)]);
    random_runs_agree(&w, 2_000);
}

/// A program on a hardware counter starts the timer, beside a task that cancels it.
fn sampled(k: KernelVersion) -> World {
    let (mut w, cb) = one(k, 1, ElemInit::Present);
    w.maps[0].init = vec![(0, armed(cb))];
    let spy = prog(&mut w, "spy", ProgKind::PerfEvent, vec![ret(&[OK, EINVAL], start(0, 10))]);
    w.progs[spy].attach = Some(Attach::PerfEvent(Ns::fixed(1_000)));
    let p = prog(&mut w, "stop", ProgKind::Syscall, vec![ret(&[0, 1], cancel(0))]);
    task(&mut w, "stop", 0, vec![run(p)]);
    w
}

#[test]
fn a_counter_that_overflows_is_an_nmi_on_each_busy_cpu() {
    let w = sampled(kernel("v7.0"));
    assert_eq!(findings(&w), none());
    let mut fails = w.clone();
    let spy = fails.progs.iter().position(|p| p.name == "spy").unwrap();
    fails.progs[spy].body.ops = vec![ret(&[EOPNOTSUPP], cancel(0))];
    assert_eq!(findings(&fails), none(), "it runs in an NMI");
    fails.progs[spy].body.ops = vec![ret(&[0, 1], cancel(0))];
    assert_eq!(findings(&fails).len(), 1);
    // v5.16 to v6.19 load no such program.
    let refused = timerace_kernel::boot(&sampled(kernel("v6.19")), false);
    assert!(matches!(refused, Err(timerace_kernel::BootError::Refused { .. })));
}
