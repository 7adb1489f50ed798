//! From a file to a checked scenario.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use timerace_kernel::KernelVersion;

use crate::ast::Scenario;
use crate::check;
use crate::diag::Diagnostic;
use crate::limits::{ERRORS_MAX, FILE_MAX_BYTES};
use crate::read;
use crate::source::Source;

/// What came of reading a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The scenario, unless there are errors.
    pub scenario: Option<Scenario>,
    /// Errors, or if there are none warnings: at most [`ERRORS_MAX`], in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a scenario. `set` replaces the values of parameters (`--set name=value`); of
/// a name that is given twice the last one counts.
///
/// # Errors
///
/// At most [`ERRORS_MAX`] messages in the order of their places. Warnings are not errors: see
/// [`check`] and [`warnings`].
pub fn parse(source: &str, set: &[(String, String)]) -> Result<Scenario, Vec<Diagnostic>> {
    let checked = check(source, set);
    checked.scenario.ok_or(checked.diagnostics)
}

/// Reads and checks a scenario, and gives the warnings too. Of fragments only the built-in ones can be used: a text has
/// no place. Messages about these stand behind its end: [`Source::of`] and [`check_source`] know where.
#[must_use]
pub fn check(source: &str, set: &[(String, String)]) -> Checked {
    check_source(&Source::of("scenario", source), set)
}

/// Checks a scenario that was read with its fragments, and gives the warnings too.
#[must_use]
pub fn check_source(source: &Source, set: &[(String, String)]) -> Checked {
    let failed = |mut diagnostics: Vec<Diagnostic>| {
        diagnostics.retain(Diagnostic::is_error);
        Checked { scenario: None, diagnostics: first_ones(diagnostics, "errors") }
    };
    if !source.problems().is_empty() {
        return failed(source.problems().to_vec());
    }
    let (scenario, declared, reader) = read::read(source.trees(), set);
    let mut diags = reader.diags;
    let Some(mut scenario) = scenario else { return failed(diags) };
    diags.extend(check::resolve(&mut scenario, &declared));
    if diags.iter().any(Diagnostic::is_error) {
        return failed(diags);
    }
    diags.extend(check::warnings(&scenario));
    diags.extend(check::unused_params(&scenario, &reader.used_params));
    Checked { scenario: Some(scenario), diagnostics: first_ones(diags, "warnings") }
}

/// Suspicions about a scenario that is correct. [`check`] finds these and unused parameters.
#[must_use]
pub fn warnings(scenario: &Scenario) -> Vec<Diagnostic> {
    let mut diags = check::warnings(scenario);
    sort(&mut diags);
    diags
}

/// What the kernel of this version refuses about a scenario, and expectations that cannot apply
/// to it. `version` is (major, minor, stable release); mainline releases have 0 at the end.
///
/// The loader does not ask this: which kernel it is may be known later than the file.
#[must_use]
pub fn kernel_rules(scenario: &Scenario, version: (u32, u32, u32)) -> Vec<Diagnostic> {
    check::kernel::rules(scenario, version)
}

/// Expectations that are for none of these kernels.
#[must_use]
pub fn never_apply(scenario: &Scenario, kernels: &[KernelVersion]) -> Vec<Diagnostic> {
    check::kernel::never_apply(scenario, kernels)
}

/// The newest mainline release of which the file expects a bug, if it does not expect it of this kernel.
#[must_use]
pub fn bug_elsewhere(scenario: &Scenario, kernel: KernelVersion) -> Option<KernelVersion> {
    check::kernel::bug_elsewhere(scenario, kernel)
}

/// The newest mainline release of which the file expects a finding of this class, if need be without fixes that the file
/// names.
#[must_use]
pub fn newest_with(
    scenario: &Scenario,
    class: timerace_core::detect::Class,
) -> Option<KernelVersion> {
    check::kernel::newest_with(scenario, &[class])
}

/// A limit in time that is judged with costs that are not fitted to any machine.
#[must_use]
pub fn uncalibrated(
    scenario: &Scenario,
    costs: &timerace_core::timed::Costs,
) -> Option<Diagnostic> {
    check::suspicions::uncalibrated(scenario).filter(|_| !costs.calibrated)
}

