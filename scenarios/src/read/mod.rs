//! From the tree of a RON file to the tree of a scenario.
//!
//! Nothing here looks up names or knows the kernel's rules; that is [`crate::check`]. A part that
//! cannot be read gives a message and `None`, and the parts beside it are read all the same, so
//! that one call reports as much as possible.

mod acts;
mod calls;
mod config;
mod data;
mod expect;
mod fields;
mod forms;
mod params;
mod setup;
mod steps;
mod top;
mod values;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use config::read_config;
pub(crate) use top::{Declared, Names, read};

use crate::diag::{Diagnostic, quote};
use crate::limits::DIAGS_MAX;
use crate::span::{Sp, Span};
use crate::syntax::Text;
use crate::text::TextError;

/// What is known while a file is read.
#[derive(Default)]
pub(crate) struct Reader {
    /// Messages so far.
    pub diags: Vec<Diagnostic>,
    /// The text of each parameter.
    params: BTreeMap<String, String>,
    /// Parameters that are declared, but whose value could not be read.
    broken_params: BTreeSet<String>,
    /// Parameters that something uses.
    pub used_params: BTreeSet<String>,
}

/// A text, and where its bytes stand.
pub(crate) struct Words {
    pub value: String,
    place: Place,
}

enum Place {
    /// In the file, byte by byte.
    Text(Text),
    /// It is the value of the parameter that is named here.
    Param(Span),
}

impl Words {
    /// The whole text without its quotes; or the `$name` that stands for it.
    pub fn span(&self) -> Span {
        self.part(Span::new(0, self.value.len()))
    }

    /// The place in the file of some bytes of the text.
    pub fn part(&self, span: Span) -> Span {
        match &self.place {
            Place::Text(text) => text.span(span.start, span.end),
            Place::Param(span) => *span,
        }
    }
}

impl Reader {
    fn error(&mut self, diag: Diagnostic) {
        self.diags.push(diag);
    }

    /// Whether there are so many errors that reading on is of no use.
    fn is_full(&self) -> bool {
        self.diags.len() >= DIAGS_MAX
    }

    /// Reports a mistake in a text.
    fn text_error(&mut self, code: &'static str, words: &Words, error: TextError) {
        let mut diag = Diagnostic::error(code, words.part(error.span), error.message)
            .label(error.label)
            .maybe_help(error.help);
        if let Place::Param(_) = words.place {
            diag = diag.note(format!("the parameter's value is \"{}\"", quote(&words.value)));
        }
        self.error(diag);
    }

    /// Takes the value, or reports what is wrong with the text.
    fn checked<T>(
        &mut self,
        code: &'static str,
        words: &Words,
        result: Result<T, TextError>,
    ) -> Option<Sp<T>> {
        match result {
            Ok(value) => Some(Sp::new(value, words.span())),
            Err(error) => {
                self.text_error(code, words, error);
                None
            }
        }
    }
}

/// All files that must load, in one text.
#[cfg(test)]
pub(crate) fn corpus() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ok");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}
