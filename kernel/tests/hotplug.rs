//! CPUs that go offline: where their timers go, in each version.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use timerace_kernel::world::*;
use timerace_kernel::{Fix, KernelVersion, World};

/// A task on CPU 1 starts some timers, maybe after the CPU has begun to go offline.
fn starts_on_a_dying_cpu(k: KernelVersion, timers: i64) -> World {
    let mut w = world(k, 2, MapKind::Array, 2);
    w.maps[0].init = vec![(0, ElemInit::Initialised), (1, ElemInit::Initialised)];
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![op(OpKind::Work(Ns::fixed(1)))]);
    let mut ops = Vec::new();
    for key in 0..timers {
        ops.extend([any(set_callback(key, cb)), any(start(key, 10))]);
    }
    let arm = prog(&mut w, "arm", ProgKind::Syscall, ops);
    task(&mut w, "armer", 1, vec![run(arm)]);
    let down = Source { when: When::Anytime, what: Event::CpuDown, at: LineId(0) };
    w.cpu_events.push(CpuEvents { cpu: 1, sources: vec![down], ..CpuEvents::default() });
    w
}

#[test]
fn a_timer_is_lost_between_the_two_commits() {
    let lost = |k: KernelVersion| {
        let found = findings(&starts_on_a_dying_cpu(k, 2));
        assert!(found.iter().all(|f| f.starts_with("LOST_TIMER")), "{found:?}");
        !found.is_empty()
    };
    assert!(!lost(kernel("v6.6")));
    assert!(lost(kernel("v6.7")));
    assert!(lost(with("v6.6", Fix::HrtimersDying)));
    assert!(!lost(kernel("v6.14")));
    assert!(!lost(with("v6.13", Fix::HrtimerMigrateDying)));
}

/// A timer that was moved can be cancelled, whoever looks for it while it moves.
#[test]
fn a_timer_that_moves_is_found() {
    for k in ["v6.6", "v6.13", "v6.19"] {
        let mut w = starts_on_a_dying_cpu(kernel(k), 1);
        let stop = prog(&mut w, "stop", ProgKind::Syscall, vec![ret(&[0, 1], cancel(0))]);
        task(&mut w, "canceller", 0, vec![run(stop)]);
        let found = findings(&w);
        assert!(found.iter().all(|f| f.starts_with("LOST_TIMER")), "{k}: {found:?}");
        assert_eq!(found.is_empty(), k != "v6.13", "{k}: {found:?}");
    }
}

#[test]
fn somebody_has_to_stay_online() {
    let mut w = starts_on_a_dying_cpu(kernel("v6.19"), 1);
    let down = w.cpu_events[0].clone();
    w.cpu_events.insert(0, CpuEvents { cpu: 0, ..down });
    let e = timerace_kernel::boot(&w, false).unwrap_err();
    assert_eq!(e.to_string(), "the last CPU going offline is not modelled yet");
    w.cpu_events.remove(0);
    w.cpu_events[0].sources[0].what = Event::CpuUp;
    let e = timerace_kernel::boot(&w, false).unwrap_err();
    assert_eq!(e.to_string(), "a CPU that comes online is not modelled yet");
}

#[test]
fn random_schedules_find_nothing_new() {
    for k in ["v6.6", "v6.13", "v6.19"] {
        random_runs_agree(&starts_on_a_dying_cpu(kernel(k), 2), 1_000);
    }
}
