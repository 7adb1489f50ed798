//! What a suite leaves behind: the table or KTAP on standard output, files, annotations.

use super::Ran;
use crate::args::{Common, Format, TestArgs};
use crate::fail::Fail;
use crate::output;
use crate::saved::{self, File};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use timerace_core::detect::Class;
use timerace_reports::json::{self, SkippedCase, TestCase};
use timerace_reports::matrix_svg::matrix_svg;
use timerace_reports::origin;
use timerace_reports::out_dir::write_file;
use timerace_reports::suite::SuiteCase;
use timerace_reports::suite_html::{Linked, index_html};
use timerace_reports::table::{Case, CaseState, table};
use timerace_reports::{github, junit, ktap, sarif};

/// Writes and prints everything that was asked for.
pub fn write(common: &Common, args: &TestArgs, ran: &Ran) -> Result<(), Fail> {
    let suite: Vec<SuiteCase> = ran.outcomes.iter().map(|o| o.suite.clone()).collect();
    let text = text(ran);
    let value = value(ran);
    let fail = |e: timerace_reports::out_dir::OutError| Fail::usage(format!("error: {e}"));
    if let Some(dir) = &common.out {
        let mut files = cases(ran);
        let linked = linked(ran, &files);
        let mut result = value.clone();
        result["matrix"] = linked.iter().map(Linked::value).collect();
        files.push(("result.json".to_string(), saved::result_json(common, result, words(args))));
        files.push(("matrix.txt".to_string(), text.clone().into_bytes()));
        files.extend(pictures(common, &linked, &words(args)));
        saved::write(common, dir, files)?;
    }
    if let Some(path) = &args.junit {
        let xml = junit::junit(&suite, ran.allowed, ran.is_partial());
        write_file(path, xml.as_bytes()).map_err(fail)?;
    }
    if let Some(path) = &args.sarif {
        let log = sarif::sarif(&suite, env!("CARGO_PKG_VERSION"), &meaning);
        write_file(path, json::text(&log).as_bytes()).map_err(fail)?;
    }
    if args.ktap {
        let partial = ran.is_partial().then_some(ran.wanted);
        output::print(&ktap::ktap(&suite, ran.allowed, partial));
    } else if common.format == Format::Json {
        output::print(&json::text(&value));
    } else {
        output::print(&text);
        if common.verbose {
            output::print(&checks(&suite));
        }
    }
    if args.annotations.for_github() {
        let lines = github::annotations(&suite, ran.allowed);
        match args.ktap || common.format == Format::Json {
            true => output::complain(&lines),
            false => output::print(&lines),
        }
        summarise(&suite)?;
    }
    timing(common, &suite);
    Ok(())
}

/// The matrix as picture and page.
pub fn pictures(common: &Common, linked: &[Linked], words: &[String]) -> Vec<File> {
    let shown: Vec<Case> = linked.iter().map(|l| l.case.clone()).collect();
    let words: Vec<String> =
        std::iter::once("timerace".to_string()).chain(words.iter().cloned()).collect();
    let (command, theme) = (origin::line(&words), common.theme.map(|t| t.of()));
    vec![
        (
            "matrix.svg".to_string(),
            matrix_svg(&shown, &command, theme.unwrap_or_default()).into_bytes(),
        ),
        ("index.html".to_string(), index_html(linked, &command, theme).into_bytes()),
    ]
}

/// The folder of a case in that of the suite.
fn folder(case: &Case) -> String {
    let plain = |c: char| if matches!(c, '/' | '\\' | '\0' | ' ') { '-' } else { c };
    let part = |text: &str| text.chars().map(plain).collect::<String>();
    format!("{}/{}", part(&case.scenario), part(&case.kernel))
}

/// The files of all cases. Of two cases with one name, the first one has the folder.
fn cases(ran: &Ran) -> Vec<File> {
    let mut taken = BTreeSet::new();
    let mut files = Vec::new();
    for o in ran.outcomes.iter().filter(|o| !o.files.is_empty()) {
        let folder = folder(&o.shown);
        if taken.insert(folder.clone()) {
            let own = o.files.iter().map(|(n, b)| (format!("{folder}/{n}"), b.clone()));
            files.extend(own);
        }
    }
    files
}

