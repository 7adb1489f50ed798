//! `timerace check`: every problem of scenario files; runs nothing.

use crate::args::{Common, Format, KernelsArgs};
use crate::fail::{Fail, code};
use crate::output;
use crate::session::{self, Source};
use crate::settings::{self, Setting};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use timerace_reports::out_dir::write_file;
use timerace_scenarios::diag::Diagnostic;
use timerace_scenarios::grid::Settings;
use timerace_scenarios::load::{self, Checked};
use timerace_scenarios::upgrade::{NEWEST, Upgraded, upgrade};

/// Reads the files and prints what is wrong with them; with `-v` also what they are after expansion, and every value
/// that is effective.
pub fn check(
    common: &Common,
    files: &[PathBuf],
    kernels: &KernelsArgs,
    set: &Settings,
) -> Result<u8, Fail> {
    let mut found: Vec<(Source, Checked, Vec<Setting>)> = Vec::new();
    for file in files {
        let source = Source::read(file)?;
        let checked = session::problems(common, &source, kernels, set)?;
        let errors = checked.diagnostics.iter().any(Diagnostic::is_error);
        let settings = match &checked.scenario {
            Some(s) if common.verbose && !errors => settings::effective(common, s, kernels)?,
            _ => Vec::new(),
        };
        found.push((source, checked, settings));
    }
    let all = || found.iter().flat_map(|(s, c, _)| c.diagnostics.iter().map(move |d| (s, d)));
    let errors = all().filter(|(_, d)| d.is_error()).count();
    match common.format {
        Format::Json => {
            let list: Vec<Value> = all().map(|(s, d)| s.to_json(d)).collect();
            let mut value = json!({ "schema": 1, "ok": errors == 0, "diagnostics": list });
            if common.verbose {
                value["scenarios"] = found.iter().map(|(s, c, v)| expanded_json(s, c, v)).collect();
            }
            output::print_json(&value);
        }
        Format::Human => {
            for (s, c, settings) in &found {
                if c.diagnostics.is_empty() {
                    output::print(&format!("{}: ok\n", s.name));
                } else {
                    output::complain(&s.render_all(&c.diagnostics, output::style(common)));
                }
                if common.verbose {
                    output::print(&expanded(c, settings));
                }
            }
        }
        _ => {
            let lines: String = all().map(|(s, d)| s.short(d) + "\n").collect();
            output::print(&lines);
        }
    }
    Ok(if errors == 0 { code::OK } else { code::USAGE })
}

/// The one spelling of the scenario, its digest, and the settings.
fn expanded(checked: &Checked, settings: &[Setting]) -> String {
    let Some(scenario) = &checked.scenario else { return String::new() };
    let mut out = format!("\n// sha256 {}\n{}\n", scenario.digest(), scenario.canonical());
    let width = |f: fn(&Setting) -> &String| settings.iter().map(|s| f(s).len()).max().unwrap_or(0);
    let (name, value) = (width(|s| &s.name), width(|s| &s.value));
    for s in settings {
        let _ = writeln!(out, "{:name$}  {:value$}  {}", s.name, s.value, s.from);
    }
    out
}

fn expanded_json(source: &Source, checked: &Checked, settings: &[Setting]) -> Value {
    let one = |s: &Setting| json!({ "name": s.name, "value": s.value, "from": s.from });
    json!({
        "file": source.name,
        "canonical": checked.scenario.as_ref().map(|s| s.canonical()),
        "digest": checked.scenario.as_ref().map(|s| s.digest()),
        "settings": settings.iter().map(one).collect::<Vec<_>>(),
    })
}

/// Upgrades files to the newest schema, in place. All are looked at before the first is written.
pub fn fix(common: &Common, files: &[PathBuf]) -> Result<u8, Fail> {
    let mut upgrades = Vec::new();
    for file in files {
        if file == Path::new("-") {
            return Err(Fail::usage("error: standard input cannot be upgraded in place"));
        }
        let text = load::read_file(file)?;
        let name = file.display().to_string();
        let upgraded = upgrade(&text).map_err(|diag| {
            let source = Source::of(&name, &text);
            Fail::usage(source.render_all(&[*diag], output::style(common)))
        })?;
        upgrades.push((file, upgraded));
    }
    for (file, upgraded) in upgrades {
        let shown = file.display();
        match upgraded {
            Upgraded::Newest => {
                output::print(&format!("{shown}: has the newest schema, {NEWEST}\n"));
            }
            Upgraded::To(text, was) => {
                write_file(file, text.as_bytes())
                    .map_err(|e| Fail::usage(format!("error: {e}")))?;
                output::print(&format!("{shown}: schema {was} -> {NEWEST}\n"));
            }
        }
    }
    Ok(code::OK)
}
