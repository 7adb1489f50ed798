//! Expectations, predicates, faults.

use super::{Out, code, text};
use crate::ast::{Count, Expectation, Fault, LatencyLimits, Predicate};

impl Out {
    pub(super) fn expectation(&mut self, expectation: &Expectation) {
        self.line(&format!("{},", expectation_text(expectation)));
    }

    pub(super) fn fault(&mut self, fault: &Fault) {
        self.line(&match fault {
            Fault::Enomem { function, nth } => {
                let mut numbers: Vec<u32> = nth.iter().map(|n| n.node).collect();
                numbers.sort_unstable();
                numbers.dedup();
                let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
                let nth = match numbers[..] {
                    [] => String::new(),
                    _ => format!(", nth: [{}]", numbers.join(", ")),
                };
                format!("enomem(in: {}{nth}),", text(function))
            }
            Fault::MayEnomem { function } => format!("may_enomem(in: {}),", text(function)),
            Fault::MemcgFull(name) => format!("memcg_full({}),", text(name)),
        });
    }
}

fn expectation_text(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Never(p) => format!("never({})", predicate(p)),
        Expectation::Always(p) => format!("always({})", predicate(p)),
        Expectation::Sometimes(p) => format!("sometimes({})", predicate(p)),
        Expectation::On(cond, inner) => {
            format!("on(\"{}\", {})", cond.node, expectation_text(inner))
        }
        Expectation::KnownBug(reference, inner) => {
            format!("known_bug({}, {})", text(reference), expectation_text(inner))
        }
        Expectation::Latency(limits) => {
            let LatencyLimits { of, p50, p99, p999, max } = limits;
            let mut out = format!("latency(of: \"{}\"", of.node);
            for (name, limit) in [("p50", p50), ("p99", p99), ("p999", p999), ("max", max)] {
                if let Some(limit) = limit {
                    out += &format!(", {name}: \"{}\"", limit.node);
                }
            }
            out + ")"
        }
        Expectation::Drift { of, max } => {
            format!("drift(of: \"{}\", max: \"{}\")", of.node, max.node)
        }
        Expectation::Hold { lock, max } => {
            format!("hold(lock: {}, max: \"{}\")", text(lock), max.node)
        }
        Expectation::Count(count) => {
            let Count { schedules, failing } = count;
            let schedules = schedules.map(|n| format!("schedules: {}", n.node));
            let failing = failing.map(|n| format!("failing: {}", n.node));
            let fields: Vec<String> = schedules.into_iter().chain(failing).collect();
            format!("count({})", fields.join(", "))
        }
    }
}

fn predicate(p: &Predicate) -> String {
    match p {
        Predicate::Class(class) => class.to_string(),
        Predicate::After(a, b) => format!("after({}, {})", predicate(a), predicate(b)),
        Predicate::During(a, b) => format!("during({}, {})", predicate(a), predicate(b)),
        Predicate::Within(f, inner) => format!("within({}, {})", text(f), predicate(inner)),
        Predicate::Overlap(a, b) => format!("overlap({}, {})", text(a), text(b)),
        Predicate::Entered(f) => format!("entered({})", text(f)),
        Predicate::Running(f) => format!("running({})", text(f)),
        Predicate::Leaked(name) => format!("leaked({})", text(name)),
        Predicate::UrefZero(map) => format!("uref_zero(\"{}\")", map.node),
        Predicate::Evicted(elem) => format!("evicted(\"{}\")", elem.node),
        Predicate::Final(cond) => format!("final({})", text(&cond.node.to_string())),
        Predicate::Returned(f, status) => format!("returned({}, {})", text(f), code(status.node)),
        Predicate::Called(f) => format!("called({})", text(f)),
    }
}
