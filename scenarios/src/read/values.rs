//! Single values: texts, numbers, words, and the strings with a grammar of their own.

use std::ops::RangeInclusive;

use super::{Place, Reader, Words};
use crate::ast::names::Word;
use crate::ast::{Cond, Duration, ObjExpr, SignedDuration, Value};
use crate::diag::{Diagnostic, did_you_mean, quote};
use crate::limits::LENGTH_MAX_NS;
use crate::span::{Sp, Span};
use crate::syntax::{Kind, Node};
use crate::text::{cond, duration, errno, object};

impl Reader {
    /// A text as written, without looking for a parameter.
    fn raw_words(&mut self, node: &Node, what: &str) -> Option<Words> {
        match &node.kind {
            Kind::Text(text) => {
                Some(Words { value: text.value.clone(), place: Place::Text(text.clone()) })
            }
            Kind::Name(name) => {
                let diag = Diagnostic::error("E0109", node.span, format!("{what} is a text"));
                let name = quote(name);
                self.error(diag.label("quotes are missing").help(format!("write \"{name}\"")));
                None
            }
            _ => self.expected(node, what, "a text in quotes"),
        }
    }

    /// A text; `"$name"` is replaced by the value of that parameter.
    pub(super) fn words(&mut self, node: &Node, what: &str) -> Option<Words> {
        let words = self.raw_words(node, what)?;
        let Some(name) = parameter_name(&words.value) else { return Some(words) };
        let span = words.span();
        let value = self.parameter(name, span)?;
        Some(Words { value, place: Place::Param(span) })
    }

    /// The value of a parameter; reports an unknown one.
    fn parameter(&mut self, name: &str, span: Span) -> Option<String> {
        self.used_params.insert(name.to_string());
        if let Some(text) = self.params.get(name) {
            return Some(text.clone());
        }
        if !self.broken_params.contains(name) {
            let message = format!("parameter `{}` is not declared", quote(name));
            let help = self.parameter_help(name);
            self.error(Diagnostic::error("E0201", span, message).label("unknown").help(help));
        }
        None
    }

    fn parameter_help(&self, name: &str) -> String {
        did_you_mean(name, self.params.keys().map(String::as_str))
            .unwrap_or_else(|| format!("declare it: params: {{ \"{}\": \"..\" }}", quote(name)))
    }

