//! What a body can refer to.

use std::collections::{BTreeMap, BTreeSet};

use super::for_each_invoke;
use crate::ast::{Call, Map, ObjBase, ProgKind, Scenario, Var};
use crate::diag::{Diagnostic, did_you_mean, quote};
use crate::layout::Layouts;
use crate::read::{Declared, Names};
use crate::span::{Sp, Span};

/// What a local holds, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ty {
    /// Nothing is known.
    Unknown,
    /// A number, or the result of a system call.
    Int,
    /// A file descriptor.
    Fd,
    /// A pointer to an object of a declared type.
    Object(String),
    /// A pointer to a value of a map.
    Value(String),
    /// A pointer to a map made after this template.
    Map(String),
}

impl Ty {
    /// What a local holds that got one, then the other.
    pub fn join(self, other: Ty) -> Ty {
        if self == other { self } else { Ty::Unknown }
    }
}

/// The names of a scenario and what is known about them.
pub(crate) struct World {
    maps: BTreeMap<String, Map>,
    pub vars: BTreeMap<String, Var>,
    pub progs: BTreeMap<String, ProgKind>,
    pub layouts: Layouts,
    pub declared: Declared,
    /// The maps whose elements a callback is set for.
    pub owners: BTreeMap<String, BTreeSet<String>>,
    /// The callbacks that a program sets.
    pub sets: BTreeMap<String, BTreeSet<String>>,
    /// What `value` is in a callback.
    values: BTreeMap<String, Ty>,
    /// Whether all types are known; if not, a member may be in one that is not.
    pub types_complete: bool,
    /// What is stored into variables that are NULL at first.
    pub stored: BTreeMap<String, Ty>,
    /// Programs and maps whose refusal by the kernel the file expects.
    pub excused_progs: BTreeSet<String>,
    pub excused_maps: BTreeSet<String>,
    pub diags: Vec<Diagnostic>,
}

impl World {
    pub fn new(scenario: &Scenario, declared: &Declared) -> Self {
        let (layouts, mut diags) = Layouts::new(&scenario.types, &declared.types);
        diags.extend(same_name_twice(declared));
        let mut world = World {
            maps: scenario.maps.iter().map(|(k, m)| (k.node.clone(), m.clone())).collect(),
            vars: scenario.vars.iter().map(|(k, v)| (k.node.clone(), v.node.clone())).collect(),
            progs: scenario.progs.iter().map(|(k, p)| (k.node.clone(), p.kind.node)).collect(),
            declared: declared.clone(),
            owners: BTreeMap::new(),
            sets: BTreeMap::new(),
            values: BTreeMap::new(),
            types_complete: declared.types.words().all(|name| layouts.get(name).is_some()),
            stored: BTreeMap::new(),
            excused_progs: BTreeSet::new(),
            excused_maps: BTreeSet::new(),
            layouts,
            diags,
        };
        world.find_excuses(scenario);
        world
    }

    /// `ret([EINVAL], bpf_prog_load("p"))` and the like ask for a refusal: then the kernel says
    /// no when the scenario runs, and not this check.
    fn find_excuses(&mut self, scenario: &Scenario) {
        for_each_invoke(scenario, &mut |invoke| {
            if !invoke.returns.allows_some_error() {
                return;
            }
            match &invoke.call.node {
                Call::ProgLoad { prog } => {
                    self.excused_progs.insert(prog.node.clone());
                }
                Call::MapCreate { map } if map.is_bare() => {
                    if let ObjBase::Name(name) | ObjBase::Map(name) = &map.base.node {
                        self.excused_maps.insert(name.clone());
                    }
                }
                _ => {}
            }
        });
    }

    /// Completes what the first look at the bodies has learnt. A callback is a part of each
    /// program that sets it.
    pub fn settle(&mut self) {
        let mut open: Vec<String> = self.excused_progs.iter().cloned().collect();
        while let Some(prog) = open.pop() {
            for callback in self.sets.get(&prog).into_iter().flatten() {
                if self.excused_progs.insert(callback.clone()) {
                    open.push(callback.clone());
                }
            }
        }
        for (callback, owners) in &self.owners {
            self.values.insert(callback.clone(), self.common_value(owners));
        }
    }

    pub fn map(&self, name: &str) -> Option<&Map> {
        self.maps.get(name)
    }

    /// The value that a callback is called with.
    pub fn callback_value(&self, callback: &str) -> Ty {
        self.values.get(callback).cloned().unwrap_or(Ty::Unknown)
    }

    /// Several maps are fine as long as their values look the same.
    fn common_value(&self, owners: &BTreeSet<String>) -> Ty {
        let mut values = owners.iter().map(|map| (map, self.map(map).map(|m| &m.value)));
        let Some((first, value)) = values.next() else { return Ty::Unknown };
        match values.all(|(_, other)| other.map(value_name) == value.map(value_name)) {
            true => Ty::Value(first.clone()),
            false => Ty::Unknown,
        }
    }

    /// Reports a name that is not in a list of declared ones.
    pub fn expect_declared(
        names: &Names,
        name: &Sp<String>,
        code: &'static str,
        what: &str,
        diags: &mut Vec<Diagnostic>,
    ) -> bool {
        if names.contains(name) {
            return true;
        }
        diags.push(undeclared(names, name, code, what));
        false
    }
}

fn value_name(value: &Option<Sp<String>>) -> Option<&str> {
    value.as_ref().map(|name| name.node.as_str())
}

/// The message about a name that nothing declares.
pub(crate) fn undeclared(
    names: &Names,
    name: &Sp<String>,
    code: &'static str,
    what: &str,
) -> Diagnostic {
    let message = format!("{what} \"{}\" is not declared", quote(name));
    let mut diag = Diagnostic::error(code, name.span, message).label(format!("no such {what}"));
    diag = diag.maybe_help(did_you_mean(name, names.words()));
    match (&diag.help, names.len()) {
        (Some(_), _) => diag,
        (None, 0) => diag.note(format!("this file declares no {what}")),
        (None, 1..=12) => {
            let known: Vec<String> = names.words().map(quote).collect();
            diag.note(format!("declared: {}", known.join(", ")))
        }
        (None, _) => diag,
    }
}

/// Names that an object string could not tell apart.
fn same_name_twice(declared: &Declared) -> Vec<Diagnostic> {
    let mut diags = Vec::new();
    for var in declared.vars.iter() {
        if let Some(map) = declared.maps.get(var) {
            let (first, second): (Span, Span) = (map.min(var.span), map.max(var.span));
            let message = format!("`{}` is both a map and a variable", quote(var));
            diags.push(
                Diagnostic::error("E0210", second, message)
                    .label("object strings could not tell them apart")
                    .also(first, "the other one"),
            );
        }
    }
    diags
}
