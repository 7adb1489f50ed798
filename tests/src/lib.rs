//! What tests across the crates share: a search of a built-in scenario on a kernel, history's table of races, and what is
//! done with inputs of the fuzzer.

pub mod fuzz;
pub mod history;
pub mod search;
