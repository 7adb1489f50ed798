//! What tests across the crates share: a search of a built-in scenario on a kernel, and history's table of races.

pub mod history;
pub mod search;
