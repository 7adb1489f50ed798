//! Programs on tracepoints: where they run, and what they run into.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use timerace_kernel::World;
use timerace_kernel::world::*;

/// Two timers, initialised, of which the first is armed by a task; `spy` runs at the attachment.
fn traced(kernel_text: &str, attach: Attach, spy: Vec<Op>) -> World {
    let mut w = world(kernel(kernel_text), 2, MapKind::Array, 2);
    w.maps[0].init = vec![(0, ElemInit::Initialised), (1, ElemInit::Initialised)];
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![op(OpKind::Work(Ns::fixed(1)))]);
    let ops = vec![any(set_callback(0, cb)), any(set_callback(1, cb)), any(start(0, 10))];
    let arm = prog(&mut w, "arm", ProgKind::Syscall, ops);
    let at = prog(&mut w, "spy", ProgKind::Tracing, spy);
    w.progs[at].attach = Some(attach);
    task(&mut w, "armer", 0, vec![run(arm)]);
    w
}

fn tp(name: &str) -> Attach {
    Attach::TpBtf(name.into())
}

#[test]
fn the_start_tracepoint_is_inside_both_locks() {
    let same = "SELF_DEADLOCK bpf_timer_start bpf_timer_start";
    for key in [0, 1] {
        let w = traced("v6.9", tp("hrtimer_start"), vec![any(start(key, 10))]);
        assert_eq!(findings(&w).into_iter().collect::<Vec<_>>(), [same], "timer {key}");
    }
    // An idle timer is cancelled without the lock of the base: hrtimer_active() says so. But a timer's lock is taken under
    // that of the base, which a start takes under a timer's lock.
    let w = traced("v6.9", tp("hrtimer_start"), vec![any(cancel(1))]);
    let order = "LOCK_ORDER bpf_timer_cancel bpf_timer_start";
    assert_eq!(findings(&w).into_iter().collect::<Vec<_>>(), [order]);
}

#[test]
fn the_expiry_tracepoints_are_outside_of_the_base_lock() {
    for point in ["hrtimer_expire_entry", "hrtimer_expire_exit"] {
        let w = traced("v6.9", tp(point), vec![any(init(1))]);
        assert_eq!(findings(&w), none(), "{point}");
        // Not in the callback as far as bpf_timer knows, but the base says that the timer runs.
        let w = traced("v6.9", tp(point), vec![any(cancel(0))]);
        let dead = "SELF_DEADLOCK bpf_timer_cancel bpf_timer_cancel";
        assert_eq!(findings(&w).into_iter().collect::<Vec<_>>(), [dead], "{point}");
    }
}

#[test]
fn a_program_is_attached_while_its_link_is_open() {
    let mut w = traced("v6.9", tp("hrtimer_start"), vec![any(start(0, 10))]);
    let (spy, fd) = (ProgId(2), LocalId(0));
    let link = Call::LinkCreate(spy);
    let link = op(OpKind::Call { call: link, returns: Returns::Success, bind: Some(fd) });
    w.tasks[0].body = Body { ops: vec![call(Call::ProgLoad(spy)), link], locals: vec!["l".into()] };
    let mut open = w.clone();
    open.tasks[0].body.ops.push(run(1));
    assert!(!findings(&open).is_empty());
    w.tasks[0].body.ops.extend([call(Call::Close(FdRef::Local(fd))), run(1)]);
    assert_eq!(findings(&w), none());
}

#[test]
fn a_point_that_the_model_does_not_have_is_refused() {
    let w = traced("v6.9", tp("sched_switch"), vec![]);
    let e = timerace_kernel::boot(&w, false).unwrap_err();
    assert_eq!(e.to_string(), "a program on tp_btf(\"sched_switch\") is not modelled yet");
}

/// What the sections with a lock of their own declare is what they touch.
#[test]
fn random_schedules_find_nothing_new() {
    for point in ["hrtimer_start", "hrtimer_cancel", "hrtimer_expire_entry"] {
        let spy = vec![any(cancel(1))];
        let mut w = traced("v6.9", tp(point), spy);
        let again = prog(&mut w, "again", ProgKind::Syscall, vec![any(start(0, 20))]);
        task(&mut w, "other", 1, vec![run(again)]);
        random_runs_agree(&w, 1_000);
    }
}
