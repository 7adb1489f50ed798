//! `timerace calibrate`: costs of timed runs, fitted to recordings of a real machine.

use crate::args::{Common, Format, KernelArgs};
use crate::fail::{Fail, code};
use crate::{output, session};
use std::path::{Path, PathBuf};
use timerace_core::timed::Costs;
use timerace_reports::json;
use timerace_reports::out_dir::write_dir;
use timerace_scenarios::calibrate::{Load, Recording, calibrate as fit, read};
use timerace_scenarios::costs::{self, digest};

/// Reads the recordings, fits costs to them, and says how good the fit is. `load`: a fragment of what the machine did besides,
/// and its parameters. Nothing is written unless all could be read.
pub fn calibrate(
    common: &Common,
    files: &[PathBuf],
    kernel: &KernelArgs,
    base: Option<&Path>,
    load: Option<(&Path, &[(String, String)])>,
    name: &str,
) -> Result<u8, Fail> {
    let base = match base {
        Some(file) => costs::read(file).map_err(|e| Fail::usage(e.to_string()))?,
        None => Costs::default(),
    };
    let version = session::kernel(kernel)?;
    let release = version.release();
    if (release.major, release.minor) < (6, 7) {
        return Err(Fail::usage(format!(
            "error: calibrate simulates timers with BPF_F_TIMER_CPU_PIN, which {version} has not; take v6.7 or later"
        )));
    }
    let mut recordings: Vec<Recording> = Vec::new();
    let mut from = vec![format!("Fitted by timerace calibrate, simulating kernel {version}, to")];
    for file in files {
        let text = super::conform::read(file)?;
        let name = file.display().to_string();
        let short = file.file_name().map_or(name.clone(), |n| n.to_string_lossy().into_owned());
        from.push(format!("{short} (digest {}).", digest(&text)));
        recordings.push(read(&name, &text).map_err(|e| Fail::usage(e.to_string()))?);
    }
    let load = load.map(|(file, set)| Load::read(file, set, version)).transpose();
    let load = load.map_err(|e| Fail::usage(e.text(output::style(common))))?;
    if let Some(load) = &load {
        if let Some(r) = recordings.iter().find(|r| load.has_timers && !r.measured.is_empty()) {
            return Err(Fail::usage(format!(
                "error: {}: the load {} has bpf timers of its own, which a trace does not tell from the others; record latency samples",
                r.name, load.name
            )));
        }
        let set: String = load.set.iter().map(|(k, v)| format!(", {k} = {v}")).collect();
        from.push(format!(
            "Costs of the machine without the load that it had: {}{set}.",
            load.name
        ));
    }
    let calibration = fit(&recordings, version, load.as_ref(), &base, name);
    let text = costs::text_with(&calibration.costs, &from);
    let result = calibration.json(&recordings);
    if let Some(dir) = &common.out {
        let files = vec![
            ("result.json".to_string(), json::text(&result).into_bytes()),
            ("costs.ron".to_string(), text.clone().into_bytes()),
        ];
        write_dir(dir, &files).map_err(|e| Fail::usage(format!("error: {e}")))?;
    }
    match common.format {
        Format::Json => output::print_json(&result),
        _ => output::print(&calibration.text(&recordings)),
    }
    match &common.out {
        Some(dir) => {
            let file = dir.join("costs.ron");
            output::note(common, &format!("wrote {} (digest {})", file.display(), digest(&text)));
        }
        None => output::note(common, "nothing was written; -o DIR writes costs.ron"),
    }
    Ok(if calibration.costs.calibrated { code::OK } else { code::FAILED })
}
