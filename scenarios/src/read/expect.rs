//! Expectations, predicates and faults.

use super::Reader;
use super::forms::{Form, Found, args, fields, variant_name};
use crate::ast::{BugClass, Count, Expectation, Fault, LatencyLimits, Predicate};
use crate::diag::{Diagnostic, did_you_mean, quote};
use crate::span::Sp;
use crate::syntax::{Kind, Node};
use crate::text::kernel;

pub(super) const EXPECT: &[Form] = &[
    args("never", 1, 1, "never(ANY_BUG)"),
    args("always", 1, 1, "always(entered(\"cb\"))"),
    args("sometimes", 1, 1, "sometimes(USE_AFTER_FREE)"),
    args("on", 2, 2, "on(\"lacks 0281b919e175\", sometimes(USE_AFTER_FREE))"),
    args("known_bug", 2, 2, "known_bug(\"reference\", never(ANY_BUG))"),
    fields(
        "latency",
        &["of", "p50", "p99", "p999", "max"],
        "latency(of: \"timers[0]\", p99: \"20us\", max: \"60us\")",
    ),
    fields("drift", &["of", "max"], "drift(of: \"timers[0]\", max: \"1us\")"),
    fields("hold", &["lock", "max"], "hold(lock: \"flows.lru_lock\", max: \"15us\")"),
    fields("count", &["schedules", "failing"], "count(schedules: 7, failing: 1)"),
];

pub(super) const PREDICATES: &[Form] = &[
    args("after", 2, 2, "after(uref_zero(\"timers\"), entered(\"cb\"))"),
    args("during", 2, 2, "during(running(\"cb\"), uref_zero(\"timers\"))"),
    args("within", 2, 2, "within(\"bpf_timer_cancel\", USE_AFTER_FREE)"),
    args("overlap", 2, 2, "overlap(\"bpf_timer_cancel\", \"bpf_timer_cancel_and_free\")"),
    args("entered", 1, 1, "entered(\"cb\")"),
    args("running", 1, 1, "running(\"cb\")"),
    args("leaked", 1, 1, "leaked(\"bpf_hrtimer\")"),
    args("uref_zero", 1, 1, "uref_zero(\"timers\")"),
    args("evicted", 1, 1, "evicted(\"flows[1]\")"),
    args("final", 1, 1, "final(\"timers[7] == NULL\")"),
    args("returned", 2, 2, "returned(\"bpf_timer_cancel\", EDEADLK)"),
    args("called", 1, 1, "called(\"hrtimer_cancel\")"),
];

pub(super) const FAULTS: &[Form] = &[
    fields("enomem", &["in", "nth"], "enomem(in: \"bpf_timer_init\", nth: [1])"),
    fields("may_enomem", &["in"], "may_enomem(in: \"bpf_timer_init\")"),
    args("memcg_full", 1, 1, "memcg_full(\"name\")"),
];

impl Reader {
    pub(super) fn expectation(&mut self, node: &Node) -> Option<Sp<Expectation>> {
        if self.lone_predicate(node) {
            return None;
        }
        let (form, found) = self.variant(node, "expectation", EXPECT)?;
        let expectation = match (form, found) {
            ("never", found) => Expectation::Never(self.predicate(&found.args()[0])?),
            ("always", found) => Expectation::Always(self.predicate(&found.args()[0])?),
            ("sometimes", found) => Expectation::Sometimes(self.predicate(&found.args()[0])?),
            ("on", found) => {
                let words = self.words(&found.args()[0], "a kernel condition");
                let cond = words.and_then(|words| {
                    let result = kernel::condition(&words.value);
                    let mut cond = self.checked("E0114", &words, result)?;
                    cond.node.terms.iter_mut().for_each(|t| t.span = words.part(t.span));
                    Some(cond)
                });
                let inner = self.expectation(&found.args()[1]);
                Expectation::On(cond?, Box::new(inner?))
            }
            ("known_bug", found) => {
                let reference = self.text(&found.args()[0], "the reference of a known bug");
                let inner = self.expectation(&found.args()[1]);
                Expectation::KnownBug(reference?, Box::new(inner?))
            }
            (form, found) => self.limit(form, found, node)?,
        };
        Some(Sp::new(expectation, node.span))
    }

