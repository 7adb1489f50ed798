//! Names, types, contexts and the kernel's rules.

use std::collections::BTreeSet;
use crate::ast::Scenario;
use crate::diag::Diagnostic;
use crate::read::Declared;

pub(crate) fn resolve(_s: &mut Scenario, _d: &Declared) -> Vec<Diagnostic> { Vec::new() }
pub(crate) fn warnings(_s: &Scenario) -> Vec<Diagnostic> { Vec::new() }
pub(crate) fn unused_params(_s: &Scenario, _u: &BTreeSet<String>) -> Vec<Diagnostic> { Vec::new() }
