//! Things that are allowed, but probably not what was meant.

use std::collections::{BTreeMap, BTreeSet};

use super::maps::outside;
use super::visit::{access_object, call_object, for_each_step_of};
use crate::ast::{
    Call, Duration, Event, Expectation, IrqWork, Param, Predicate, Scenario, Source, StepKind,
    Timed, When,
};
use crate::diag::{Diagnostic, quote};
use crate::span::{Sp, Span};

/// All suspicions about a scenario.
pub(crate) fn warnings(scenario: &Scenario) -> Vec<Diagnostic> {
    let mut diags = Vec::new();
    no_sometimes(scenario, &mut diags);
    units(scenario, &mut diags);
    same_instant(scenario, &mut diags);
    outside_keys(scenario, &mut diags);
    never_unblocked(scenario, &mut diags);
    diags
}

/// Limits in time, where what steps cost is not fitted to any machine.
pub(crate) fn uncalibrated(scenario: &Scenario) -> Option<Diagnostic> {
    let is_limit = |expectation: &&Sp<Expectation>| {
        let mut inner = &expectation.node;
        while let Expectation::On(_, next) | Expectation::KnownBug(_, next) = inner {
            inner = &next.node;
        }
        matches!(
            inner,
            Expectation::Latency(_) | Expectation::Drift { .. } | Expectation::Hold { .. }
        )
    };
    let limit = scenario.expect.iter().find(is_limit)?;
    Some(
        Diagnostic::warning("W0410", limit.span, "a limit in time, judged with costs that are not calibrated")
            .label("says nothing about a real machine")
            .help("`timerace calibrate` makes costs of a trace; `costs:` of timerace.ron, or `run --costs`, names them"),
    )
}

/// Parameters that nothing uses.
pub(crate) fn unused_params(scenario: &Scenario, used: &BTreeSet<String>) -> Vec<Diagnostic> {
    let unused = |(name, _): &&(Sp<String>, Param)| !used.contains(&name.node);
    let warn = |(name, _): &(Sp<String>, Param)| {
        let message = format!("parameter `{}` is never used", quote(name));
        Diagnostic::warning("W0408", name.span, message)
            .label("has no effect")
            .help(format!("use it as \"${}\"", quote(name)))
    };
    scenario.params.iter().filter(unused).map(warn).collect()
}

/// A scenario about a race that would pass if the race were never reached.
fn no_sometimes(scenario: &Scenario, diags: &mut Vec<Diagnostic>) {
    let mut about: Option<Span> = None;
    let mut sometimes = false;
    for expectation in &scenario.expect {
        let mut inner = expectation;
        let mut on = false;
        while let Expectation::On(_, next) | Expectation::KnownBug(_, next) = &inner.node {
            on |= matches!(inner.node, Expectation::On(..));
            inner = next;
        }
        let named = match &inner.node {
            Expectation::Sometimes(_) => {
                sometimes = true;
                false
            }
            Expectation::Never(p) => on || names_one_class(p),
            Expectation::Always(p) => names_one_class(p),
            _ => false,
        };
        if named {
            about = about.or(Some(expectation.span));
        }
    }
    let (Some(span), false) = (about, sometimes) else { return };
    diags.push(
        Diagnostic::warning("W0401", span, "this scenario is about a bug, but has no `sometimes`")
            .label("also holds if the race is never reached")
            .help("add what must be reached: sometimes(overlap(\"bpf_timer_cancel\", \"cb\"))"),
    );
}

/// `ANY_BUG` is implied anyway; a class of its own says that the file is about that bug.
fn names_one_class(p: &Predicate) -> bool {
    let mut any = false;
    p.for_each(&mut |p| any |= matches!(p, Predicate::Class(crate::ast::BugClass::AnyBug)));
    p.names_bug() && !any
}

/// How many times its period something may take before a wrong unit is the likelier reason.
const BUSY_FACTOR: u64 = 10;
/// How many periods a limit may be before a wrong unit is the likelier reason.
const LIMIT_FACTOR: u64 = 500;

