//! A search cut into jobs: each trace is in exactly one of them, and the number of threads changes nothing.

use super::common::{Op, Program, Toy, boot};
use super::draw::program;
use super::{Collect, Truth, keep_going};
use crate::dpor::{Prefix, Traces, Turn, longer};
use std::collections::BTreeSet;
use timerace_core::dpor::{Ignore, Observer, Options, explore};
use timerace_core::exec::Exec;
use timerace_core::exhaustive::{self, Team};
use timerace_core::result::Exploration;
use timerace_core::{Class, Machine};

/// Programs whose jobs are joined.
const PROGRAMS: u64 = 300;

fn check(seed: u64) -> Option<()> {
    let p = program(seed);
    let truth = Truth::of(&p)?;
    let (machine, toy) = boot(&p);
    let mut exec = Exec::new(&machine, &toy);
    let whole = explore(&mut exec, &keep_going(), &mut Ignore);
    let mut jobs = vec![Prefix::default()];
    for length in 1..=4 {
        jobs = jobs.iter().flat_map(|j| longer(&mut exec, j)).collect();
        let mut seen = Collect::new(&toy);
        let (mut traces, mut digest) = (0, 0u64);
        for j in &jobs {
            let mut t = Traces::below(&exec, j);
            assert_eq!(t.turn(&mut exec, &keep_going(), &mut seen, u64::MAX), Turn::Done);
            let e = t.into_exploration(&exec, &keep_going());
            traces += e.schedules;
            digest = digest.wrapping_add(e.trace_digest);
        }
        assert_eq!((traces, seen.doubles), (truth.traces, 0), "length {length} of {p:#?}");
        assert_eq!(seen.outcomes, truth.outcomes, "length {length} of {p:#?}");
        assert_eq!(digest, whole.trace_digest, "length {length} of {p:#?}");
    }
    Some(())
}

#[test]
fn jobs_are_a_partition_of_the_traces() {
    let done = (0..PROGRAMS).filter_map(check).count();
    assert!(done as u64 * 10 > PROGRAMS * 8, "only {done} were small enough");
}

struct Pattern(Program);

impl Team for Pattern {
    type Model = Toy;
    type Seen = BTreeSet<u64>;
    fn boot(&self) -> (Machine, Toy) {
        boot(&self.0)
    }
    fn observe(&self, toy: &Toy, search: &mut dyn FnMut(&mut dyn Observer)) -> BTreeSet<u64> {
        let mut c = Collect::new(toy);
        search(&mut c);
        c.traces
    }
}

/// Three that count. With `bug`, one of them breaks something if it comes first, which the search tries late.
fn counters(bug: bool) -> Pattern {
    let count = vec![Op::Add(0, 1); 4];
    let mut last = vec![Op::Read(0), Op::SkipUnless(0, 2), Op::Free, Op::Free];
    last.extend([Op::Add(0, 1), Op::Add(0, 1), Op::Add(0, 1)]);
    let tasks = vec![(0, count.clone()), (1, count.clone()), (2, if bug { last } else { count })];
    Pattern(Program { cpus: 3, vars: 1, tasks, ..Program::default() })
}

#[test]
fn threads_change_nothing() {
    let run = |bug, threads, options: &Options| -> (Exploration, u64) {
        let (e, seen) = exhaustive::explore(&counters(bug), threads, false, options);
        let distinct: BTreeSet<u64> = seen.iter().flatten().copied().collect();
        (e, distinct.len() as u64)
    };
    let all = run(false, 1, &keep_going());
    // 12! / 4!^3 orders.
    assert_eq!((all.0.schedules, all.1, all.0.complete), (34_650, 34_650, true));
    assert_eq!(run(false, 3, &keep_going()), all);
    let first = run(true, 1, &Options::default());
    assert_eq!((first.0.failing, first.0.findings[0].class), (1, Class::DoubleFree));
    assert!(first.0.blocked + first.0.schedules > 1_000, "found in a job: {:?}", first.0);
    assert_eq!(run(true, 2, &Options::default()), first);
    assert_eq!(run(true, 5, &Options::default()), first);
}
