//! Names outside bodies: sections, faults, expectations.

use super::bodies::{Resolver, show};
use super::objects::Target;
use super::world::{World, undeclared};
use crate::ast::{Expectation, Fault, Init, Predicate, Scenario, Var};
use crate::diag::{Diagnostic, quote};
use crate::layout::unknown_type;
use crate::limits::DIAGS_MAX;
use crate::span::Sp;

/// Checks the names that sections use.
pub(super) fn check(scenario: &Scenario, world: &World, diags: &mut Vec<Diagnostic>) {
    let declared = &world.declared;
    for (_, var) in &scenario.vars {
        if diags.len() >= DIAGS_MAX {
            return;
        }
        if let Var::New(type_name) = &var.node {
            check_type(world, type_name, diags);
        }
    }
    for (_, map) in &scenario.maps {
        if diags.len() >= DIAGS_MAX {
            return;
        }
        if let Some(value) = &map.value {
            check_type(world, value, diags);
        }
        if let Some(inner) = &map.inner {
            World::expect_declared(&declared.maps, inner, "E0211", "map", diags);
        }
        if let Some(memcg) = &map.memcg {
            check_memcg(world, memcg, diags);
        }
        for (_, init) in &map.init {
            if let Init::Armed { callback, .. } = &init.node {
                World::expect_declared(&declared.progs, callback, "E0202", "program", diags);
            }
        }
    }
    for (_, task) in &scenario.tasks {
        if diags.len() >= DIAGS_MAX {
            return;
        }
        if let Some(memcg) = &task.memcg {
            check_memcg(world, memcg, diags);
        }
        check_cpu(scenario, world, task.cpu, diags);
    }
    for (cpu, events) in &scenario.cpus {
        if diags.len() >= DIAGS_MAX {
            return;
        }
        check_cpu(scenario, world, *cpu, diags);
        for event in events {
            if let crate::ast::Event::Timed(timed) = &event.node
                && let crate::ast::Source::Packet(prog) = &timed.source.node
            {
                World::expect_declared(&declared.progs, prog, "E0202", "program", diags);
            }
        }
    }
    for fault in &scenario.faults {
        if diags.len() >= DIAGS_MAX {
            return;
        }
        if let Fault::MemcgFull(memcg) = &fault.node {
            check_memcg(world, memcg, diags);
        }
    }
}

fn check_type(world: &World, name: &Sp<String>, diags: &mut Vec<Diagnostic>) {
    if !world.declared.types.contains(name) {
        diags.push(unknown_type(name, world.declared.types.words()));
    }
}

fn check_memcg(world: &World, name: &Sp<String>, diags: &mut Vec<Diagnostic>) {
    World::expect_declared(&world.declared.memcgs, name, "E0208", "memory cgroup", diags);
}

fn check_cpu(scenario: &Scenario, world: &World, cpu: Sp<u32>, diags: &mut Vec<Diagnostic>) {
    let cpus = scenario.machine.cpus;
    if !world.declared.cpus_known || cpu.node < cpus.node {
        return;
    }
    let message = format!("there is no CPU {}", cpu.node);
    let last = cpus.node - 1;
    let label =
        if last == 0 { "the only one is 0".to_string() } else { format!("the last one is {last}") };
    diags.push(
        Diagnostic::error("E0209", cpu.span, message)
            .label(label)
            .also(cpus.span, "the number of CPUs; they count from 0"),
    );
}

/// Looks up the names in an expectation.
pub(super) fn resolve_expectation(expectation: &mut Sp<Expectation>, resolver: &mut Resolver<'_>) {
    match &mut expectation.node {
        Expectation::Never(p) | Expectation::Always(p) | Expectation::Sometimes(p) => {
            predicate(p, resolver);
        }
        Expectation::On(_, inner) | Expectation::KnownBug(_, inner) => {
            resolve_expectation(inner, resolver);
        }
        Expectation::Latency(limits) => timer_of(&mut limits.of, resolver),
        Expectation::Drift { of, .. } => timer_of(of, resolver),
        Expectation::Hold { lock, .. } => lock_name(lock, resolver),
        Expectation::Count(_) => {}
    }
}

/// `of:` names an element, or a map for all of its elements.
fn timer_of(object: &mut Sp<crate::ast::ObjExpr>, resolver: &mut Resolver<'_>) {
    resolver.wants_map = true;
    match resolver.target(object) {
        None | Some(Target::Map(_) | Target::Element(_)) => {}
        Some(other) => {
            let message = format!("`{}` is {}", show(object), other.describe());
            resolver.diag(
                Diagnostic::error("E0315", object.span, message)
                    .label("an element or a map is wanted"),
            );
        }
    }
    resolver.wants_map = false;
}

/// The name of a lock: of a map, of a variable, or of the kernel, whose names are open.
fn lock_name(lock: &Sp<String>, resolver: &mut Resolver<'_>) {
    let diag = match lock.split_once('.') {
        Some((map, _)) if resolver.world.declared.maps.contains(map) => return,
        Some((map, _)) => {
            let name = Sp::new(map.to_string(), lock.span);
            undeclared(&resolver.world.declared.maps, &name, "E0211", "map")
        }
        None => match resolver.world.vars.get(&lock.node) {
            Some(var) if !var.is_lock() => {
                let message = format!("`{}` is no lock", quote(lock));
                Diagnostic::error("E0309", lock.span, message).label("not a lock")
            }
            _ => return,
        },
    };
    resolver.diag(diag);
}

fn predicate(p: &mut Sp<Predicate>, resolver: &mut Resolver<'_>) {
    match &mut p.node {
        Predicate::After(a, b) | Predicate::During(a, b) => {
            predicate(a, resolver);
            predicate(b, resolver);
        }
        Predicate::Within(_, inner) => predicate(inner, resolver),
        Predicate::UrefZero(map) => {
            resolver.whole_map(map);
        }
        Predicate::Evicted(elem) => {
            resolver.wants_map = true;
            match resolver.target(elem) {
                None | Some(Target::Element(_)) => {}
                Some(other) => {
                    let message = format!("`{}` is {}", show(elem), other.describe());
                    resolver.diag(
                        Diagnostic::error("E0315", elem.span, message)
                            .label("an element is wanted"),
                    );
                }
            }
            resolver.wants_map = false;
        }
        Predicate::Final(cond) => resolver.final_cond(cond),
        // Functions and types of the kernel are open names.
        Predicate::Class(_)
        | Predicate::Overlap(..)
        | Predicate::Entered(_)
        | Predicate::Running(_)
        | Predicate::Leaked(_)
        | Predicate::Returned(..)
        | Predicate::Called(_) => {}
    }
}
