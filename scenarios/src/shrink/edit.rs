//! Edits of a scenario's text: what is not touched keeps its comments and its style.

use crate::span::Span;
use crate::syntax::{Args, Kind, Node};

/// Where a value stands in the tree: which child at each level.
pub(super) type Path = Vec<usize>;

/// A child of a value: with its key or name, and alone.
pub(super) struct Child<'n> {
    /// Name of a field, or key that is a text.
    pub name: Option<&'n str>,
    pub key: Option<&'n Node>,
    pub span: Span,
    pub value: &'n Node,
}

/// What a value is made of.
pub(super) fn children(node: &Node) -> Vec<Child<'_>> {
    let plain = |n| Child { name: None, key: None, span: Node::span(n), value: n };
    match &node.kind {
        Kind::List(items) => items.iter().map(plain).collect(),
        Kind::Call { args: Args::Positional(items), .. } => items.iter().map(plain).collect(),
        Kind::Call { args: Args::Named(fields), .. } => fields
            .iter()
            .map(|(name, value)| Child {
                name: Some(name.node.as_str()),
                key: None,
                span: name.span.to(value.span),
                value,
            })
            .collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|(key, value)| Child {
                name: if let Kind::Text(t) = &key.kind { Some(t.value.as_str()) } else { None },
                key: Some(key),
                span: key.span.to(value.span),
                value,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The value at a place.
pub(super) fn at<'n>(root: &'n Node, path: &[usize]) -> Option<&'n Node> {
    let mut node = root;
    for i in path {
        node = children(node).get(*i)?.value;
    }
    Some(node)
}

/// The place of a field of the scenario.
pub(super) fn section(root: &Node, name: &str) -> Option<Path> {
    children(root).iter().position(|c| c.name == Some(name)).map(|i| vec![i])
}

/// The text without a child of some list, map or call: with its comma, with the comments that stand directly above it
/// and behind it, and without the line that becomes empty.
pub(super) fn without(source: &str, child: Span) -> String {
    let range = extent(source, child);
    let mut text = String::with_capacity(source.len());
    text.push_str(&source[..range.start]);
    text.push_str(&source[range.end..]);
    text
}

fn extent(source: &str, child: Span) -> Span {
    let line = line_start(source, child.start);
    let own_line = source[line..child.start].trim().is_empty();
    let comma = crate::syntax::after_space(source, child.end)
        .filter(|at| source[*at..].starts_with(','))
        .map(|at| at + 1);
    let mut end = skip_blanks(source, comma.unwrap_or(child.end));
    if own_line {
        if source[end..].starts_with("//") {
            end = line_end(source, end);
        }
        return match source[end..].chars().next() {
            None | Some('\n' | '\r') => whole_lines(source, line, end),
            Some(_) => Span::new(child.start, end),
        };
    }
    let before = source[..child.start].trim_end_matches([' ', '\t']).len();
    let last = comma.is_none();
    match source[..before].chars().next_back() {
        Some(',') if last => Span::new(before - 1, child.end),
        Some('[' | '(' | '{') if last => Span::new(before, skip_blanks(source, child.end)),
        _ if source[end..].starts_with(['\n', '\r']) => Span::new(before, end),
        _ => Span::new(child.start, end),
    }
}

/// The lines of a child, comments above included. Of blank lines on both sides one goes too.
fn whole_lines(source: &str, mut start: usize, end: usize) -> Span {
    let end = source[end..].find('\n').map_or(source.len(), |n| end + n + 1);
    while start > 0 {
        let above = line_start(source, start - 1);
        if !source[above..start].trim_start().starts_with("//") {
            break;
        }
        start = above;
    }
    let above = if start > 0 { line_start(source, start - 1) } else { start };
    let blank_above = start > above && source[above..start].trim().is_empty();
    let below = &source[end..line_end(source, end)];
    let closes = below.trim_start().starts_with([')', ']', '}']);
    if blank_above && (below.trim().is_empty() || closes) {
        start = above;
    }
    Span::new(start, end)
}

fn line_start(source: &str, at: usize) -> usize {
    source[..at].rfind('\n').map_or(0, |n| n + 1)
}

fn line_end(source: &str, at: usize) -> usize {
    source[at..].find('\n').map_or(source.len(), |n| at + n)
}

fn skip_blanks(source: &str, at: usize) -> usize {
    source.len() - source[at..].trim_start_matches([' ', '\t']).len()
}

/// The text with something else in a place.
pub(super) fn replaced(source: &str, span: Span, by: &str) -> String {
    format!("{}{by}{}", &source[..span.start], &source[span.end..])
}

/// The text with what is inside of a list in the place of a step that holds it; `None` for an empty list.
pub(super) fn hoisted(source: &str, step: Span, list: &Node) -> Option<String> {
    let items = children(list);
    let (first, last) = (items.first()?, items.last()?);
    let inner = &source[first.span.start..last.span.end];
    let indent = |at: usize| at - line_start(source, at);
    let own_line = source[line_start(source, first.span.start)..first.span.start].trim().is_empty();
    let less =
        if own_line { indent(first.span.start).saturating_sub(indent(step.start)) } else { 0 };
    let mut lines = inner.split('\n');
    let mut text = lines.next().unwrap_or_default().to_string();
    for line in lines {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        text.push('\n');
        text.push_str(&line[blanks.min(less)..]);
    }
    Some(replaced(source, step, &text))
}

impl Node {
    fn span(&self) -> Span {
        self.span
    }
}
