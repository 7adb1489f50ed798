//! Versions of the format: which are read, and how a file of an older one becomes one of the newest.
//!
//! An upgrade edits the text and does not print it anew, so comments, order and layout stay. There is one version so
//! far; a new one brings an `Upgrade` in `UPGRADES`, and the two newest are read.

use crate::diag::Diagnostic;
use crate::span::Span;
use crate::syntax::{self, Args, Kind, Node};

/// Newest version of the format.
pub const NEWEST: u32 = 1;

/// Oldest version that is read without an upgrade.
pub const OLDEST: u32 = 1;

/// The steps from each older version to the next one, oldest first.
const UPGRADES: &[Upgrade] = &[];

/// How files of one version become files of the next one.
pub(crate) struct Upgrade {
    /// The older version.
    from: u32,
    /// What to change besides the number.
    edits: fn(&Node) -> Vec<Edit>,
}

/// A piece of the text and what comes in its place.
pub(crate) struct Edit {
    pub span: Span,
    pub text: String,
}

/// Why a version is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub message: String,
    pub label: &'static str,
    pub help: &'static str,
}

/// What came of `check --fix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upgraded {
    /// The file is of the newest version.
    Newest,
    /// Its text in the newest version, and the version that it had.
    To(String, u32),
}

/// Whether files of this version are read.
pub(crate) fn readable(schema: u32) -> Result<(), Unreadable> {
    readable_in(schema, OLDEST, NEWEST, UPGRADES)
}

fn readable_in(
    schema: u32,
    oldest: u32,
    newest: u32,
    upgrades: &[Upgrade],
) -> Result<(), Unreadable> {
    if (oldest..=newest).contains(&schema) {
        return Ok(());
    }
    let reads = match newest - oldest {
        0 => newest.to_string(),
        1 => format!("{oldest} and {newest}"),
        _ => format!("{oldest} to {newest}"),
    };
    let message = format!("this file has schema {schema}, this timerace reads {reads}");
    Err(match schema > newest {
        true => {
            Unreadable { message, label: "newer than this program", help: "use a newer timerace" }
        }
        false if upgrades.iter().any(|u| u.from == schema) => Unreadable {
            message,
            label: "older than this program reads",
            help: "`timerace check --fix FILE` upgrades it and keeps its comments",
        },
        false => Unreadable {
            message,
            label: "older than this program reads",
            help: "an older timerace upgrades it step by step",
        },
    })
}

/// Upgrades the text of a file to the newest version.
///
/// # Errors
///
/// The notation is broken, the file does not say its schema, or no way leads from it to the newest one.
pub fn upgrade(source: &str) -> Result<Upgraded, Box<Diagnostic>> {
    upgrade_in(source, NEWEST, UPGRADES)
}

fn upgrade_in(
    source: &str,
    newest: u32,
    upgrades: &[Upgrade],
) -> Result<Upgraded, Box<Diagnostic>> {
    let (mut schema, _, _) = schema_of(source)?;
    let was = schema;
    let mut text = source.to_string();
    while schema != newest {
        let (_, place, tree) = schema_of(&text)?;
        let Some(step) = upgrades.iter().find(|u| u.from == schema) else {
            let error = readable_in(schema, newest, newest, upgrades).err();
            let message = error.as_ref().map_or_else(String::new, |e| e.message.clone());
            let diag = Diagnostic::error("E0102", place, message).label("no way leads from here");
            return Err(Box::new(diag.maybe_help(error.map(|e| e.help.to_string()))));
        };
        let mut edits = (step.edits)(&tree);
        schema += 1;
        edits.push(Edit { span: place, text: schema.to_string() });
        text = edited(&text, edits);
    }
    if was == newest { Ok(Upgraded::Newest) } else { Ok(Upgraded::To(text, was)) }
}

