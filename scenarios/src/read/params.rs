//! Parameters: fixed texts, sweeps, choices, and what the caller sets.

use super::Reader;
use super::forms::{Form, args, fields};
use crate::ast::{Named, Param, ParamValue, SignedDuration};
use crate::diag::{Diagnostic, did_you_mean, quote};
use crate::span::{Sp, Span};
use crate::syntax::{Kind, Node};
use crate::text::duration;

pub(super) const FORMS: &[Form] = &[
    fields("sweep", &["from", "to", "step"], "sweep(from: \"1us\", to: \"12us\", step: \"1us\")"),
    args("choice", 1, 1, "choice([\"1us\", \"10us\"])"),
];

impl Reader {
    /// Reads the entries of `params` and applies what the caller has set. `place` is where a
    /// setting without a parameter is reported.
    pub(super) fn read_params(
        &mut self,
        section: Vec<(Sp<String>, &Node)>,
        set: &[(String, String)],
        place: Span,
    ) -> Named<Param> {
        let mut params = Named::new();
        for (name, node) in section {
            let given = set.iter().rev().find(|(key, _)| *key == name.node).map(|(_, value)| value);
            match self.param(node) {
                Some(value) => {
                    let first = value.value(0).unwrap_or_default();
                    let chosen = given.cloned().unwrap_or(first);
                    self.params.insert(name.node.clone(), chosen.clone());
                    let param = Param { value, chosen, set: given.is_some(), span: node.span };
                    params.push((name, param));
                }
                None => {
                    self.broken_params.insert(name.node);
                }
            }
        }
        for (key, value) in set {
            self.check_setting(key, value, place);
        }
        params
    }

    fn check_setting(&mut self, key: &str, value: &str, span: Span) {
        let start = Span::new(span.start, span.start + 1);
        if self.params.contains_key(key) || self.broken_params.contains(key) {
            self.plain_value(value, start);
            return;
        }
        let message = format!("there is no parameter `{}` to set", quote(key));
        let help = did_you_mean(key, self.params.keys().map(String::as_str));
        let names: Vec<&str> = self.params.keys().map(String::as_str).collect();
        let note = match names.is_empty() {
            true => "this scenario has no parameters".to_string(),
            false => format!("parameters are {}", names.join(", ")),
        };
        self.error(
            Diagnostic::error("E0201", start, message)
                .label("parameters are declared here")
                .maybe_help(help)
                .note(note),
        );
    }

    fn param(&mut self, node: &Node) -> Option<ParamValue> {
        match &node.kind {
            Kind::Text(text) => {
                self.plain_value(&text.value, node.span)?;
                Some(ParamValue::Fixed(text.value.clone()))
            }
            // A number means itself; only durations need quotes, for their units.
            Kind::Int(value) => Some(ParamValue::Fixed(value.to_string())),
            _ => match self.variant(node, "value of a parameter", FORMS)? {
                ("choice", found) => self.choice(&found.args()[0]),
                (_, found) => self.sweep(&found.fields()?, node.span),
            },
        }
    }

    /// Refuses a value that names another parameter.
    fn plain_value(&mut self, text: &str, span: Span) -> Option<()> {
        if !text.contains('$') {
            return Some(());
        }
        let message = "the value of a parameter cannot use another one";
        self.error(Diagnostic::error("E0118", span, message).label("uses `$`"));
        None
    }

    fn choice(&mut self, node: &Node) -> Option<ParamValue> {
        let mut values: Vec<Sp<String>> = Vec::new();
        for item in self.list(node, "the argument of `choice`")? {
            let text = match &item.kind {
                Kind::Text(text) => text.value.clone(),
                Kind::Int(value) => value.to_string(),
                Kind::Name(word) => word.clone(),
                _ => return self.expected(item, "a choice", "a text or a number"),
            };
            self.plain_value(&text, item.span)?;
            values.push(Sp::new(text, item.span));
        }
        if values.is_empty() {
            let message = "`choice` has nothing to choose from";
            self.error(Diagnostic::error("E0118", node.span, message).label("an empty list"));
            return None;
        }
        Some(ParamValue::Choice(values))
    }

    fn sweep(&mut self, fields: &super::fields::Fields<'_>, span: Span) -> Option<ParamValue> {
        let from = fields.require(self, "from", "\"1us\"");
        let to = fields.require(self, "to", "\"12us\"");
        let step = fields.require(self, "step", "\"1us\"");
        let (from, to, step) = (self.end(from?), self.end(to?), self.end(step?));
        let (from, to, step) = (from?, to?, step?);
        let durations = from.1;
        if to.1 != durations || step.1 != durations {
            let message = "a sweep mixes durations and plain numbers";
            self.error(
                Diagnostic::error("E0118", span, message)
                    .label("`from`, `to` and `step` must be of one kind"),
            );
            return None;
        }
        match ParamValue::sweep(from.0, to.0, step.0, durations) {
            Ok(sweep) => Some(sweep),
            Err(message) => {
                self.error(Diagnostic::error("E0118", span, message).label("in this sweep"));
                None
            }
        }
    }

    /// An end of a sweep, and whether it is a duration.
    fn end(&mut self, node: &Node) -> Option<(i64, bool)> {
        let text = match &node.kind {
            Kind::Int(_) => {
                let number = self.int(node, "the end of a sweep", i64::MIN..=i64::MAX)?;
                return Some((number.node, false));
            }
            Kind::Text(text) => text,
            _ => return self.expected(node, "the end of a sweep", "a duration or a number"),
        };
        let mut none = |_: &str| Err(Some("a sweep cannot use a parameter".to_string()));
        match duration::parse(&text.value, &mut none) {
            Ok(ns) if ns.min == ns.max => {
                if let Ok(value) = i64::try_from(ns.min) {
                    return Some((value, true));
                }
                let message = "the end of a sweep does not fit into 63 bits";
                self.error(Diagnostic::error("E0111", node.span, message).label("too long"));
            }
            Ok(ns) => {
                let clamp = |ns: i128| i64::try_from(ns).unwrap_or(i64::MAX);
                let range = SignedDuration { min_ns: clamp(ns.min), max_ns: clamp(ns.max) };
                let message = "the end of a sweep is a single duration";
                let label = format!("{range} is a range");
                self.error(Diagnostic::error("E0118", node.span, message).label(label));
            }
            Err(error) => {
                let span = text.span(error.span.start, error.span.end);
                self.error(
                    Diagnostic::error("E0111", span, error.message)
                        .label(error.label)
                        .maybe_help(error.help),
                );
            }
        }
        None
    }
}
