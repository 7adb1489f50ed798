//! timerace beside other tools: the same race models, played by loom, shuttle, stateright and SPIN, and the same timers on
//! a bare event loop beside nexosim's. Every measurement is a process of its own; tools take turns, round after round, so
//! that a machine whose speed drifts is unfair to nobody; the table has medians.
//!
//! `cargo run --release` prints the tables of `docs/performance.md`. `cargo run --release -- one TOOL MODEL N TASK` is one
//! measurement.

mod events;
mod program;
mod spin;
mod stateright;
mod table;
mod threads;
mod timerace;

use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Up to the first bug.
    First,
    /// All there is, also after a bug.
    Exhaust,
    /// So many random executions.
    Random(u64),
}

impl Task {
    fn parse(text: &str) -> Option<Task> {
        match text {
            "first" => Some(Task::First),
            "exhaust" => Some(Task::Exhaust),
            n => n.strip_prefix("random=")?.parse().ok().map(Task::Random),
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Executions that were begun; 0 where states were stored instead.
    pub executions: u64,
    /// States that were stored.
    pub states: u64,
    /// A bug was found.
    pub bug: bool,
    /// Everything was looked at.
    pub complete: bool,
    /// Time, in nanoseconds; 0: to be filled in.
    pub ns: u64,
    /// Peak memory in KiB; 0: to be filled in.
    pub kib: u64,
}

/// Peak resident memory of this process in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn one(tool: &str, model: &str, n: usize, task: &str) -> Option<Measured> {
    let begun = Instant::now();
    let mut m = if model == "events" {
        events::play(tool, n, task.strip_prefix("random=")?.parse().ok()?)?
    } else {
        let program = program::program(model, n)?;
        let task = Task::parse(task)?;
        match tool {
            "timerace" => Some(timerace::play(&program, task)),
            "loom" => threads::play_loom(&program, task),
            "shuttle" => threads::play_shuttle(&program, task),
            "stateright" => stateright::play(&program, task),
            "spin" => spin::play(&program, task),
            _ => None,
        }?
    };
    if m.ns == 0 {
        m.ns = begun.elapsed().as_nanos() as u64;
    }
    if m.kib == 0 {
        m.kib = peak_kib();
    }
    Some(m)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["one", tool, model, n, task] => {
            // Panics are how some tools say that they found something.
            std::panic::set_hook(Box::new(|_| {}));
            let measured = n.parse().ok().and_then(|n| one(tool, model, n, task));
            println!("{}", serde_json::to_string(&measured).expect("numbers are JSON"));
        }
        ["promela", model, n] => match n.parse().ok().and_then(|n| program::program(model, n)) {
            Some(p) => print!("{}", spin::promela(&p)),
            None => eprintln!("models: {}", program::MODELS.join(", ")),
        },
        [] => table::all(5),
        ["--rounds", n] => table::all(n.parse().unwrap_or(5)),
        _ => eprintln!(
            "usage: timerace-benches [--rounds N] | one TOOL MODEL N first|exhaust|random=N | promela MODEL N"
        ),
    }
}
