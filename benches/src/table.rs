//! Runs all measurements in turns and prints the tables.

use crate::Measured;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What takes longer is given up.
const LIMIT: Duration = Duration::from_secs(20);

const CHECKERS: [&str; 5] = ["timerace", "loom", "shuttle", "stateright", "spin"];

/// What is measured: what a reader calls it, model, size, task.
const ROWS: [(&str, &str, usize, &str); 16] = [
    ("R07, 2 threads: first bug", "uaf", 2, "first"),
    ("R07, 3 threads: all", "uaf", 3, "exhaust"),
    ("R07 fixed, 2 threads: all", "uaf-fixed", 2, "exhaust"),
    ("R07 fixed, 3 threads: all", "uaf-fixed", 3, "exhaust"),
    ("R07 fixed, 4 threads: all", "uaf-fixed", 4, "exhaust"),
    ("R07 fixed, 6 threads: all", "uaf-fixed", 6, "exhaust"),
    ("R09, 3 callbacks: first bug", "ring", 3, "first"),
    ("R09 fixed, 2 callbacks: all", "ring-checked", 2, "exhaust"),
    ("R09 fixed, 3 callbacks: all", "ring-checked", 3, "exhaust"),
    ("R09 fixed, 4 callbacks: all", "ring-checked", 4, "exhaust"),
    ("R09 without barrier, TSO, 2: first bug", "ring-tso", 2, "first"),
    ("R09 without barrier, TSO, 3: first bug", "ring-tso", 3, "first"),
    ("R09 without barrier, TSO, 4: first bug", "ring-tso", 4, "first"),
    ("R09 with barrier, TSO, 3: all", "ring-tso-barrier", 3, "exhaust"),
    ("R09 with barrier, TSO, 4: all", "ring-tso-barrier", 4, "exhaust"),
    ("R07 fixed, 3 threads: 100 000 random", "uaf-fixed", 3, "random=100000"),
];

/// What came of one measurement.
enum Outcome {
    Done(Measured),
    TooLong,
    /// The tool cannot do that.
    No,
}

fn measure(tool: &str, model: &str, n: usize, task: &str) -> Outcome {
    let this = std::env::current_exe().expect("a running program has a path");
    let mut command = Command::new(this);
    command.args(["one", tool, model, &n.to_string(), task]);
    let Ok(mut child) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
        return Outcome::No;
    };
    let begun = Instant::now();
    while child.try_wait().is_ok_and(|s| s.is_none()) {
        if begun.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            return Outcome::TooLong;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let out = child.wait_with_output().map(|o| o.stdout).unwrap_or_default();
    match serde_json::from_slice::<Option<Measured>>(&out) {
        Ok(Some(m)) => Outcome::Done(m),
        _ => Outcome::No,
    }
}

fn median(mut of: Vec<u64>) -> u64 {
    of.sort_unstable();
    of[of.len() / 2]
}

/// Medians of a tool's rounds; a tool that needed too long once is not asked again.
#[derive(Default)]
struct Rounds {
    done: Vec<Measured>,
    too_long: bool,
    no: bool,
}

impl Rounds {
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Done(m) => self.done.push(m),
            Outcome::TooLong => self.too_long = true,
            Outcome::No => self.no = true,
        }
    }

    fn ns(&self) -> Option<u64> {
        let all: Vec<u64> = self.done.iter().map(|m| m.ns).collect();
        (!all.is_empty() && !self.too_long).then(|| median(all))
    }

    fn cell(&self, first: bool, sampled: bool) -> String {
        let (Some(ns), Some(m)) = (self.ns(), self.done.first()) else {
            return if self.too_long { "> 20 s".into() } else { "-".into() };
        };
        let work = if m.states > 0 {
            format!("{} states", grouped(m.states))
        } else {
            format!("{} exec.", grouped(m.executions))
        };
        let kib = median(self.done.iter().map(|m| m.kib).collect());
        let note = match (first, m.bug, m.complete) {
            (true, false, _) => ", no bug found",
            (false, _, false) if !sampled => ", false alarm",
            _ => "",
        };
        let per_second = m.states.max(m.executions) as f64 / (ns as f64 / 1e9);
        let rate = grouped(per_second as u64);
        format!("{} ms, {work}, {rate}/s, {:.1} MiB{note}", ms(ns), kib as f64 / 1024.0)
    }
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

fn ms(ns: u64) -> String {
    let ms = ns as f64 / 1e6;
    if ms < 10.0 { format!("{ms:.2}") } else { grouped(ms.round() as u64) }
}

fn line(title: &str, tools: &[&str], model: &str, n: usize, task: &str, rounds: usize) {
    let mut all: Vec<Rounds> = tools.iter().map(|_| Rounds::default()).collect();
    for _ in 0..rounds {
        for (tool, r) in tools.iter().zip(&mut all) {
            if !r.too_long && !r.no {
                r.add(measure(tool, model, n, task));
            }
        }
    }
    let (first, sampled) = (task == "first", task.starts_with("random"));
    let cells: Vec<String> = all.iter().map(|r| r.cell(first, sampled)).collect();
    println!("| {title} | {} |", cells.join(" | "));
}

fn head(what: &str, tools: &[&str]) {
    println!("| {what} | {} |", tools.join(" | "));
    println!("|{}", "---|".repeat(tools.len() + 1));
}

/// All tables, with medians over so many rounds.
pub fn all(rounds: usize) {
    head("model and task", &CHECKERS);
    for (title, model, n, task) in ROWS {
        line(title, &CHECKERS, model, n, task, rounds);
    }
    println!();
    let simulators = ["timerace", "nexosim"];
    head("bare event loop, 30 % cancelled and re-armed", &simulators);
    for (title, timers) in
        [("10 000 timers, 1 M expiries", 10_000), ("1 000 000 timers, 1 M expiries", 1_000_000)]
    {
        line(title, &simulators, "events", timers, "random=1000000", rounds);
    }
}
