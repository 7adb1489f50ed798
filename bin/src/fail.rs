//! Failures of a command, and exit codes.

/// Exit codes, as `cli.md` of the project fixes them.
pub mod code {
    /// Every expectation holds.
    pub const OK: u8 = 0;
    /// An expectation failed.
    pub const FAILED: u8 = 1;
    /// Wrong usage or bad input.
    pub const USAGE: u8 = 2;
    /// A bound stopped the search before it was complete.
    pub const INCONCLUSIVE: u8 = 3;
    /// Nothing matched, nothing was run.
    pub const NOTHING: u8 = 4;
    /// A replay diverged.
    pub const DIVERGED: u8 = 5;
    /// An internal error.
    pub const INTERNAL: u8 = 70;
    /// The user ended it; what was done is written and marked as partial.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a command could not do its work; printed on stderr.
#[derive(Debug)]
pub struct Fail {
    /// The exit code.
    pub code: u8,
    /// What happened and what to do, possibly several lines.
    pub message: String,
}

impl Fail {
    /// Wrong usage or bad input.
    pub fn usage(message: impl Into<String>) -> Fail {
        Fail { code: code::USAGE, message: message.into() }
    }
}

impl From<timerace_scenarios::load::ReadError> for Fail {
    fn from(e: timerace_scenarios::load::ReadError) -> Fail {
        Fail::usage(e.to_string())
    }
}
