//! What GitHub Actions shows: an annotation per failure at its line, and the matrix as Markdown in the step summary.

use crate::suite::{Reach, SuiteCase, by_kernel, scenarios};
use crate::table::CaseState;
use std::fmt::Write as _;

/// `::error file=..,line=..,title=..::..`, a line per failure; what a bound cut off is a warning where it is `allowed`.
pub fn annotations(cases: &[SuiteCase], allowed: bool) -> String {
    let mut out = String::new();
    for case in cases {
        for (check, f) in case.failures() {
            let title = format!("{} on {}: {}", case.scenario, case.kernel, check.name);
            let mut text = f.message.clone();
            if let Some(race) = &f.race {
                let _ = write!(text, "\n\n{}", race.trim_end());
            }
            let _ = write!(text, "\n\nrepeat: {}", f.repeat);
            out.push_str(&line("error", &case.file, check.line, &title, &text));
        }
        if let (CaseState::Incomplete, Reach::Cut(bound)) = (case.state, &case.reach) {
            let title = format!("{} on {}: inconclusive", case.scenario, case.kernel);
            let text = format!("{bound} was hit before all was decided");
            let level = if allowed { "warning" } else { "error" };
            out.push_str(&line(level, &case.file, 1, &title, &text));
        }
    }
    out
}

fn line(level: &str, file: &str, line: u32, title: &str, text: &str) -> String {
    format!(
        "::{level} file={},line={line},title={}::{}\n",
        property(file),
        property(title),
        data(text)
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The matrix and the failures as Markdown.
pub fn summary(cases: &[SuiteCase]) -> String {
    let kernels = by_kernel(cases);
    let mut out = String::from("### timerace\n\n| scenario |");
    for (kernel, _) in &kernels {
        let _ = write!(out, " {} |", cell(kernel));
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(kernels.len()));
    out.push('\n');
    for scenario in scenarios(cases) {
        let _ = write!(out, "| {} |", cell(scenario));
        for (_, cases) in &kernels {
            let here = cases.iter().find(|c| c.scenario == scenario);
            let _ = write!(out, " {} |", here.map_or_else(String::new, |c| cell(&word(c))));
        }
        out.push('\n');
    }
    for case in cases {
        for (check, f) in case.failures() {
            let _ = write!(
                out,
                "\n**{}** on {}, `{}` ({}:{}): {}\n\n",
                cell(&case.scenario),
                cell(&case.kernel),
                check.name,
                cell(&case.file),
                check.line,
                cell(&f.message)
            );
            let mut text = f.race.clone().unwrap_or_default();
            let _ = write!(text, "\n{}", f.repeat);
            let fence = fence(&text);
            let _ = writeln!(out, "{fence}text\n{}\n{fence}", text.trim());
        }
    }
    out.push('\n');
    out
}

fn word(case: &SuiteCase) -> String {
    match (case.state, &case.reach) {
        (CaseState::Ok, Reach::Complete(n)) => format!("ok, {n} schedules"),
        (CaseState::Ok, Reach::Within(n, bounds)) => format!("ok, {n} schedules within {bounds}"),
        (CaseState::Ok, Reach::Stopped) => "ok, finds its bug".to_string(),
        (CaseState::Ok, _) => "ok".to_string(),
        (CaseState::Failed, _) => "**FAIL**".to_string(),
        (CaseState::Incomplete, Reach::Cut(bound)) => format!("*inconclusive*, {bound}"),
        (CaseState::Incomplete, _) => "*inconclusive*".to_string(),
        (CaseState::Skipped, _) => "skipped".to_string(),
    }
}

/// Text that ends no cell and begins no markup.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '[' | ']' | '<' | '>' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A fence that the text does not hold.
fn fence(text: &str) -> String {
    let mut fence = "```".to_string();
    while text.contains(&fence) {
        fence.push('`');
    }
    fence
}