    /// Reports a predicate without `never`, `always` or `sometimes` around it.
    fn lone_predicate(&mut self, node: &Node) -> bool {
        let name = variant_name(node).unwrap_or_default();
        let known = PREDICATES.iter().any(|form| form.name == name);
        if !known && BugClass::from_word(name).is_none() {
            return false;
        }
        let message = format!("`{name}` alone does not say whether it must hold");
        let shown = if known { format!("{name}(..)") } else { name.to_string() };
        self.error(
            Diagnostic::error("E0107", node.span, message)
                .label("a predicate")
                .help(format!("write `never({shown})`, `always(..)` or `sometimes(..)`")),
        );
        true
    }

    fn limit(&mut self, form: &str, found: Found<'_>, node: &Node) -> Option<Expectation> {
        let fields = found.fields()?;
        if form == "count" {
            let count = Count {
                schedules: fields
                    .get("schedules")
                    .and_then(|node| self.u64(node, "`schedules`", 0)),
                failing: fields.get("failing").and_then(|node| self.u64(node, "`failing`", 0)),
            };
            if fields.get("schedules").is_none() && fields.get("failing").is_none() {
                return self.no_limit(node, "schedules: 7");
            }
            return Some(Expectation::Count(count));
        }
        let max = |reader: &mut Self, name: &str| {
            let node = fields.get(name)?;
            reader.duration(node, &format!("`{name}`"))
        };
        if form == "hold" {
            let lock = fields.require(self, "lock", "\"flows.lru_lock\"");
            let lock = lock.and_then(|node| self.text(node, "the name of a lock"));
            fields.require(self, "max", "\"15us\"")?;
            return Some(Expectation::Hold { lock: lock?, max: max(self, "max")? });
        }
        let of = fields.require(self, "of", "\"timers[0]\"");
        let of = of.and_then(|node| self.object(node, "`of`"));
        if form == "drift" {
            fields.require(self, "max", "\"1us\"")?;
            return Some(Expectation::Drift { of: of?, max: max(self, "max")? });
        }
        if ["p50", "p99", "p999", "max"].iter().all(|name| fields.get(name).is_none()) {
            return self.no_limit(node, "p99: \"20us\"");
        }
        let (p50, p99) = (max(self, "p50"), max(self, "p99"));
        let (p999, max) = (max(self, "p999"), max(self, "max"));
        Some(Expectation::Latency(LatencyLimits { of: of?, p50, p99, p999, max }))
    }

    fn no_limit(&mut self, node: &Node, example: &str) -> Option<Expectation> {
        let diag = Diagnostic::error("E0104", node.span, "this expectation has no limit");
        self.error(diag.label("nothing to compare with").help(format!("add `{example}`")));
        None
    }

    fn predicate(&mut self, node: &Node) -> Option<Sp<Predicate>> {
        if let Kind::Name(name) = &node.kind
            && !PREDICATES.iter().any(|form| form.name == name)
        {
            return self.bug_class(name, node);
        }
        let name = variant_name(node).unwrap_or_default();
        if BugClass::from_word(name).is_some() {
            let message = format!("`{name}` is written without parentheses");
            self.error(
                Diagnostic::error("E0107", node.span, message)
                    .label("has parentheses")
                    .help(format!("write `{name}`")),
            );
            return None;
        }
        if let Some(help) = not_a_predicate(name) {
            let message = format!("`{name}` is no predicate");
            self.error(
                Diagnostic::error("E0108", node.span, message)
                    .label("not possible here")
                    .help(help),
            );
            return None;
        }
        let (form, found) = self.variant(node, "predicate", PREDICATES)?;
        let predicate = self.predicate_of(form, found.args())?;
        Some(Sp::new(predicate, node.span))
    }

