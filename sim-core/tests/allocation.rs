//! An execution allocates its contexts' futures and nothing per step.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Op, Program, boot};
use timerace_core::exec::Exec;
use timerace_core::policy::{Limits, Random, run};

fn tasks(steps: usize) -> Program {
    let body = vec![Op::Add(0, 1); steps];
    let tasks = vec![(0, body.clone()), (1, body)];
    Program { cpus: 2, vars: 1, tasks, ..Program::default() }
}

/// Allocations of one execution with random choices, after some to warm up.
fn allocations(steps: usize) -> u64 {
    let p = tasks(steps);
    let (machine, toy) = boot(&p);
    let mut exec = Exec::new(&machine, &toy);
    let mut policy = Random::new(1);
    let mut once = |n: u32| {
        for _ in 0..n {
            exec.restart();
            run(&mut exec, &mut policy, Limits::default());
        }
    };
    once(10);
    allocation_counter::measure(|| once(1)).count_total
}

#[test]
fn steps_do_not_allocate() {
    let (few, many) = (allocations(4), allocations(400));
    // Two futures and the list of who is ready, however long the execution is.
    assert!(few > 0 && few <= 12, "{few} allocations");
    assert!(many <= few + 8, "{few} allocations for 8 steps, {many} for 800");
}
