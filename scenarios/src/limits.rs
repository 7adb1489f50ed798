//! Limits of what the loader reads. They keep bad input from hurting; no honest file comes near.

/// Largest scenario file, in bytes.
pub const FILE_MAX_BYTES: u64 = 16 << 20;

/// Most fragments of a scenario.
pub const FRAGMENTS_MAX: usize = 64;

/// How deep fragments use each other: a fragment of a fragment is 2 deep.
pub const FRAGMENT_DEPTH_MAX: usize = 4;

/// Deepest nesting of brackets, in a file and in a condition.
pub const NESTING_MAX: usize = 64;

/// Errors that are collected before the rest of a file is left alone.
pub(crate) const DIAGS_MAX: usize = 1000;

/// Errors that are reported at once.
pub const ERRORS_MAX: usize = 20;

/// Longest that something may take or wait, in nanoseconds: a year. Runs of so much virtual time do not end, and sums of
/// such lengths stay far from the end of 64 bits. What a timer is armed with may be longer, as in the kernel.
pub const LENGTH_MAX_NS: u64 = 365 * 24 * 3_600 * 1_000_000_000;

/// Most CPUs of a machine.
pub const CPUS_MAX: u32 = 256;

/// Largest struct, in bytes.
pub const TYPE_MAX_BYTES: u32 = 1 << 20;

/// Largest key of a map, in bytes.
pub const KEY_MAX_BYTES: u32 = 512;
