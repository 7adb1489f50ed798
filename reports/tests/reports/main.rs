//! Reports of records made by hand.
#![allow(clippy::unwrap_used)]

mod any;
mod browser;
mod build;
mod golden;
mod graphs;
mod late;
mod machine;
mod page;
mod race;
mod race_svg;
mod results;
mod shiviz;
mod svg;
mod sweep;
mod texts;
mod timeline;
