//! From bytes to a tree with places: the RON notation, without any knowledge of scenarios.
//!
//! The tree is read by hand and not through serde, because serde loses what messages need: bare
//! names, the names of variants, the order of maps, and the place of each piece. So that a
//! scenario stays a RON file for every other tool, the `ron` crate reads each file too, and has
//! the last word.

// A broken notation is met once per file; boxes would only be in the way of those who read this.
#![allow(clippy::result_large_err)]

mod brackets;
mod lexer;
mod tree;

pub(crate) use tree::{Args, Kind, Node, Text};

use crate::diag::{Diagnostic, quote};
use crate::limits::NESTING_MAX;
use crate::span::Span;

/// An example of how a word is written with its arguments, from those who know the words.
pub(crate) type Written = dyn Fn(&str) -> Option<&'static str>;

/// Reads the notation of a whole file.
pub(crate) fn parse(source: &str) -> Result<Node, Diagnostic> {
    parse_with(source, &|_| None)
}

/// The same, for messages that show how a word is written.
pub(crate) fn parse_with(source: &str, written: &Written) -> Result<Node, Diagnostic> {
    brackets::check(source)?;
    let node = tree::parse(source, written)?;
    ask_ron(source)?;
    Ok(node)
}

/// The first byte behind spaces and comments; `None` if a comment does not end.
pub(crate) fn after_space(source: &str, at: usize) -> Option<usize> {
    lexer::skip_space(source, at).ok()
}

/// `ron` counts several levels of its own for one of ours.
const RON_LEVELS: usize = 8 * NESTING_MAX;

fn ask_ron(source: &str) -> Result<(), Diagnostic> {
    let options = ron::Options::default().with_recursion_limit(RON_LEVELS);
    let Err(error) = options.from_str::<serde::de::IgnoredAny>(source) else { return Ok(()) };
    let start = offset_of(source, error.span.start.line, error.span.start.col);
    let end = offset_of(source, error.span.end.line, error.span.end.col);
    let what = quote(&error.code.to_string());
    Err(Diagnostic::error("E0101", Span::new(start, end), format!("this is no valid RON: {what}"))
        .label("here"))
}

/// The byte at a line and column, both counted from 1, columns in characters.
fn offset_of(source: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match source[start..].find('\n') {
            Some(at) => start += at + 1,
            None => return source.len(),
        }
    }
    let rest = source[start..].char_indices().nth(column.saturating_sub(1));
    rest.map_or(source.len(), |(at, _)| start + at)
}
