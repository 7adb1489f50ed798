//! The least schedules against all schedules, and the nearest that pass.

use super::common::{Program, Toy, boot};
use super::{keep_going, program};
use crate::dpor::Events;
use std::collections::BTreeMap;
use timerace_core::dpor::{Ignore, explore};
use timerace_core::exec::Exec;
use timerace_core::least::{Effort, Least, Wanted, effort, fewer, least};
use timerace_core::nearest::{Change, Passing, nearest_passing};
use timerace_core::policy::{Ended, Limits, Replay};
use timerace_core::record::record;
use timerace_core::schedule::{Pick, Schedule};
use timerace_core::{Class, CtxId};

type Name = (Class, [String; 2]);

/// Every schedule of a program, one after the other; the least effort for each finding.
struct All {
    best: BTreeMap<Name, Effort>,
    passing: bool,
    left: u32,
}

impl All {
    fn of(p: &Program) -> Option<All> {
        let (machine, toy) = boot(p);
        let mut exec = Exec::new(&machine, &toy);
        let mut all = All { best: BTreeMap::new(), passing: false, left: 6_000 };
        all.below(&mut exec, &mut Vec::new(), Effort::default(), &[]).then_some(all)
    }

    fn below(
        &mut self,
        exec: &mut Exec<'_, Toy>,
        path: &mut Vec<Pick>,
        so_far: Effort,
        stack: &[CtxId],
    ) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let mut ready = Vec::new();
        let again = |exec: &mut Exec<'_, Toy>, path: &[Pick]| {
            exec.restart();
            path.iter().for_each(|p| exec.step(p.ctx, p.alt));
        };
        again(exec, path);
        exec.ready(&mut ready);
        if ready.is_empty() {
            exec.end();
        }
        let machine = exec.machine();
        let findings = machine.with_mem(|m| m.findings(machine.names()));
        self.passing |= ready.is_empty() && findings.is_empty();
        for f in findings {
            let best = self.best.entry((f.class, f.functions)).or_insert(Effort::MAX);
            *best = (*best).min(so_far);
        }
        for c in ready.clone() {
            let mut next = Effort { steps: so_far.steps + 1, ..so_far };
            // Who runs is on top; below are those that interrupts came in between of.
            let mut stack = stack.to_vec();
            next.interrupts += u32::from(!exec.is_helper(c) && exec.is_idle(c));
            if !exec.is_helper(c) && stack.last() != Some(&c) {
                let could = |x: &CtxId| ready.contains(x) && !exec.is_idle(*x);
                let going = stack.iter().rposition(could);
                if exec.is_idle(c) {
                    if going.is_none_or(|i| i + 1 != stack.len()) {
                        stack.pop();
                    }
                    stack.push(c);
                } else if going.is_some_and(|i| stack[i] == c) {
                    stack.truncate(going.unwrap() + 1);
                } else if going.is_some() {
                    next.preemptions += 1;
                    stack = vec![c];
                } else {
                    stack.pop();
                    stack.push(c);
                }
            }
            for alt in 0..exec.alternatives(c) {
                path.push(Pick { ctx: c, alt });
                if !self.below(exec, path, next, &stack) {
                    return false;
                }
                path.pop();
                again(exec, path);
            }
        }
        true
    }
}

