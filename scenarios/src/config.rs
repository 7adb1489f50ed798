//! `timerace.ron`: the configuration of a project.
//!
//! `Config(schema: 1, scenarios: [..], kernels: [..], costs: "..", explore: (..), out: "..")`, found upwards from the
//! working directory. It says what flags, the environment and scenarios leave open.

use std::path::{Path, PathBuf};

use timerace_kernel::KernelVersion;

use crate::ast::Explore;
use crate::diag::{Diagnostic, Style};
use crate::load::{self, ReadError};
use crate::read;
use crate::source::Source;
use crate::span::Sp;

/// The name of the file.
pub const CONFIG: &str = "timerace.ron";

/// What the file says; empty without one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Patterns of scenario files, relative to the folder of the file: `scenarios/**/*.ron`.
    pub scenarios: Vec<Sp<String>>,
    /// Releases and ranges that scenarios are tested on.
    pub kernels: Vec<Sp<String>>,
    /// What steps cost in timed runs, relative to the folder of the file.
    pub costs: Option<Sp<String>>,
    /// How to search.
    pub explore: Explore,
    /// Folder for results, relative to the folder of the file.
    pub out: Option<Sp<String>>,
}

/// A project: its folder and its configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Project {
    /// The folder of the configuration, as it can be put before a path; empty for the working directory, and without
    /// configuration.
    pub root: PathBuf,
    /// The file for messages; `None`: there is none.
    pub file: Option<PathBuf>,
    /// What it says.
    pub config: Config,
}

/// Why a configuration cannot be used: text for people, with the lines that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Project {
    /// The project of a folder: the nearest [`CONFIG`] in it or above it. Paths are given relative to the folder.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or something in it is wrong.
    pub fn find(folder: &Path, style: Style) -> Result<Project, ConfigError> {
        let Ok(real) = folder.canonicalize() else { return Ok(Project::default()) };
        let Some(up) = real.ancestors().position(|dir| dir.join(CONFIG).is_file()) else {
            return Ok(Project::default());
        };
        let root: PathBuf = std::iter::repeat_n("..", up).collect();
        let file = root.join(CONFIG);
        let read = |e: ReadError| ConfigError(e.to_string());
        let text = load::read_file(folder.join(&file)).map_err(read)?;
        let source = Source::of(&file.display().to_string(), &text);
        let config = parse(&source).map_err(|d| ConfigError(source.render_all(&d, style)))?;
        Ok(Project { root, file: Some(file), config })
    }

    /// A path of the configuration as the working directory sees it.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The files of [`Config::scenarios`], each once, in the order of the patterns and of their names.
    ///
    /// # Errors
    ///
    /// A folder cannot be read.
    pub fn scenario_files(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let mut files: Vec<PathBuf> = Vec::new();
        for pattern in &self.config.scenarios {
            // The folder is no pattern, whatever it is called.
            let root = glob::Pattern::escape(&self.root.display().to_string());
            let all = Path::new(&root).join(&pattern.node).display().to_string();
            let found = glob::glob(&all).map_err(|e| ConfigError(format!("error: {all}: {e}")))?;
            for file in found {
                let file = file.map_err(|e| ConfigError(format!("error: {e}")))?;
                if file.is_file() && !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }
}

/// Reads a configuration.
///
/// # Errors
///
/// Messages in the order of their places.
pub fn parse(source: &Source) -> Result<Config, Vec<Diagnostic>> {
    let Some(tree) = source.trees().first().filter(|_| source.problems().is_empty()) else {
        return Err(source.problems().to_vec());
    };
    let (config, mut diags) = read::read_config(tree);
    if let Some(config) = &config {
        check(config, &mut diags);
    }
    diags.sort_by(|a, b| (a.primary.0, a.code).cmp(&(b.primary.0, b.code)));
    config.filter(|_| diags.is_empty()).ok_or(diags)
}

fn check(config: &Config, diags: &mut Vec<Diagnostic>) {
    for kernel in &config.kernels {
        if let Err(error) = KernelVersion::range(kernel) {
            diags.push(
                Diagnostic::error("E0114", kernel.span, error.to_string())
                    .label("not a kernel that is modelled")
                    .help("`timerace kernels` lists them"),
            );
        }
    }
    let paths = config.scenarios.iter().chain(&config.costs).chain(&config.out);
    for path in paths {
        let up = Path::new(&path.node).components().any(|c| c == std::path::Component::ParentDir);
        if Path::new(&path.node).is_absolute() || up {
            let message = "paths of the configuration lie in its folder";
            diags.push(
                Diagnostic::error("E0122", path.span, message)
                    .label("leads elsewhere")
                    .help("write it relative to the folder of timerace.ron, without `..`"),
            );
        }
    }
    for pattern in &config.scenarios {
        if let Err(error) = glob::Pattern::new(pattern) {
            diags.push(
                Diagnostic::error(
                    "E0122",
                    pattern.span,
                    format!("this is no pattern: {}", error.msg),
                )
                .label("not understood")
                .help("`*` is any part of a name, `**` any folders: \"scenarios/**/*.ron\""),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, codes: &[&str]) -> Option<Config> {
        let source = Source::of("timerace.ron", text);
        match parse(&source) {
            Ok(config) => {
                assert!(codes.is_empty(), "{text}");
                Some(config)
            }
            Err(diags) => {
                let found: Vec<&str> = diags.iter().map(|d| d.code).collect();
                assert_eq!(found, codes, "{text}");
                None
            }
        }
    }

    #[test]
    fn a_whole_one() {
        let text = "Config(schema: 1, scenarios: [\"scenarios/**/*.ron\"], kernels: [\"v6.7\", \
                    \"v6.9..v6.12\"], costs: \"costs/lab.ron\", explore: (irqs: 1, preemptions: 2), \
                    out: \"results\")";
        let config = check(text, &[]).unwrap();
        assert_eq!(config.kernels.len(), 2);
        assert_eq!(config.explore.irqs(), 1);
        assert_eq!(config.out.unwrap().node, "results");
        assert_eq!(check("Config(schema: 1)", &[]), Some(Config::default()));
    }

    #[test]
    fn mistakes() {
        check("Config(kernels: [])", &["E0102"]);
        check("Config(schema: 9, tempo: 1)", &["E0102"]);
        check("Scenario(schema: 1)", &["E0107"]);
        check("Config(schema: 1, kernel: [\"v6.7\"])", &["E0103"]);
        check("Config(schema: 1, kernels: [\"v6.7.99\", \"6.8\"])", &["E0114", "E0114"]);
        check("Config(schema: 1, out: \"../x\", costs: \"/x\")", &["E0122", "E0122"]);
        check("Config(schema: 1, scenarios: [\"a***\"])", &["E0122"]);
        check("Config(schema: 1, explore: (irq: 1))", &["E0103"]);
        check("Config(schema: 1", &["E0101"]);
    }
}
