//! Maps, and the maps inside of outer maps.
//!
//! An inner map exists for each slot that the scenario names: it is a map of its own, called `outer[0]`, made after the
//! template. It is in its slot from the start unless a task creates it (`bpf_map_create("outer[0]")`) or the slot is
//! only ever the target of updates. A declared map that others are made after, and that nothing else names, is a map too,
//! but an empty one: what its `init:` says is meant for the others.

use std::collections::{BTreeMap, BTreeSet};

use timerace_kernel::world::{ElemInit, MapDef, MapFlags, MapId, MapKind, TypeIx};

use super::Lowering;
use super::mentions::for_each_object;
use super::sections::ns;
use crate::ast::{self, Call, Init, Key, Map, MapFlag, ObjBase, ObjExpr, Scenario};
use crate::diag::{Diagnostic, quote};
use crate::span::{Sp, Span};

/// What bodies and expectations say about maps.
#[derive(Default)]
struct Mentions {
    /// Slots of outer maps, by map and number: whether the slot is filled at the start.
    slots: BTreeMap<(String, i64), bool>,
    /// Inner maps that a task creates.
    created: BTreeSet<(String, i64)>,
    /// Maps that are named other than as a template.
    named: BTreeSet<String>,
}

impl Lowering<'_> {
    /// All maps; `maps` of the world is complete after this.
    pub(super) fn maps(&mut self) {
        let mentions = mentions(self.scenario);
        for (name, map) in &self.scenario.maps {
            let id = MapId(self.maps.len() as u32);
            self.maps.insert(name.node.clone(), id);
            let template = !mentions.named.contains(&name.node)
                && mentions.slots.keys().any(|(outer, _)| self.is_template(name, outer));
            let def = self.map(name.node.clone(), name.span, map, template);
            self.world.maps.push(def);
        }
        for ((outer, slot), filled) in &mentions.slots {
            let filled = *filled && !mentions.created.contains(&(outer.clone(), *slot));
            self.inner_map(outer, *slot, filled);
        }
        self.check_slots();
    }

    fn is_template(&self, name: &str, outer: &str) -> bool {
        let inner = self.scenario.map(outer).and_then(|map| map.inner.as_ref());
        inner.is_some_and(|inner| inner.node == name)
    }

    fn map(&mut self, name: String, place: Span, map: &Map, empty: bool) -> MapDef {
        let value = self.value_type(map);
        let memcg = map.memcg.as_ref().and_then(|memcg| self.memcg_named(memcg));
        let init = match empty || map.kind.is_outer() {
            true => Vec::new(),
            false => self.elements(map),
        };
        MapDef {
            name,
            kind: map_kind(map.kind.node),
            max_entries: map.max_entries.node,
            flags: self.map_flags(map),
            key_size: map.key_size.node,
            value,
            slots: Vec::new(),
            memcg,
            init,
            at: self.source.line(place),
        }
    }

    /// The type of a map's values; of an outer map that of its template's, which nothing looks at.
    fn value_type(&mut self, map: &Map) -> TypeIx {
        let scenario = self.scenario;
        let template = map.inner.as_ref().and_then(|inner| scenario.map(inner));
        match &template.unwrap_or(map).value {
            Some(name) => self.type_named(name).unwrap_or_default(),
            None => self.one_timer(),
        }
    }

    fn map_flags(&mut self, map: &Map) -> MapFlags {
        let mut flags = MapFlags::default();
        for flag in &map.flags {
            match flag.node {
                MapFlag::NoPrealloc => flags.no_prealloc = true,
                MapFlag::NoCommonLru => flags.no_common_lru = true,
                MapFlag::RdonlyProg => flags.rdonly_prog = true,
                MapFlag::WronlyProg => flags.wronly_prog = true,
                MapFlag::Mmapable => flags.mmapable = true,
                other => {
                    let what = format!("map flag {other}");
                    self.unsupported::<()>(flag.span, &what, "");
                }
            }
        }
        flags
    }

    fn elements(&mut self, map: &Map) -> Vec<(i64, ElemInit)> {
        let value = self.value_type(map);
        let mut elements = Vec::new();
        for (key, init) in &map.init {
            let init = match &init.node {
                Init::Present => ElemInit::Present,
                Init::Initialised => ElemInit::Initialised,
                Init::Armed { after, callback } => {
                    let Some(prog) = self.prog_named(callback) else { continue };
                    self.facts.callback_value(callback, value);
                    ElemInit::Armed { after: ns(after), callback: prog }
                }
            };
            elements.push((key.node, init));
        }
        elements
    }

    fn inner_map(&mut self, outer: &str, slot: i64, filled: bool) {
        let scenario = self.scenario;
        let (Some(outer_map), Some(outer_id)) =
            (scenario.map(outer), self.maps.get(outer).copied())
        else {
            return;
        };
        let Some(template_name) = &outer_map.inner else { return };
        let Some(template) = scenario.map(template_name) else {
            self.undeclared::<()>("E0211", template_name.span, "map", template_name);
            return;
        };
        let id = MapId(self.world.maps.len() as u32);
        let name = format!("{outer}[{slot}]");
        self.maps.insert(name.clone(), id);
        let def = self.map(name, template_name.span, template, false);
        self.world.maps.push(def);
        let entries = i64::from(outer_map.max_entries.node);
        let exists = !outer_map.kind.is_array() || (0..entries).contains(&slot);
        if filled && exists {
            self.world.maps[outer_id.index()].slots.push((slot, id));
        }
    }

    /// Outer maps cannot hold more than they have room for, and only maps.
    fn check_slots(&mut self) {
        for (name, map) in &self.scenario.maps {
            if !map.kind.is_outer() {
                continue;
            }
            for (_, init) in &map.init {
                if init.node != Init::Present {
                    let message = "a slot of an outer map holds a map, not a timer".to_string();
                    let diag = Diagnostic::error("E0315", init.span, message);
                    self.diags.push(diag.label("only `present` makes sense here"));
                }
            }
            let slots = self.maps.get(&name.node).map(|id| &self.world.maps[id.index()].slots);
            if slots.is_some_and(|slots| slots.len() > map.max_entries.node as usize) {
                let message = format!("map \"{}\" has more maps in it than room", quote(name));
                self.diags.push(
                    Diagnostic::error("E0115", map.max_entries.span, message)
                        .label("slots that are named are there from the start")
                        .help("let a task create those that come later"),
                );
            }
        }
    }
}

