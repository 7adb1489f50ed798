//! KTAP version 1: what kselftest, KUnit's parser and boot-test labs read.
//!
//! A level is a kernel (where there are several), a scenario, an expectation. Names hold no `#`, directives are `SKIP`,
//! `XFAIL` and `TIMEOUT`, and diagnostics stand before the line that they are about.

use crate::suite::{Check, Reach, SuiteCase, by_kernel};
use std::fmt::Write as _;

/// The document. `allowed`: what a bound cut off is skipped, not failed. `partial`: the suite was interrupted after these
/// cases; so many were `wanted`.
pub fn ktap(cases: &[SuiteCase], allowed: bool, partial: Option<usize>) -> String {
    let kernels = by_kernel(cases);
    let mut out = String::from("KTAP version 1\n");
    if let Some(wanted) = partial {
        let _ = writeln!(out, "# interrupted: {} of {wanted} cases were run", cases.len());
    }
    match kernels.as_slice() {
        [(_, cases)] => scenarios(&mut out, cases, 0, allowed),
        _ => {
            let _ = writeln!(out, "1..{}", kernels.len());
            for (i, (kernel, cases)) in kernels.iter().enumerate() {
                out.push_str("  KTAP version 1\n");
                scenarios(&mut out, cases, 2, allowed);
                let ok = cases.iter().all(|c| is_ok(c, allowed));
                let _ = writeln!(out, "{} {} {}", word(ok), i + 1, plain(kernel));
            }
        }
    }
    out
}

fn scenarios(out: &mut String, cases: &[&SuiteCase], indent: usize, allowed: bool) {
    let _ = writeln!(out, "{:indent$}1..{}", "", cases.len());
    for (i, case) in cases.iter().enumerate() {
        let (no, name) = (i + 1, plain(&case.scenario));
        if let Reach::Skipped(why) = &case.reach {
            let _ = writeln!(out, "{:indent$}ok {no} {name} # SKIP {}", "", plain(why));
            continue;
        }
        checks(out, case, indent + 2, allowed);
        let _ = writeln!(out, "{:indent$}{} {no} {name}", "", word(is_ok(case, allowed)));
    }
}

fn checks(out: &mut String, case: &SuiteCase, indent: usize, allowed: bool) {
    let n = case.checks.len() + usize::from(case.says_complete());
    let _ = writeln!(out, "{:indent$}KTAP version 1\n{:indent$}1..{n}", "", "");
    for (i, check) in case.checks.iter().enumerate() {
        for line in diagnostics(case, check) {
            let _ = writeln!(out, "{}", format!("{:indent$}# {line}", "").trim_end());
        }
        let (ok, directive) = verdict(case, check, allowed);
        let _ = writeln!(out, "{:indent$}{} {} {}{directive}", "", word(ok), i + 1, check.name);
    }
    let (said, ok, directive) = match &case.reach {
        Reach::Complete(n) => (format!("complete: {n} schedules"), true, String::new()),
        Reach::Within(n, bounds) => {
            (format!("within {bounds}: {n} schedules"), true, String::new())
        }
        Reach::Stopped => {
            let why = "the search stopped at a finding".to_string();
            (String::new(), true, format!(" # SKIP {why}"))
        }
        Reach::Cut(bound) => {
            let (ok, directive) = cut(bound, allowed);
            (String::new(), ok, directive)
        }
        Reach::OneRun | Reach::Skipped(_) => return,
    };
    if !said.is_empty() {
        let _ = writeln!(out, "{:indent$}# {said}, bounds {}", "", case.bounds);
    }
    let _ = writeln!(out, "{:indent$}{} {n} complete{directive}", "", word(ok));
}

/// Where the expectation stands, what is wrong, the interleaving, and how to repeat it.
fn diagnostics(case: &SuiteCase, check: &Check) -> Vec<String> {
    let Some(failure) = &check.failure else { return Vec::new() };
    let mut lines = vec![format!("{}:{}: {}", case.file, check.line, failure.message)];
    lines.extend(failure.race.iter().flat_map(|r| r.lines()).map(str::to_string));
    lines.extend(failure.schedule.iter().map(|s| format!("schedule: {s}")));
    lines.push(format!("repeat: {}", failure.repeat));
    lines
}

fn verdict(case: &SuiteCase, check: &Check, allowed: bool) -> (bool, String) {
    match (check.ok, &check.known_bug) {
        (Some(true), Some(reference)) => (true, format!(" # XFAIL {}", plain(reference))),
        (Some(ok), _) => (ok, String::new()),
        (None, _) => match &case.reach {
            Reach::Cut(bound) => cut(bound, allowed),
            _ => {
                let why = check.detail.as_deref().unwrap_or("not decided");
                (true, format!(" # SKIP {}", plain(why)))
            }
        },
    }
}

fn cut(bound: &str, allowed: bool) -> (bool, String) {
    match allowed {
        true => (true, format!(" # SKIP inconclusive, {}", plain(bound))),
        false => (false, format!(" # TIMEOUT {}", plain(bound))),
    }
}

fn is_ok(case: &SuiteCase, allowed: bool) -> bool {
    use crate::table::CaseState;
    match case.state {
        CaseState::Ok | CaseState::Skipped => true,
        CaseState::Incomplete => allowed,
        CaseState::Failed => false,
    }
}

fn word(ok: bool) -> &'static str {
    if ok { "ok" } else { "not ok" }
}

/// One line that holds no `#`, which would begin a directive.
fn plain(text: &str) -> String {
    let line = text.replace('#', "No. ");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
