//! `timerace explore`: every inequivalent interleaving, or a sample.

use crate::args::{Common, Format, SearchArgs};
use crate::commands::verify;
use crate::fail::Fail;
use crate::output;
use crate::pictures;
use crate::progress::Bar;
use crate::saved::{self, COVER, File};
use crate::search::{Searched, search};
use crate::session::Session;
use crate::settings;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;
use timerace_core::record::LockStep;
use timerace_reports::cover::cover;
use timerace_reports::interleaving::{Detail, interleaving};
use timerace_reports::json;
use timerace_reports::lock_order::LockOrder;
use timerace_reports::race_text::race_text;
use timerace_reports::splat::splat;
use timerace_scenarios::judge::Judged;
use timerace_scenarios::load::bug_elsewhere;

/// Explores a scenario, prints what was found or covered, and writes the files.
///
/// `named`: whether the kernel was asked for.
pub fn explore(
    common: &Common,
    mut s: Session,
    args: &SearchArgs,
    full: bool,
    named: bool,
) -> Result<u8, Fail> {
    let args = &settings::search(common, &s.scenario, args);
    s.set_irqs(args.irqs);
    s.note_first_values(common);
    let mut bar = Bar::new(common, "schedules");
    let mut found = search(&s, args, common.jobs, &mut bar)?;
    bar.finish();
    found.explain(&s)?;
    let dir = common.out.clone().unwrap_or_else(|| default_dir(common, &s));
    let mut files = files(common, &s, &found, words(&s, args));
    if found.exploration.policy == "exhaustive" {
        let certificate = json::text(&verify::certificate(&s, args, &found)?);
        files.push(("certificate.json".to_string(), certificate.into_bytes()));
    }
    if common.format == Format::Json {
        output::print(&json::text(&result(&s, &found)));
    } else {
        output::print(&human(common, &s, args, &found, full));
    }
    saved::write(common, &dir, files)?;
    if found.exploration.findings.is_empty() && !named {
        note_kernel(common, &s);
    }
    if found.exploration.bounds.iter().any(|b| b.name == "expiries" && b.hit) {
        let note = "note: runs with more expiries were cut off; a callback that starts its timer again each time \
                    never ends: let it count (`timerace explain limits`)";
        output::note(common, note);
    }
    Ok(found.exit_code())
}

/// Says that nothing was found on a kernel that nobody has named: older ones may well have the bug.
fn note_kernel(common: &Common, s: &Session) {
    let (world, kernel) = (&s.world, s.kernel_name());
    if world.progs.is_empty() && world.maps.is_empty() {
        // Raw steps are the same on all kernels.
        return;
    }
    let next = match bug_elsewhere(&s.scenario, s.kernel) {
        Some(other) => format!("the file expects a bug of {other}: --kernel {other}"),
        None => "others may have a bug: --kernel V (`timerace kernels` lists them)".to_string(),
    };
    output::note(common, &format!("note: only {kernel} was searched, the newest kernel; {next}"));
}

/// The result for scripts, with where its schedules end and in which order it saw locks taken.
fn result(s: &Session, found: &Searched) -> Value {
    let mut result = json::explore(&found.result(s));
    if let Some(f) = &found.final_states {
        result["outcomes"] = f.json();
    }
    let findings = found.records.iter().map(|(rec, i)| rec.findings[*i].locks.as_slice());
    let circles: Vec<&[LockStep]> = findings.filter(|l| !l.is_empty()).collect();
    if let Some(locks) = LockOrder::of(&found.exploration.locks, &circles) {
        result["locks"] = locks.json();
    }
    result
}

/// Where results go without `-o`.
pub fn default_dir(common: &Common, s: &Session) -> PathBuf {
    default_dir_of(common, &s.scenario.name, &s.kernel_name())
}

/// The same by the names of the scenario and the kernel.
pub fn default_dir_of(common: &Common, scenario: &str, kernel: &str) -> PathBuf {
    settings::out(common).join(scenario).join(kernel.replace(' ', "-"))
}

/// The command that searches again.
pub fn words(s: &Session, args: &SearchArgs) -> Vec<String> {
    let head = ["explore".to_string(), s.source.name.clone()].into_iter();
    head.chain(s.arguments()).chain(s.costs_flag()).chain(args.flags()).collect()
}

/// What people read: each distinct finding, what was covered, the expectations.
pub fn human(
    common: &Common,
    s: &Session,
    args: &SearchArgs,
    found: &Searched,
    full: bool,
) -> String {
    let mut out = String::new();
    for (rec, i) in &found.records {
        if full {
            let il = interleaving(rec, Some(*i), Detail::Full);
            out.push_str(&race_text(&il, usize::from(common.width)));
            out.push('\n');
        }
        out.push_str(&splat(rec, *i, &s.origin()));
    }
    if found.exploration.stopped {
        out.push_str("note: stopped at the first bug; --keep-going lists all distinct ones\n\n");
    }
    out.push_str(&cover(&found.exploration, &found.scope));
    out.push_str(&expectations(s, &found.judged, &|i| match found.shown(i) {
        // Findings have said how to repeat them.
        Some((_, Some(_))) => None,
        Some((rec, None)) => Some(s.origin().replay(&rec.text)),
        None => Some([vec![s.origin().command("explore")], args.flags()].concat().join(" ")),
    }));
    out
}

/// A line per expectation, with the line of the file where it does not hold, and the command that repeats it.
pub fn expectations(
    s: &Session,
    judged: &[Judged],
    repeat: &dyn Fn(usize) -> Option<String>,
) -> String {
    let mut out = String::from("\n");
    for (i, j) in judged.iter().enumerate() {
        let word = match j.ok {
            Some(true) => "ok",
            Some(false) => "FAIL",
            None => "?",
        };
        if j.ok.is_some() && j.known_bug.is_none() && !j.limits.is_empty() {
            for l in &j.limits {
                let (word, at) = match l.ok {
                    true => ("ok", String::new()),
                    false => ("FAIL", format!("  ({}:{})", s.source.name, j.line)),
                };
                let _ = writeln!(out, "{word:<6}{}{at}", l.words);
            }
            if let Some(repeat) = repeat(i).filter(|_| j.ok == Some(false)) {
                let _ = writeln!(out, "      repeat: {repeat}");
            }
            continue;
        }
        let _ = write!(out, "{word:<6}{}", j.name);
        if let Some(d) = &j.detail {
            let _ = write!(out, ": {d}");
        }
        if j.ok == Some(false) {
            let _ = write!(out, "  ({}:{})", s.source.name, j.line);
        }
        out.push('\n');
        if let Some(repeat) = repeat(i).filter(|_| j.ok == Some(false)) {
            let _ = writeln!(out, "      repeat: {repeat}");
        }
    }
    out
}

/// The files of a result that this command makes.
pub fn files(common: &Common, s: &Session, found: &Searched, command: Vec<String>) -> Vec<File> {
    let result = result(s, found);
    let graphs = pictures::of_search(common, &result, &command);
    let mut files = saved::files(common, s, result, command);
    files.extend(graphs);
    let cover = cover(&found.exploration, &found.scope);
    if let Some((rec, i)) = found.records.first() {
        files.extend(pictures::files(common, s, rec, Some(*i), &cover));
    }
    files.push((COVER.to_string(), cover.into_bytes()));
    files.extend(saved::costs(s));
    files
}
