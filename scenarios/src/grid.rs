//! Grids: all combinations of the values that parameters have.
//!
//! A cell of a grid is a list of settings, as `--set` takes them. Cells are numbered: the values of the last axis change
//! first, like the digits of a number.

use std::fmt;

use crate::ast::{ParamValue, Scenario, SignedDuration};
use crate::text::duration;

/// A parameter and the values that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The parameter.
    pub name: String,
    /// What it takes.
    pub values: ParamValue,
}

/// Settings of parameters by name.
pub type Settings = Vec<(String, String)>;

impl Axis {
    /// How many values there are; at least 1.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.values.len()
    }

    /// Never: a parameter has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The value number `index`, from 0, as a text; the last one for a greater number.
    #[must_use]
    pub fn value(&self, index: u64) -> String {
        self.values.value(index.min(self.len() - 1)).unwrap_or_default()
    }

    /// All values, as texts.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        (0..self.len()).map(|i| self.value(i)).collect()
    }

    /// All values in nanoseconds, if each is a single duration.
    #[must_use]
    pub fn ns(&self) -> Option<Vec<i64>> {
        let one = |text: &String| number(text).ok().filter(|found| found.1).map(|found| found.0);
        self.texts().iter().map(one).collect()
    }

    /// `name=from..to/step`, or `name=a,b,c` for a choice.
    ///
    /// # Errors
    ///
    /// In words, what does not fit.
    pub fn parse(text: &str) -> Result<Axis, String> {
        let form = "expected NAME=FROM..TO/STEP or NAME=VALUE,VALUE";
        let (name, values) = text.split_once('=').ok_or(form)?;
        if name.is_empty() || values.is_empty() {
            return Err(form.to_string());
        }
        let values = match values.split_once('/') {
            Some((range, step)) => {
                let (from, to) = range.split_once("..").ok_or(form)?;
                let ends = [number(from)?, number(to)?, number(step)?];
                let durations = ends[0].1;
                if ends.iter().any(|end| end.1 != durations) {
                    return Err("the axis mixes durations and plain numbers".to_string());
                }
                ParamValue::sweep(ends[0].0, ends[1].0, ends[2].0, durations)?
            }
            None => {
                let place = crate::span::Span::default();
                let sp = |value: &str| crate::span::Sp::new(value.trim().to_string(), place);
                ParamValue::Choice(values.split(',').map(sp).collect())
            }
        };
        Ok(Axis { name: name.to_string(), values })
    }
}

impl fmt::Display for Axis {
    /// As [`Axis::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.values {
            ParamValue::Sweep { from, to, step, durations: true } => {
                let text = |ns: &i64| SignedDuration::fixed(*ns);
                write!(f, "{}={}..{}/{}", self.name, text(from), text(to), text(step))
            }
            ParamValue::Sweep { from, to, step, .. } => {
                write!(f, "{}={from}..{to}/{step}", self.name)
            }
            _ => write!(f, "{}={}", self.name, self.texts().join(",")),
        }
    }
}

/// An end of a range, and whether it is a duration.
fn number(text: &str) -> Result<(i64, bool), String> {
    let text = text.trim();
    if let Ok(value) = text.parse::<i64>() {
        return Ok((value, false));
    }
    let mut none = |_: &str| Err(None);
    let found = duration::parse(text, &mut none).map_err(|e| format!("`{text}`: {}", e.message))?;
    match i64::try_from(found.min) {
        Ok(value) if found.min == found.max => Ok((value, true)),
        _ => Err(format!("`{text}` is not a single duration below 292 years")),
    }
}

/// The parameters of a scenario that have several values, in the order of the file; those that the caller has set have
/// one.
#[must_use]
pub fn axes(scenario: &Scenario) -> Vec<Axis> {
    let several = scenario.params.iter().filter(|(_, p)| !p.set && p.value.len() > 1);
    several.map(|(name, p)| Axis { name: name.node.clone(), values: p.value.clone() }).collect()
}

/// How many cells there are, at most `u64::MAX`; 1 without an axis.
#[must_use]
pub fn cells(axes: &[Axis]) -> u64 {
    axes.iter().fold(1, |n: u64, axis| n.saturating_mul(axis.len()))
}

/// The settings of the cell number `index`, from 0.
#[must_use]
pub fn cell(axes: &[Axis], index: u64) -> Settings {
    let mut rest = index;
    let mut settings: Settings = axes
        .iter()
        .rev()
        .map(|axis| {
            let value = axis.value(rest % axis.len());
            rest /= axis.len();
            (axis.name.clone(), value)
        })
        .collect();
    settings.reverse();
    settings
}

/// `cb_len = 1us, offset = -8us`.
#[must_use]
pub fn words(settings: &Settings) -> String {
    let each: Vec<String> = settings.iter().map(|(k, v)| format!("{k} = {v}")).collect();
    each.join(", ")
}

/// What a command says that takes only the first cell; `None` without an axis.
#[must_use]
pub fn first_taken(scenario: &Scenario) -> Option<String> {
    let axes = axes(scenario);
    if axes.is_empty() {
        return None;
    }
    let each: Vec<String> = axes
        .iter()
        .map(|axis| format!("{} = {} (the first of {})", axis.name, axis.value(0), axis.len()))
        .collect();
    Some(format!("{}; `timerace sweep` takes all", each.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_axis_changes_first() {
        let axes = [Axis::parse("a=1us..3us/1us").unwrap(), Axis::parse("b=x,y").unwrap()];
        let all: Vec<String> = (0..cells(&axes)).map(|i| words(&cell(&axes, i))).collect();
        assert_eq!(all.len(), 6);
        assert_eq!(all[0], "a = 1us, b = x");
        assert_eq!(all[1], "a = 1us, b = y");
        assert_eq!(all[5], "a = 3us, b = y");
    }

    #[test]
    fn axes_of_the_command_line() {
        let values = |text: &str| {
            let axis = Axis::parse(text)?;
            Ok::<_, String>((0..axis.len()).map(|i| axis.value(i)).collect::<Vec<_>>())
        };
        assert_eq!(values("p=-1us..1us/1us").unwrap(), ["-1us", "0ns", "1us"]);
        assert_eq!(values("n=1..9/4").unwrap(), ["1", "5", "9"]);
        assert_eq!(values("n=7").unwrap(), ["7"]);
        for text in ["p=-1us..1us/500ns", "n=1..9/4", "k=a,b"] {
            assert_eq!(Axis::parse(text).unwrap().to_string(), text);
        }
        for (text, part) in [
            ("p", "expected NAME="),
            ("p=", "expected NAME="),
            ("p=1us/2us", "expected NAME="),
            ("p=1us..9/1us", "mixes"),
            ("p=1us..9us/0us", "above 0"),
            ("p=9us..1us/1us", "goes up"),
            ("p=1ns..1s/1ns", "a million"),
            ("p=1us..9ux/1us", "unknown unit"),
            ("p=1us..600000000s/1us", "a million"),
            ("p=1us..99999999999s/1us", "64 bits"),
        ] {
            let error = values(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
