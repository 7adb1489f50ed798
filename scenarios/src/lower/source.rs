//! Places and texts of steps.

use std::collections::BTreeMap;

use timerace_kernel::world::{At, LineId};

use crate::span::Span;

/// The text of a scenario file, and the places of it that were asked for.
pub(super) struct Source<'s> {
    text: &'s str,
    /// Where each line starts.
    starts: Vec<usize>,
    known: BTreeMap<usize, LineId>,
    lines: Vec<At>,
}

impl<'s> Source<'s> {
    pub fn new(text: &'s str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Source { text, starts, known: BTreeMap::new(), lines: Vec::new() }
    }

    /// The number of the place where something starts.
    pub fn line(&mut self, span: Span) -> LineId {
        if let Some(id) = self.known.get(&span.start) {
            return *id;
        }
        let line = self.starts.partition_point(|start| *start <= span.start).max(1);
        let before = self.text.get(self.starts[line - 1]..span.start).unwrap_or_default();
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.lines.push(At { line: narrow(line), col: narrow(before.chars().count() + 1) });
        let id = LineId(narrow(self.lines.len() - 1));
        self.known.insert(span.start, id);
        id
    }

    /// All places that were asked for, by number.
    pub fn take_lines(&mut self) -> Vec<At> {
        std::mem::take(&mut self.lines)
    }

    /// What stands there, in one line.
    pub fn text(&self, span: Span) -> String {
        one_line(self.text.get(span.range()).unwrap_or_default())
    }

    /// As [`Source::text`], but cut off behind `last`, the argument after which the steps inside a step begin.
    pub fn head(&self, span: Span, last: Option<Span>) -> String {
        let Some(last) = last else { return self.text(span) };
        let head = self.text.get(span.start..last.end).unwrap_or_default();
        let rest = self.text.get(last.end..span.end).unwrap_or_default();
        // The place of a quoted text is what stands between its quotes.
        let quotes = rest.find(|c| !matches!(c, '"' | '#')).unwrap_or(rest.len());
        format!("{}{}, ..)", one_line(head), &rest[..quotes])
    }
}

/// A text in one line: comments gone, runs of blanks one blank, none where a line was broken after a bracket. What
/// stands between quotes is left as it is.
fn one_line(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    // The blanks before what comes next: whether there are any, and whether a line ended among them.
    let (mut blank, mut broken) = (false, false);
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            _ if c.is_whitespace() => {
                broken |= c == '\n';
                c.len_utf8()
            }
            _ => {
                let len = token(rest, c);
                let opened = out.ends_with(['(', '[']);
                let closes = matches!(c, ')' | ']');
                if broken && closes && out.ends_with(',') {
                    out.pop();
                }
                if blank && !out.is_empty() && !(broken && (opened || closes)) {
                    out.push(' ');
                }
                // A text over several lines is shown as one all the same.
                out.extend(rest[..len].chars().map(|c| if c.is_control() { ' ' } else { c }));
                (blank, broken) = (false, false);
                rest = &rest[len..];
                continue;
            }
        };
        blank = true;
        rest = &rest[len..];
    }
    out
}

/// The length of a comment of the form `/* .. */`, which may hold others.
fn comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth.saturating_sub(1), at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a quoted text, or of one character.
fn token(text: &str, first: char) -> usize {
    let raw = text.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
    if let Some(hashes) = raw
        && text[1 + hashes..].starts_with('"')
    {
        let close = format!("\"{}", "#".repeat(hashes));
        let from = hashes + 2;
        return text[from..].find(&close).map_or(text.len(), |at| from + at + close.len());
    }
    if first != '"' {
        return first.len_utf8();
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_one_line() {
        let check = |text: &str, want: &str| assert_eq!(one_line(text), want);
        check("bpf_timer_cancel(\"timers[7]\")", "bpf_timer_cancel(\"timers[7]\")");
        check("ret([0, EBUSY],\n        work(  \"1us\"))", "ret([0, EBUSY], work( \"1us\"))");
        check("sleep(\n  \"1ms\", // a while\n)", "sleep(\"1ms\")");
        check("work(/* a /* b */ c */\"1us // 2\")", "work( \"1us // 2\")");
        check("x(r#\"a\" // \"#)", "x(r#\"a\" // \"#)");
        check("x(\"a \\\" // b\")", "x(\"a \\\" // b\")");
        check("if(\"a\", [\n  b(),\n])", "if(\"a\", [b()])");
    }

    #[test]
    fn places_count_characters_from_one() {
        let mut source = Source::new("a\n\u{b5} b\n");
        let id = source.line(Span::new(5, 6));
        assert_eq!(source.line(Span::new(5, 9)), id);
        let first = source.line(Span::new(0, 1));
        let lines = source.take_lines();
        assert_eq!(lines[id.index()], At { line: 2, col: 3 });
        assert_eq!(lines[first.index()], At { line: 1, col: 1 });
    }
}
