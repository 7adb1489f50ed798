//! PREEMPT_RT: softirqs in threads, and who waits for them.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use timerace_kernel::world::*;
use timerace_kernel::{Fix, KernelVersion, World};

/// A task replaces an element whose timer may be running on another CPU.
fn replaced(k: KernelVersion) -> World {
    let mut w = world(k, 2, MapKind::Hash, 1);
    w.machine.preempt = Preempt::Rt;
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![op(OpKind::Work(Ns::fixed(1)))]);
    let armed = ElemInit::Armed { after: Ns::fixed(1_000), callback: ProgId(cb as u32) };
    w.maps[0].init = vec![(0, armed)];
    task(&mut w, "changer", 1, vec![call(update(0))]);
    w
}

#[test]
fn a_sleeping_lock_is_taken_under_a_raw_one() {
    let sleep = "SLEEP_IN_ATOMIC bpf_timer_cancel_and_free bpf_timer_cancel_and_free";
    let found = findings(&replaced(kernel("v6.13")));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [sleep]);
    assert_eq!(findings(&replaced(with("v6.13", Fix::RtTwoStepCancel))), none());
    assert_eq!(findings(&replaced(kernel("v6.14"))), none());
    let mut elsewhere = replaced(kernel("v6.13"));
    elsewhere.machine.preempt = Preempt::Full;
    assert_eq!(findings(&elsewhere), none());
}

/// Cancel from a task sleeps until the callback is over, and then the callback is over.
#[test]
fn a_cancel_waits_for_the_thread() {
    for k in ["v6.1", "v6.13", "v6.16"] {
        let mut w = replaced(kernel(k));
        let ops = vec![ret(&[0, 1, -35], cancel(0))];
        let stop = prog(&mut w, "stop", ProgKind::Syscall, ops);
        w.tasks[0].body = Body::of(vec![run(stop)]);
        assert_eq!(findings(&w), none(), "{k}");
    }
}

#[test]
fn only_searches_know_it() {
    let mut w = replaced(kernel("v6.13"));
    let e = timerace_kernel::boot(&w, true).unwrap_err();
    assert_eq!(e.to_string(), "a timed run of timers on PREEMPT_RT is not modelled yet");
    w.maps[0].init.clear();
    assert!(timerace_kernel::boot(&w, true).is_ok(), "there is no timer");
}

#[test]
fn random_schedules_find_nothing_new() {
    for k in ["v6.1", "v6.13", "v6.16"] {
        random_runs_agree(&replaced(kernel(k)), 500);
        let mut w = replaced(kernel(k));
        let stop = prog(&mut w, "stop", ProgKind::Syscall, vec![any(cancel(0))]);
        task(&mut w, "canceller", 0, vec![run(stop)]);
        random_runs_agree(&w, 1_000);
    }
}