/// Compares one program: how many findings it has, and how many of them have a passing schedule nearby; `None` if it is
/// too big.
fn check(seed: u64) -> Option<(usize, usize)> {
    let p = program(seed);
    let all = All::of(&p)?;
    let (machine, toy) = boot(&p);
    let mut exec = Exec::new(&machine, &toy);
    let limits = Limits::default();
    let found = explore(&mut exec, &keep_going(), &mut Ignore);
    let mut near = 0;
    // Orders of locks are findings of many executions.
    for f in found.findings.iter().filter(|f| f.class != Class::LockOrder) {
        let wanted = Wanted { class: f.class, functions: f.functions.clone() };
        let truth = all.best[&(f.class, f.functions.clone())];
        let Least::Found(shown) = least(&mut exec, &wanted, Effort::MAX, limits, u64::MAX) else {
            panic!("{wanted:?} is not found on {p:#?}");
        };
        assert_eq!(shown.effort, truth, "{wanted:?} on {p:#?}");
        let none = Effort { steps: 0, ..truth };
        if let Some(interrupts) = none.interrupts.checked_sub(1) {
            let less = Effort { interrupts, ..none };
            assert_eq!(least(&mut exec, &wanted, less, limits, u64::MAX), Least::None);
        }
        let before = effort(&mut exec, &f.schedule, &wanted, limits).unwrap().effort;
        let less = fewer(&mut exec, &f.schedule, &wanted, limits).unwrap();
        assert!(truth <= less.effort && less.effort <= before, "{wanted:?} on {p:#?}");
        let rec = record(&mut exec, &mut Replay::new(&less.schedule), limits);
        let same = |x: &timerace_core::record::FindingRecord| {
            x.class == wanted.class && x.functions == wanted.functions
        };
        assert!(rec.ended != Ended::StepLimit && rec.findings.iter().any(same));
        check_nothing_to_leave_out(&mut exec, &less.schedule, &wanted, less.effort);
        let passing = nearest_passing(&mut exec, &less.schedule, limits);
        if let Some(passing) = &passing {
            let rec = record(&mut exec, &mut Replay::new(&passing.schedule), limits);
            assert!(rec.findings.is_empty() && rec.ended == Ended::Complete, "fails on {p:#?}");
            check_changes(&mut exec, &less.schedule, passing);
        }
        assert!(all.passing || passing.is_none());
        near += usize::from(passing.is_some());
    }
    Some((if all.passing { found.findings.len() } else { 0 }, near))
}

/// What is said to be different in the passing schedule is.
fn check_changes(exec: &mut Exec<'_, Toy>, failing: &Schedule, passing: &Passing) {
    assert!(!passing.changes.is_empty(), "{passing:?}");
    let old = Events::log(exec, &failing.picks, Limits::default());
    let new = Events::log(exec, &passing.schedule.picks, Limits::default());
    let place = |c: CtxId, i: u16| new.of(c).get(usize::from(i)).copied();
    for change in &passing.changes {
        match *change {
            Change::Earlier { ctx, step, before } => {
                let index = step.map_or(old.of(ctx).len() as u16, |s| old.index(s as usize - 1));
                let later = before as usize - 1;
                let later = place(old.ctx(later), old.index(later));
                let first = place(ctx, index).expect("it happens");
                assert!(later.is_none_or(|l| first < l), "{passing:?}");
                assert!(step.is_none_or(|s| s > before), "it was so before: {passing:?}");
            }
            Change::Alternative { step, alt } => {
                let e = step as usize - 1;
                assert!(old.alternatives(e) > alt && old.pick(e).alt != alt, "{passing:?}");
                let there = place(old.ctx(e), old.index(e)).expect("it happens");
                assert_eq!(new.pick(there as usize).alt, alt, "{passing:?}");
            }
            Change::Missing { step } => {
                let e = step as usize - 1;
                assert_eq!(place(old.ctx(e), old.index(e)), None, "{passing:?}");
            }
        }
    }
}

/// Without any one of its steps the schedule takes more, or no longer shows the finding.
fn check_nothing_to_leave_out(
    exec: &mut Exec<'_, Toy>,
    schedule: &Schedule,
    wanted: &Wanted,
    least: Effort,
) {
    for i in 0..schedule.picks.len() {
        let mut picks = schedule.picks.clone();
        picks.remove(i);
        let shown = effort(exec, &Schedule { picks }, wanted, Limits::default());
        assert!(shown.is_none_or(|s| s.effort >= least), "step {i} is not needed");
    }
}

#[test]
fn schedules_are_shrunk_to_the_least() {
    let (mut compared, mut failing, mut near) = (0, 0, 0);
    for seed in 0..600 {
        if let Some((findings, passing)) = check(seed) {
            compared += 1;
            failing += findings;
            near += passing;
        }
    }
    println!("{compared} programs, {failing} findings, {near} with a passing schedule nearby");
    assert!(compared > 200 && failing > 40, "{compared} programs, {failing} findings");
    assert!(near * 4 > failing * 3, "{near} of {failing} have a passing schedule nearby");
}
