//! Reports of records made by hand.
#![allow(clippy::unwrap_used)]

mod build;
mod golden;
mod race;
mod texts;