/// Each case with the file that says most about it.
fn linked(ran: &Ran, files: &[File]) -> Vec<Linked> {
    let there: BTreeSet<&str> = files.iter().map(|f| f.0.as_str()).collect();
    let best = ["report.html", "latency.svg", "timeline.svg", "cover.txt", "result.json"];
    let linked = |o: &super::case::Outcome| {
        let folder = folder(&o.shown);
        let mut all = best.iter().map(|name| format!("{folder}/{name}"));
        Linked { case: o.shown.clone(), to: all.find(|f| there.contains(f.as_str())) }
    };
    ran.outcomes.iter().map(linked).collect()
}

fn text(ran: &Ran) -> String {
    let shown: Vec<Case> = ran.outcomes.iter().map(|o| o.shown.clone()).collect();
    let mut text = table(&shown);
    if ran.is_partial() {
        let n = ran.outcomes.len();
        let _ =
            writeln!(text, "interrupted: {n} of {} cases were run; this is partial", ran.wanted);
    }
    text
}

fn value(ran: &Ran) -> serde_json::Value {
    let cases: Vec<&TestCase> = ran.outcomes.iter().filter_map(|o| o.json.as_ref()).collect();
    let skipped = ran.outcomes.iter().filter(|o| o.suite.state == CaseState::Skipped);
    let skipped: Vec<SkippedCase> = skipped
        .map(|o| SkippedCase {
            scenario: o.shown.scenario.clone(),
            kernel: o.shown.kernel.clone(),
            reason: o.shown.note.clone(),
        })
        .collect();
    json::test(&cases, &skipped, ran.is_partial())
}

/// Every expectation, for those who want to see them all.
fn checks(suite: &[SuiteCase]) -> String {
    let mut out = String::new();
    for case in suite {
        let _ = writeln!(out, "\n{} on {}", case.scenario, case.kernel);
        for c in &case.checks {
            let word = match c.ok {
                Some(true) => "ok",
                Some(false) => "FAIL",
                None => "?",
            };
            let detail = c.detail.as_ref().map_or_else(String::new, |d| format!(": {d}"));
            let _ = writeln!(out, "  {word:<5} {}{detail}", c.name);
        }
    }
    out
}

/// Appends the matrix to the summary of the step, where GitHub says which file that is.
fn summarise(suite: &[SuiteCase]) -> Result<(), Fail> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|p| !p.is_empty()) else {
        return Ok(());
    };
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    opened.and_then(|mut file| file.write_all(github::summary(suite).as_bytes())).map_err(|e| {
        Fail::usage(format!("error: cannot write {}: {e}", std::path::Path::new(&path).display()))
    })
}

/// What a kind of failure is.
fn meaning(kind: &str) -> String {
    match kind {
        "LATENCY" => "a callback is later than the limit".to_string(),
        "DRIFT" => "a periodic timer falls behind by more than the limit".to_string(),
        "LOCK_HOLD" => "a lock is held longer than the limit".to_string(),
        "COUNT" => "a search has another number of schedules than expected".to_string(),
        "DIVERGED" => "a saved schedule does not fit any more".to_string(),
        kind => Class::from_name(kind).map_or_else(
            || "an expectation of the scenario does not hold".to_string(),
            |class| class.meaning().to_string(),
        ),
    }
}

fn timing(common: &Common, suite: &[SuiteCase]) {
    if !common.timing {
        return;
    }
    for case in suite {
        if let Some(ms) = case.millis {
            output::complain(&format!("{ms:>7} ms  {} on {}", case.scenario, case.kernel));
        }
    }
}

/// The command that makes the matrix again.
fn words(args: &TestArgs) -> Vec<String> {
    let paths = args.paths.iter().map(|p| p.display().to_string());
    let mut words: Vec<String> = std::iter::once("test".to_string()).chain(paths).collect();
    let flags = [
        ("--kernel", &args.kernels.kernel),
        ("--with", &args.kernels.with),
        ("--without", &args.kernels.without),
        ("-k", &args.pattern),
    ];
    words.extend(
        flags.iter().flat_map(|(f, v)| v.iter().flat_map(|v| [(*f).to_string(), v.clone()])),
    );
    words.extend(args.set.iter().flat_map(|(k, v)| ["--set".to_string(), format!("{k}={v}")]));
    words.extend(args.shard.iter().flat_map(|s| ["--shard".to_string(), s.to_string()]));
    words
}
