//! Result folders: written as a whole, and holding what `report` needs to make their pictures again.
//!
//! Beside the result itself a folder has the scenario's text, the schedule or the seed, and in `result.json` the command
//! that wrote it. Nothing else is needed: the model does the same again.

use crate::args::{Cli, Common, ThemeArg};
use crate::fail::Fail;
use crate::output;
use crate::session::{Session, Source};
use clap::Parser;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use timerace_reports::json;
use timerace_reports::out_dir::{OutDir, write_dir};
use timerace_scenarios::costs;

/// The scenario's text.
pub const SCENARIO: &str = "scenario.ron";
/// What a search covered.
pub const COVER: &str = "cover.txt";
/// What steps cost, where it was not the generic costs.
pub const COSTS: &str = "costs.ron";

/// Largest file of a saved result that is read back, in bytes: rows of a long run are the largest.
pub const FILE_MAX_BYTES: u64 = 1 << 30;

/// A name and what is in the file.
pub type File = (String, Vec<u8>);

/// `result.json` with the command that made it, and the scenario.
pub fn files(common: &Common, s: &Session, mut result: Value, command: Vec<String>) -> Vec<File> {
    let fragments = s.source.fragments();
    if !fragments.is_empty() {
        result["fragments"] = json!(fragments);
    }
    vec![
        ("result.json".to_string(), result_json(common, result, command)),
        (SCENARIO.to_string(), s.source.own_text().to_string().into_bytes()),
    ]
}

/// What steps cost, where a file said so.
pub fn costs(s: &Session) -> Option<File> {
    s.costs_file.as_ref().map(|_| (COSTS.to_string(), costs::text(&s.costs).into_bytes()))
}

/// The result with the command, and with those of the common flags that the files depend on.
pub fn result_json(common: &Common, mut result: Value, mut command: Vec<String>) -> Vec<u8> {
    command.extend(flags(common));
    result["command"] = json!(command);
    json::text(&result).into_bytes()
}

fn flags(common: &Common) -> Vec<String> {
    let mut command = Vec::new();
    if let Some(theme) = common.theme {
        let name = match theme {
            ThemeArg::Light => "light",
            ThemeArg::Dark => "dark",
        };
        command.extend(["--theme".to_string(), name.to_string()]);
    }
    if common.width != 75 {
        command.extend(["--width".to_string(), common.width.to_string()]);
    }
    if common.png {
        command.push("--png".to_string());
    }
    command
}

/// Writes the files as a folder, with a PNG beside each SVG if asked for.
pub fn write(common: &Common, dir: &Path, mut files: Vec<File>) -> Result<(), Fail> {
    if common.png {
        add_png(&mut files)?;
    }
    write_dir(dir, &files).map_err(|e| Fail::usage(format!("error: {e}")))?;
    output::note(common, &format!("wrote {}", dir.display()));
    Ok(())
}

/// The same for a folder that has been begun: some of its files were written as they came.
pub fn write_into(common: &Common, mut out: OutDir, mut files: Vec<File>) -> Result<(), Fail> {
    let fail = |e| Fail::usage(format!("error: {e}"));
    if common.png {
        add_png(&mut files)?;
    }
    for (name, bytes) in &files {
        out.write(name, bytes).map_err(fail)?;
    }
    let dir = out.dir().display().to_string();
    out.finish().map_err(fail)?;
    output::note(common, &format!("wrote {dir}"));
    Ok(())
}

#[cfg(feature = "png")]
fn add_png(files: &mut Vec<File>) -> Result<(), Fail> {
    let painter = timerace_reports::png::Painter::default();
    let mut more = Vec::new();
    for (name, svg) in files.iter() {
        let Some(stem) = name.strip_suffix(".svg") else { continue };
        let png = painter.png(&String::from_utf8_lossy(svg));
        let png = png.map_err(|e| Fail::usage(format!("error: {name} as PNG: {e}")))?;
        more.push((format!("{stem}.png"), png));
    }
    files.retain(|(name, _)| !more.iter().any(|(n, _)| n == name));
    files.extend(more);
    Ok(())
}

