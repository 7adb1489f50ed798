//! Files of costs (`costs/*.ron`): what steps and hardware delays take in timed runs.
//!
//! ```ron
//! (
//!     schema: 1,
//!     name: "lab1",
//!     calibrated: true,
//!     slice_ns: 4000000,
//!     costs: {
//!         "irq_entry": Gamma(shift: 900, shape: 2.1, scale: 310.0),
//!         "idle_exit": Empirical([200, 450, 1900]),
//!     },
//! )
//! ```
//!
//! Times are nanoseconds. A class that is not named costs what the generic file says. Some files are built in
//! ([`BUILT_IN`]); each says where its numbers are from.

use crate::diag;
use crate::load::{self, ReadError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use timerace_core::step::CostClass;
use timerace_core::timed::{Costs, Dist};

/// The files that are built in, by name.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("generic", include_str!("../costs/generic.ron")),
    ("virt-6.18-idle", include_str!("../costs/virt-6.18-idle.ron")),
    ("virt-6.18-loaded", include_str!("../costs/virt-6.18-loaded.ron")),
];

/// The version of the format that is read and written.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "Costs", deny_unknown_fields)]
struct File {
    schema: u32,
    name: String,
    #[serde(default)]
    calibrated: bool,
    #[serde(default = "slice")]
    slice_ns: u64,
    costs: BTreeMap<String, Text>,
}

fn slice() -> u64 {
    Costs::default().slice_ns
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "Distribution", deny_unknown_fields)]
enum Text {
    Const(u64),
    Uniform(u64, u64),
    Gamma { shift: u64, shape: f64, scale: f64 },
    LogNormal { shift: u64, mu: f64, sigma: f64 },
    Empirical(Vec<u64>),
}

impl From<Text> for Dist {
    fn from(t: Text) -> Dist {
        match t {
            Text::Const(n) => Dist::Const(n),
            Text::Uniform(lo, hi) => Dist::Uniform(lo, hi),
            Text::Gamma { shift, shape, scale } => Dist::Gamma { shift, shape, scale },
            Text::LogNormal { shift, mu, sigma } => Dist::LogNormal { shift, mu, sigma },
            Text::Empirical(q) => Dist::Empirical(q),
        }
    }
}

impl From<&Dist> for Text {
    fn from(d: &Dist) -> Text {
        match d.clone() {
            Dist::Const(n) => Text::Const(n),
            Dist::Uniform(lo, hi) => Text::Uniform(lo, hi),
            Dist::Gamma { shift, shape, scale } => Text::Gamma { shift, shape, scale },
            Dist::LogNormal { shift, mu, sigma } => Text::LogNormal { shift, mu, sigma },
            Dist::Empirical(q) => Text::Empirical(q),
        }
    }
}

/// Why a file of costs cannot be used.
#[derive(Debug)]
pub enum CostsError {
    /// It cannot be read.
    Read(ReadError),
    /// What it says is wrong: path, line and column where known, and what was expected.
    Text {
        /// The file.
        path: String,
        /// Line and column, from 1.
        at: Option<(usize, usize)>,
        /// What is wrong.
        message: String,
    },
}

impl fmt::Display for CostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CostsError::Read(e) => e.fmt(f),
            CostsError::Text { path, at: Some((line, col)), message } => {
                write!(f, "error: {path}:{line}:{col}: {message}")
            }
            CostsError::Text { path, at: None, message } => write!(f, "error: {path}: {message}"),
        }
    }
}

/// Reads a file of costs; where there is none of this name, the built-in costs that are called so.
///
/// # Errors
///
/// A file that is missing, is no text, or says something that is not a cost.
pub fn read(path: &Path) -> Result<Costs, CostsError> {
    let name = path.to_string_lossy();
    let built_in = BUILT_IN.iter().find(|(n, _)| *n == name);
    if let Some((name, text)) = built_in.filter(|_| !path.exists()) {
        return parse(text, &format!("<built-in {name}>"));
    }
    let text = load::read_file(path).map_err(CostsError::Read)?;
    parse(&text, &path.display().to_string())
}

