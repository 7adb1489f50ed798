//! Scenario files: the format, its reader, its messages, and the scenarios that come along.
//!
//! A scenario is a RON file that says which machine, maps, programs, tasks and faults there are,
//! and what must hold. This crate turns such a file into a typed tree ([`ast::Scenario`]) in which
//! every name is looked up, every parameter replaced, and every rule checked that the file alone
//! can tell; or into messages that point into the file ([`diag::Diagnostic`]).
//!
//! It knows no policies: who chooses among schedules, and what is searched, is not its business.
//! It does not print either: callers get data or text.
//!
//! Where to start reading: [`source::Source`] reads a file with its fragments, [`load::check_source`] is the way through, [`ast`] what comes out,
//! [`diag::CODES`] what can be wrong. Inside: `syntax` reads the notation into a tree with places,
//! `text` the strings that have a grammar of their own, `read` turns the tree into a scenario,
//! `check` looks up names and knows the kernel's rules, `canonical` gives the one spelling that
//! digests are taken from.
//!
//! ```
//! use timerace_scenarios::{diag, load};
//!
//! let source = r#"Scenario(schema: 1, name: "demo", machine: (cpu: 2))"#;
//! let errors = load::parse(source, &[]).unwrap_err();
//! let text = diag::render(&errors[0], "demo.ron", source, diag::Style::Plain);
//! assert!(text.starts_with("error[E0103]: unknown field `cpu` in `machine`"));
//! assert!(text.contains("did you mean `cpus`?"));
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod ast;
pub mod calibrate;
pub mod config;
pub mod costs;
pub mod diag;
pub mod golden;
pub mod grid;
pub mod judge;
pub mod layout;
pub mod library;
pub mod limits;
pub mod load;
pub mod lower;
pub mod recording;
pub mod shrink;
pub mod source;
pub mod span;
pub mod topics;

pub mod upgrade;

mod canonical;
mod check;
mod read;
mod syntax;
mod text;

pub use text::duration::length;
