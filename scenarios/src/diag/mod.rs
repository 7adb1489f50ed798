//! Messages about a scenario file: what is wrong, where, and what to write instead.
//!
//! [`Diagnostic`] is plain data; [`render()`] turns it into text, [`codes`] explains its code.

pub mod codes;
pub mod render;

pub use codes::{CODES, CodeInfo, explain};
pub use render::{Style, render, render_all, short, summary, to_json};

use crate::span::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The scenario cannot be used.
    Error,
    /// It can, but probably says something else than is meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One message about a scenario file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// `E0103`: E01 syntax and fields, E02 names, E03 kernel rules, W04 suspicions.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// The place, and a few words that stand beside it.
    pub primary: (Span, String),
    /// Other places that belong to it.
    pub secondary: Vec<(Span, String)>,
    /// What to write instead.
    pub help: Option<String>,
    /// Facts that help to understand it.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// An error at `span`.
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: clean(message.into()),
            primary: (span, String::new()),
            secondary: Vec::new(),
            help: None,
            notes: Vec::new(),
        }
    }

    /// A warning at `span`.
    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    /// With words beside the place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.1 = clean(text.into());
        self
    }

    /// With another place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push((span, clean(text.into())));
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(clean(text.into()));
        self
    }

    /// With advice, if there is any.
    #[must_use]
    pub fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help = text.map(clean).or(self.help);
        self
    }

    /// With a fact.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(clean(text.into()));
        self
    }

    /// Moves all places behind a text of so many bytes.
    pub(crate) fn shift(&mut self, by: usize) {
        self.primary.0 = self.primary.0.shifted(by);
        self.secondary.iter_mut().for_each(|(span, _)| *span = span.shifted(by));
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A line of a message: without characters that a terminal obeys or that hide something.
fn clean(text: String) -> String {
    let bad = |c: char| c.is_control() || is_invisible(c);
    if !text.contains(bad) {
        return text;
    }
    let mut out = String::new();
    for c in text.chars() {
        if bad(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Longest text of the user that a message repeats, in characters.
const QUOTE_MAX_CHARS: usize = 60;

/// A text of the user for a message, shortened.
#[must_use]
pub fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE_MAX_CHARS) {
        Some((end, _)) => clean(format!("{}..", &text[..end])),
        None => clean(text.to_string()),
    }
}

/// Characters that change how a line looks without being seen.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The candidate that a mistyped word was probably meant to be.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One mistake in three characters is a slip of the finger; more is another word.
    if word.len() > WORD_MAX_BYTES {
        return None;
    }
    let word_lower = word.to_lowercase();
    let limit = (word.chars().count() / 3).min(3);
    let candidates: Vec<&str> = candidates.into_iter().take(CANDIDATES_MAX).collect();
    let near = candidates
        .iter()
        .copied()
        .filter(|candidate| candidate.len() <= WORD_MAX_BYTES)
        .map(|candidate| {
            let distance = strsim::osa_distance(&word_lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate);
    // Or one is the beginning of the other: HASHMAP, maximum. Or its end, of constants: BPF_TIMER_CB.
    let constant = word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let part = |candidate: &&&str| {
        let (a, b) = (candidate.to_lowercase(), word_lower.as_str());
        let of = |a: &str, b: &str| a.starts_with(b) || constant && a.ends_with(&format!("_{b}"));
        a.len().min(b.len()) >= 3 && (of(&a, b) || of(b, &a))
    };
    near.or_else(|| candidates.iter().filter(part).max_by_key(|c| c.len()).copied())
}

/// Longest word that is compared with others, in bytes.
const WORD_MAX_BYTES: usize = 100;

/// Most candidates that a word is compared with.
const CANDIDATES_MAX: usize = 1000;

/// ``did you mean `x`?`` for the nearest candidate.
#[must_use]
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|name| format!("did you mean `{name}`?"))
}
