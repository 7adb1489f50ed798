//! `timerace conform`: recordings of real kernels, played on the model.

use crate::args::{Common, Format};
use crate::fail::{Fail, code};
use crate::{output, parallel};
use std::io::Read;
use std::path::{Path, PathBuf};
use timerace_scenarios::recording::{self, Case, Options, Report};

/// The most that an unpacked recording may have.
pub const MAX_BYTES: u64 = 256 << 20;

/// Plays the recordings and prints how the model compares.
pub fn conform(common: &Common, files: &[PathBuf], pattern: Option<&str>) -> Result<u8, Fail> {
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        let read = recording::parse(&read(file)?);
        cases.extend(read.map_err(|e| Fail::usage(format!("error: {}: {e}", file.display())))?);
    }
    cases.retain(|c| pattern.is_none_or(|p| c.id.contains(p)));
    if cases.is_empty() {
        return Err(Fail { code: code::NOTHING, message: "error: no case matched".to_string() });
    }
    let options = Options::default();
    let report =
        Report { cases: parallel::map(&cases, common.jobs, |c| recording::judge(c, &options)) };
    match common.format {
        Format::Json => output::print_json(&report.json()),
        _ => output::print(&report.text()),
    }
    Ok(if report.counts().disagree > 0 { code::FAILED } else { code::OK })
}

/// The text of a recording; a name that ends in `.gz` is unpacked.
pub(super) fn read(file: &Path) -> Result<String, Fail> {
    let fail = |e: &dyn std::fmt::Display| Fail::usage(format!("error: {}: {e}", file.display()));
    let opened = std::fs::File::open(file).map_err(|e| fail(&e))?;
    let packed = file.extension().is_some_and(|e| e == "gz");
    let mut input: Box<dyn Read> =
        if packed { Box::new(flate2::read::GzDecoder::new(opened)) } else { Box::new(opened) };
    let mut bytes = Vec::new();
    let read = Read::take(&mut input, MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|e| fail(&e))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fail(&format!("more than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|e| fail(&e))
}