    fn predicate_of(&mut self, form: &str, args: &[Node]) -> Option<Predicate> {
        let first = &args[0];
        Some(match form {
            "after" | "during" => {
                let a = self.predicate(first).map(Box::new);
                let b = self.predicate(&args[1]).map(Box::new);
                match form {
                    "after" => Predicate::After(a?, b?),
                    _ => Predicate::During(a?, b?),
                }
            }
            "within" => {
                let function = self.text(first, "a function");
                let inner = self.predicate(&args[1]).map(Box::new);
                Predicate::Within(function?, inner?)
            }
            "overlap" => {
                let a = self.text(first, "a function");
                let b = self.text(&args[1], "a function");
                Predicate::Overlap(a?, b?)
            }
            "entered" => Predicate::Entered(self.text(first, "a callback")?),
            "running" => Predicate::Running(self.text(first, "a callback")?),
            "leaked" => Predicate::Leaked(self.text(first, "a type")?),
            "uref_zero" => Predicate::UrefZero(self.object(first, "the map")?),
            "evicted" => Predicate::Evicted(self.object(first, "the element")?),
            "final" => Predicate::Final(self.cond(first, "a condition")?),
            "returned" => {
                let function = self.text(first, "a function");
                let code = self.code(&args[1]);
                Predicate::Returned(function?, code?)
            }
            _ => Predicate::Called(self.text(first, "a function")?),
        })
    }

    fn bug_class(&mut self, name: &str, node: &Node) -> Option<Sp<Predicate>> {
        if let Some(class) = BugClass::from_word(name) {
            return Some(Sp::new(Predicate::Class(class), node.span));
        }
        let message = format!("unknown class of bugs `{}`", quote(name));
        let words: Vec<&str> = BugClass::ALL.iter().map(|class| class.word()).collect();
        let limits = matches!(name, "LATENCY" | "DRIFT" | "LOCK_HOLD");
        let help = match limits {
            true => {
                Some("broken limits are no bugs: use `latency(..)`, `drift(..)`, `hold(..)`".into())
            }
            false => did_you_mean(name, words.iter().copied()),
        };
        self.error(
            Diagnostic::error("E0213", node.span, message)
                .label("no such class")
                .maybe_help(help)
                .note(format!("classes are {}", words.join(", "))),
        );
        None
    }

    pub(super) fn fault(&mut self, node: &Node) -> Option<Sp<Fault>> {
        let (form, found) = self.variant(node, "fault", FAULTS)?;
        if form == "memcg_full" {
            let name = self.name(&found.args()[0], "a memory cgroup")?;
            return Some(Sp::new(Fault::MemcgFull(name), node.span));
        }
        let fields = found.fields()?;
        let function = fields.require(self, "in", "\"bpf_timer_init\"");
        let function = function.and_then(|node| self.text(node, "a function"));
        let nth = fields
            .get("nth")
            .map(|node| self.each(node, "`nth`", |reader, item| reader.u32(item, "the number", 1)));
        let fault = match form {
            "enomem" => Fault::Enomem { function: function?, nth: nth.unwrap_or_default() },
            _ => Fault::MayEnomem { function: function? },
        };
        Some(Sp::new(fault, node.span))
    }
}

/// What to write where an expectation stands in the place of a predicate.
fn not_a_predicate(name: &str) -> Option<&'static str> {
    match name {
        "never" | "always" | "sometimes" => Some("expectations do not nest: write several of them"),
        "on" | "known_bug" => Some("it goes around the expectation: `on(\"..\", never(..))`"),
        "latency" | "drift" | "hold" | "count" => Some("write it as an expectation of its own"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expectation_predicate_fault_and_class_is_in_the_corpus() {
        let text = crate::read::corpus();
        for form in EXPECT.iter().chain(PREDICATES).chain(FAULTS) {
            assert!(text.contains(&format!("{}(", form.name)), "{} is in no file", form.name);
        }
        for class in BugClass::ALL {
            assert!(text.contains(class.word()), "{class} is in no file");
        }
    }
}
