//! `timerace new`: a commented scenario to start from.

use crate::args::{Common, Kind};
use crate::fail::{Fail, code};
use crate::output;
use std::io::Write;
use std::path::Path;
use timerace_scenarios::library;

/// Writes a scenario; never over an existing file.
pub fn new(common: &Common, kind: Kind, file: &Path) -> Result<u8, Fail> {
    let from = match kind {
        Kind::Periodic => "periodic-under-net-rx",
        Kind::Cancel => "r07-cancel-free-uaf",
        Kind::Uref => "r06-timer-init-uref",
        Kind::Raw => "r07-raw",
    };
    let entry = library::find(from).expect("the templates are in the library");
    let name = scenario_name(file);
    let text = entry.source.replace(&format!("name: \"{from}\""), &format!("name: \"{name}\""));
    let shown = file.display();
    let mut out =
        std::fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(|e| match e
            .kind()
        {
            std::io::ErrorKind::AlreadyExists => {
                Fail::usage(format!("error: {shown} exists; nothing was written"))
            }
            _ => Fail::usage(format!("error: {shown}: {e}")),
        })?;
    out.write_all(text.as_bytes()).map_err(|e| Fail::usage(format!("error: {shown}: {e}")))?;
    output::note(common, &format!("wrote {shown}; next: timerace explore {shown}"));
    Ok(code::OK)
}

/// The file's name as a scenario may be called: `[a-z0-9-]+`.
fn scenario_name(file: &Path) -> String {
    let stem = file.file_stem().map(|s| s.to_string_lossy().to_ascii_lowercase());
    let name: String = stem
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "scenario".to_string() } else { name.to_string() }
}
