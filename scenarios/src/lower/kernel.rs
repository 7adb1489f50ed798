//! Which kernel a scenario asks for.
// An error ends the loading of a file: nothing is gained by a box around it.
#![allow(clippy::result_large_err)]

use timerace_kernel::versions::{FIXES, Fix, KernelVersion, Release, VersionError};

use super::Lowering;
use crate::ast::{Expectation, KernelTerm, Scenario, Version};
use crate::diag::{Diagnostic, nearest, quote};
use crate::span::{Sp, Span};

/// The kernel of the scenario's `kernel:`, with the fixes that it adds and removes; `None` if the file names none.
///
/// # Errors
///
/// The release or a fix is not in the table of kernels.
pub fn kernel_of(scenario: &Scenario) -> Result<Option<KernelVersion>, Diagnostic> {
    let Some(choice) = &scenario.kernel else { return Ok(None) };
    let mut kernel = release(&choice.base)?;
    for name in &choice.with {
        kernel = kernel.with(fix(name, name.span)?);
    }
    for name in &choice.without {
        kernel = kernel.without(fix(name, name.span)?);
    }
    Ok(Some(kernel))
}

/// The release of a kernel as scenario files compare it.
#[must_use]
pub fn version_of(kernel: KernelVersion) -> Version {
    let Release { major, minor, patch } = kernel.release();
    Version(u32::from(major), u32::from(minor), u32::from(patch))
}

fn release(base: &Sp<Version>) -> Result<KernelVersion, Diagnostic> {
    let Version(major, minor, patch) = base.node;
    let narrow = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    let release = Release { major: narrow(major), minor: narrow(minor), patch: narrow(patch) };
    KernelVersion::of(release).map_err(|error| {
        let message = format!("{} is not modelled", base.node);
        let diag = Diagnostic::error("E0114", base.span, message).label("not in the table");
        match error {
            VersionError::Unknown { nearest, .. } => {
                diag.help(format!("the nearest release is {nearest}"))
            }
            _ => diag,
        }
    })
}

fn fix(name: &str, span: Span) -> Result<Fix, Diagnostic> {
    Fix::find(name).ok_or_else(|| {
        let known = FIXES.iter().flat_map(|row| [Some(row.name), row.commit]).flatten();
        let near = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
        Diagnostic::error("E0114", span, format!("fix \"{}\" is not known", quote(name)))
            .label("no such fix in the table")
            .help("`timerace kernels` lists them")
            .maybe_help(near)
    })
}

impl Lowering<'_> {
    /// Fixes that kernel conditions name and the table does not have: nobody could say where such a condition holds.
    pub(super) fn expectations(&mut self) {
        for expectation in &self.scenario.expect {
            unknown_fixes(expectation, &mut self.diags);
        }
    }
}

fn unknown_fixes(expectation: &Expectation, diags: &mut Vec<Diagnostic>) {
    match expectation {
        Expectation::On(cond, inner) => {
            for term in &cond.terms {
                if let KernelTerm::Has(name) | KernelTerm::Lacks(name) = &term.node {
                    diags.extend(fix(name, term.span).err());
                }
            }
            unknown_fixes(inner, diags);
        }
        Expectation::KnownBug(_, inner) => unknown_fixes(inner, diags),
        _ => {}
    }
}
