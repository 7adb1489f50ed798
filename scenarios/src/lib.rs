//! The front end of scenario files.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod ast;
pub mod diag;
pub mod layout;
pub mod library;
pub mod limits;
pub mod load;
pub mod lower;
pub mod recording;
pub mod span;

mod canonical;
mod check;
mod read;
mod syntax;
mod text;
