//! What came of playing recordings: a status for each case, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::case::Case;
use super::compare::{Difference, compare};
use super::parse::{ParseError, parse};
use super::run::{Options, play};

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The model does what the real kernel did.
    Agree,
    /// It does not.
    Disagree(Vec<Difference>),
    /// It was not compared, with the reason.
    Unsupported(String),
}

impl Status {
    /// As scripts know it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Status::Agree => "agree",
            Status::Disagree(_) => "disagree",
            Status::Unsupported(_) => "unsupported",
        }
    }
}

/// A case and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// Its name.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The label of its kernel.
    pub kernel: String,
    /// What came of it.
    pub status: Status,
}

/// How many cases came out how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The model does what the real kernel did.
    pub agree: usize,
    /// It does not.
    pub disagree: usize,
    /// Not compared.
    pub unsupported: usize,
}

impl Counts {
    fn add(&mut self, status: &Status) {
        match status {
            Status::Agree => self.agree += 1,
            Status::Disagree(_) => self.disagree += 1,
            Status::Unsupported(_) => self.unsupported += 1,
        }
    }
}

/// What came of recordings, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// One entry for each case.
    pub cases: Vec<CaseReport>,
}

/// Plays a recording and compares.
///
/// # Errors
///
/// The text is no recording.
pub fn conform(text: &str, options: &Options) -> Result<Report, ParseError> {
    let cases = parse(text)?;
    Ok(Report { cases: cases.iter().map(|c| judge(c, options)).collect() })
}

/// Plays one case and compares.
#[must_use]
pub fn judge(case: &Case, options: &Options) -> CaseReport {
    let status = match play(case, options) {
        Err(unsupported) => Status::Unsupported(unsupported.reason),
        Ok(run) => match compare(case, &run) {
            none if none.is_empty() => Status::Agree,
            some => Status::Disagree(some),
        },
    };
    let (id, kind, kernel) = (case.id.clone(), case.kind.clone(), case.kernel.clone());
    CaseReport { id, kind, kernel, status }
}

impl Report {
    /// How all cases came out.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.cases.iter().for_each(|c| all.add(&c.status));
        all
    }

    /// How the cases of each kernel and kind came out.
    #[must_use]
    pub fn by_kind(&self) -> BTreeMap<(&str, &str), Counts> {
        let mut kinds: BTreeMap<(&str, &str), Counts> = BTreeMap::new();
        for c in &self.cases {
            kinds.entry((&c.kernel, &c.kind)).or_default().add(&c.status);
        }
        kinds
    }

    /// For people: a line for each difference, why cases were not compared, and a summary.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for c in &self.cases {
            match &c.status {
                Status::Agree => {}
                Status::Disagree(differences) => {
                    for d in differences {
                        let Difference { place, recorded, model } = d;
                        let _ = writeln!(
                            out,
                            "{} {}: {place}: recorded {recorded}, model {model}",
                            c.kernel, c.id
                        );
                    }
                }
                Status::Unsupported(reason) => *reasons.entry(reason).or_default() += 1,
            }
        }
        for (reason, n) in reasons {
            let _ = writeln!(out, "not compared: {n} {}: {reason}", plural(n, "case"));
        }
        for ((kernel, kind), n) in self.by_kind() {
            let _ = writeln!(out, "{kernel} {kind}: {}", summary(n));
        }
        let _ = writeln!(out, "{}", summary(self.counts()));
        out
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let n = self.counts();
        let cases: Vec<Value> = self.cases.iter().map(CaseReport::json).collect();
        json!({
            "schema": 1,
            "cases": cases,
            "agree": n.agree,
            "disagree": n.disagree,
            "unsupported": n.unsupported,
        })
    }
}

impl CaseReport {
    fn json(&self) -> Value {
        let (mut differences, mut reason) = (Vec::new(), None);
        match &self.status {
            Status::Agree => {}
            Status::Disagree(all) => {
                let one = |d: &Difference| json!({"where": d.place, "recorded": d.recorded, "model": d.model});
                differences = all.iter().map(one).collect();
            }
            Status::Unsupported(why) => reason = Some(why),
        }
        let mut value = json!({
            "id": self.id,
            "kind": self.kind,
            "kernel": self.kernel,
            "status": self.status.name(),
            "differences": differences,
        });
        if let Some(why) = reason {
            value["reason"] = json!(why);
        }
        value
    }
}

fn summary(n: Counts) -> String {
    format!("{} agree, {} disagree, {} unsupported", n.agree, n.disagree, n.unsupported)
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 { word.to_string() } else { format!("{word}s") }
}
