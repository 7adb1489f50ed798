//! Structs with named fields, sections, lists.

use std::collections::BTreeMap;

use super::Reader;
use crate::diag::{Diagnostic, did_you_mean, nearest, quote};
use crate::span::{Sp, Span};
use crate::syntax::{Args, Kind, Node};

/// The fields of a struct that is being read; each is known and there once.
pub(super) struct Fields<'n> {
    /// What it is, for messages: `machine`, `map "timers"`.
    what: String,
    /// Where a missing field is reported.
    span: Span,
    entries: Vec<(&'n Sp<String>, &'n Node)>,
    /// Fields that a mistyped one was probably meant to be: they are not missing as well.
    mistyped: Vec<String>,
}

impl<'n> Fields<'n> {
    /// The value of a field that may be left out.
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, _)| key.node == name).map(|(_, node)| *node)
    }

    /// The value of a field that must be there.
    pub fn require(&self, reader: &mut Reader, name: &str, example: &str) -> Option<&'n Node> {
        let found = self.get(name);
        if found.is_none() && !self.mistyped.iter().any(|field| field == name) {
            let message = format!("{} has no `{name}`", self.what);
            reader.error(
                Diagnostic::error("E0104", self.span, message)
                    .label(format!("`{name}` is missing"))
                    .help(format!("add `{name}: {example}`")),
            );
        }
        found
    }
}

