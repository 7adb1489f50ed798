//! `golden:` digests of a suite: compared in every run, written by `--bless`.

use super::case::Outcome;
use super::files::Cell;
use crate::args::{Common, TestArgs};
use crate::commands::explore::default_dir_of;
use crate::fail::Fail;
use crate::output;
use crate::session::Session;
use similar::TextDiff;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use timerace_reports::out_dir::write_file;
use timerace_reports::suite::{Check, Failure};
use timerace_scenarios::golden::{blessed, digest};
use timerace_scenarios::load;

/// An interleaving that was shown, and the digest that the scenario has for it.
pub struct Golden {
    /// The kernel, as `golden:` names it.
    pub kernel: String,
    /// The text; empty: no bug was found.
    pub race: String,
    /// The digest in the file.
    pub kept: Option<String>,
}

/// The digest of a scenario for its kernel, beside what is shown now; `line` is that of the digest.
pub fn of(s: &Session, race: String) -> (Golden, u32) {
    let kernel = s.kernel_name();
    let kept = s.scenario.golden.iter().find(|(k, _)| k.node == kernel);
    let before = kept.map_or(0, |(k, _)| k.span.start);
    let lines = s.source.text.get(..before).unwrap_or_default().matches('\n').count();
    let line = u32::try_from(lines + 1).unwrap_or(u32::MAX);
    (Golden { kernel, race, kept: kept.map(|(_, d)| d.node.clone()) }, line)
}

/// The check that what is shown is what the digest was taken of; none where there is no digest.
pub fn check(s: &Session, golden: &Golden, line: u32) -> Option<Check> {
    let kept = golden.kept.as_ref()?;
    let now = digest(&golden.race);
    let ok = *kept == now;
    let message = match golden.race.is_empty() {
        true => "golden: no interleaving is shown any more".to_string(),
        false => format!("golden: the interleaving is another one, {now}, not {kept}"),
    };
    let bless = format!("timerace test {} --kernel {} --bless", s.source.name, s.kernel.release());
    let failure = (!ok).then(|| Failure {
        kind: "GOLDEN".to_string(),
        message: message.clone(),
        schedule: None,
        race: Some(golden.race.clone()).filter(|r| !r.is_empty()),
        repeat: bless,
        flow: Vec::new(),
    });
    Some(Check {
        name: "golden".to_string(),
        ok: Some(ok),
        known_bug: None,
        line,
        detail: (!ok).then_some(message),
        failure,
    })
}

/// Whether digests may be written at all.
pub fn may_bless(args: &TestArgs) -> Result<(), Fail> {
    let ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false");
    if ci {
        return Err(Fail::usage(
            "error: --bless is not for CI: look at the difference and bless at home",
        ));
    }
    if args.paths.is_empty() {
        return Err(Fail::usage("error: --bless takes scenarios by their names, one by one"));
    }
    match args.paths.iter().find(|p| p.is_dir()) {
        Some(folder) => Err(Fail::usage(format!(
            "error: {} is a folder; --bless takes scenarios by their names, one by one",
            folder.display()
        ))),
        None => Ok(()),
    }
}

/// Writes the digests of what was shown into the files, and prints what is new.
pub fn bless(common: &Common, cells: &[Cell], outcomes: &[Outcome]) -> Result<(), Fail> {
    let mut by_file: BTreeMap<&Path, Vec<&Golden>> = BTreeMap::new();
    for (cell, outcome) in cells.iter().zip(outcomes) {
        // A cell of a grid shows one of many.
        let Some(golden) = outcome.golden.as_ref().filter(|_| cell.set.is_empty()) else {
            continue;
        };
        if !golden.race.is_empty() && golden.kept.as_ref() != Some(&digest(&golden.race)) {
            by_file.entry(&cell.file).or_default().push(golden);
        }
    }
    for (file, all) in by_file {
        let text = load::read_file(file).map_err(|e| Fail::usage(e.to_string()))?;
        let digests: Vec<(String, String)> =
            all.iter().map(|g| (g.kernel.clone(), digest(&g.race))).collect();
        let new = blessed(&text, &digests)
            .map_err(|d| Fail::usage(format!("error: {}: {}", file.display(), d.message)))?;
        let name = cells.iter().find(|c| c.file == file).map_or("", |c| c.name.as_str());
        for golden in all {
            output::print(&difference(common, name, file, golden));
        }
        write_file(file, new.as_bytes()).map_err(|e| Fail::usage(format!("error: {e}")))?;
        output::note(common, &format!("blessed {}", file.display()));
    }
    Ok(())
}

/// What is new in the interleaving. A digest does not give its text back: the old one is that of the last result of
/// `explore`, if it is the one that the digest was taken of.
fn difference(common: &Common, name: &str, file: &Path, golden: &Golden) -> String {
    let old: PathBuf = default_dir_of(common, name, &golden.kernel).join("race.txt");
    let text = std::fs::read_to_string(&old).ok().filter(|t| golden.kept == Some(digest(t)));
    let note = match (&text, &golden.kept) {
        (None, Some(_)) => {
            format!("the old interleaving is not at hand ({} is another one)\n", old.display())
        }
        _ => String::new(),
    };
    let old = text.unwrap_or_default();
    let of = format!("{} on {}", file.display(), golden.kernel);
    let diff = TextDiff::from_lines(old.as_str(), golden.race.as_str());
    let shown = diff.unified_diff().context_radius(3).header(&of, &of).to_string();
    format!("{note}{shown}\n")
}
