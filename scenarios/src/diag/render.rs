//! Messages as text, in one line, and as JSON.

use std::borrow::Cow;

use codespan_reporting::diagnostic::{Diagnostic as Report, Label, Severity as ReportSeverity};
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term::{self, Chars, Config, Styles, StylesWriter, termcolor};

use super::{Diagnostic, Severity, is_invisible};
use crate::span::Span;

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Without colour.
    #[default]
    Plain,
    /// With ANSI colours.
    Ansi,
}

/// The files that messages point into; places count through all of them.
pub(crate) struct Files<'a>(Vec<File<'a>>);

/// One of them.
pub(crate) struct File<'a> {
    pub name: String,
    /// Place of its first byte.
    pub start: usize,
    pub text: &'a str,
}

impl<'a> Files<'a> {
    /// In the order of their places; at least one.
    pub fn new(files: Vec<File<'a>>) -> Self {
        Files(files)
    }

    fn one(name: &str, text: &'a str) -> Self {
        Files(vec![File { name: name.to_string(), start: 0, text }])
    }

    /// The file of a place, and the place in it.
    fn find(&self, span: Span) -> (usize, Span) {
        let index = self.0.iter().rposition(|f| f.start <= span.start).unwrap_or(0);
        let file = &self.0[index];
        let local = |at: usize| at.saturating_sub(file.start).min(file.text.len());
        (index, Span::new(local(span.start), local(span.end)))
    }

    /// The name of the file of a place, its line and its column, from 1.
    fn place(&self, at: usize) -> (&str, usize, usize) {
        let (file, span) = self.find(Span::new(at, at));
        let (line, column) = line_column(self.0[file].text, span.start);
        (&self.0[file].name, line, column)
    }
}

/// A message with the lines of the file that it is about.
#[must_use]
pub fn render(diag: &Diagnostic, file: &str, source: &str, style: Style) -> String {
    render_parts(diag, &Files::one(file, source), style)
}

/// The same for several files.
pub(crate) fn render_parts(diag: &Diagnostic, files: &Files<'_>, style: Style) -> String {
    if longest_line(diag, files) > LINE_SHOWN_MAX {
        return without_lines(diag, files);
    }
    let shown: Vec<Cow<'_, str>> = files.0.iter().map(|f| visible(f.text)).collect();
    let mut sources = SimpleFiles::new();
    for (file, text) in files.0.iter().zip(&shown) {
        sources.add(file.name.as_str(), text.as_ref());
    }
    let place = |span: Span| {
        let (file, span) = files.find(span);
        (file, clamp(span, files.0[file].text).range())
    };
    let (file, range) = place(diag.primary.0);
    let mut report = Report::new(match diag.severity {
        Severity::Error => ReportSeverity::Error,
        Severity::Warning => ReportSeverity::Warning,
    })
    .with_code(diag.code)
    .with_message(&diag.message)
    .with_label(Label::primary(file, range).with_message(&diag.primary.1));
    for (span, text) in &diag.secondary {
        let (file, range) = place(*span);
        report = report.with_label(Label::secondary(file, range).with_message(text));
    }
    let help = diag.help.iter().map(|help| format!("help: {help}"));
    let notes = diag.notes.iter().map(|note| format!("note: {note}"));
    let report = report.with_notes(help.chain(notes).collect());

    let config = Config { chars: Chars::ascii(), tab_width: 4, ..Config::default() };
    let text = match style {
        Style::Plain => term::emit_into_string(&config, &sources, &report).ok(),
        Style::Ansi => {
            let styles = Styles::default();
            let mut out = termcolor::Ansi::new(Vec::new());
            let mut writer = StylesWriter::new(&mut out, &styles);
            term::emit_to_write_style(&mut writer, &config, &sources, &report)
                .ok()
                .map(|()| String::from_utf8_lossy(&out.into_inner()).into_owned())
        }
    };
    // Spans are cut to the file above, so that there is always something to show; if not, the
    // one-line form still says it all.
    text.map_or_else(|| short_parts(diag, files) + "\n", |text| trim_lines(&text))
}

/// Longer lines of a file are not shown: nobody reads them, and they hide the message.
const LINE_SHOWN_MAX: usize = 500;

/// The bytes of the longest line that a message points into.
fn longest_line(diag: &Diagnostic, files: &Files<'_>) -> usize {
    let spans = std::iter::once(diag.primary.0).chain(diag.secondary.iter().map(|s| s.0));
    let length = |span: Span| {
        let (file, span) = files.find(span);
        let source = files.0[file].text;
        let at = floor_char(source, clamp(span, source).range().start);
        let before = source[..at].rfind('\n').map_or(at, |n| at - n - 1);
        before + source[at..].find('\n').unwrap_or(source.len() - at)
    };
    spans.map(length).max().unwrap_or(0)
}

