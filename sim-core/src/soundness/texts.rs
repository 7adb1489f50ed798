//! Texts of schedules mean what they say: a run's text, read again, gives the same run.

use super::common::boot;
use super::program;
use crate::machine::Setup;
use timerace_core::exec::Exec;
use timerace_core::policy::{Ended, Limits, Random};
use timerace_core::record::{Record, record};
use timerace_core::schedule::{Pick, ShortSchedule, short_token};
use timerace_core::{CpuId, CtxKind};

fn picks(rec: &Record) -> Vec<Pick> {
    rec.steps.iter().map(|s| Pick { ctx: s.ctx, alt: s.alt }).collect()
}

#[test]
fn a_text_that_is_read_again_gives_the_same_run() {
    let mut tokens = 0;
    for seed in 0..2_000 {
        let mut p = program(seed);
        // The worker of these programs is at home on CPU 0.
        p.cpus = p.cpus.max(1);
        let (machine, toy) = boot(&p);
        let mut exec = Exec::new(&machine, &toy);
        let mut random = Random::new(seed);
        for _ in 0..3 {
            let rec = record(&mut exec, &mut random, Limits::default());
            let mut text = ShortSchedule::parse(&rec.text, &machine).unwrap();
            let again = record(&mut exec, &mut text, Limits::default());
            assert_eq!(again.ended, Ended::Complete, "{} of {p:#?}", rec.text);
            assert_eq!(picks(&again), picks(&rec), "{} of {p:#?}", rec.text);
            assert_eq!(again.text, rec.text);
            tokens += rec.text.split(',').count();
        }
    }
    assert!(tokens > 20_000, "{tokens} parts of schedules");
}

/// Names that are alike, and such as look like a count, are told apart.
#[test]
fn names_are_unique_on_their_cpu() {
    let mut s = Setup::new(2);
    let mut add = |token: &str, cpu: Option<u16>| {
        let (name, cpu) = (token.to_string(), cpu.map(CpuId));
        let kind = if cpu.is_some() { CtxKind::Task } else { CtxKind::Helper };
        let id = s.context(crate::CtxSpec { token: name.clone(), name, cpu, kind, daemon: false });
        short_token(&s.contexts()[id.index()]).to_string()
    };
    let names: Vec<String> = [
        ("Timer", Some(0)),
        ("timer", Some(0)),
        ("timer", Some(1)),
        ("timerx30", Some(0)),
        ("ax2", Some(0)),
        ("a", Some(0)),
        ("qs-cpu0-1", None),
        ("qs-cpu0-1", None),
        ("qs-cpu0-0", None),
        ("rcu0", None),
    ]
    .into_iter()
    .map(|(token, cpu)| add(token, cpu))
    .collect();
    let unlike = ["timer", "timer-b", "timer", "timerx30-b", "ax2", "a-b"];
    assert_eq!(names[..6], unlike);
    assert_eq!(names[6..], ["qs-cpu0", "qs-cpu0-b", "qs-cpu0", "rcu"]);
}

/// What is written by hand and does not fit is refused, in words that say where and what would fit.
#[test]
fn what_does_not_fit_says_where() {
    use super::common::{Op, Program};
    let body = vec![Op::Choose(2), Op::Add(0, 1), Op::Add(0, 1)];
    let tasks = vec![(0, body.clone()), (1, body.clone()), (1, body)];
    let p = Program { cpus: 2, vars: 1, tasks, ..Program::default() };
    let (machine, toy) = boot(&p);
    let mut exec = Exec::new(&machine, &toy);
    let mut run = |text: &str| {
        let mut text = ShortSchedule::parse(text, &machine)?;
        match record(&mut exec, &mut text, Limits::default()).ended {
            Ended::Diverged(d) => Err(format!("step {}: {}", d.step, d.reason)),
            _ => Ok(()),
        }
    };
    assert_eq!(run("0=1,1:t1=1,1:t2"), Ok(()));
    // Behind its alternative the last one goes on to its end.
    assert_eq!(run("0=1"), Ok(()));
    assert_eq!(
        run("0x2,0=1"),
        Err("step 3: `0=1`: the step has the alternatives 0 to 0".to_string())
    );
    assert_eq!(
        run("0x4,1:t1"),
        Err("step 4: `0x4`: t0 cannot step any further; possible: 1:t1, 1:t2".to_string())
    );
    assert_eq!(run("1"), Err("step 1: CPU1 has several that can step: say 1:t1 or t2".to_string()));
    let parse = |text: &str| ShortSchedule::parse(text, &machine).map(|_| ());
    assert_eq!(
        parse("0x2=1"),
        Err("`0x2=1` in the schedule: an alternative is that of one step: no count beside it"
            .to_string())
    );
    assert_eq!(
        parse("1:t3"),
        Err("`1:t3` in the schedule: CPU1 has no `t3`; it has t1, t2".to_string())
    );
}
