//! `timerace report`: the pictures and pages of a saved result again, in another theme or as PNG.

use crate::args::{Command, Common};
use crate::commands::{replay, run, sweep, test};
use crate::fail::{Fail, code};
use crate::pictures;
use crate::saved::{COSTS, COVER, File, Saved, write};
use crate::session::Session;
use serde_json::Value;
use std::path::Path;
use timerace_core::record::Record;
use timerace_reports::schedule_ron;
use timerace_reports::suite_html::Linked;

const SCHEDULE: &str = "schedule.ron";

/// Makes the files of a result folder again. `only`: one of them; the others stay as they are.
pub fn report(common: &Common, path: &Path, only: Option<&str>) -> Result<u8, Fail> {
    let saved = Saved::read(path)?;
    let common = settings(common, &saved);
    let cases = match &saved.cli.command {
        Some(Command::Test { .. }) => saved.cases()?,
        _ => Vec::new(),
    };
    let again = again(&common, &saved, &cases)?;
    let mut files: Vec<File> = match only {
        None => again,
        Some(name) => vec![chosen(again, name)?],
    };
    let kept = saved.files.iter().filter(|(name, _)| !files.iter().any(|(n, _)| n == *name));
    let mut kept: Vec<File> = kept.map(|(n, b)| (n.clone(), b.clone())).collect();
    for (folder, case) in &cases {
        let own = case.files.iter().map(|(n, b)| (format!("{folder}/{n}"), b.clone()));
        kept.extend(own.filter(|(name, _)| !files.iter().any(|(n, _)| n == name)));
    }
    files.extend(kept);
    write(&common, common.out.as_deref().unwrap_or(&saved.dir), files)?;
    Ok(code::OK)
}

/// The flags of the command that wrote the folder, under those of this one.
fn settings(common: &Common, saved: &Saved) -> Common {
    let then = &saved.cli.common;
    let mut now = common.clone();
    now.theme = now.theme.or(then.theme);
    now.png |= then.png;
    if now.width == 75 {
        now.width = then.width;
    }
    now
}

fn chosen(files: Vec<File>, name: &str) -> Result<File, Fail> {
    let names: Vec<String> = files.iter().map(|(n, _)| n.clone()).collect();
    files.into_iter().find(|(n, _)| n == name).ok_or_else(|| {
        Fail::usage(format!(
            "error: {name} is not made from this result; it has {}",
            names.join(", ")
        ))
    })
}

/// Everything that can be made from the folder.
fn again(common: &Common, saved: &Saved, cases: &[(String, Saved)]) -> Result<Vec<File>, Fail> {
    let source = |file: &Path| saved.source(file);
    let with_costs = |s: Session, costs: &Option<std::path::PathBuf>| -> Result<Session, Fail> {
        let kept = costs.as_ref().map(|_| saved.dir.join(COSTS));
        let mut s = s.with_costs(kept.as_deref())?;
        s.costs_file.clone_from(costs);
        Ok(s)
    };
    match &saved.cli.command {
        Some(Command::Explore { file, kernel, search, costs, .. }) => {
            let mut s =
                with_costs(Session::of(common, source(&file.file)?, kernel, &file.set)?, costs)?;
            s.set_irqs(search.irqs);
            explored(common, &s, saved)
        }
        Some(Command::Replay { file, kernel, irqs, .. }) => {
            let mut s = Session::of(common, source(&file.file)?, kernel, &file.set)?;
            s.set_irqs(*irqs);
            explored(common, &s, saved)
        }
        Some(Command::Run { file, kernel, costs, seed, seeds: None, length, .. }) => {
            let mut s =
                with_costs(Session::of(common, source(&file.file)?, kernel, &file.set)?, costs)?;
            s.set_length(*length);
            run::files(common, &s, *seed, &run::once(&s, *seed)?)
        }
        Some(Command::Test { .. }) => {
            let linked = saved.result["matrix"].as_array().into_iter().flatten();
            let linked: Option<Vec<Linked>> = linked.map(Linked::of).collect();
            let linked = linked.ok_or_else(|| {
                Fail::usage(format!("error: {}: result.json is no suite", saved.dir.display()))
            })?;
            let mut files = test::pictures(common, &linked, &saved.command());
            for (folder, case) in cases.iter().filter(|(_, c)| has_pictures(c)) {
                let own = again(common, case, &[])?;
                files.extend(own.into_iter().map(|(n, b)| (format!("{folder}/{n}"), b)));
            }
            Ok(files)
        }
        Some(Command::Sweep { .. }) => sweep::pictures(common, &saved.result, &saved.command())
            .ok_or_else(|| {
                Fail::usage(format!("error: {}: result.json is no sweep", saved.dir.display()))
            }),
        _ => Err(Fail::usage(format!(
            "error: {}: there is nothing to draw in a result of this command",
            saved.dir.display()
        ))),
    }
}

/// A search that found nothing has none, and no graphs if it took no lock under another and ends in one state.
fn has_pictures(case: &Saved) -> bool {
    let drawn = [SCHEDULE, "lock-order.dot", "states.dot"];
    !matches!(case.cli.command, Some(Command::Explore { .. }))
        || drawn.iter().any(|name| case.files.contains_key(*name))
}

/// The files of a search as a whole, and of its first finding; or of a replay.
fn explored(common: &Common, s: &Session, saved: &Saved) -> Result<Vec<File>, Fail> {
    let mut files = pictures::of_search(common, &saved.result, &saved.command());
    if saved.files.contains_key(SCHEDULE) {
        files.extend(replayed(common, s, saved)?);
    }
    if files.is_empty() {
        return Err(Fail::usage(format!(
            "error: {}: nothing was found, so there is nothing to draw",
            saved.dir.display()
        )));
    }
    Ok(files)
}

fn replayed(common: &Common, s: &Session, saved: &Saved) -> Result<Vec<File>, Fail> {
    let schedule = schedule_ron::read(&saved.text(SCHEDULE)?)
        .map_err(|e| Fail::usage(format!("error: {}: {e}", saved.dir.join(SCHEDULE).display())))?;
    let rec = replay::played(s, &schedule)?;
    let finding = finding(&rec, &saved.result);
    let cover = if saved.files.contains_key(COVER) { saved.text(COVER)? } else { String::new() };
    Ok(pictures::files(common, s, &rec, finding, &cover))
}

/// Which finding of the run the result names first.
fn finding(rec: &Record, result: &Value) -> Option<usize> {
    let named = &result["findings"][0];
    rec.findings.iter().position(|f| {
        named["class"] == f.class.name() && named["functions"] == serde_json::json!(f.functions)
    })
}