/// `ms` where `us` was meant.
fn units(scenario: &Scenario, diags: &mut Vec<Diagnostic>) {
    for (_, events) in &scenario.cpus {
        for event in events {
            let Event::Timed(Timed { when: When::Every(period) | When::Poisson(period), source }) =
                &event.node
            else {
                continue;
            };
            let (Source::Softirq(_, IrqWork::Takes(work))
            | Source::Irq(IrqWork::Takes(work))
            | Source::Nmi(IrqWork::Takes(work))) = &source.node
            else {
                continue;
            };
            compare(work, period, BUSY_FACTOR, "takes", diags);
        }
    }
    let mut longest: Option<Sp<Duration>> = None;
    for_each_step_of(scenario, &mut |step| {
        if let StepKind::Invoke(invoke) = &step.node
            && let Call::TimerStart { since: None, after, flags, .. } = &invoke.call.node
            && flags.is_empty()
        {
            longest = longest.filter(|old| old.max_ns >= after.max_ns).or(Some(*after));
        }
    });
    let Some(period) = longest else { return };
    for expectation in &scenario.expect {
        if let Expectation::Latency(limits) = &expectation.node {
            let all = [limits.p50, limits.p99, limits.p999, limits.max];
            for limit in all.into_iter().flatten() {
                compare(&limit, &period, LIMIT_FACTOR, "is", diags);
            }
        }
    }
}

fn compare(
    long: &Sp<Duration>,
    period: &Sp<Duration>,
    factor: u64,
    verb: &str,
    diags: &mut Vec<Diagnostic>,
) {
    if period.max_ns == 0 || long.min_ns / factor < period.max_ns {
        return;
    }
    let times = long.min_ns / period.max_ns;
    let message = format!("`{}` {verb} {times} times the period `{}`", long.node, period.node);
    diags.push(
        Diagnostic::warning("W0402", long.span, message)
            .label("is the unit right?")
            .also(period.span, "the period")
            .help("1ms is 1000us"),
    );
}

/// Two events that come at one instant on one CPU.
fn same_instant(scenario: &Scenario, diags: &mut Vec<Diagnostic>) {
    for (cpu, events) in &scenario.cpus {
        let mut seen: BTreeMap<(bool, Duration), Span> = BTreeMap::new();
        for event in events {
            let Event::Timed(timed) = &event.node else { continue };
            let (every, at) = match timed.when {
                When::At(at) => (false, at),
                When::Every(period) => (true, period),
                _ => continue,
            };
            if at.is_range() {
                continue;
            }
            let Some(first) = seen.get(&(every, at.node)) else {
                seen.insert((every, at.node), at.span);
                continue;
            };
            let message = format!("two events at the same instant on CPU {}", cpu.node);
            diags.push(
                Diagnostic::warning("W0403", at.span, message)
                    .label("comes second, because it stands second")
                    .also(*first, "comes first")
                    .help("give one of them another time, or a range"),
            );
        }
    }
}

/// Elements behind the end of an array.
fn outside_keys(scenario: &Scenario, diags: &mut Vec<Diagnostic>) {
    let maps = scenario.maps.iter().map(|(name, map)| (name.node.as_str(), map)).collect();
    for_each_step_of(scenario, &mut |step| {
        let object = match &step.node {
            StepKind::Invoke(invoke) => call_object(&invoke.call),
            StepKind::Access(access) => Some(access_object(access)),
            _ => None,
        };
        let Some((key, map)) = object.and_then(|object| outside(object, &maps)) else { return };
        let message = format!("key {} is behind the end of the array", key.node);
        diags.push(
            Diagnostic::warning("W0404", key.span, message)
                .label("a lookup of it gives NULL")
                .also(map.max_entries.span, "the number of elements; they count from 0"),
        );
    });
}

/// Tasks that wait for ever.
fn never_unblocked(scenario: &Scenario, diags: &mut Vec<Diagnostic>) {
    let mut unblocked = BTreeSet::new();
    for_each_step_of(scenario, &mut |step| {
        if let StepKind::Unblock(task) = &step.node {
            unblocked.insert(task.node.clone());
        }
    });
    for (name, task) in &scenario.tasks {
        if task.blocked && !unblocked.contains(&name.node) {
            let message = format!("task \"{}\" never runs", quote(name));
            diags.push(
                Diagnostic::warning("W0407", name.span, message)
                    .label("it starts blocked and nothing unblocks it")
                    .help(format!("add unblock(\"{}\") to another task", quote(name))),
            );
        }
    }
}
