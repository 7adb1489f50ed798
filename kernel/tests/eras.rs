//! What changed between v6.10 and v6.19, each change with and without its commit.

mod common;
use common::*;
use timerace_kernel::world::*;
use timerace_kernel::{Fix, KernelVersion, World};

fn without(k: &str, fix: Fix) -> KernelVersion {
    kernel(k).without(fix)
}

/// Map 0 has one bucket and an armed timer; its callback deletes another key while a task on CPU 1 does `change`.
fn bucket_wait(k: KernelVersion, change: Call, codes: &[i64]) -> World {
    let mut w = world(k, 2, MapKind::Hash, 1);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![ret(codes, delete(1))]);
    let armed = ElemInit::Armed { after: Ns::fixed(1_000), callback: ProgId(cb as u32) };
    w.maps[0].init = vec![(0, armed)];
    task(&mut w, "changer", 1, vec![any(change)]);
    w
}

#[test]
fn lookup_and_delete_frees_after_the_bucket_is_unlocked() {
    let change = || Call::MapLookupAndDelete(elem(0));
    let dead = "DEADLOCK bpf_timer_cancel_and_free htab_map_delete_elem";
    for k in [kernel("v6.13"), kernel("v6.12.117"), without("v6.14", Fix::LookupDeleteAfterUnlock)]
    {
        let found = findings(&bucket_wait(k, change(), &[0, -2]));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [dead], "{k}");
    }
    for k in [kernel("v6.14"), with("v6.13", Fix::LookupDeleteAfterUnlock)] {
        assert_eq!(findings(&bucket_wait(k, change(), &[0, -2])), none(), "{k}");
    }
}

/// The replacement of a preallocated element still waits under the bucket lock; from v6.15 on the callback gives up.
#[test]
fn an_rqspinlock_gives_up_where_a_raw_spinlock_waits_for_ever() {
    let dead = "DEADLOCK bpf_timer_cancel_and_free htab_map_delete_elem";
    for k in [kernel("v6.14"), without("v6.15", Fix::RqspinlockBuckets)] {
        let found = findings(&bucket_wait(k, update(0), &[0, -2]));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [dead], "{k}");
    }
    for k in ["v6.15", "v6.18", "v6.19"].map(kernel) {
        assert_eq!(findings(&bucket_wait(k, update(0), &[0, -2, -110])), none(), "{k}");
        // The time-out is met: it is what the promise of a return code would have to name.
        let found = findings(&bucket_wait(k, update(0), &[0, -2]));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["WRONG_ERRNO cb cb"], "{k}");
    }
    // An update that fails leaves the lock alone: what comes next gets it.
    let mut w = bucket_wait(kernel("v6.15"), update(0), &[0, -2, -110]);
    w.tasks[0].body.ops.push(call(update(0)));
    assert_eq!(findings(&w), none());
}

/// R14: the victim's timer is cancelled under the LRU lock; up to v6.13 under that of its bucket too.
fn eviction(k: KernelVersion, in_callback: Call) -> World {
    let mut w = world(k, 2, MapKind::LruHash, 1);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![any(in_callback)]);
    let armed = ElemInit::Armed { after: Ns::fixed(1_000), callback: ProgId(cb as u32) };
    w.maps[0].init = vec![(0, armed)];
    task(&mut w, "inserter", 1, vec![any(update(1))]);
    w
}

#[test]
fn an_eviction_frees_after_the_bucket_is_unlocked_but_under_the_lru_lock() {
    let bucket = "DEADLOCK bpf_timer_cancel_and_free htab_lru_map_delete_elem";
    let lru = "DEADLOCK bpf_lru_pop_free bpf_timer_cancel_and_free";
    for k in [kernel("v6.13"), kernel("v6.12.117"), without("v6.14", Fix::LruFreeAfterBucketUnlock)]
    {
        // A delete of a key that is absent wants only the bucket.
        let found = findings(&eviction(k, delete(7)));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [bucket], "{k}");
    }
    for k in [kernel("v6.14"), with("v6.13", Fix::LruFreeAfterBucketUnlock)] {
        assert_eq!(findings(&eviction(k, delete(7))), none(), "{k}");
        assert!(findings(&eviction(k, update(2))).contains(lru), "{k}");
    }
}