/// What RON says of a mistake, in the words of this file.
fn in_words(e: &ron::Error) -> String {
    match e {
        ron::Error::ExpectedNamedStructLike(_) | ron::Error::ExpectedDifferentStructName { .. } => {
            "costs are one `(schema: 1, name: \"..\", costs: { .. })`".to_string()
        }
        ron::Error::MissingStructField { field, .. } => format!("the field `{field}` is missing"),
        ron::Error::NoSuchStructField { expected, found, .. } => {
            let near = diag::nearest(found, expected.iter().copied());
            let hint = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            format!("unknown field `{found}`{hint}; fields are {}", expected.join(", "))
        }
        ron::Error::NoSuchEnumVariant { expected, found, .. } => {
            format!("unknown distribution `{found}`; there are {}", expected.join(", "))
        }
        other => other.to_string(),
    }
}

/// Reads costs from a text; `path` is for messages.
///
/// # Errors
///
/// A text that says something that is not a cost.
pub fn parse(text: &str, path: &str) -> Result<Costs, CostsError> {
    let fail = |at, message| CostsError::Text { path: path.to_string(), at, message };
    let file: File = ron::from_str(text).map_err(|e| {
        let at = (e.span.start.line, e.span.start.col);
        fail(Some(at), in_words(&e.code))
    })?;
    let place = |what: &str| {
        let (i, line) = text.lines().enumerate().find(|(_, l)| l.contains(what))?;
        Some((i + 1, line.find(what)? + 1))
    };
    if file.schema != SCHEMA {
        let message = format!("schema {} is not known; this version reads {SCHEMA}", file.schema);
        return Err(fail(place("schema"), message));
    }
    if file.slice_ns == 0 {
        return Err(fail(place("slice_ns"), "a slice must be longer than 0 ns".to_string()));
    }
    let mut costs = Costs::default();
    costs.name = file.name;
    costs.calibrated = file.calibrated;
    costs.slice_ns = file.slice_ns;
    for (name, dist) in file.costs {
        let at = place(&format!("\"{name}\""));
        let Some(class) = CostClass::ALL.into_iter().find(|c| c.name() == name) else {
            let near = diag::nearest(&name, CostClass::ALL.iter().map(|c| c.name()));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`timerace explain costs` lists them".to_string(),
            };
            return Err(fail(at, format!("no cost is called `{name}`; {hint}")));
        };
        let dist = Dist::from(dist);
        if let Some(problem) = dist.problem() {
            return Err(fail(at, format!("the cost `{name}` {problem}")));
        }
        costs.set(class, dist);
    }
    Ok(costs)
}

/// The first digits of the SHA-256 of a text, to know a file again.
pub fn digest(text: &str) -> String {
    let whole = Sha256::digest(text.as_bytes());
    whole.iter().take(6).map(|b| format!("{b:02x}")).collect()
}

/// What `timerace explain costs` says.
pub fn about() -> String {
    let mut out = String::from(
        "costs: what steps and hardware delays take in timed runs\n\n\
         `timerace run --costs FILE` takes them from a file, or from one that is built in:\n",
    );
    for (name, text) in BUILT_IN {
        let lines = text.lines().take_while(|l| l.starts_with("//"));
        let story: Vec<&str> = lines.map(|l| l.trim_start_matches('/').trim()).collect();
        let _ = writeln!(out, "  {name:<18} {}", story.join("\n                     "));
    }
    out.push_str(
        "\n`timerace calibrate RECORDING -o DIR` fits a file to latency samples or to a trace of a machine.\n\n\
         A class that a file does not name costs what `generic` says. The classes, with its means:\n",
    );
    let generic = Costs::default();
    for c in CostClass::ALL.into_iter().filter(|c| *c != CostClass::Free) {
        let mean = generic.get(c).mean().round();
        let _ = writeln!(out, "  {:<14} {mean:>9} ns  {}", c.name(), c.meaning());
    }
    out.push_str(
        "\nDistributions, in nanoseconds:\n\
         \x20 Const(n)                               always the same\n\
         \x20 Uniform(lo, hi)                        evenly, both ends included\n\
         \x20 Gamma(shift: n, shape: x, scale: x)    shift plus a gamma distribution\n\
         \x20 LogNormal(shift: n, mu: x, sigma: x)   shift plus the exponential of a normal one\n\
         \x20 Empirical([n, ..])                     even quantiles, straight lines between them\n\
         \n`slice_ns`: after so long another task of the CPU gets its turn. `calibrated: true`: fitted, and good.\n",
    );
    out
}

