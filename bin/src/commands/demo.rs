//! `timerace demo`: a built-in race, found on the last kernel that has it and absent on the first that has not.

use crate::args::{Common, Format, KernelArgs, SearchArgs};
use crate::commands::explore::files;
use crate::fail::{Fail, code};
use crate::output;
use crate::saved;
use crate::search::{Searched, Silent, search};
use crate::session::Session;
use std::fmt::Write as _;
use timerace_kernel::versions::{MAINLINE, Release};
use timerace_kernel::{Fix, KernelVersion};
use timerace_reports::interleaving::{Detail, interleaving};
use timerace_reports::json;
use timerace_reports::num::{count, grouped};
use timerace_reports::race_text::race_text;
use timerace_scenarios::library::{self, Entry, LIBRARY};

/// Prints the names of all built-in scenarios.
pub fn list() -> Result<u8, Fail> {
    let lines = LIBRARY.iter().map(|e| format!("{:<34} {}\n", e.name(), e.title()));
    output::print(&lines.collect::<String>());
    Ok(code::OK)
}

/// Runs a built-in scenario.
pub fn demo(common: &Common, name: Option<&str>) -> Result<u8, Fail> {
    let entry = match name {
        None => &LIBRARY[0],
        Some(n) => library::find(n).ok_or_else(|| {
            Fail::usage(format!(
                "error: there is no built-in `{n}`; `timerace demo --list` names them"
            ))
        })?,
    };
    let (with_bug, without) = kernels(common, entry)?;
    let bad = explored(common, entry, with_bug)?;
    let good = without.map(|k| explored(common, entry, k)).transpose()?;
    if common.format == Format::Json {
        let mut cells = vec![json::explore(&bad.1.result(&bad.0))];
        cells.extend(good.iter().map(|(s, f)| json::explore(&f.result(s))));
        output::print_json(&serde_json::json!({ "schema": 1, "results": cells }));
    } else {
        output::print(&text(common, entry, &bad, good.as_ref()));
    }
    if let Some(dir) = &common.out {
        let command = ["explore".to_string(), bad.0.source.name.clone()].into_iter();
        let command = command.chain(bad.0.arguments()).collect();
        saved::write(common, dir, files(common, &bad.0, &bad.1, command))?;
    }
    Ok(bad.1.exit_code().max(good.map_or(code::OK, |g| g.1.exit_code())))
}

type Explored = (Session, Searched);

fn explored(common: &Common, entry: &Entry, kernel: KernelVersion) -> Result<Explored, Fail> {
    let source = entry.open();
    let args = KernelArgs { kernel: Some(kernel.release().to_string()), ..KernelArgs::default() };
    let s = Session::of(common, source, &args, &[])?;
    let mut found = search(&s, &SearchArgs::default(), common.jobs, &mut Silent)?;
    if common.out.is_some() {
        found.explain(&s)?;
    }
    Ok((s, found))
}

/// The last release without the fix that the scenario is about, and the first with it; without such a fix the newest.
fn kernels(common: &Common, entry: &Entry) -> Result<(KernelVersion, Option<KernelVersion>), Fail> {
    let source = entry.open();
    let s = Session::of(common, source, &KernelArgs::default(), &[])?;
    let commits = s.scenario.refs.iter().filter_map(|r| r.node.strip_prefix("commit "));
    let Some(fix) = commits.filter_map(Fix::find).next() else {
        return Ok((KernelVersion::newest(), None));
    };
    let of = |r: &Release| KernelVersion::of(*r).ok();
    let before = MAINLINE.iter().rev().filter_map(of).find(|k| !k.has(fix));
    let after = MAINLINE.iter().filter_map(of).find(|k| k.has(fix));
    // A fix that no modelled release has yet is added to the newest.
    let after = after.unwrap_or_else(|| KernelVersion::newest().with(fix));
    Ok((before.unwrap_or_else(KernelVersion::newest), Some(after)))
}

fn text(common: &Common, entry: &Entry, bad: &Explored, good: Option<&Explored>) -> String {
    let (s, found) = bad;
    let mut out = format!("{} on {}\n{}\n\n", entry.name(), s.kernel_name(), entry.title());
    for (rec, i) in &found.records {
        let f = &rec.findings[*i];
        let _ = writeln!(out, "BUG   {}", f.title());
        let _ = writeln!(
            out,
            "      {}, {}, schedule {}\n",
            count(u64::from(rec.switches), "switch", "switches"),
            count(rec.steps.len() as u64, "step", "steps"),
            rec.text
        );
        let il = interleaving(rec, Some(*i), Detail::Chosen);
        for line in race_text(&il, usize::from(common.width)).lines() {
            let indent = if line.is_empty() { "" } else { "    " };
            let _ = writeln!(out, "{indent}{line}");
        }
    }
    if found.records.is_empty() {
        out.push_str(&verdict(found));
    }
    if let Some((s, found)) = good {
        let _ = writeln!(out, "\nSame scenario on {}:", s.kernel_name());
        out.push_str(&verdict(found));
    }
    out.push_str("\nNext: timerace demo -o here   writes the scenario and what was found\n");
    out
}

fn verdict(found: &Searched) -> String {
    let e = &found.exploration;
    let word = if e.findings.is_empty() { "PASS" } else { "BUG " };
    let n = grouped(e.schedules);
    let all = if e.complete { "complete" } else { "INCOMPLETE" };
    format!("{word}  {n} schedules, {all}\n")
}
