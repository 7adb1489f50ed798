//! Places in a scenario file.

use std::fmt;
use std::ops::{Deref, Range};

/// A range of bytes of a scenario file: `start` is included, `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Offset of the first byte, counted from 0.
    pub start: usize,
    /// Offset of the byte after the last one; never below `start`.
    pub end: usize,
}

impl Span {
    /// The range `start..end`. An `end` below `start` is raised to it.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Span { start, end: end.max(start) }
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The empty range at the end of this one.
    #[must_use]
    pub fn after(self) -> Span {
        Span { start: self.end, end: self.end }
    }

    /// The range behind a text of so many bytes.
    #[must_use]
    pub fn shifted(self, by: usize) -> Span {
        Span { start: self.start + by, end: self.end + by }
    }

    /// As a range of the standard library, for slicing.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// Something that was read from a file, with the place where it stands.
///
/// It derefs to what was read: `step.node` and `*step` are the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sp<T> {
    /// What was read.
    pub node: T,
    /// Where it stands; for a default that was not written, the thing that it belongs to.
    pub span: Span,
}

impl<T> Sp<T> {
    /// `node`, which stands at `span`.
    pub fn new(node: T, span: Span) -> Self {
        Sp { node, span }
    }

    /// The same place with something else in it.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Sp<U> {
        Sp { node: f(self.node), span: self.span }
    }
}

impl<T> Deref for Sp<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.node
    }
}

impl<T: fmt::Debug> fmt::Debug for Sp<T> {
    // Trees are read by people in failing tests: the place goes behind the node, on its line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)?;
        write!(f, " @{}..{}", self.span.start, self.span.end)
    }
}