impl Reader {
    /// The fields of `( .. )`, which may have the name `name` in front if that is given.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        match &node.kind {
            Kind::Call { name: None, args } => self.named_args(node, args, what, known),
            Kind::Call { name: Some(name), .. } => {
                let message = format!("{what} has no name before its parentheses");
                self.error(
                    Diagnostic::error("E0107", name.span, message)
                        .label("leave this out")
                        .help(format!("write `({}: ..)`", known[0])),
                );
                None
            }
            _ => self.expected(node, what, &format!("a struct `({}: ..)`", known[0])),
        }
    }

    /// The named arguments of a struct or call.
    pub(super) fn named_args<'n>(
        &mut self,
        node: &Node,
        args: &'n Args,
        what: &str,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let mut fields = Fields {
            what: what.to_string(),
            span: node.span,
            entries: Vec::new(),
            mistyped: Vec::new(),
        };
        let named = match args {
            Args::Positional(items) if items.is_empty() => return Some(fields),
            Args::Positional(items) => {
                let message = format!("the parts of {what} have names");
                self.error(
                    Diagnostic::error("E0107", items[0].span, message)
                        .label("which field is this?")
                        .help(format!("write `{}: ..`", known[0]))
                        .note(format!("fields are {}", known.join(", "))),
                );
                return None;
            }
            Args::Named(named) => named,
        };
        for (key, value) in named {
            if let Some((first, _)) = fields.entries.iter().find(|(old, _)| old.node == key.node) {
                let message = format!("field `{}` of {what} is given twice", quote(key));
                self.error(
                    Diagnostic::error("E0106", key.span, message)
                        .label("again here")
                        .also(first.span, "first here"),
                );
            } else if known.contains(&key.node.as_str()) {
                fields.entries.push((key, value));
            } else {
                let meant = nearest(key, known.iter().copied());
                fields.mistyped.extend(meant.map(str::to_string));
                self.unknown_field(key, what, known);
            }
        }
        Some(fields)
    }

    fn unknown_field(&mut self, key: &Sp<String>, what: &str, known: &[&str]) {
        let message = format!("unknown field `{}` in {what}", quote(key));
        self.error(
            Diagnostic::error("E0103", key.span, message)
                .label("no such field")
                .maybe_help(did_you_mean(key, known.iter().copied()))
                .note(format!("fields are {}", known.join(", "))),
        );
    }

    /// The entries of a section `{ "name": .. }`: identifiers, each once.
    pub(super) fn section<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
    ) -> Option<Vec<(Sp<String>, &'n Node)>> {
        let entries = self.entries(node, what, "{ \"name\": .. }")?;
        let mut section: Vec<(Sp<String>, &Node)> = Vec::new();
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for (key, value) in entries {
            if self.is_full() {
                break;
            }
            let Kind::Text(text) = &key.kind else {
                self.key_error(key, what, "names in quotes");
                continue;
            };
            let name = Sp::new(text.value.clone(), key.span);
            if let Some(first) = seen.insert(&text.value, key.span) {
                self.twice(&name, first, what);
                continue;
            }
            // A bad name is reported, but stays: what uses it should not be reported as well.
            self.identifier(&name, what);
            section.push((name, value));
        }
        Some(section)
    }

    /// The entries of a section whose keys are numbers, each once.
    pub(super) fn numbered<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<Vec<(Sp<i64>, &'n Node)>> {
        let entries = self.entries(node, what, "{ 0: .. }")?;
        let mut section: Vec<(Sp<i64>, &Node)> = Vec::new();
        let mut seen: BTreeMap<i64, Span> = BTreeMap::new();
        for (key, value) in entries {
            if self.is_full() {
                break;
            }
            let number = match &key.kind {
                Kind::Int(number) => *number,
                // A parameter may say which CPU or key it is.
                Kind::Text(text) if text.value.starts_with('$') => {
                    let what = format!("a key of {what}");
                    let Some(number) = self.int(key, &what, i64::MIN..=i64::MAX) else { continue };
                    i128::from(number.node)
                }
                _ => {
                    self.key_error(key, what, "numbers without quotes");
                    continue;
                }
            };
            let Some(number) = i64::try_from(number).ok().filter(|n| range.contains(n)) else {
                let message = format!("key of {what} is out of range");
                self.error(Diagnostic::error("E0115", key.span, message).label(format!(
                    "not in {}..{}",
                    range.start(),
                    range.end()
                )));
                continue;
            };
            if let Some(first) = seen.insert(number, key.span) {
                let name = Sp::new(number.to_string(), key.span);
                self.twice(&name, first, what);
                continue;
            }
            section.push((Sp::new(number, key.span), value));
        }
        Some(section)
    }

    pub(super) fn entries<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        form: &str,
    ) -> Option<&'n [(Node, Node)]> {
        match &node.kind {
            Kind::Map(entries) => Some(entries),
            _ => self.expected(node, what, &format!("a map `{form}`")),
        }
    }

    fn key_error(&mut self, key: &Node, what: &str, wanted: &str) {
        let message = format!("keys of {what} must be {wanted}");
        let found = key.describe();
        self.error(Diagnostic::error("E0109", key.span, message).label(format!("this is {found}")));
    }

    pub(super) fn twice(&mut self, name: &Sp<String>, first: Span, what: &str) {
        let message = format!("`{}` stands twice in {what}", quote(name));
        self.error(
            Diagnostic::error("E0106", name.span, message)
                .label("again here")
                .also(first, "first here"),
        );
    }

    /// The items of a list.
    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.kind {
            Kind::List(items) => Some(items),
            _ => self.expected(node, what, "a list `[ .. ]`"),
        }
    }

    /// Reads each item of a list; items that cannot be read are left out.
    pub(super) fn each<T>(
        &mut self,
        node: &Node,
        what: &str,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for item in self.list(node, what).unwrap_or(&[]) {
            if self.is_full() {
                break;
            }
            found.extend(read(self, item));
        }
        found
    }

    /// Reports a value of the wrong kind.
    pub(super) fn expected<T>(&mut self, node: &Node, what: &str, wanted: &str) -> Option<T> {
        let message = format!("{what} must be {wanted}");
        let diag = Diagnostic::error("E0109", node.span, message);
        self.error(diag.label(format!("this is {}", node.describe())));
        None
    }

    /// Whether the name is a C identifier and means nothing else; reports it if not.
    pub(super) fn identifier(&mut self, name: &Sp<String>, what: &str) -> bool {
        let shape = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let reserved = matches!(name.node.as_str(), "value" | "key" | "self" | "NULL");
        if shape && !reserved {
            return true;
        }
        let message = format!("`{}` cannot be a name in {what}", quote(name));
        let (label, help) = match shape {
            true => ("has a meaning of its own", "`value`, `key`, `self` and `NULL` are taken"),
            false => ("not a name", "names are letters, digits and `_`, as in C"),
        };
        self.error(Diagnostic::error("E0119", name.span, message).label(label).help(help));
        false
    }
}
