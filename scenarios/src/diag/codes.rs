//! codes
/// info
pub struct CodeInfo { /// c
 pub code: &'static str }
/// codes
pub const CODES: &[CodeInfo] = &[];
/// e
pub fn explain(_c: &str) -> Option<&'static CodeInfo> { None }
