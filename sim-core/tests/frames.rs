//! Functions that a context is in before its first step belong to every execution.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Op, Program, boot};
use timerace_core::dpor::{Observer, Options, View, explore};
use timerace_core::exec::Exec;
use timerace_core::mem::FrameName;

struct Entered(Vec<usize>);

impl Observer for Entered {
    fn needs_marks(&self) -> bool {
        true
    }
    fn execution(&mut self, view: &View<'_>) {
        let task = FrameName::Fn("task");
        let entered = view.marks().iter().filter(|m| m.name == task && m.ret.is_none());
        let left = view.marks().iter().filter(|m| m.name == task && m.ret.is_some());
        assert_eq!(entered.clone().count(), left.count());
        self.0.push(entered.count());
    }
}

#[test]
fn a_function_entered_before_the_first_step_is_marked_in_every_execution() {
    // Whoever loses the lock frees nothing: the second task does not move before the first in all executions.
    let body = vec![Op::Lock(0), Op::Add(0, 1), Op::Unlock(0), Op::Free];
    let tasks = vec![(0, body.clone()), (1, body.clone()), (2, body)];
    let p = Program { cpus: 3, vars: 1, locks: 1, tasks, ..Program::default() };
    let (machine, toy) = boot(&p);
    let mut seen = Entered(Vec::new());
    let mut exec = Exec::new(&machine, &toy);
    let options = Options { keep_going: true, ..Options::default() };
    let r = explore(&mut exec, &options, &mut seen);
    assert!(r.schedules > 6 && seen.0.iter().all(|n| *n == 3), "{:?}", seen.0);
    // Findings blame the function, not nobody.
    assert_eq!(r.findings.len(), 1);
    assert_eq!(r.findings[0].functions, ["task", "task"]);
}
