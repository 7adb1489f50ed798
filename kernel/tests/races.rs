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
