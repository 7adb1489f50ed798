//! `timerace check`: every problem of scenario files; runs nothing.

use crate::args::{Common, Format, KernelArgs};
use crate::fail::{Fail, code};
use crate::output;
use crate::session::{self, Source};
use serde_json::{Value, json};
use std::path::PathBuf;
use timerace_scenarios::diag::Diagnostic;

/// Reads the files and prints what is wrong with them.
pub fn check(
    common: &Common,
    files: &[PathBuf],
    kernel: &KernelArgs,
    set: &[(String, String)],
) -> Result<u8, Fail> {
    let mut found: Vec<(Source, Vec<Diagnostic>)> = Vec::new();
    for file in files {
        let source = Source::read(file)?;
        let diags = session::problems(&source, kernel, set)?;
        found.push((source, diags));
    }
    let all = || found.iter().flat_map(|(s, d)| d.iter().map(move |d| (s, d)));
    let errors = all().filter(|(_, d)| d.is_error()).count();
    match common.format {
        Format::Json => {
            let list: Vec<Value> = all().map(|(s, d)| s.to_json(d)).collect();
            output::print_json(&json!({ "schema": 1, "ok": errors == 0, "diagnostics": list }));
        }
        Format::Short => {
            let lines: String = all().map(|(s, d)| s.short(d) + "\n").collect();
            output::print(&lines);
        }
        Format::Human | Format::Rtla | Format::Timehist => {
            for (s, d) in &found {
                if d.is_empty() {
                    output::print(&format!("{}: ok\n", s.name));
                } else {
                    output::complain(&s.render_all(d, output::style(common)));
                }
            }
        }
    }
    Ok(if errors == 0 { code::OK } else { code::USAGE })
}