/// Goes through everything that names an object.
fn mentions(scenario: &Scenario) -> Mentions {
    let mut found = Mentions::default();
    let outer = |name: &str| scenario.map(name).is_some_and(|map| map.kind.is_outer());
    for (name, map) in &scenario.maps {
        if map.kind.is_outer() {
            for (key, _) in &map.init {
                found.slots.insert((name.node.clone(), key.node), true);
            }
        }
    }
    for_each_object(scenario, &mut |object: &ObjExpr, call: Option<&Call>| {
        let ObjBase::Map(name) = &object.base.node else { return };
        found.named.insert(name.clone());
        let Some(Sp { node: Key::Int(slot), .. }) = object.keys.first() else { return };
        if !outer(name) {
            return;
        }
        let key = (name.clone(), *slot);
        let target = object.keys.len() == 1 && object.path.is_empty();
        let updated =
            target && matches!(call, Some(Call::MapUpdate { elem, .. }) if elem.node == *object);
        if target && matches!(call, Some(Call::MapCreate { .. })) {
            found.created.insert(key.clone());
        }
        *found.slots.entry(key).or_insert(false) |= !updated;
    });
    found
}

fn map_kind(kind: ast::MapKind) -> MapKind {
    match kind {
        ast::MapKind::Hash => MapKind::Hash,
        ast::MapKind::LruHash => MapKind::LruHash,
        ast::MapKind::Array => MapKind::Array,
        ast::MapKind::Rhash => MapKind::Rhash,
        ast::MapKind::ArrayOfMaps => MapKind::ArrayOfMaps,
        ast::MapKind::HashOfMaps => MapKind::HashOfMaps,
        ast::MapKind::PercpuHash => MapKind::PercpuHash,
        ast::MapKind::PercpuArray => MapKind::PercpuArray,
        ast::MapKind::LruPercpuHash => MapKind::LruPercpuHash,
        ast::MapKind::LpmTrie => MapKind::LpmTrie,
        ast::MapKind::TaskStorage => MapKind::TaskStorage,
        ast::MapKind::InodeStorage => MapKind::InodeStorage,
        ast::MapKind::SkStorage => MapKind::SkStorage,
        ast::MapKind::CgrpStorage => MapKind::CgrpStorage,
        ast::MapKind::CgroupStorage => MapKind::CgroupStorage,
        ast::MapKind::Queue => MapKind::Queue,
        ast::MapKind::Stack => MapKind::Stack,
        ast::MapKind::Ringbuf => MapKind::Ringbuf,
    }
}
