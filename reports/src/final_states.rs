//! The final states of a search: how many schedules end in each, which values tell them apart, and a schedule for each.
//! States that differ in nothing that readers know (the model's own bookkeeping) are one.

use crate::graphs::{quoted, unquoted};
use crate::num::{count, grouped};
use crate::states::variables;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use timerace_core::ends::End;
use timerace_core::record::Record;
use timerace_core::result::{Engine, Exploration};

/// A final state, or several that readers cannot tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalState {
    /// How many schedules end in it.
    pub schedules: u64,
    /// Those with a finding.
    pub failing: u64,
    /// The classes of these findings, by their stable names.
    pub classes: BTreeSet<String>,
    /// The values in it of all variables that differ between final states.
    pub values: BTreeMap<String, String>,
    /// The short text of a schedule that ends in it.
    pub schedule: String,
}

/// The final states of a search, those in which most schedules end first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalStates {
    /// What `schedules` counts: `schedules`, or `executions` of a sample.
    pub counted: String,
    /// Nothing was cut off, and every schedule was run: there are no others.
    pub complete: bool,
    /// The states.
    pub states: Vec<FinalState>,
}

impl FinalStates {
    /// Merges what a search found, with a record of the schedule of each of its [`ends`](Exploration::ends). `None`: the
    /// search cannot say how many schedules end where, or there are too many final states to be kept.
    pub fn of(e: &Exploration, records: &[Record]) -> Option<FinalStates> {
        if e.ends.is_empty() || e.engine == Engine::States {
            return None;
        }
        let values = differing(records);
        let mut states: Vec<FinalState> = Vec::new();
        for ((end, rec), values) in e.ends.iter().zip(records).zip(values) {
            match states.iter_mut().find(|s| s.values == values) {
                Some(s) => s.add(end, rec),
                None => states.push(FinalState {
                    schedules: end.schedules,
                    failing: end.failing,
                    classes: names(end),
                    values,
                    schedule: rec.text.clone(),
                }),
            }
        }
        states.sort_by(|a, b| {
            (b.schedules, a.failing, &a.values).cmp(&(a.schedules, b.failing, &b.values))
        });
        let counted = counted(e.engine == Engine::Sample);
        Some(FinalStates { counted, complete: e.complete, states })
    }
}

impl FinalStates {
    /// How many schedules there are in all.
    pub fn schedules(&self) -> u64 {
        self.states.iter().map(|s| s.schedules).sum()
    }

    /// `8 final states of 108 schedules`.
    pub fn title(&self) -> String {
        let n = self.states.len() as u64;
        let states = count(n, "final state", "final states");
        format!("{states} of {} {}", grouped(self.schedules()), self.counted)
    }