/// The version of a file, where it stands, and the tree.
fn schema_of(source: &str) -> Result<(u32, Span, Node), Box<Diagnostic>> {
    let tree = syntax::parse(source)?;
    let missing = || {
        let start = Span::new(tree.span.start, tree.span.start + 1);
        let diag = Diagnostic::error("E0102", start, "the file does not say its schema");
        Box::new(diag.label("`schema` is missing").help("add `schema: 1`"))
    };
    let Kind::Call { args: Args::Named(fields), .. } = &tree.kind else { return Err(missing()) };
    let found = fields.iter().find(|(name, _)| name.node == "schema").ok_or_else(missing)?;
    match found.1.kind {
        Kind::Int(number) if u32::try_from(number).is_ok() => {
            let span = found.1.span;
            Ok((number as u32, span, tree))
        }
        _ => Err(missing()),
    }
}

/// The text with its edits, which do not overlap.
pub(crate) fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.span);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(&text[at..edit.span.start]);
        out.push_str(&edit.text);
        at = edit.span.end;
    }
    out + &text[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions that only this test has: 2 calls `cpus` of the machine `processors`, 3 writes names in capitals.
    const STEPS: &[Upgrade] = &[
        Upgrade { from: 1, edits: |tree| rename(tree, "cpus", "processors") },
        Upgrade { from: 2, edits: |tree| rename(tree, "name", "NAME") },
    ];

    fn rename(tree: &Node, from: &str, to: &str) -> Vec<Edit> {
        let Kind::Call { args: Args::Named(fields), .. } = &tree.kind else { return Vec::new() };
        let mut edits = Vec::new();
        for (name, value) in fields {
            if name.node == from {
                edits.push(Edit { span: name.span, text: to.to_string() });
            }
            edits.extend(rename(value, from, to));
        }
        edits
    }

    const OLD: &str = "// A story.\nScenario(\n    name: \"x\", // its name\n    machine: (cpus: 2),\n    schema: 1, /* one */\n)\n";

    #[test]
    fn edits_keep_comments_and_layout() {
        let Ok(Upgraded::To(text, 1)) = upgrade_in(OLD, 3, STEPS) else { panic!() };
        let wanted = OLD
            .replace("name: \"x\"", "NAME: \"x\"")
            .replace("cpus", "processors")
            .replace("schema: 1", "schema: 3");
        assert_eq!(text, wanted);
        assert_eq!(upgrade_in(&text, 3, STEPS), Ok(Upgraded::Newest));
    }

    #[test]
    fn what_is_read_is_said() {
        let said = |schema| readable_in(schema, 2, 3, STEPS).map_err(|e| (e.message, e.help));
        assert!(said(2).is_ok() && said(3).is_ok());
        let (message, help) = said(4).unwrap_err();
        assert_eq!(message, "this file has schema 4, this timerace reads 2 and 3");
        assert_eq!(help, "use a newer timerace");
        assert!(said(1).unwrap_err().1.contains("--fix"));
        assert!(said(0).unwrap_err().1.contains("an older timerace"));
        assert_eq!(
            readable(3).unwrap_err().message,
            format!("this file has schema 3, this timerace reads {NEWEST}")
        );
    }

    #[test]
    fn steps_lead_from_the_oldest_to_the_newest() {
        let read: Vec<u32> = (0..=NEWEST + 1).filter(|n| readable(*n).is_ok()).collect();
        assert!(read.contains(&NEWEST) && (1..=2).contains(&read.len()), "{read:?}");
        let from: Vec<u32> = UPGRADES.iter().map(|u| u.from).collect();
        assert!(from.windows(2).all(|w| w[0] + 1 == w[1]), "{from:?}");
        assert!(from.last().is_none_or(|last| last + 1 == NEWEST), "{from:?}");
        assert!(read.iter().all(|n| *n == NEWEST || from.contains(n)), "{read:?} {from:?}");
    }

    #[test]
    fn without_a_way_it_says_so() {
        let codes = |text: &str| upgrade_in(text, 3, &STEPS[1..]).unwrap_err().code;
        assert_eq!(codes(OLD), "E0102");
        assert_eq!(codes("Scenario(name: \"x\")"), "E0102");
        assert_eq!(codes("Scenario(schema: \"1\")"), "E0102");
        assert_eq!(codes("Scenario(schema: 1"), "E0101");
        assert_eq!(upgrade(OLD), Ok(Upgraded::Newest));
        assert_eq!(upgrade(&OLD.replace("schema: 1", "schema: 2")).unwrap_err().code, "E0102");
    }
}
