//! Reports of records made by hand.
#![allow(clippy::unwrap_used)]

mod any;
mod build;
mod golden;
mod late;
mod machine;
mod race;
mod results;
mod texts;