/// The first ones in the order of their places; the last of them says how many are left out.
fn first_ones(mut diags: Vec<Diagnostic>, what: &str) -> Vec<Diagnostic> {
    sort(&mut diags);
    let more = diags.len().saturating_sub(ERRORS_MAX);
    diags.truncate(ERRORS_MAX);
    if let Some(last) = diags.last_mut().filter(|_| more > 0) {
        last.notes.push(format!("{more} more {what} are not shown"));
    }
    diags
}

fn sort(diags: &mut Vec<Diagnostic>) {
    diags.sort_by(|a, b| (a.primary.0, a.code).cmp(&(b.primary.0, b.code)));
    // The same name in one place is looked up more than once.
    diags.dedup();
}

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// There is no such file.
    Missing {
        /// As given.
        path: String,
    },
    /// It is a directory.
    Directory {
        /// As given.
        path: String,
    },
    /// It is larger than [`FILE_MAX_BYTES`].
    TooLarge {
        /// As given.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// It is no text in UTF-8.
    NotText {
        /// As given.
        path: String,
        /// Offset of the first byte that is none.
        at: usize,
        /// That byte.
        byte: u8,
    },
    /// The system refused.
    Io {
        /// As given.
        path: String,
        /// Why.
        error: io::Error,
    },
}

impl ReadError {
    /// Its code, for `explain`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ReadError::Missing { .. } | ReadError::Directory { .. } | ReadError::Io { .. } => {
                "E0100"
            }
            ReadError::TooLarge { .. } | ReadError::NotText { .. } => "E0117",
        }
    }
}

impl ReadError {
    /// The path, as given.
    fn path(&self) -> &str {
        match self {
            ReadError::Missing { path }
            | ReadError::Directory { path }
            | ReadError::TooLarge { path, .. }
            | ReadError::NotText { path, .. }
            | ReadError::Io { path, .. } => path,
        }
    }

    /// What happened, without the path.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            ReadError::Missing { .. } => "there is no such file".to_string(),
            ReadError::Directory { .. } => "this is a directory, not a scenario file".to_string(),
            ReadError::TooLarge { bytes, .. } => {
                format!("the file has {bytes} bytes; at most {FILE_MAX_BYTES} are read")
            }
            ReadError::NotText { at, byte, .. } => {
                format!("this is no text: byte {at} (0x{byte:02x}) is not UTF-8")
            }
            ReadError::Io { error, .. } => error.to_string(),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}: {}", self.code(), self.path(), self.why())
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The text of a scenario file.
///
/// # Errors
///
/// When it is missing, a directory, larger than [`FILE_MAX_BYTES`], no UTF-8, or unreadable.
pub fn read_file(file: impl AsRef<Path>) -> Result<String, ReadError> {
    let file = file.as_ref();
    let path = file.display().to_string();
    let meta = match fs::metadata(file) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ReadError::Missing { path });
        }
        Err(error) => return Err(ReadError::Io { path, error }),
    };
    if meta.is_dir() {
        return Err(ReadError::Directory { path });
    }
    if meta.len() > FILE_MAX_BYTES {
        return Err(ReadError::TooLarge { path, bytes: meta.len() });
    }
    // Pipes and devices have no length: stop reading one byte behind the limit.
    let mut bytes = Vec::new();
    let read = fs::File::open(file).and_then(|opened| {
        io::Read::read_to_end(&mut io::Read::take(opened, FILE_MAX_BYTES + 1), &mut bytes)
    });
    if let Err(error) = read {
        return Err(ReadError::Io { path, error });
    }
    text(bytes, &path)
}

/// The text of bytes that came from elsewhere (standard input); `path` is for messages.
///
/// # Errors
///
/// When they are more than [`FILE_MAX_BYTES`] or no UTF-8.
pub fn text(bytes: Vec<u8>, path: &str) -> Result<String, ReadError> {
    let path = path.to_string();
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(ReadError::TooLarge { path, bytes: bytes.len() as u64 });
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(at).copied().unwrap_or(0);
        ReadError::NotText { path, at, byte }
    })
}
