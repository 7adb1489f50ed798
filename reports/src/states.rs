//! The values of shared variables along a run: what the columns beside a picture and the table of the page show.

use crate::facts::{Facts, is_ghost, is_life};
use std::collections::BTreeMap;
use timerace_core::Obj;
use timerace_core::record::{Record, Touch};

/// A variable, or the life of an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The object.
    pub obj: Obj,
    /// Its name.
    pub name: String,
    /// Its value before the run.
    pub first: String,
    /// Its later values, each with the index of the step that left it.
    pub changes: Vec<(usize, String)>,
}

impl Variable {
    /// Its value after the step with this index.
    pub fn at(&self, index: usize) -> &str {
        let n = self.changes.partition_point(|(i, _)| *i <= index);
        n.checked_sub(1).map_or(&self.first, |i| &self.changes[i].1)
    }

    /// It is a lock: free, or held by somebody.
    pub fn is_lock(&self) -> bool {
        self.first == "free" || self.changes.iter().any(|(_, v)| v == "free")
    }
}

/// Every variable that readers know and that the run changes, in the order of the steps that touch it first.
pub fn variables(rec: &Record) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    let mut index: BTreeMap<Obj, usize> = BTreeMap::new();
    for (i, s) in rec.steps.iter().enumerate() {
        for t in s.touches.iter().filter(|t| is_known(t)) {
            let at = *index.entry(t.obj).or_insert_with(|| {
                let (obj, first) = (t.obj, t.before.clone());
                found.push(Variable { obj, name: t.name.clone(), first, changes: Vec::new() });
                found.len() - 1
            });
            let v = &mut found[at];
            v.name.clone_from(&t.name);
            if t.write && v.changes.last().map_or(&v.first, |c| &c.1) != &t.after {
                v.changes.push((i, t.after.clone()));
            }
        }
    }
    found.retain(|v| !v.changes.is_empty());
    found
}

fn is_known(t: &Touch) -> bool {
    is_life(t) || !t.internal && !is_ghost(t)
}

/// The value for a place with little room: of a lock, the CPU that holds it.
///
/// `elements`: the names of objects that are told apart by their elements, as in the lines of the picture.
pub(crate) fn short_value(
    facts: &Facts<'_>,
    elements: &BTreeMap<String, String>,
    v: &Variable,
    value: &str,
) -> String {
    let element = elements.get(value).filter(|_| elements.len() > 1);
    if !v.is_lock() || value == "free" {
        return element.cloned().unwrap_or_else(|| value.to_string());
    }
    if let Some((_, cpu)) = value.rsplit_once(" of ") {
        return cpu.to_string();
    }
    let mut named = facts.rec.contexts.iter().filter(|c| c.name == value);
    match (named.next().and_then(|c| c.cpu), named.next()) {
        (Some(cpu), None) => cpu.to_string(),
        _ => value.to_string(),
    }
}
