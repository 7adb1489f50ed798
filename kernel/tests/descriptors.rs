//! What bpf(2) gives when the descriptor that it needs is closed, and batches that a map type does not have.

mod common;
use common::*;
use timerace_kernel::World;
use timerace_kernel::world::*;

const EBADF: i64 = -9;
const ENOTSUPP: i64 = -524;

const OUTER: MapId = MapId(0);

/// An outer map with two slots and an inner map, both created by the task, and what it then does.
fn nested(kind: MapKind, ops: Vec<Op>) -> World {
    let mut w = world(kernel("v6.12"), 1, kind, 2);
    w.maps[0].name = "outer".into();
    w.maps.push(map("outer[0]", MapKind::Array, 1));
    let mut all = vec![call(Call::MapCreate(MapId(1))), call(Call::MapCreate(OUTER))];
    all.extend(ops);
    task(&mut w, "user", 0, all);
    w
}

fn put(slot: i64, inner: u32) -> Call {
    let elem = ElemRef { map: MapRef::Map(OUTER), key: KeyRef::Int(slot) };
    let value = Some(Operand::Map(MapRef::Map(MapId(inner))));
    Call::MapUpdate { elem, flag: UpdateFlag::Any, value }
}

fn close(m: u32) -> Op {
    call(Call::Close(FdRef::Map(MapId(m))))
}

#[test]
fn a_slot_is_set_with_a_descriptor_that_is_open() {
    for kind in [MapKind::ArrayOfMaps, MapKind::HashOfMaps] {
        // The map is gone, or lives on in another slot: in neither case does the number name it.
        let gone = vec![close(1), ret(&[EBADF], put(0, 1))];
        let kept = vec![call(put(0, 1)), close(1), ret(&[EBADF], put(1, 1))];
        let dup = vec![call(Call::Dup(FdRef::Map(MapId(1)))), close(1), call(put(1, 1))];
        for ops in [gone, kept, dup] {
            assert_eq!(findings(&nested(kind, ops)), none(), "{kind:?}");
        }
    }
}

#[test]
fn a_slot_that_an_array_does_not_have_is_refused_before_the_descriptor_is_looked_at() {
    let w = nested(MapKind::ArrayOfMaps, vec![close(1), ret(&[-7], put(2, 1))]);
    assert_eq!(findings(&w), none());
}

#[test]
fn a_closed_outer_map_takes_nothing() {
    let ops = vec![close(0), ret(&[EBADF], put(0, 1))];
    assert_eq!(findings(&nested(MapKind::ArrayOfMaps, ops)), none());
}

/// A map that a program keeps alive, its only descriptor closed, then `ops`.
fn closed_map(kind: MapKind, ops: Vec<Op>) -> World {
    let mut w = world(kernel("v6.12"), 1, kind, 2);
    let p = ProgId(prog(&mut w, "p", ProgKind::Tc, vec![any(cancel(0))]) as u32);
    let mut all = vec![call(Call::MapCreate(OUTER)), call(Call::ProgLoad(p)), close(0)];
    all.extend(ops);
    task(&mut w, "user", 0, all);
    w
}

#[test]
fn operations_need_an_open_descriptor_of_their_map() {
    let m = MapRef::Map(OUTER);
    let calls = || {
        vec![
            Call::MapLookup(elem(0)),
            update(0),
            delete(0),
            Call::MapLookupAndDelete(elem(0)),
            Call::MapKeys(m),
            Call::MapUpdateBatch(m, vec![(0, 1)], UpdateFlag::Any),
            Call::MapDeleteBatch(m, vec![0]),
            Call::MapLookupBatch(m),
            Call::MapLookupAndDeleteBatch(m),
        ]
    };
    for kind in [MapKind::Hash, MapKind::Array] {
        let refused = calls().into_iter().map(|c| ret(&[EBADF], c)).collect();
        assert_eq!(findings(&closed_map(kind, refused)), none(), "{kind:?}");
    }
    let mut again = vec![call(Call::MapGetFdById(OUTER))];
    again.extend([call(update(0)), call(delete(0))]);
    assert_eq!(findings(&closed_map(MapKind::Hash, again)), none());
}

#[test]
fn a_test_run_needs_an_open_descriptor_of_the_program() {
    let mut w = world(kernel("v6.12"), 1, MapKind::Array, 1);
    let cb = prog(&mut w, "cb", ProgKind::TimerCb, vec![]);
    let arm = vec![call(init(0)), call(set_callback(0, cb)), call(start(0, 3_600_000_000_000))];
    let p = ProgId(prog(&mut w, "arm", ProgKind::Tc, arm) as u32);
    let ops = vec![
        call(Call::MapCreate(OUTER)),
        call(Call::ProgLoad(p)),
        call(Call::ProgRun(p)),
        call(Call::Close(FdRef::Prog(p))),
        // The timer keeps the program alive, not the number.
        ret(&[1], Call::ProgExistsById(p)),
        ret(&[EBADF], Call::ProgRun(p)),
    ];
    task(&mut w, "user", 0, ops);
    assert_eq!(findings(&w), none());
}

#[test]
fn arrays_have_no_batches_that_delete() {
    let m = MapRef::Map(OUTER);
    let mut w = world(kernel("v6.12"), 1, MapKind::Array, 2);
    let ops = vec![
        ret(&[ENOTSUPP], Call::MapDeleteBatch(m, vec![0])),
        ret(&[ENOTSUPP], Call::MapDeleteBatch(m, vec![])),
        ret(&[ENOTSUPP], Call::MapLookupAndDeleteBatch(m)),
        ret(&[0], Call::MapLookupBatch(m)),
        ret(&[0], Call::MapUpdateBatch(m, vec![(0, 1), (1, 2)], UpdateFlag::Any)),
    ];
    task(&mut w, "user", 0, ops);
    assert_eq!(findings(&w), none());
}