/// A message without the lines of the file that it is about.
fn without_lines(diag: &Diagnostic, files: &Files<'_>) -> String {
    let mut text = short_parts(diag, files) + "\n";
    if let Some(help) = &diag.help {
        text.push_str(&format!("  = help: {help}\n"));
    }
    for note in &diag.notes {
        text.push_str(&format!("  = note: {note}\n"));
    }
    text
}

/// All messages, an empty line after each, and a last line that counts them.
#[must_use]
pub fn render_all(diags: &[Diagnostic], file: &str, source: &str, style: Style) -> String {
    let mut out = String::new();
    for diag in diags {
        out.push_str(&render(diag, file, source, style));
        out.push('\n');
    }
    out + &summary(diags) + "\n"
}

/// `2 errors; nothing was run`, or how many warnings there are.
#[must_use]
pub fn summary(diags: &[Diagnostic]) -> String {
    let count = |n: usize, word: &str| match n {
        1 => format!("1 {word}"),
        n => format!("{n} {word}s"),
    };
    let errors = diags.iter().filter(|diag| diag.is_error()).count();
    let warnings = diags.len() - errors;
    match (errors, warnings) {
        (0, 0) => "no problems".to_string(),
        (0, _) => count(warnings, "warning"),
        (_, 0) => format!("{}; nothing was run", count(errors, "error")),
        (_, _) => {
            format!("{}, {}; nothing was run", count(errors, "error"), count(warnings, "warning"))
        }
    }
}

/// `file:line:col: error: text`, which editors read without being told how.
#[must_use]
pub fn short(diag: &Diagnostic, file: &str, source: &str) -> String {
    short_parts(diag, &Files::one(file, source))
}

/// The same for several files.
pub(crate) fn short_parts(diag: &Diagnostic, files: &Files<'_>) -> String {
    let (file, line, column) = files.place(diag.primary.0.start);
    let mut text = format!("{file}:{line}:{column}: {}: {}", diag.severity.word(), diag.message);
    if let Some(help) = &diag.help {
        text.push_str("; ");
        text.push_str(help);
    }
    text.replace('\n', " ")
}

/// The message as JSON: `{code, severity, message, file, line, column, start, end, label,
/// related[], help, notes[]}`; each of `related` has a place and a label. Lines and columns count from 1, `start` and `end` are bytes.
#[must_use]
pub fn to_json(diag: &Diagnostic, file: &str, source: &str) -> serde_json::Value {
    to_json_parts(diag, &Files::one(file, source))
}

/// The same for several files.
pub(crate) fn to_json_parts(diag: &Diagnostic, files: &Files<'_>) -> serde_json::Value {
    let place = |span: Span, label: &str| {
        let (file, line, column) = files.place(span.start);
        let (_, span) = files.find(span);
        let (start, end) = (span.start, span.end);
        serde_json::json!({
            "file": file, "line": line, "column": column, "start": start, "end": end,
            "label": label,
        })
    };
    let mut value = place(diag.primary.0, &diag.primary.1);
    value["code"] = diag.code.into();
    value["severity"] = diag.severity.word().into();
    value["message"] = diag.message.clone().into();
    value["help"] = diag.help.clone().into();
    value["notes"] = diag.notes.clone().into();
    value["related"] = diag.secondary.iter().map(|(span, text)| place(*span, text)).collect();
    value
}

/// Line and column (in characters), both from 1, of a byte of the file.
#[must_use]
pub fn line_column(source: &str, offset: usize) -> (usize, usize) {
    let offset = floor_char(source, offset);
    let before = &source[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// A span that lies inside the file, does not cut a character, and stays on its first line: the
/// place matters, not the length of what stands there.
fn clamp(span: Span, source: &str) -> Span {
    let start = floor_char(source, span.start);
    let end = floor_char(source, span.end).max(start);
    let line = source[start..end].lines().next().unwrap_or_default();
    Span::new(start, start + line.trim_end().len())
}

fn floor_char(source: &str, offset: usize) -> usize {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// The file as it may go to a terminal: as many bytes as before, but none that a terminal obeys.
fn visible(source: &str) -> Cow<'_, str> {
    let bad = |c: char| (c.is_control() && c != '\n' && c != '\t' && c != '\r') || is_invisible(c);
    if !source.contains(bad) {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    for c in source.chars() {
        if bad(c) {
            (0..c.len_utf8()).for_each(|_| out.push('?'));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// No spaces at line ends, one newline at the end.
fn trim_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.trim_end().lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