    /// The values of a state (by index) that are not those of the first one; of the first, all.
    pub fn news(&self, index: usize) -> Vec<(&str, &str)> {
        let first = &self.states[0].values;
        let values = self.states[index].values.iter();
        let new =
            |(name, value): &(&String, &String)| index == 0 || first.get(*name) != Some(value);
        values.filter(new).map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// For scripts: the list of states, as it stands in `result.json`.
    pub fn json(&self) -> Value {
        let one = |s: &FinalState| {
            json!({
                "schedules": s.schedules,
                "failing": s.failing,
                "classes": s.classes,
                "values": s.values,
                "schedule": s.schedule,
            })
        };
        self.states.iter().map(one).collect()
    }

    /// What the result of a search says of them; `None`: nothing, or nothing that can be read.
    pub fn read(result: &Value) -> Option<FinalStates> {
        let states: Option<Vec<FinalState>> =
            result["outcomes"].as_array()?.iter().map(FinalState::read).collect();
        let sampled = result["engine"] == Engine::Sample.name();
        Some(FinalStates {
            counted: counted(sampled),
            complete: result["complete"] == true,
            states: states.filter(|s| !s.is_empty())?,
        })
    }

    /// `states.dot`: an arrow from the start to each final state. `None`: there is but one.
    pub fn dot(&self) -> Option<String> {
        if self.states.len() < 2 {
            return None;
        }
        let mut out = String::from(
            "digraph final_states {\n    rankdir=LR;\n    node [shape=box, fontname=\"monospace\"];\n",
        );
        let start = quoted(&format!("{} {}", grouped(self.schedules()), self.counted));
        let _ = writeln!(out, "    start [label={start}, shape=ellipse];");
        for (i, s) in self.states.iter().enumerate() {
            let mut lines: Vec<String> = self.findings(s).into_iter().collect();
            lines.extend(s.values.iter().map(|(name, value)| format!("{name}: {value}")));
            lines.push(format!("as in {}", s.schedule));
            let label = lines.iter().map(|l| format!("{}\\l", unquoted(l))).collect::<String>();
            let red = if s.failing > 0 { ", style=bold, color=red" } else { "" };
            let _ = writeln!(out, "    f{} [label=\"{label}\"{red}];", i + 1);
        }
        for (i, s) in self.states.iter().enumerate() {
            let red = if s.failing > 0 { ", style=bold, color=red" } else { "" };
            let n = quoted(&grouped(s.schedules));
            let _ = writeln!(out, "    start -> f{} [label={n}{red}];", i + 1);
        }
        out.push_str("}\n");
        Some(out)
    }

    /// `DEADLOCK in 16 of 20 schedules`.
    pub(crate) fn findings(&self, s: &FinalState) -> Option<String> {
        let classes: Vec<&str> = s.classes.iter().map(String::as_str).collect();
        let of = match (s.failing, s.schedules) {
            (1, 1) => "its only schedule".to_string(),
            (n, all) if n == all => format!("all {} {}", grouped(n), self.counted),
            (n, all) => format!("{} of {} {}", grouped(n), grouped(all), self.counted),
        };
        (s.failing > 0).then(|| format!("{} in {of}", classes.join(", ")))
    }
}

fn counted(sampled: bool) -> String {
    if sampled { "executions" } else { "schedules" }.to_string()
}

impl FinalState {
    fn read(v: &Value) -> Option<FinalState> {
        let text = |v: &Value| v.as_str().map(str::to_string);
        let values = v["values"].as_object()?.iter();
        Some(FinalState {
            schedules: v["schedules"].as_u64()?,
            failing: v["failing"].as_u64()?,
            classes: v["classes"].as_array()?.iter().map(text).collect::<Option<_>>()?,
            values: values.map(|(k, v)| Some((k.clone(), text(v)?))).collect::<Option<_>>()?,
            schedule: text(&v["schedule"])?,
        })
    }

    fn add(&mut self, end: &End, rec: &Record) {
        self.schedules += end.schedules;
        self.failing += end.failing;
        self.classes.extend(names(end));
        let simpler = |text: &str| (text.len(), text.to_string());
        if simpler(&rec.text) < simpler(&self.schedule) {
            self.schedule.clone_from(&rec.text);
        }
    }
}

fn names(end: &End) -> BTreeSet<String> {
    end.classes.iter().map(|c| c.name().to_string()).collect()
}

/// For each run, the last values of the variables that do not end the same in all of them. Memory that is not there at the
/// end has no values.
fn differing(records: &[Record]) -> Vec<BTreeMap<String, String>> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Vec<BTreeMap<String, String>> = Vec::new();
    for rec in records {
        let mut values = BTreeMap::new();
        for v in variables(rec) {
            let end = v.changes.last().map_or(&v.first, |c| &c.1).clone();
            first.entry(v.name.clone()).or_insert(v.first);
            values.insert(v.name, end);
        }
        last.push(values);
    }
    for values in &mut last {
        for (name, value) in &first {
            values.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let gone: Vec<String> = values.keys().filter(|n| is_gone(values, n)).cloned().collect();
        gone.iter().for_each(|n| {
            values.remove(n);
        });
    }
    let differs = |name: &String| {
        let mut known = last.iter().filter_map(|v| v.get(name));
        let one = known.next();
        known.any(|other| Some(other) != one)
    };
    let kept: BTreeSet<&String> = first.keys().filter(|name| differs(name)).collect();
    let mut out = last.clone();
    out.iter_mut().for_each(|v| v.retain(|name, _| kept.contains(name)));
    out
}

/// A field of memory that was freed, or never allocated.
fn is_gone(values: &BTreeMap<String, String>, name: &str) -> bool {
    name.match_indices('.').any(|(at, _)| {
        values.get(&name[..at]).is_some_and(|life| life == "FREED" || life == "not allocated")
    })
}