/// The file of these costs, every class named. `from`: lines that say where the numbers are from.
pub fn text_with(costs: &Costs, from: &[String]) -> String {
    let plain = |c: char| if c.is_control() { '?' } else { c };
    let line = |line: &String| format!("// {}\n", line.chars().map(plain).collect::<String>());
    let head: String = from.iter().map(line).collect();
    head + &text(costs)
}

/// The file of these costs, every class named.
pub fn text(costs: &Costs) -> String {
    let all = CostClass::ALL.iter().map(|c| (c.name().to_string(), Text::from(costs.get(*c))));
    let file = File {
        schema: SCHEMA,
        name: costs.name.clone(),
        calibrated: costs.calibrated,
        slice_ns: costs.slice_ns,
        costs: all.collect(),
    };
    let pretty = ron::ser::PrettyConfig::new().compact_arrays(true).new_line("\n");
    let mut text =
        ron::ser::to_string_pretty(&file, pretty).expect("numbers and names can be written");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text, "c.ron").expect_err("it is wrong").to_string()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut costs = Costs::default();
        costs.name = "lab1".to_string();
        costs.calibrated = true;
        costs.set(CostClass::IrqEntry, Dist::Gamma { shift: 900, shape: 2.1, scale: 310.25 });
        costs.set(CostClass::IdleExit, Dist::Empirical(vec![1, 5, 9]));
        costs.set(CostClass::Wakeup, Dist::LogNormal { shift: 3, mu: 7.5, sigma: 0.1 });
        assert_eq!(parse(&text(&costs), "c.ron").expect("it is right"), costs);
    }

    #[test]
    fn the_generic_file_is_the_default() {
        let file = include_str!("../costs/generic.ron");
        assert_eq!(parse(file, "generic.ron").expect("it is right"), Costs::default());
    }

    #[test]
    fn built_in_files_are_right_and_say_where_they_are_from() {
        for (name, text) in BUILT_IN {
            let costs = parse(text, name).expect("it is right");
            assert_eq!(costs.name, name);
            assert_eq!(costs.calibrated, name != "generic", "{name}");
            assert!(text.starts_with("// "), "{name} says nothing about its source");
            assert!(about().contains(&format!("\n  {name} ")), "{name}");
        }
        for c in CostClass::ALL.into_iter().filter(|c| *c != CostClass::Free) {
            assert!(about().contains(&format!("\n  {} ", c.name())), "{}", c.name());
        }
    }

    #[test]
    fn mistakes_are_pointed_at() {
        let costs = |c: &str| format!("(schema: 1, name: \"x\",\n  costs: {{ {c} }})");
        assert_eq!(
            message(&costs("\"irq_entri\": Const(5)")),
            "error: c.ron:2:12: no cost is called `irq_entri`; did you mean `irq_entry`?"
        );
        assert_eq!(
            message(&costs("\"lock\": Uniform(9, 5)")),
            "error: c.ron:2:12: the cost `lock` has its ends in the wrong order"
        );
        assert!(message(&costs("\"lock\": Uniform(-1, 5)")).starts_with("error: c.ron:2:"));
        for (text, said) in [
            (
                costs("\"lock\": Normal(1, 5)"),
                "unknown distribution `Normal`; there are Const, Uniform",
            ),
            (costs("\"foo\": Const(5)"), "called `foo`; `timerace explain costs` lists them"),
            ("(schema: 1, costs: {})".to_string(), "the field `name` is missing"),
            ("hello".to_string(), "costs are one `(schema: 1, name:"),
            ("(schema: 1, nam: \"x\")".to_string(), "unknown field `nam`; did you mean `name`?"),
        ] {
            assert!(message(&text).contains(said), "{text}: {}", message(&text));
        }
        assert!(message("(schema: 2, name: \"x\", costs: {})").contains("schema 2"));
        assert!(message("").starts_with("error: c.ron:1:1"));
    }
}
