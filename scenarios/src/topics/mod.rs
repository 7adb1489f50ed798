//! What each word of a scenario file means: `timerace explain bpf_timer_cancel`, `explain machine`, `explain during`.
//!
//! A test holds the list against the tables that the reader uses: there is a topic for each word, and none besides.

mod sections;
mod steps;

use crate::diag::codes::wrap;

/// A word of scenario files.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The word.
    pub name: &'static str,
    /// What kind of word it is.
    pub group: Group,
    /// What it means, in a few sentences.
    pub text: &'static str,
}

/// Kinds of words, in the order of lists.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// A field of `Scenario( .. )`.
    Section,
    /// A field of `machine`.
    Machine,
    /// A field of a map.
    Map,
    /// A kind of variable, or the initial state of an element.
    Data,
    /// A BPF helper or a bpf(2) command.
    Helper,
    /// Another step of a task or a program.
    Step,
    /// What happens on a CPU by itself.
    Event,
    /// How a program is attached, how a task is scheduled and started.
    Attach,
    /// A fault.
    Fault,
    /// When a run is over.
    Stop,
    /// Values of a parameter.
    Param,
    /// An expectation.
    Expectation,
    /// A predicate of expectations.
    Predicate,
    /// A field of `explore`.
    Explore,
    /// A type of programs.
    ProgType,
    /// A type of maps.
    MapType,
    /// A clock, or a flag of a call.
    Flag,
    /// A field of `timerace.ron`.
    Config,
}

impl Group {
    /// As a heading.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Group::Section => "Fields of a scenario",
            Group::Machine => "Rules of the machine",
            Group::Map => "Fields of a map",
            Group::Data => "Variables and elements",
            Group::Helper => "Helpers and bpf(2) commands",
            Group::Step => "Steps",
            Group::Event => "Events of a CPU",
            Group::Attach => "How programs are attached and tasks scheduled",
            Group::Fault => "Faults",
            Group::Stop => "When a run is over",
            Group::Param => "Values of a parameter",
            Group::Expectation => "Expectations",
            Group::Predicate => "Predicates",
            Group::Explore => "Fields of explore",
            Group::ProgType => "Types of programs",
            Group::MapType => "Types of maps",
            Group::Flag => "Clocks and flags",
            Group::Config => "Fields of timerace.ron",
        }
    }
}

/// All topics, by group.
pub fn topics() -> impl Iterator<Item = &'static Topic> {
    sections::TOPICS.iter().chain(steps::TOPICS)
}

/// The topics of a word: `at` is a step and an event.
pub fn find(name: &str) -> impl Iterator<Item = &'static Topic> {
    topics().filter(move |t| t.name == name)
}

/// All words of scenario files and of `timerace.ron` as a page of the manual.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(
        "# Words of scenario files\n\nMade by `timerace gen reference docs`; `timerace explain WORD` says the same. \
         How the words make a scenario is told in\n[Writing a scenario](writing-a-scenario.md).\n",
    );
    let mut group = None;
    for t in topics() {
        if group != Some(t.group) {
            group = Some(t.group);
            out.push_str(&format!("\n## {}\n\n", t.group.words()));
        }
        let form = crate::read::form_of(t.group, t.name).unwrap_or(t.name);
        out.push_str(&format!("- `{form}`: {}\n", t.text));
    }
    out
}

impl Topic {
    /// The explanation as text for a terminal: how it is written, and what it means.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{} ({})\n", self.name, self.group.words().to_ascii_lowercase());
        if let Some(form) = crate::read::form_of(self.group, self.name) {
            out.push_str(&format!("\n    {form}\n"));
        }
        out.push('\n');
        out.push_str(&wrap(self.text));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_is_a_topic_for_each_word_that_the_reader_knows() {
        let known: BTreeSet<(Group, String)> =
            crate::read::words().map(|(group, name)| (group, name.to_string())).collect();
        let told: BTreeSet<(Group, String)> =
            topics().map(|t| (t.group, t.name.to_string())).collect();
        let missing: Vec<_> = known.difference(&told).collect();
        let unknown: Vec<_> = told.difference(&known).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{missing:?} {unknown:?}");
        assert_eq!(topics().count(), told.len(), "each once");
        assert!(topics().all(|t| t.text.len() >= 10 && t.text.ends_with('.') && t.text.is_ascii()));
        assert!(known.len() > 130);
    }

    #[test]
    fn texts_show_how_it_is_written() {
        let text = find("bpf_timer_cancel").next().unwrap().text();
        assert!(text.contains("    bpf_timer_cancel(\"map[key]\")\n"), "{text}");
        assert!(text.lines().all(|l| l.len() <= 79), "{text}");
        assert_eq!(find("at").count(), 2);
        assert_eq!(find("no-such-word").count(), 0);
    }
}
