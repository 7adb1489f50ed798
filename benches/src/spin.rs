//! SPIN: the program as Promela, one atomic step an operation, verified by the program that SPIN writes, with its
//! partial-order reduction.

use crate::program::{Op, PTR, Program};
use crate::{Measured, Task};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

fn operation(out: &mut String, program: &Program, thread: usize, at: usize) {
    let line = match program.threads[thread][at] {
        Op::Set(f, x) if program.slots > 0 => format!("buffer{thread}!{f},{x}"),
        Op::Barrier => format!("empty(buffer{thread})"),
        Op::Lock => format!("atomic {{ owner == 0 -> owner = {} }}", thread + 1),
        Op::Unlock => "owner = 0".to_string(),
        Op::ReadSlot => "r = slot".to_string(),
        Op::TakeSlot => "d_step { r = slot; slot = 0 }".to_string(),
        Op::SkipUnlessPtr(n) => format!("if :: r != {PTR} -> goto l{} :: else fi", at + 1 + n),
        Op::SkipUnlessZero(n) => format!("if :: r != 0 -> goto l{} :: else fi", at + 1 + n),
        Op::UseAdd => "d_step { assert(!freed); adds++ }".to_string(),
        Op::Use => "assert(!freed)".to_string(),
        Op::Free => "freed = 1".to_string(),
        Op::Set(f, x) => format!("flag[{f}] = {x}"),
        Op::Add(f, n) => format!("flag[{f}] = flag[{f}] + {}", n as i64),
        Op::Read(f) => format!("r = flag[{f}]"),
        Op::WaitZero(from, to) => {
            let all: Vec<String> = (from..to).map(|f| format!("flag[{f}] == 0")).collect();
            format!("({})", all.join(" && "))
        }
    };
    let _ = writeln!(out, "l{at}: {line};");
}

/// The program as Promela.
pub fn promela(program: &Program) -> String {
    let mut out = String::new();
    let flags = program.flags.max(1);
    let _ = writeln!(out, "byte owner, slot = {PTR}, adds; bit freed; short flag[{flags}];");
    let threads = program.threads.iter().enumerate();
    for (t, _) in threads.clone().filter(|_| program.slots > 0) {
        let _ = writeln!(out, "chan buffer{t} = [{}] of {{ byte, byte }};", program.slots);
        let _ = writeln!(out, "active proctype drain{t}() {{ byte f, x;");
        let _ = writeln!(
            out,
            "end: do :: atomic {{ buffer{t}?f,x -> flag[f] = x; f = 0; x = 0 }} od }}"
        );
    }
    for (t, ops) in threads {
        let _ = writeln!(out, "active proctype t{t}() {{ short r;");
        for at in 0..ops.len() {
            operation(&mut out, program, t, at);
        }
        let _ = writeln!(out, "l{}: skip }}", ops.len());
    }
    out
}

fn run(dir: &Path, program: &str, args: &[&str]) -> Option<String> {
    let out = Command::new(program).args(args).current_dir(dir).output().ok()?;
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// The number before a text in the verifier's report.
fn number(report: &str, after: &str) -> u64 {
    let before = report.split(after).next().unwrap_or_default();
    before.split_whitespace().last().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) as u64
}

/// Plays the program; `None` where SPIN or a C compiler is missing, or for random runs.
pub fn play(program: &Program, task: Task) -> Option<Measured> {
    if matches!(task, Task::Random(_)) {
        return None;
    }
    let dir = std::env::temp_dir().join(format!("timerace-spin-{}", std::process::id()));
    std::fs::create_dir_all(&dir).ok()?;
    std::fs::write(dir.join("model.pml"), promela(program)).ok()?;
    let made = run(&dir, "spin", &["-a", "model.pml"]).is_some()
        && run(&dir, "cc", &["-O2", "-DSAFETY", "-DNOFAIR", "-o", "pan", "pan.c"]).is_some();
    // Only the verification is timed: making the verifier takes a second.
    let begun = Instant::now();
    let all = if task == Task::Exhaust { "-c0" } else { "-c1" };
    let report = made.then(|| run(&dir, "./pan", &[all, "-w20", "-m10000"])).flatten();
    let ns = begun.elapsed().as_nanos() as u64;
    let _ = std::fs::remove_dir_all(&dir);
    let report = report?;
    let memory = report.lines().find(|l| l.contains("total actual memory usage"))?;
    let mib: f64 = memory.split_whitespace().next()?.parse().ok()?;
    Some(Measured {
        states: number(&report, " states, stored"),
        bug: !report.contains("errors: 0"),
        complete: task == Task::Exhaust && !report.contains("Search not completed"),
        ns,
        kib: (mib * 1024.0) as u64,
        ..Measured::default()
    })
}
