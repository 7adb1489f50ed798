//! Symmetry against no symmetry: random programs with interchangeable tasks.

use super::common::{Oracle, Outcome, Program, boot};
use super::draw::symmetric;
use super::mutants::quietly;
use super::{Collect, classes_of, keep_going, of_states};
use crate::dpor::mutant::{Mutant, with};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use timerace_core::exec::Exec;
use timerace_core::result::Exploration;
use timerace_core::states::explore_states;

/// Programs: a tenth of the others.
const PROGRAMS: u64 = 2_000;

fn search(p: &Program, symmetry: bool) -> (Exploration, BTreeSet<Outcome>) {
    let (machine, toy) = boot(p);
    let mut exec = Exec::new(&machine, &toy);
    let mut seen = Collect::new(&toy);
    let r = explore_states(&mut exec, symmetry, &keep_going(), &mut seen);
    assert!(r.complete);
    (r, seen.outcomes)
}

/// The outcome with members of the orbit exchanged.
fn renamed(p: &Program, o: &Outcome, order: &[usize]) -> Outcome {
    let ctx = |c: usize| match p.orbit.iter().position(|m| m.0 == c) {
        Some(i) => p.orbit[order[i]].0,
        None => c,
    };
    let mut r = o.clone();
    for (i, (_, v)) in p.orbit.iter().enumerate() {
        r.vars[p.orbit[order[i]].1] = o.vars[*v];
    }
    r.stuck = o.stuck.iter().map(|c| ctx(*c)).collect();
    r
}

fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let all = shorter.iter().flat_map(|o| {
        (0..n).map(move |at| {
            let mut o = o.clone();
            o.insert(at, n - 1);
            o
        })
    });
    all.collect()
}

fn check(seed: u64) -> Option<bool> {
    let p = symmetric(seed);
    let truth = Oracle::new(&p).outcomes(30_000)?;
    let (without, all) = search(&p, false);
    let (ends, classes) = of_states(&truth);
    assert_eq!(of_states(&all).0, ends, "final states lost on {p:#?}");
    let (r, seen) = search(&p, true);
    let orders = orders(p.orbit.len());
    let closed: BTreeSet<Outcome> =
        of_states(&seen).0.iter().flat_map(|o| orders.iter().map(|r| renamed(&p, o, r))).collect();
    assert_eq!(closed, ends, "final states lost by symmetry on {p:#?}");
    assert_eq!(classes_of(&r), classes, "another verdict on {p:#?}");
    assert_eq!(classes_of(&without), classes, "another verdict without symmetry on {p:#?}");
    assert!(r.states <= without.states);
    Some(r.states < without.states)
}

#[test]
fn symmetry_changes_no_verdict() {
    let checked: Vec<bool> = (0..PROGRAMS).filter_map(check).collect();
    let fewer = checked.iter().filter(|f| **f).count();
    println!("{} programs compared, {fewer} with fewer states", checked.len());
    assert!(checked.len() as u64 * 10 > PROGRAMS * 8, "only {} were small enough", checked.len());
    assert!(fewer * 10 > checked.len() * 8, "symmetry helped only {fewer} programs");
}

#[test]
fn names_that_are_kept_are_found() {
    let caught = (0..PROGRAMS).find(|seed| {
        with(Some(Mutant::NamesKept), || {
            quietly(|| catch_unwind(AssertUnwindSafe(|| check(*seed))).is_err())
        })
    });
    println!("found by program {caught:?}");
    assert!(caught.is_some());
}
