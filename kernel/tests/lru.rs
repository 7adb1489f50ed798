//! Which elements an LRU map keeps (the rules are those of the recordings `lru-evict-*`).

mod common;
use common::*;
use timerace_kernel::world::*;
use timerace_kernel::{Fix, KernelVersion, World};

/// Eight elements that programs have looked up, then eight new keys, all on one CPU of several: the keys that are left.
fn after_eight_more(k: KernelVersion, cpus: u16, max_entries: u32) -> Vec<i64> {
    let mut w = world(k, cpus, MapKind::LruHash, max_entries);
    let look = (0..8).map(|key| any(Call::MapLookup(elem(key)))).collect();
    let p = prog(&mut w, "look", ProgKind::Tc, look);
    let mut ops: Vec<Op> = (0..8).map(|key| call(update(key))).collect();
    ops.push(run(p));
    ops.extend((100..108).map(|key| call(update(key))));
    ops.push(Op { at: LineId(7), ..call(Call::MapKeys(MapRef::Map(MapId(0)))) });
    task(&mut w, "user", 0, ops);
    keys(&w)
}

fn keys(w: &World) -> Vec<i64> {
    let mut keys = data_of_line_7(w);
    keys.sort_unstable();
    keys
}

#[test]
fn a_full_map_forgets_all_at_once() {
    // A CPU takes up to 128 elements: the first new key evicts all eight.
    assert_eq!(after_eight_more(kernel("v6.1.192"), 4, 8), (100..108).collect::<Vec<_>>());
    assert_eq!(after_eight_more(kernel("v6.15"), 2, 8), (100..108).collect::<Vec<_>>());
}

#[test]
fn a_cpu_takes_its_share_of_a_small_map() {
    // Two at a time: key 100 costs one element, key 101 another one and key 100 itself.
    assert_eq!(after_eight_more(kernel("v6.18.44"), 2, 8), (101..108).collect::<Vec<_>>());
    assert_eq!(
        after_eight_more(with("v6.15", Fix::LruFreeTarget), 2, 8),
        after_eight_more(kernel("v6.16"), 2, 8)
    );
    // One at a time: as the recording of 6.12 on four CPUs has it.
    let mut left: Vec<i64> = (101..108).collect();
    left.insert(0, 6);
    assert_eq!(after_eight_more(kernel("v6.12.117"), 4, 8), left);
}

#[test]
fn a_map_that_is_not_full_keeps_all() {
    for k in ["v6.1", "v6.18"] {
        let all: Vec<i64> = (0..8).chain(100..108).collect();
        assert_eq!(after_eight_more(kernel(k), 2, 16), all, "{k}");
    }
}

/// An element that a system call looked up is no more used than the others.
#[test]
fn look_ups_of_user_space_do_not_count() {
    let kept = |by_program: bool| {
        let mut w = world(kernel("v6.1"), 1, MapKind::LruHash, 2);
        w.maps[0].flags.no_common_lru = true;
        let look = prog(&mut w, "look", ProgKind::Tc, vec![any(Call::MapLookup(elem(0)))]);
        let used = if by_program { run(look) } else { call(Call::MapLookup(elem(0))) };
        let mut ops = vec![call(update(0)), call(update(1)), used, call(update(2))];
        ops.push(Op { at: LineId(7), ..call(Call::MapKeys(MapRef::Map(MapId(0)))) });
        task(&mut w, "user", 0, ops);
        keys(&w)
    };
    assert_eq!(kept(true), [0, 2]);
    assert_eq!(kept(false), [2]);
}

/// With other CPUs' elements pending, an insertion steals one of them.
#[test]
fn an_insertion_steals_what_another_cpu_has_pending() {
    let mut w = world(kernel("v6.1"), 2, MapKind::LruHash, 2);
    w.maps[0].init = vec![(0, ElemInit::Present), (1, ElemInit::Present)];
    task(&mut w, "user", 1, vec![call(update(2))]);
    w.tasks[0].body.ops.push(Op { at: LineId(7), ..call(Call::MapKeys(MapRef::Map(MapId(0)))) });
    assert_eq!(keys(&w), [1, 2]);
    assert_eq!(findings(&w), none());
}

#[test]
fn random_schedules_find_nothing_new() {
    for k in ["v6.1", "v6.18"].map(kernel) {
        let mut w = world(k, 2, MapKind::LruHash, 2);
        w.maps[0].init = vec![(0, ElemInit::Initialised), (1, ElemInit::Present)];
        let p =
            prog(&mut w, "p", ProgKind::Tc, vec![any(Call::MapLookup(elem(0))), any(update(3))]);
        task(&mut w, "a", 0, vec![run(p)]);
        task(&mut w, "b", 1, vec![any(update(2))]);
        random_runs_agree(&w, 1_000);
    }
}

/// With a list for each CPU (BPF_F_NO_COMMON_LRU) the number of elements is rounded up, so that all have the same number.
#[test]
fn lists_of_their_own_have_the_same_number_of_elements() {
    let mut w = world(kernel("v6.12"), 2, MapKind::LruHash, 3);
    w.maps[0].flags.no_common_lru = true;
    task(&mut w, "user", 1, vec![call(update(0)), call(update(1))]);
    w.tasks[0].body.ops.push(Op { at: LineId(7), ..call(Call::MapKeys(MapRef::Map(MapId(0)))) });
    assert_eq!(keys(&w), [0, 1]);
}
