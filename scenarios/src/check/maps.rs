//! What the kernel refuses about maps, in every version (maps with timers: type, flags, values).

use std::collections::{BTreeMap, BTreeSet};

use super::objects::key_fits;
use super::visit::{access_object, call_object, for_each_step};
use super::world::World;
use crate::ast::{
    Init, Key, Map, MapFlag, MapKind, ObjBase, ObjExpr, PlainKind, Scenario, StepKind,
};
use crate::diag::{Diagnostic, quote};
use crate::span::{Sp, Span};

/// Checks each map.
pub(super) fn check(scenario: &Scenario, world: &World, diags: &mut Vec<Diagnostic>) {
    let users = users(scenario);
    for (name, map) in &scenario.maps {
        // Every program that uses the map is expected to be refused (and there is one).
        let no_loads = users
            .get(&name.node)
            .is_some_and(|users| users.iter().all(|prog| world.excused_progs.contains(prog)));
        // Where the file expects that the kernel says no, it is the kernel's turn.
        let excused = world.excused_maps.contains(&name.node);
        if !excused {
            check_type(name, map, world, diags);
            check_flags(name, map, world, diags);
        }
        if !excused && !no_loads {
            check_specials(name, map, world, diags);
        }
        check_inner(name, map, world, diags);
        check_init(name, map, world, diags);
    }
}

/// The programs that name each map.
pub(super) fn users(scenario: &Scenario) -> BTreeMap<String, BTreeSet<String>> {
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (prog, item) in &scenario.progs {
        for_each_step(&item.body, &mut |step| {
            let object = match &step.node {
                StepKind::Invoke(invoke) => call_object(&invoke.call),
                StepKind::Access(access) => Some(access_object(access)),
                _ => None,
            };
            if let Some(ObjBase::Map(map)) = object.map(|object| &object.base.node) {
                users.entry(map.clone()).or_default().insert(prog.node.clone());
            }
        });
    }
    users
}

/// How many timers (or work queues) a value has, if its layout is known.
fn count(map: &Map, world: &World, kind: PlainKind) -> u64 {
    let layout = world.layouts.of_value(map);
    layout.map_or(0, |layout| world.layouts.specials(layout, kind).count)
}

fn check_type(name: &Sp<String>, map: &Map, world: &World, diags: &mut Vec<Diagnostic>) {
    if map.kind.supports_timers() || map.kind.is_outer() {
        return;
    }
    let special = [PlainKind::BpfTimer, PlainKind::BpfWq]
        .into_iter()
        .find(|kind| count(map, world, *kind) > 0);
    let Some(special) = special else { return };
    let message = format!("values of {} maps cannot hold a `{special}`", map.kind.node);
    let diag = Diagnostic::error("E0310", map.kind.span, message)
        .label(format!("the kernel refuses to create \"{}\" with EOPNOTSUPP", quote(name)))
        .note("timers and work queues live in HASH, LRU_HASH, ARRAY and (newest) RHASH maps");
    diags.push(match &map.value {
        Some(value) => diag.also(value.span, format!("this type has a `{special}`")),
        None => diag.help("a map without `value` holds one bpf_timer; declare a type without it"),
    });
}

fn check_flags(name: &Sp<String>, map: &Map, world: &World, diags: &mut Vec<Diagnostic>) {
    let flag = |flag: MapFlag| map.flags.iter().find(|given| given.node == flag);
    let mut refuse = |span: Span, message: String, errno: &str| {
        diags.push(
            Diagnostic::error("E0314", span, message)
                .label(format!("the kernel refuses to create \"{}\" with {errno}", quote(name))),
        );
    };
    if let Some(given) = flag(MapFlag::NoPrealloc)
        && matches!(map.kind.node, MapKind::Array | MapKind::LruHash)
    {
        let message = format!("elements of {} maps are always preallocated", map.kind.node);
        refuse(given.span, message, "EINVAL");
    }
    if map.kind.node == MapKind::Rhash && flag(MapFlag::NoPrealloc).is_none() {
        let message = "an RHASH map needs BPF_F_NO_PREALLOC".to_string();
        refuse(map.kind.span, message, "EINVAL");
    }
    if map.kind.is_array() && map.key_size.node != 4 {
        let message = format!("keys of {} maps have 4 bytes", map.kind.node);
        refuse(map.key_size.span, message, "EINVAL");
    }
    if let Some(given) = flag(MapFlag::RdonlyProg)
        && count(map, world, PlainKind::BpfTimer) > 0
    {
        let message = "a map with timers cannot be read-only for programs".to_string();
        refuse(given.span, message, "EACCES");
    }
}

