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
use crate::topics::Group;

/// Every word of scenario files that has a meaning of its own, with the kind of word that it is.
#[cfg(test)]
pub(crate) fn words() -> impl Iterator<Item = (Group, &'static str)> {
    use crate::ast::names::Word;
    use crate::ast::{Clock, MapKind, ProgKind, TimerFlag, UpdateFlag};
    let fields = [
        (Group::Section, top::FIELDS),
        (Group::Machine, setup::MACHINE),
        (Group::Map, data::MAP),
        (Group::Explore, setup::EXPLORE),
        (Group::Config, config::FIELDS),
    ];
    let fields = fields.into_iter().flat_map(|(g, all)| all.iter().map(move |name| (g, *name)));
    let forms = FORMS.iter().flat_map(|(g, all)| all.iter().map(move |f| (*g, f.name)));
    let steps = steps::STEPS.iter().map(|f| (group_of_step(f.name), f.name));
    let named = |g: Group, all: Vec<&'static str>| all.into_iter().map(move |name| (g, name));
    let enums = named(Group::ProgType, ProgKind::words())
        .chain(named(Group::MapType, MapKind::words()))
        .chain(named(Group::Flag, TimerFlag::words()))
        .chain(named(Group::Flag, UpdateFlag::words()))
        .chain(named(
            Group::Flag,
            // The other clocks are there to be refused.
            [Clock::Monotonic, Clock::Realtime, Clock::Boottime].map(Clock::word).to_vec(),
        ));
    fields.chain(forms).chain(steps).chain(enums)
}

/// How a word is written, if more than the word is.
pub(crate) fn form_of(group: Group, name: &str) -> Option<&'static str> {
    let steps = [(group_of_step(name), steps::STEPS)];
    let mut tables = FORMS.iter().chain(&steps).filter(|(g, _)| *g == group);
    tables.find_map(|(_, forms)| forms.iter().find(|f| f.name == name)).map(|f| f.text)
}

/// The same of a word wherever it stands.
pub(crate) fn written(name: &str) -> Option<&'static str> {
    let groups = FORMS.iter().map(|(group, _)| *group).chain([group_of_step(name)]);
    groups.into_iter().find_map(|group| form_of(group, name))
}

const FORMS: &[(Group, &[forms::Form])] = &[
    (Group::Data, data::VARS),
    (Group::Data, data::INIT),
    (Group::Event, acts::EVENTS),
    (Group::Attach, acts::SCHED),
    (Group::Attach, acts::START),
    (Group::Attach, acts::ATTACH),
    (Group::Fault, expect::FAULTS),
    (Group::Stop, setup::STOP),
    (Group::Param, params::FORMS),
    (Group::Expectation, expect::EXPECT),
    (Group::Predicate, expect::PREDICATES),
];

fn group_of_step(name: &str) -> Group {
    match name.starts_with("bpf_") || name == "prog_run" {
        true => Group::Helper,
        false => Group::Step,
    }
}

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
