//! From a checked scenario to a [`World`]: names become indices, layouts are computed, each step keeps its place and its
//! text.
//!
//! Nothing is left out in silence. What the format can say and a world cannot is a message (`E0110`), as the scenario
//! without it would be another one.

mod body;
mod calls;
mod kernel;
mod maps;
mod mentions;
mod objects;
mod sections;
mod source;
mod types;

pub use kernel::{kernel_of, version_of};
pub(crate) use types::path_name;

use std::collections::BTreeMap;

use timerace_kernel::world::{FieldIx, MapId, MemcgId, ProgId, TaskId, TypeIx, VarId};
use timerace_kernel::{KernelVersion, World};

use crate::ast::Scenario;
use crate::diag::{Diagnostic, quote};
use crate::layout::Layouts;
use crate::limits::ERRORS_MAX;
use crate::span::{Sp, Span};
use objects::Facts;
use source::Source;

/// Resolves a scenario for a kernel. `source` is the text that the scenario was read from: operations quote it.
///
/// # Errors
///
/// At most [`ERRORS_MAX`] messages, in the order of their places, about what a world cannot express and about names
/// that nothing declares (which the loader would have found).
pub fn lower(
    scenario: &Scenario,
    source: &str,
    kernel: KernelVersion,
) -> Result<World, Vec<Diagnostic>> {
    let mut low = Lowering::new(scenario, source, kernel);
    low.sections();
    low.maps();
    low.expectations();
    let found = low.diags.len();
    // What variables point to is learnt from all bodies, so they are gone through until nothing new turns up. Facts
    // only ever grow, which ends this.
    loop {
        let before = low.facts.clone();
        low.diags.truncate(found);
        low.actors();
        if low.facts == before {
            break;
        }
    }
    low.world.lines = low.source.take_lines();
    let mut diags = low.diags;
    if diags.is_empty() {
        return Ok(low.world);
    }
    diags.sort_by(|a, b| (a.primary.0, a.code).cmp(&(b.primary.0, b.code)));
    diags.dedup();
    diags.truncate(ERRORS_MAX);
    Err(diags)
}

/// A world in the making.
struct Lowering<'s> {
    scenario: &'s Scenario,
    source: Source<'s>,
    layouts: Layouts,
    world: World,
    types: BTreeMap<&'s str, TypeIx>,
    /// Maps by name; inner maps as `outer[0]`.
    maps: BTreeMap<String, MapId>,
    vars: BTreeMap<&'s str, VarId>,
    progs: BTreeMap<&'s str, ProgId>,
    tasks: BTreeMap<&'s str, TaskId>,
    memcgs: BTreeMap<&'s str, MemcgId>,
    /// Members by type and path, such as `head.lock`.
    fields: BTreeMap<(TypeIx, String), FieldIx>,
    facts: Facts,
    diags: Vec<Diagnostic>,
}

impl<'s> Lowering<'s> {
    fn new(scenario: &'s Scenario, source: &'s str, kernel: KernelVersion) -> Self {
        Lowering {
            scenario,
            source: Source::new(source),
            layouts: Layouts::of(scenario),
            world: World::new(&scenario.name, kernel, 1),
            types: BTreeMap::new(),
            maps: BTreeMap::new(),
            vars: index(&scenario.vars, VarId),
            progs: index(&scenario.progs, ProgId),
            tasks: index(&scenario.tasks, TaskId),
            memcgs: index(&scenario.memcgs, MemcgId),
            fields: BTreeMap::new(),
            facts: Facts::default(),
            diags: Vec::new(),
        }
    }

    /// Says that something has no form in a world.
    fn unsupported<T>(&mut self, span: Span, what: &str, help: &str) -> Option<T> {
        let mut diag = Diagnostic::error("E0110", span, format!("{what} is not supported yet"))
            .label("this version cannot run it");
        if !help.is_empty() {
            diag = diag.help(help);
        }
        self.diags.push(diag);
        None
    }

    /// Says that a name means nothing. The loader has looked all of them up, so a tree that was made by hand is at
    /// fault.
    fn undeclared<T>(
        &mut self,
        code: &'static str,
        span: Span,
        what: &str,
        name: &str,
    ) -> Option<T> {
        let message = format!("{what} \"{}\" is not declared", quote(name));
        self.diags.push(Diagnostic::error(code, span, message).label(format!("no such {what}")));
        None
    }

    fn map_named(&mut self, name: &str, span: Span) -> Option<MapId> {
        match self.maps.get(name) {
            Some(id) => Some(*id),
            None => self.undeclared("E0211", span, "map", name),
        }
    }

    fn prog_named(&mut self, name: &Sp<String>) -> Option<ProgId> {
        match self.progs.get(name.as_str()) {
            Some(id) => Some(*id),
            None => self.undeclared("E0202", name.span, "program", name),
        }
    }

    fn task_named(&mut self, name: &Sp<String>) -> Option<TaskId> {
        match self.tasks.get(name.as_str()) {
            Some(id) => Some(*id),
            None => self.undeclared("E0203", name.span, "task", name),
        }
    }

    fn var_named(&mut self, name: &str, span: Span) -> Option<VarId> {
        match self.vars.get(name) {
            Some(id) => Some(*id),
            None => self.undeclared("E0204", span, "variable", name),
        }
    }

    fn type_named(&mut self, name: &Sp<String>) -> Option<TypeIx> {
        match self.types.get(name.as_str()) {
            Some(id) => Some(*id),
            None => self.undeclared("E0206", name.span, "type", name),
        }
    }

    fn memcg_named(&mut self, name: &Sp<String>) -> Option<MemcgId> {
        match self.memcgs.get(name.as_str()) {
            Some(id) => Some(*id),
            None => self.undeclared("E0208", name.span, "memory cgroup", name),
        }
    }

    /// A number that a world keeps in 16 bits.
    fn narrow(&mut self, value: u32, span: Span) -> u16 {
        u16::try_from(value).unwrap_or_else(|_| {
            let message = format!("{value} is too large");
            self.diags.push(Diagnostic::error("E0115", span, message).label("out of range"));
            0
        })
    }
}

/// The numbers of a section's names.
fn index<T, I>(section: &[(Sp<String>, T)], id: fn(u32) -> I) -> BTreeMap<&str, I> {
    section.iter().zip(0..).map(|((name, _), n)| (name.as_str(), id(n))).collect()
}
