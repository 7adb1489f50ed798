//! Data races of random programs: where vector clocks find one in a trace, the engine of states comes to a state in which
//! two contexts are about to make accesses that race, and gives up. It may give up without need (a compare-and-exchange that
//! is about to fail looks like a write); then traces answer all the same. Plain accesses change no number of schedules.

use super::common::{Op, Program, boot};
use super::draw::program;
use crate::dpor::Turn;
use crate::states::States;
use timerace_core::Class;
use timerace_core::dpor::{Ignore, Options, explore};
use timerace_core::exec::Exec;

const PROGRAMS: u64 = 3_000;

/// The program with plain accesses in place of some marked ones.
fn plain(seed: u64) -> Program {
    let mut p = program(seed);
    p.slots = 0;
    let n = &mut 0;
    let bodies =
        p.tasks.iter_mut().map(|t| &mut t.1).chain(p.lines.iter_mut().map(|l| &mut l.body));
    for op in bodies.flatten() {
        *n += 1;
        if (seed + *n).is_multiple_of(3) {
            continue;
        }
        *op = match *op {
            Op::Read(v) => Op::PlainRead(v),
            Op::Write(v, x) => Op::PlainWrite(v, x),
            _ => continue,
        };
    }
    p
}

fn marked(p: &Program) -> Program {
    let mut p = p.clone();
    let bodies =
        p.tasks.iter_mut().map(|t| &mut t.1).chain(p.lines.iter_mut().map(|l| &mut l.body));
    for op in bodies.flatten() {
        *op = match *op {
            Op::PlainRead(v) => Op::Read(v),
            Op::PlainWrite(v, x) => Op::Write(v, x),
            _ => continue,
        };
    }
    p
}

#[test]
fn states_miss_no_data_race_of_traces() {
    let options = Options { keep_going: true, max_schedules: Some(3_000), ..Options::default() };
    let (mut with, mut without) = (0, 0);
    for seed in 0..PROGRAMS {
        let p = plain(seed);
        let (machine, toy) = boot(&p);
        let mut exec = Exec::new(&machine, &toy);
        let traces = explore(&mut exec, &options, &mut Ignore);
        if !traces.complete {
            continue;
        }
        let races = traces.findings.iter().any(|f| f.class == Class::DataRace);
        let mut states = States::new(&exec, false);
        let turn = states.turn(&mut exec, &options, &mut Ignore, u64::MAX);
        let met = turn == Turn::OutOfBudget;
        assert!(met || !races, "states miss a race, {seed}: {p:#?}");
        *if races { &mut with } else { &mut without } += 1;
        let (machine, toy) = boot(&marked(&p));
        let same = explore(&mut Exec::new(&machine, &toy), &options, &mut Ignore);
        assert_eq!(same.schedules, traces.schedules, "{seed}");
        assert_eq!(same.state_digest, traces.state_digest, "{seed}");
    }
    assert!(with > 300 && without > 300, "{with} with races, {without} without");
}
