//! The table of `test`: scenarios by kernels, then the failures with the command that repeats each, then the sum.
//!
//! Plain columns without rules. Failures are repeated at the end, because that is what is on the screen when it is over.

use crate::num::{count, grouped};
use std::fmt::Write as _;

/// How a case ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CaseState {
    /// Every expectation holds.
    Ok,
    /// One does not.
    Failed,
    /// A bound was hit before all was decided.
    Incomplete,
    /// It was not run: the kernel lacks what it uses.
    Skipped,
}

impl CaseState {
    fn word(self) -> &'static str {
        match self {
            CaseState::Ok => "ok",
            CaseState::Failed => "FAIL",
            CaseState::Incomplete => "INCOMPLETE",
            CaseState::Skipped => "skip",
        }
    }
}

/// One scenario on one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The scenario's name.
    pub scenario: String,
    /// The kernel.
    pub kernel: String,
    /// How it ended.
    pub state: CaseState,
    /// A number before the note: schedules, of a complete search.
    pub count: Option<u64>,
    /// A few words: `finds USE_AFTER_FREE`, `complete`, `max-schedules`.
    pub note: String,
    /// What is wrong, a line each; for cases that are not ok.
    pub details: Vec<String>,
    /// The command that shows it again.
    pub repeat: Option<String>,
}

/// The table with its failures and its last line; the order of rows and columns is that in which they first appear.
pub fn table(cases: &[Case]) -> String {
    let scenarios = distinct(cases.iter().map(|c| c.scenario.as_str()));
    let kernels = distinct(cases.iter().map(|c| c.kernel.as_str()));
    let mut columns: Vec<Vec<String>> = vec![column("scenario", scenarios.iter().copied())];
    for k in &kernels {
        let cells = kernel_cells(cases, &scenarios, k);
        columns.push(column(k, cells.iter().map(String::as_str)));
    }
    let mut out = String::new();
    for row in 0..=scenarios.len() {
        let line: Vec<&str> = columns.iter().map(|c| c[row].as_str()).collect();
        let _ = writeln!(out, "{}", line.join("  ").trim_end());
    }
    for c in cases.iter().filter(|c| !matches!(c.state, CaseState::Ok | CaseState::Skipped)) {
        let word = c.state.word();
        let indent = word.len() + 2;
        let _ = writeln!(out, "\n{word}  {} on {}", c.scenario, c.kernel);
        for line in &c.details {
            let _ = writeln!(out, "{:indent$}{line}", "");
        }
        if let Some(repeat) = &c.repeat {
            let _ = writeln!(out, "{:indent$}repeat: {repeat}", "");
        }
    }
    let _ = writeln!(out, "\n{}", sum(cases));
    out
}

/// `10 cases: 8 ok, 1 failed, 1 incomplete`.
fn sum(cases: &[Case]) -> String {
    let n = |state| cases.iter().filter(|c| c.state == state).count() as u64;
    let mut parts = vec![format!("{} ok", grouped(n(CaseState::Ok)))];
    let others = [
        (CaseState::Failed, "failed"),
        (CaseState::Incomplete, "incomplete"),
        (CaseState::Skipped, "skipped"),
    ];
    for (state, word) in others {
        if n(state) > 0 {
            parts.push(format!("{} {word}", grouped(n(state))));
        }
    }
    format!("{}: {}", count(cases.len() as u64, "case", "cases"), parts.join(", "))
}

fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for s in all {
        if !seen.contains(&s) {
            seen.push(s);
        }
    }
    seen
}

/// A heading and its cells, padded to one width.
fn column<'a>(heading: &'a str, cells: impl Iterator<Item = &'a str>) -> Vec<String> {
    let all: Vec<&str> = std::iter::once(heading).chain(cells).collect();
    let width = all.iter().map(|c| c.chars().count()).max().unwrap_or(0);
    all.iter().map(|c| format!("{c:<width$}")).collect()
}

fn kernel_cells(cases: &[Case], scenarios: &[&str], kernel: &str) -> Vec<String> {
    let here: Vec<Option<&Case>> = scenarios
        .iter()
        .map(|s| cases.iter().find(|c| c.scenario == *s && c.kernel == kernel))
        .collect();
    let known = || here.iter().flatten();
    let state = known().map(|c| c.state.word().len()).filter(|n| *n <= 4).max().unwrap_or(0);
    let number = |c: &Case| c.count.map_or_else(String::new, grouped);
    let digits = known().map(|c| number(c).len()).max().unwrap_or(0);
    let cell = |c: &Case| {
        let word = c.state.word();
        if word.len() > state || c.count.is_none() {
            return format!("{word:<state$} {}", c.note);
        }
        format!("{word:<state$} {:>digits$} {}", number(c), c.note)
    };
    here.iter().map(|c| c.map_or_else(|| "-".to_string(), cell)).collect()
}
