//! Names, types, contexts and the kernel's rules.
//!
//! [`resolve`] looks up every name and puts what it found into the tree; the rules behind it
//! only read. Rules that depend on the version of the kernel are in [`kernel`].

mod bodies;
mod contexts;
mod functions;
pub(crate) mod kernel;
mod maps;
mod objects;
mod progs;
mod sections;
mod shared;
pub(crate) mod suspicions;
mod timers;
pub(crate) mod visit;
mod world;

pub(crate) use suspicions::{unused_params, warnings};
pub(crate) use visit::for_each_invoke;

use crate::ast::Scenario;
use crate::diag::Diagnostic;
use crate::read::Declared;
use world::World;

/// Looks up all names and checks all rules that hold for every kernel.
pub(crate) fn resolve(scenario: &mut Scenario, declared: &Declared) -> Vec<Diagnostic> {
    let mut world = World::new(scenario, declared);
    let mut diags = std::mem::take(&mut world.diags);
    // Once to learn what callbacks and pointer variables belong to, once to say what is wrong.
    bodies::resolve(&mut scenario.clone(), &mut world);
    world.diags.clear();
    world.settle();
    bodies::resolve(scenario, &mut world);
    diags.append(&mut world.diags);
    sections::check(scenario, &world, &mut diags);
    maps::check(scenario, &world, &mut diags);
    progs::check(scenario, &world, &mut diags);
    contexts::check(scenario, &mut diags);
    functions::check(scenario, &mut diags);
    diags
}