    /// A text, of which only the content matters. It must not be empty.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<Sp<String>> {
        let words = self.words(node, what)?;
        let span = match words.place {
            Place::Text(_) => node.span,
            Place::Param(span) => span,
        };
        if words.value.is_empty() {
            let message = format!("{what} is empty");
            self.error(Diagnostic::error("E0119", span, message).label("nothing in it"));
            return None;
        }
        Some(Sp::new(words.value, span))
    }

    /// A text that must be a C identifier: the name of something.
    pub(super) fn name(&mut self, node: &Node, what: &str) -> Option<Sp<String>> {
        let name = self.text(node, what)?;
        let shape = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if shape {
            return Some(name);
        }
        let message = format!("{what} is the name of one thing, not `{}`", quote(&name));
        self.error(
            Diagnostic::error("E0119", name.span, message)
                .label("not a name")
                .help("names are letters, digits and `_`, as in C"),
        );
        None
    }

    /// The name of a local that gets a value.
    pub(super) fn local(&mut self, node: &Node) -> Option<Sp<String>> {
        let name = self.text(node, "the name of a local")?;
        self.identifier(&name, "locals").then_some(name)
    }

    /// An integer in a range; also `"$name"` of a parameter whose value is one.
    pub(super) fn int(
        &mut self,
        node: &Node,
        what: &str,
        range: RangeInclusive<i64>,
    ) -> Option<Sp<i64>> {
        let value = match &node.kind {
            Kind::Int(value) => *value,
            Kind::Text(text) if text.value.starts_with('$') => {
                let words = self.words(node, what)?;
                match words.value.trim().parse::<i128>() {
                    Ok(value) => value,
                    Err(_) => {
                        let value = quote(&words.value);
                        let message = format!("{what} must be a number, not \"{value}\"");
                        self.error(
                            Diagnostic::error("E0109", node.span, message)
                                .label("the value of the parameter"),
                        );
                        return None;
                    }
                }
            }
            Kind::Text(text) if text.value.parse::<i64>().is_ok() => {
                let message = format!("{what} must be a number");
                let help = format!("write {} without quotes", text.value);
                self.error(
                    Diagnostic::error("E0109", node.span, message)
                        .label("this is a text")
                        .help(help),
                );
                return None;
            }
            _ => return self.expected(node, what, "a number"),
        };
        let fits = i64::try_from(value).ok().filter(|value| range.contains(value));
        if fits.is_none() {
            let message = format!("{what} is out of range");
            let range = match (*range.start(), *range.end()) {
                (low, i64::MAX) if low > i64::MIN && value < i128::from(low) => {
                    format!("it must be at least {low}")
                }
                (low, i64::MAX) if low > i64::MIN => format!("it must be at most {}", i64::MAX),
                (i64::MIN, i64::MAX) => "it must fit into 64 bits".to_string(),
                (low, high) => format!("it must be {low} to {high}"),
            };
            self.error(Diagnostic::error("E0115", node.span, message).label(range));
        }
        fits.map(|value| Sp::new(value, node.span))
    }

    /// A number that fits into a `u32`, at least `low`.
    pub(super) fn u32(&mut self, node: &Node, what: &str, low: u32) -> Option<Sp<u32>> {
        let value = self.int(node, what, i64::from(low)..=i64::from(u32::MAX))?;
        u32::try_from(value.node).ok().map(|number| Sp::new(number, value.span))
    }

    /// A number of at least `low`.
    pub(super) fn u64(&mut self, node: &Node, what: &str, low: u32) -> Option<Sp<u64>> {
        let value = self.int(node, what, i64::from(low)..=i64::MAX)?;
        u64::try_from(value.node).ok().map(|number| Sp::new(number, value.span))
    }

    /// `true` or `false`.
    pub(super) fn bool(&mut self, node: &Node, what: &str) -> Option<Sp<bool>> {
        if let Kind::Bool(value) = node.kind {
            return Some(Sp::new(value, node.span));
        }
        let (word, span) = match &node.kind {
            Kind::Text(text) if text.value.starts_with('$') => {
                let words = self.words(node, what)?;
                (words.value.clone(), words.span())
            }
            _ => return self.expected(node, what, "`true` or `false`"),
        };
        match word.parse() {
            Ok(value) => Some(Sp::new(value, span)),
            Err(_) => self.expected(node, what, "`true` or `false`"),
        }
    }

    /// A bare word, as text; also `"$name"` of a parameter whose value is one.
    pub(super) fn bare(&mut self, node: &Node, what: &str, example: &str) -> Option<Sp<String>> {
        match &node.kind {
            Kind::Name(name) => Some(Sp::new(name.clone(), node.span)),
            Kind::Bool(value) => Some(Sp::new(value.to_string(), node.span)),
            Kind::Text(text) if text.value.starts_with('$') => {
                let words = self.words(node, what)?;
                Some(Sp::new(words.value.clone(), words.span()))
            }
            Kind::Text(text) => {
                let message = format!("{what} is a word without quotes");
                let help = format!("write {}", quote(&text.value));
                self.error(
                    Diagnostic::error("E0107", node.span, message)
                        .label("this is a text")
                        .help(help),
                );
                None
            }
            Kind::Call { name: Some(name), .. } => {
                let name_text = quote(name);
                let message = format!("{what} is a word without parentheses");
                self.error(
                    Diagnostic::error("E0107", node.span, message)
                        .label("has parentheses")
                        .help(format!("write `{name_text}`")),
                );
                None
            }
            _ => self.expected(node, what, &format!("a word such as `{example}`")),
        }
    }

    /// A word of an enum.
    pub(super) fn word<E: Word>(&mut self, node: &Node, what: &str) -> Option<Sp<E>> {
        self.prefixed_word(node, what, "")
    }

    /// A word of an enum, which may have a prefix (`BPF_MAP_TYPE_`).
    pub(super) fn prefixed_word<E: Word>(
        &mut self,
        node: &Node,
        what: &str,
        prefix: &str,
    ) -> Option<Sp<E>> {
        let words = E::words();
        let found = self.bare(node, what, words[0])?;
        let short = found.strip_prefix(prefix).unwrap_or(&found);
        if let Some(value) = E::find(short) {
            return Some(Sp::new(value, found.span));
        }
        let message = format!("unknown {what} `{}`", quote(&found));
        self.error(
            Diagnostic::error("E0108", found.span, message)
                .label("unknown word")
                .maybe_help(did_you_mean(short, words.iter().copied()))
                .note(format!("known words are {}", words.join(", "))),
        );
        None
    }

    /// A list of words of an enum, each once.
    pub(super) fn word_list<E: Word + PartialEq + std::fmt::Display>(
        &mut self,
        node: &Node,
        what: &str,
    ) -> Vec<Sp<E>> {
        let found = self.each(node, what, |reader, item| reader.word::<E>(item, what));
        let mut unique: Vec<Sp<E>> = Vec::new();
        for word in found {
            if let Some(first) = unique.iter().find(|old| old.node == word.node) {
                let first = first.span;
                let message = format!("`{}` is given twice", word.node);
                self.error(
                    Diagnostic::error("E0106", word.span, message)
                        .label("again here")
                        .also(first, "first here"),
                );
            } else {
                unique.push(word);
            }
        }
        unique
    }

    /// The expiry of a timer: a length of time, or a local with a time to which one is added: `"t + 1ms"`, `"t"`.
    pub(super) fn expiry(&mut self, node: &Node) -> Option<(Option<Sp<String>>, Sp<Duration>)> {
        let what = "the time to the expiry";
        let Kind::Text(text) = &node.kind else {
            return self.duration(node, what).map(|after| (None, after));
        };
        let Some((name, rest)) = duration::after_a_name(&text.value) else {
            return self.duration(node, what).map(|after| (None, after));
        };
        let mut words = self.raw_words(node, what)?;
        let since = Sp::new(
            words.value[name.clone()].to_string(),
            words.part(Span::new(name.start, name.end)),
        );
        let Some(rest) = rest else {
            return Some((Some(since), Sp::new(Duration::fixed(0), node.span)));
        };
        // Places of mistakes stay where they are.
        words.value = " ".repeat(rest) + &words.value[rest..];
        let ns = self.ns_of(words)?;
        Some((Some(since), self.not_negative(node, what, ns)?))
    }

    /// A length of time.
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<Sp<Duration>> {
        let ns = self.ns(node, what)?;
        self.not_negative(node, what, ns)
    }

    fn not_negative(
        &mut self,
        node: &Node,
        what: &str,
        (ns, words): (duration::Ns, Words),
    ) -> Option<Sp<Duration>> {
        match (u64::try_from(ns.min), u64::try_from(ns.max)) {
            (Ok(min_ns), Ok(max_ns)) => Some(Sp::new(Duration { min_ns, max_ns }, node.span)),
            _ => {
                let message = match ns.min < 0 {
                    true => format!("{what} is negative"),
                    false => format!("{what} does not fit into 64 bits of nanoseconds"),
                };
                let shown = SignedDuration {
                    min_ns: i64::try_from(ns.min).unwrap_or(i64::MIN),
                    max_ns: i64::try_from(ns.max).unwrap_or(i64::MAX),
                };
                let mut diag = Diagnostic::error("E0111", words.span(), message).label("below 0");
                if ns.min >= 0 {
                    diag = diag.label("too long");
                } else if ns.min > i128::from(i64::MIN) {
                    diag = diag.label(format!("this is {shown}"));
                }
                self.error(diag);
                None
            }
        }
    }

    /// A length of time that passes in a run: at most a year.
    pub(super) fn length(&mut self, node: &Node, what: &str) -> Option<Sp<Duration>> {
        let length = self.duration(node, what)?;
        if length.max_ns <= LENGTH_MAX_NS {
            return Some(length);
        }
        let days = length.max_ns / (24 * 3_600 * 1_000_000_000);
        let message = format!("{what} is longer than a year");
        self.error(
            Diagnostic::error("E0115", node.span, message)
                .label(format!("these are {days} days"))
                .help("is the unit right? A run takes seconds of virtual time, rarely minutes"),
        );
        None
    }

    /// A difference of times.
    pub(super) fn signed_duration(
        &mut self,
        node: &Node,
        what: &str,
    ) -> Option<Sp<SignedDuration>> {
        let (ns, words) = self.ns(node, what)?;
        match (i64::try_from(ns.min), i64::try_from(ns.max)) {
            (Ok(min_ns), Ok(max_ns)) => Some(Sp::new(SignedDuration { min_ns, max_ns }, node.span)),
            _ => {
                let message = format!("{what} does not fit into 63 bits of nanoseconds");
                self.error(Diagnostic::error("E0111", words.span(), message).label("too long"));
                None
            }
        }
    }

    fn ns(&mut self, node: &Node, what: &str) -> Option<(duration::Ns, Words)> {
        if let Kind::Int(_) | Kind::Float = node.kind {
            let diag = Diagnostic::error("E0111", node.span, format!("{what} has no unit"));
            self.error(diag.label("a bare number").help("durations need a unit, write \"10us\""));
            return None;
        }
        let words = self.raw_words(node, what)?;
        self.ns_of(words)
    }

    fn ns_of(&mut self, words: Words) -> Option<(duration::Ns, Words)> {
        let mut used = Vec::new();
        let mut broken = false;
        let result = {
            let mut lookup = |name: &str| {
                used.push(name.to_string());
                broken |= self.broken_params.contains(name);
                match self.params.get(name) {
                    Some(text) => Ok(text.clone()),
                    None => Err(Some(self.parameter_help(name))),
                }
            };
            duration::parse(&words.value, &mut lookup)
        };
        let unknown = used.iter().any(|name| !self.params.contains_key(name));
        self.used_params.extend(used);
        match result {
            Ok(ns) => Some((ns, words)),
            // The parameter itself has been reported.
            Err(_) if broken => None,
            Err(error) => {
                self.text_error(if unknown { "E0201" } else { "E0111" }, &words, error);
                None
            }
        }
    }

    /// An object string.
    pub(super) fn object(&mut self, node: &Node, what: &str) -> Option<Sp<ObjExpr>> {
        let words = self.words(node, what)?;
        let mut object = self.checked("E0112", &words, object::parse(&words.value))?;
        move_object(&mut object.node, &words);
        Some(object)
    }

    /// A condition.
    pub(super) fn cond(&mut self, node: &Node, what: &str) -> Option<Sp<Cond>> {
        let words = self.words(node, what)?;
        let mut cond = self.checked("E0113", &words, cond::parse(&words.value))?;
        cond.node.for_each_operand_mut(&mut |operand| {
            operand.span = words.part(operand.span);
            if let crate::ast::Operand::Object(object) = &mut operand.node {
                move_object(object, &words);
            }
        });
        Some(cond)
    }

    /// `V`: an integer, `NULL`, or a text that names a local.
    pub(super) fn value(&mut self, node: &Node) -> Option<Sp<Value>> {
        let value = match &node.kind {
            Kind::Int(_) => Value::Int(self.int(node, "the value", i64::MIN..=i64::MAX)?.node),
            Kind::Name(name) if name == "NULL" => Value::Null,
            Kind::Text(_) => {
                let words = self.words(node, "the value")?;
                // A number can only come from a parameter: names do not start with digits.
                match (words.value.parse::<i64>(), words.value.as_str()) {
                    (Ok(number), _) => Value::Int(number),
                    (_, "NULL") => Value::Null,
                    _ => {
                        let object = self.checked("E0112", &words, object::parse(&words.value))?;
                        let mut object = object.node;
                        move_object(&mut object, &words);
                        // Whether it names a local or an inner map is looked up later.
                        return Some(Sp::new(Value::Map(object), words.span()));
                    }
                }
            }
            _ => {
                let wanted = "a number, `NULL`, or the name of a local in quotes";
                return self.expected(node, "a value", wanted);
            }
        };
        Some(Sp::new(value, node.span))
    }

    /// A return code: a number, or an errno without minus.
    pub(super) fn code(&mut self, node: &Node) -> Option<Sp<i64>> {
        let what = "a return code";
        if let Kind::Int(_) = node.kind {
            let code = self.int(node, what, i64::from(i32::MIN)..=i64::MAX)?;
            let Some(name) = errno::name(-code.node).filter(|_| code.node < -1) else {
                return Some(code);
            };
            let message = "error numbers are written by name, without minus";
            self.error(
                Diagnostic::error("E0115", node.span, message)
                    .label("a number")
                    .help(format!("write {name}")),
            );
            return None;
        }
        let word = self.bare(node, what, "EBUSY")?;
        if let Ok(number) = word.parse::<i64>() {
            return Some(Sp::new(number, word.span));
        }
        if let Some(number) = errno::number(&word) {
            return Some(Sp::new(-number, word.span));
        }
        let message = format!("unknown error `{}`", quote(&word));
        let names = errno::ERRNOS.iter().map(|(name, _)| *name);
        self.error(
            Diagnostic::error("E0108", word.span, message)
                .label("not an errno")
                .maybe_help(did_you_mean(&word, names)),
        );
        None
    }
}

/// The name in `"$name"`.
fn parameter_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    fits.then_some(name)
}

/// Moves the places inside an object from its text into the file.
fn move_object(object: &mut ObjExpr, words: &Words) {
    object.base.span = words.part(object.base.span);
    object.keys.iter_mut().for_each(|key| key.span = words.part(key.span));
    object.path.iter_mut().for_each(|seg| seg.span = words.part(seg.span));
    if let Some(byte) = &mut object.byte {
        byte.span = words.part(byte.span);
    }
}
