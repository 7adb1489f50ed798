//! JUnit XML as GitLab, Jenkins and the test actions of GitHub read it.
//!
//! GitLab drops test cases whose name was there before, so each name ends with the kernel. There is no wall time in it
//! unless it was asked for: the same suite gives the same file.

use crate::suite::{Check, Failure, Reach, SuiteCase, by_kernel};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The document. `allowed`: what a bound cut off is skipped, not an error. `partial`: the suite was interrupted.
pub fn junit(cases: &[SuiteCase], allowed: bool, partial: bool) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<Test<'_>> = cases.iter().flat_map(|c| tests(c, allowed)).collect();
    let _ = writeln!(out, "<testsuites name=\"timerace\"{}>", totals(all.iter()));
    let mut names = BTreeSet::new();
    for (kernel, cases) in by_kernel(cases) {
        let tests: Vec<Test<'_>> = cases.iter().flat_map(|c| tests(c, allowed)).collect();
        let time = time(cases.iter().filter_map(|c| c.millis));
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\"{}{time}>",
            attribute(kernel),
            totals(tests.iter())
        );
        if partial {
            out.push_str("    <properties>\n      <property name=\"partial\" value=\"true\"/>\n");
            out.push_str("    </properties>\n");
        }
        for test in &tests {
            test.write(&mut out, &mut names);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

enum Result<'a> {
    Ok,
    Skipped(String),
    Failed(&'a Failure),
    /// A bound was hit before it was decided.
    Inconclusive(String),
}

struct Test<'a> {
    case: &'a SuiteCase,
    name: &'a str,
    line: u32,
    result: Result<'a>,
    /// The first of a case bears its time.
    millis: Option<u64>,
}

fn tests(case: &SuiteCase, allowed: bool) -> Vec<Test<'_>> {
    let test = |name, line, result| Test { case, name, line, result, millis: None };
    let inconclusive = |bound: &String| match allowed {
        true => Result::Skipped(format!("inconclusive, {bound}")),
        false => Result::Inconclusive(bound.clone()),
    };
    let of = |check: &Check| match (check.ok, &case.reach) {
        (Some(true), _) => match &check.known_bug {
            Some(reference) => Result::Skipped(format!("known bug: {reference}")),
            None => Result::Ok,
        },
        (Some(false), _) => Result::Ok,
        (None, Reach::Cut(bound)) => inconclusive(bound),
        (None, _) => Result::Skipped(check.detail.clone().unwrap_or_default()),
    };
    let mut all: Vec<Test<'_>> = Vec::new();
    for check in &case.checks {
        let result = check.failure.as_ref().map_or_else(|| of(check), Result::Failed);
        all.push(test(&check.name, check.line, result));
    }
    let complete = match &case.reach {
        Reach::Complete(_) | Reach::Within(..) => Some(Result::Ok),
        Reach::Stopped => Some(Result::Skipped("the search stopped at a finding".to_string())),
        Reach::Cut(bound) => Some(inconclusive(bound)),
        Reach::OneRun => None,
        Reach::Skipped(why) => Some(Result::Skipped(why.clone())),
    };
    all.extend(complete.map(|r| test("complete", 1, r)));
    if let Some(first) = all.first_mut() {
        first.millis = case.millis;
    }
    all
}

fn totals<'t, 'a: 't>(tests: impl Iterator<Item = &'t Test<'a>>) -> String {
    let (mut all, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for test in tests {
        all += 1;
        match test.result {
            Result::Ok => {}
            Result::Skipped(_) => skipped += 1,
            Result::Failed(_) => failures += 1,
            Result::Inconclusive(_) => errors += 1,
        }
    }
    format!(" tests=\"{all}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

/// The attribute with a time in seconds; empty if none was measured.
fn time(millis: impl Iterator<Item = u64>) -> String {
    let all: Vec<u64> = millis.collect();
    let sum: u64 = all.iter().sum();
    if all.is_empty() {
        String::new()
    } else {
        format!(" time=\"{}.{:03}\"", sum / 1000, sum % 1000)
    }
}

impl Test<'_> {
    fn write(&self, out: &mut String, names: &mut BTreeSet<(String, String)>) {
        let class = class_name(&self.case.file, &self.case.scenario);
        let base = format!("{}[{}]", self.name, self.case.kernel);
        let mut name = base.clone();
        let mut n = 2;
        while !names.insert((class.clone(), name.clone())) {
            name = format!("{base} ({n})");
            n += 1;
        }
        let _ = write!(
            out,
            "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\"{}",
            attribute(&class),
            attribute(&name),
            attribute(&self.case.file),
            self.line,
            time(self.millis.into_iter())
        );
        let body = match &self.result {
            Result::Ok => return out.push_str("/>\n"),
            Result::Skipped(why) => format!("<skipped message=\"{}\"/>", attribute(why)),
            Result::Inconclusive(bound) => format!(
                "<error type=\"INCONCLUSIVE\" message=\"{} was hit before all was decided\"/>",
                attribute(bound)
            ),
            Result::Failed(f) => failure(self, f),
        };
        let _ = writeln!(out, ">\n      {body}\n    </testcase>");
    }
}

fn failure(test: &Test<'_>, f: &Failure) -> String {
    let mut text = format!("{}:{}: {}\n", test.case.file, test.line, f.message);
    if let Some(race) = &f.race {
        let _ = writeln!(text, "\n{}", race.trim_end());
    }
    if let Some(schedule) = &f.schedule {
        let _ = writeln!(text, "\nschedule: {schedule}");
    }
    let _ = write!(text, "\nrepeat: {}", f.repeat);
    format!(
        "<failure type=\"{}\" message=\"{}\">{}</failure>",
        attribute(&f.kind),
        attribute(&f.message),
        escaped(&text)
    )
}

/// `scenarios/lru-evict.ron` is `scenarios.lru-evict`; the scenario's own name if it is not the file's.
fn class_name(file: &str, scenario: &str) -> String {
    let path = file.strip_suffix(".ron").unwrap_or(file);
    let named = |p: &&str| !matches!(*p, "" | "." | "..");
    let mut parts: Vec<&str> = path.split(['/', '\\']).filter(named).collect();
    if parts.last() != Some(&scenario) {
        parts.push(scenario);
    }
    parts.join(".")
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(c),
            // XML 1.0 has no place for these, not even escaped.
            c if c.is_control() || ('\u{fffe}'..='\u{ffff}').contains(&c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn attribute(text: &str) -> String {
    escaped(text).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}
