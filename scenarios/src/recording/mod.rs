//! Recordings of real kernels, played on the model of that kernel and compared: the model's judge.
//!
//! A recording is a text with one case in each line: a sequence of operations that was done on a real kernel, with what
//! every operation gave and every callback did. [`parse`] reads it strictly, [`world`] makes a machine that does the
//! same, [`play`] runs it on the virtual clock, [`compare`] looks for differences, and [`conform`] does all of it. What
//! cannot be compared is said to be unsupported, with the reason; it never counts as agreement.

mod body;
mod case;
mod compare;
mod fields;
mod limit;
mod load;
mod ops;
mod parse;
mod report;
mod run;
mod world;

#[cfg(test)]
mod tests;

pub use case::{
    Action, By, CallbackOp, Case, Content, Elem, Event, Expiry, Fd, MapShape, OpResult, RecordedOp,
    Repeatable, Ret, Runtime, Variant,
};
pub use compare::{Difference, compare};
pub use limit::Limited;
pub use parse::{ParseError, SCHEMA, parse};
pub use report::{CaseReport, Counts, Report, Status, conform, judge};
pub use run::{Given, Options, Run, Seen, SeenEvent, play};
pub use world::{Unsupported, world};
