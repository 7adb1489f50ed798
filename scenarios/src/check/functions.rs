//! Functions that expectations name.

use std::collections::BTreeSet;

use timerace_kernel::FUNCTIONS;

use crate::ast::{Expectation, Predicate, Scenario};
use crate::diag::{Diagnostic, nearest, quote};
use crate::span::Sp;

/// Unknown names that are reported.
const NAMES_MAX: usize = 1000;

/// Every function is a program or task of the file, what the steps or the events of a CPU run as, or a function of the
/// kernel that the model calls.
pub(super) fn check(scenario: &Scenario, diags: &mut Vec<Diagnostic>) {
    let progs = scenario.progs.iter().map(|(name, _)| name);
    let own: BTreeSet<&str> = progs
        .chain(scenario.tasks.iter().map(|(name, _)| name))
        .map(|name| name.node.as_str())
        .collect();
    let mut seen = BTreeSet::new();
    let mut look = |name: &Sp<String>| {
        let known = own.contains(name.node.as_str())
            || FUNCTIONS.contains(&name.node.as_str())
            || is_of_a_cpu(name);
        if known || seen.len() == NAMES_MAX || !seen.insert(name.node.clone()) {
            return;
        }
        diags.push(unknown(name, &own));
    };
    for expectation in &scenario.expect {
        let mut inner = expectation;
        while let Expectation::On(_, next) | Expectation::KnownBug(_, next) = &inner.node {
            inner = next;
        }
        let (Expectation::Never(p) | Expectation::Always(p) | Expectation::Sometimes(p)) =
            &inner.node
        else {
            continue;
        };
        p.for_each(&mut |p| match p {
            Predicate::Entered(name)
            | Predicate::Running(name)
            | Predicate::Called(name)
            | Predicate::Within(name, _)
            | Predicate::Returned(name, _) => look(name),
            Predicate::Overlap(a, b) => {
                look(a);
                look(b);
            }
            _ => {}
        });
    }
}

/// `cpu0`, `irq1`, `net-rx0`: what the steps and the events of a CPU run as.
fn is_of_a_cpu(name: &str) -> bool {
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let events = ["cpu", "irq", "nmi", "event", "pmi", "tick", "cpuhp"];
    let softirqs =
        ["hi", "timer", "net-tx", "net-rx", "block", "irq-poll", "tasklet", "sched", "rcu"];
    word.len() < name.len() && (events.contains(&word) || softirqs.contains(&word))
}

fn unknown(name: &Sp<String>, own: &BTreeSet<&str>) -> Diagnostic {
    let message = format!("no function is called \"{}\"", quote(name));
    let diag = Diagnostic::error("E0215", name.span, message)
        .label("neither a program or task of this file nor a function that the model calls");
    let all = own.iter().copied().chain(FUNCTIONS.iter().copied());
    if let Some(near) = nearest(name, all) {
        return diag.help(format!("did you mean \"{}\"?", quote(near)));
    }
    // `bpf_map_update_elem` is a function of each type of map.
    let rest = name.split_once('_').map_or("", |(_, rest)| rest);
    let alike = FUNCTIONS.iter().filter(|f| rest.len() > 5 && f.ends_with(rest));
    let alike: Vec<String> = alike.map(|f| format!("\"{f}\"")).collect();
    match alike.is_empty() {
        true => diag,
        false => diag.help(format!("the model has {}", alike.join(", "))),
    }
}