#[cfg(not(feature = "png"))]
fn add_png(_: &mut Vec<File>) -> Result<(), Fail> {
    Err(Fail::usage(
        "error: this timerace was built without PNG; build it with `--features png`, or turn the SVG files into PNG with \
         a tool of your choice",
    ))
}

/// A folder as it was read.
pub struct Saved {
    /// Where it is.
    pub dir: PathBuf,
    /// Its files by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// `result.json`.
    pub result: Value,
    /// The command that wrote it.
    pub cli: Cli,
}

/// The texts of fragments that a result or a certificate holds.
pub fn fragments_of(result: &Value) -> BTreeMap<String, String> {
    let all = result["fragments"].as_object().into_iter().flatten();
    all.map(|(name, text)| (name.clone(), text.as_str().unwrap_or_default().to_string())).collect()
}

impl Saved {
    /// Reads a folder, named itself or by its `result.json`.
    pub fn read(path: &Path) -> Result<Saved, Fail> {
        let named = path.file_name().is_some_and(|n| n == "result.json");
        let dir = match path.parent().filter(|_| named) {
            Some(p) if p.as_os_str().is_empty() => PathBuf::from("."),
            Some(p) => p.to_path_buf(),
            None => path.to_path_buf(),
        };
        let bad = |why: &dyn std::fmt::Display| {
            Fail::usage(format!("error: {}: no result of timerace: {why}", dir.display()))
        };
        if dir.is_file() {
            return Err(bad(&"it is a file; name the folder that -o wrote, or its result.json"));
        }
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&dir).map_err(|e| bad(&e))? {
            let path = entry.map_err(|e| bad(&e))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_file() {
                let size = path.metadata().map_err(|e| bad(&e))?.len();
                if size > FILE_MAX_BYTES {
                    return Err(bad(&format!(
                        "{name} has {size} bytes, at most {FILE_MAX_BYTES} are read"
                    )));
                }
                files.insert(name, std::fs::read(&path).map_err(|e| bad(&e))?);
            }
        }
        let text = files.get("result.json").ok_or_else(|| bad(&"it holds no result.json"))?;
        let result: Value = serde_json::from_slice(text).map_err(|e| bad(&e))?;
        let words = result["command"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let words: Vec<&str> = std::iter::once("timerace").chain(words).collect();
        if words.len() < 2 {
            return Err(bad(&"its result.json names no command"));
        }
        let cli = Cli::try_parse_from(words).map_err(|e| bad(&format!("`command`: {e}")))?;
        Ok(Saved { dir, files, result, cli })
    }

    /// The scenario with its fragments, named as then.
    pub fn source(&self, file: &Path) -> Result<Source, Fail> {
        let fragments = fragments_of(&self.result);
        let name = file.display().to_string();
        Ok(Source::with_fragments(&name, &self.text(SCENARIO)?, fragments))
    }

    /// The results of a suite's cases, by their folder.
    pub fn cases(&self) -> Result<Vec<(String, Saved)>, Fail> {
        let folders = |dir: &Path| {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let mut all: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.is_dir()).collect();
            all.sort();
            all
        };
        let mut cases = Vec::new();
        for path in folders(&self.dir).iter().flat_map(|p| folders(p)) {
            let name = path.strip_prefix(&self.dir).unwrap_or(&path);
            let parts: Vec<_> = name.iter().map(|p| p.to_string_lossy().into_owned()).collect();
            cases.push((parts.join("/"), Saved::read(&path)?));
        }
        Ok(cases)
    }

    /// The command, without the common flags.
    pub fn command(&self) -> Vec<String> {
        let words = self.result["command"].as_array().into_iter().flatten();
        let words: Vec<String> = words.filter_map(|w| Some(w.as_str()?.to_string())).collect();
        let n = words.len().saturating_sub(flags(&self.cli.common).len());
        words.into_iter().take(n).collect()
    }

    /// The text of a file.
    pub fn text(&self, name: &str) -> Result<String, Fail> {
        let bytes = self.files.get(name).ok_or_else(|| {
            Fail::usage(format!(
                "error: {}: {name} is missing, without it nothing can be drawn again",
                self.dir.display()
            ))
        })?;
        String::from_utf8(bytes.clone()).map_err(|_| {
            Fail::usage(format!("error: {}: no UTF-8 text", self.dir.join(name).display()))
        })
    }
}
