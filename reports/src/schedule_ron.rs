//! `schedule.ron`: a schedule with every step by name, so that a person can read what happened and `replay` can say at
//! which step another kernel went another way.
//!
//! ```ron
//! Schedule(
//!     schema: 1,
//!     scenario: "cancel-vs-delete",
//!     kernel: "v6.7",
//!     schedule: "1x4,2x7,1",
//!     steps: [
//!         (1, "cancel", "spin_lock(&timer->lock)"),
//!     ],
//! )
//! ```
//!
//! A step is the CPU, the token of the context on it (as in the short text) and the line; a fourth value is the
//! alternative that was taken, where it is not the first.

use crate::facts::{home, short_token};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use std::fmt::{self, Write as _};
use timerace_core::record::Record;
use timerace_core::schedule::{Pick, Schedule};
use timerace_core::{CtxId, CtxSpec};

/// The schema that this version writes; older ones are read too, once there are any.
pub const SCHEMA: u32 = 1;

/// A schedule as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename = "Schedule", deny_unknown_fields)]
pub struct SavedSchedule {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The kernel that it was made for.
    pub kernel: String,
    /// The short text, for readers.
    pub schedule: String,
    /// The steps in order.
    pub steps: Vec<SavedStep>,
}

/// A step by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedStep {
    /// The number of the CPU; of a helper, the CPU that it belongs to.
    pub cpu: u16,
    /// The context's token on that CPU.
    pub ctx: String,
    /// The source line.
    pub text: String,
    /// The alternative taken, 0 where there is none to take.
    pub alt: u8,
}

impl SavedSchedule {
    /// The schedule of a run.
    pub fn of(rec: &Record, scenario: &str, kernel: &str) -> SavedSchedule {
        let step = |s: &timerace_core::record::StepRecord| {
            let spec = rec.contexts.get(s.ctx.index());
            SavedStep {
                cpu: spec.map_or(0, |c| home(c).0),
                ctx: spec.map_or_else(String::new, |c| short_token(c).to_string()),
                text: s.text.clone(),
                alt: s.alt,
            }
        };
        SavedSchedule {
            schema: SCHEMA,
            scenario: scenario.to_string(),
            kernel: kernel.to_string(),
            schedule: rec.text.clone(),
            steps: rec.steps.iter().map(step).collect(),
        }
    }

    /// The file.
    pub fn write(&self) -> String {
        let mut out = String::from("Schedule(\n");
        let _ = writeln!(out, "    schema: {},", self.schema);
        let _ = writeln!(out, "    scenario: {},", string(&self.scenario));
        let _ = writeln!(out, "    kernel: {},", string(&self.kernel));
        let _ = writeln!(out, "    schedule: {},", string(&self.schedule));
        out.push_str("    steps: [\n");
        for s in &self.steps {
            let alt = if s.alt == 0 { String::new() } else { format!(", {}", s.alt) };
            let (ctx, text) = (string(&s.ctx), string(&s.text));
            let _ = writeln!(out, "        ({}, {ctx}, {text}{alt}),", s.cpu);
        }
        out.push_str("    ],\n)\n");
        out
    }

    /// The schedule for a machine with these contexts, which a replay follows.
    ///
    /// # Errors
    /// Names the first step whose context does not exist.
    pub fn picks(&self, contexts: &[CtxSpec]) -> Result<Schedule, String> {
        let find = |s: &SavedStep| {
            contexts.iter().position(|c| home(c).0 == s.cpu && short_token(c) == s.ctx)
        };
        let pick = |(i, s): (usize, &SavedStep)| {
            let ctx = find(s).ok_or_else(|| {
                format!("step {}: CPU{} has no `{}` in this scenario", i + 1, s.cpu, s.ctx)
            })?;
            Ok(Pick { ctx: CtxId(ctx as u16), alt: s.alt })
        };
        let picks: Result<Vec<Pick>, String> = self.steps.iter().enumerate().map(pick).collect();
        Ok(Schedule { picks: picks? })
    }

    /// Where a run went another way than the saved one: the number of the first step that differs, with both lines. A
    /// line that is missing is empty.
    pub fn first_difference(&self, rec: &Record) -> Option<(u32, String, String)> {
        let now = SavedSchedule::of(rec, &self.scenario, &self.kernel).steps;
        let n = self.steps.len().max(now.len());
        let text = |s: Option<&SavedStep>| s.map_or_else(String::new, |s| s.text.clone());
        (0..n)
            .find(|i| self.steps.get(*i) != now.get(*i))
            .map(|i| (i as u32 + 1, text(self.steps.get(i)), text(now.get(i))))
    }
}

/// Reads a file that [`SavedSchedule::write`] wrote, or that a person edited.
///
/// # Errors
/// What is wrong, with line and column; a newer schema is named before anything else is looked at.
pub fn read(text: &str) -> Result<SavedSchedule, String> {
    #[derive(Deserialize)]
    #[serde(rename = "Schedule")]
    struct Head {
        schema: u32,
    }
    let head: Head = ron::from_str(text).map_err(|e| e.to_string())?;
    if head.schema != SCHEMA {
        return Err(format!(
            "this schedule has schema {}, this timerace reads {SCHEMA}",
            head.schema
        ));
    }
    ron::from_str(text).map_err(|e| e.to_string())
}

fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl<'de> Deserialize<'de> for SavedStep {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<SavedStep, D::Error> {
        struct StepVisitor;

        impl<'de> Visitor<'de> for StepVisitor {
            type Value = SavedStep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a step: (CPU, \"context\", \"line\") or with an alternative behind")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<SavedStep, A::Error> {
                let missing = |n| de::Error::invalid_length(n, &StepVisitor);
                Ok(SavedStep {
                    cpu: seq.next_element()?.ok_or_else(|| missing(0))?,
                    ctx: seq.next_element()?.ok_or_else(|| missing(1))?,
                    text: seq.next_element()?.ok_or_else(|| missing(2))?,
                    alt: seq.next_element()?.unwrap_or(0),
                })
            }
        }
        d.deserialize_tuple(4, StepVisitor)
    }
}