/// At most one of each, where the compiler would put it.
fn check_specials(name: &Sp<String>, map: &Map, world: &World, diags: &mut Vec<Diagnostic>) {
    let Some(layout) = world.layouts.of_value(map) else { return };
    let span = map.value.as_ref().map_or(map.span, |value| value.span);
    for kind in [PlainKind::BpfTimer, PlainKind::BpfWq, PlainKind::BpfSpinLock] {
        let found = world.layouts.specials(layout, kind);
        if found.count > 1 {
            let message =
                format!("values of map \"{}\" have {} `{kind}`", quote(name), found.count);
            diags.push(
                Diagnostic::error("E0311", span, message)
                    .label("a value may have one of each kind")
                    .note(
                        "the verifier refuses programs that use it: EACCES up to v6.2, then EINVAL",
                    ),
            );
        }
        let (_, align) = kind.size_align();
        if found.count > 0 && !found.offset.is_multiple_of(align) {
            let message = format!("`{}` at byte {} is not aligned", found.path, found.offset);
            diags.push(
                Diagnostic::error("E0313", span, message)
                    .label(format!("a `{kind}` lies at a multiple of {align}"))
                    .note("the verifier refuses programs that use it"),
            );
        }
    }
}

fn check_inner(name: &Sp<String>, map: &Map, world: &World, diags: &mut Vec<Diagnostic>) {
    let outer = map.kind.is_outer();
    let error = |span: Span, message: String, label: &str| {
        Diagnostic::error("E0314", span, message).label(label)
    };
    match &map.inner {
        None if outer => diags.push(
            Diagnostic::error(
                "E0104",
                map.kind.span,
                format!("map \"{}\" has no `inner`", quote(name)),
            )
            .label("which maps does it hold?")
            .help("add `inner: \"map\"`, a declared map that is the template"),
        ),
        Some(inner) if !outer => {
            let message = format!("{} maps hold values, not maps", map.kind.node);
            diags.push(error(
                inner.span,
                message,
                "only ARRAY_OF_MAPS and HASH_OF_MAPS have `inner`",
            ));
        }
        Some(inner) if world.map(&inner.node).is_some_and(|map| map.kind.is_outer()) => {
            let message = "maps of maps of maps do not exist".to_string();
            diags.push(error(inner.span, message, "the kernel refuses this with ENOTSUPP"));
        }
        _ => {}
    }
    if let (true, Some(value)) = (outer, &map.value) {
        let message = format!("{} maps hold maps, not values", map.kind.node);
        diags.push(error(value.span, message, "leave `value` out"));
    }
}

fn check_init(name: &Sp<String>, map: &Map, world: &World, diags: &mut Vec<Diagnostic>) {
    let entries = u64::from(map.max_entries.node);
    let array = map.kind.is_array();
    for (key, init) in &map.init {
        let outside = array && u64::try_from(key.node).map_or(true, |key| key >= entries);
        if outside {
            let message = format!("map \"{}\" has no element {}", quote(name), key.node);
            diags.push(
                Diagnostic::error("E0115", key.span, message)
                    .label("behind the end")
                    .also(map.max_entries.span, "the number of elements; they count from 0"),
            );
        } else if !key_fits(key.node, map) {
            let message = format!("key {} does not fit into {} bytes", key.node, map.key_size.node);
            diags.push(Diagnostic::error("E0115", key.span, message).label("out of range"));
        }
        let timer = matches!(init.node, Init::Initialised | Init::Armed { .. });
        let known = map.value.is_none() || world.layouts.of_value(map).is_some();
        if timer && known && count(map, world, PlainKind::BpfTimer) == 0 {
            let message = format!("elements of map \"{}\" have no `bpf_timer`", quote(name));
            diags.push(
                Diagnostic::error("E0312", init.span, message).label("nothing to initialise"),
            );
        }
    }
    if let Some((key, _)) = map.init.get(map.max_entries.node as usize) {
        let message = format!("map \"{}\" holds {entries} elements", quote(name));
        diags.push(
            Diagnostic::error("E0115", key.span, message)
                .label("one too many")
                .also(map.max_entries.span, "the number of elements"),
        );
    }
}

/// The number of an object's key in a map with indices, if it lies behind the end.
pub(super) fn outside<'m>(
    object: &ObjExpr,
    maps: &BTreeMap<&str, &'m Map>,
) -> Option<(Sp<i64>, &'m Map)> {
    let (ObjBase::Map(name), Some(key)) = (&object.base.node, object.keys.first()) else {
        return None;
    };
    let (Key::Int(number), Some(map)) = (key.node, maps.get(name.as_str())) else { return None };
    let behind = u64::try_from(number).map_or(true, |n| n >= u64::from(map.max_entries.node));
    (map.kind.is_array() && behind).then_some((Sp::new(number, key.span), *map))
}
