//! Variants: words with positional arguments, with fields, or alone.
//!
//! Serde would tell "expected opening `(`" for most mistakes with them; here each table of forms
//! says how a variant is written, and every message can quote it.

use super::Reader;
use super::fields::Fields;
use crate::diag::{Diagnostic, did_you_mean, quote};
use crate::syntax::{Args, Kind, Node};

/// What follows the name of a variant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Nothing: `idle`.
    Alone,
    /// So many positional arguments: `work("2us")`, `smp_mb()`.
    Args(usize, usize),
    /// Named fields: `drift(of: .., max: ..)`.
    Fields(&'static [&'static str]),
}

/// A variant and how it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub name: &'static str,
    pub shape: Shape,
    /// An example for messages.
    pub text: &'static str,
}

pub(super) const fn alone(name: &'static str) -> Form {
    Form { name, shape: Shape::Alone, text: name }
}

pub(super) const fn args(name: &'static str, min: usize, max: usize, text: &'static str) -> Form {
    Form { name, shape: Shape::Args(min, max), text }
}

pub(super) const fn fields(
    name: &'static str,
    fields: &'static [&'static str],
    text: &'static str,
) -> Form {
    Form { name, shape: Shape::Fields(fields), text }
}

/// What was found.
pub(super) enum Found<'n> {
    Alone,
    Args(&'n [Node]),
    Fields(Fields<'n>),
}

impl<'n> Found<'n> {
    /// The positional arguments; none for the other shapes.
    pub fn args(&self) -> &'n [Node] {
        match self {
            Found::Args(items) => items,
            _ => &[],
        }
    }

    /// The fields, for a form that has some.
    pub fn fields(self) -> Option<Fields<'n>> {
        match self {
            Found::Fields(fields) => Some(fields),
            _ => None,
        }
    }
}

/// The name of a variant, as long as it has one.
pub(super) fn variant_name(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Name(name) => Some(name),
        Kind::Call { name: Some(name), .. } => Some(name),
        _ => None,
    }
}

impl Reader {
    /// Reads a variant of a table; reports one that is unknown or in the wrong form.
    pub(super) fn variant<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        forms: &[Form],
    ) -> Option<(&'static str, Found<'n>)> {
        let Some(name) = variant_name(node) else {
            if let (Kind::Text(text), "step") = (&node.kind, what) {
                let message = "a step is a call, not a text";
                let help = format!("a program is run by prog_run(\"{}\")", quote(&text.value));
                let diag = Diagnostic::error("E0109", node.span, message);
                self.error(diag.label("this is a text").help(help));
                return None;
            }
            let example = forms.first().map_or("", |form| form.text);
            return self.expected(
                node,
                &format!("this {what}"),
                &format!("written like `{example}`"),
            );
        };
        let Some(form) = forms.iter().find(|form| form.name == name) else {
            self.unknown_variant(node, name, what, forms);
            return None;
        };
        let found = match (form.shape, &node.kind) {
            (Shape::Alone, Kind::Name(_)) => Found::Alone,
            (Shape::Args(min, max), Kind::Call { args: Args::Positional(items), .. }) => {
                if !(min..=max).contains(&items.len()) {
                    self.wrong_count(node, form, min, max, items);
                    return None;
                }
                Found::Args(items)
            }
            (Shape::Fields(known), Kind::Call { args, .. }) => {
                Found::Fields(self.named_args(node, args, &format!("`{name}`"), known)?)
            }
            _ => {
                self.wrong_form(node, form);
                return None;
            }
        };
        Some((form.name, found))
    }

    pub(super) fn unknown_variant(&mut self, node: &Node, name: &str, what: &str, forms: &[Form]) {
        let span = match &node.kind {
            Kind::Call { name: Some(name), .. } => name.span,
            _ => node.span,
        };
        let message = format!("unknown {what} `{}`", quote(name));
        let nearest = did_you_mean(name, forms.iter().map(|form| form.name));
        let mut diag = Diagnostic::error("E0108", span, message).label(format!("no such {what}"));
        if nearest.is_none() && forms.len() <= 16 {
            let names: Vec<&str> = forms.iter().map(|form| form.name).collect();
            diag = diag.note(format!("there are {}", names.join(", ")));
        }
        self.error(diag.maybe_help(nearest));
    }

    fn wrong_form(&mut self, node: &Node, form: &Form) {
        let name = form.name;
        let (message, label) = match (form.shape, &node.kind) {
            (Shape::Alone, _) => {
                (format!("`{name}` is written without parentheses"), "has parentheses")
            }
            (Shape::Args(0, 0), Kind::Name(_)) => {
                (format!("`{name}` is written with parentheses"), "parentheses are missing")
            }
            (_, Kind::Name(_)) => (format!("`{name}` needs arguments"), "arguments are missing"),
            _ => (format!("the arguments of `{name}` have no names"), "leave the names out"),
        };
        self.error(
            Diagnostic::error("E0107", node.span, message)
                .label(label)
                .help(format!("write `{}`", form.text)),
        );
    }

    fn wrong_count(&mut self, node: &Node, form: &Form, min: usize, max: usize, items: &[Node]) {
        let wanted = match (min, max) {
            (0, 0) => "no arguments".to_string(),
            (1, 1) => "one argument".to_string(),
            (min, max) if min == max => format!("{min} arguments"),
            (min, max) => format!("{min} to {max} arguments"),
        };
        let span = match items.get(max) {
            Some(extra) => extra.span,
            None => node.span,
        };
        let label = match items.len() > max {
            true => "one too many".to_string(),
            false => format!("{} given", items.len()),
        };
        self.error(
            Diagnostic::error("E0116", span, format!("`{}` takes {wanted}", form.name))
                .label(label)
                .help(format!("write `{}`", form.text)),
        );
    }
}
